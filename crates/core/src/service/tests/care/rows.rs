//! What MINIX's table of restarts says, to the millisecond: rows 17 to 25 and 32 to 34 of the
//! contract's table. Beside each stands a test with real processes.

use super::*;

const SECOND: u64 = 1000;

/// What is brought up with `-b`.
fn constant() -> ProgramSpec {
    let mut program = cared(|care| {
        care.recovery.delay = Some(Delay::Constant(DELAY_SHORT));
        care.recovery.early_death = EarlyDeath::Retry;
    });
    program.restart.start_retries = None;
    program
}

impl Bench {
    /// Waits for a process: for how long, if there is one then and none a millisecond before.
    fn waits(&mut self, now: u64) -> u64 {
        let State::Backoff { until } = self.service.state else { return 0 };
        let wait = u64::try_from(until.since(at(now).instant).as_millis()).unwrap();
        assert_eq!(self.service.deadline(), Some(until));
        assert_eq!(self.step(now + wait - 1, Stimulus::Timeout), []);
        let actions = self.step(now + wait, Stimulus::Timeout);
        assert_eq!(Self::spawns(&actions).len(), 1);
        wait
    }
}

/// Crashes it as often as this, each time when it is ready, and tells the waits.
fn waits(program: ProgramSpec, crashes: usize) -> Vec<u64> {
    let mut bench = Bench::cared(program);
    let mut now = 0;
    let wait = |_| {
        now += SECOND;
        bench.exit(now, KILLED);
        let wait = bench.waits(now);
        now += wait;
        bench.ready(now);
        wait
    };
    (0..crashes).map(wait).collect()
}

#[test]
fn row_17_a_service_may_take_twenty_seconds_to_be_initialised() {
    let mut bench =
        Bench::started(cared(|care| care.readiness.by = Ready::Says { descriptor: None }));
    assert_eq!(bench.step(19_999, Stimulus::Timeout), []);

    let actions = bench.step(20 * SECOND, Stimulus::Timeout);

    assert_eq!(Bench::signals(&actions), [(Signal::KILL, Reach::Tree)]);
    bench.exit(20 * SECOND, KILLED);
    let failure = Some(Failure::Condemned(Reason::InitTimeout));
    assert_eq!((bench.name(), bench.service.failure), (Name::Fatal, failure));
}

#[test]
fn row_17_another_limit_counts_from_the_start_as_well() {
    let mut bench = Bench::started(cared(|care| {
        care.readiness.by = Ready::Says { descriptor: None };
        care.readiness.within = Duration::from_millis(700);
    }));

    assert_eq!(bench.step(699, Stimulus::Timeout), []);
    let actions = bench.step(700, Stimulus::Timeout);

    assert_eq!(Bench::signals(&actions), [(Signal::KILL, Reach::Tree)]);
}

#[test]
fn rows_19_and_20_the_first_end_is_answered_with_a_process_in_the_same_step() {
    for status in [ZERO, SEVEN, KILLED] {
        let mut bench = Bench::cared(cared(|_| {}));

        let actions = bench.exit(SECOND, status);

        assert_eq!(Bench::spawns(&actions).len(), 1, "{status:?}");
        assert_eq!(bench.vitals().crashes, 1);
    }
}

#[test]
fn row_19_an_exit_code_that_is_allowed_is_no_crash() {
    let mut program = cared(|_| {});
    program.restart.on = RestartOn::Unexpected;
    program.exit_codes = vec![0];
    let mut bench = Bench::cared(program);

    let actions = bench.exit(SECOND, ZERO);

    assert_eq!(Bench::spawns(&actions), []);
    assert_eq!((bench.name(), bench.vitals().crashes), (Name::Exited, 0));
}

#[test]
fn row_21_the_wait_doubles_up_to_half_a_minute() {
    let expected = [0, 2, 4, 8, 16, 30, 30].map(|wait| wait * SECOND);

    assert_eq!(waits(cared(|_| {}), 7), expected);
}

#[test]
fn row_21_there_is_no_wait_where_nobody_asks_for_one() {
    assert_eq!(waits(cared(|care| care.recovery.delay = None), 3), [0, 0, 0]);
}

