//! What a service manager starts: `bardo --service-run NAME`.
//!
//! It is `bardo run` with what a service needs beside it: a name, of which there is one at a
//! time, and somebody who wants to know when all is ready.
//!
//! Its exit codes are a contract with whoever has started it: 0 is a shutdown that was asked
//! for, 1 a restart that was asked for, and everything else went wrong. So nothing that goes
//! wrong ever ends with 1.

use std::ffi::OsString;
use std::fs::{self, Permissions};
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use bardo_config::Request;
use bardo_keeper::{FORWARDED, store};
use bardo_sys::channel::{Channel, Wait};
use bardo_sys::limits::{self, Limit, Limited};
use bardo_sys::poll::{self, Room};
use bardo_sys::signals::{self, SignalReader};
use bardo_sys::{clock, descriptors, launch, pipe};
use rustix::fs::FlockOperation;
use rustix::io::Errno;
use rustix::process::{Signal, getpid, kill_process};

use crate::daemon::boot::{self, BootError, StartedService};
use crate::daemon::handover;
use crate::daemon::keeping::{self, Inherited, ResumeError};
use crate::daemon::settings::Service;
use crate::launcher::{self, LaunchError};

use super::claim;
use super::definition::{USUAL_NAME, wrong_name};
pub use super::folder::place;
use super::folder::{self, READY};
use super::pauses::{self, Notes, Start, Unit, Waited};
use super::reap;
use super::systemd::START_SECONDS;

/// The words that call this face.
pub const RUN: &str = "--service-run";

/// The option that has it wait before it starts, longer each time it has ended soon: for
/// managers that do not, or that never forget.
pub const PAUSES: &str = "--pauses";

/// The option that has it go on with what a killed keeper has left, and else start nothing.
const HEIR: &str = "--heir";

/// Where the configuration of a service is that is told of none.
const CONFIGURATIONS: &str = "/etc/bardo";

/// The file in a service's folder that its keeper has locked.
pub const LOCK: &str = "keeper.lock";

/// The file in a service's folder with the pauses before its starts.
pub(super) const PAUSES_NOTED: &str = "pauses";

/// How long, in nanoseconds, somebody waits who has started a service in the background.
/// Programs are begun then, and not waited for: nothing but a machine without time for us
/// takes as long.
const READY_WITHIN: u64 = 90_000_000_000;

/// How long, in nanoseconds, the service manager may take to hear what it is not to have.
const TAKEN_BACK_WITHIN: u64 = 2_000_000_000;

/// Exit codes, of sysexits(3) where it has one.
const USAGE: u8 = 2;
const UNAVAILABLE: u8 = 69;
const BROKEN: u8 = 70;
const NO_SYSTEM: u8 = 71;
const NO_FILE: u8 = 73;
const TAKEN: u8 = 75;
const CONFIGURATION: u8 = 78;

/// What a command line asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Asked {
    name: String,
    configuration: Option<String>,
    pidfile: Option<String>,
    background: bool,
    pauses: bool,
    heir: bool,
}

