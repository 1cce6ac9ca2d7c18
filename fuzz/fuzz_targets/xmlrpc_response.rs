//! An answer from any server: what is read can be written and read again as the same.
#![no_main]

use bardo_wire::xmlrpc::Response;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(response) = Response::parse(bytes) else { return };

    // The first writing replaces what XML cannot carry, and two names may become one
    // by that; from then on nothing changes.
    let clean = Response::parse(response.to_xml().as_bytes()).expect("what we write can be read");
    let again = Response::parse(clean.to_xml().as_bytes()).expect("what we write can be read");

    assert_eq!(again.to_xml(), clean.to_xml());
});
