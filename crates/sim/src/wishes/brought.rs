//! What users of `service` wish: services that are brought up, calls, and what services ask
//! for beyond Supervisor's rules.

use std::sync::Arc;

use bardo_core::job::{Caller, Deed};
use bardo_core::spec::care::{
    Care, Condition, Confinement, Dependency, EarlyDeath, INITIALISED_WITHIN, Initialisation,
    Ready, Recovery, Reset,
};
use bardo_core::spec::{GroupKind, Origin};
use bardo_core::{Command, GroupSpec, ServiceId, Supervisor, Wait};

use super::{GROUPS, MEMBERS, Needs, service};
use crate::random::Random;

/// Labels of what is brought up. One is also a group of the file, and one the name of a
/// process that many groups have.
const LABELS: [&str; 5] = ["fox", "gnu", "hen", "ant", "one"];

/// Names of programs, which `control` lists have.
const PROGRAMS: [&str; 3] = ["filter", "disk", "gnu"];

/// Draws a call of `service`.
pub(super) fn command(random: &mut Random, supervisor: &Supervisor, needs: Needs) -> Command {
    let wait = random.pick(&[Wait::Done, Wait::Begun]);
    let by = caller(random, supervisor);
    if random.happens(400) {
        return Command::Bring { group: Arc::new(group(random, needs)), wait, by };
    }
    let label = label(random, supervisor);
    let deed = match random.below(12) {
        0..4 => Deed::Down,
        4..7 => Deed::Refresh,
        7..9 => Deed::RestartNow,
        9 => Deed::Inject,
        10 => Deed::Advance,
        _ => {
            let spec = Arc::new(service(random, MEMBERS[0], needs));
            let there = supervisor.labelled(&label).and_then(|id| supervisor.service(id));
            // Some have looked a while ago.
            let former = there.filter(|_| !random.happens(100)).map(|there| &there.spec);
            let former = Arc::clone(former.unwrap_or(&spec));
            Deed::Edit { former, spec, restarts: random.happens(300).then_some(3) }
        }
    };
    Command::Manage { deed, label, wait, by }
}

/// Draws somebody who asks.
pub(super) fn caller(random: &mut Random, supervisor: &Supervisor) -> Caller {
    match random.below(10) {
        0 => Caller::Nobody,
        1..3 => {
            let places = supervisor.snapshot().places.len() as u64;
            let number = random.below(places + 1);
            let id = ServiceId(u32::try_from(number).expect("a small table"));
            if random.happens(500) { Caller::Service(id) } else { Caller::Script(id) }
        }
        _ => Caller::Owner,
    }
}

/// What follows Supervisor's rules in all that is not said otherwise.
pub(super) fn plain_care() -> Care {
    let mut care = Care::minix(Arc::from("program"));
    care.recovery =
        Recovery { delay: None, reset: Reset::Never, early_death: EarlyDeath::Retry, restarts: 0 };
    care.readiness = Initialisation { by: Ready::Alive, within: INITIALISED_WITHIN };
    care
}

/// Draws what has to do with others: who is needed, who may do what, whose end is the end.
pub(super) fn add_others(random: &mut Random, care: &mut Care) {
    let names = |random: &mut Random| -> Vec<Arc<str>> {
        let count = random.below(3);
        (0..count).map(|_| Arc::from(name(random))).collect()
    };
    care.confinement = Arc::new(Confinement {
        control: names(random),
        controlled_by: names(random),
        ..Confinement::default()
    });
    care.program_name = Arc::from(random.pick(&PROGRAMS));
    care.critical = random.happens(40);
    care.device = random.happens(200).then(|| random.below(2));
    care.depends_on = (0..random.below(3)).map(|_| dependency(random)).collect();
}

fn dependency(random: &mut Random) -> Dependency {
    let condition = random.pick(&[Condition::Started, Condition::Ready]);
    let (group, name) = match random.below(4) {
        0 => (random.pick(&GROUPS), ""),
        1 => ("", name(random)),
        2 => ("", random.pick(&LABELS)),
        _ => (random.pick(&GROUPS), random.pick(&MEMBERS)),
    };
    Dependency { group: Arc::from(group), name: Arc::from(name), condition }
}

/// A word that somebody may have: of a program, a label, or a process.
fn name(random: &mut Random) -> &'static str {
    match random.below(4) {
        0 => random.pick(&PROGRAMS),
        1 => random.pick(&LABELS),
        2 => random.pick(&MEMBERS),
        _ => random.pick(&["ant:one", "bee:two", "cat"]),
    }
}

fn group(random: &mut Random, needs: Needs) -> GroupSpec {
    let label = random.pick(&LABELS);
    let mut spec = service(random, label, needs);
    let program = Arc::make_mut(&mut spec.program);
    let care = program.care.get_or_insert_with(|| Arc::new(plain_care()));
    if random.happens(500) {
        add_others(random, Arc::make_mut(care));
    }
    GroupSpec {
        name: Arc::from(label),
        priority: random.pick(&[1, 999]),
        kind: GroupKind::Programs,
        origin: Origin::Brought,
        services: vec![Arc::new(spec)],
    }
}

/// Draws how somebody calls a service that is there, or one that is not.
fn label(random: &mut Random, supervisor: &Supervisor) -> Arc<str> {
    let groups = supervisor.groups();
    if groups.is_empty() || random.happens(150) {
        return Arc::from(name(random));
    }
    let brought: Vec<_> = groups.iter().filter(|group| !group.is_of_file()).collect();
    let group = match brought.is_empty() || random.happens(400) {
        true => &groups[random.index(groups.len())],
        false => brought[random.index(brought.len())],
    };
    let services = &group.spec.services;
    if services.is_empty() {
        return Arc::clone(&group.spec.name);
    }
    let process = &services[random.index(services.len())].name;
    match random.below(3) {
        0 if process == &group.spec.name => Arc::clone(process),
        0 => Arc::from(format!("{}:{process}", group.spec.name)),
        1 => Arc::clone(process),
        _ => Arc::clone(&group.spec.name),
    }
}