/// Why there is no service.
#[derive(Debug, thiserror::Error)]
pub(super) enum ServiceError {
    #[error(
        "{0}; usage: bardo --service-run [NAME] [--config FILE] [--pidfile FILE] [--background] \
         [--pauses] [--heir]"
    )]
    Usage(String),
    #[error(
        "there is no folder for it: run it as root, or set RUNTIME_DIRECTORY or XDG_RUNTIME_DIR \
         to a folder that only you can write"
    )]
    NoPlace,
    #[error("its folder {} cannot be used: {}", .0.display(), .1)]
    Place(PathBuf, io::Error),
    #[error(
        "whether there is a configuration {} cannot be known: {}; let its account search that \
         folder, or name another file with --config", .0.display(), .1
    )]
    Configuration(PathBuf, io::Error),
    #[error("it runs already: its keeper has locked {}", .0.display())]
    Taken(PathBuf),
    #[error("cannot {what}: {source}")]
    System { what: String, source: io::Error },
    #[error("{0}")]
    Launch(#[from] LaunchError),
    #[error("{0}")]
    Resume(#[from] ResumeError),
    #[error("it has ended before it was ready: {}", .0)]
    Ended(String),
    #[error("nothing of it is left that could be gone on with")]
    NothingLeft,
}

impl ServiceError {
    fn code(&self) -> u8 {
        match self {
            Self::Usage(_) => USAGE,
            Self::NoPlace | Self::Place(..) | Self::Configuration(..) => CONFIGURATION,
            Self::Taken(_) | Self::Launch(LaunchError::Taken { .. }) => TAKEN,
            Self::System { .. } => NO_SYSTEM,
            Self::Launch(LaunchError::File { .. }) => NO_FILE,
            Self::Launch(LaunchError::Boot(BootError::Broken { .. })) | Self::Resume(_) => BROKEN,
            Self::Launch(_) => CONFIGURATION,
            Self::Ended(_) | Self::NothingLeft => UNAVAILABLE,
        }
    }
}

/// Becomes the keeper of a service. Returns when that failed, or when a service in the
/// background is ready.
#[must_use]
pub fn main(words: &[OsString]) -> ExitCode {
    let asked = match asked(words) {
        Ok(asked) => asked,
        Err(error) => return told("", &error),
    };
    match run(&asked) {
        Ok(None) => ExitCode::SUCCESS,
        Ok(Some(code)) => ExitCode::from(u8::try_from(code).unwrap_or(BROKEN)),
        // Whoever starts what runs already has what he wants.
        Err(error @ ServiceError::Taken(_)) if asked.background => {
            let _ = told(&asked.name, &error);
            ExitCode::SUCCESS
        }
        Err(error) => told(&asked.name, &error),
    }
}

fn told(name: &str, error: &ServiceError) -> ExitCode {
    let name = if name.is_empty() { String::new() } else { format!(" {name}") };
    eprintln!("bardo: {RUN}{name}: {error}");
    ExitCode::from(error.code())
}

fn asked(words: &[OsString]) -> Result<Asked, ServiceError> {
    let wrong = |text: String| ServiceError::Usage(text);
    let mut words = words.iter().map(|word| {
        let text = word.to_str().map(str::to_owned);
        text.ok_or_else(|| wrong(format!("{} is not UTF-8", word.to_string_lossy())))
    });
    let (mut name, mut configuration, mut pidfile) = (None, None, None);
    let (mut background, mut pauses, mut heir) = (false, false, false);
    while let Some(word) = words.next().transpose()? {
        let (option, value) = match word.split_once('=') {
            Some((option, value)) if word.starts_with("--") => (option, Some(value.to_owned())),
            _ => (word.as_str(), None),
        };
        let place = match option {
            "--config" => &mut configuration,
            "--pidfile" => &mut pidfile,
            "--background" if value.is_none() => {
                background = true;
                continue;
            }
            PAUSES if value.is_none() => {
                pauses = true;
                continue;
            }
            HEIR if value.is_none() => {
                heir = true;
                continue;
            }
            _ if name.is_none() && !word.starts_with('-') => {
                name = Some(word);
                continue;
            }
            _ => return Err(wrong(format!("'{word}' is not understood"))),
        };
        let value = match value {
            Some(value) => Some(value),
            None => words.next().transpose()?,
        };
        let value = value.filter(|value| !value.is_empty());
        *place = Some(value.ok_or_else(|| wrong(format!("{option} needs a file")))?);
    }
    let name = name.unwrap_or_else(|| USUAL_NAME.to_owned());
    if let Some(why) = wrong_name(&name) {
        return Err(wrong(format!("'{name}' is no name of a service: {why}")));
    }
    Ok(Asked { name, configuration, pidfile, background, pauses, heir })
}

/// The exit code of a keeper that went on where another one was killed; none for whoever has
/// begun one in the background.
fn run(asked: &Asked) -> Result<Option<i32>, ServiceError> {
    let place = place(&asked.name).ok_or(ServiceError::NoPlace)?;
    let lock = lock(&place)?;
    // A former supervisor may hand over more than the usual limit has room for.
    let limit = limits::get(Limited::Descriptors);
    let _ = limits::set(Limited::Descriptors, Limit { soft: limit.hard, hard: limit.hard });
    // From here on there is perhaps nobody else who could take a stop in.
    signals::hold_back(&FORWARDED);
    let waited = if asked.pauses { pause(&asked.name, &place) } else { Waited::ToTheEnd };
    let inherited = inherited(&place).map_err(failed("take over from a former keeper"))?;
    let waiter = asked.background.then(pipe::pipe).transpose();
    let (read, write) = waiter.map_err(failed("make a pipe"))?.unzip();
    if let Some(inherited) = inherited {
        if waited == Waited::UntilReload {
            // What runs on has not read its configuration for that.
            let _ = kill_process(getpid(), Signal::HUP);
        }
        if let (Some(read), Some(pipe)) = (&read, &write)
            && !goes_on_behind(pipe).map_err(failed("go to the background"))?
        {
            // So that the end of the keeper is seen where it is never ready.
            drop(write);
            signals::unblock_all();
            return await_ready(read, asked.pidfile.as_deref()).map(|()| None);
        }
        return Ok(Some(keeping::resume(inherited, (lock, &place), write)?));
    }
    if matches!(waited, Waited::UntilStop(_)) {
        return Ok(Some(0));
    }
    if asked.heir {
        leave(&place);
        return Err(ServiceError::NothingLeft);
    }
    // Programs of a fresh start begin with what we have been given.
    let _ = limits::set(Limited::Descriptors, limit);
    end_what_is_left(&asked.name);
    let door = handover::door(&place).map_err(failed("listen for the next keeper"))?;
    start(asked, &place, [lock, door], write)?;
    // In the keeper that is never reached.
    match read {
        Some(read) => {
            signals::unblock_all();
            await_ready(&read, asked.pidfile.as_deref()).map(|()| None)
        }
        None => Ok(None),
    }
}

/// Who begins anew does not know what another run has left in the unit: it would be there twice.
fn end_what_is_left(name: &str) {
    // A program in a unit may begin a service of the same name of its own.
    let main = std::env::var("SYSTEMD_EXEC_PID").ok();
    let is_main = match main {
        Some(main) => main.parse() == Ok(std::process::id()),
        None => std::os::unix::process::parent_id() == 1,
    };
    let unit = reap::Unit::of_this_process(name).filter(|_| is_main);
    if let Some(Err(left)) = unit.map(|unit| unit.end_others()) {
        eprintln!("bardo: {RUN} {name}: killed and still there: {left:?}");
    }
}

/// Waits before a start that follows others, or that goes on where another one was killed: for
/// the manager, whose pauses do not grow, or do not become short again.
fn pause(name: &str, place: &Path) -> Waited {
    let (notes, unit) = (Notes::new(place.join(PAUSES_NOTED), Unit::Tenths), Unit::Tenths);
    let was_ready = fs::remove_file(folder::told(place).join(READY)).is_ok();
    let start = notes.next(unit.now(), was_ready);
    notes.write(start);
    let (pause, time) = (start.pause, unit.time(start.pause));
    let reader = match SignalReader::new(&FORWARDED) {
        Ok(reader) if pause > 0 => reader,
        // Who fails again and again for want of descriptors has a pause all the same.
        Err(_) if pause > 0 => {
            thread::sleep(time);
            return Waited::ToTheEnd;
        }
        Ok(_) | Err(_) => return Waited::ToTheEnd,
    };
    let told = pauses::told(time);
    eprintln!("bardo: {RUN} {name}: {told}");
    // The pause is none of the time that it has to become ready.
    let more = (time + Duration::from_secs(START_SECONDS)).as_micros();
    tell_manager(&format!("STATUS={told}\nEXTEND_TIMEOUT_USEC={more}"));
    let waited = pauses::wait(&reader, time);
    match waited {
        Waited::ToTheEnd | Waited::UntilReload => {
            notes.write(Start { began: unit.now(), ..start });
        }
        // Whoever goes on where another one was killed is to find it again.
        Waited::UntilStop(signal) => {
            let _ = kill_process(getpid(), signal);
        }
    }
    waited
}

/// Says something to the service manager, where there is one that hears it.
fn tell_manager(text: &str) {
    let manager = std::env::var_os("NOTIFY_SOCKET");
    if let Some(manager) = manager.and_then(|address| Channel::to_address(&address).ok()) {
        // It is only said for people.
        let _ = manager.send(text.as_bytes(), &[], Wait::No);
    }
}

/// Has the next start of a service begin without a pause.
pub fn forget_pauses(name: &str) {
    if let Some(place) = place(name) {
        Notes::new(place.join(PAUSES_NOTED), Unit::Tenths).remove();
    }
}

/// Goes to the background, and tells its number there to whoever waits; `false` in the
/// process that stays in front.
fn goes_on_behind(pipe: &OwnedFd) -> io::Result<bool> {
    if launch::go_to_background()? {
        return Ok(false);
    }
    launch::leave_session()?;
    let pid = format!("{}\n", std::process::id());
    // Who waits no more does not want to know.
    let _ = rustix::io::write(pipe, pid.as_bytes());
    Ok(true)
}

/// What there is of a former keeper of this name that was killed: what the service manager has
/// kept of it, and what its supervisor hands over.
fn inherited(place: &Path) -> io::Result<Option<Inherited>> {
    let (mut stored, mut journal, mut names) = (Vec::new(), None, Vec::new());
    // What it hands to us otherwise nobody has asked for.
    for (name, descriptor) in descriptors::from_manager() {
        match store::named(&name) {
            Some((key, role)) => stored.push((key, role, descriptor)),
            None if name == store::JOURNAL => journal = Some(descriptor),
            None => continue,
        }
        names.push(name);
    }
    let handed = handover::ask(place)?;
    if journal.is_some() || handed.journal.is_some() {
        return Ok(Some(Inherited { stored, journal, handed }));
    }
    names.dedup();
    take_back(&names);
    Ok(None)
}

/// Has the service manager give up what it has of a run that nobody can go on with: its pipes
/// would stay open, and a later keeper would take it for what belongs to this run.
fn take_back(names: &[String]) {
    let address = std::env::var_os("NOTIFY_SOCKET").filter(|_| !names.is_empty());
    let Some(manager) = address.and_then(|address| Channel::to_address(&address).ok()) else {
        return;
    };
    let give_up_at = clock::monotonic() + TAKEN_BACK_WITHIN;
    for name in names {
        while !store::take_back(&manager, name) {
            let left = give_up_at.saturating_sub(clock::monotonic());
            if left == 0 {
                return;
            }
            let _ = poll::two(manager.as_fd(), Some(manager.as_fd()), Room(true), Some(left));
        }
    }
}

/// Takes the lock of a service, which its keeper has for as long as it lives.
///
/// # Errors
/// When somebody has it, or the folder is not ours.
pub(super) fn lock(place: &Path) -> Result<OwnedFd, ServiceError> {
    let path = place.join(LOCK);
    loop {
        folder::make_own(place).map_err(|source| match source.kind() {
            io::ErrorKind::PermissionDenied => ServiceError::Place(place.to_owned(), source),
            _ => failed(&format!("make {}", place.display()))(source),
        })?;
        let file = folder::open_plain(&path);
        if file.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::NotFound) {
            // Who has just ended has removed the empty folder.
            continue;
        }
        let file = file.map_err(failed(&format!("open {}", path.display())))?;
        // Who may open it can lock it, and nobody could start the service any more.
        let _ = file.set_permissions(Permissions::from_mode(0o600));
        match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => return Err(ServiceError::Taken(path)),
            Err(errno) => return Err(failed(&format!("lock {}", path.display()))(errno.into())),
        }
        // One that ended meanwhile may have removed the file that we have locked.
        let own = file.metadata().map(|own| (own.dev(), own.ino())).ok();
        if own.is_some() && own == fs::metadata(&path).map(|there| (there.dev(), there.ino())).ok()
        {
            return Ok(file.into());
        }
    }
}

