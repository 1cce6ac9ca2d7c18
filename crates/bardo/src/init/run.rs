//! What a service manager starts: `bardo --service-run NAME`.
//!
//! It is `bardo run` with what a service needs beside it: a name, of which there is one at a
//! time, and somebody who wants to know when all is ready.
//!
//! Its exit codes are a contract with whoever has started it: 0 is a shutdown that was asked
//! for, 1 a restart that was asked for, and everything else went wrong. So nothing that goes
//! wrong ever ends with 1.

mod background;
mod command_line;
mod inheritance;
pub(super) mod lock;
pub(super) mod pause;

use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use bardo_config::Request;
use bardo_keeper::FORWARDED;
use bardo_sys::limits::{self, Limit, Limited};
use bardo_sys::{pipe, signals};
use rustix::process::{Signal, getpid, kill_process};

use crate::daemon::boot::{self, BootError, StartedService};
use crate::daemon::handover;
use crate::daemon::keeping::{self, ResumeError};
use crate::daemon::managed::folder;
use crate::daemon::managed::folder::place;
use crate::daemon::settings::Service;
pub use crate::daemon::stage::RUN;
use crate::launcher::{self, LaunchError};

use super::pauses::Waited;
use super::reap;
use background::{await_ready, goes_on_behind};
pub use command_line::PAUSES;
use command_line::{Asked, asked};
use inheritance::inherited;
use lock::lock;
use pause::pause;

/// Where the configuration of a service is that is told of none.
const CONFIGURATIONS: &str = "/etc/bardo";

/// Exit codes, of sysexits(3) where it has one.
const USAGE: u8 = 2;
const UNAVAILABLE: u8 = 69;
const BROKEN: u8 = 70;
const NO_SYSTEM: u8 = 71;
const NO_FILE: u8 = 73;
const TAKEN: u8 = 75;
const CONFIGURATION: u8 = 78;

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
        if let (Some(read), Some(pipe)) = (&read, &write)
            && !goes_on_behind(pipe).map_err(failed("go to the background"))?
        {
            // So that the end of the keeper is seen where it is never ready.
            drop(write);
            signals::unblock_all();
            return await_ready(read, asked.pidfile.as_deref()).map(|()| None);
        }
        if waited == Waited::UntilReload {
            // What runs on has not read its configuration for that.
            let _ = kill_process(getpid(), Signal::HUP);
        }
        return Ok(Some(keeping::resume(inherited, (lock, &place), write)?));
    }
    if matches!(waited, Waited::UntilStop(_)) {
        return Ok(Some(0));
    }
    if asked.heir {
        folder::leave(&place);
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

fn failed(what: &str) -> impl FnOnce(io::Error) -> ServiceError {
    let what = what.to_owned();
    move |source| ServiceError::System { what, source }
}

#[cfg(test)]
mod tests {
    use super::*;

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
