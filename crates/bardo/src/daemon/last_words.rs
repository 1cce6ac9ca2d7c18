//! What a supervisor that ends by itself has to say, for those who come after it.
//!
//! A panic, or the reason why it could not take over, goes to standard error, which a
//! daemon in the background does not have. So it is left in the memory that survives too:
//! the next one says it in the main log.

use std::sync::atomic::Ordering;
use std::sync::{Arc, OnceLock};

use bardo_sys::memory::SharedMemory;

use super::journal::LAST_WORDS;

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

/// Takes those that a predecessor has left.
#[must_use]
pub(super) fn take(memory: &SharedMemory) -> Option<String> {
    let words = memory.words().get(LAST_WORDS)?;
    let length = usize::try_from(words[0].swap(0, Ordering::Acquire)).ok()?.min(BYTES_MAX);
    let bytes = words[1..].iter().flat_map(|word| word.load(Ordering::Relaxed).to_le_bytes());
    let bytes: Vec<u8> = bytes.take(length).collect();
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
    fn they_are_taken_once_and_cut_at_a_letter() {
        let file = SharedMemory::anonymous("words").unwrap();
        let memory = SharedMemory::map(file, LAST_WORDS.end).unwrap();
        assert_eq!(take(&memory), None);

        write(&memory, "panicked at here.rs:1:2:\n  no such thing");
        assert_eq!(take(&memory).unwrap(), "panicked at here.rs:1:2: no such thing");
        assert_eq!(take(&memory), None);

        write(&memory, &"\u{e9}".repeat(BYTES_MAX));
        assert_eq!(take(&memory).unwrap(), "\u{e9}".repeat(BYTES_MAX / 2));
    }
}
