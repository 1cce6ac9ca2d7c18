//! Supervisor's words for what the core says without any.
//!
//! They are here for all who speak: the main log and event listeners, the API, and the tools.
//! What is not Supervisor's is in [`why`].

pub mod errno;
pub mod payload;
pub mod why;

use std::borrow::Cow;
use std::ffi::OsStr;
use std::fmt::Write as _;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use bardo_core::decision::Sign;
use bardo_core::service::{Service, StateName};
use bardo_core::spec::{Reach, ServiceSpec};
use bardo_core::{Errand, ExitStatus, Notice, Pid, Preparation, ServiceId, SpawnError, Supervisor};
use bardo_sys::plan::{Plan, Strings};
use bardo_sys::spawn::Step;

use crate::daemon::listeners::note::Note;
use crate::daemon::main_log::Level;
use crate::daemon::owed::End;

/// Most bytes of a message that nobody gets which are shown in the main log.
const SHOWN_BYTES: usize = 1024;

/// A state as clients know it: its number and its name.
#[must_use]
pub fn state(state: StateName) -> (i32, &'static str) {
    match state {
        StateName::Stopped => (0, "STOPPED"),
        StateName::Starting => (10, "STARTING"),
        StateName::Running => (20, "RUNNING"),
        StateName::Backoff => (30, "BACKOFF"),
        StateName::Stopping => (40, "STOPPING"),
        StateName::Exited => (100, "EXITED"),
        StateName::Fatal => (200, "FATAL"),
        StateName::Unknown => (1000, "UNKNOWN"),
    }
}

/// The line of the main log for a notice; `None` when its service is not there any
/// more.
#[must_use]
pub fn notice(supervisor: &Supervisor, notice: &Notice) -> Option<(Level, String)> {
    let name = |id: ServiceId| Some(&supervisor.service(id)?.spec.name);
    Some(match notice {
        Notice::Spawned { service, pid } => {
            (Level::Info, format!("spawned: '{}' with pid {pid}", name(*service)?))
        }
        Notice::SpawnFailed { service, error } => {
            let spec = &supervisor.service(*service)?.spec;
            (Level::Info, format!("spawnerr: {}", spawn_error(spec, *error)))
        }
        Notice::Stuck { service, pid } => {
            let text =
                "has not executed its program yet: it waits for a file system or was stopped";
            (Level::Warn, format!("'{}' ({pid}) {text}", name(*service)?))
        }
        Notice::StayedUp(service) => {
            let service = supervisor.service(*service)?;
            (Level::Info, stayed_up(service))
        }
        Notice::Ready { service, sign } => {
            let sign = match sign {
                Sign::Said => "it has said that it is ready",
                Sign::Checked => "a check has succeeded",
                Sign::StayedUp => "it has stayed up",
            };
            let text = format!("success: {} entered RUNNING state, {sign}", name(*service)?);
            (Level::Info, text)
        }
        Notice::Condemned { service, pid, reason } => {
            let reason = why::because(*reason);
            (Level::Warn, format!("killing '{}' ({pid}) with SIGKILL: {reason}", name(*service)?))
        }
        Notice::Exited { .. } | Notice::Stopped { .. } | Notice::GaveUp(_) => {
            let (service, how) = End::of(notice)?;
            end(name(service)?, how)
        }
        Notice::Stopping { service, pid, signal, reach } => {
            let group = if *reach == Reach::Group { "process group " } else { "" };
            let name = name(*service)?;
            (Level::Debug, format!("killing {name} (pid {pid}) {group}with signal {signal}"))
        }
        Notice::Killing { service, pid, .. } => {
            (Level::Warn, format!("killing '{}' ({pid}) with SIGKILL", name(*service)?))
        }
        Notice::Signalling { service, pid, signal } => {
            (Level::Debug, format!("sending {} (pid {pid}) sig {signal}", name(*service)?))
        }
        Notice::StoppedInBackoff(service) => {
            let text = "which is in BACKOFF state.";
            (Level::Debug, format!("Attempted to kill {}, {text}", name(*service)?))
        }
        Notice::ScriptSilent(service) => {
            let text = "its recovery script has ended and has decided nothing";
            (Level::Warn, format!("{} stays down: {text}", name(*service)?))
        }
        Notice::ScriptBusy(service) => {
            let text = "its recovery script still runs for the crash before";
            (Level::Warn, format!("{} stays down: {text}", name(*service)?))
        }
        Notice::SignalFailed { service, pid, errand, errno } => {
            (Level::Critical, signal_problem(name(*service)?, *pid, *errand, *errno))
        }
        Notice::NeedsItself { service, on } => {
            let name = name(*service)?;
            let text = format!(
                "{name} depends on {on}, which depends on {name}; it does not wait for that: \
                 take one of them out of depends_on"
            );
            (Level::Warn, text)
        }
        Notice::EndsAll { service, exit_code } => {
            let text = format!(
                "{} is down for good, and exit_on asks for it: everything ends, with exit code \
                 {exit_code}",
                name(*service)?
            );
            (Level::Warn, text)
        }
        Notice::Lost { name, failure, ended, exit_code } => {
            let why = why::lost(*failure, *ended);
            let text = format!(
                "{name} is critical and cannot be kept running: {why}; everything ends, with \
                 exit code {exit_code}"
            );
            (Level::Critical, text)
        }
        Notice::WaitingToStop(service) => {
            (Level::Info, format!("waiting for {} to stop", name(*service)?))
        }
        Notice::WaitingToDie(services) => {
            let names: Vec<&str> =
                services.iter().filter_map(|id| name(*id)).map(|name| &**name).collect();
            (Level::Info, format!("waiting for {} to die", names.join(", ")))
        }
    })
}

