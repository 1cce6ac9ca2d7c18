//! What is brought up, who may do what to it, when whoever asks is answered, and rest.

use super::*;
use crate::event::Event;
use crate::input::Mood;
use crate::job::{Caller, Deed};
use crate::reconcile::Difference;
use crate::service::Failure;
use crate::spec::care::{Care, Condition, Confinement, Dependency, EarlyDeath, Ready, Script};
use crate::spec::{Origin, RestartOn, Seconds};
use crate::status::SpawnError;

/// A service as `service up` brings it up, with a second until it counts as initialised.
fn brought(label: &str, change: impl FnOnce(&mut Care)) -> Arc<GroupSpec> {
    brought_with(label, change, |_| {})
}

fn brought_with(
    label: &str,
    change: impl FnOnce(&mut Care),
    program: impl FnOnce(&mut ProgramSpec),
) -> Arc<GroupSpec> {
    let mut care = Care::minix(Arc::from(label));
    care.readiness.by = Ready::Alive;
    change(&mut care);
    let spec = member(label, |spec| {
        spec.restart.on = RestartOn::Always;
        spec.care = Some(Arc::new(care));
        program(spec);
    });
    let mut group = GroupSpec::clone(&group(label, 999, vec![spec]));
    group.origin = Origin::Brought;
    Arc::new(group)
}

fn on(label: &str) -> Dependency {
    Dependency { group: Arc::from(""), name: Arc::from(label), condition: Condition::Started }
}

fn controls(names: &[&str]) -> Arc<Confinement> {
    let control = names.iter().map(|name| Arc::from(*name)).collect();
    Arc::new(Confinement { control, ..Confinement::default() })
}

impl Bench {
    fn bring(&mut self, ticket: u64, group: &Arc<GroupSpec>, wait: Wait) -> Vec<Action> {
        let command = Command::Bring { group: Arc::clone(group), wait, by: Caller::Owner };
        self.step(Input::Command { ticket: Ticket(ticket), command })
    }

    fn manage(&mut self, ticket: u64, deed: Deed, label: &str) -> Vec<Action> {
        self.manage_by(ticket, deed, label, Caller::Owner)
    }

    fn edit(&self, id: u32, spec: Arc<ServiceSpec>) -> Deed {
        Deed::Edit { former: Arc::clone(&self.service(id).spec), spec, restarts: None }
    }

    fn manage_by(&mut self, ticket: u64, deed: Deed, label: &str, by: Caller) -> Vec<Action> {
        let command = Command::Manage { deed, label: Arc::from(label), wait: Wait::Done, by };
        self.step(Input::Command { ticket: Ticket(ticket), command })
    }

    /// As [`Self::up`], and a service of this label is up as well.
    fn with_brought(group: &Arc<GroupSpec>) -> Self {
        let mut bench = Self::up(&[]);
        bench.bring(1, group, Wait::Done);
        bench.pass(5000);
        bench
    }

    fn labels(&self) -> Vec<Arc<str>> {
        self.supervisor.groups().iter().map(|group| Arc::clone(&group.spec.name)).collect()
    }
}

fn refused(refusal: Refusal) -> Answer {
    Answer::Refused(refusal)
}

// Up.

#[test]
fn who_waits_for_it_is_answered_when_it_is_initialised() {
    let mut bench = Bench::up(&[]);

    assert_eq!(answers(&bench.bring(7, &brought("foo", |_| {}), Wait::Done)), []);
    assert_eq!(answers(&bench.pass(1001)), [(7, Answer::Done)]);
    assert_eq!(bench.labels(), ["foo".into()]);
}

#[test]
fn who_does_not_wait_is_answered_when_it_is_executed() {
    let mut bench = Bench::up(&[]);

    let actions = bench.bring(7, &brought("foo", |_| {}), Wait::Begun);

    assert_eq!(answers(&actions), [(7, Answer::Done)]);
}

#[test]
fn what_dies_before_it_is_initialised_is_gone_when_that_is_told() {
    let mut bench = Bench::up(&[]);
    bench.bring(7, &brought("foo", |_| {}), Wait::Done);

    let death = bench.exit(0, 1);
    assert_eq!((answers(&death), bench.labels()), (vec![], vec![Arc::from("foo")]));
    let parting = bench.pass(1);

    assert_eq!(answers(&parting), [(7, refused(Refusal::Died))]);
    assert!(parting.contains(&Action::Event(Event::GroupRemoved("foo".into()))));
    assert_eq!((bench.labels(), spawned(&parting)), (vec![], vec![]));
}

