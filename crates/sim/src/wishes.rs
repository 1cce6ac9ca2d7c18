//! What users wish: configurations and commands, drawn at random.

mod brought;

use std::sync::Arc;
use std::time::Duration;

use bardo_core::reconcile::Scope;
use bardo_core::spec::{
    Backoff, Care, EndsAll, GroupKind, LogSpec, LogTarget, Origin, ProgramSpec, Reach, RestartOn,
    RestartPolicy, Seconds, StopPolicy,
};
use bardo_core::{
    Command, Configuration, GroupSpec, ServiceSpec, Signal, Supervisor, Target, Verb, Wait,
};

use crate::random::Random;

mod care;

/// Whether programs ask for more than Supervisor's rules. What else is drawn does not
/// depend on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Needs {
    /// None does.
    Plain,
    /// Most do.
    Care,
}

impl Needs {
    /// Those of a seed.
    #[must_use]
    pub fn of(seed: u64) -> Self {
        if Random::named(seed, "care").happens(500) { Self::Care } else { Self::Plain }
    }
}

const GROUPS: [&str; 5] = ["ant", "bee", "cat", "dog", "eel"];
const MEMBERS: [&str; 4] = ["one", "two", "three", "four"];

/// Those that come and go while their group is there; one of the names is also that of
/// a member.
const GUESTS: [&str; 4] = ["one", "guest", "stranger", "visitor"];

/// Signals that clients send: none of them is ever a stop signal, so that the
/// checkers can tell who wanted a signal.
const CLIENT_SIGNALS: [Signal; 2] = [Signal::HUP, Signal::USR2];

/// Draws a configuration.
pub fn configuration(random: &mut Random, needs: Needs) -> Configuration {
    let mut groups: Vec<Arc<GroupSpec>> = Vec::new();
    for name in GROUPS {
        if random.happens(600) {
            groups.push(Arc::new(group(random, name, needs)));
        }
    }
    groups.sort_by_key(|group| (group.priority, Arc::clone(&group.name)));
    Configuration { groups, ..Configuration::default() }
}

fn group(random: &mut Random, name: &str, needs: Needs) -> GroupSpec {
    let members = 1 + random.index(MEMBERS.len());
    GroupSpec {
        name: Arc::from(name),
        priority: random.pick(&[-1, 1, 1, 999]),
        kind: GroupKind::Programs,
        origin: Origin::File,
        services: MEMBERS[..members]
            .iter()
            .map(|member| Arc::new(service(random, member, needs)))
            .collect(),
    }
}

fn service(random: &mut Random, name: &str, needs: Needs) -> ServiceSpec {
    let log = LogSpec {
        target: LogTarget::None,
        bytes_max: 0,
        backups: 0,
        compress: false,
        prefix: "".into(),
        capture_bytes_max: 0,
        events: false,
        syslog: false,
    };
    ServiceSpec {
        program: Arc::new(program(random, needs)),
        name: Arc::from(name),
        command: Arc::from("/bin/true"),
        directory: None,
        environment: Arc::from([]),
        stdout: log.clone(),
        stderr: log,
    }
}

fn program(random: &mut Random, needs: Needs) -> ProgramSpec {
    let mut own = Random::named(random.clone().number(), "care");
    let mut ends = Random::named(random.clone().number(), "ends");
    let second = Duration::from_secs(1);
    ProgramSpec {
        priority: random.pick(&[1, 2, 2, 999]),
        autostart: random.happens(800),
        restart: RestartPolicy {
            on: random.pick(&[RestartOn::Always, RestartOn::Unexpected, RestartOn::Never]),
            start_retries: random.pick(&[Some(0), Some(1), Some(3), Some(3), Some(-1), None]),
            backoff: random.pick(&[
                Backoff::Linear { step: second },
                Backoff::Linear { step: second },
                Backoff::Linear { step: second },
                Backoff::Exponential { first: second, max: 5 * second },
                Backoff::Constant(2 * second),
            ]),
        },
        exit_codes: match random.below(3) {
            0 => vec![0],
            1 => vec![0, 7],
            _ => Vec::new(),
        },
        startsecs: Seconds(random.pick(&[-1, 0, 1, 1, 3])),
        stop: StopPolicy {
            signal: random.pick(&[
                Signal::TERM,
                Signal::TERM,
                Signal::QUIT,
                Signal::INT,
                Signal::from_number(0).expect("zero is a signal number"),
            ]),
            wait: Seconds(random.pick(&[-1, 0, 1, 3, 10])),
            stop_reach: random.pick(&[Reach::Process, Reach::Group]),
            kill_reach: random.pick(&[Reach::Process, Reach::Group]),
        },
        user: None,
        umask: None,
        strip_ansi: None,
        ignore_sigpipe: false,
        redirect_stderr: false,
        server_url: None,
        socket: None,
        care: (needs == Needs::Care).then(|| wanted(&mut own)).flatten(),
        ends_all: match ends.below(40) {
            0 => EndsAll::Fatal,
            1 => EndsAll::Down,
            _ => EndsAll::Never,
        },
    }
}

