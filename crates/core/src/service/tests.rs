//! The transition table, row by row.

mod care;

use super::*;
use crate::example::{at, drain, entered, program, service as example};
use crate::input::{Finding, Saying};
use crate::spec::{Backoff, ProgramSpec, RestartOn, Seconds};
use crate::status::SpawnError;
use StateName as Name;

const PID: Pid = Pid(77);
const ZERO: ExitStatus = ExitStatus::Code(0);
const SEVEN: ExitStatus = ExitStatus::Code(7);
const KILLED: ExitStatus = ExitStatus::Signal { signal: Signal::KILL, core: false };

/// A service and what it wants done.
struct Bench {
    service: Service,
    actions: Actions,
    mood: Mood,
    sequence: u64,
}

impl Bench {
    fn new(program: ProgramSpec) -> Self {
        let spec = example("web", program);
        let service = Service::new(ServiceId(7), Generation(4), Arc::from("site"), spec);
        Self { service, actions: Actions::default(), mood: Mood::Running, sequence: 0 }
    }

    fn step(&mut self, milliseconds: u64, stimulus: Stimulus) -> Vec<Action> {
        self.service.step(at(milliseconds), self.mood, stimulus, &mut self.actions);
        drain(&mut self.actions)
    }

    /// Starts it, and has it execute its program, all in this millisecond.
    fn started(program: ProgramSpec) -> Self {
        let mut bench = Self::new(program);
        bench.step(0, Stimulus::Start);
        bench.born(0);
        bench
    }

    fn running() -> Self {
        Self::running_with(program())
    }

    fn running_with(program: ProgramSpec) -> Self {
        let mut bench = Self::started(program);
        bench.step(60_000, Stimulus::Timeout);
        assert_eq!(bench.service.state, State::Running);
        bench
    }

    fn stopping() -> Self {
        let mut bench = Self::running();
        bench.step(61_000, Stimulus::Stop);
        bench
    }

    fn born(&mut self, milliseconds: u64) {
        let generation = self.service.generation;
        self.step(milliseconds, Stimulus::Spawned(generation, PID));
        self.step(milliseconds, Stimulus::Executed(generation));
    }

    fn exit(&mut self, milliseconds: u64, status: ExitStatus) -> Vec<Action> {
        self.sequence += 1;
        let generation = self.service.generation;
        let sequence = ExitSequence(self.sequence);
        let ended = at(milliseconds).instant;
        self.step(milliseconds, Stimulus::Exited(generation, status, sequence, ended))
    }

    fn name(&self) -> Name {
        self.service.state_name()
    }

    fn wait(&self, milliseconds: u64) -> Duration {
        let deadline = self.service.deadline().expect("it waits for something");
        deadline.since(at(milliseconds).instant)
    }

    fn spawns(actions: &[Action]) -> Vec<Generation> {
        actions
            .iter()
            .filter_map(|action| match action {
                Action::Spawn { generation, .. } => Some(*generation),
                _ => None,
            })
            .collect()
    }

    fn signals(actions: &[Action]) -> Vec<(Signal, Reach)> {
        actions
            .iter()
            .filter_map(|action| match action {
                Action::Signal { signal, reach, .. } => Some((*signal, *reach)),
                _ => None,
            })
            .collect()
    }
}

fn with(change: impl FnOnce(&mut ProgramSpec)) -> ProgramSpec {
    let mut program = program();
    change(&mut program);
    program
}

fn startsecs(seconds: i64) -> ProgramSpec {
    with(|program| program.startsecs = Seconds(seconds))
}

fn retries(retries: i64) -> ProgramSpec {
    with(|program| program.restart.start_retries = Some(retries))
}

fn restarts(on: RestartOn) -> ProgramSpec {
    with(|program| program.restart.on = on)
}

// Start.

#[test]
fn a_start_asks_for_a_process_of_the_next_generation() {
    for state in [State::Stopped, State::Exited, State::Fatal] {
        let mut bench = Bench::new(program());
        bench.service.state = state;

        let actions = bench.step(0, Stimulus::Start);

        assert_eq!(Bench::spawns(&actions), [Generation(5)], "{state:?}");
        assert_eq!(entered(&actions), [Name::Starting], "{state:?}");
        assert_eq!(bench.service.goal, Goal::Up);
    }
}