#[test]
fn who_is_found_dead_when_he_was_to_have_stayed_up_has_not() {
    let mut bench = Bench::up(&[]);
    bench.bring(7, &brought("foo", |_| {}), Wait::Done);
    bench.now += 1001;
    let presumed = |bench: &Bench| {
        let now = at(bench.now).instant;
        bench.supervisor.presumed_alive(now).collect::<Vec<_>>()
    };
    let (service, generation) = (ServiceId(0), bench.service(0).generation);
    assert_eq!(presumed(&bench), [(service, generation)]);

    bench.step(Input::Dead { service, generation });

    assert_eq!((presumed(&bench), answers(&bench.pass(700))), (vec![], vec![]));
    // Whoever tells of its end tells when he has seen it, which is late.
    bench.exit(0, 0);
    assert_eq!(answers(&bench.pass(1)), [(7, refused(Refusal::Died))]);
    assert_eq!(bench.labels(), []);
}

#[test]
fn who_is_said_to_have_ended_before_he_was_found_dead_has_stayed_up_until_then() {
    let mut bench = Bench::up(&[]);
    bench.bring(7, &brought("foo", |_| {}), Wait::Done);
    let (service, generation) = (ServiceId(0), bench.service(0).generation);
    bench.now += 1300;
    let ended = at(bench.now).instant;
    bench.now += 500;
    bench.step(Input::Dead { service, generation });

    let (status, sequence) = (ExitStatus::Code(0), ExitSequence(1));
    let told = bench.step(Input::Exited { service, generation, status, sequence, at: ended });

    assert_eq!(answers(&told), [(7, Answer::Done)]);
}

#[test]
fn who_was_up_and_is_started_once_more_before_he_has_left_was_up() {
    let mut bench = Bench::up(&[]);
    let once = brought_with(
        "foo",
        |_| {},
        |program| {
            program.startsecs = Seconds(0);
            program.restart.on = RestartOn::Never;
        },
    );
    bench.bring(7, &once, Wait::Done);
    assert_eq!(answers(&bench.exit(0, 9)), []);

    let target = Target::Process("foo".into(), "foo".into());
    let told = bench.ask(8, Verb::Start, target, Wait::Begun);

    assert!(answers(&told).contains(&(7, Answer::Done)), "{told:?}");
}

#[test]
fn who_was_found_dead_is_looked_at_again_by_a_successor() {
    let mut bench = Bench::up(&[]);
    bench.bring(7, &brought("foo", |_| {}), Wait::Done);
    bench.now += 1001;
    let life = (ServiceId(0), bench.service(0).generation);
    bench.step(Input::Dead { service: life.0, generation: life.1 });

    bench.recover();
    bench.step(Input::Resume);

    let now = at(bench.now).instant;
    assert_eq!(bench.supervisor.presumed_alive(now).collect::<Vec<_>>(), [life]);
}

#[test]
fn with_no_time_to_stay_up_an_executed_program_is_initialised_however_soon_it_ends() {
    for on in [RestartOn::Never, RestartOn::Always] {
        let soon = brought_with(
            "foo",
            |_| {},
            |program| {
                program.startsecs = Seconds(0);
                program.restart.on = on;
            },
        );
        let mut bench = Bench::up(&[]);
        bench.bring(7, &soon, Wait::Done);

        let mut told = bench.exit(0, 0);
        told.extend(bench.pass(1));

        assert_eq!(answers(&told), [(7, Answer::Done)], "{on:?}");
    }
}

#[test]
fn what_cannot_be_executed_is_not_tried_again_while_somebody_waits() {
    let mut bench = Bench::up(&[]);
    bench.is_fertile = false;
    let group = brought("foo", |care| care.recovery.early_death = EarlyDeath::Retry);
    bench.bring(7, &group, Wait::Done);

    let (service, generation) = (ServiceId(0), bench.service(0).generation);
    let error = SpawnError::NotExecutable;
    bench.step(Input::SpawnFailed { service, generation, error });
    let parting = bench.pass(1);

    let refusal = Refusal::SpawnFailed(Some(error));
    assert_eq!(answers(&parting), [(7, refused(refusal))]);
    assert_eq!(bench.labels(), []);
}

