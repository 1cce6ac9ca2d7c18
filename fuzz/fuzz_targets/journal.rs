//! Entries of the journal: any bytes are an entry or none, and their reading takes no
//! more memory than they can stand for.
#![no_main]

use bardo::fuzzing::read_journal;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|entries: Vec<&[u8]>| {
    let unreadable = read_journal(&entries);

    assert!(unreadable <= entries.len());
});
