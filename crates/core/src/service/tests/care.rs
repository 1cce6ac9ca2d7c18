//! A service that asks for more than Supervisor's rules.

mod rows;
mod signs;

use std::sync::Arc;

use super::*;
use crate::decision::{Reason, What};
use crate::spec::care::{
    Care, Check, Copying, DELAY_MAX, DELAY_SHORT, Delay, EarlyDeath, Health, Heartbeat, Ready,
    Reset, Script,
};

fn cared(change: impl FnOnce(&mut Care)) -> ProgramSpec {
    let mut care = Care::minix(Arc::from("web"));
    change(&mut care);
    with(|program| {
        program.restart.on = RestartOn::Always;
        program.care = Some(Arc::new(care));
    })
}

fn scripted(timeout: Option<u64>) -> ProgramSpec {
    let path = Some(Arc::from("/etc/rc.web"));
    let timeout = timeout.map(Duration::from_secs);
    cared(|care| care.script = Some(Script { path, timeout }))
}

fn beating(milliseconds: u64) -> ProgramSpec {
    let period = Duration::from_millis(milliseconds);
    cared(|care| care.heartbeat = Some(Heartbeat { period }))
}

/// One that asks for whatever there is; its check tells that it is ready, or it does so.
pub(super) fn with_everything(checks: bool) -> ProgramSpec {
    let by = if checks { Ready::Checks(Check::Listening) } else { Ready::Auto };
    let timeout = Some(Duration::from_secs(7));
    cared(|care| {
        care.readiness.by = by;
        care.recovery.reset = Reset::Healthy(Duration::ZERO);
        care.heartbeat = Some(Heartbeat { period: Duration::from_millis(300) });
        care.health = Some(checked(2));
        care.script = Some(Script { path: Some(Arc::from("/etc/rc.web")), timeout });
        care.recovery.early_death = EarlyDeath::Retry;
    })
}

fn checked(retries: u32) -> Health {
    Health {
        check: Check::Listening,
        interval: Duration::from_secs(10),
        timeout: Duration::from_secs(4),
        retries,
    }
}

impl Bench {
    fn vitals(&self) -> Vitals {
        *self.service.vitals.as_deref().expect("it is cared for")
    }

    fn say(&mut self, milliseconds: u64, saying: Saying) -> Vec<Action> {
        let generation = self.service.generation;
        self.step(milliseconds, Stimulus::Said(generation, saying))
    }

    /// Has it executed and initialised at once.
    fn ready(&mut self, milliseconds: u64) {
        self.born(milliseconds);
        self.say(milliseconds, Saying::Ready);
        assert_eq!(self.name(), Name::Running);
    }

    /// Its process is the active one from the first millisecond on.
    fn cared(program: ProgramSpec) -> Self {
        let mut bench = Self::new(program);
        bench.step(0, Stimulus::Start);
        bench.ready(0);
        bench.decisions();
        bench
    }

    fn decisions(&mut self) -> Vec<What> {
        std::iter::from_fn(|| self.actions.pop_decision()).map(|decision| decision.what).collect()
    }

    fn scripts(actions: &[Action]) -> Vec<(Reason, u32)> {
        actions
            .iter()
            .filter_map(|action| match action {
                Action::RunScript { reason, restarts, .. } => Some((*reason, *restarts)),
                _ => None,
            })
            .collect()
    }

    fn checks(actions: &[Action]) -> Vec<u32> {
        actions
            .iter()
            .filter_map(|action| match action {
                Action::Check { check, .. } => Some(*check),
                _ => None,
            })
            .collect()
    }
}

// The wait after a crash, and its counter.

#[test]
fn one_that_says_that_it_is_ready_and_ends_has_failed_to_start() {
    let mut program = cared(|care| {
        care.recovery.delay = None;
        care.recovery.early_death = EarlyDeath::Retry;
    });
    program.restart.start_retries = Some(2);
    let mut bench = Bench::cared(program);
    let mut now = 0;
    for wait in [1, 2] {
        now += 10;
        assert_eq!(Bench::spawns(&bench.exit(now, KILLED)), []);
        assert_eq!(bench.wait(now), Duration::from_secs(wait));
        now += wait * 1000;
        bench.step(now, Stimulus::Timeout);
        bench.ready(now);
    }

    bench.exit(now + 10, KILLED);

    assert_eq!((bench.name(), bench.vitals().crashes), (Name::Fatal, 3));
    assert_eq!(bench.service.failure, Some(Failure::ExitedTooQuickly));
}

