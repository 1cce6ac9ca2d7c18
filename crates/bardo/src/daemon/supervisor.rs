//! The supervisor's life: take over, turn the crank, end.
//!
//! The first supervisor and the hundredth start alike: from the journal and the
//! descriptors that the keeper holds.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::sync::{Arc, RwLock};
use std::thread::JoinHandle;
use std::time::Duration;

use bardo_core::action::Actions;
use bardo_core::id::ExitSequence;
use bardo_core::record::Snapshot;
use bardo_core::run::turn;
use bardo_core::{Input, Pid, Supervisor, World};
use bardo_keeper::protocol::{Predecessor, ToKeeper};
use bardo_sys::clock::{self, LocalTime};
use bardo_sys::launch::inherited;
use bardo_sys::memory::{self, SharedMemory};
use bardo_sys::spawn::{Birth, Spawner};
use bardo_sys::stat::Stat;
use bardo_sys::waker::Waker;
use bardo_sys::{poll, process, signals};

use super::adoption::{Inheritance, Opened, adopt, attach_all, births, open_all, sort};
use super::channels::Channels;
use super::children::Children;
use super::clients::{self, Clients};
use super::fastcgi::SharedSockets;
use super::handover;
use super::journal::{Flaws, Journal, Memory};
use super::last_words;
use super::link::Link;
use super::listeners::Listening;
use super::listeners::outbox::Outbox;
use super::main_log::{self, Level};
use super::outlets::outlets;
use super::pump::intake::Intake;
use super::pump::{self, MainLogSettings, PumpHandle, PumpSettings, Severity};
use super::renewal;
use super::restart::Restart;
use super::settings::{Address, MainLog, Server, Settings};
use super::watching;
use super::world::{Machine, Parts};
use crate::api::{self, Api, ApiSettings, Listener, ListenerKind, Shown};
use crate::words;

/// The keeper's descriptor numbers in a new supervisor.
const LINK_FD: i32 = 3;
const JOURNAL_FD: i32 = 4;

/// How long, in nanoseconds, the log pump may take to write what is left.
const FINISH_WITHIN: u64 = 5_000_000_000;

/// Exit code of a supervisor that ends because its keeper is gone. Nobody waits for it; it is
/// none of those that say what was asked for.
const LOST: i32 = 70;

/// Why a supervisor could not take over.
#[derive(Debug, thiserror::Error)]
pub enum TakeOverError {
    /// It was not started by a keeper.
    #[error("descriptor {0} is not open: only the keeper starts a supervisor")]
    NotInherited(i32),
    /// A system call failed.
    #[error("cannot {what}")]
    System {
        /// What was tried.
        what: &'static str,
        /// Why it failed.
        source: io::Error,
    },
    /// The settings in the journal cannot be read.
    #[error("the settings in the journal cannot be read")]
    Settings(#[source] serde_json::Error),
    /// The staging pipe is not among what the keeper holds.
    #[error("the keeper holds no staging pipe")]
    NoStaging,
}

/// What a supervisor is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// It takes over and does all there is to do.
    Works,
    /// It only watches, because others could not take over.
    Watches,
}

/// What a predecessor has left beside the journal.
struct Findings {
    births: Vec<Birth>,
    opened: Opened,
    inheritance: Inheritance,
}

/// Runs until everything has stopped; returns the exit code that the keeper shall
/// end with.
///
/// # Errors
/// When it cannot take over; the keeper tries again with another one.
pub fn run(part: Part) -> Result<i32, TakeOverError> {
    let ended = take_part(part);
    if let Err(error) = &ended {
        let source = std::error::Error::source(error);
        let source = source.map(|source| format!(": {source}")).unwrap_or_default();
        last_words::leave(&format!("{error}{source}"));
    }
    ended
}

