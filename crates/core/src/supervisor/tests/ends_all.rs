//! Programs with which everything ends.

use super::*;
use crate::spec::{EndsAll, RestartOn};
use crate::status::SpawnError;

/// One that is named, one that is not, and one that stops last.
fn table(change: impl FnOnce(&mut ProgramSpec)) -> Vec<Arc<GroupSpec>> {
    let named = member("named", |program| {
        program.ends_all = EndsAll::Down;
        program.restart.on = RestartOn::Unexpected;
        change(program);
    });
    let plain = member("plain", |program| program.restart.on = RestartOn::Never);
    vec![
        group("named", 20, vec![named]),
        group("plain", 30, vec![plain]),
        plain_group("last", 10, &["last"]),
    ]
}

fn up(change: impl FnOnce(&mut ProgramSpec)) -> Bench {
    let groups = table(change);
    Bench::up(&groups.iter().collect::<Vec<_>>())
}

fn end(bench: &mut Bench, status: ExitStatus) -> Vec<Action> {
    bench.sequence += 1;
    let service = ServiceId(0);
    let generation = bench.service(0).generation;
    let (sequence, at) = (ExitSequence(bench.sequence), at(bench.now).instant);
    bench.step(Input::Exited { service, generation, status, sequence, at })
}

#[test]
fn everything_stops_in_order_and_its_code_is_the_daemons() {
    let mut bench = up(|program| program.exit_codes = vec![3]);

    let ended = end(&mut bench, ExitStatus::Code(3));

    assert_eq!(signalled(&ended), [1], "the highest priority number stops first");
    let notice = Action::Notice(Notice::EndsAll { service: ServiceId(0), exit_code: 3 });
    assert!(ended.contains(&notice), "{ended:?}");
    assert_eq!(signalled(&bench.exit(1, 0)), [2]);
    assert!(finishes(&bench.exit(2, 9)));
    assert_eq!(bench.supervisor.exit_code(), 3);
}

#[test]
fn a_successor_ends_with_the_same_code() {
    let mut bench = up(|program| program.restart.on = RestartOn::Never);
    end(&mut bench, ExitStatus::Code(1));

    bench.recover();
    bench.step(Input::Resume);
    bench.exit(1, 0);
    assert!(finishes(&bench.exit(2, 0)));

    assert_eq!(bench.supervisor.exit_code(), 1);
}

#[test]
fn one_that_is_started_again_ends_nothing() {
    let mut bench = up(|_| {});

    let ended = end(&mut bench, ExitStatus::Code(1));

    assert_eq!(spawned(&ended), [0]);
    assert_eq!(bench.supervisor.mood(), Mood::Running);
}

#[test]
fn one_that_a_signal_has_ended_has_the_code_of_a_shell() {
    let mut bench = up(|program| program.restart.on = RestartOn::Never);

    end(&mut bench, ExitStatus::Signal { signal: Signal::KILL, core: false });

    assert_eq!(bench.supervisor.exit_code(), 137);
}

#[test]
fn one_that_never_ran_for_long_gives_the_code_of_its_last_try() {
    let groups = table(|program| program.restart.start_retries = Some(0));
    let (mut bench, _) = Bench::new(&groups.iter().collect::<Vec<_>>());

    end(&mut bench, ExitStatus::Code(5));

    assert_eq!(bench.service(0).state_name(), StateName::Fatal);
    assert_eq!(bench.supervisor.exit_code(), 5);
}

#[test]
fn one_without_a_code_ends_with_70() {
    let groups = table(|program| program.restart.start_retries = Some(0));
    let mut bench = Bench::new(&[]).0;
    bench.is_fertile = false;
    bench.step(Input::Begin(configuration(&groups.iter().collect::<Vec<_>>())));
    let (service, generation) = (ServiceId(0), bench.service(0).generation);

    bench.step(Input::SpawnFailed { service, generation, error: SpawnError::NotFound });

    assert_eq!(bench.supervisor.mood(), Mood::Shutdown);
    assert_eq!(bench.supervisor.exit_code(), 70);
}

#[test]
fn one_that_a_client_has_stopped_ends_nothing() {
    let mut bench = up(|program| program.restart.on = RestartOn::Never);
    bench.ask(1, Verb::Stop, one("named", "named"), Wait::Done);

    end(&mut bench, ExitStatus::Code(1));

    assert_eq!(bench.service(0).state_name(), StateName::Stopped);
    assert_eq!(bench.supervisor.mood(), Mood::Running);
}

#[test]
fn an_end_that_was_asked_for_keeps_its_own_code() {
    let mut bench = up(|program| program.restart.on = RestartOn::Never);
    bench.step(Input::Shutdown);

    end(&mut bench, ExitStatus::Code(9));

    assert_eq!(bench.supervisor.exit_code(), 0);
}

#[test]
fn who_counts_when_fatal_may_exit() {
    let change = |program: &mut ProgramSpec| {
        program.ends_all = EndsAll::Fatal;
        program.restart.on = RestartOn::Never;
        program.restart.start_retries = Some(0);
    };
    let mut bench = up(change);

    end(&mut bench, ExitStatus::Code(4));
    assert_eq!(bench.service(0).state_name(), StateName::Exited);
    assert_eq!(bench.supervisor.mood(), Mood::Running);

    bench.ask(1, Verb::Start, one("named", "named"), Wait::Begun);
    end(&mut bench, ExitStatus::Code(4));
    assert_eq!(bench.service(0).state_name(), StateName::Fatal);
    assert_eq!(bench.supervisor.exit_code(), 4);
}
