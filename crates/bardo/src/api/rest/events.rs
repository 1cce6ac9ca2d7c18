//! Changes of the table, as server-sent events.
//!
//! A `snapshot` comes first, or what has changed since the `Last-Event-ID`; then a
//! `change` for what happens. A process is always told whole, so whoever has missed some
//! of its states knows the last one. A `decision` is told as it is made, once and in order;
//! `missed` takes the place of those of which there were too many.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use hyper::body::Bytes;
use tokio::sync::{Semaphore, mpsc};

use super::call::{Call, Said};
use super::feed::{News, Position, Watcher};
use super::problem::Problem;
use crate::api::Context;

/// After how long a silence a comment is sent: proxies take a connection for dead after
/// a minute, and a browser that is gone is found out.
pub(super) const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// Events that are ready before the client has taken them.
const EVENTS_AHEAD: usize = 1;

/// Events that are in the making at a time: each may be as long as the whole table, and it
/// has no room of its own before it is known how long it is.
static IN_THE_MAKING: Semaphore = Semaphore::const_new(4);

pub(super) async fn events(call: Call) -> Result<Said, Problem> {
    let permit = call.place.follow().ok_or_else(Problem::too_many_followers)?;
    let last = call.headers.get("last-event-id").and_then(|id| id.to_str().ok());
    let watcher = Watcher::new(&call.context, last.and_then(Position::parse));
    let (sender, pieces) = mpsc::channel(EVENTS_AHEAD);
    let context = Arc::clone(&call.context);
    tokio::spawn(async move {
        send(context, watcher, sender).await;
        drop(permit);
    });
    Ok(Said::Stream(pieces))
}

/// Sends until the client goes away or the API ends.
async fn send(context: Arc<Context>, mut watcher: Watcher, sender: mpsc::Sender<Bytes>) {
    loop {
        let last = context.is_ending();
        let made = {
            // It is never closed, and nobody is waited for who reads slowly.
            let Ok(_turn) = IN_THE_MAKING.acquire().await else { return };
            match watcher.news() {
                News::Over => return,
                News::None if last => return,
                News::None => None,
                News::Event(event) => {
                    let share = context.room.share();
                    if share.at_least(event.len()).await.is_err() {
                        // It comes back, and there may be room then.
                        return;
                    }
                    Some(share.around(event))
                }
            }
        };
        let event = match made {
            Some(event) => event,
            None => match quiet(&context, &mut watcher, &sender).await {
                Some(Quiet::Over) => return,
                Some(Quiet::Broken) => continue,
                None => Bytes::from_static(b": still here\n\n"),
            },
        };
        if sender.send(event).await.is_err() {
            return;
        }
    }
}

/// How a silence ends.
enum Quiet {
    /// Something may be new.
    Broken,
    /// The client has gone away.
    Over,
}

/// Waits; `None` when it has been silent for long.
async fn quiet(
    context: &Context,
    watcher: &mut Watcher,
    sender: &mpsc::Sender<Bytes>,
) -> Option<Quiet> {
    let (mut changed, mut closed) = (pin!(watcher.changed()), pin!(sender.closed()));
    let mut ended = pin!(context.ended());
    let end = poll_fn(|waker| {
        if closed.as_mut().poll(waker).is_ready() {
            return Poll::Ready(Quiet::Over);
        }
        let broken =
            changed.as_mut().poll(waker).is_ready() || ended.as_mut().poll(waker).is_ready();
        if broken { Poll::Ready(Quiet::Broken) } else { Poll::Pending }
    });
    tokio::time::timeout(KEEP_ALIVE, end).await.ok()
}
