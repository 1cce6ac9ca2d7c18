//! The order of things, clients, the end, and what outlives a crash.

use std::time::Duration;

use super::*;
use crate::action::{Errand, Notice};
use crate::example::{at, configuration, drain, group, plain_group, program, service};
use crate::id::{ExitSequence, Pid, Ticket};
use crate::input::Found;
use crate::job::{Answer, Command, Outcome, Refusal, Target, Verb, Wait};
use crate::reconcile::Scope;
use crate::service::{State, StateName};
use crate::spec::{GroupSpec, ProgramSpec, ServiceSpec};
use crate::status::ExitStatus;

mod brought;
mod depends;
mod ends_all;

/// A supervisor with a world that does at once what it is told.
struct Bench {
    supervisor: Supervisor,
    journal: Snapshot,
    now: u64,
    sequence: u64,
    /// Whether births are answered.
    is_fertile: bool,
    /// What becomes of signals.
    signals: Signals,
}

/// What becomes of signals.
#[derive(Clone, Copy)]
enum Signals {
    Arrive,
    /// With this errno.
    Fail(i32),
    /// The process is gone, and nobody has been told yet.
    MeetNobody,
}

impl Bench {
    fn new(groups: &[&Arc<GroupSpec>]) -> (Self, Vec<Action>) {
        let mut bench = Self {
            supervisor: Supervisor::new(),
            journal: Snapshot::default(),
            now: 0,
            sequence: 0,
            is_fertile: true,
            signals: Signals::Arrive,
        };
        let actions = bench.step(Input::Begin(configuration(groups)));
        (bench, actions)
    }

    /// As [`Self::new`], and everything has come up.
    fn up(groups: &[&Arc<GroupSpec>]) -> Self {
        let (mut bench, _) = Self::new(groups);
        bench.pass(5000);
        bench
    }

    fn step(&mut self, input: Input) -> Vec<Action> {
        let mut actions = Actions::default();
        self.supervisor.step(at(self.now), input, &mut actions);
        self.record();
        let mut done = Vec::new();
        while let Some(action) = actions.pop_event().map(Action::Event).or_else(|| actions.pop()) {
            if let Action::Spawn { service, generation } = action
                && self.is_fertile
            {
                let pid = Pid(100 + service.0);
                let births = [
                    Input::Spawned { service, generation, pid },
                    Input::Executed { service, generation },
                ];
                for input in births {
                    self.supervisor.step(at(self.now), input, &mut actions);
                }
            }
            if let Action::Signal { service, generation, signal, reach } = action {
                let input = match self.signals {
                    Signals::Arrive => {
                        Some(Input::Signalled { service, generation, signal, reach })
                    }
                    Signals::Fail(errno) => {
                        Some(Input::SignalFailed { service, generation, signal, errno })
                    }
                    Signals::MeetNobody => None,
                };
                if let Some(input) = input {
                    self.supervisor.step(at(self.now), input, &mut actions);
                }
            }
            self.record();
            done.push(action);
        }
        done
    }

    fn record(&mut self) {
        let journal = &mut self.journal;
        self.supervisor.take_records(|record| {
            assert!(journal.admits(&record), "{record:?}");
            journal.apply(record);
        });
        assert_eq!(journal.clone().mend(), 0, "the table makes sense");
        assert_eq!(*journal, self.supervisor.snapshot(), "the records give the table");
    }

    fn pass(&mut self, milliseconds: u64) -> Vec<Action> {
        self.now += milliseconds;
        self.step(Input::Timeout)
    }

    fn exit(&mut self, id: u32, code: u8) -> Vec<Action> {
        self.sequence += 1;
        let service = ServiceId(id);
        let generation = self.service(id).generation;
        let (status, sequence) = (ExitStatus::Code(code), ExitSequence(self.sequence));
        let at = at(self.now).instant;
        self.step(Input::Exited { service, generation, status, sequence, at })
    }

    fn ask(&mut self, ticket: u64, verb: Verb, target: Target, wait: Wait) -> Vec<Action> {
        let command = Command::Act { verb, target, wait };
        self.step(Input::Command { ticket: Ticket(ticket), command })
    }

    fn command(&mut self, command: Command) -> Vec<Action> {
        self.step(Input::Command { ticket: Ticket(1), command })
    }