/// The line of the main log for the end of a life.
#[must_use]
pub fn end(name: &str, end: End) -> (Level, String) {
    match end {
        End::Exited { status, expected } => {
            let (level, word) =
                if expected { (Level::Info, "expected") } else { (Level::Warn, "not expected") };
            (level, format!("exited: {name} ({}; {word})", ending(status)))
        }
        End::Stopped { status, expected } => {
            let level = if expected { Level::Info } else { Level::Warn };
            (level, format!("stopped: {name} ({})", ending(status)))
        }
        End::GaveUp => {
            let text = "entered FATAL state, too many start retries too quickly";
            (Level::Info, format!("gave up: {name} {text}"))
        }
    }
}

fn stayed_up(service: &Service) -> String {
    let seconds = service.spec.program.startsecs.0;
    format!(
        "success: {} entered RUNNING state, process has stayed up for > than {seconds} seconds (startsecs)",
        service.spec.name
    )
}

/// Why a signal could not be sent. Supervisor has a Python trace behind the colon.
#[must_use]
pub fn signal_problem(name: &str, pid: Option<Pid>, errand: Errand, errno: i32) -> String {
    let what = match errand {
        Errand::Stop => "killing",
        Errand::Client => "sending sig",
    };
    let pid = pid.map_or(0, |pid| pid.0);
    let why = system_error(&io::Error::from_raw_os_error(errno));
    format!("unknown problem {what} {name} ({pid}): {why}")
}

/// How a process ended.
#[must_use]
pub fn ending(status: ExitStatus) -> String {
    match status {
        ExitStatus::Code(code) => format!("exit status {code}"),
        ExitStatus::Signal { signal, core } => {
            let core = if core { " (core dumped)" } else { "" };
            format!("terminated by {signal}{core}")
        }
        ExitStatus::Unknown => "exit status unknown".to_owned(),
    }
}