fn take_part(part: Part) -> Result<i32, TakeOverError> {
    signals::block_all();
    process::set_name(match part {
        Part::Works => watching::SUPERVISOR_COMM,
        Part::Watches => watching::COMM,
    });
    end_with_any_thread();
    let socket = inherited(LINK_FD).ok_or(TakeOverError::NotInherited(LINK_FD))?;
    let link = Link::new(socket);
    // The keeper ends who has closed it, and who cannot take over must have the time to say
    // why: that is left to the end of the process.
    std::mem::forget(link.clone());
    let file = inherited(JOURNAL_FD).ok_or(TakeOverError::NotInherited(JOURNAL_FD))?;
    let memory = SharedMemory::map_whole(file).map_err(system("map the journal"))?;
    let memory = Arc::new(memory);
    let words = last_words::read(&memory);
    last_words::leave_in(&memory);
    let (journal, known) =
        Journal::open(Arc::clone(&memory)).map_err(system("read the journal"))?;
    let settings =
        Settings::parse(&known.table.loaded.attachment).map_err(TakeOverError::Settings)?;
    let settings = settings.of_this_keeper();
    if settings.service.is_some() {
        be_expendable(Path::new("/proc/self/oom_score_adj"));
    }
    let areas = journal.areas().clone();
    let limit = Some(settings.descriptor_limit);
    let spawner = Spawner::new(Arc::clone(&memory), areas.births.clone(), limit)
        .map_err(system("reserve descriptors"))?;
    let link = if settings.service.is_some() { link.of_service() } else { link };
    let (held, predecessor) =
        link.take_over().map_err(system("take over what the keeper holds"))?;
    let stepparents = stepparents(predecessor);
    let service = settings.service.as_ref().map_or("", |service| &service.name);
    let mut inheritance = sort(held);
    let births = births(&memory, &areas, (&stepparents, service), inheritance.former_pid());
    let (mut machine, pump, api) =
        assemble(settings, journal, &known, spawner, link, &mut inheritance)?;
    machine.stepparents = stepparents;
    let opened = match part {
        Part::Works => open_all(&known.table, &births),
        Part::Watches => Ok(Opened::new()),
    };
    let opened = opened.map_err(system("open a predecessor's processes"))?;
    // Nothing that can be seen ahead is in the way now, and nothing was done yet.
    machine.end_former(&mut inheritance).map_err(system("end the former supervisor"))?;
    let why = what_became_of(predecessor, words.as_deref());
    if part == Part::Watches {
        let keeper = machine.settings.keeper_pid;
        let wish = watching::watch(machine, known, inheritance, predecessor, &why);
        // Whoever has a wish is answered before this ends.
        api.finish();
        wish.fulfil(keeper);
        return Ok(0);
    }
    let found = Findings { births, opened, inheritance };
    Ok(supervise(machine, (pump, api), known, found, (predecessor, &why)))
}

/// A unit may spare the keeper when memory is short, which all inherit. Programs are not to be
/// spared, and are born with what this process has; it may die itself.
fn be_expendable(file: &Path) {
    let own = std::fs::read_to_string(file).ok().and_then(|text| text.trim().parse::<i32>().ok());
    if own.is_some_and(|own| own < 0) {
        // Without /proc nothing was read either.
        let _ = std::fs::write(file, "0");
    }
}

/// Those who may have adopted the children of a keeper that was killed: all above this one.
fn stepparents(predecessor: Predecessor) -> Vec<u32> {
    let above = |pid: &u32| Stat::of(*pid).map(|stat| stat.parent).filter(|parent| *parent > 0);
    let keeper = Some(std::os::unix::process::parent_id());
    let all = std::iter::successors(keeper.filter(|_| predecessor.has_new_keeper), above);
    all.skip(1).collect()
}

/// Starts the other threads and puts the control thread's world together.
fn assemble(
    settings: Settings,
    journal: Journal,
    known: &Memory,
    spawner: Spawner,
    link: Link,
    inheritance: &mut Inheritance,
) -> Result<(Machine, JoinHandle<()>, Api), TakeOverError> {
    let waker = Arc::new(Waker::new().map_err(system("make an eventfd"))?);
    let (Some(read), Some(write)) = std::mem::take(&mut inheritance.staging) else {
        return Err(TakeOverError::NoStaging);
    };
    let outbox = std::mem::take(&mut inheritance.outbox);
    let areas = journal.areas().clone();
    let intake = Intake::open(Arc::clone(journal.memory()), areas.intake);
    let outbox = outbox.0.zip(outbox.1).map(|(read, write)| Outbox::new(read, write));
    let outbox = outbox.transpose().map_err(system("take over the outbox"))?;
    let listening = Listening::new(intake.clone(), outbox);
    let outlets = outlets(std::mem::take(&mut inheritance.shared), &link)
        .map_err(system("make a pipe for shared output"))?;
    let (reports_sender, reports) = std::sync::mpsc::channel();
    let mut surroundings = known.surroundings.clone();
    let pump_settings = PumpSettings {
        cells: Arc::clone(journal.memory()),
        base: areas.pump.start,
        length: areas.pump.len(),
        staging: (read, write),
        outlets,
        intake,
        reports: reports_sender,
        waker: Arc::clone(&waker),
        syslog: pump::SYSLOG.into(),
        main_log: main_log(&settings.main_log),
        owed: surroundings.owed.lines(settings.main_log.level),
    };
    let (pump, pump_thread) = pump::start(pump_settings).map_err(system("start the log pump"))?;
    let (clients, questions) = clients::channel(Arc::clone(&waker));
    let listeners: BTreeMap<u32, OwnedFd> =
        std::mem::take(&mut inheritance.listeners).into_iter().collect();
    let shown = Arc::new(RwLock::new(shown(&settings)));
    let api = start_api(&settings, clients, &link, &pump, &shown, &listeners)?;
    let place = settings.service.as_ref().and_then(|service| handover::folder(&service.place));
    let next = known.table.replacement.as_ref();
    let next = next.and_then(|next| Settings::parse(&next.attachment).ok());
    let machine = Machine::new(Parts {
        settings,
        journal,
        surroundings,
        children: Children::new(spawner),
        link,
        pump,
        reports,
        waker,
        questions,
        listening,
        sockets: SharedSockets::new(std::mem::take(&mut inheritance.sockets)),
        channels: Channels::new().map_err(system("make an epoll set"))?,
        shown,
        doors: api.doors(),
        restart: Restart::new(listeners, next),
        door: inheritance.door.take(),
        place,
    });
    Ok((machine, pump_thread, api))
}