    fn service(&self, id: u32) -> &Service {
        self.supervisor.service(ServiceId(id)).expect("somebody is there")
    }

    fn states(&self) -> Vec<StateName> {
        self.supervisor.services().map(Service::state_name).collect()
    }

    /// A successor that knows what was recorded.
    fn recover(&mut self) {
        self.supervisor = Supervisor::recover(self.journal.clone());
        assert_eq!(self.supervisor.snapshot(), self.journal, "the table is recovered");
    }
}

fn one(group: &str, name: &str) -> Target {
    Target::Process(Arc::from(group), Arc::from(name))
}

fn spawned(actions: &[Action]) -> Vec<u32> {
    actions
        .iter()
        .filter_map(|action| match action {
            Action::Spawn { service, .. } => Some(service.0),
            _ => None,
        })
        .collect()
}

fn signalled(actions: &[Action]) -> Vec<u32> {
    actions
        .iter()
        .filter_map(|action| match action {
            Action::Signal { service, .. } => Some(service.0),
            _ => None,
        })
        .collect()
}

fn answers(actions: &[Action]) -> Vec<(u64, Answer)> {
    actions
        .iter()
        .filter_map(|action| match action {
            Action::Answer { ticket, answer } => Some((ticket.0, answer.clone())),
            _ => None,
        })
        .collect()
}

fn finishes(actions: &[Action]) -> bool {
    actions.contains(&Action::Finish)
}

fn member(name: &str, change: impl FnOnce(&mut ProgramSpec)) -> Arc<ServiceSpec> {
    let mut program = program();
    change(&mut program);
    service(name, program)
}

/// One with a priority of its own.
fn ranked(name: &str, priority: i64) -> Arc<ServiceSpec> {
    member(name, |program| program.priority = priority)
}

// Order.

#[test]
fn groups_start_by_priority_and_members_in_the_order_of_the_file() {
    let late = plain_group("late", 20, &["a"]);
    let early = group("early", 10, vec![ranked("c", 9), ranked("b", 1)]);

    let (_, actions) = Bench::new(&[&late, &early]);

    assert_eq!(spawned(&actions), [1, 2, 0]);
}

#[test]
fn what_has_no_autostart_waits_for_a_client() {
    let manual = member("b", |program| program.autostart = false);
    let (mut bench, actions) = Bench::new(&[&group("g", 1, vec![ranked("a", 1), manual])]);
    assert_eq!(spawned(&actions), [0]);

    let actions = bench.ask(1, Verb::Start, one("g", "b"), Wait::Begun);

    assert_eq!(spawned(&actions), [1]);
    assert_eq!(answers(&actions), [(1, Answer::Done)]);
}

#[test]
fn a_command_reaches_members_by_ascending_priority_for_start_and_stop() {
    let members = vec![ranked("a", 30), ranked("b", 10), ranked("c", 20)];
    let mut bench = Bench::up(&[&group("g", 1, members)]);
    let target = || Target::Group(Arc::from("g"));

    assert_eq!(signalled(&bench.ask(1, Verb::Stop, target(), Wait::Begun)), [1, 2, 0]);
    for id in 0..3 {
        bench.exit(id, 0);
    }
    assert_eq!(spawned(&bench.ask(2, Verb::Start, target(), Wait::Begun)), [1, 2, 0]);
}

#[test]
fn the_end_takes_one_group_after_the_other_the_highest_number_first() {
    let first = group("first", 1, vec![ranked("a", 1)]);
    let slow = group("slow", 2, vec![ranked("b", 1), ranked("c", 2)]);
    let last = group("last", 3, vec![ranked("d", 1)]);
    let mut bench = Bench::up(&[&first, &slow, &last]);

    assert_eq!(signalled(&bench.step(Input::Shutdown)), [3]);
    assert_eq!(signalled(&bench.exit(3, 0)), [2, 1]);
    assert_eq!(signalled(&bench.exit(1, 0)), []);
    assert_eq!(signalled(&bench.pass(2000)), [2]);
    assert_eq!(signalled(&bench.exit(2, 0)), [0]);
    assert!(!bench.supervisor.is_finished());
    let actions = bench.exit(0, 0);
    assert!(finishes(&actions) && bench.supervisor.is_finished());
}

