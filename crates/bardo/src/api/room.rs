//! Room for answers: how many bytes of them may be in memory at a time.
//!
//! A log can be long, a client can ask for many of them in one call, and it can be slow
//! to read what it has asked for. So whoever makes a large answer asks for room first,
//! and the room is kept until the last byte is sent. Small answers need none.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bardo_wire::xmlrpc::Value;
use hyper::body::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::faults::{Code, Fault};

/// Bytes of all large answers together: a whole log of Supervisor's default size, 50 MB,
/// for two clients at a time.
const ROOM_BYTES: usize = 128 << 20;

/// Bytes of an answer that need no room.
const SMALL_BYTES_MAX: usize = 32 << 10;

/// What room is counted in.
const UNIT_BYTES: usize = 1 << 10;

/// How long an answer waits for room.
const ROOM_WAIT: Duration = Duration::from_secs(10);

/// Bytes of the tags around a value, and of what it takes in memory beside its text.
const VALUE_BYTES: usize = 64;

/// The room that all answers share.
#[derive(Debug, Clone)]
pub(super) struct Room(Arc<Semaphore>);

/// What one answer has of the room. Clones are the same share; it is given back when the
/// last one is dropped.
#[derive(Debug, Clone)]
pub(super) struct Share(Arc<Mutex<Held>>);

#[derive(Debug)]
struct Held {
    room: Room,
    bytes: usize,
    permit: Option<OwnedSemaphorePermit>,
}

impl Room {
    pub(super) fn new() -> Self {
        Self(Arc::new(Semaphore::new(ROOM_BYTES / UNIT_BYTES)))
    }

    async fn acquire(self, units: u32) -> Result<OwnedSemaphorePermit, Fault> {
        match tokio::time::timeout(ROOM_WAIT, self.0.acquire_many_owned(units)).await {
            Ok(Ok(permit)) => Ok(permit),
            Ok(Err(_)) | Err(_) => {
                let text = "other answers fill the room for large ones; ask again";
                Err(Fault::with(Code::Failed, text))
            }
        }
    }

    /// The share of a new answer, which has nothing yet.
    pub(super) fn share(&self) -> Share {
        Share(Arc::new(Mutex::new(Held { room: self.clone(), bytes: 0, permit: None })))
    }
}

impl Share {
    /// Bytes that it has asked for so far.
    pub(super) fn bytes(&self) -> usize {
        self.held().bytes
    }

    /// Asks for room for so many bytes more, and waits a while for it.
    pub(super) async fn add(&self, bytes: usize) -> Result<(), Fault> {
        let wanted = self.bytes().saturating_add(bytes);
        self.at_least(wanted).await
    }

    /// Asks for room for so many bytes in all.
    pub(super) async fn at_least(&self, bytes: usize) -> Result<(), Fault> {
        if bytes > ROOM_BYTES {
            let text = format!("the answer would have more than {ROOM_BYTES} bytes");
            return Err(Fault::with(Code::Failed, text));
        }
        let (room, missing) = {
            let held = self.held();
            let had = held.permit.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
            let wanted = bytes.saturating_sub(SMALL_BYTES_MAX).div_ceil(UNIT_BYTES);
            (held.room.clone(), wanted.saturating_sub(had))
        };
        let more = match u32::try_from(missing).unwrap_or(u32::MAX) {
            0 => None,
            missing => Some(room.acquire(missing).await?),
        };
        let mut held = self.held();
        held.bytes = held.bytes.max(bytes);
        match (&mut held.permit, more) {
            (Some(permit), Some(more)) => permit.merge(more),
            (none, Some(more)) => *none = Some(more),
            (_, None) => {}
        }
        Ok(())
    }

    /// Text that keeps the share until the last of it is sent.
    pub(super) fn around(self, text: String) -> Bytes {
        Bytes::from_owner(Shared { text, _share: self })
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Shared {
    text: String,
    _share: Share,
}

impl AsRef<[u8]> for Shared {
    fn as_ref(&self) -> &[u8] {
        self.text.as_bytes()
    }
}

/// About how many bytes a value has when it is written.
pub(super) fn weight(value: &Value) -> usize {
    let inside: usize = match value {
        Value::Int(_) | Value::Boolean(_) | Value::Double(_) => 0,
        Value::String(text) | Value::DateTime(text) => text.len(),
        Value::Array(values) => values.iter().map(weight).sum(),
        Value::Struct(members) => {
            members.iter().map(|(name, value)| VALUE_BYTES + name.len() + weight(value)).sum()
        }
    };
    VALUE_BYTES + inside
}

#[cfg(test)]
mod tests {
    use super::*;

    fn on_a_quick_clock(test: impl Future<Output = ()>) {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        builder.enable_all().start_paused(true).build().unwrap().block_on(test);
    }

    #[test]
    fn the_room_is_shared_and_given_back_when_the_answer_is_sent() {
        on_a_quick_clock(async {
            let room = Room::new();
            let (one, other) = (room.share(), room.share());
            one.add(ROOM_BYTES).await.unwrap();

            assert_eq!(other.add(SMALL_BYTES_MAX).await, Ok(()), "small ones need none");
            let refused = other.add(1 << 20).await.unwrap_err();
            assert!(refused.text.contains("ask again"), "{refused:?}");

            let sent = one.around("text".to_owned());
            assert!(other.add(1 << 20).await.is_err());
            drop(sent);
            assert_eq!(other.add(1 << 20).await, Ok(()));
        });
    }

    #[test]
    fn no_answer_is_larger_than_the_room() {
        on_a_quick_clock(async {
            let share = Room::new().share();
            share.add(ROOM_BYTES).await.unwrap();

            let refused = share.add(1).await.unwrap_err();

            assert_eq!(refused.code, Code::Failed);
            assert!(refused.text.contains("more than 134217728 bytes"), "{refused:?}");
        });
    }

    #[test]
    fn a_value_weighs_about_what_is_written_of_it() {
        let row = Value::Struct(vec![("name".into(), Value::from("x".repeat(1000)))]);
        let values = Value::Array(vec![row; 10]);

        let weight = weight(&values);

        assert!((10_000..13_000).contains(&weight), "{weight}");
    }
}