#[test]
fn a_label_or_a_device_is_given_once() {
    let mut bench = Bench::up(&[&plain_group("web", 1, &["a"])]);
    bench.bring(1, &brought("foo", |care| care.device = Some(259)), Wait::Done);

    let ask =
        |bench: &mut Bench, group: &Arc<GroupSpec>| answers(&bench.bring(2, group, Wait::Done));

    for taken in ["foo", "web"] {
        assert_eq!(
            ask(&mut bench, &brought(taken, |_| {})),
            [(2, refused(Refusal::LabelTaken))],
            "{taken}"
        );
    }
    let other = brought("bar", |care| care.device = Some(259));
    assert_eq!(ask(&mut bench, &other), [(2, refused(Refusal::DeviceTaken))]);
}

#[test]
fn a_label_is_free_as_soon_as_its_service_is_gone() {
    let mut bench = Bench::up(&[]);
    bench.bring(1, &brought("foo", |_| {}), Wait::Done);
    bench.exit(0, 1);

    let actions = bench.bring(2, &brought("foo", |_| {}), Wait::Begun);

    assert_eq!(answers(&actions), [(1, refused(Refusal::Died)), (2, Answer::Done)]);
}

#[test]
fn what_is_not_started_again_leaves_when_it_ends() {
    let group = brought_with("foo", |_| {}, |program| program.restart.on = RestartOn::Never);
    let mut bench = Bench::with_brought(&group);

    bench.exit(0, 0);
    bench.pass(1);

    assert_eq!(bench.labels(), []);
}

#[test]
fn what_a_client_of_supervisor_stops_is_kept_for_its_next_start() {
    let mut bench = Bench::with_brought(&brought("foo", |_| {}));
    bench.ask(2, Verb::Stop, one("foo", "foo"), Wait::Done);
    bench.exit(0, 0);
    bench.pass(5000);

    let actions = bench.ask(3, Verb::Start, one("foo", "foo"), Wait::Begun);

    assert_eq!((answers(&actions), spawned(&actions)), (vec![(3, Answer::Done)], vec![0]));
}

// The file.

#[test]
fn a_reload_and_an_update_pass_over_what_was_brought_up() {
    let web = plain_group("web", 1, &["a"]);
    let mut bench = Bench::up(&[&web]);
    bench.bring(1, &brought("foo", |_| {}), Wait::Done);
    bench.pass(5000);

    let load = Command::Load(configuration(&[&web]));
    let none = Answer::Difference(Difference::default());
    assert_eq!(answers(&bench.command(load)), [(1, none)]);
    let remove = Command::Reconcile(Scope::Remove("foo".into()));
    assert_eq!(answers(&bench.command(remove)), [(1, refused(Refusal::NoSuchName))]);

    let told = bench.step(Input::Replace(configuration(&[&plain_group("new", 1, &["b"])])));
    assert_eq!(signalled(&told), [0]);
    let crashed = bench.exit(1, 1);
    assert_eq!(spawned(&crashed), [1], "a reload does not keep it from its restart");
    bench.exit(0, 0);
    assert_eq!(bench.labels(), ["foo".into(), "new".into()]);
}

#[test]
fn a_shutdown_stops_what_was_brought_up_too() {
    let mut bench = Bench::with_brought(&brought("foo", |_| {}));

    assert_eq!(signalled(&bench.step(Input::Shutdown)), [0]);
    assert!(finishes(&bench.exit(0, 0)));
    assert_eq!(bench.supervisor.exit_code(), 0);
}

#[test]
fn a_program_of_the_file_is_edited_in_the_file() {
    let mut bench = Bench::up(&[&plain_group("web", 1, &["a"])]);
    let edit = bench.edit(0, member("a", |_| {}));

    assert_eq!(answers(&bench.manage(2, edit, "web:a")), [(2, refused(Refusal::FromFile))]);
}

// The gate.

#[test]
fn an_unknown_label_is_told_to_those_only_who_might_have_it() {
    let guard = brought("guard", |care| care.confinement = controls(&["disk"]));
    let mut bench = Bench::with_brought(&guard);
    let mut ask = |label, by| answers(&bench.manage_by(2, Deed::Down, label, by));

    let unknown = [(2, refused(Refusal::NoSuchLabel))];
    let forbidden = [(2, refused(Refusal::NotPermitted))];
    assert_eq!(ask("disk", Caller::Owner), unknown);
    assert_eq!(ask("disk", Caller::Service(ServiceId(0))), unknown);
    assert_eq!(ask("tape", Caller::Service(ServiceId(0))), forbidden);
    assert_eq!(ask("disk", Caller::Nobody), forbidden);
}