#[test]
fn the_end_says_whom_it_waits_for_every_three_seconds() {
    let mut bench = Bench::up(&[&plain_group("g", 1, &["a"])]);
    let waiting = Action::Notice(Notice::WaitingToDie(vec![ServiceId(0)]));

    assert!(bench.step(Input::Shutdown).contains(&waiting));
    assert!(!bench.pass(2999).contains(&waiting));
    assert!(bench.pass(1).contains(&waiting));
    bench.exit(0, 0);
    assert_eq!(bench.supervisor.deadline(), None);
}

#[test]
fn the_end_makes_a_waiting_retry_fatal_and_starts_nothing() {
    let (mut bench, _) = Bench::new(&[&plain_group("g", 1, &["a", "b"])]);
    bench.exit(0, 0);
    assert_eq!(bench.states()[0], StateName::Backoff);

    let actions = bench.step(Input::Shutdown);

    assert_eq!(bench.states(), [StateName::Fatal, StateName::Stopping]);
    assert_eq!(spawned(&actions), []);
    assert!(finishes(&bench.exit(1, 0)));
}

#[test]
fn the_end_of_nothing_comes_at_once_and_once() {
    let (mut bench, _) = Bench::new(&[]);

    assert!(finishes(&bench.step(Input::Shutdown)));
    assert!(!finishes(&bench.step(Input::Shutdown)));
}

#[test]
fn a_birth_that_crosses_the_end_is_waited_for_before_the_next_group() {
    let groups =
        [plain_group("a", 1, &["x"]), plain_group("b", 2, &["y"]), plain_group("c", 3, &["z"])];
    let mut bench = Bench::up(&[&groups[0], &groups[1]]);
    bench.is_fertile = false;
    bench.command(Command::Load(configuration(&[&groups[2]])));
    bench.command(Command::Reconcile(Scope::Add(Arc::from("c"))));
    let (service, generation) = (ServiceId(2), bench.service(2).generation);
    assert_eq!(signalled(&bench.step(Input::Shutdown)), [1], "the last group has no process");

    let crossing = bench.step(Input::Spawned { service, generation, pid: Pid(9) });
    assert_eq!(signalled(&crossing), [2]);
    assert_eq!(signalled(&bench.exit(1, 0)), [], "it has one after all");

    assert_eq!(signalled(&bench.exit(2, 0)), [0]);
    assert!(finishes(&bench.exit(0, 0)));
}

#[test]
fn the_end_does_not_come_before_a_birth_that_crosses_it() {
    let (mut bench, _) = Bench::new(&[]);
    bench.is_fertile = false;
    bench.command(Command::Load(configuration(&[&plain_group("g", 1, &["a"])])));
    bench.command(Command::Reconcile(Scope::Add(Arc::from("g"))));
    let (service, generation) = (ServiceId(0), bench.service(0).generation);

    let mut actions = Actions::default();
    for input in [Input::Shutdown, Input::Spawned { service, generation, pid: Pid(9) }] {
        bench.supervisor.step(at(bench.now), input, &mut actions);
    }

    assert!(!bench.supervisor.is_finished());
    let actions = drain(&mut actions);
    assert_eq!((signalled(&actions), finishes(&actions)), (vec![0], false));
    bench.record();
    assert!(finishes(&bench.exit(0, 0)));
}

#[test]
fn the_end_that_takes_back_a_birth_comes_in_the_next_turn() {
    let (mut bench, _) = Bench::new(&[]);
    bench.is_fertile = false;
    bench.command(Command::Load(configuration(&[&plain_group("g", 1, &["a"])])));
    bench.command(Command::Reconcile(Scope::Add(Arc::from("g"))));

    assert!(!finishes(&bench.step(Input::Shutdown)));
    let deadline = bench.supervisor.deadline().expect("it comes by itself");
    assert_eq!(deadline, at(bench.now).instant + Duration::from_nanos(1));
    assert!(finishes(&bench.pass(1)));
}

