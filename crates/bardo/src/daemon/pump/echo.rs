//! What programs write, shown beside their logs: in syslog, line by line, and in the main
//! log where that is as talkative as `debug`.
//!
//! A chunk is shown when it is in its log and has not left its pipe yet, so that a kill
//! leaves no line of it out of syslog; a line may be there twice then. While syslog has no
//! room, the lines of one chunk wait in memory, and the streams that go there are parked.

use std::fmt::Write as _;

use bardo_sys::poller::Interest;

use super::main_log::MainLog;
use super::streams::{Entry, Slot};
use super::syslog::{News, Syslog};
use super::worker::{SYSLOG_TOKEN, Worker};
use super::{Channel, Echo, Severity};

/// Shows a chunk of a stream wherever that wants to be shown.
pub(super) fn show(
    entry: Option<&Entry>,
    text: &[u8],
    syslog: &mut Syslog,
    main_log: &mut MainLog,
) {
    let Some((entry, echo)) = entry.and_then(|entry| Some((entry, entry.echo.as_ref()?))) else {
        return;
    };
    if text.is_empty() {
        return;
    }
    if echo.to_syslog {
        syslog.say(&format!("{} ", echo.process), text);
    }
    if echo.to_main_log {
        main_log.say(Severity::Debug, &copy(echo, entry.key.channel, text));
    }
}

/// What the main log says of a chunk, as Supervisor does.
fn copy(echo: &Echo, channel: Channel, text: &[u8]) -> String {
    let text = match str::from_utf8(text) {
        Ok(text) => text.into(),
        Err(_) => format!("Undecodable: {}", python_bytes(text)),
    };
    format!(
        "{} {} output:\n{text}",
        crate::personality::words::quoted(&echo.process),
        channel.name()
    )
}

/// Bytes as Python's `repr` writes them.
fn python_bytes(bytes: &[u8]) -> String {
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

impl Worker {
    /// Whether syslog has no room for what a stream has to say.
    pub(super) fn is_silenced(&self, slot: Slot) -> bool {
        let echo = self.streams.get(slot).and_then(|entry| entry.echo.as_ref());
        self.syslog.is_full() && echo.is_some_and(|echo| echo.to_syslog)
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
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chunk_is_copied_in_supervisors_words() {
        let echo = Echo { process: "cat".into(), to_syslog: false, to_main_log: true };

        let text = copy(&echo, Channel::Stdout, b"one\ntwo\n");
        let bytes = copy(&echo, Channel::Stderr, b"\xff\x00it's\n");

        assert_eq!(text, "'cat' stdout output:\none\ntwo\n");
        assert_eq!(bytes, "'cat' stderr output:\nUndecodable: b\"\\xff\\x00it's\\n\"");
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