#[test]
fn a_service_may_do_to_others_what_its_list_or_theirs_allows() {
    let guard = brought("guard", |care| care.confinement = controls(&["disk-driver"]));
    let mut bench = Bench::with_brought(&guard);
    bench.bring(1, &brought("disk", |care| care.program_name = "disk-driver".into()), Wait::Done);
    let open = Confinement { controlled_by: vec!["guard".into()], ..Confinement::default() };
    bench.bring(1, &brought("tape", |care| care.confinement = Arc::new(open)), Wait::Done);
    bench.bring(1, &brought("other", |_| {}), Wait::Done);
    bench.pass(5000);
    let mut ask = |label| {
        answers(&bench.manage_by(2, Deed::RestartNow, label, Caller::Service(ServiceId(0))))
    };

    // It is allowed, and then found to be up.
    assert_eq!(ask("disk"), [(2, refused(Refusal::StillUp))]);
    assert_eq!(ask("tape"), [(2, refused(Refusal::StillUp))]);
    assert_eq!(ask("other"), [(2, refused(Refusal::NotPermitted))]);
}

#[test]
fn what_becomes_of_a_service_is_decided_by_its_script_and_not_by_itself() {
    let mut bench = Bench::with_brought(&brought("foo", |_| {}));
    let mut ask = |deed, by| answers(&bench.manage_by(2, deed, "foo", by));
    let (itself, script) = (Caller::Service(ServiceId(0)), Caller::Script(ServiceId(0)));

    let forbidden = [(2, refused(Refusal::NotPermitted))];
    assert_eq!(ask(Deed::RestartNow, itself), forbidden);
    assert_eq!(ask(Deed::Down, itself), forbidden);
    assert_eq!(ask(Deed::Refresh, script), forbidden);
    assert_eq!(ask(Deed::RestartNow, script), [(2, refused(Refusal::StillUp))]);
    assert_eq!(ask(Deed::Down, script), []);
}

#[test]
fn nobody_but_the_owner_says_what_a_service_is() {
    let guard = brought("guard", |care| care.confinement = controls(&["guard", "disk"]));
    let mut bench = Bench::with_brought(&guard);
    let edit = bench.edit(0, member("guard", |_| {}));

    for by in [Caller::Service(ServiceId(0)), Caller::Script(ServiceId(0))] {
        for label in ["guard", "disk"] {
            let actions = bench.manage_by(2, edit.clone(), label, by);
            assert_eq!(answers(&actions), [(2, refused(Refusal::NotPermitted))], "{label}");
        }
    }
    assert_eq!(answers(&bench.manage(2, edit, "guard")), [(2, Answer::Done)]);
}

#[test]
fn what_does_not_come_up_can_be_given_up() {
    let retry = |care: &mut Care| care.recovery.early_death = EarlyDeath::Retry;
    let mut bench = Bench::up(&[]);
    bench.bring(1, &brought("foo", retry), Wait::Done);
    bench.exit(0, 1);
    assert_eq!(bench.states(), [StateName::Backoff]);

    let restart = bench.manage(2, Deed::RestartNow, "foo");
    assert_eq!((answers(&restart), spawned(&restart)), (vec![(2, Answer::Done)], vec![0]));
    bench.exit(0, 1);
    bench.manage(3, Deed::Down, "foo");

    let parting = answers(&bench.pass(1));
    assert_eq!(parting, [(1, refused(Refusal::Died)), (3, Answer::Done)]);
    assert_eq!(bench.labels(), []);
}

#[test]
fn what_waits_for_another_one_can_be_given_up() {
    let mut bench = Bench::up(&[]);
    bench.bring(1, &brought("foo", |care| care.depends_on = vec![on("bar")]), Wait::Done);

    bench.manage(2, Deed::Down, "foo");

    assert_eq!(answers(&bench.pass(1)), [(1, refused(Refusal::Died)), (2, Answer::Done)]);
    assert_eq!(bench.labels(), []);
}

#[test]
fn of_two_edits_of_the_same_the_later_one_is_busy() {
    let mut bench = Bench::with_brought(&brought("foo", |_| {}));
    let edits = [bench.edit(0, member("foo", |_| {})), bench.edit(0, member("foo", |_| {}))];

    let [first, second] = edits.map(|edit| answers(&bench.manage(2, edit, "foo")));

    assert_eq!(first, [(2, Answer::Done)]);
    assert_eq!(second, [(2, refused(Refusal::Busy))]);
}

