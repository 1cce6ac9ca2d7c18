//! What programs write between the marks of a captured message, until it is whole.

use std::collections::BTreeMap;

use bardo_core::{Generation, ServiceId};

/// Most bytes of one message, whatever `capture_maxbytes=` says, and of all together. They
/// are in the journal, which has room for several times as much.
const MESSAGE_BYTES_MAX: usize = 8 << 20;
const ALL_BYTES_MAX: usize = 16 << 20;

/// Whose message: service, life and the number of the stream.
pub type Speaker = (ServiceId, Generation, u8);

/// The messages that are not whole yet.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Captures {
    unfinished: BTreeMap<Speaker, Message>,
}

/// A message that is not whole yet.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Message {
    /// The name of the process.
    pub process: String,
    /// What it has written so far.
    pub bytes: Vec<u8>,
}

impl Captures {
    /// Messages as they were.
    #[must_use]
    pub fn restored(unfinished: Vec<(Speaker, Message)>) -> Self {
        Self { unfinished: unfinished.into_iter().collect() }
    }

    /// Every message that is not whole yet.
    pub fn all(&self) -> impl Iterator<Item = (&Speaker, &Message)> {
        self.unfinished.iter()
    }

    /// Takes in bytes of a message. Where it gets longer than it may, as many bytes as are
    /// new are dropped from its beginning, as `BoundIO` in Supervisor's `loggers.py` does.
    pub fn add(&mut self, speaker: Speaker, process: &str, bytes: &[u8], bytes_max: usize) {
        let new = || Message { process: process.to_owned(), bytes: Vec::new() };
        let message = &mut self.unfinished.entry(speaker).or_insert_with(new).bytes;
        if message.len() + bytes.len() > bytes_max.min(MESSAGE_BYTES_MAX) {
            message.drain(..bytes.len().min(message.len()));
        }
        message.extend_from_slice(bytes);
        let all = |all: &BTreeMap<Speaker, Message>| -> usize {
            all.values().map(|message| message.bytes.len()).sum()
        };
        while all(&self.unfinished) > ALL_BYTES_MAX {
            let longest = self.unfinished.values_mut().max_by_key(|message| message.bytes.len());
            longest.map(|message| message.bytes.clear()).unwrap_or_default();
        }
    }

    /// Takes a message out: it is whole, or nothing follows any more.
    pub fn take(&mut self, speaker: Speaker) -> Option<Message> {
        self.unfinished.remove(&speaker)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPEAKER: Speaker = (ServiceId(1), Generation(2), 0);

    fn taken(captures: &mut Captures) -> Option<Vec<u8>> {
        captures.take(SPEAKER).map(|message| message.bytes)
    }

    #[test]
    fn a_message_is_put_together() {
        let mut captures = Captures::default();

        captures.add(SPEAKER, "a", b"one", 100);
        captures.add((ServiceId(2), Generation(2), 0), "b", b"other", 100);
        captures.add(SPEAKER, "a", b"two", 100);

        assert_eq!(taken(&mut captures), Some(b"onetwo".to_vec()));
        assert_eq!(taken(&mut captures), None);
    }

    #[test]
    fn a_long_message_loses_its_beginning_as_in_supervisor() {
        let mut captures = Captures::default();

        captures.add(SPEAKER, "a", b"abcdefgh", 10);
        captures.add(SPEAKER, "a", b"ijkl", 10);
        assert_eq!(
            captures.all().next().map(|(_, message)| &message.bytes[..]),
            Some(b"efghijkl".as_slice())
        );

        captures.add(SPEAKER, "a", b"longer than it may be", 10);
        assert_eq!(taken(&mut captures), Some(b"longer than it may be".to_vec()));
    }

    #[test]
    fn all_messages_together_have_a_bound() {
        let mut captures = Captures::default();
        let part = vec![b'x'; MESSAGE_BYTES_MAX / 2];

        for service in 0..10 {
            captures.add((ServiceId(service), Generation(1), 0), "c", &part, usize::MAX);
        }

        let bytes: usize = captures.all().map(|(_, message)| message.bytes.len()).sum();
        assert!(bytes <= ALL_BYTES_MAX);
    }
}