#[test]
fn a_replacement_begins_when_all_has_stopped() {
    let mut bench = Bench::up(&[&plain_group("old", 1, &["a"])]);
    let new = configuration(&[&plain_group("new", 1, &["b"])]);

    let actions = bench.step(Input::Replace(new.clone()));
    assert_eq!((signalled(&actions), spawned(&actions)), (vec![0], vec![]));

    let actions = bench.exit(0, 0);
    assert_eq!(spawned(&actions), [0]);
    assert_eq!(bench.supervisor.mood(), Mood::Running);
    assert_eq!(bench.supervisor.loaded(), &new);
    assert_eq!(&*bench.service(0).group, "new");
    assert!(!finishes(&actions));
}

#[test]
fn a_shutdown_wins_over_a_replacement() {
    for shutdown_comes_first in [false, true] {
        let mut bench = Bench::up(&[&plain_group("old", 1, &["a"])]);
        let replace = Input::Replace(configuration(&[&plain_group("new", 1, &["b"])]));
        let mut inputs = vec![replace, Input::Shutdown];
        if shutdown_comes_first {
            inputs.reverse();
        }

        for input in inputs {
            bench.step(input);
        }

        assert!(finishes(&bench.exit(0, 0)));
        assert_eq!(bench.journal.replacement, None);
    }
}

// Clients.

#[test]
fn a_start_that_waits_is_answered_when_it_has_succeeded() {
    let manual = member("a", |program| program.autostart = false);
    let (mut bench, _) = Bench::new(&[&group("g", 1, vec![manual])]);

    let actions = bench.ask(1, Verb::Start, one("g", "a"), Wait::Done);
    assert_eq!(answers(&actions), []);

    assert_eq!(answers(&bench.pass(1001)), [(1, Answer::Done)]);
}

#[test]
fn a_start_that_fails_is_answered_at_the_first_failure() {
    let manual = member("a", |program| program.autostart = false);
    let (mut bench, _) = Bench::new(&[&group("g", 1, vec![manual])]);
    bench.ask(1, Verb::Start, one("g", "a"), Wait::Done);

    let actions = bench.exit(0, 0);

    assert_eq!(answers(&actions), [(1, Answer::Refused(Refusal::SpawnFailed(None)))]);
    assert_eq!(bench.states(), [StateName::Backoff]);
}

#[test]
fn a_start_that_is_stopped_by_another_client_ends_early() {
    let manual = member("a", |program| program.autostart = false);
    let (mut bench, _) = Bench::new(&[&group("g", 1, vec![manual])]);
    bench.ask(1, Verb::Start, one("g", "a"), Wait::Done);

    let actions = bench.ask(2, Verb::Stop, one("g", "a"), Wait::Done);
    assert_eq!(answers(&actions), [(1, Answer::Refused(Refusal::EndedEarly))]);

    assert_eq!(answers(&bench.exit(0, 0)), [(2, Answer::Done)]);
}

#[test]
fn a_start_during_a_stop_is_answered_after_both() {
    let mut bench = Bench::up(&[&plain_group("g", 1, &["a"])]);
    bench.ask(1, Verb::Stop, one("g", "a"), Wait::Done);

    assert_eq!(answers(&bench.ask(2, Verb::Start, one("g", "a"), Wait::Begun)), []);
    let actions = bench.exit(0, 0);

    assert_eq!(spawned(&actions), [0]);
    // The first client's stop is over, though not for long.
    assert!(answers(&actions).contains(&(2, Answer::Done)));
    assert!(answers(&actions).contains(&(1, Answer::Done)));
}

#[test]
fn a_stop_takes_back_a_start_that_waits_for_a_stop() {
    let mut bench = Bench::up(&[&plain_group("g", 1, &["a"])]);
    bench.ask(1, Verb::Stop, one("g", "a"), Wait::Begun);
    bench.ask(2, Verb::Start, one("g", "a"), Wait::Begun);

    let actions = bench.ask(3, Verb::Stop, one("g", "a"), Wait::Done);
    assert_eq!(answers(&actions), [(2, Answer::Refused(Refusal::EndedEarly))]);

    let actions = bench.exit(0, 0);
    assert_eq!((spawned(&actions), answers(&actions)), (vec![], vec![(3, Answer::Done)]));
}

