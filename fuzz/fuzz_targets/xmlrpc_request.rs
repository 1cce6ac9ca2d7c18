//! A method call from anybody: what is read can be written and read again as the same.
#![no_main]

use bardo_wire::xmlrpc::Request;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(request) = Request::parse(bytes) else { return };

    // The first writing replaces what XML cannot carry, and two names may become one
    // by that; from then on nothing changes.
    let clean = Request::parse(request.to_xml().as_bytes()).expect("what we write can be read");
    let again = Request::parse(clean.to_xml().as_bytes()).expect("what we write can be read");

    assert_eq!(again.to_xml(), clean.to_xml());
    assert_eq!(again.method.chars().count(), request.method.chars().count());
    assert_eq!(again.parameters.len(), request.parameters.len());
});
