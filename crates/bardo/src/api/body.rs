//! Bodies of requests: how many bytes of them may be in memory at a time.
//!
//! A short one is read as it comes. One that turns out to be long waits for one of a
//! few places, so that all connections together cannot fill the memory.

use std::sync::Arc;
use std::time::Duration;

use bardo_wire::xmlrpc::REQUEST_BYTES_MAX;
use http_body_util::BodyExt as _;
use hyper::StatusCode;
use hyper::body::{Body, Bytes};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Most bytes of a body that needs no place. Supervisor's own clients send less than
/// 4 KiB.
const SHORT_BYTES_MAX: usize = 16 << 10;

/// Long bodies at a time. What is made of one by reading it takes several times its
/// room.
const LONG_AT_ONCE: usize = 4;

/// How long a body waits for a place.
const PLACE_WAIT: Duration = Duration::from_secs(10);

/// The places for long bodies.
#[derive(Debug)]
pub(super) struct Bodies {
    long: Arc<Semaphore>,
}

/// A body that is all there. A long one keeps its place until it is dropped.
#[derive(Debug, Default)]
pub(super) struct Received {
    pub(super) bytes: Vec<u8>,
    _place: Option<OwnedSemaphorePermit>,
}

impl Bodies {
    pub(super) fn new() -> Self {
        Self { long: Arc::new(Semaphore::new(LONG_AT_ONCE)) }
    }

    /// Reads a body to its end; what is wrong with it is the status of the answer.
    pub(super) async fn read<B>(&self, mut body: B) -> Result<Received, StatusCode>
    where
        B: Body<Data = Bytes> + Unpin,
    {
        let announced = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
        if announced > REQUEST_BYTES_MAX {
            discard(body).await;
            return Err(StatusCode::PAYLOAD_TOO_LARGE);
        }
        let mut received = Received::default();
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|_| StatusCode::BAD_REQUEST)?;
            let Some(piece) = frame.data_ref() else { continue };
            let length = received.bytes.len() + piece.len();
            if length > REQUEST_BYTES_MAX {
                return Err(StatusCode::PAYLOAD_TOO_LARGE);
            }
            if length > SHORT_BYTES_MAX && received._place.is_none() {
                received._place = Some(self.place().await?);
            }
            received.bytes.extend_from_slice(piece);
        }
        Ok(received)
    }

    async fn place(&self) -> Result<OwnedSemaphorePermit, StatusCode> {
        let place = Arc::clone(&self.long).acquire_owned();
        match tokio::time::timeout(PLACE_WAIT, place).await {
            Ok(Ok(place)) => Ok(place),
            Ok(Err(_)) | Err(_) => Err(StatusCode::SERVICE_UNAVAILABLE),
        }
    }
}

/// Reads a body that has to be short, whoever else sends long ones; what is wrong with it is
/// the status of the answer.
pub(super) async fn read_short<B>(mut body: B) -> Result<Received, StatusCode>
where
    B: Body<Data = Bytes> + Unpin,
{
    let mut received = Received::default();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| StatusCode::BAD_REQUEST)?;
        let Some(piece) = frame.data_ref() else { continue };
        if received.bytes.len() + piece.len() > SHORT_BYTES_MAX {
            return Err(StatusCode::PAYLOAD_TOO_LARGE);
        }
        received.bytes.extend_from_slice(piece);
    }
    Ok(received)
}

/// Reads a body that nobody wants: a connection that is closed with something unread in
/// it loses its last answer. What is longer than any request stays.
pub(super) async fn discard<B>(mut body: B)
where
    B: Body<Data = Bytes> + Unpin,
{
    let mut length = 0;
    while let Some(Ok(frame)) = body.frame().await {
        length += frame.data_ref().map_or(0, Bytes::len);
        if length > REQUEST_BYTES_MAX {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::Full;

    use super::*;

    fn on_a_quick_clock(test: impl Future<Output = ()>) {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        builder.enable_all().start_paused(true).build().unwrap().block_on(test);
    }

    fn of(length: usize) -> Full<Bytes> {
        Full::new(vec![b'x'; length].into())
    }

    #[test]
    fn a_body_that_is_too_long_is_refused() {
        on_a_quick_clock(async {
            let bodies = Bodies::new();

            let longest = bodies.read(of(REQUEST_BYTES_MAX)).await.unwrap();
            assert_eq!(longest.bytes.len(), REQUEST_BYTES_MAX);
            let refused = bodies.read(of(REQUEST_BYTES_MAX + 1)).await;
            assert_eq!(refused.unwrap_err(), StatusCode::PAYLOAD_TOO_LARGE);
        });
    }

    #[test]
    fn long_bodies_wait_for_a_place_and_short_ones_do_not() {
        on_a_quick_clock(async {
            let bodies = Bodies::new();
            let mut held = Vec::new();
            for _ in 0..LONG_AT_ONCE {
                held.push(bodies.read(of(SHORT_BYTES_MAX + 1)).await.unwrap());
            }

            assert!(bodies.read(of(SHORT_BYTES_MAX)).await.is_ok());
            let refused = bodies.read(of(SHORT_BYTES_MAX + 1)).await;
            assert_eq!(refused.unwrap_err(), StatusCode::SERVICE_UNAVAILABLE);
            held.pop();
            assert!(bodies.read(of(SHORT_BYTES_MAX + 1)).await.is_ok());
        });
    }
}