#[test]
fn one_that_has_stayed_up_is_forgiven_what_came_before() {
    let mut program = cared(|care| {
        care.recovery.delay = None;
        care.recovery.early_death = EarlyDeath::Retry;
    });
    program.restart.start_retries = Some(1);
    let mut bench = Bench::cared(program);
    bench.exit(10, KILLED);
    bench.step(1010, Stimulus::Timeout);
    bench.ready(1010);

    assert_eq!(Bench::spawns(&bench.exit(2010, KILLED)).len(), 1);

    bench.ready(2010);
    bench.exit(2020, KILLED);
    assert_eq!(bench.name(), Name::Backoff);
}

#[test]
fn where_startsecs_is_0_and_nobody_asked_for_a_wait_there_is_none() {
    let mut program = cared(|care| care.recovery.delay = None);
    program.startsecs = Seconds(0);
    let mut bench = Bench::cared(program);

    assert_eq!(Bench::spawns(&bench.exit(200, KILLED)).len(), 1);
}

#[test]
fn one_that_hangs_is_replaced_at_once_however_soon_it_hangs() {
    let mut program = beating(100);
    program.care = program.care.map(|care| {
        let mut care = care.as_ref().clone();
        care.recovery.delay = None;
        care.recovery.early_death = EarlyDeath::Retry;
        Arc::new(care)
    });
    let mut bench = Bench::cared(program);
    bench.step(100, Stimulus::Timeout);
    bench.step(200, Stimulus::Timeout);
    assert_eq!(bench.service.verdict(), Some(Reason::NoHeartbeat));

    assert_eq!(Bench::spawns(&bench.exit(201, KILLED)).len(), 1);
}

#[test]
fn the_counter_rises_when_what_follows_a_crash_is_ready() {
    let mut bench = Bench::cared(cared(|_| {}));
    bench.exit(10, KILLED);
    assert_eq!((bench.vitals().restarts, bench.vitals().crashes), (0, 1));

    bench.ready(20);

    assert_eq!((bench.vitals().restarts, bench.vitals().recovers), (1, false));
}

#[test]
fn the_counter_begins_anew_after_ten_times_the_last_wait() {
    let mut bench = Bench::cared(cared(|care| care.recovery.restarts = 3));
    bench.exit(0, KILLED);
    bench.step(8000, Stimulus::Timeout);
    bench.ready(8000);
    assert_eq!(bench.vitals().restarts, 4);
    assert_eq!(bench.wait(8000), Duration::from_secs(80));

    bench.step(88_000, Stimulus::Timeout);

    assert_eq!((bench.vitals().restarts, bench.vitals().waited), (0, Duration::ZERO));
    assert_eq!(bench.decisions().last(), Some(&What::CounterReset));
    assert_eq!(bench.service.deadline(), None);
}

#[test]
fn the_counter_never_begins_anew_where_nobody_wants_that() {
    let mut bench = Bench::cared(cared(|care| {
        care.recovery.restarts = 3;
        care.recovery.reset = Reset::Never;
    }));

    assert_eq!(bench.service.deadline(), None);
    bench.step(1_000_000, Stimulus::Timeout);
    assert_eq!(bench.vitals().restarts, 3);
}

#[test]
fn a_start_of_what_is_stopped_counts_from_the_beginning() {
    let mut bench = Bench::cared(cared(|care| care.recovery.restarts = 2));
    bench.exit(0, KILLED);
    bench.step(4000, Stimulus::Timeout);
    bench.ready(4000);
    bench.step(5000, Stimulus::Stop);
    bench.exit(5001, ZERO);

    bench.step(6000, Stimulus::Start);

    assert_eq!((bench.vitals().restarts, bench.vitals().waited), (2, Duration::ZERO));
    assert_eq!(bench.vitals().crashes, 1);
}