/// What a child says on its standard error when a step before its program failed.
#[must_use]
pub fn child_failure(plan: &Plan, step: Step, errno: i32) -> String {
    let first = |strings: &Strings| {
        strings.iter().next().map_or_else(String::new, |text| text.to_string_lossy().into_owned())
    };
    let uid = plan.identity.as_ref().map_or(0, |identity| identity.uid);
    let name = errno::name(errno);
    let what = match step {
        Step::Exec => format!("couldn't exec {}: {name}", first(&plan.words)),
        Step::Directory => format!("couldn't chdir to {}: {name}", first(&plan.directory)),
        Step::Groups | Step::Gid | Step::Uid if !rustix::process::geteuid().is_root() => {
            format!("couldn't setuid to {uid}: Can't drop privilege as nonroot user")
        }
        Step::Groups => {
            format!("couldn't setuid to {uid}: Could not set groups of effective user")
        }
        Step::Gid => {
            format!("couldn't setuid to {uid}: Could not set group id of effective user")
        }
        Step::Uid => format!("couldn't setuid to {uid}: {name}"),
        Step::Descriptors => format!("couldn't set up its descriptors: {name}"),
        Step::ProcessGroup => format!("couldn't lead a process group: {name}"),
        Step::Limits => format!("couldn't set its limits: {name}"),
        Step::Cgroup => format!("couldn't join its cgroup: {name}"),
        Step::Session => format!("couldn't lead a session: {name}"),
        Step::Priority => format!("couldn't set its nice value: {name}"),
        Step::Scheduling => format!("couldn't set how it is scheduled: {name}"),
        Step::Affinity => format!("couldn't set its processors: {name}"),
        Step::Capabilities => format!("couldn't give up its capabilities: {name}"),
        Step::NoNewPrivileges => format!("couldn't give up gaining privileges: {name}"),
    };
    format!("supervisor: {what}\nsupervisor: child process was not spawned\n")
}

/// Why a program could not be started: what `spawnerr` shows.
#[must_use]
pub fn spawn_error(spec: &ServiceSpec, error: SpawnError) -> String {
    let words = bardo_config::command::split(&spec.command).unwrap_or_default();
    spawn_error_at(spec, error, words.first().map_or("", String::as_str))
}

/// The same, where it is known which file was in the way.
#[must_use]
pub fn spawn_error_at(spec: &ServiceSpec, error: SpawnError, file: &str) -> String {
    let file = || quoted(file);
    match error {
        SpawnError::NoClosingQuotation => {
            format!("can't parse command {}: No closing quotation", quoted(&spec.command))
        }
        SpawnError::NoEscapedCharacter => {
            format!("can't parse command {}: No escaped character", quoted(&spec.command))
        }
        SpawnError::Empty => "command is empty".to_owned(),
        SpawnError::NotFound => format!("can't find command {}", file()),
        SpawnError::IsDirectory => format!("command at {} is a directory", file()),
        SpawnError::NotExecutable => format!("command at {} is not executable", file()),
        SpawnError::NotPermitted => format!("no permission to run command {}", file()),
        SpawnError::Pipes(libc_errno::EMFILE) => {
            format!("too many open files to spawn '{}'", spec.name)
        }
        SpawnError::Pipes(errno) => {
            let name = errno::name(errno);
            format!("unknown error making dispatchers for '{}': {name}", spec.name)
        }
        SpawnError::Exec(libc_errno::ENOENT) => {
            format!("what interprets command {} is not there", file())
        }
        SpawnError::Prepare(Preparation::Directory, errno) => {
            let directory = quoted(spec.directory.as_deref().unwrap_or_default());
            format!("can't enter directory {directory}: {}", errno::name(errno))
        }
        SpawnError::Prepare(Preparation::User, errno) => {
            let uid = spec.program.user.as_ref().map_or(0, |user| user.uid);
            format!("can't become user {uid}: {}", errno::name(errno))
        }
        SpawnError::Prepare(what, errno) => {
            format!("{}: {}", preparation(what), errno::name(errno))
        }
        SpawnError::Exec(errno) => {
            format!("command at {} cannot be executed: {}", file(), errno::name(errno))
        }
        SpawnError::Variables(errno) => {
            let file = spec.program.care.as_ref().and_then(|care| care.environment_file.as_deref());
            let file = quoted(file.unwrap_or_default());
            format!("can't use the variables of {file}: {}", errno::name(errno))
        }
        SpawnError::Socket(errno) => {
            let socket = spec.program.socket.as_ref();
            let url = socket.map_or_else(String::new, |socket| socket.address.to_string());
            let why = system_error(&io::Error::from_raw_os_error(errno));
            format!("Could not create FastCGI socket {url}: {why}")
        }
        SpawnError::Clone(libc_errno::EAGAIN) => {
            format!("Too many processes in process table to spawn '{}'", spec.name)
        }
        SpawnError::Clone(errno) => {
            format!("unknown error during fork for '{}': {}", spec.name, errno::name(errno))
        }
    }
}

