//! Entries of the journal, each behind its length: any bytes are an entry or none, and a
//! supervisor that takes over from them lives on, whatever they say.
#![no_main]

use bardo::fuzzing::take_over;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let mut entries = Vec::new();
    let mut rest = bytes;
    while let Some((length, behind)) = rest.split_first_chunk() {
        let length = usize::from(u16::from_le_bytes(*length)).min(behind.len());
        let (entry, behind) = behind.split_at(length);
        entries.push(entry);
        rest = behind;
    }

    take_over(&entries);
});
