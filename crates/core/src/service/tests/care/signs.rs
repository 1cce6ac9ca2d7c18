//! Signs of life, to the millisecond: rows 36 to 39 of the contract's table, and the crash on
//! request of row 72. Beside each stands a test with real processes.

use super::*;

#[test]
fn row_36_it_is_asked_after_a_period_and_hung_after_two() {
    let mut bench = Bench::cared(beating(1000));

    let actions = bench.step(1000, Stimulus::Timeout);
    assert!(matches!(actions[..], [Action::Ping { number: 1, .. }]));
    assert_eq!(bench.step(1999, Stimulus::Timeout), [], "it is asked once");

    let actions = bench.step(2000, Stimulus::Timeout);
    assert_eq!(Bench::signals(&actions), [(Signal::KILL, Reach::Tree)]);
    let actions = bench.exit(2001, KILLED);
    assert_eq!(Bench::spawns(&actions).len(), 1);
    assert!(bench.decisions().contains(&What::Ended(KILLED, Reason::NoHeartbeat)));
}

#[test]
fn row_37_an_answer_that_is_late_is_an_answer() {
    let mut bench = Bench::cared(beating(1000));
    bench.step(1000, Stimulus::Timeout);

    bench.say(1800, Saying::Alive);

    assert_eq!(bench.vitals().life.alive_at, Some(at(1800).instant));
    assert_eq!(bench.vitals().life.hung_at, Some(at(3800).instant));
    assert_eq!(bench.wait(1800), Duration::from_micros(996_875));
}

#[test]
fn those_whose_turn_comes_at_about_the_same_time_are_asked_together() {
    let asked_after = |period, said_at| {
        let mut bench = Bench::cared(beating(period));
        bench.say(said_at, Saying::Alive);
        assert_eq!(bench.vitals().life.hung_at, Some(at(said_at + 2 * period).instant));
        bench.vitals().life.ping_at
    };

    assert_eq!(asked_after(1000, 1), Some(at(1000).instant));
    assert_eq!(asked_after(1000, 15), Some(at(1000).instant));
    assert_ne!(asked_after(1000, 16), Some(at(1000).instant));
    assert_eq!(asked_after(3_600_000, 1), Some(at(3_600_000).instant));
    assert_eq!(asked_after(3_600_000, 1001), Some(at(3_601_000).instant));
}

#[test]
fn row_37_an_answer_in_the_last_moment_is_one_and_a_moment_later_there_is_nobody() {
    for (said_at, is_hung) in [(1999, false), (2000, true)] {
        let mut bench = Bench::cared(beating(1000));
        bench.step(1000, Stimulus::Timeout);
        if !is_hung {
            bench.say(said_at, Saying::Alive);
        }

        let actions = bench.step(2000, Stimulus::Timeout);

        assert_eq!(!Bench::signals(&actions).is_empty(), is_hung, "{said_at}");
    }
}

#[test]
fn row_38_a_supervisor_that_was_late_waits_for_another_period() {
    let mut bench = Bench::cared(beating(1000));
    bench.step(1000, Stimulus::Timeout);
    assert_eq!(bench.step(2501, Stimulus::Timeout), []);
    assert_eq!(bench.wait(2501), Duration::from_secs(1));
    let actions = bench.step(4001, Stimulus::Timeout);
    assert_eq!(Bench::signals(&actions).len(), 1);
}

#[test]
fn row_38_after_ten_seconds_it_is_asked_first_and_has_a_period_to_answer() {
    let mut bench = Bench::cared(beating(1000));

    let actions = bench.step(10_000, Stimulus::Timeout);

    assert!(matches!(actions[..], [Action::Ping { .. }]), "it was never asked");
    assert_eq!(bench.wait(10_000), Duration::from_secs(1));
    bench.say(10_999, Saying::Alive);
    assert_eq!(bench.vitals().life.hung_at, Some(at(12_999).instant));
}

#[test]
fn row_39_a_check_that_succeeds_is_a_sign_of_life_and_one_that_fails_is_none() {
    let second = Duration::from_secs(1);
    let health = Health { interval: second, timeout: second, ..checked(1000) };
    let mut bench = Bench::cared(cared(|care| {
        care.heartbeat = Some(Heartbeat { period: second });
        care.health = Some(health);
    }));
    let generation = bench.service.generation;
    assert_eq!(Bench::checks(&bench.step(1000, Stimulus::Timeout)), [1]);

    bench.step(1300, Stimulus::Checked(generation, 1, Finding::Works));
    assert_eq!(bench.vitals().life.hung_at, Some(at(3300).instant));
    bench.step(2300, Stimulus::Timeout);
    bench.step(2500, Stimulus::Checked(generation, 2, Finding::Fails));

    assert_eq!(Bench::signals(&bench.step(3299, Stimulus::Timeout)), []);
    let actions = bench.step(3300, Stimulus::Timeout);
    assert_eq!(Bench::signals(&actions), [(Signal::KILL, Reach::Tree)]);
    bench.exit(3301, KILLED);
    assert!(bench.decisions().contains(&What::Ended(KILLED, Reason::NoHeartbeat)));
}

#[test]
fn a_successor_asks_again_and_waits_for_a_period() {
    let mut bench = Bench::cared(beating(1000));
    bench.step(1000, Stimulus::Timeout);

    bench.step(1900, Stimulus::Resume);

    let actions = bench.step(1900, Stimulus::Timeout);
    assert!(matches!(actions[..], [Action::Ping { number: 2, .. }]));
    assert_eq!(bench.wait(1900), Duration::from_secs(1));
}

#[test]
fn one_that_says_how_often_it_lives_is_not_asked() {
    let mut bench = Bench::cared(beating(1000));

    bench.say(500, Saying::Period(Duration::from_secs(3)));
    assert_eq!(bench.wait(500), Duration::from_secs(6));
    bench.say(700, Saying::Period(Duration::ZERO));
    assert_eq!(bench.service.deadline(), None);
    let actions = bench.say(800, Saying::Trigger);
    assert_eq!(Bench::signals(&actions), [(Signal::KILL, Reach::Tree)]);
}

#[test]
fn row_72_a_crash_on_request_is_a_crash() {
    let mut bench = Bench::cared(cared(|care| care.recovery.restarts = 1));

    let actions = bench.step(10, Stimulus::Inject);
    assert_eq!(Bench::signals(&actions), [(Signal::ABRT, Reach::Process)]);
    bench.exit(20, KILLED);

    assert_eq!(bench.service.state, State::Backoff { until: at(2020).instant });
    let actions = bench.step(2020, Stimulus::Timeout);
    assert_eq!(Bench::spawns(&actions).len(), 1);
    bench.ready(2030);
    assert_eq!(bench.vitals().restarts, 2);
}
