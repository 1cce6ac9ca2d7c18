//! What is to be said or counted of event listeners, before it has words.

use std::sync::Arc;

use bardo_config::ResultHandler;
use bardo_wire::listener::{EventType, ListenerState};

use crate::daemon::pump::Channel;

/// Something that people are told, or that is counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Note {
    /// There was an event that somebody wants.
    Offered(EventType),
    /// A queue was full.
    Overflowed {
        /// Whose.
        pool: Arc<str>,
        /// The event that was given up for a new one.
        serial: u64,
    },
    /// An event goes back to the head of its queue.
    PutBack {
        /// Whose.
        pool: Arc<str>,
        /// The event.
        serial: u64,
        /// How many events wait there already.
        waiting: usize,
        /// How many may.
        buffer_size: u32,
    },
    /// An event is being sent.
    Sent {
        /// Which.
        serial: u64,
        /// To whom.
        listener: Arc<str>,
    },
    /// A listener does not read any more.
    Deaf {
        /// The event that it was to be sent.
        serial: u64,
        /// Who.
        listener: Arc<str>,
    },
    /// A listener is in another state.
    Changed {
        /// Which.
        listener: Arc<str>,
        /// The state it left.
        from: ListenerState,
        /// The state it is in.
        to: ListenerState,
    },
    /// A listener has broken the rules and gets no event any more.
    Broken(Arc<str>),
    /// A result for a handler that does something with it.
    Handled {
        /// The handler.
        handler: ResultHandler,
        /// What the event says.
        payload: Arc<str>,
        /// The result.
        result: Vec<u8>,
    },
    /// The handler of results can make nothing of one.
    Failed(Arc<str>),
    /// A listener has processed its event.
    Processed(Arc<str>),
    /// A listener has rejected its event.
    Rejected(Arc<str>),
    /// A process has ended within a message that it had begun.
    Unfinished {
        /// Its name.
        process: String,
        /// On which channel.
        channel: Channel,
        /// What it had written.
        message: Vec<u8>,
    },
    /// A line that announces no result.
    BadResult {
        /// Whose.
        listener: Arc<str>,
        /// The line.
        line: Vec<u8>,
    },
}