#[test]
fn a_command_to_many_passes_over_those_that_it_does_not_apply_to() {
    let manual = member("b", |program| program.autostart = false);
    let mut bench = Bench::up(&[&group("g", 1, vec![ranked("a", 1), manual])]);

    let actions = bench.ask(1, Verb::Start, Target::All, Wait::Begun);

    let outcome = Outcome { group: Arc::from("g"), name: Arc::from("b"), result: Ok(()) };
    assert_eq!(answers(&actions), [(1, Answer::Outcomes(vec![outcome]))]);
}

#[test]
fn a_command_to_none_is_answered_with_no_outcomes() {
    let mut bench = Bench::up(&[&plain_group("g", 1, &["a"])]);

    let actions = bench.ask(1, Verb::Start, Target::All, Wait::Done);

    assert_eq!(answers(&actions), [(1, Answer::Outcomes(Vec::new()))]);
}

#[test]
fn a_stop_of_many_is_answered_when_the_last_is_gone() {
    let mut bench = Bench::up(&[&plain_group("g", 1, &["a", "b"])]);
    bench.ask(1, Verb::Stop, Target::Group(Arc::from("g")), Wait::Done);

    assert_eq!(answers(&bench.exit(1, 0)), []);
    let last = answers(&bench.exit(0, 0));

    assert!(matches!(&last[..], [(1, Answer::Outcomes(outcomes))] if outcomes.len() == 2));
}

#[test]
fn a_stop_that_could_not_be_signalled_is_not_called_done() {
    for wait in [Wait::Done, Wait::Begun] {
        let mut bench = Bench::up(&[&plain_group("g", 1, &["a"])]);
        bench.signals = Signals::Fail(1);

        let actions = bench.ask(1, Verb::Stop, one("g", "a"), wait);

        assert_eq!(answers(&actions), [(1, Answer::Refused(failed(Errand::Stop)))]);
        assert_eq!(bench.states(), [StateName::Unknown]);
        let again = bench.ask(2, Verb::Start, one("g", "a"), wait);
        assert_eq!(answers(&again), [(2, Answer::Refused(Refusal::UnknownState))]);
    }
}

/// The signal to the first service could not be sent.
fn failed(errand: Errand) -> Refusal {
    Refusal::SignalFailed { pid: Some(Pid(100)), errand, errno: 1 }
}

#[test]
fn a_signal_that_could_not_be_sent_is_not_called_done() {
    let mut bench = Bench::up(&[&plain_group("g", 1, &["a"]), &plain_group("h", 2, &["b"])]);
    bench.signals = Signals::Fail(1);

    let alone = bench.ask(1, Verb::Signal(Signal::HUP), one("g", "a"), Wait::Begun);
    let group = Target::Group(Arc::from("h"));
    let many = bench.ask(2, Verb::Signal(Signal::HUP), group, Wait::Begun);

    assert_eq!(answers(&alone), [(1, Answer::Refused(failed(Errand::Client)))]);
    let [(2, Answer::Outcomes(outcomes))] = &answers(&many)[..] else { panic!("{many:?}") };
    let result = &outcomes[0].result;
    assert!(matches!(result, Err(Refusal::SignalFailed { errand: Errand::Client, .. })));
}

#[test]
fn a_signal_or_stop_that_meets_nobody_is_answered_when_the_exit_is_known() {
    for (verb, wait) in [(Verb::Signal(Signal::HUP), Wait::Begun), (Verb::Stop, Wait::Begun)] {
        let mut bench = Bench::up(&[&plain_group("g", 1, &["a"])]);
        bench.signals = Signals::MeetNobody;

        let asked = bench.ask(1, verb, one("g", "a"), wait);
        let exited = bench.exit(0, 0);

        assert_eq!((answers(&asked), answers(&exited)), (vec![], vec![(1, Answer::Done)]));
    }
}

#[test]
fn a_signal_goes_to_the_process_alone() {
    let mut bench = Bench::up(&[&plain_group("g", 1, &["a"])]);

    let actions = bench.ask(1, Verb::Signal(Signal::HUP), one("g", "a"), Wait::Done);

    let (service, generation) = (ServiceId(0), bench.service(0).generation);
    let (signal, reach) = (Signal::HUP, Reach::Process);
    assert_eq!(actions[0], Action::Signal { service, generation, signal, reach });
    assert_eq!(answers(&actions), [(1, Answer::Done)]);
}