#[test]
fn a_start_during_a_stop_counts_from_the_beginning_as_well() {
    let mut bench = Bench::cared(cared(|_| {}));
    bench.exit(10, SEVEN);
    bench.ready(20);
    bench.exit(30, SEVEN);
    bench.step(3000, Stimulus::Timeout);
    bench.born(3000);
    assert!(bench.vitals().recovers);
    bench.step(3001, Stimulus::Stop);
    bench.step(3002, Stimulus::Start);

    let actions = bench.exit(3003, ZERO);

    assert_eq!(Bench::spawns(&actions).len(), 1);
    let Vitals { restarts, recovers, waited, .. } = bench.vitals();
    assert_eq!((restarts, recovers, waited), (0, false, Duration::ZERO));
}

#[test]
fn whoever_does_not_want_to_wait_need_not() {
    let mut bench = Bench::cared(cared(|care| care.recovery.restarts = 5));
    bench.exit(0, KILLED);
    assert_eq!(bench.wait(0), DELAY_MAX);

    let actions = bench.step(10, Stimulus::RestartNow);
    assert_eq!(Bench::spawns(&actions).len(), 1);
    bench.ready(20);
    assert_eq!(bench.vitals().restarts, 6);

    assert_eq!(bench.step(30, Stimulus::RestartNow), []);
}

#[test]
fn what_is_left_of_a_tree_is_killed_before_the_next_process() {
    let mut bench = Bench::cared(cared(|_| {}));
    let (service, generation) = (bench.service.id, bench.service.generation);

    let actions = bench.exit(10, KILLED);

    let next = generation.next();
    let expected =
        [Action::Sweep { service, generation }, Action::Spawn { service, generation: next }];
    assert_eq!(actions[..2], expected);
}

#[test]
fn what_is_known_to_be_gone_is_not_looked_for_after_a_takeover() {
    for (swept, again) in [(false, 1), (true, 0)] {
        let mut bench = Bench::cared(cared(|_| {}));
        let generation = bench.service.generation;
        bench.step(10, Stimulus::Stop);
        bench.exit(20, ZERO);
        bench.step(30, Stimulus::Swept(Generation(generation.0 - 1)));
        if swept {
            bench.step(30, Stimulus::Swept(generation));
        }

        let actions = bench.step(40, Stimulus::Resume);

        let sweeps = actions.iter().filter(|action| matches!(action, Action::Sweep { .. }));
        assert_eq!(sweeps.count(), again);
    }
}

// Death before it is initialised.

#[test]
fn death_before_it_is_ready_is_final() {
    let mut bench =
        Bench::started(cared(|care| care.readiness.by = Ready::Says { descriptor: None }));

    let actions = bench.exit(5000, ZERO);

    assert_eq!(entered(&actions), [Name::Backoff, Name::Fatal]);
    assert_eq!(bench.service.failure, Some(Failure::ExitedTooQuickly));
    assert_eq!(bench.service.deadline(), None);
    assert!(!bench.service.is_lost());
}

#[test]
fn a_critical_one_is_lost_then() {
    let mut bench = Bench::started(cared(|care| care.critical = true));

    bench.exit(1, ZERO);

    assert!(bench.service.is_lost());
    assert_eq!(bench.decisions().last(), Some(&What::Ends));
}

#[test]
fn nothing_ends_for_a_critical_one_while_all_rests() {
    let mut bench = Bench::started(cared(|care| care.critical = true));
    bench.mood = Mood::Resting;

    bench.exit(100, ZERO);

    assert_eq!(bench.name(), Name::Fatal);
    assert_eq!(bench.decisions().last(), Some(&What::GaveUp));
}

#[test]
fn where_it_is_tried_again_a_second_lies_between_at_least() {
    let mut program = cared(|care| {
        care.recovery.early_death = EarlyDeath::Retry;
        care.recovery.delay = None;
    });
    program.restart.backoff = Backoff::Constant(Duration::from_millis(1));
    let mut bench = Bench::started(program);

    bench.exit(10, SEVEN);
    assert_eq!(bench.wait(10), Duration::from_secs(1));

    for now in [2000, 4000, 6000] {
        bench.step(now, Stimulus::Timeout);
        bench.born(now);
        bench.exit(now, SEVEN);
    }
    assert_eq!(bench.name(), Name::Fatal);
}

