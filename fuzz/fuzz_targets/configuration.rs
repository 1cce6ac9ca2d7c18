//! A configuration file of anybody, with an included one: it is loaded or refused, and a
//! refusal has words. The client's settings are read from the same bytes.
#![no_main]

use bardo_config::{Request, control, load};
use bardo_fuzz::{FILE, TinyHost};
use libfuzzer_sys::fuzz_target;

/// Most processes that a file may ask for here: more of them only take longer.
const DIGITS_IN_A_ROW_MAX: usize = 3;

fuzz_target!(|files: (&[u8], &[u8])| {
    let (file, included) = files;
    if has_a_large_number(file) || has_a_large_number(included) {
        return;
    }
    let host = TinyHost { file, included };
    let request = Request { file: FILE.to_owned(), overrides: Vec::new() };

    match load(&host, &request) {
        Ok(loaded) => {
            let twice = load(&host, &request).expect("the same file is read twice");
            assert_eq!(loaded, twice);
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
    if let Err(error) = control::load(&host, Some(FILE), &[]) {
        assert!(!error.to_string().is_empty());
    }
});

/// `numprocs=999999999` is a wish and no mistake: it takes as long as it takes.
fn has_a_large_number(bytes: &[u8]) -> bool {
    let digit = |byte: &u8| byte.is_ascii_digit() || *byte == b'_';
    bytes.split(|byte| !digit(byte)).any(|run| run.len() > DIGITS_IN_A_ROW_MAX)
}