#[test]
fn a_start_forgets_earlier_failures() {
    let mut bench = Bench::new(retries(3));
    bench.service.failures = 2;

    bench.step(0, Stimulus::Start);

    assert_eq!(bench.service.failures, 0);
}

#[test]
fn a_start_of_what_is_up_changes_nothing() {
    let mut bench = Bench::running();

    assert_eq!(bench.step(61_000, Stimulus::Start), []);
    assert_eq!(bench.name(), Name::Running);
}

#[test]
fn it_runs_only_after_more_than_startsecs() {
    let mut bench = Bench::started(startsecs(1));

    bench.step(1000, Stimulus::Timeout);
    assert_eq!(bench.name(), Name::Starting);

    assert_eq!(bench.wait(1000), Duration::from_nanos(1));
    let actions = bench.step(1001, Stimulus::Timeout);
    assert_eq!(entered(&actions), [Name::Running]);
    assert_eq!(bench.service.deadline(), None);
}

#[test]
fn a_start_counts_from_the_birth_and_not_from_the_request() {
    let mut bench = Bench::new(startsecs(1));
    bench.step(0, Stimulus::Start);

    bench.born(5000);

    assert_eq!(bench.name(), Name::Starting);
    assert_eq!(bench.wait(5000), Duration::from_nanos(1_000_000_001));
}

#[test]
fn startsecs_of_zero_is_a_success_at_the_next_moment() {
    let mut bench = Bench::started(startsecs(0));
    assert_eq!(bench.name(), Name::Starting);

    bench.step(1, Stimulus::Timeout);

    assert_eq!(bench.name(), Name::Running);
}

#[test]
fn negative_startsecs_last_no_time() {
    let mut bench = Bench::started(startsecs(-5));

    bench.step(1, Stimulus::Timeout);

    assert_eq!(bench.name(), Name::Running);
}

#[test]
fn a_success_forgets_the_failures_before_it() {
    let mut bench = Bench::started(retries(3));
    bench.exit(10, ZERO);
    assert_eq!(bench.service.failures, 1);

    bench.step(1010, Stimulus::Timeout);
    bench.born(1010);
    bench.step(3000, Stimulus::Timeout);

    assert_eq!((bench.name(), bench.service.failures), (Name::Running, 0));
}

#[test]
fn a_process_that_does_not_execute_is_told_of_once() {
    let mut bench = Bench::new(program());
    bench.step(0, Stimulus::Start);
    bench.step(0, Stimulus::Spawned(Generation(5), PID));
    assert_eq!(bench.wait(0), STUCK_AFTER);

    let actions = bench.step(5000, Stimulus::Timeout);

    assert_eq!(actions, [Action::Notice(Notice::Stuck { service: ServiceId(7), pid: PID })]);
    assert_eq!(bench.service.deadline(), None);
}

// Death before startsecs.

#[test]
fn death_before_startsecs_is_a_failure_whatever_the_code_and_autorestart() {
    for on in [RestartOn::Always, RestartOn::Unexpected, RestartOn::Never] {
        for status in [ZERO, SEVEN, KILLED] {
            let mut bench = Bench::started(restarts(on));

            let actions = bench.exit(999, status);

            assert_eq!(entered(&actions), [Name::Backoff], "{on:?} {status:?}");
            assert_eq!(bench.service.failures, 1);
            assert_eq!(bench.service.failure, Some(Failure::ExitedTooQuickly));
            assert_eq!((bench.service.exit, bench.service.pid), (None, None));
        }
    }
}

#[test]
fn death_after_just_startsecs_is_a_run_that_ended() {
    let mut bench = Bench::started(startsecs(1));

    let actions = bench.exit(1000, ZERO);

    assert_eq!(entered(&actions), [Name::Running, Name::Exited]);
}