#[test]
fn a_signal_without_a_process_is_refused() {
    let (mut bench, _) = Bench::new(&[]);
    bench.is_fertile = false;
    bench.command(Command::Load(configuration(&[&plain_group("g", 1, &["a"])])));
    bench.command(Command::Reconcile(Scope::Add(Arc::from("g"))));
    assert_eq!(bench.states(), [StateName::Starting]);

    let actions = bench.ask(1, Verb::Signal(Signal::HUP), one("g", "a"), Wait::Done);

    assert_eq!(answers(&actions), [(1, Answer::Refused(Refusal::NotRunning))]);
}

#[test]
fn every_command_is_refused_during_the_end() {
    let mut bench = Bench::up(&[&plain_group("g", 1, &["a"])]);
    bench.step(Input::Shutdown);

    for command in [Command::Look, Command::Shutdown, Command::Restart] {
        let refused = Answer::Refused(Refusal::ShuttingDown);
        assert_eq!(answers(&bench.command(command)), [(1, refused)]);
    }
}

#[test]
fn whoever_waits_is_answered_before_the_end() {
    let (mut bench, _) = Bench::new(&[&plain_group("g", 1, &["a", "b"])]);
    bench.ask(1, Verb::Stop, one("g", "a"), Wait::Done);

    let actions = bench.step(Input::Command { ticket: Ticket(2), command: Command::Shutdown });
    assert_eq!(answers(&actions), [(2, Answer::Done)]);

    assert_eq!(answers(&bench.exit(0, 0)), [(1, Answer::Done)]);
    assert!(finishes(&bench.exit(1, 0)));
}

// Groups that come and go.

#[test]
fn a_group_is_added_and_started_from_what_was_loaded() {
    let mut bench = Bench::up(&[]);
    let loaded = configuration(&[&plain_group("g", 1, &["a"])]);

    let answer = &answers(&bench.command(Command::Load(loaded)))[0].1;
    assert!(matches!(answer, Answer::Difference(there) if there.added.len() == 1));
    let actions = bench.command(Command::Reconcile(Scope::Add(Arc::from("g"))));

    assert_eq!((spawned(&actions), &answers(&actions)[0].1), (vec![0], &Answer::Done));
}

#[test]
fn a_group_that_is_there_and_in_the_file_no_more_has_a_bad_name() {
    let mut bench = Bench::up(&[&plain_group("g", 1, &["a"])]);
    let add = || Command::Reconcile(Scope::Add(Arc::from("g")));
    let there = Answer::Refused(Refusal::AlreadyAdded);
    assert_eq!(answers(&bench.command(add())), [(1, there)]);

    bench.command(Command::Load(configuration(&[])));

    let unknown = Answer::Refused(Refusal::NoSuchName);
    assert_eq!(answers(&bench.command(add())), [(1, unknown)]);
}

#[test]
fn a_start_of_all_fails_for_those_of_whom_nothing_is_known() {
    let mut bench = Bench::up(&[&plain_group("g", 1, &["a", "b"])]);
    let life = |bench: &Bench| (ServiceId(0), bench.service(0).generation);
    let (service, generation) = life(&bench);
    bench.ask(1, Verb::Stop, one("g", "a"), Wait::Begun);
    bench.step(Input::SignalFailed { service, generation, signal: Signal::TERM, errno: 1 });

    let actions = bench.ask(2, Verb::Start, Target::All, Wait::Done);

    let result = Err(Refusal::UnknownState);
    let failed = Outcome { group: Arc::from("g"), name: Arc::from("a"), result };
    assert_eq!(answers(&actions), [(2, Answer::Outcomes(vec![failed]))]);
}

#[test]
fn a_group_with_a_process_is_not_removed() {
    let mut bench = Bench::up(&[&plain_group("g", 1, &["a"])]);
    let remove = || Command::Reconcile(Scope::Remove(Arc::from("g")));

    let refused = Answer::Refused(Refusal::StillRunning);
    assert_eq!(answers(&bench.command(remove())), [(1, refused)]);

    bench.ask(2, Verb::Stop, Target::All, Wait::Begun);
    bench.exit(0, 0);
    assert_eq!(answers(&bench.command(remove())), [(1, Answer::Done)]);
    assert_eq!(bench.supervisor.services().count(), 0);
}

