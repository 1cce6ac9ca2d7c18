//! What programs write, shown beside their logs: to the control thread, which puts event
//! listeners in the picture, in syslog, line by line, and in the main log where that is as
//! talkative as `debug`.
//!
//! A chunk is shown when it is in its log and has not left its pipe yet, so that a kill
//! leaves no line of it out of syslog; a line may be there twice then. While syslog has no
//! room, the lines of one chunk wait in memory, and the streams that go there are parked.

use std::sync::atomic::Ordering;

use bardo_sys::poller::Interest;
use bardo_sys::waker::Waker;

use super::intake::{Intake, PartKind, Tidings};
use super::main_log::MainLog;
use super::staging::Shown;
use super::streams::{Entry, Slot};
use super::syslog::{News, Syslog};
use super::worker::{SYSLOG_TOKEN, Worker};
use super::{Channel, Echo, Report, Severity, Shared, StreamKey, Tells};
use crate::words::{python_bytes, quoted, readable};

/// What syslog is called where targets have paths.
const SYSLOG_TARGET: &str = "syslog";

/// Who is shown what programs write.
pub(super) struct Readers<'a> {
    pub(super) syslog: &'a mut Syslog,
    pub(super) main_log: &'a mut MainLog,
    pub(super) intake: &'a Intake,
    pub(super) shared: &'a Shared,
    pub(super) control: &'a Waker,
}

/// Shows a chunk of a stream wherever that wants to be shown.
pub(super) fn show(entry: Option<&Entry>, shown: Shown<'_>, readers: &mut Readers<'_>) {
    let Some((entry, echo)) = entry.and_then(|entry| Some((entry, entry.echo.as_ref()?))) else {
        return;
    };
    tell(entry.key, echo, shown, readers);
    if echo.to_syslog && !shown.output.log.is_empty() {
        readers.syslog.say(&format!("{} ", echo.process), &shown.output.log);
    }
    if !echo.to_main_log {
        return;
    }
    let channel = entry.key.channel;
    if echo.tells == Tells::Everything {
        let text = python_bytes(shown.input);
        readers.main_log.say(Severity::Debug, &titled(echo, channel, &text));
        return;
    }
    for (kind, bytes) in shown.output.pieces() {
        let text = match kind {
            PartKind::CaptureEnd => emitted(echo, channel),
            PartKind::Logged | PartKind::Captured | PartKind::Said => copy(echo, channel, bytes),
        };
        readers.main_log.say(Severity::Debug, &text);
    }
}

/// Tells the control thread what it wants to know of a chunk.
fn tell(key: StreamKey, echo: &Echo, shown: Shown<'_>, readers: &Readers<'_>) {
    let (parts, chunks, capture_bytes_max) = match echo.tells {
        Tells::Nothing => return,
        Tells::Everything => (vec![(PartKind::Said, shown.input.to_vec())], false, 0),
        Tells::Events { chunks, capture_bytes_max } => {
            let wanted = &readers.shared.chunks_wanted[key.channel.index()];
            let chunks = chunks && wanted.load(Ordering::Relaxed);
            let told =
                shown.output.pieces().filter(|(kind, _)| chunks || *kind != PartKind::Logged);
            let parts = told.map(|(kind, bytes)| (kind, bytes.to_vec())).collect();
            (parts, chunks, capture_bytes_max)
        }
    };
    if parts.is_empty() {
        return;
    }
    let (pid, group, process) = (echo.pid, echo.group.clone(), echo.process.clone());
    let told = Tidings { key, pid, chunks, capture_bytes_max, group, process, parts };
    readers.intake.put(shown.number, &told);
    readers.control.wake();
}

/// What the main log says of a chunk, as Supervisor does.
fn copy(echo: &Echo, channel: Channel, text: &[u8]) -> String {
    titled(echo, channel, &readable(text))
}

fn titled(echo: &Echo, channel: Channel, text: &str) -> String {
    format!("{} {} output:\n{text}", quoted(&echo.process), channel.name())
}

/// What the main log says of a captured message.
fn emitted(echo: &Echo, channel: Channel) -> String {
    format!("{} {} emitted a comm event", quoted(&echo.process), channel.name())
}

impl Worker {
    /// Whether syslog or the control thread has no room for what a stream has to say.
    pub(super) fn is_silenced(&self, slot: Slot) -> bool {
        let Some(echo) = self.streams.get(slot).and_then(|entry| entry.echo.as_ref()) else {
            return false;
        };
        (echo.to_syslog && self.syslog.is_full())
            || (echo.tells != Tells::Nothing && self.is_intake_full())
    }

    /// Whether there is no room in the intake; the control thread says when there is.
    fn is_intake_full(&self) -> bool {
        if self.intake.has_room() {
            return false;
        }
        self.shared.wants_room.store(true, Ordering::SeqCst);
        // It may have made room before it could see that.
        !self.intake.has_room()
    }

    /// Lets the poll say when syslog has room, if it has none.
    pub(super) fn watch_syslog(&mut self) {
        if let Some(socket) = self.syslog.begin_to_watch()
            && self.poller.add(socket, SYSLOG_TOKEN, Interest::Writable).is_err()
        {
            // The kernel has no memory or no room for another watch.
            self.syslog.cease_to_watch();
            let soon = self.files.soon();
            self.try_later(soon);
        }
    }

    /// Syslog has room again, or has gone.
    pub(super) fn syslog_has_room(&mut self) {
        if let Some(socket) = self.syslog.cease_to_watch() {
            let _ = self.poller.delete(socket);
        }
        self.syslog.flush();
        if !self.syslog.is_full() {
            self.resume_parked();
        }
    }

    /// Says what has become of syslog.
    pub(super) fn tell(&mut self, news: &News) {
        let (severity, text) = match news {
            News::Refuses(why) => {
                (Severity::Warning, format!("cannot log to syslog: {why}; lines for it are lost"))
            }
            News::TakesAgain(lost) => (
                Severity::Information,
                format!("logging to syslog again; {lost} lines for it were lost"),
            ),
        };
        self.main_log.say(severity, &text);
        let target = SYSLOG_TARGET.into();
        let _ = self.reports.send(match news {
            News::Refuses(why) => Report::Refuses { target, why: why.clone() },
            News::TakesAgain(_) => Report::Takes(target),
        });
        self.control.wake();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chunk_is_copied_in_supervisors_words() {
        let echo = Echo {
            process: "cat".into(),
            group: "cat".into(),
            pid: 7,
            to_syslog: false,
            to_main_log: true,
            tells: Tells::Nothing,
        };

        let text = copy(&echo, Channel::Stdout, b"one\ntwo\n");
        let bytes = copy(&echo, Channel::Stderr, b"\xff\x00it's\n");

        assert_eq!(text, "'cat' stdout output:\none\ntwo\n");
        assert_eq!(bytes, "'cat' stderr output:\nUndecodable: b\"\\xff\\x00it's\\n\"");
    }
}
