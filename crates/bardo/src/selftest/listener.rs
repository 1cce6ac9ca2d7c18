//! The event listeners of the self-test: how they behave, and what they have noted.
//!
//! `selftest-actor FOLDER SEED listener NAME MANNER`. A listener notes each event with its
//! judgement in the file `NAME.heard` before it says what it thinks of it: whatever happens
//! to it or to the supervisor then, the note is there.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use super::home::add_line;

/// How often a listener looks whether it may go on.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// Bytes that one that reads slowly takes at a time.
const SIP: usize = 4096;

/// How a listener behaves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Manner {
    /// It says that every event is well.
    Content,
    /// It rejects every event whose number among those that it has heard is a multiple.
    Picky(u64),
    /// It reads a little at a time, with a wait before each.
    Slow(Duration),
    /// It says that it is ready, and never reads anything.
    Hanging,
    /// It waits with each answer until there is a file `NAME.go`.
    Gated,
    /// It breaks the rules at its first event.
    Rude,
    /// It says twice that it is ready.
    Eager,
    /// It ends in the middle of its first event, and is content in its next lives.
    Mortal,
    /// It answers that all is well, and ends at once.
    Brief,
    /// It says that it is ready, closes its standard input, and makes a file `NAME.deaf`.
    Deaf,
    /// It answers this, whatever it was told.
    Says(String),
}

impl Manner {
    /// Of the words on a command line.
    #[must_use]
    pub fn of(words: &[String]) -> Self {
        let number = words.get(1).and_then(|word| word.parse().ok()).unwrap_or(1);
        match words.first().map_or("", String::as_str) {
            "picky" => Self::Picky(number),
            "slow" => Self::Slow(Duration::from_millis(number)),
            "hanging" => Self::Hanging,
            "gated" => Self::Gated,
            "rude" => Self::Rude,
            "eager" => Self::Eager,
            "mortal" => Self::Mortal,
            "brief" => Self::Brief,
            "deaf" => Self::Deaf,
            "says" => Self::Says(words.get(1).cloned().unwrap_or_default()),
            _ => Self::Content,
        }
    }
}

/// An event as a listener has noted it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heard {
    /// The line before the payload, without its end.
    pub header: String,
    /// The payload.
    pub payload: String,
    /// Whether it was said to be well.
    pub is_accepted: bool,
}

impl Heard {
    /// A field of the header.
    #[must_use]
    pub fn field(&self, name: &str) -> &str {
        let fields = self.header.split(' ').filter_map(|field| field.split_once(':'));
        fields.filter(|(key, _)| *key == name).map(|(_, value)| value).next().unwrap_or_default()
    }

    /// Its number.
    #[must_use]
    pub fn serial(&self) -> u64 {
        self.field("serial").parse().unwrap_or(u64::MAX)
    }

    /// The name of its type.
    #[must_use]
    pub fn event(&self) -> &str {
        self.field("eventname")
    }

    /// A field of the first line of the payload.
    #[must_use]
    pub fn about(&self, name: &str) -> &str {
        let line = self.payload.lines().next().unwrap_or_default();
        let fields = line.split(' ').filter_map(|field| field.split_once(':'));
        fields.filter(|(key, _)| *key == name).map(|(_, value)| value).next().unwrap_or_default()
    }

    /// What stands behind the first line of the payload.
    #[must_use]
    pub fn data(&self) -> &str {
        self.payload.split_once('\n').map_or("", |(_, data)| data)
    }
}

/// Where a listener notes what it hears.
#[must_use]
pub fn notes_file(folder: &Path, name: &str) -> PathBuf {
    folder.join(format!("{name}.heard"))
}

/// What a listener has noted so far, in its order.
#[must_use]
pub fn heard(folder: &Path, name: &str) -> Vec<Heard> {
    let bytes = fs::read(notes_file(folder, name)).unwrap_or_default();
    let mut heard = Vec::new();
    let mut rest = bytes.as_slice();
    while let Some(note) = next_note(&mut rest) {
        heard.push(note);
    }
    heard
}

/// A note: `ok LENGTH` or `no LENGTH`, and so many bytes of an event as it was sent.
fn next_note(rest: &mut &[u8]) -> Option<Heard> {
    let end = rest.iter().position(|byte| *byte == b'\n')?;
    let line = str::from_utf8(&rest[..end]).ok()?;
    let (judgement, length) = line.split_once(' ')?;
    let event = rest.get(end + 1..)?.get(..length.parse().ok()?)?;
    *rest = &rest[end + 1 + event.len()..];
    let event = String::from_utf8_lossy(event);
    let (header, payload) = event.split_once('\n')?;
    let (header, payload) = (header.to_owned(), payload.to_owned());
    Some(Heard { header, payload, is_accepted: judgement == "ok" })
}

/// Listens until its standard input ends; returns the exit code.
///
/// # Errors
/// When it cannot note something, or what it is sent is no event.
pub fn play(folder: &Path, words: &[String]) -> io::Result<u8> {
    let name = words.first().ok_or(io::ErrorKind::InvalidInput)?.clone();
    let manner = Manner::of(&words[1..]);
    let heard = File::options().append(true).create(true).open(notes_file(folder, &name))?;
    let mut listener = Listener {
        manner,
        notes: heard,
        gate: folder.join(format!("{name}.go")),
        tomb: folder.join(format!("{name}.died")),
        count: 0,
        input: Input::default(),
    };
    if listener.tomb.exists() {
        listener.manner = Manner::Content;
    }
    add_line(&folder.join(format!("{name}.lives")), &std::process::id().to_string())?;
    say(if listener.manner == Manner::Eager { b"READY\nREADY\n" } else { b"READY\n" })?;
    match listener.manner {
        Manner::Hanging => loop {
            thread::park();
        },
        Manner::Deaf => {
            // Nothing else reads from this pipe.
            drop(File::from(close_stdin()?));
            fs::write(folder.join(format!("{name}.deaf")), "")?;
            loop {
                thread::park();
            }
        }
        _ => listener.listen(),
    }
}