/// What a process could not do before it executed its program.
#[must_use]
pub fn preparation(what: Preparation) -> &'static str {
    match what {
        Preparation::Descriptors => "its descriptors cannot be put in place",
        Preparation::Group => "it cannot lead a process group",
        Preparation::Limits => "its limits cannot be set",
        Preparation::User => "it cannot become its user",
        Preparation::Directory => "its directory cannot be entered",
        Preparation::Cgroup => "it cannot join its control group",
        Preparation::Priority => "its nice value cannot be set",
        Preparation::Scheduling => "how it is scheduled cannot be set",
        Preparation::Processors => "its processors cannot be set",
        Preparation::Privileges => "its privileges cannot be given up",
    }
}

/// The line of the main log for a start that failed because of this file.
#[must_use]
pub fn start_failed(spec: &ServiceSpec, error: SpawnError, file: &str) -> String {
    format!("spawnerr: {}", spawn_error_at(spec, error, file))
}

/// The file that a plan's program is at that entry of its search path.
#[must_use]
pub fn file_at(plan: &Plan, entry: u16) -> Option<String> {
    let path = plan.search_path.iter().next()?;
    let directory = path.to_bytes().split(|byte| *byte == b':').nth(usize::from(entry))?;
    let name = plan.words.iter().next()?;
    let file = Path::new(OsStr::from_bytes(directory)).join(OsStr::from_bytes(name.to_bytes()));
    Some(file.to_string_lossy().into_owned())
}

/// The two errnos that Supervisor has words for.
mod libc_errno {
    pub(super) const ENOENT: i32 = 2;
    pub(super) const EAGAIN: i32 = 11;
    pub(super) const EMFILE: i32 = 24;
}

/// Text in quotes, as Python's `repr` chooses them.
#[must_use]
pub fn quoted(text: &str) -> String {
    let quote = if text.contains('\'') && !text.contains('"') { '"' } else { '\'' };
    let mut quoted = String::from(quote);
    for character in text.chars() {
        match character {
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            '\\' => quoted.push_str("\\\\"),
            character if character == quote => {
                quoted.push('\\');
                quoted.push(character);
            }
            character => quoted.push(character),
        }
    }
    quoted.push(quote);
    quoted
}

/// An error of the system that is about a file, as Python shows it.
#[must_use]
pub fn python_error(error: &io::Error, file: &str) -> String {
    match error.raw_os_error() {
        Some(_) => format!("{}: {}", system_error(error), quoted(file)),
        None => error.to_string(),
    }
}

/// An error of the system, as Python shows it.
#[must_use]
pub fn system_error(error: &io::Error) -> String {
    let Some(number) = error.raw_os_error() else { return error.to_string() };
    let text = error.to_string();
    let text = text.strip_suffix(&format!(" (os error {number})")).unwrap_or(&text);
    format!("[Errno {number}] {text}")
}