#[test]
fn one_who_is_initialised_or_waited_for_is_busy() {
    let mut bench = Bench::up(&[]);
    bench.bring(1, &brought("foo", |_| {}), Wait::Begun);
    assert_eq!(answers(&bench.manage(2, Deed::Down, "foo")), [(2, refused(Refusal::Busy))]);

    bench.pass(5000);
    bench.manage(3, Deed::Down, "foo");
    for deed in [Deed::Down, Deed::Refresh, Deed::RestartNow, Deed::Inject, Deed::Advance] {
        assert_eq!(answers(&bench.manage(4, deed, "foo")), [(4, refused(Refusal::Busy))]);
    }
}

#[test]
fn what_has_crashed_can_only_be_restarted_or_brought_down() {
    let mut bench = Bench::with_brought(&brought("foo", |care| care.recovery.restarts = 1));
    bench.exit(0, 1);
    assert_eq!(bench.states(), [StateName::Backoff]);

    let edit = bench.edit(0, member("foo", |_| {}));
    for deed in [edit, Deed::Refresh, Deed::Inject, Deed::Advance] {
        assert_eq!(answers(&bench.manage(2, deed, "foo")), [(2, refused(Refusal::Terminated))]);
    }
    let restart = bench.manage(3, Deed::RestartNow, "foo");
    assert_eq!((answers(&restart), spawned(&restart)), (vec![(3, Answer::Done)], vec![0]));
}

#[test]
fn who_waits_for_a_start_that_fails_again_and_again_keeps_nobody_from_ending_it() {
    let fails = brought("foo", |care| care.recovery.early_death = EarlyDeath::Retry);
    let mut bench = Bench::up(&[]);
    bench.bring(1, &fails, Wait::Done);
    bench.exit(0, 1);
    assert_eq!(bench.states(), [StateName::Backoff]);

    let restart = bench.manage(2, Deed::RestartNow, "foo");
    assert_eq!((answers(&restart), spawned(&restart)), (vec![(2, Answer::Done)], vec![0]));
    bench.exit(0, 1);

    let died = (1, refused(Refusal::Died));
    bench.manage(3, Deed::Down, "foo");
    assert_eq!(answers(&bench.pass(1)), [died, (3, Answer::Done)]);
    assert_eq!(bench.labels(), []);
}

#[test]
fn a_critical_service_is_not_brought_down() {
    let mut bench = Bench::with_brought(&brought("foo", |care| care.critical = true));

    assert_eq!(answers(&bench.manage(2, Deed::Down, "foo")), [(2, refused(Refusal::Critical))]);
    assert_eq!(bench.states(), [StateName::Running]);
}

#[test]
fn a_clone_and_an_update_cannot_be_done_yet() {
    let mut bench = Bench::with_brought(&brought("foo", |_| {}));

    assert_eq!(answers(&bench.manage(2, Deed::Advance, "foo")), [(2, refused(Refusal::NotYet))]);
}

// Down, refresh, edit.

#[test]
fn whoever_brings_it_down_is_answered_when_it_is_gone() {
    let mut bench = Bench::with_brought(&brought("foo", |_| {}));

    assert_eq!(signalled(&bench.manage(2, Deed::Down, "foo")), [0]);
    assert_eq!(answers(&bench.exit(0, 0)), []);
    assert_eq!(answers(&bench.pass(1)), [(2, Answer::Done)]);
    assert_eq!(bench.labels(), []);
}

#[test]
fn one_that_waits_for_its_restart_is_forgotten_at_once() {
    let mut bench = Bench::with_brought(&brought("foo", |care| care.recovery.restarts = 1));
    bench.exit(0, 1);

    bench.manage(2, Deed::Down, "foo");

    assert_eq!(answers(&bench.pass(1)), [(2, Answer::Done)]);
    assert_eq!((bench.labels(), spawned(&bench.pass(90_000))), (vec![], vec![]));
}

#[test]
fn a_start_does_not_take_back_that_it_is_brought_down() {
    let mut bench = Bench::with_brought(&brought("foo", |_| {}));
    bench.manage(2, Deed::Down, "foo");
    bench.ask(3, Verb::Start, one("foo", "foo"), Wait::Done);

    let gone = bench.exit(0, 0);

    assert_eq!(spawned(&gone), []);
    assert_eq!(answers(&bench.pass(1)), [(2, Answer::Done)]);
}