/// Removes what a service has in its folder that others of its name do not need, and the
/// folder where nothing else is in it. To be done by the last of its processes.
pub fn leave(place: &Path) {
    // Its manager may have removed it.
    let _ = fs::remove_file(place.join(handover::DOOR));
    let _ = fs::remove_file(place.join(handover::FORMER_DOOR));
    let _ = fs::remove_file(place.join(LOCK));
    let _ = fs::remove_file(place.join(PAUSES_NOTED));
    folder::remove_told(place);
    let removed = fs::remove_dir(place);
    if removed.is_err_and(|error| error.kind() == io::ErrorKind::PermissionDenied) {
        // It is in a folder of root's: whoever removes the service knows it by this.
        let _ = folder::write_private(&place.join(claim::MARK), "");
    }
}

/// Begins a service from its configuration.
fn start(
    asked: &Asked,
    place: &Path,
    [lock, door]: [OwnedFd; 2],
    waiter: Option<OwnedFd>,
) -> Result<(), ServiceError> {
    let usual = Path::new(CONFIGURATIONS).join(format!("{}.conf", asked.name));
    let file = match &asked.configuration {
        Some(file) => file.clone(),
        None => match usual_configuration(&usual)? {
            Some(file) => file,
            None => launcher::prepare(place)?,
        },
    };
    let file = fs::canonicalize(&file).map_or(file, |path| path.display().to_string());
    let nodaemon = if asked.background { "false" } else { "true" };
    let request = Request { file, overrides: vec![("nodaemon".into(), nodaemon.into())] };
    let loaded = launcher::load(&request)?;
    let told = Service {
        name: asked.name.clone(),
        place: place.display().to_string(),
        // Whoever waits writes it himself: he may do so where the service may not any more.
        pidfile: asked.pidfile.clone(),
        is_awaited: asked.background,
        is_told: std::env::var_os("NOTIFY_SOCKET").is_some(),
        ..Service::default()
    };
    let service = Some(StartedService { told, lock, door, waiter });
    let start = boot::Start { program: "bardo", request, loaded, ends_at_restart: true, service };
    Ok(boot::boot(start).map_err(LaunchError::from)?)
}