#[test]
fn what_counts_is_when_it_ended_and_not_when_that_is_heard_of() {
    let exit = |bench: &mut Bench, ended: u64, heard: u64| {
        let (generation, ended) = (bench.service.generation, at(ended).instant);
        bench.step(heard, Stimulus::Exited(generation, SEVEN, ExitSequence(1), ended))
    };
    let mut bench = Bench::started(startsecs(1));
    assert_eq!(entered(&exit(&mut bench, 999, 15_000)), [Name::Backoff]);
    assert_eq!(bench.service.stopped, Some(at(1000).wall));
    // The wait before the next try has passed meanwhile.
    assert_eq!(bench.service.deadline(), Some(at(1999).instant));

    let mut bench = Bench::started(startsecs(1));
    let actions = exit(&mut bench, 1000, 15_000);
    assert_eq!(entered(&actions), [Name::Running, Name::Exited, Name::Starting]);
    assert_eq!(bench.service.started, Some(at(15_000).wall));
}

#[test]
fn a_shortage_is_nobodys_failure_and_is_waited_for() {
    let mut bench = Bench::new(retries(0));
    let mut now = 0;
    bench.step(now, Stimulus::Start);
    for errno in [11, 12, 23, 24, 109] {
        for error in [SpawnError::Pipes(errno), SpawnError::Clone(errno)] {
            let failed = Stimulus::SpawnFailed(bench.service.generation, error);
            let actions = bench.step(now, failed);
            assert_eq!(entered(&actions), [Name::Backoff]);
            assert_eq!(bench.service.failure, Some(Failure::Spawn(error)));
            assert_eq!(bench.wait(now), SHORTAGE_WAIT);
            now += 1000;
            assert_eq!(Bench::spawns(&bench.step(now, Stimulus::Timeout)).len(), 1);
        }
    }

    bench.born(now);
    assert_eq!(bench.service.failures, 0);
    bench.exit(now, ZERO);
    assert_eq!(bench.name(), Name::Fatal);
}

#[test]
fn with_startsecs_of_zero_every_death_is_a_run_that_ended() {
    let mut bench = Bench::started(startsecs(0));

    let actions = bench.exit(0, SEVEN);

    assert_eq!(entered(&actions), [Name::Running, Name::Exited, Name::Starting]);
    assert_eq!(bench.service.failures, 0);
}

#[test]
fn retries_are_one_attempt_less_than_there_are() {
    for allowed in [0_u32, 1, 3] {
        let mut bench = Bench::new(retries(i64::from(allowed)));
        let mut now = 0;
        let mut attempts = Bench::spawns(&bench.step(now, Stimulus::Start)).len();

        while bench.name() != Name::Fatal {
            bench.born(now);
            bench.exit(now, ZERO);
            now += 10_000;
            attempts += Bench::spawns(&bench.step(now, Stimulus::Timeout)).len();
        }

        assert_eq!(attempts, allowed as usize + 1);
        assert_eq!((bench.service.failures, bench.service.goal), (0, Goal::Down));
    }
}

#[test]
fn the_waits_before_a_retry_are_one_two_three_seconds() {
    let mut bench = Bench::started(retries(3));
    let mut waits = Vec::new();
    let mut now = 0;

    bench.exit(now, SEVEN);
    while bench.name() == Name::Backoff {
        let wait = bench.wait(now);
        waits.push(wait.as_secs());
        now += u64::try_from(wait.as_millis()).unwrap();
        bench.step(now, Stimulus::Timeout);
        bench.born(now);
        bench.exit(now, SEVEN);
    }

    assert_eq!(waits, [1, 2, 3]);
}

#[test]
fn the_last_failure_is_shown_as_backoff_and_then_as_fatal() {
    let mut bench = Bench::started(retries(0));

    let actions = bench.exit(1, ZERO);

    assert_eq!(entered(&actions), [Name::Backoff, Name::Fatal]);
    assert!(actions.contains(&Action::Notice(Notice::GaveUp(ServiceId(7)))));
}

#[test]
fn the_end_makes_what_waits_for_a_try_fatal_without_a_word() {
    let mut bench = Bench::started(retries(3));
    bench.exit(1, ZERO);

    let actions = bench.step(2, Stimulus::ShutDown);

    assert_eq!(entered(&actions), [Name::Fatal]);
    assert!(!actions.iter().any(|action| matches!(action, Action::Notice(_))), "{actions:?}");
}