#[test]
fn a_program_of_the_file_that_is_brought_down_stays_in_the_table() {
    let mut bench = Bench::up(&[&plain_group("web", 1, &["a"])]);
    bench.manage(2, Deed::Down, "a");

    assert_eq!(answers(&bench.exit(0, 0)), [(2, Answer::Done)]);
    bench.pass(5000);
    assert_eq!(bench.states(), [StateName::Stopped]);
}

#[test]
fn a_refresh_is_answered_when_the_new_process_is_initialised() {
    let mut bench = Bench::with_brought(&brought("foo", |_| {}));

    assert_eq!(signalled(&bench.manage(2, Deed::Refresh, "foo")), [0]);
    let ended = bench.exit(0, 0);
    assert_eq!((spawned(&ended), answers(&ended)), (vec![0], vec![]));
    assert_eq!(answers(&bench.pass(1001)), [(2, Answer::Done)]);
}

#[test]
fn a_refresh_that_nobody_waits_for_is_answered_when_the_new_process_is_asked_for() {
    let mut bench = Bench::with_brought(&brought("foo", |_| {}));
    let (deed, wait, by) = (Deed::Refresh, Wait::Begun, Caller::Owner);
    bench.command(Command::Manage { deed, label: "foo".into(), wait, by });

    let ended = bench.exit(0, 0);

    assert_eq!((spawned(&ended), answers(&ended)), (vec![0], vec![(1, Answer::Done)]));
}

#[test]
fn a_refresh_of_what_lives_once_is_done_when_it_has_ended() {
    let script = |path| Some(Script { path, timeout: None });
    let built_in = brought("foo", |care| care.script = script(None));
    let last = brought_with("foo", |_| {}, |program| program.restart.on = RestartOn::Never);
    for group in [built_in, last] {
        let mut bench = Bench::with_brought(&group);
        bench.manage(2, Deed::Refresh, "foo");

        let ended = bench.exit(0, 0);

        let answered = [answers(&ended), answers(&bench.pass(1))].concat();
        assert_eq!((answered, spawned(&ended)), (vec![(2, Answer::Done)], vec![]));
        assert_eq!(bench.labels(), []);
    }
}

#[test]
fn a_refresh_of_what_then_dies_is_told() {
    let mut bench = Bench::with_brought(&brought("foo", |_| {}));
    bench.manage(2, Deed::Refresh, "foo");
    bench.exit(0, 0);

    bench.exit(0, 1);

    assert_eq!(answers(&bench.pass(1)), [(2, refused(Refusal::Died))]);
}

#[test]
fn what_is_edited_is_used_by_the_next_start_and_remembered() {
    let mut bench = Bench::with_brought(&brought("foo", |_| {}));
    let edited = brought_with("other", |_| {}, |program| program.stop.signal = Signal::INT);
    let spec = Arc::clone(&edited.services[0]);

    let former = Arc::clone(&bench.service(0).spec);
    let actions = bench.manage(2, Deed::Edit { former, spec, restarts: Some(4) }, "foo");

    assert_eq!(answers(&actions), [(2, Answer::Done)]);
    assert!(actions.contains(&Action::Edited(ServiceId(0))));
    bench.recover();
    let service = bench.service(0);
    assert_eq!((&*service.spec.name, service.spec.program.stop.signal), ("foo", Signal::INT));
    assert_eq!(service.vitals.as_ref().map(|vitals| vitals.restarts), Some(4));
    assert_eq!(service.state_name(), StateName::Running);
}

// Labels.

#[test]
fn a_label_is_a_full_name_or_one_that_means_a_single_service() {
    let groups = [plain_group("web", 1, &["web", "log"]), plain_group("db", 1, &["store", "log"])];
    let (bench, _) = Bench::new(&[&groups[0], &groups[1]]);
    let found = |label| bench.supervisor.labelled(label).map(|id| id.0);

    assert_eq!(["web", "web:log", "db:log", "store"].map(found), [0, 1, 3, 2].map(Some));
    assert_eq!(["log", "db", "web:store", "nobody"].map(found), [None; 4]);
}

// Rest and loss.