// When it counts as initialised.

#[test]
fn one_that_speaks_owes_to_say_that_it_is_ready() {
    let mut bench = Bench::started(cared(|_| {}));
    bench.say(10, Saying::Hello);

    bench.step(1001, Stimulus::Timeout);
    assert_eq!(bench.name(), Name::Starting);
    assert_eq!(bench.wait(1001), Duration::from_millis(18_999));

    let actions = bench.say(19_000, Saying::Ready);
    assert_eq!(entered(&actions), [Name::Running]);
    assert!(actions.iter().any(|action| matches!(action, Action::Commit { .. })));
}

#[test]
fn one_that_speaks_and_owes_nothing_is_ready_when_it_has_stayed_up_and_is_told() {
    let mut bench = Bench::started(cared(|care| care.readiness.by = Ready::Alive));
    bench.say(10, Saying::Hello);
    bench.say(20, Saying::Ready);
    assert_eq!(bench.name(), Name::Starting);

    let actions = bench.step(1001, Stimulus::Timeout);

    assert_eq!(entered(&actions), [Name::Running]);
    assert!(actions.iter().any(|action| matches!(action, Action::Commit { .. })));
}

#[test]
fn one_that_is_silent_is_ready_when_it_has_stayed_up() {
    let mut bench = Bench::started(cared(|_| {}));

    bench.step(1001, Stimulus::Timeout);

    assert_eq!(bench.name(), Name::Running);
}

#[test]
fn one_that_takes_too_long_is_killed_with_its_tree() {
    let mut bench = Bench::started(cared(|_| {}));
    bench.say(10, Saying::Hello);

    let actions = bench.step(20_000, Stimulus::Timeout);

    assert_eq!(Bench::signals(&actions), [(Signal::KILL, Reach::Tree)]);
    assert_eq!((bench.name(), bench.service.deadline()), (Name::Starting, None));
    assert_eq!(bench.say(20_001, Saying::Ready), [], "that is too late");

    bench.exit(20_002, KILLED);
    let failure = Some(Failure::Condemned(Reason::InitTimeout));
    assert_eq!((bench.name(), bench.service.failure), (Name::Fatal, failure));
}

#[test]
fn one_that_nobody_listened_to_is_heard_first() {
    let mut bench = Bench::started(cared(|_| {}));
    bench.say(10, Saying::Hello);

    assert_eq!(bench.step(27_000, Stimulus::Timeout), []);
    assert_eq!(bench.wait(27_000), READ_WITHIN);

    let actions = bench.step(28_000, Stimulus::Timeout);
    assert_eq!(Bench::signals(&actions), [(Signal::KILL, Reach::Tree)]);
}

#[test]
fn one_that_asks_for_more_time_has_it() {
    let mut bench = Bench::started(cared(|_| {}));
    bench.say(10, Saying::Hello);

    bench.say(19_000, Saying::Extend(Duration::from_secs(5)));
    assert_eq!(bench.wait(19_000), Duration::from_secs(5));

    bench.say(19_500, Saying::Extend(Duration::from_secs(1)));
    assert_eq!(bench.wait(19_500), Duration::from_millis(4500), "it is never less");
}

#[test]
fn one_that_cannot_be_initialised_says_why() {
    let mut bench = Bench::started(cared(|_| {}));

    let actions = bench.say(10, Saying::Failed(78));

    assert_eq!(Bench::signals(&actions), [(Signal::KILL, Reach::Tree)]);
    bench.exit(11, KILLED);
    assert_eq!(bench.service.failure, Some(Failure::Condemned(Reason::InitFailed(78))));
}

#[test]
fn one_that_cannot_resume_is_started_afresh_once() {
    let mut bench = Bench::cared(cared(|_| {}));
    bench.exit(10, KILLED);
    bench.born(20);

    bench.say(30, Saying::Reset);
    let actions = bench.exit(31, KILLED);

    assert_eq!(Bench::spawns(&actions).len(), 1);
    assert_eq!((bench.vitals().restarts, bench.vitals().recovers), (1, false));

    bench.born(40);
    bench.say(50, Saying::Reset);
    bench.exit(51, KILLED);
    assert_eq!(bench.name(), Name::Fatal);
}

