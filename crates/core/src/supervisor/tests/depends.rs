//! Starts that wait for what they need, stops that wait for those who need them.

use super::*;
use crate::decision::What;
use crate::spec::care::{Care, Condition, Dependency, EarlyDeath, Ready, Reset};

/// A program that needs these, as `group:process`, a group, or a name.
fn needs(name: &str, condition: Condition, labels: &[&str]) -> Arc<ServiceSpec> {
    let mut care = Care::minix(Arc::from(name));
    care.readiness.by = Ready::Alive;
    care.recovery.delay = None;
    care.recovery.reset = Reset::Never;
    care.recovery.early_death = EarlyDeath::Retry;
    let dependency = |label: &&str| {
        let (group, name) = label.split_once(':').unwrap_or(("", label));
        Dependency { group: Arc::from(group), name: Arc::from(name), condition }
    };
    care.depends_on = labels.iter().map(dependency).collect();
    member(name, |program| program.care = Some(Arc::new(care)))
}

fn alone(spec: Arc<ServiceSpec>) -> Arc<GroupSpec> {
    group(&spec.name.clone(), 999, vec![spec])
}

fn plain(name: &str) -> Arc<GroupSpec> {
    plain_group(name, 999, &[name])
}

impl Bench {
    /// What is decided in a step, beside what is done.
    fn decided(&mut self, input: Input) -> Vec<What> {
        let mut actions = Actions::default();
        self.supervisor.step(at(self.now), input, &mut actions);
        self.record();
        std::iter::from_fn(|| actions.pop_decision()).map(|decision| decision.what).collect()
    }
}

#[test]
fn a_start_waits_until_what_it_needs_is_initialised() {
    let web = alone(needs("web", Condition::Ready, &["db"]));

    let (mut bench, actions) = Bench::new(&[&web, &plain("db")]);

    assert_eq!(spawned(&actions), [1]);
    assert_eq!(bench.states(), [StateName::Starting; 2]);
    assert_eq!((bench.service(0).pid, bench.service(0).deadline()), (None, None));
    assert_eq!(spawned(&bench.pass(1000)), []);
    assert_eq!(spawned(&bench.pass(1)), [0], "in the step in which it comes true");
}

#[test]
fn a_start_that_needs_it_only_to_be_started_waits_for_its_program() {
    let web = alone(needs("web", Condition::Started, &["db"]));

    let (_, actions) = Bench::new(&[&web, &plain("db")]);

    assert_eq!(spawned(&actions), [1, 0]);
}

#[test]
fn a_start_waits_for_all_of_a_group() {
    let web = alone(needs("web", Condition::Started, &["db:"]));
    let late = member("b", |program| program.autostart = false);
    let db = group("db", 1, vec![service("a", program()), late]);
    let (mut bench, actions) = Bench::new(&[&web, &db]);
    assert_eq!(spawned(&actions), [1]);

    let actions = bench.ask(1, Verb::Start, one("db", "b"), Wait::Begun);

    assert_eq!(spawned(&actions), [2, 0]);
}

#[test]
fn what_is_not_there_is_waited_for_and_told() {
    let web = alone(needs("web", Condition::Ready, &["db"]));
    let mut bench = Bench::new(&[]).0;
    bench.step(Input::Command {
        ticket: Ticket(1),
        command: Command::Load(configuration(&[&web, &plain("db")])),
    });
    let add = |name: &str| Input::Command {
        ticket: Ticket(2),
        command: Command::Reconcile(Scope::Add(Arc::from(name))),
    };

    assert!(bench.decided(add("web")).contains(&What::Holds { on: "db".into() }));

    bench.step(add("db"));
    assert_eq!(spawned(&bench.pass(1001)), [0]);
}

#[test]
fn who_runs_is_not_stopped_with_what_it_needs_but_waits_for_it_at_its_next_start() {
    let web = alone(needs("web", Condition::Ready, &["db"]));
    let mut bench = Bench::up(&[&web, &plain("db")]);
    bench.pass(5000);
    bench.ask(1, Verb::Stop, one("db", "db"), Wait::Done);
    bench.exit(1, 0);
    assert_eq!(bench.states(), [StateName::Running, StateName::Stopped]);

    let crash = bench.exit(0, 1);
    assert_eq!((spawned(&crash), bench.states()[0]), (vec![], StateName::Starting));

    bench.ask(2, Verb::Start, one("db", "db"), Wait::Begun);
    assert_eq!(spawned(&bench.pass(1001)), [0]);
}