/// Starts the API thread on the sockets of the servers that the settings name.
fn start_api(
    settings: &Settings,
    clients: Clients,
    link: &Link,
    pump: &PumpHandle,
    shown: &Arc<RwLock<Shown>>,
    sockets: &BTreeMap<u32, OwnedFd>,
) -> Result<Api, TakeOverError> {
    let held = settings.servers.iter().filter_map(|server| {
        // A predecessor that was about to end has closed it, also for us: whoever waits for
        // clients there would do nothing else.
        let socket = sockets.get(&server.place).filter(|one| !poll::has_hung_up(one.as_fd()))?;
        let socket = socket.try_clone();
        Some(socket.map(|socket| listener(server, socket)))
    });
    let listeners = held.collect::<io::Result<_>>().map_err(system("open the servers"))?;
    let (link, told) = (link.clone(), Arc::new(settings.clone()));
    let told_too = Arc::clone(&told);
    let api_settings = ApiSettings {
        shown: Arc::clone(shown),
        keeper: Pid(settings.keeper_pid),
        supervisor_version: api::SUPERVISOR_VERSION,
        load: Arc::new(move || renewal::reread(&told)),
        load_program: Arc::new(move |described| renewal::program(&told_too, described)),
        // A keeper that is gone cannot be told; the control thread notices.
        overdue: Arc::new(move || link.try_say(ToKeeper::Hung)),
        pump: Some(pump.clone()),
    };
    api::start(api_settings, listeners, clients).map_err(system("start the API thread"))
}

/// The main log for the pump.
pub(super) fn main_log(log: &MainLog) -> MainLogSettings {
    let copy = || io::stdout().as_fd().try_clone_to_owned().ok();
    MainLogSettings {
        path: log.path.as_deref().map(Arc::from),
        bytes_max: log.bytes_max,
        backups: log.backups,
        compress: log.compress,
        to_syslog: log.path.is_none(),
        copy: copy(),
        copies_lines: log.to_stdout,
        format: pump_line,
    }
}

/// A server's socket for the API thread.
pub(super) fn listener(server: &Server, fd: OwnedFd) -> Listener {
    let kind = match server.address {
        Address::File(_) => ListenerKind::Unix,
        Address::Port(..) => ListenerKind::Tcp,
    };
    Listener { fd, kind, auth: server.credentials.clone(), owner_only: server.owner_only }
}

/// What the API shows of the settings.
pub(super) fn shown(settings: &Settings) -> Shown {
    Shown {
        identifier: settings.identifier.as_str().into(),
        main_log: settings.main_log.path.as_deref().map(Arc::from),
        namespaces: settings.namespaces.clone().into(),
        variables: settings.variables.clone().into(),
        question_wait: Duration::from_millis(settings.hang_timeout_ms),
        traces: settings.main_log.level <= Level::Trace,
        watching: None,
        is_minix: settings.is_minix,
        ends_at_restart: settings.ends_at_restart,
    }
}

