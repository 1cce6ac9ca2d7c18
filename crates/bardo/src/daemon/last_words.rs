//! What a supervisor that ends by itself has to say, for those who come after it.
//!
//! A panic, or the reason why it could not take over, goes to standard error, which a
//! daemon in the background does not have. So it is left in the memory that survives too:
//! the next one that works says it in the main log. Until then whoever only watches, and
//! `bardo doctor`, find it there.

use std::fs;
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::sync::{Arc, OnceLock};

use bardo_sys::memory::SharedMemory;

use super::journal::LAST_WORDS;
use super::runtime::JOURNAL;

/// Most bytes of them. The first word of their place is their length.
const BYTES_MAX: usize = (LAST_WORDS.end - LAST_WORDS.start - 1) * 8;

/// Where they are left.
static PLACE: OnceLock<Arc<SharedMemory>> = OnceLock::new();

/// From now on last words are left there.
pub(super) fn leave_in(memory: &Arc<SharedMemory>) {
    // There is one journal.
    let _ = PLACE.set(Arc::clone(memory));
}

/// Leaves them, in place of those that are there.
pub(super) fn leave(text: &str) {
    if let Some(memory) = PLACE.get() {
        write(memory, text);
    }
}

/// Those that a predecessor has left.
#[must_use]
pub(super) fn read(memory: &SharedMemory) -> Option<String> {
    text(memory.words().get(LAST_WORDS)?.iter().map(|word| word.load(Ordering::Acquire)))
}

/// They have been said.
pub(super) fn forget(memory: &SharedMemory) {
    memory.words()[LAST_WORDS.start].store(0, Ordering::Release);
}

/// Those that the last supervisor of a keeper has left, looked up from outside: in the
/// journal that the keeper holds.
#[must_use]
pub fn of_keeper(pid: u32) -> Option<String> {
    let files = fs::read_dir(format!("/proc/{pid}/fd")).ok()?.flatten();
    let is_journal = |path: &PathBuf| {
        let name = fs::read_link(path).unwrap_or_default();
        name.to_string_lossy().starts_with(&format!("/memfd:{JOURNAL}"))
    };
    let journal = fs::File::open(files.map(|file| file.path()).find(is_journal)?).ok()?;
    let mut bytes = [0; LAST_WORDS.end * 8];
    journal.read_exact_at(&mut bytes, 0).ok()?;
    let words = bytes[LAST_WORDS.start * 8..].chunks_exact(8);
    text(words.map(|word| u64::from_le_bytes(word.try_into().unwrap_or_default())))
}

/// Their length, and then their bytes, as text.
fn text(mut words: impl Iterator<Item = u64>) -> Option<String> {
    let length = usize::try_from(words.next()?).ok()?.min(BYTES_MAX);
    let bytes: Vec<u8> = words.flat_map(u64::to_le_bytes).take(length).collect();
    (length > 0).then(|| String::from_utf8_lossy(&bytes).into_owned())
}

fn write(memory: &SharedMemory, text: &str) {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let ends = line.char_indices().map(|(at, letter)| at + letter.len_utf8());
    let length = ends.take_while(|end| *end <= BYTES_MAX).last().unwrap_or(0);
    let words = &memory.words()[LAST_WORDS];
    words[0].store(0, Ordering::Relaxed);
    for (word, chunk) in words[1..].iter().zip(line.as_bytes()[..length].chunks(8)) {
        let mut value = [0; 8];
        value[..chunk.len()].copy_from_slice(chunk);
        word.store(u64::from_le_bytes(value), Ordering::Relaxed);
    }
    words[0].store(length as u64, Ordering::Release);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_are_kept_until_they_are_said_and_cut_at_a_letter() {
        let file = SharedMemory::anonymous("words").unwrap();
        let memory = SharedMemory::map(file, LAST_WORDS.end).unwrap();
        assert_eq!(read(&memory), None);

        write(&memory, "panicked at here.rs:1:2:\n  no such thing");
        assert_eq!(read(&memory).unwrap(), "panicked at here.rs:1:2: no such thing");
        assert!(read(&memory).is_some());
        forget(&memory);
        assert_eq!(read(&memory), None);

        write(&memory, &"\u{e9}".repeat(BYTES_MAX));
        assert_eq!(read(&memory).unwrap(), "\u{e9}".repeat(BYTES_MAX / 2));
    }
}
