//! Doors for the fuzz targets in `fuzz/` to parsers that nobody else may call. They
//! exist only where the program is built by cargo-fuzz.

use crate::api::auth::{self, Claim};
use crate::daemon::journal::Memory;
use crate::daemon::pump::strip::Strip;

/// Whether a request with this `Authorization` header is let in.
#[must_use]
pub fn is_let_in(header: &[u8], user: &str, password: &str) -> bool {
    auth::judge(Some(header), user, password) == Claim::Granted
}

/// What `strip_ansi` leaves of bytes that arrive in these pieces, and nothing follows.
#[must_use]
pub fn stripped(pieces: &[&[u8]]) -> Vec<u8> {
    let mut output = Vec::new();
    let mut state = Strip::default();
    for piece in pieces {
        state = state.transform(piece, &mut output);
    }
    output.extend_from_slice(state.held_back());
    output
}

/// Reads entries of a journal in order, and says how many cannot be read.
#[must_use]
pub fn read_journal(entries: &[&[u8]]) -> usize {
    let mut memory = Memory::default();
    entries.iter().for_each(|entry| memory.read(entry));
    memory.flaws.malformed + memory.flaws.unknown
}
