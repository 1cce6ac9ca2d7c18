//! A method call from anybody: what is read can be written and read again as the same.
#![no_main]

use bardo_wire::xmlrpc::Request;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(request) = Request::parse(bytes) else { return };

    // The first writing may replace what XML cannot carry; from then on nothing changes.
    let once = request.to_xml();
    let again = Request::parse(once.as_bytes()).expect("what we write can be read");

    assert_eq!(again.to_xml(), once);
    assert_eq!(again.method.chars().count(), request.method.chars().count());
    assert_eq!(again.parameters.len(), request.parameters.len());
});