/// The line of the main log for what is to be told of listeners; `None` for
/// what is only counted.
#[must_use]
pub fn listening(note: &Note) -> Option<(Level, String)> {
    Some(match note {
        Note::Offered(_) | Note::Handled { .. } => return None,
        Note::Failed(listener) => (Level::Warn, format!("{listener}: event caused an error")),
        Note::Overflowed { pool, serial } => (
            Level::Error,
            format!("pool {pool} event buffer overflowed, discarding event {serial}"),
        ),
        Note::PutBack { pool, serial, waiting, buffer_size } => (
            Level::Debug,
            format!(
                "rebuffering event {serial} for pool {pool} (buf size={waiting}, max={buffer_size})"
            ),
        ),
        Note::Sent { serial, listener } => {
            (Level::Debug, format!("event {serial} sent to listener {listener}"))
        }
        Note::Deaf { serial, listener } => (
            Level::Debug,
            format!(
                "epipe occurred while sending event {serial} to listener {listener}, \
                 listener state unchanged"
            ),
        ),
        Note::Changed { listener, from, to } => {
            (Level::Debug, format!("{listener}: {from} -> {to}"))
        }
        Note::Broken(listener) => (
            Level::Warn,
            format!(
                "{listener}: has entered the UNKNOWN state and will no longer receive events, \
                 this usually indicates the process violated the eventlistener protocol"
            ),
        ),
        Note::Processed(listener) => (Level::Debug, format!("{listener}: event was processed")),
        Note::Rejected(listener) => (Level::Warn, format!("{listener}: event was rejected")),
        Note::BadResult { listener, line } => {
            (Level::Warn, format!("{listener}: bad result line: '{}'", readable(line)))
        }
        Note::Unfinished { process, channel, message } => {
            let shown = &message[..message.len().min(SHOWN_BYTES)];
            let text = format!(
                "{} {} ended within a comm event, which is not sent: {} bytes: {}",
                quoted(process),
                channel.name(),
                message.len(),
                python_bytes(shown)
            );
            (Level::Warn, text)
        }
    })
}

/// What a program has written, as Supervisor shows it to readers of text.
#[must_use]
pub fn readable(bytes: &[u8]) -> Cow<'_, str> {
    match str::from_utf8(bytes) {
        Ok(text) => text.into(),
        Err(_) => format!("Undecodable: {}", python_bytes(bytes)).into(),
    }
}