/// The standard input itself, in whose place there is nothing any more that can be read.
fn close_stdin() -> io::Result<std::os::fd::OwnedFd> {
    let stdin = rustix::io::dup(io::stdin())?;
    let null = File::open("/dev/null")?;
    rustix::stdio::dup2_stdin(&null)?;
    Ok(stdin)
}

struct Listener {
    manner: Manner,
    notes: File,
    gate: PathBuf,
    tomb: PathBuf,
    count: u64,
    input: Input,
}

impl Listener {
    fn listen(&mut self) -> io::Result<u8> {
        while let Some(range) = self.input.next_event(&self.manner)? {
            self.count += 1;
            if self.manner == Manner::Mortal {
                fs::write(&self.tomb, "")?;
                return Ok(1);
            }
            let rejects = match &self.manner {
                Manner::Picky(every) => self.count.is_multiple_of(*every),
                Manner::Says(text) => text != "OK",
                Manner::Rude => true,
                _ => false,
            };
            while self.manner == Manner::Gated && !self.gate.exists() {
                thread::sleep(LOOK_EVERY);
            }
            self.note(range, rejects)?;
            match &self.manner {
                Manner::Rude => say(b"RESULT two\nOK")?,
                Manner::Says(text) => {
                    say(format!("RESULT {}\n{text}READY\n", text.len()).as_bytes())?;
                }
                Manner::Brief => {
                    say(b"RESULT 2\nOK")?;
                    return Ok(0);
                }
                _ if rejects => say(b"RESULT 4\nFAILREADY\n")?,
                _ => say(b"RESULT 2\nOKREADY\n")?,
            }
        }
        Ok(0)
    }

    /// Notes an event in one write, so that a note is whole or not there.
    fn note(&mut self, event: Range<usize>, rejects: bool) -> io::Result<()> {
        let judgement = if rejects { "no" } else { "ok" };
        let mut note = format!("{judgement} {}\n", event.len()).into_bytes();
        note.extend_from_slice(&self.input.bytes[event]);
        self.notes.write_all(&note)
    }
}

/// What was read from standard input.
#[derive(Debug, Default)]
pub struct Input {
    /// All that was read and is still of interest.
    pub bytes: Vec<u8>,
    taken: usize,
}

impl Input {
    /// The next event, header and payload, as a place in `bytes`; `None` at the end.
    ///
    /// # Errors
    /// When it is none, or standard input cannot be read.
    pub fn next_event(&mut self, manner: &Manner) -> io::Result<Option<Range<usize>>> {
        self.bytes.drain(..std::mem::take(&mut self.taken));
        let mut checked = 0;
        let head = loop {
            if let Some(end) = self.bytes[checked..].iter().position(|byte| *byte == b'\n') {
                break checked + end + 1;
            }
            checked = self.bytes.len();
            if !self.read_more(manner)? {
                return Ok(None);
            }
        };
        let header = String::from_utf8_lossy(&self.bytes[..head]).into_owned();
        let length = header.trim_end().rsplit_once(" len:").and_then(|(_, text)| text.parse().ok());
        let mut characters: usize = length.ok_or_else(|| io::Error::other(header))?;
        let mut end = head;
        while characters > 0 {
            let Some(first) = self.bytes.get(end) else {
                if !self.read_more(manner)? {
                    return Ok(None);
                }
                continue;
            };
            end += character_bytes(*first);
            characters -= 1;
        }
        while self.bytes.len() < end {
            if !self.read_more(manner)? {
                return Ok(None);
            }
        }
        self.taken = end;
        Ok(Some(0..end))
    }

    fn read_more(&mut self, manner: &Manner) -> io::Result<bool> {
        let mut buffer = [0; 1 << 16];
        let part = match manner {
            Manner::Slow(wait) => {
                thread::sleep(*wait);
                &mut buffer[..SIP]
            }
            _ => &mut buffer[..],
        };
        let length = rustix::io::read(io::stdin(), &mut *part)?;
        self.bytes.extend_from_slice(&part[..length]);
        Ok(length > 0)
    }
}

/// How many bytes the character has that begins with this one, in UTF-8.
fn character_bytes(first: u8) -> usize {
    match first.leading_ones() {
        2 => 2,
        3 => 3,
        4 => 4,
        _ => 1,
    }
}

/// Says something in one write, past the library's buffer.
///
/// # Errors
/// When nobody reads it.
pub fn say(bytes: &[u8]) -> io::Result<()> {
    let mut rest = bytes;
    while !rest.is_empty() {
        rest = &rest[rustix::io::write(io::stdout(), rest)?..];
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_are_read_as_they_were_written() {
        let event = "ver:3.0 serial:7 eventname:TICK_5 len:6\nwhen:ä";
        let notes = format!("no {}\n{event}ok 100\nnot all of it", event.len());

        let mut rest = notes.as_bytes();
        let note = next_note(&mut rest).unwrap();

        assert_eq!((note.serial(), note.event(), note.is_accepted), (7, "TICK_5", false));
        assert_eq!((note.payload.as_str(), note.about("when")), ("when:ä", "ä"));
        assert_eq!(next_note(&mut rest), None);
    }

    #[test]
    fn a_character_says_how_long_it_is() {
        for text in ["a", "ä", "€", "😀"] {
            assert_eq!(character_bytes(text.as_bytes()[0]), text.len(), "{text}");
        }
    }
}