#[test]
fn a_check_tells_that_it_is_ready() {
    let mut bench = Bench::new(cared(|care| {
        care.readiness.by = Ready::Checks(Check::Listening);
        care.health = Some(checked(3));
    }));
    bench.step(0, Stimulus::Start);
    bench.born(0);
    let generation = bench.service.generation;
    assert_eq!(Bench::checks(&bench.step(0, Stimulus::Timeout)), [1]);

    assert_eq!(bench.say(10, Saying::Ready), [], "that is not asked for");
    bench.step(20, Stimulus::Checked(generation, 1, Finding::Fails));
    assert_eq!(bench.wait(20), READY_CHECK_EVERY);
    assert_eq!(Bench::checks(&bench.step(270, Stimulus::Timeout)), [2]);
    bench.step(280, Stimulus::Checked(generation, 1, Finding::Works));
    assert_eq!(bench.name(), Name::Starting, "that was the one before");

    bench.step(280, Stimulus::Checked(generation, 2, Finding::Works));
    assert_eq!(bench.name(), Name::Running);
    assert_eq!(bench.wait(280), Duration::from_secs(10));
}

// Health.

#[test]
fn checks_that_fail_too_often_in_a_row_condemn_it() {
    let mut bench = Bench::cared(cared(|care| care.health = Some(checked(2))));
    let generation = bench.service.generation;
    let (mut now, mut check) = (0, 0);
    let (works, fails, nothing) = (Finding::Works, Finding::Fails, Finding::Nothing);
    let findings = [fails, works, nothing, nothing, fails, nothing, fails];
    for (place, finding) in findings.into_iter().enumerate() {
        now += 10_000;
        check += 1;
        assert_eq!(Bench::checks(&bench.step(now, Stimulus::Timeout)), [check]);

        bench.step(now, Stimulus::Checked(generation, check, finding));

        assert_eq!(bench.service.verdict().is_some(), place == findings.len() - 1);
    }
    assert_eq!(bench.service.verdict(), Some(Reason::Health));
}

#[test]
fn a_check_that_takes_too_long_has_failed_unless_nobody_looked() {
    for (now, unhealthy) in [(14_000, 1), (17_000, 0)] {
        let mut bench = Bench::cared(cared(|care| care.health = Some(checked(2))));
        bench.step(10_000, Stimulus::Timeout);

        let actions = bench.step(now, Stimulus::Timeout);

        assert!(matches!(actions[..], [Action::EndCheck { check: 1, .. }]));
        assert_eq!(bench.vitals().life.unhealthy, unhealthy);
        assert_eq!(bench.wait(now), Duration::from_secs(10));
    }
}

#[test]
fn a_check_that_was_under_way_is_made_again_after_a_takeover() {
    let mut bench = Bench::cared(cared(|care| care.health = Some(checked(1))));
    bench.step(10_000, Stimulus::Timeout);

    bench.step(60_000, Stimulus::Resume);

    assert_eq!(Bench::checks(&bench.step(60_000, Stimulus::Timeout)), [2]);
    assert_eq!(bench.vitals().life.unhealthy, 0);
}

#[test]
fn a_check_of_one_of_which_nothing_is_known_is_broken_off() {
    let mut bench = Bench::cared(cared(|care| care.health = Some(checked(2))));
    let generation = bench.service.generation;
    bench.step(10_000, Stimulus::Timeout);

    let actions = bench.step(10_001, Stimulus::SignalFailed(generation, Signal::HUP, 1));

    assert!(actions.contains(&Action::EndCheck { service: bench.service.id, check: 1 }));
    assert_eq!(bench.vitals().life.check, Checking::Idle);
}

#[test]
fn one_for_which_there_was_no_memory_has_that_for_a_reason() {
    let mut bench = Bench::cared(scripted(None));
    let generation = bench.service.generation;
    bench.step(10, Stimulus::OutOfMemory(generation));

    let actions = bench.exit(11, KILLED);

    assert_eq!(Bench::scripts(&actions), [(Reason::OutOfMemory, 0)]);
}