#[test]
fn without_a_limit_it_never_gives_up() {
    let mut bench = Bench::started(with(|program| {
        program.restart.start_retries = None;
        program.restart.backoff = Backoff::Constant(Duration::from_secs(1));
    }));

    for second in 0..100 {
        bench.exit(second * 1000, ZERO);
        bench.step(second * 1000 + 1000, Stimulus::Timeout);
        bench.born(second * 1000 + 1000);
    }

    assert_eq!((bench.name(), bench.service.failures), (Name::Starting, 100));
}

#[test]
fn a_retry_does_not_come_early() {
    let mut bench = Bench::started(retries(3));
    bench.exit(0, ZERO);

    assert_eq!(bench.step(999, Stimulus::Timeout), []);
    assert_eq!(Bench::spawns(&bench.step(1000, Stimulus::Timeout)), [Generation(6)]);
}

#[test]
fn a_refused_birth_is_a_failure() {
    let mut bench = Bench::new(retries(1));
    bench.step(0, Stimulus::Start);
    let error = SpawnError::NotFound;

    let actions = bench.step(0, Stimulus::SpawnFailed(Generation(5), error));

    assert_eq!(entered(&actions), [Name::Backoff]);
    assert_eq!(bench.service.failure, Some(Failure::Spawn(error)));
    let notice = Notice::SpawnFailed { service: ServiceId(7), error };
    assert!(actions.contains(&Action::Notice(notice)));
}

// Death of a running process.

#[test]
fn autorestart_and_exit_codes_decide_whether_it_runs_again() {
    let again = |on, status| {
        let mut bench = Bench::running_with(restarts(on));
        let actions = bench.exit(61_000, status);
        assert_eq!(entered(&actions)[0], Name::Exited);
        !Bench::spawns(&actions).is_empty()
    };
    let statuses = [ZERO, SEVEN, KILLED];

    assert_eq!(statuses.map(|status| again(RestartOn::Always, status)), [true; 3]);
    assert_eq!(statuses.map(|status| again(RestartOn::Unexpected, status)), [false, true, true]);
    assert_eq!(statuses.map(|status| again(RestartOn::Never, status)), [false; 3]);
}

#[test]
fn a_crash_respawns_in_the_same_step() {
    let mut bench = Bench::running();

    let actions = bench.exit(61_000, SEVEN);

    let spawn = Action::Spawn { service: ServiceId(7), generation: Generation(6) };
    assert_eq!(actions[0], spawn);
}

#[test]
fn an_expected_exit_is_said_to_be_expected() {
    let mut bench = Bench::running();

    let actions = bench.exit(61_000, ZERO);

    let notice = Notice::Exited { service: ServiceId(7), status: ZERO, expected: true };
    assert!(actions.contains(&Action::Notice(notice)));
    assert_eq!((bench.service.exit, bench.service.failure), (Some(ZERO), None));
    assert_eq!(bench.service.goal, Goal::Down);
}

#[test]
fn death_by_a_signal_is_never_expected() {
    let mut bench = Bench::running_with(with(|program| {
        program.exit_codes = (0..=255).collect();
        program.restart.on = RestartOn::Never;
    }));

    bench.exit(61_000, KILLED);

    assert_eq!(bench.service.failure, Some(Failure::BadExitCode(-1)));
}

#[test]
fn nothing_is_started_again_while_all_ends() {
    for mood in [Mood::Restarting, Mood::Shutdown] {
        let mut bench = Bench::running_with(restarts(RestartOn::Always));
        bench.mood = mood;

        let actions = bench.exit(61_000, SEVEN);

        assert_eq!(Bench::spawns(&actions), []);
        assert_eq!(bench.name(), Name::Exited);
    }
}

#[test]
fn an_exit_is_counted_once() {
    let mut bench = Bench::running();
    let generation = bench.service.generation;
    bench.exit(61_000, ZERO);

    let again = Stimulus::Exited(generation, SEVEN, ExitSequence(1), Instant(0));

    assert_eq!(bench.step(61_000, again), []);
    assert_eq!(bench.service.exit, Some(ZERO));
}

