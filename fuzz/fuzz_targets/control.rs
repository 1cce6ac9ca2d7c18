//! What a service says on its control channel: any bytes are a message or none, and what is
//! heard can be said again and is heard as the same.
#![no_main]

use bardo_wire::control::{Heard, Message};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let mut buffer = Vec::new();
    if let Ok(heard) = Heard::from_service(bytes) {
        for message in heard.said() {
            message.write(&mut buffer).expect("what fitted once fits again");
            let again: Vec<Message<'_>> =
                Heard::from_service(&buffer).expect("our own words").said().collect();
            assert_eq!(again, [message]);
        }
        heard.misfits().for_each(|misfit| assert!(!misfit.to_string().is_empty()));
    }
    if let Ok(heard) = Heard::from_supervisor(bytes) {
        for order in heard.said() {
            // A start without a label cannot be said, and is heard all the same.
            let _ = order.write(&mut buffer);
        }
    }
});