// Recovery scripts.

#[test]
fn a_script_decides_in_place_of_the_restart() {
    let mut bench = Bench::cared(scripted(None));
    let script = bench.service.generation.0;

    let actions = bench.exit(10, SEVEN);
    assert_eq!(Bench::scripts(&actions), [(Reason::Terminated, 0)]);
    assert_eq!(Bench::spawns(&actions), []);
    assert_eq!((bench.name(), bench.service.deadline()), (Name::Backoff, None));
    bench.step(20, Stimulus::ScriptSpawned(script, Pid(500)));

    let actions = bench.step(30, Stimulus::RestartNow);
    assert_eq!(Bench::spawns(&actions).len(), 1);
    bench.ready(40);
    bench.step(50, Stimulus::ScriptEnded(script));
    assert_eq!(bench.name(), Name::Running);
}

#[test]
fn a_script_that_takes_too_long_is_not_waited_for() {
    let mut bench = Bench::cared(scripted(Some(7)));
    bench.exit(0, SEVEN);
    assert_eq!(bench.wait(0), Duration::from_secs(7));

    let actions = bench.step(7000, Stimulus::Timeout);

    assert_eq!(Bench::spawns(&actions).len(), 1);
}

#[test]
fn a_script_that_is_still_at_work_is_not_disturbed() {
    let mut bench = Bench::cared(scripted(None));
    let first = bench.service.generation.0;
    bench.exit(0, SEVEN);
    bench.step(0, Stimulus::ScriptSpawned(first, Pid(500)));
    bench.step(10, Stimulus::RestartNow);
    bench.ready(20);

    bench.exit(30, SEVEN);
    let actions = bench.step(2030, Stimulus::Timeout);
    assert_eq!(Bench::scripts(&actions), []);

    let actions = bench.step(2100, Stimulus::ScriptEnded(first));
    assert_eq!(Bench::scripts(&actions), [(Reason::Terminated, 1)]);
}

#[test]
fn a_script_that_hangs_while_the_next_one_waits_is_spoken_of_once() {
    let mut bench = Bench::cared(scripted(None));
    let first = bench.service.generation.0;
    bench.exit(0, SEVEN);
    bench.step(0, Stimulus::ScriptSpawned(first, Pid(500)));
    bench.step(10, Stimulus::RestartNow);
    bench.ready(20);
    bench.exit(30, SEVEN);
    bench.step(2030, Stimulus::Timeout);
    assert_eq!(bench.wait(2030), SCRIPT_SILENT_AFTER);

    let actions = bench.step(7030, Stimulus::Timeout);

    assert_eq!(actions, [Action::Notice(Notice::ScriptBusy(bench.service.id))]);
    assert_eq!((bench.name(), bench.service.deadline()), (Name::Backoff, None));
    let actions = bench.step(9000, Stimulus::ScriptEnded(first));
    assert_eq!(Bench::scripts(&actions), [(Reason::Terminated, 1)]);
}

#[test]
fn a_script_that_never_ran_is_asked_for_again_by_a_successor() {
    let mut bench = Bench::cared(scripted(None));
    let script = bench.service.generation.0;
    bench.exit(0, SEVEN);

    let actions = bench.step(10, Stimulus::ScriptFound(script, None));
    assert_eq!(Bench::scripts(&actions).len(), 1);

    let actions = bench.step(20, Stimulus::ScriptFound(script, Some(Pid(500))));
    assert_eq!(Bench::scripts(&actions).len(), 0);
    assert_eq!(bench.vitals().script, ScriptRun::Running(script, Pid(500)));
}

#[test]
fn a_script_that_was_told_to_end_is_told_again_by_a_successor() {
    let mut bench = Bench::cared(scripted(None));
    let script = bench.service.generation.0;
    let end = Action::EndScript { service: bench.service.id, script };
    bench.exit(0, SEVEN);
    bench.step(0, Stimulus::ScriptSpawned(script, Pid(500)));
    let found = Stimulus::ScriptFound(script, Some(Pid(500)));
    assert!(!bench.step(10, found).contains(&end), "it is still asked");

    let mut actions = Actions::default();
    bench.service.end_recovery(&mut actions);
    assert_eq!(actions.pop(), Some(end.clone()));
    assert!(bench.step(20, found).contains(&end));

    bench.step(30, Stimulus::ScriptEnded(script));
    assert!(!bench.vitals().ends_script);
}