/// The configuration of a service that is told of none, where there is one. One of which that
/// cannot be known is not taken for none: it may have all the programs.
fn usual_configuration(usual: &Path) -> Result<Option<String>, ServiceError> {
    match usual.try_exists() {
        Ok(is_there) => Ok(is_there.then(|| usual.display().to_string())),
        Err(source) => Err(ServiceError::Configuration(usual.to_owned(), source)),
    }
}

/// Waits until a service in the background is ready, and writes its pid file then.
fn await_ready(pipe: &OwnedFd, pidfile: Option<&str>) -> Result<(), ServiceError> {
    let give_up_at = clock::monotonic() + READY_WITHIN;
    let mut said = Vec::new();
    while said.iter().filter(|byte| **byte == b'\n').count() < 2 {
        let left = give_up_at.saturating_sub(clock::monotonic());
        if !poll::two(pipe.as_fd(), None, Room(false), Some(left)).first && left == 0 {
            let seconds = READY_WITHIN / 1_000_000_000;
            let text = format!("it still tries after {seconds} s; its main log says more");
            return Err(ServiceError::Ended(text));
        }
        let mut bytes = [0; 32];
        match rustix::io::read(pipe, &mut bytes) {
            Ok(0) => {
                return Err(ServiceError::Ended("its main log says more".to_owned()));
            }
            Ok(count) => said.extend_from_slice(&bytes[..count]),
            Err(Errno::INTR) => {}
            Err(errno) => return Err(failed("read from a pipe")(errno.into())),
        }
    }
    let Some(pidfile) = pidfile else { return Ok(()) };
    let number = said.split_inclusive(|byte| *byte == b'\n').next().unwrap_or_default();
    write_pidfile(pidfile, number).map_err(failed(&format!("write {pidfile}")))
}

