//! Clients that read logs through the API while they are written and rotated, and while
//! supervisors die: what one is shown must be a piece of what was written, and as long as a
//! connection lives nothing may be missing from it.

use std::io::{self, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

use bardo_wire::xmlrpc::Value;

use super::client::CallError;
use super::drivers::{Drive, GaveUp};
use super::lines::{Ear, Voice};
use super::speakers;
use super::writers;

/// Whose logs are looked at: all of them are rotated several times in a second.
const LOOKED_AT: [&str; 6] = ["odd-1", "large-2", "strip-3", "both-1", "told-2", "capture-3"];

/// So much of a log is asked for at once.
const PIECE_BYTES: i32 = 20_000;

/// So much of a log that grows slowly: more than it grows between two questions.
const GROWTH_BYTES: i32 = 1_000_000;

/// Whose log is followed. Rotated now and then, but not twice between two looks of the one
/// who sends it: what is between two files nobody could be shown.
const FOLLOWED: &str = "tiny";

/// How often one asks what was added.
const ASK_EVERY: Duration = Duration::from_millis(50);

/// How long one who follows waits before it looks whether it is to end.
const READ_WITHIN: Duration = Duration::from_millis(100);

/// Looks at the ends of logs that are written at full speed.
pub(super) fn look(drive: Drive<'_>) -> Result<(), GaveUp> {
    for name in LOOKED_AT {
        let number = writers::number_of(name);
        let Some((voice, _)) = writers::all()[number].voices(number).into_iter().next() else {
            continue;
        };
        let Some((text, _)) = tail(drive, name, 0, PIECE_BYTES)? else { continue };
        if !is_piece(voice, &text) {
            return drive.give_up(&format!("{name}: its tail is no piece of it: {text:?}"));
        }
        drive.findings.tailed.fetch_add(text.len() as u64, Ordering::Relaxed);
    }
    thread::sleep(ASK_EVERY);
    Ok(())
}

/// Asks again and again what was added to a log since the last answer, whoever gave it.
pub(super) fn collect(drive: Drive<'_>) -> Result<(), GaveUp> {
    let name = speakers::name_of(0);
    let mut ear = Ear::new(speakers::voice_of_lines(0));
    let mut known = 0;
    while !drive.ending.load(Ordering::Relaxed) {
        drive.rest();
        thread::sleep(ASK_EVERY);
        let Some((text, end)) = tail(drive, &name, known, GROWTH_BYTES)? else { continue };
        // Supervisor's answer is the end of the log, however little of it is new.
        let new = usize::try_from(end - known).ok().and_then(|new| text.len().checked_sub(new));
        let Some(new) = new.and_then(|at| text.get(at..)) else {
            return drive.give_up(&format!(
                "{name}: {} bytes from {known} to {end} are not all that is new",
                text.len()
            ));
        };
        ear.hear(new.as_bytes());
        known = end;
        if !ear.is_content() {
            return drive.give_up(&format!("{name}: lines are missing up to {end}: {ear:?}"));
        }
        drive.findings.tailed.fetch_add(new.len() as u64, Ordering::Relaxed);
    }
    Ok(())
}

/// `tailProcessStdoutLog`: the text, and where the log ends. `None` when nobody answers.
fn tail(
    drive: Drive<'_>,
    name: &str,
    offset: i32,
    length: i32,
) -> Result<Option<(String, i32)>, GaveUp> {
    let parameters = [Value::from(name), Value::Int(offset.into()), Value::Int(length.into())];
    let answer = match drive.client.call("supervisor.tailProcessStdoutLog", &parameters) {
        Ok(answer) => answer,
        Err(CallError::Unanswered(_)) => return Ok(None),
        Err(error) => return drive.give_up(&format!("tail of {name}: {error}")),
    };
    let parts = answer.as_array().unwrap_or_default();
    let read = || {
        let [text, end, _] = parts else { return None };
        let end = i32::try_from(end.as_int()?).ok()?;
        Some((text.as_str()?.to_owned(), end))
    };
    match read() {
        Some(read) => Ok(Some(read)),
        None => drive.give_up(&format!("tail of {name}: {answer:?}")),
    }
}

/// Whether a text that begins and ends anywhere is a piece of what a voice has written.
fn is_piece(voice: Voice, text: &str) -> bool {
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    // Where there is no whole line behind the first end of one, nothing can be told.
    let [first, second, _, ..] = lines.as_slice() else { return true };
    let Some(number) = voice.number_of(second.as_bytes()).filter(|number| *number > 1) else {
        return false;
    };
    let count = lines.len() as u64;
    let written: String = (number - 1..number - 1 + count).map(|line| voice.line(line)).collect();
    let before = voice.line(number - 1).len().checked_sub(first.len());
    before.and_then(|before| written.get(before..)).is_some_and(|rest| rest.starts_with(text))
}

/// Follows a log over one connection after the other.
pub(super) fn follow(drive: Drive<'_>) -> Result<(), GaveUp> {
    let number = writers::number_of(FOLLOWED);
    let Some((voice, _)) = writers::all()[number].voices(number).into_iter().next() else {
        return drive.give_up("nobody to follow");
    };
    let mut reader = Reader::new(voice);
    match reader.read_all(drive) {
        Ok(()) => {}
        // A supervisor that dies ends the connection in one way or another.
        Err(error) if error.kind() == io::ErrorKind::InvalidData => {
            return drive.give_up(&format!("/logtail/{FOLLOWED}: {error}"));
        }
        Err(_) => {}
    }
    Ok(())
}

/// One connection that follows a log.
struct Reader {
    voice: Voice,
    /// What has come and is no whole line yet; at first the head of the answer.
    waiting: Vec<u8>,
    is_behind_head: bool,
    /// The number that must come now, once one has come.
    expected: Option<u64>,
}

impl Reader {
    fn new(voice: Voice) -> Self {
        Self { voice, waiting: Vec::new(), is_behind_head: false, expected: None }
    }

    fn read_all(&mut self, drive: Drive<'_>) -> io::Result<()> {
        let mut stream = UnixStream::connect(drive.client.socket())?;
        stream.set_read_timeout(Some(READ_WITHIN))?;
        write!(stream, "GET /logtail/{FOLLOWED} HTTP/1.0\r\n\r\n")?;
        let mut buffer = vec![0; 1 << 16];
        while !drive.ending.load(Ordering::Relaxed) && !drive.board.is_paused() {
            let length = match stream.read(&mut buffer) {
                Ok(0) => break,
                Ok(length) => length,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
                Err(error) => return Err(error),
            };
            self.waiting.extend_from_slice(&buffer[..length]);
            drive.findings.followed.fetch_add(length as u64, Ordering::Relaxed);
            self.take()?;
        }
        Ok(())
    }

    /// Takes the head, the rest of the line that it begins in, and then line by line.
    fn take(&mut self) -> io::Result<()> {
        let invalid = |text: String| io::Error::new(io::ErrorKind::InvalidData, text);
        if !self.is_behind_head {
            let Some(end) = self.waiting.windows(4).position(|part| part == b"\r\n\r\n") else {
                return Ok(());
            };
            let head: Vec<u8> = self.waiting.drain(..end + 4).collect();
            self.is_behind_head = true;
            // Between the two steps of a rotation there is no log of that name.
            if head.get(9..12) == Some(b"404".as_slice()) {
                return Err(io::ErrorKind::NotFound.into());
            }
            if head.get(9..12) != Some(b"200".as_slice()) {
                return Err(invalid(String::from_utf8_lossy(&head).into_owned()));
            }
        }
        while let Some(end) = self.waiting.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.waiting.drain(..=end).collect();
            let number = self.voice.number_of(&line);
            match (self.expected, number) {
                (Some(expected), Some(number)) if number == expected => {}
                (None, _) => {}
                (Some(expected), _) => {
                    let line = String::from_utf8_lossy(&line);
                    return Err(invalid(format!("line {expected} was to come, not {line:?}")));
                }
            }
            // The first piece may begin in the middle of a line.
            self.expected = number.map(|number| number + 1);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const VOICE: Voice = Voice { number: 5, high_bit: 0 };

    fn written(numbers: std::ops::Range<u64>) -> String {
        numbers.map(|number| VOICE.line(number)).collect()
    }

    #[test]
    fn a_piece_begins_and_ends_anywhere() {
        let text = written(7..15);

        for (from, to) in [(0, text.len()), (3, text.len() - 5), (20, 300)] {
            assert!(is_piece(VOICE, &text[from..to]), "{from} {to}");
        }
    }

    #[test]
    fn what_is_not_a_piece_is_told_from_one() {
        let gap = written(7..10) + &written(11..14);
        let twice = written(7..10) + &written(9..14);
        let mut torn = written(7..14);
        torn.remove(1);
        torn.insert(0, '?');

        for text in [gap, twice, torn] {
            assert!(!is_piece(VOICE, &text), "{text}");
        }
    }

    #[test]
    fn who_follows_notices_a_gap() {
        let mut whole = Reader::new(VOICE);
        whole.waiting = format!("HTTP/1.0 200 OK\r\n\r\nhalf.\n{}", written(3..9)).into_bytes();
        let mut holed = Reader::new(VOICE);
        holed.waiting =
            format!("HTTP/1.0 200 OK\r\n\r\n{}{}", written(3..5), written(6..9)).into_bytes();

        assert!(whole.take().is_ok());
        assert!(holed.take().is_err());
    }
}
