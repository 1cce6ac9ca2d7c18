//! What event listeners are told, and nothing else.

use std::sync::Arc;

use crate::id::{Generation, Pid, ServiceId};
use crate::service::StateName;

/// Something that event listeners may have subscribed to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A process went from one state to another.
    ProcessState {
        /// Which.
        service: ServiceId,
        /// In which life.
        generation: Generation,
        /// The name of its group, which may be gone when this is told.
        group: Arc<str>,
        /// Its own name.
        name: Arc<str>,
        /// The state it left.
        from: StateName,
        /// The state it is in.
        to: StateName,
        /// Its process, where it has one.
        pid: Option<Pid>,
        /// Failed starts in a row.
        tries: u32,
        /// Whether an exit was expected; false for everything else.
        expected: bool,
    },
    /// Work begins: the groups of the configuration are there.
    SupervisorRunning,
    /// The end, or a restart, has begun.
    SupervisorStopping,
    /// What the file asks for has stopped and is about to begin anew: no group of the file is
    /// there any more, and nobody is told of each.
    Cleared,
    /// A group was added.
    GroupAdded(Arc<str>),
    /// A group was removed.
    GroupRemoved(Arc<str>),
}