/// Writes a pid file, of which nobody ever sees half.
///
/// # Errors
/// When it cannot be written.
pub fn write_pidfile(path: &str, line: &[u8]) -> io::Result<()> {
    let fresh = format!("{path}.{}", std::process::id());
    fs::write(&fresh, line)?;
    fs::rename(&fresh, path).inspect_err(|_| {
        // It is of no use to anybody.
        let _ = fs::remove_file(&fresh);
    })
}

fn failed(what: &str) -> impl FnOnce(io::Error) -> ServiceError {
    let what = what.to_owned();
    move |source| ServiceError::System { what, source }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(words: &[&str]) -> Result<Asked, String> {
        let words: Vec<OsString> = words.iter().map(OsString::from).collect();
        asked(&words).map_err(|error| error.to_string())
    }

    #[test]
    fn a_command_line_is_read_in_any_order() {
        let expected = Asked {
            name: "web".to_owned(),
            configuration: Some("/etc/a b.conf".to_owned()),
            pidfile: Some("/run/web.pid".to_owned()),
            background: true,
            pauses: false,
            heir: false,
        };

        let one = ["web", "--config", "/etc/a b.conf", "--background", "--pidfile=/run/web.pid"];
        let other = ["--pidfile", "/run/web.pid", "--background", "--config=/etc/a b.conf", "web"];

        assert_eq!([read(&one), read(&other)], [Ok(expected.clone()), Ok(expected)]);
        assert_eq!(read(&[]).unwrap().name, USUAL_NAME);
        assert!(read(&["--pauses", "web"]).unwrap().pauses);
        assert!(read(&["web", "--heir"]).unwrap().heir);
    }

    #[test]
    fn what_is_not_understood_is_told() {
        for (words, said) in [
            (&["a", "b"][..], "'b' is not understood"),
            (&["a", "--conf", "b"], "'--conf' is not understood"),
            (&["a", "--config"], "--config needs a file"),
            (&["a/b"], "'a/b' is no name"),
            (&[""], "'' is no name"),
            (&["a", "--background=yes"], "'--background=yes' is not understood"),
        ] {
            let error = read(words).unwrap_err();
            assert!(error.starts_with(said) && error.contains("usage: "), "{error}");
        }
    }

    #[test]
    fn a_configuration_that_cannot_be_looked_for_is_not_taken_for_none() {
        let room = tempfile::tempdir().unwrap();
        let file = room.path().join("web.conf");
        assert_eq!(usual_configuration(&file).unwrap(), None);
        fs::write(&file, "").unwrap();
        assert_eq!(usual_configuration(&file).unwrap(), Some(file.display().to_string()));
        let lost = room.path().join("loop");
        std::os::unix::fs::symlink(&lost, &lost).unwrap();

        let error = usual_configuration(&lost.join("web.conf")).unwrap_err();

        assert_eq!(error.code(), CONFIGURATION);
        assert!(error.to_string().contains("loop/web.conf cannot be known"), "{error}");
    }

    #[test]
    fn of_one_name_there_is_one_keeper() {
        let room = tempfile::tempdir().unwrap();
        let place = room.path().join("web");

        let first = lock(&place).unwrap();

        let second = lock(&place);
        assert!(matches!(second, Err(error @ ServiceError::Taken(_)) if error.code() == TAKEN));
        drop(first);
        lock(&place).unwrap();
    }

    #[test]
    fn nothing_that_goes_wrong_ends_with_the_codes_of_a_wish() {
        let io = || io::Error::from(io::ErrorKind::Other);
        let broken = BootError::Broken { what: String::new(), source: io() };
        for error in [
            ServiceError::Usage(String::new()),
            ServiceError::NoPlace,
            ServiceError::Configuration(PathBuf::new(), io()),
            ServiceError::Taken(PathBuf::new()),
            failed("x")(io()),
            ServiceError::Launch(LaunchError::NoPlace(String::new())),
            ServiceError::Launch(BootError::Refused(String::new()).into()),
            ServiceError::Launch(broken.into()),
            ServiceError::Ended(String::new()),
        ] {
            assert!(error.code() > 1, "{error}");
        }
    }
}