fn supervise(
    mut machine: Machine,
    threads: (JoinHandle<()>, Api),
    known: Memory,
    found: Findings,
    (predecessor, why): (Predecessor, &str),
) -> i32 {
    greet(&mut machine, &known, predecessor, why);
    last_words::forget(machine.journal.memory());
    machine.news.signals |= predecessor.signals;
    let mut supervisor = take_over(&mut machine, known.table, found);
    machine.tell(machine.settings.patience());
    // Who cannot say it has lost its keeper while it took over.
    machine.keeper_lost |= machine.link.say(ToKeeper::TookOver).is_err();
    machine.tell_ready(&supervisor);
    machine.resume_reload(&supervisor);
    // What the start needed is not needed any more.
    memory::give_back();
    let (mut inputs, mut actions) = (Vec::new(), Actions::default());
    while !supervisor.is_finished() && !machine.keeper_lost {
        machine.wait(supervisor.deadline(), &mut inputs);
        // What has become known is written down; nothing is begun any more.
        if machine.decides_nothing() && inputs.is_empty() {
            break;
        }
        turn(&mut supervisor, &mut machine, &mut inputs, &mut actions);
    }
    // The end is left to whoever can tell a keeper of it.
    machine.keeper_lost |= machine.link.is_of_service() && machine.link.is_lost();
    if machine.decides_nothing() {
        handover::wait_for_heir(&mut machine, &supervisor, &HashMap::new());
    }
    end(machine, supervisor.exit_code(), threads)
}

/// Makes the table what it was, with all that became of it meanwhile, and does what
/// was decided and not done.
fn take_over(machine: &mut Machine, table: Snapshot, found: Findings) -> Supervisor {
    let Findings { births, opened, mut inheritance } = found;
    let (mut supervisor, last) = match table.mood {
        None => (Supervisor::new(), Input::Begin(table.loaded)),
        Some(_) => (Supervisor::recover(table), Input::Resume),
    };
    for service in supervisor.services() {
        let place = service.id.0 as usize;
        if place >= machine.exits_known.len() {
            machine.exits_known.resize(place + 1, ExitSequence::default());
        }
        machine.exits_known[place] = service.exit_sequence;
    }
    machine.mend_auto_logs(&supervisor);
    machine.mend_sockets(&supervisor);
    machine.mood = supervisor.mood();
    machine.mend_images(std::mem::take(&mut inheritance.images));
    machine.adopt_trees(&supervisor);
    let mut inputs = adopt(machine, &supervisor, &births, &mut inheritance, opened);
    inputs.extend(machine.adopt_helpers(&supervisor, &births, &mut inheritance));
    let streams = attach_all(machine, &supervisor, inheritance);
    machine.resume_listening(&streams);
    machine.pump.go();
    // What has ended meanwhile has ended before any deadline is looked at.
    machine.listen(&mut inputs);
    inputs.push(last);
    turn(&mut supervisor, machine, &mut inputs, &mut Actions::default());
    // Only now is it written down what became of them.
    machine.children.spawner().forget(&births);
    supervisor
}

/// Lines of the start, once; and after that, what became of the predecessor.
fn greet(machine: &mut Machine, known: &Memory, predecessor: Predecessor, why: &str) {
    machine.greet();
    if predecessor.has_new_keeper && predecessor.count == 0 {
        let text = "the keeper was killed; another one has come after it, and all programs that \
                    are there are looked after";
        machine.log(Level::Warn, text);
    }
    if predecessor.count > 0 {
        let text = format!(
            "the supervisor {why}; this one has taken over, number {}",
            predecessor.count + 1
        );
        machine.log(Level::Warn, &text);
        machine.took_anothers_place(predecessor, why);
    }
    regret(machine, known.flaws);
}

/// Says what of the journal could not be taken in; the snapshot that takes its place does
/// not have it any more, so it is said once.
fn regret(machine: &mut Machine, flaws: Flaws) {
    if flaws == Flaws::default() {
        return;
    }
    let said = [
        (flaws.lost, "are lost: from the first of them on the bytes are not those written"),
        (flaws.malformed, "could not be read and were left out"),
        (flaws.senseless, "do not fit what stands before them and were left out"),
        (flaws.unknown, "are of a later version and were left out"),
    ];
    for (count, what) in said.into_iter().filter(|(count, _)| *count > 0) {
        machine.log(Level::Critical, &format!("of the journal's entries {count} {what}"));
    }
    machine.mend_journal();
}