#[test]
fn news_of_a_former_life_changes_nothing() {
    let mut bench = Bench::running();
    let (before, former) = (bench.service.clone(), Generation(4));

    for stimulus in [
        Stimulus::Exited(former, SEVEN, ExitSequence(9), Instant(0)),
        Stimulus::Executed(former),
        Stimulus::SpawnFailed(former, SpawnError::Empty),
        Stimulus::Signalled(former, Signal::TERM, Reach::Process),
        Stimulus::SignalFailed(former, Signal::TERM, 1),
        Stimulus::Found(former, Found::NeverCloned),
    ] {
        assert_eq!(bench.step(61_000, stimulus), [], "{stimulus:?}");
        assert_eq!(bench.service, before, "{stimulus:?}");
    }
}

#[test]
fn a_process_of_a_former_life_is_killed() {
    let mut bench = Bench::running();

    let actions = bench.step(61_000, Stimulus::Spawned(Generation(4), Pid(9)));

    assert_eq!(Bench::signals(&actions), [(Signal::KILL, Reach::Process)]);
    assert_eq!(bench.service.pid, Some(PID));
}

// Stop.

#[test]
fn a_stop_signals_what_starts_or_runs() {
    for mut bench in [Bench::started(program()), Bench::running()] {
        let actions = bench.step(61_000, Stimulus::Stop);

        assert_eq!(Bench::signals(&actions), [(Signal::TERM, Reach::Process)]);
        assert_eq!(entered(&actions), [Name::Stopping]);
        assert_eq!(bench.wait(61_000), Duration::from_secs(2));
    }
}

#[test]
fn a_stop_of_what_is_stopped_changes_nothing() {
    for state in [State::Stopped, State::Exited, State::Fatal, State::Unknown] {
        let mut bench = Bench::new(program());
        bench.service.state = state;

        for stimulus in [Stimulus::Stop, Stimulus::ShutDown] {
            assert_eq!(bench.step(0, stimulus), []);
            assert_eq!(bench.service.state, state);
        }
    }
}

#[test]
fn a_stopped_process_is_not_started_again() {
    for status in [ZERO, SEVEN, KILLED] {
        let mut bench = Bench::stopping();

        let actions = bench.exit(61_500, status);

        assert_eq!(entered(&actions), [Name::Stopped]);
        assert_eq!(Bench::spawns(&actions), []);
        let expected = status == ZERO;
        let notice = Notice::Stopped { service: ServiceId(7), status, expected };
        assert!(actions.contains(&Action::Notice(notice)));
    }
}

#[test]
fn a_stop_takes_back_a_birth_that_was_not_answered() {
    let mut bench = Bench::new(program());
    bench.step(0, Stimulus::Start);

    let actions = bench.step(1, Stimulus::Stop);

    let unspawn = Action::Unspawn { service: ServiceId(7), generation: Generation(5) };
    assert_eq!(actions[0], unspawn);
    assert_eq!(bench.name(), Name::Stopped);
}

#[test]
fn a_start_and_a_stop_before_anybody_acts_leave_nothing_to_do() {
    let mut bench = Bench::new(program());
    bench.service.step(at(0), Mood::Running, Stimulus::Start, &mut bench.actions);

    let actions = bench.step(0, Stimulus::Stop);

    assert_eq!(entered(&actions), [Name::Starting, Name::Stopped]);
    assert!(!actions.iter().any(|action| matches!(action, Action::Spawn { .. })));
}

#[test]
fn a_birth_that_crosses_a_stop_is_stopped() {
    let mut bench = Bench::new(program());
    bench.step(0, Stimulus::Start);
    bench.step(1, Stimulus::Stop);

    let actions = bench.step(1, Stimulus::Spawned(Generation(5), PID));

    assert_eq!(Bench::signals(&actions), [(Signal::TERM, Reach::Process)]);
    assert_eq!(bench.name(), Name::Stopping);
}