#[test]
fn a_script_that_cannot_run_takes_the_service_with_it_or_is_passed_over() {
    let mut bench = Bench::cared(scripted(None));
    let script = bench.service.generation.0;
    bench.exit(0, SEVEN);
    bench.step(0, Stimulus::ScriptFailed(script, SpawnError::Clone(11)));
    assert_eq!(bench.wait(0), SHORTAGE_WAIT);
    assert_eq!(Bench::scripts(&bench.step(1000, Stimulus::Timeout)).len(), 1);
    bench.step(1000, Stimulus::ScriptFailed(script, SpawnError::NotFound));
    assert_eq!(bench.name(), Name::Fatal);

    let mut program = scripted(None);
    let mut care = program.care.as_deref().expect("it is cared for").clone();
    care.recovery.early_death = EarlyDeath::Retry;
    program.care = Some(Arc::new(care));
    let mut bench = Bench::cared(program);
    let script = bench.service.generation.0;
    bench.exit(0, SEVEN);
    let actions = bench.step(0, Stimulus::ScriptFailed(script, SpawnError::NotFound));
    assert_eq!(Bench::spawns(&actions).len(), 1);
}

#[test]
fn the_built_in_script_brings_it_down() {
    let script = Some(Script { path: None, timeout: None });
    let mut bench = Bench::cared(cared(|care| care.script = script));

    let actions = bench.exit(10, SEVEN);

    assert_eq!((Bench::spawns(&actions), Bench::scripts(&actions)), (vec![], vec![]));
    assert_eq!((bench.name(), bench.service.goal), (Name::Exited, Goal::Down));
}

#[test]
fn one_that_is_not_started_again_rests_when_its_script_has_ended() {
    let mut program = scripted(None);
    program.restart.on = RestartOn::Never;
    let mut bench = Bench::cared(program);
    let script = bench.service.generation.0;

    let actions = bench.exit(10, SEVEN);
    assert_eq!(Bench::scripts(&actions).len(), 1);
    bench.step(20, Stimulus::ScriptEnded(script));

    assert_eq!((bench.name(), bench.service.goal), (Name::Exited, Goal::Down));
}

// A fresh process.

#[test]
fn a_refresh_waits_for_nothing_and_keeps_the_counter() {
    let mut bench = Bench::cared(cared(|care| care.recovery.restarts = 4));

    let actions = bench.step(10, Stimulus::Refresh);
    assert_eq!(entered(&actions), [Name::Stopping]);
    let actions = bench.exit(20, ZERO);
    assert_eq!(Bench::spawns(&actions).len(), 1);
    bench.ready(30);

    assert_eq!((bench.vitals().restarts, bench.vitals().crashes), (4, 0));
}

#[test]
fn a_refresh_asks_the_script_and_a_stop_takes_it_back() {
    let mut bench = Bench::cared(scripted(None));
    bench.step(10, Stimulus::Refresh);
    let actions = bench.exit(20, ZERO);
    assert_eq!(Bench::scripts(&actions), [(Reason::Restart, 0)]);

    let mut bench = Bench::cared(scripted(None));
    bench.step(10, Stimulus::Refresh);
    bench.step(15, Stimulus::Stop);
    let actions = bench.exit(20, ZERO);
    assert_eq!(Bench::scripts(&actions), []);
    assert_eq!(bench.name(), Name::Stopped);
}

#[test]
fn what_a_former_life_says_changes_nothing() {
    let mut bench = Bench::started(cared(|_| {}));
    let former = Generation(bench.service.generation.0 - 1);
    let before = bench.service.clone();

    for stimulus in [
        Stimulus::Said(former, Saying::Ready),
        Stimulus::Said(former, Saying::Failed(5)),
        Stimulus::Checked(former, 0, Finding::Works),
        Stimulus::OutOfMemory(former),
    ] {
        assert_eq!(bench.step(10, stimulus), []);
    }
    assert_eq!(bench.service, before);
}