#[test]
fn rows_22_and_23_the_wait_is_a_second_with_b_and_with_a_copy() {
    assert_eq!(waits(constant(), 4), [0, 1000, 1000, 1000]);
    for copy in [Copying::Own, Copying::Shared] {
        assert_eq!(waits(cared(|care| care.copy = copy), 4), [0, 1000, 1000, 1000]);
    }
}

#[test]
fn row_24_after_a_minute_the_next_crash_is_the_first_one() {
    let mut bench = Bench::cared(cared(|_| {}));
    bench.exit(0, KILLED);
    bench.ready(0);
    bench.step(60 * SECOND - 1, Stimulus::Timeout);
    assert_eq!(bench.vitals().restarts, 1);

    bench.step(60 * SECOND, Stimulus::Timeout);

    assert_eq!(bench.vitals().restarts, 0);
    assert_eq!(Bench::spawns(&bench.exit(60 * SECOND, KILLED)).len(), 1);
}

#[test]
fn row_24_minix_never_forgets_a_crash() {
    let mut bench = Bench::cared(cared(|care| care.recovery.reset = Reset::Never));
    bench.exit(0, KILLED);
    bench.ready(0);
    let year = 365 * 86_400 * SECOND;

    bench.step(year, Stimulus::Timeout);
    bench.exit(year, KILLED);

    assert_eq!(bench.waits(year), 2 * SECOND);
}

#[test]
fn row_25_with_b_a_start_that_fails_is_tried_again_for_ever_a_second_later() {
    let mut bench = Bench::started(constant());
    let mut now = 0;
    for _ in 0..100 {
        bench.exit(now, SEVEN);

        assert_eq!(bench.waits(now), SECOND);

        now += SECOND;
        bench.born(now);
    }
}

#[test]
fn row_32_a_script_is_told_why_and_how_often() {
    let mut bench = Bench::cared(scripted(None));
    let first = bench.service.generation.0;
    let actions = bench.exit(10, KILLED);
    assert_eq!(Bench::scripts(&actions), [(Reason::Terminated, 0)]);
    bench.step(20, Stimulus::RestartNow);
    bench.step(20, Stimulus::ScriptEnded(first));
    bench.ready(20);

    let second = bench.service.generation.0;
    bench.step(30, Stimulus::Refresh);
    let actions = bench.exit(40, ZERO);
    assert_eq!(Bench::scripts(&actions), [(Reason::Restart, 1)]);
    bench.step(50, Stimulus::RestartNow);
    bench.step(50, Stimulus::ScriptEnded(second));
    bench.ready(50);

    bench.say(60, Saying::Trigger);
    bench.exit(70, KILLED);
    let actions = bench.step(70 + 2 * SECOND, Stimulus::Timeout);
    assert_eq!(Bench::scripts(&actions), [(Reason::NoHeartbeat, 1)]);
}

#[test]
fn row_33_five_seconds_after_a_script_that_decides_nothing_people_are_told_and_no_more() {
    let mut bench = Bench::cared(scripted(None));
    let script = bench.service.generation.0;
    bench.exit(0, SEVEN);
    bench.step(SECOND, Stimulus::ScriptEnded(script));
    assert_eq!(bench.step(6 * SECOND - 1, Stimulus::Timeout), []);

    let actions = bench.step(6 * SECOND, Stimulus::Timeout);

    assert_eq!(actions, [Action::Notice(Notice::ScriptSilent(bench.service.id))]);
    assert_eq!((bench.name(), bench.service.deadline()), (Name::Backoff, None));
}

#[test]
fn row_34_a_restart_in_the_wait_asks_no_script() {
    let mut bench = Bench::cared(scripted(None));
    let first = bench.service.generation.0;
    bench.exit(0, KILLED);
    bench.step(0, Stimulus::RestartNow);
    bench.step(0, Stimulus::ScriptEnded(first));
    bench.ready(0);
    let actions = bench.exit(10, KILLED);
    assert_eq!((Bench::scripts(&actions), bench.wait(10)), (vec![], Duration::from_secs(2)));

    let actions = bench.step(20, Stimulus::RestartNow);

    assert_eq!((Bench::spawns(&actions).len(), Bench::scripts(&actions)), (1, vec![]));
    bench.ready(20);
    assert_eq!(bench.vitals().restarts, 2);
}
