//! An answer from any server: what is read can be written and read again as the same.
#![no_main]

use bardo_wire::xmlrpc::Response;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(response) = Response::parse(bytes) else { return };

    let once = response.to_xml();
    let again = Response::parse(once.as_bytes()).expect("what we write can be read");

    assert_eq!(again.to_xml(), once);
});