#[test]
fn a_stop_during_the_wait_for_a_retry_is_done_at_once() {
    let mut bench = Bench::started(retries(3));
    bench.exit(0, ZERO);

    let actions = bench.step(500, Stimulus::Stop);

    assert_eq!(entered(&actions), [Name::Stopped]);
    assert_eq!((bench.service.deadline(), bench.service.failures), (None, 0));
    assert!(actions.contains(&Action::Notice(Notice::StoppedInBackoff(ServiceId(7)))));
}

#[test]
fn the_end_makes_what_waits_for_a_retry_fatal() {
    let mut bench = Bench::started(retries(3));
    bench.exit(0, ZERO);

    let actions = bench.step(500, Stimulus::ShutDown);

    assert_eq!(entered(&actions), [Name::Fatal]);
}

#[test]
fn a_retry_that_falls_into_the_end_is_not_made() {
    let mut bench = Bench::started(retries(3));
    bench.exit(0, ZERO);
    bench.mood = Mood::Shutdown;

    let actions = bench.step(5000, Stimulus::Timeout);

    assert_eq!((entered(&actions), Bench::spawns(&actions)), (vec![Name::Fatal], vec![]));
}

#[test]
fn sigkill_comes_after_stopwaitsecs_and_again_and_again() {
    let mut bench = Bench::stopping();

    for second in [63, 65, 67] {
        assert_eq!(bench.step(second * 1000 - 1, Stimulus::Timeout), []);
        let actions = bench.step(second * 1000, Stimulus::Timeout);
        assert_eq!(Bench::signals(&actions), [(Signal::KILL, Reach::Group)]);
        assert_eq!(bench.wait(second * 1000), Duration::from_secs(2));
    }
}

#[test]
fn a_stopwaitsecs_of_zero_does_not_keep_the_loop_busy() {
    let mut bench = Bench::running_with(with(|program| program.stop.wait = Seconds(0)));
    bench.step(61_000, Stimulus::Stop);

    let actions = bench.step(61_000, Stimulus::Timeout);

    assert_eq!(Bench::signals(&actions), [(Signal::KILL, Reach::Group)]);
    assert_eq!(bench.wait(61_000), KILL_AGAIN_LEAST);
}

#[test]
fn a_start_during_a_stop_waits_for_its_end() {
    let mut bench = Bench::stopping();

    assert_eq!(bench.step(61_100, Stimulus::Start), []);
    let actions = bench.exit(61_200, ZERO);

    assert_eq!(entered(&actions), [Name::Stopped, Name::Starting]);
    assert_eq!(Bench::spawns(&actions), [Generation(6)]);
}

#[test]
fn a_stop_takes_back_a_start_that_waits() {
    let mut bench = Bench::stopping();
    bench.step(61_100, Stimulus::Start);

    bench.step(61_150, Stimulus::Stop);
    bench.exit(61_200, ZERO);

    assert_eq!((bench.name(), bench.service.goal), (Name::Stopped, Goal::Down));
}

#[test]
fn a_process_that_fails_to_execute_while_it_stops_is_stopped() {
    let mut bench = Bench::new(program());
    bench.step(0, Stimulus::Start);
    bench.step(0, Stimulus::Spawned(Generation(5), PID));
    bench.step(1, Stimulus::Stop);

    let failed = Stimulus::SpawnFailed(Generation(5), SpawnError::Clone(8));
    let actions = bench.step(5000, failed);

    assert_eq!(entered(&actions), [Name::Stopped]);
    assert_eq!((bench.service.pid, bench.service.stopped), (None, Some(at(5000).wall)));
}

// Signals.

#[test]
fn a_client_s_signal_does_not_do_for_the_stop_signal() {
    let mut bench = Bench::stopping();
    let generation = bench.service.generation;
    let order = |bench: &Bench| match bench.service.state {
        State::Stopping { order, .. } => Some(order),
        _ => None,
    };

    bench.step(61_000, Stimulus::Signalled(generation, Signal::HUP, Reach::Process));
    assert_eq!(order(&bench), Some(Order::Stop));
    bench.step(61_000, Stimulus::Signalled(generation, Signal::TERM, Reach::Group));
    assert_eq!(order(&bench), Some(Order::Stop));

    bench.step(61_000, Stimulus::Signalled(generation, Signal::TERM, Reach::Process));
    assert_eq!(order(&bench), Some(Order::StopSent));
    bench.step(63_000, Stimulus::Timeout);
    bench.step(63_000, Stimulus::Signalled(generation, Signal::TERM, Reach::Process));
    assert_eq!(order(&bench), Some(Order::Kill));
    bench.step(63_000, Stimulus::Signalled(generation, Signal::KILL, Reach::Group));
    assert_eq!(order(&bench), Some(Order::KillSent));
}