/// Draws what a program asks for; nothing for some.
fn wanted(random: &mut Random) -> Option<Arc<Care>> {
    let mut care = care::care(random);
    if random.happens(350) {
        let there = care.get_or_insert_with(|| Arc::new(brought::plain_care()));
        brought::add_others(random, Arc::make_mut(there));
    }
    care
}

/// Draws what a client asks of a supervisor.
pub fn command(random: &mut Random, supervisor: &Supervisor, needs: Needs) -> Command {
    match random.below(200) {
        0..100 => {
            let verb = match random.below(10) {
                0..5 => Verb::Start,
                5..9 => Verb::Stop,
                _ => Verb::Signal(random.pick(&CLIENT_SIGNALS)),
            };
            let target = target(random, supervisor);
            let wait = random.pick(&[Wait::Done, Wait::Begun]);
            Command::Act { verb, target, wait }
        }
        100..114 => Command::Load(configuration(random, needs)),
        114..134 => Command::Reconcile(scope(random, supervisor)),
        134..144 => membership(random, supervisor, needs),
        144..150 => Command::Look,
        150..196 => brought::command(random, supervisor, needs),
        196..198 => Command::Restart,
        198 => Command::Rest { by: brought::caller(random, supervisor) },
        _ => Command::Shutdown,
    }
}

fn target(random: &mut Random, supervisor: &Supervisor) -> Target {
    let groups = supervisor.groups();
    if groups.is_empty() || random.happens(30) {
        return Target::Process(Arc::from("nobody"), Arc::from("one"));
    }
    let group = &groups[random.index(groups.len())];
    let name = Arc::clone(&group.spec.name);
    match random.below(10) {
        0 => Target::All,
        1..3 => Target::Group(name),
        // All its members have left it.
        _ if group.spec.services.is_empty() => Target::Group(name),
        _ => {
            let member = random.index(group.spec.services.len());
            Target::Process(name, Arc::clone(&group.spec.services[member].name))
        }
    }
}

/// Draws a member that joins a group or leaves it.
fn membership(random: &mut Random, supervisor: &Supervisor, needs: Needs) -> Command {
    let groups = supervisor.groups();
    if groups.is_empty() || random.happens(30) {
        return Command::Leave { group: Arc::from("nobody"), process: Arc::from("one") };
    }
    let spec = &groups[random.index(groups.len())].spec;
    let group = Arc::clone(&spec.name);
    if random.happens(500) {
        let services = (0..1 + random.index(2))
            .map(|_| random.index(GUESTS.len()))
            .collect::<std::collections::BTreeSet<usize>>()
            .into_iter()
            .map(|guest| Arc::new(service(random, GUESTS[guest], needs)))
            .collect();
        return Command::Join { group, services };
    }
    let names: Vec<&str> = spec.services.iter().map(|service| &*service.name).collect();
    let name = if names.is_empty() { "nobody" } else { names[random.index(names.len())] };
    Command::Leave { group, process: Arc::from(name) }
}

fn scope(random: &mut Random, supervisor: &Supervisor) -> Scope {
    let loaded = &supervisor.loaded().groups;
    let groups = supervisor.groups();
    if random.happens(550) && !loaded.is_empty() {
        Scope::Add(Arc::clone(&loaded[random.index(loaded.len())].name))
    } else if !groups.is_empty() {
        Scope::Remove(Arc::clone(&groups[random.index(groups.len())].spec.name))
    } else {
        Scope::Remove(Arc::from("nobody"))
    }
}
