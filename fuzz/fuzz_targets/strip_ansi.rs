//! `strip_ansi`: however the bytes are cut, the same is left of them.
#![no_main]

use bardo::fuzzing::stripped;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (&[u8], Vec<u8>)| {
    let (bytes, cuts) = input;

    let mut pieces = Vec::new();
    let mut rest = bytes;
    for cut in cuts {
        let (piece, next) = rest.split_at(usize::from(cut).min(rest.len()));
        pieces.push(piece);
        rest = next;
    }
    pieces.push(rest);

    let whole = stripped(&[bytes]);
    assert_eq!(stripped(&pieces), whole);
    assert!(whole.len() <= bytes.len());
});