/// Bytes as Python's `repr` writes them.
#[must_use]
pub fn python_bytes(bytes: &[u8]) -> String {
    let quote = if bytes.contains(&b'\'') && !bytes.contains(&b'"') { '"' } else { '\'' };
    let mut text = format!("b{quote}");
    for &byte in bytes {
        match char::from(byte) {
            '\n' => text.push_str("\\n"),
            '\r' => text.push_str("\\r"),
            '\t' => text.push_str("\\t"),
            '\\' => text.push_str("\\\\"),
            letter if letter == quote => text.extend(['\\', letter]),
            letter @ ' '..='~' => text.push(letter),
            // Writing into memory cannot fail.
            _ => write!(text, "\\x{byte:02x}").unwrap_or_default(),
        }
    }
    text.push(quote);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_start_that_fails_has_supervisors_words() {
        let words =
            |command, error| spawn_error(&crate::api::test_specs::service("p", command), error);

        let cases = [
            (SpawnError::Empty, "command is empty"),
            (SpawnError::NotFound, "can't find command '/x/y'"),
            (SpawnError::IsDirectory, "command at '/x/y' is a directory"),
            (SpawnError::NotExecutable, "command at '/x/y' is not executable"),
            (SpawnError::NotPermitted, "no permission to run command '/x/y'"),
            (SpawnError::Exec(8), "command at '/x/y' cannot be executed: ENOEXEC"),
            (SpawnError::Exec(2), "what interprets command '/x/y' is not there"),
            (SpawnError::Prepare(Preparation::Directory, 2), "can't enter directory '': ENOENT"),
            (SpawnError::Prepare(Preparation::User, 1), "can't become user 0: EPERM"),
            (
                SpawnError::Prepare(Preparation::Cgroup, 16),
                "it cannot join its control group: EBUSY",
            ),
            (SpawnError::Variables(2), "can't use the variables of '': ENOENT"),
            (SpawnError::Pipes(24), "too many open files to spawn 'p'"),
            (SpawnError::Pipes(12), "unknown error making dispatchers for 'p': ENOMEM"),
            (SpawnError::Clone(11), "Too many processes in process table to spawn 'p'"),
            (SpawnError::Clone(12), "unknown error during fork for 'p': ENOMEM"),
        ];
        for (error, expected) in cases {
            assert_eq!(words("/x/y 'a b'", error), expected);
        }
        let open = "/x 'y";
        let expected = "can't parse command \"/x 'y\": No closing quotation";
        assert_eq!(words(open, SpawnError::NoClosingQuotation), expected);
        let expected = "can't parse command '/x\\\\': No escaped character";
        assert_eq!(words("/x\\", SpawnError::NoEscapedCharacter), expected);
    }

    #[test]
    fn what_is_special_about_a_service_that_is_cared_for_is_said() {
        use crate::api::test_specs;
        use bardo_core::action::Actions;
        use bardo_core::decision::Reason;
        use bardo_core::{Configuration, Input, Now};
        let groups = vec![test_specs::group("p", vec![test_specs::service("p", "/x")])];
        let begin = Input::Begin(Configuration { groups, ..Configuration::default() });
        let mut supervisor = Supervisor::new();
        supervisor.step(Now::default(), begin, &mut Actions::default());
        let (service, pid) = (ServiceId(0), Pid(9));

        let cases = [
            (
                Notice::Ready { service, sign: Sign::Said },
                "success: p entered RUNNING state, it has said that it is ready",
            ),
            (
                Notice::Condemned { service, pid, reason: Reason::NoHeartbeat },
                "killing 'p' (9) with SIGKILL: it gave no sign of life in time",
            ),
            (
                Notice::ScriptBusy(service),
                "p stays down: its recovery script still runs for the crash before",
            ),
            (
                Notice::ScriptSilent(service),
                "p stays down: its recovery script has ended and has decided nothing",
            ),
        ];
        for (said, expected) in cases {
            let (_, text) = notice(&supervisor, &said).unwrap();
            assert_eq!(text, expected);
        }
    }

    #[test]
    fn errors_of_the_system_are_shown_as_python_shows_them() {
        let error = io::Error::from_raw_os_error(13);

        assert_eq!(python_error(&error, "/x"), "[Errno 13] Permission denied: '/x'");
    }

    #[test]
    fn a_signal_that_could_not_be_sent_has_supervisors_words() {
        let words = |errand| signal_problem("p", Some(Pid(9)), errand, 1);

        let why = "(9): [Errno 1] Operation not permitted";
        assert_eq!(words(Errand::Stop), format!("unknown problem killing p {why}"));
        assert_eq!(words(Errand::Client), format!("unknown problem sending sig p {why}"));
    }

    #[test]
    fn text_is_quoted_as_python_quotes() {
        assert_eq!(quoted("a b"), "'a b'");
        assert_eq!(quoted("it's"), "\"it's\"");
        assert_eq!(quoted("a\n\\"), "'a\\n\\\\'");
    }

    #[test]
    fn endings_have_supervisors_words() {
        assert_eq!(ending(ExitStatus::from_wait_status(3 << 8)), "exit status 3");
        assert_eq!(ending(ExitStatus::from_wait_status(15)), "terminated by SIGTERM");
        let dumped = ExitStatus::from_wait_status(11 | 0x80);
        assert_eq!(ending(dumped), "terminated by SIGSEGV (core dumped)");
    }

    #[test]
    fn bytes_are_quoted_as_python_does() {
        let cases: [(&[u8], &str); 4] = [
            (b"plain", "b'plain'"),
            (b"it's", "b\"it's\""),
            (b"'\"", "b'\\'\"'"),
            (b"\t\r\n\\\x7f\x80", "b'\\t\\r\\n\\\\\\x7f\\x80'"),
        ];

        for (bytes, expected) in cases {
            assert_eq!(python_bytes(bytes), expected);
        }
    }
}
