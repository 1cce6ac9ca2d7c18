//! `serverurl`: what is an address can be named in a request.
#![no_main]

use bardo::client::Address;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|url: &str| {
    let Ok(address) = Address::parse(url) else { return };

    assert!(url.starts_with("unix://") || url.starts_with("http://"));
    let _ = address.host();
});