/// What became of the supervisor before, in words: its own, where it has left some.
fn what_became_of(predecessor: Predecessor, last_words: Option<&str>) -> String {
    if predecessor.hung {
        return "took nothing any more and was killed".to_owned();
    }
    let status = bardo_core::ExitStatus::from_wait_status(predecessor.status);
    let ending = words::ending(status);
    match last_words {
        Some(said) => format!("ended ({ending}: {said})"),
        None => format!("ended ({ending})"),
    }
}

/// Everything has stopped: what is left in memory goes to the disk, what was made
/// is removed.
fn end(mut machine: Machine, exit_code: u8, (pump, api): (JoinHandle<()>, Api)) -> i32 {
    // What was taken in the last turn is written down; a slow end is not a hang.
    machine.acknowledge();
    machine.close_unused_sockets();
    let code = final_code(machine.keeper_lost, exit_code, machine.surroundings.ends_with);
    if machine.keeper_lost {
        machine.log(
            Level::Critical,
            "the keeper is gone: programs go on, but nobody looks after them; start again",
        );
    } else {
        let stray = machine.restart.stray_files(&machine.settings);
        super::boot::remove_sockets(&machine.settings, &stray);
    }
    // Whoever asked for the end is answered before it comes.
    api.finish();
    if !machine.keeper_lost {
        machine.restart.close_listeners();
    }
    machine.pump.finish();
    // What was left of services is gone before the daemon is.
    let give_up_at = clock::monotonic() + FINISH_WITHIN;
    machine.errands.finish(give_up_at);
    if !machine.keeper_lost {
        machine.trees.close();
    }
    // A disk that hangs does not hold up the end: the next start finds the files as
    // they are.
    while !pump.is_finished() && clock::monotonic() < give_up_at {
        std::thread::sleep(Duration::from_millis(1));
    }
    if !machine.keeper_lost {
        super::boot::remove_pidfile(&machine.settings);
    }
    match code {
        Some(code) => {
            let _ = machine.link.say(ToKeeper::Finish(code));
            code
        }
        // A keeper that is there all the same is told nothing: it starts another supervisor.
        None => LOST,
    }
}

/// What the daemon ends with; none where the keeper is gone and programs go on. That a service
/// could not be kept running counts more than what a client wanted.
fn final_code(keeper_lost: bool, exit_code: u8, ends_with: u8) -> Option<i32> {
    let code = if exit_code == 0 { ends_with } else { exit_code };
    (!keeper_lost).then_some(i32::from(code))
}

/// The pump's own words as a line of the main log.
fn pump_line(severity: Severity, text: &str) -> Vec<u8> {
    let level = match severity {
        Severity::Debug => Level::Debug,
        Severity::Information => Level::Info,
        Severity::Warning => Level::Warn,
        Severity::Critical => Level::Critical,
    };
    main_log::line(LocalTime::now(), level, text)
}

/// A thread that panics takes the process along: the next supervisor is better than
/// two thirds of this one.
fn end_with_any_thread() {
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let thread = std::thread::current();
        last_words::leave(&format!("thread {}: {panic}", thread.name().unwrap_or("control")));
        // Standard error may be a pipe that nobody reads.
        if poll::has_room(io::stderr().as_fd()) {
            report(panic);
        }
        std::process::exit(101);
    }));
}

fn system(what: &'static str) -> impl FnOnce(io::Error) -> TakeOverError {
    move |source| TakeOverError::System { what, source }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::daemon::settings::RESTART_REQUESTED;

    #[test]
    fn a_lost_keeper_ends_nothing_and_above_all_not_as_a_restart() {
        assert_eq!(final_code(false, 0, 0), Some(0));
        assert_eq!(final_code(false, 0, RESTART_REQUESTED), Some(1));
        assert_eq!(final_code(false, 70, RESTART_REQUESTED), Some(70));
        for ends_with in [0, RESTART_REQUESTED] {
            assert_eq!(final_code(true, 0, ends_with), None);
        }
    }

    #[test]
    fn who_is_spared_when_memory_is_short_is_so_no_more_and_whoever_is_not_stays_so() {
        let room = tempfile::tempdir().unwrap();
        let file = room.path().join("oom_score_adj");
        for (before, after) in [("-900\n", "0"), ("0\n", "0\n"), ("500\n", "500\n"), ("", "")] {
            std::fs::write(&file, before).unwrap();

            be_expendable(&file);

            assert_eq!(std::fs::read_to_string(&file).unwrap(), after);
        }
        be_expendable(&room.path().join("nowhere"));
        assert!(!room.path().join("nowhere").exists());
    }
}