#[test]
fn an_edit_changes_what_runs_at_once() {
    let mut bench = Bench::cared(cared(|_| {}));
    let spec = example("web", beating(500));

    bench.service.edit(at(500), spec, Some(3), &mut bench.actions);

    assert_eq!(bench.wait(500), Duration::from_millis(500));
    assert_eq!(bench.vitals().restarts, 3);
    assert_eq!(bench.decisions(), [What::Edited]);
}

#[test]
fn an_edit_of_which_only_half_was_written_down_is_in_force_after_a_takeover() {
    let examined = || {
        cared(|care| {
            care.heartbeat = Some(Heartbeat { period: Duration::from_secs(1) });
            care.health = Some(checked(1));
        })
    };
    let mut more = Bench::cared(cared(|_| {}));
    more.service.spec = example("web", examined());
    more.step(60_000, Stimulus::Resume);
    let asked = more.step(60_000, Stimulus::Timeout);
    assert!(matches!(asked[..], [Action::Ping { .. }]));
    assert_eq!(more.wait(60_000), Duration::from_secs(1));
    assert_eq!(more.vitals().life.check, Checking::Due(at(70_000).instant));

    let mut less = Bench::cared(examined());
    less.service.spec = example("web", cared(|_| {}));
    less.step(60_000, Stimulus::Resume);
    assert_eq!(less.service.deadline(), None);
}

#[test]
fn a_stop_is_put_off_for_six_times_its_wait_at_most() {
    let mut program = cared(|_| {});
    program.stop.wait = Seconds(10);
    let mut bench = Bench::cared(program);
    bench.step(1000, Stimulus::Stop);
    assert_eq!(bench.wait(1000), Duration::from_secs(10));

    bench.say(2000, Saying::Extend(Duration::from_secs(20)));
    assert_eq!(bench.wait(2000), Duration::from_secs(20));
    bench.say(20_000, Saying::Extend(Duration::from_secs(86_400)));
    assert_eq!(bench.wait(1000), Duration::from_secs(60));
}

#[test]
fn a_stop_is_not_put_off_when_everything_ends() {
    let mut bench = Bench::cared(cared(|_| {}));
    bench.step(1000, Stimulus::ShutDown);
    let before = bench.service.deadline();
    bench.mood = Mood::Shutdown;

    bench.say(1000, Saying::Extend(Duration::from_secs(5)));

    assert_eq!(bench.service.deadline(), before);
}

#[test]
fn what_follows_a_refresh_may_ask_to_begin_afresh_and_nothing_is_counted() {
    let mut bench = Bench::cared(cared(|_| {}));
    bench.step(10, Stimulus::Refresh);
    bench.exit(20, ZERO);
    assert!(bench.vitals().renews);
    bench.born(20);

    bench.say(30, Saying::Reset);
    let actions = bench.exit(40, KILLED);

    assert_eq!(Bench::spawns(&actions).len(), 1);
    assert_eq!((bench.vitals().renews, bench.vitals().restarts), (false, 0));
    bench.born(40);
    bench.say(50, Saying::Reset);
    assert_eq!(bench.service.verdict(), Some(Reason::InitFailed(200)));
}

// Plain programs.

#[test]
fn what_is_decided_about_plain_programs_is_told_as_well() {
    use crate::decision::{Cause, Rule, Sign, Wish};
    let mut bench = Bench::started(program());
    bench.step(1001, Stimulus::Timeout);
    bench.exit(2000, SEVEN);
    bench.born(2000);
    bench.exit(2500, ZERO);
    bench.step(2600, Stimulus::Stop);

    let wait = Duration::from_secs(1);
    let expected = [
        What::Start(Cause::Automatic),
        What::Executed,
        What::Ready(Sign::StayedUp),
        What::Ended(SEVEN, Reason::Terminated),
        What::Start(Cause::Crash),
        What::Executed,
        What::Ended(ZERO, Reason::Terminated),
        What::Waits { wait, count: 1, rule: Rule::Retries },
        What::Stop(Wish::Client),
    ];
    assert_eq!(bench.decisions(), expected);
}