#[test]
fn a_place_that_is_used_again_gives_no_life_an_old_name() {
    let manual = member("a", |program| program.autostart = false);
    let spec = group("g", 1, vec![manual]);
    let (mut bench, _) = Bench::new(&[&spec]);
    let mut lives = Vec::new();

    for _ in 0..3 {
        // All in one turn, so that nothing of it is recorded on the way.
        let mut actions = Actions::default();
        let target = || one("g", "a");
        let (wait, name) = (Wait::Begun, || Arc::from("g"));
        let commands = [
            Command::Act { verb: Verb::Start, target: target(), wait },
            Command::Act { verb: Verb::Stop, target: target(), wait },
            Command::Reconcile(Scope::Remove(name())),
            Command::Reconcile(Scope::Add(name())),
        ];
        for command in commands {
            let input = Input::Command { ticket: Ticket(1), command };
            bench.supervisor.step(at(0), input, &mut actions);
        }
        drain(&mut actions);
        bench.record();
        bench.recover();
        bench.step(Input::Resume);
        lives.push(bench.service(0).generation.0);
    }

    assert_eq!(lives, [1, 2, 3]);
}

fn join(name: &str, of: Arc<ServiceSpec>) -> Command {
    Command::Join { group: Arc::from(name), services: vec![of] }
}

fn leave(name: &str, process: &str) -> Command {
    Command::Leave { group: Arc::from(name), process: Arc::from(process) }
}

#[test]
fn who_joins_a_group_is_started_and_named_like_a_member() {
    let mut bench = Bench::up(&[&plain_group("g", 1, &["a"])]);

    let actions = bench.command(join("g", member("b", |_| {})));

    assert_eq!((spawned(&actions), answers(&actions)), (vec![1], vec![(1, Answer::Done)]));
    let stopped = bench.ask(2, Verb::Stop, one("g", "b"), Wait::Begun);
    assert_eq!(answers(&stopped), [(2, Answer::Done)]);
}

#[test]
fn who_joins_or_leaves_is_refused_by_what_is_in_the_way() {
    let mut bench = Bench::up(&[&plain_group("g", 1, &["a"])]);
    let mut refusal = |command| match &answers(&bench.command(command))[..] {
        [(1, Answer::Refused(refusal))] => refusal.clone(),
        other => panic!("{other:?}"),
    };

    assert_eq!(refusal(join("h", member("b", |_| {}))), Refusal::NoSuchGroup);
    assert_eq!(refusal(join("g", member("a", |_| {}))), Refusal::NameTaken(Arc::from("a")));
    assert_eq!(refusal(leave("h", "a")), Refusal::NoSuchGroup);
    assert_eq!(refusal(leave("g", "b")), Refusal::NoSuchName);
    assert_eq!(refusal(leave("g", "a")), Refusal::StillRunning);
}

#[test]
fn a_reread_finds_who_joined_or_left() {
    let spec = plain_group("g", 1, &["a"]);
    let mut bench = Bench::up(&[&spec]);
    let changed = |bench: &mut Bench| {
        let answer = bench.command(Command::Load(configuration(&[&spec])));
        match &answers(&answer)[..] {
            [(1, Answer::Difference(difference))] => difference.changed.len(),
            other => panic!("{other:?}"),
        }
    };
    bench.command(join("g", member("b", |program| program.autostart = false)));
    assert_eq!(bench.supervisor.loaded().groups[0].services.len(), 2);
    assert_eq!(changed(&mut bench), 1);

    bench.command(leave("g", "b"));

    assert_eq!(changed(&mut bench), 0);
}

#[test]
fn who_joined_or_left_is_remembered() {
    let mut bench = Bench::up(&[&plain_group("g", 1, &["a"])]);
    bench.command(join("g", member("b", |_| {})));
    bench.ask(2, Verb::Stop, one("g", "a"), Wait::Begun);
    bench.exit(0, 0);
    bench.command(leave("g", "a"));

    bench.recover();

    let names: Vec<&str> = bench.supervisor.services().map(|there| &*there.spec.name).collect();
    assert_eq!(names, ["b"]);
    let group = &bench.supervisor.groups()[0];
    assert_eq!((group.spec.services.len(), &group.members[..]), (1, &[ServiceId(1)][..]));
}

