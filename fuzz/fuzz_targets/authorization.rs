//! The `Authorization` header of anybody: only the right words let one in.
#![no_main]

use bardo::fuzzing::is_let_in;
use libfuzzer_sys::fuzz_target;

const DIGEST_OF_123: &str = "{SHA}40bd001563085fc35165329ea1ff5c5ecbdbbeef";

fuzz_target!(|header: &[u8]| {
    let plain = is_let_in(header, "user", "123");
    let digest = is_let_in(header, "user", DIGEST_OF_123);

    assert_eq!(plain, digest);
    if plain {
        let text = std::str::from_utf8(header).expect("the right words are ASCII");
        let (scheme, words) = text.split_once(' ').expect("a scheme and words");
        assert!(scheme.eq_ignore_ascii_case("basic"));
        assert_eq!(words.trim(), "dXNlcjoxMjM=");
    }
});
