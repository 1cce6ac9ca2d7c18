//! Which file a stream goes to, and bytes for a standard input.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use bardo_core::service::Service;
use bardo_core::spec::{LogSpec, LogTarget, ServiceSpec};
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};

use super::journal::Surroundings;
use super::main_log::Level;
use super::pump::{Channel, Echo, Tells};
use super::settings::Settings;

/// Random letters of an automatic log's name, and what they are chosen from.
const RANDOM_LETTERS: usize = 8;
const LETTERS: &[u8; 37] = b"abcdefghijklmnopqrstuvwxyz0123456789_";

/// The log of a stream.
#[must_use]
pub fn spec(spec: &ServiceSpec, channel: Channel) -> &LogSpec {
    match channel {
        Channel::Stdout => &spec.stdout,
        Channel::Stderr => &spec.stderr,
    }
}

/// The file of a stream; `None` where it has none.
#[must_use]
pub fn path(around: &Surroundings, service: &Service, channel: Channel) -> Option<Arc<str>> {
    if channel == Channel::Stderr && service.spec.program.redirect_stderr {
        return None;
    }
    match &spec(&service.spec, channel).target {
        LogTarget::None => None,
        LogTarget::File(path) => Some(Arc::clone(path)),
        LogTarget::Auto => around.auto_logs.get(&(service.id, channel_number(channel))).cloned(),
    }
}

/// Where a stream is shown beside its log; `None` where it is not.
#[must_use]
pub fn echo(
    settings: &Settings,
    around: &Surroundings,
    service: &Service,
    channel: Channel,
) -> Option<Echo> {
    let program = &service.spec.program;
    if channel == Channel::Stderr && program.redirect_stderr {
        return None;
    }
    // What a listener says on its standard output is for the supervisor, not for readers.
    let log = spec(&service.spec, channel);
    let is_protocol = channel == Channel::Stdout && around.audience.pools.has_member(service.id);
    let to_syslog = log.syslog && !is_protocol;
    let to_main_log = settings.main_log.level <= Level::Debug;
    let tells = match (is_protocol, capture_bytes_max(log)) {
        (true, _) => Tells::Everything,
        (false, 0) if !log.events => Tells::Nothing,
        (false, capture_bytes_max) => Tells::Events { chunks: log.events, capture_bytes_max },
    };
    let echo = || Echo {
        process: service.spec.name.to_string(),
        group: service.group.to_string(),
        pid: service.pid.map_or(0, |pid| pid.0),
        to_syslog,
        to_main_log,
        tells,
    };
    (to_syslog || to_main_log || tells != Tells::Nothing).then(echo)
}

/// Most bytes of a captured message; 0 where none is captured.
fn capture_bytes_max(log: &LogSpec) -> u64 {
    u64::try_from(log.capture_bytes_max).unwrap_or(0)
}

/// The channel's number in the journal.
#[must_use]
pub fn channel_number(channel: Channel) -> u8 {
    match channel {
        Channel::Stdout => 0,
        Channel::Stderr => 1,
    }
}

/// A new name for an automatic log, as Supervisor makes it:
/// `DIRECTORY/PROCESS-CHANNEL---IDENTIFIER-RANDOM.log`.
#[must_use]
pub fn automatic_name(settings: &Settings, process: &str, channel: Channel) -> Arc<str> {
    let mut bytes = [0; RANDOM_LETTERS];
    // Without random bytes the name is still right, only not surprising.
    let _ = rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty());
    let random: String =
        bytes.iter().map(|byte| char::from(LETTERS[usize::from(*byte) % LETTERS.len()])).collect();
    let directory = settings.child_log_directory.trim_end_matches('/');
    let channel = channel.name();
    format!("{directory}/{process}-{channel}---{}-{random}.log", settings.identifier).into()
}

/// Whether a file has the name that an automatic log of this process is given.
#[must_use]
pub fn is_automatic_name(path: &str, process: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    let channel = name.strip_prefix(process).and_then(|rest| rest.strip_prefix('-'));
    channel.is_some_and(|channel| {
        Channel::BOTH.iter().any(|known| {
            channel.strip_prefix(known.name()).is_some_and(|rest| rest.starts_with("---"))
        })
    })
}

/// Whether an automatic log of a service has no name yet.
#[must_use]
pub fn wants_automatic_name(around: &Surroundings, service: &Service) -> bool {
    Channel::BOTH.into_iter().any(|channel| {
        let redirected = channel == Channel::Stderr && service.spec.program.redirect_stderr;
        let key = (service.id, channel_number(channel));
        spec(&service.spec, channel).target == LogTarget::Auto
            && !redirected
            && !around.auto_logs.contains_key(&key)
    })
}

/// Writes as much to a standard input as it takes without waiting.
///
/// # Errors
/// When nobody reads it any more.
pub fn write_some(stdin: &OwnedFd, bytes: &[u8]) -> io::Result<usize> {
    let flags = fcntl_getfl(stdin)?;
    if !flags.contains(OFlags::NONBLOCK) {
        // The child's end is another open file: it goes on waiting as it likes.
        fcntl_setfl(stdin, flags | OFlags::NONBLOCK)?;
    }
    let mut written = 0;
    while written < bytes.len() {
        match rustix::io::write(stdin.as_fd(), &bytes[written..]) {
            Ok(count) => written += count,
            Err(rustix::io::Errno::AGAIN) => break,
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(written)
}
