//! Messages between keeper and supervisor: any bytes are a message or none.
#![no_main]

use bardo_keeper::protocol::Message;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let mut message = Message::default();
    let room = message.room();
    let length = bytes.len().min(room.len());
    room[..length].copy_from_slice(&bytes[..length]);
    message.set_length(length);

    if let Some(said) = message.from_supervisor() {
        assert_eq!(Message::to_keeper(said).from_supervisor(), Some(said));
    }
    if let Some(said) = message.from_keeper() {
        assert_eq!(Message::to_supervisor(said).from_keeper(), Some(said));
    }
    assert!(message.held().count() * 16 <= length);
    assert!(message.exits().count() * 16 <= length);
});