// Recovery.

#[test]
fn a_recovered_supervisor_does_not_end_before_it_knows_what_lives() {
    let (mut bench, _) = Bench::new(&[]);
    bench.is_fertile = false;
    bench.command(Command::Load(configuration(&[&plain_group("g", 1, &["a"])])));
    bench.command(Command::Reconcile(Scope::Add(Arc::from("g"))));
    bench.journal.mood = Some(Mood::Shutdown);
    bench.recover();

    let (service, generation) = (ServiceId(0), bench.service(0).generation);
    let found = Found::Alive(Pid(9), at(bench.now).instant);
    let actions = bench.step(Input::Found { service, generation, found });
    assert!(!finishes(&actions));

    assert_eq!(signalled(&bench.step(Input::Resume)), [0]);
    assert!(finishes(&bench.exit(0, 0)));
}

#[test]
fn a_recovered_supervisor_goes_on_with_the_end_where_it_was() {
    let mut bench = Bench::up(&[&plain_group("a", 1, &["x"]), &plain_group("b", 2, &["y"])]);
    bench.step(Input::Shutdown);
    bench.recover();

    assert_eq!(signalled(&bench.step(Input::Resume)), []);
    assert_eq!(signalled(&bench.exit(1, 0)), [0]);
    bench.recover();
    bench.step(Input::Resume);
    assert!(finishes(&bench.exit(0, 0)));
}

#[test]
fn a_recovered_end_is_made_even_when_nothing_is_left_to_stop() {
    let (mut bench, _) = Bench::new(&[]);
    bench.step(Input::Shutdown);
    bench.recover();

    assert!(finishes(&bench.step(Input::Resume)));
}

#[test]
fn a_restart_whose_replacement_was_lost_ends() {
    let (mut bench, _) = Bench::new(&[]);
    bench.journal.mood = Some(Mood::Restarting);
    bench.recover();

    assert!(finishes(&bench.step(Input::Resume)));
}

#[test]
fn every_beginning_of_the_records_leads_to_the_same_table() {
    let mut bench = Bench::up(&[&plain_group("old", 1, &["a", "b"])]);
    bench.step(Input::Replace(configuration(&[&plain_group("new", 1, &["c", "d"])])));
    bench.exit(0, 0);
    let before = bench.journal.clone();
    let (service, generation) = (ServiceId(1), bench.service(1).generation);
    let (status, sequence) = (ExitStatus::Code(0), ExitSequence(7));
    let now = at(bench.now);
    let exit = Input::Exited { service, generation, status, sequence, at: now.instant };
    let mut actions = Actions::default();
    bench.supervisor.step(now, exit.clone(), &mut actions);
    let mut records = Vec::new();
    bench.supervisor.take_records(|record| records.push(record));
    assert!(records.len() > 5);

    for written in 0..=records.len() {
        bench.journal = before.clone();
        for record in &records[..written] {
            bench.journal.apply(record.clone());
        }
        bench.recover();
        for id in 0..2 {
            let service = bench.supervisor.service(ServiceId(id));
            if let Some(State::Starting { .. }) = service.map(|service| service.state) {
                let generation = bench.service(id).generation;
                let (service, found) = (ServiceId(id), Found::NeverCloned);
                bench.step(Input::Found { service, generation, found });
            }
        }
        bench.step(exit.clone());
        bench.step(Input::Resume);

        assert_eq!(bench.supervisor.mood(), Mood::Running, "after {written} records");
        assert_eq!(bench.states(), [StateName::Starting; 2], "after {written} records");
        assert_eq!(&*bench.service(0).group, "new", "after {written} records");
    }
}

#[test]
fn the_deadline_is_the_earliest_of_all() {
    let (mut bench, _) = Bench::new(&[&plain_group("g", 1, &["a", "b"])]);
    bench.exit(1, 0);

    bench.now = 500;
    bench.ask(1, Verb::Stop, one("g", "a"), Wait::Begun);

    assert_eq!(bench.supervisor.deadline(), bench.service(1).deadline());
}
