//! A file of `system.conf` and one that it includes: it is read or refused with its place,
//! and what is read can be printed and read again as the same lines.
#![no_main]

use bardo_config::system_conf::{Document, Line, Mode, interpret, print};
use bardo_fuzz::{FILE, TinyHost};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|files: (&[u8], &[u8])| {
    let (file, included) = files;
    let host = TinyHost { file, included };

    let document = match Document::parse(&host, FILE, file) {
        Ok(document) => document,
        Err(refusal) => {
            assert!(refusal.at.is_some() && !refusal.advice.is_empty());
            return;
        }
    };
    for service in &document.services {
        reads_as_the_same(&host, &service.lines);
        match document.entry(&service.name) {
            Ok(entry) => {
                let lines = entry.expect("its name is in the document").lines;
                for mode in [Mode::Strict, Mode::Minix] {
                    if let Err(refusal) = interpret(&lines, &host, mode) {
                        assert!(refusal.at.is_some() && !refusal.advice.is_empty());
                    }
                }
            }
            Err(refusal) => assert!(refusal.at.is_some()),
        }
    }
});

fn reads_as_the_same(host: &TinyHost<'_>, lines: &[Line]) {
    let printed = print(lines);
    let again = format!("service x {{\n{printed}}};\n");
    let again = Document::parse(host, FILE, again.as_bytes()).expect("what was printed is read");
    let again = &again.service("x").expect("it is there").lines;
    assert_eq!(printed, print(again));
}