#[test]
fn a_client_who_does_not_wait_is_told_at_once_and_a_stop_ends_the_wait() {
    let web = alone(needs("web", Condition::Ready, &["db"]));
    let (mut bench, _) = Bench::new(&[&web]);
    bench.ask(1, Verb::Stop, one("web", "web"), Wait::Done);
    assert_eq!(bench.states(), [StateName::Stopped]);

    let done = (2, Answer::Done);
    assert_eq!(answers(&bench.ask(2, Verb::Start, one("web", "web"), Wait::Begun)), [done]);
    let started = bench.ask(3, Verb::Stop, one("web", "web"), Wait::Done);

    assert_eq!(answers(&started), [(3, Answer::Done)]);
    assert_eq!(signalled(&started), []);
}

#[test]
fn who_needs_it_stops_first_whatever_its_group_and_priority() {
    let web = group("web", 1, vec![needs("web", Condition::Ready, &["db"])]);
    let mut bench = Bench::up(&[&web, &plain("db")]);
    bench.pass(5000);

    let told = bench.step(Input::Shutdown);
    assert_eq!(signalled(&told), [0], "the group of `db` would have its turn first");
    assert_eq!(bench.states(), [StateName::Stopping; 2]);
    let next = bench.exit(0, 0);

    assert_eq!(signalled(&next), [1]);
    assert!(finishes(&bench.exit(1, 0)));
}

#[test]
fn what_waits_to_be_told_is_not_killed_before_it_was() {
    let web = alone(needs("web", Condition::Ready, &["db"]));
    let mut bench = Bench::up(&[&web, &plain("db")]);
    bench.pass(5000);
    bench.ask(1, Verb::Stop, Target::All, Wait::Begun);

    // SIGKILL for who has not stopped in time, and nothing for who was not told.
    assert_eq!(signalled(&bench.pass(2000)), [0]);
    assert_eq!(signalled(&bench.exit(0, 0)), [1]);
    assert_eq!(signalled(&bench.pass(1999)), []);
    assert_eq!(signalled(&bench.pass(1)), [1]);
}

#[test]
fn a_stop_of_one_alone_does_not_wait_for_those_who_go_on() {
    let web = alone(needs("web", Condition::Ready, &["db"]));
    let mut bench = Bench::up(&[&web, &plain("db")]);
    bench.pass(5000);

    let told = bench.ask(1, Verb::Stop, one("db", "db"), Wait::Done);

    assert_eq!((signalled(&told), bench.states()[0]), (vec![1], StateName::Running));
}

#[test]
fn those_who_need_each_other_do_not_wait_and_that_is_told() {
    let chicken = alone(needs("chicken", Condition::Ready, &["egg"]));
    let egg = alone(needs("egg", Condition::Ready, &["chicken"]));

    let (mut bench, actions) = Bench::new(&[&chicken, &egg]);

    assert_eq!(spawned(&actions), [0, 1]);
    for (id, on) in [(0, "egg"), (1, "chicken")] {
        let (service, on) = (ServiceId(id), Arc::from(on));
        assert!(actions.contains(&Action::Notice(Notice::NeedsItself { service, on })));
    }
    bench.pass(5000);
    assert_eq!(signalled(&bench.ask(1, Verb::Stop, Target::All, Wait::Begun)), [0, 1]);
}

#[test]
fn a_wait_outlives_the_supervisor() {
    let web = alone(needs("web", Condition::Ready, &["db"]));
    let (mut bench, _) = Bench::new(&[&web, &plain("db")]);
    bench.recover();
    assert_eq!(spawned(&bench.step(Input::Resume)), []);
    assert_eq!(spawned(&bench.pass(1001)), [0]);

    bench.pass(5000);
    bench.ask(1, Verb::Stop, Target::All, Wait::Begun);
    bench.recover();
    assert_eq!(signalled(&bench.step(Input::Resume)), []);
    assert_eq!(signalled(&bench.exit(0, 0)), [1]);
}
