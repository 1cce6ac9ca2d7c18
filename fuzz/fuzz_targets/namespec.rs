//! `group:process`: what is read is written as it was, or in the short form.
#![no_main]

use bardo::names;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let read = names::parse(text);
    let Some(process) = read.process else { return };

    let written = names::namespec(read.group, process);

    assert!(
        written == text
            || format!("{text}:{text}") == written
            || text == format!("{written}:{written}")
    );
});