#[test]
fn a_signal_that_cannot_be_sent_leaves_it_unknown_until_it_ends() {
    let mut bench = Bench::stopping();
    let generation = bench.service.generation;

    let actions = bench.step(61_000, Stimulus::SignalFailed(generation, Signal::TERM, 1));
    assert_eq!(entered(&actions), [Name::Unknown]);
    assert_eq!((bench.service.pid, bench.service.deadline()), (Some(PID), None));

    let actions = bench.exit(90_000, ZERO);
    assert_eq!(entered(&actions), [Name::Stopped]);
    assert_eq!(bench.service.pid, None);
}

#[test]
fn an_unknown_one_that_fails_to_execute_is_stopped() {
    let mut bench = Bench::new(program());
    bench.step(0, Stimulus::Start);
    bench.step(0, Stimulus::Spawned(Generation(5), PID));
    bench.step(0, Stimulus::SignalFailed(Generation(5), Signal::HUP, 1));

    bench.step(1, Stimulus::SpawnFailed(Generation(5), SpawnError::Clone(2)));

    assert_eq!((bench.name(), bench.service.pid), (Name::Stopped, None));
}

// Recovery.

#[test]
fn a_birth_that_a_crash_prevented_is_repeated_under_a_new_generation() {
    let mut bench = Bench::new(program());
    bench.step(0, Stimulus::Start);

    let actions = bench.step(9000, Stimulus::Found(Generation(5), Found::NeverCloned));

    assert_eq!(Bench::spawns(&actions), [Generation(6)]);
    assert_eq!(bench.service.generation, Generation(6));
}

#[test]
fn a_birth_that_a_crash_prevented_is_not_repeated_while_all_ends() {
    let mut bench = Bench::new(program());
    bench.step(0, Stimulus::Start);
    bench.mood = Mood::Shutdown;

    let actions = bench.step(9000, Stimulus::Found(Generation(5), Found::NeverCloned));

    assert_eq!((Bench::spawns(&actions), bench.name()), (vec![], Name::Stopped));
}

#[test]
fn a_process_that_a_crash_kept_from_being_noted_is_adopted() {
    let mut bench = Bench::new(program());
    bench.step(0, Stimulus::Start);

    bench.step(9000, Stimulus::Found(Generation(5), Found::Alive(PID, at(9000).instant)));

    assert_eq!((bench.name(), bench.service.pid), (Name::Starting, Some(PID)));
    bench.exit(9000, ZERO);
    assert_eq!(bench.name(), Name::Backoff);
}

#[test]
fn a_birth_that_was_found_late_counts_from_its_clone() {
    let mut bench = Bench::new(startsecs(1));
    bench.step(0, Stimulus::Start);

    bench.step(9000, Stimulus::Found(Generation(5), Found::Alive(PID, at(10).instant)));
    let ended = Stimulus::Exited(Generation(5), ZERO, ExitSequence(1), at(1010).instant);
    let actions = bench.step(9000, ended);

    assert_eq!(entered(&actions), [Name::Running, Name::Exited]);
}

#[test]
fn what_was_decided_and_not_sent_is_sent_by_the_successor() {
    let mut bench = Bench::stopping();
    let stop = bench.step(62_000, Stimulus::Resume);
    assert_eq!(Bench::signals(&stop), [(Signal::TERM, Reach::Process)]);

    bench.step(63_000, Stimulus::Timeout);
    let kill = bench.step(63_000, Stimulus::Resume);
    assert_eq!(Bench::signals(&kill), [(Signal::KILL, Reach::Group)]);
}