#[test]
fn nothing_is_started_again_nor_stopped_while_all_rests() {
    let mut bench = Bench::up(&[&plain_group("web", 1, &["a"])]);
    bench.bring(1, &brought("foo", |_| {}), Wait::Done);
    bench.pass(5000);

    let rest = bench.command(Command::Rest { by: Caller::Owner });
    assert_eq!((answers(&rest), signalled(&rest)), (vec![(1, Answer::Done)], vec![]));
    let ends = [bench.exit(0, 1), bench.exit(1, 1)].concat();
    bench.pass(90_000);

    assert_eq!(spawned(&ends), []);
    assert_eq!(bench.states(), [StateName::Exited, StateName::Exited], "their records are kept");
    let again = bench.bring(2, &brought("bar", |_| {}), Wait::Done);
    assert_eq!(answers(&again), [(2, refused(Refusal::Resting))]);
    assert!(finishes(&bench.step(Input::Shutdown)));
}

#[test]
fn only_the_owner_lays_all_to_rest() {
    let mut bench = Bench::up(&[]);

    let actions = bench.command(Command::Rest { by: Caller::Service(ServiceId(0)) });

    assert_eq!(answers(&actions), [(1, refused(Refusal::NotPermitted))]);
    assert_eq!(bench.supervisor.mood(), Mood::Running);
}

#[test]
fn a_critical_service_that_is_lost_ends_everything_with_70() {
    let mut bench = Bench::up(&[&plain_group("web", 1, &["a"])]);
    bench.bring(7, &brought("foo", |care| care.critical = true), Wait::Done);

    let lost = bench.exit(1, 1);

    assert_eq!(answers(&lost), [(7, refused(Refusal::Died))]);
    assert_eq!(signalled(&lost), [0]);
    let notice = Notice::Lost {
        name: "foo".into(),
        failure: Failure::ExitedTooQuickly,
        ended: Some(ExitStatus::Code(1)),
        exit_code: 70,
    };
    assert!(lost.contains(&Action::Notice(notice)), "{lost:?}");
    bench.recover();
    bench.step(Input::Resume);
    assert!(finishes(&bench.exit(0, 0)));
    assert_eq!(bench.supervisor.exit_code(), 70);
}

// Recovery.

#[test]
fn a_successor_starts_what_was_about_to_be_brought_up_and_forgets_what_was_brought_down() {
    let mut bench = Bench::with_brought(&brought("foo", |_| {}));
    bench.manage(2, Deed::Down, "foo");
    bench.exit(0, 0);
    bench.recover();
    bench.step(Input::Resume);
    bench.pass(1);
    assert_eq!(bench.labels(), []);

    let added = bench.journal.clone();
    bench.bring(3, &brought_with("bar", |_| {}, |program| program.autostart = false), Wait::Done);
    let spec = bench.supervisor.groups()[0].clone();
    bench.journal = added;
    bench.journal.apply(Record::GroupAdded(spec));
    bench.recover();
    assert_eq!(spawned(&bench.step(Input::Resume)), [0]);
}

#[test]
fn a_successor_releases_who_need_not_wait_before_a_reload_stops_what_is_needed() {
    let db = plain_group("db", 1, &["db"]);
    let (mut bench, _) = Bench::new(&[&db]);
    let dependency = Dependency { condition: Condition::Ready, ..on("db") };
    bench.bring(1, &brought("foo", |care| care.depends_on = vec![dependency]), Wait::Done);
    let held = bench.journal.places[1];
    assert_eq!(spawned(&bench.pass(1001)), [1]);

    // The predecessor was cut off before it had written that down.
    bench.journal.places[1] = held;
    bench.journal.replacement = Some(configuration(&[&db]));
    bench.journal.mood = Some(Mood::Restarting);
    bench.recover();
    let actions = bench.step(Input::Resume);

    assert_eq!((spawned(&actions), signalled(&actions)), (vec![1], vec![0]));
}

#[test]
fn who_has_ended_leaves_before_the_end_of_all_also_when_a_successor_has_to_end_at_once() {
    let mut bench = Bench::up(&[]);
    bench.bring(7, &brought("first", |care| care.critical = true), Wait::Begun);
    bench.bring(8, &brought("second", |_| {}), Wait::Begun);
    bench.exit(1, 1);
    assert_eq!(bench.labels().len(), 2, "it leaves a moment later");
    bench.recover();

    // What is heard comes before what is resumed.
    bench.exit(0, 1);
    bench.step(Input::Resume);

    assert!(!bench.labels().iter().any(|label| **label == *"second"), "{:?}", bench.labels());
}
