//! Command lines: what is understood was given.
#![no_main]

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

use bardo::personality::getopt::{Flag, parse};
use libfuzzer_sys::fuzz_target;

const FLAGS: &[Flag] = &[
    Flag { short: Some('c'), long: Some("configuration"), takes_argument: true },
    Flag { short: Some('n'), long: Some("nodaemon"), takes_argument: false },
    Flag { short: Some('m'), long: Some("minfds"), takes_argument: true },
    Flag { short: None, long: Some("minprocs"), takes_argument: true },
];

fuzz_target!(|words: Vec<Vec<u8>>| {
    let words: Vec<OsString> = words.into_iter().map(OsString::from_vec).collect();

    match parse(FLAGS, &words) {
        Ok((given, rest)) => {
            assert!(rest.len() <= words.len());
            for option in given {
                let known = FLAGS.iter().any(|flag| {
                    flag.short.is_some_and(|short| option.name == format!("-{short}"))
                        || flag.long.is_some_and(|long| option.name == format!("--{long}"))
                });
                assert!(known, "{option:?}");
            }
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
});
