//! `command=`: words put in single quotes are split into themselves.
#![no_main]

use bardo_config::command::split;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let Ok(words) = split(text) else { return };

    let quoted: Vec<String> =
        words.iter().map(|word| format!("'{}'", word.replace('\'', "'\"'\"'"))).collect();

    assert_eq!(split(&quoted.join(" ")).expect("quoted words can be split"), words);
});