#[test]
fn what_was_sent_is_not_sent_again_by_the_successor() {
    let mut bench = Bench::stopping();
    let generation = bench.service.generation;
    bench.step(61_000, Stimulus::Signalled(generation, Signal::TERM, Reach::Process));

    assert_eq!(bench.step(62_000, Stimulus::Resume), []);
}

#[test]
fn a_first_start_that_a_crash_prevented_is_made_by_the_successor() {
    let mut bench = Bench::new(program());

    assert_eq!(Bench::spawns(&bench.step(0, Stimulus::Resume)), [Generation(5)]);
}

#[test]
fn a_successor_does_not_start_what_was_stopped_or_must_not_start_by_itself() {
    let mut stopped = Bench::stopping();
    stopped.exit(61_500, ZERO);
    assert_eq!(stopped.step(62_000, Stimulus::Resume), []);

    let mut manual = Bench::new(with(|program| program.autostart = false));
    assert_eq!(manual.step(0, Stimulus::Resume), []);

    let mut ending = Bench::new(program());
    ending.mood = Mood::Shutdown;
    assert_eq!(ending.step(0, Stimulus::Resume), []);
}

// Everything.

#[test]
fn every_stimulus_in_every_state_is_answered_and_deadlines_move() {
    let mut seed = 0x5eed_u64;
    let mut draw = |limit: u64| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        seed % limit
    };
    for _ in 0..300 {
        let plain = retries(i64::try_from(draw(4)).unwrap() - 1);
        let programs = [plain, care::with_everything(draw(2) == 0)];
        let mut bench = Bench::new(programs[usize::try_from(draw(2)).unwrap()].clone());
        let mut now = 0;
        for _ in 0..200 {
            now += draw(3) * draw(2000);
            bench.mood = [Mood::Running, Mood::Running, Mood::Restarting, Mood::Shutdown]
                [usize::try_from(draw(4)).unwrap()];
            let generation = Generation(bench.service.generation.0 - u32::from(draw(8) == 0));
            let status = [ZERO, SEVEN, KILLED][usize::try_from(draw(3)).unwrap()];
            let number = u32::try_from(draw(3)).unwrap();
            let script = bench.service.generation.0 - number / 2;
            let says =
                [Saying::Hello, Saying::Ready, Saying::Alive, Saying::Reset, Saying::Trigger]
                    [usize::try_from(draw(5)).unwrap()];
            let stimulus = match draw(26) {
                0 | 1 => Stimulus::Start,
                2 => Stimulus::Stop,
                3 => Stimulus::ShutDown,
                4 | 5 => Stimulus::Spawned(generation, PID),
                6 => Stimulus::Executed(generation),
                7 => Stimulus::SpawnFailed(generation, SpawnError::Empty),
                8 => Stimulus::Exited(generation, status, ExitSequence(now), at(now).instant),
                9 => Stimulus::Signalled(generation, Signal::TERM, Reach::Process),
                10 => Stimulus::SignalFailed(generation, Signal::KILL, 1),
                11 => Stimulus::Found(generation, Found::Alive(PID, at(now).instant)),
                12 => Stimulus::Found(generation, Found::NeverCloned),
                13 | 14 => Stimulus::Said(generation, says),
                15 => Stimulus::Said(generation, Saying::Period(Duration::from_millis(draw(900)))),
                16 | 17 => {
                    let last = bench.service.vitals.as_ref().map_or(0, |vitals| vitals.checks);
                    Stimulus::Checked(
                        generation,
                        last.wrapping_sub(number / 2),
                        Finding::of(draw(2) == 0),
                    )
                }
                18 => Stimulus::OutOfMemory(generation),
                19 => Stimulus::ScriptSpawned(script, PID),
                20 => Stimulus::ScriptFailed(script, SpawnError::NotFound),
                21 => Stimulus::ScriptEnded(script),
                22 => Stimulus::Refresh,
                23 => Stimulus::RestartNow,
                24 => Stimulus::Inject,
                _ => Stimulus::Resume,
            };
            bench.step(now, stimulus);
            bench.step(now, Stimulus::Timeout);
            let deadline = bench.service.deadline();
            assert!(deadline.is_none_or(|deadline| deadline > at(now).instant), "{stimulus:?}");
        }
    }
}
