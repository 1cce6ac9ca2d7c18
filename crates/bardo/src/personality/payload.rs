//! What stands in an event after its header, in Supervisor's words (`events.py`).

use std::sync::Arc;

use bardo_core::service::StateName;
use bardo_core::{Event, Pid};
use bardo_wire::listener::EventType;

use super::words::{self, readable};
use crate::daemon::pump::intake::Tidings;

/// The type of an event of the core; `None` for what listeners are not told.
#[must_use]
pub fn event_type(event: &Event) -> Option<EventType> {
    Some(match event {
        Event::ProcessState { to, .. } => match to {
            StateName::Stopped => EventType::ProcessStateStopped,
            StateName::Starting => EventType::ProcessStateStarting,
            StateName::Running => EventType::ProcessStateRunning,
            StateName::Backoff => EventType::ProcessStateBackoff,
            StateName::Stopping => EventType::ProcessStateStopping,
            StateName::Exited => EventType::ProcessStateExited,
            StateName::Fatal => EventType::ProcessStateFatal,
            StateName::Unknown => EventType::ProcessStateUnknown,
        },
        Event::SupervisorRunning => EventType::SupervisorRunning,
        Event::SupervisorStopping => EventType::SupervisorStopping,
        Event::GroupAdded(_) => EventType::ProcessGroupAdded,
        Event::GroupRemoved(_) => EventType::ProcessGroupRemoved,
        Event::Cleared => return None,
    })
}

/// Whether events of a type come from the core.
#[must_use]
pub fn is_of_core(event: EventType) -> bool {
    event.name().starts_with("PROCESS_STATE")
        || event.name().starts_with("PROCESS_GROUP")
        || event.name().starts_with("SUPERVISOR_STATE")
}

/// What an event of the core says.
#[must_use]
pub fn event(event: &Event) -> Arc<str> {
    match event {
        Event::ProcessState { group, name, from, to, pid, tries, expected, .. } => {
            let (_, from) = words::state(*from);
            let mut text = format!("processname:{name} groupname:{group} from_state:{from}");
            let pid = pid.map_or(0, |Pid(pid)| pid);
            text += &match to {
                StateName::Starting | StateName::Backoff => format!(" tries:{tries}"),
                StateName::Running | StateName::Stopping | StateName::Stopped => {
                    format!(" pid:{pid}")
                }
                StateName::Exited => format!(" expected:{} pid:{pid}", u8::from(*expected)),
                StateName::Fatal | StateName::Unknown => String::new(),
            };
            text.into()
        }
        Event::SupervisorRunning | Event::SupervisorStopping | Event::Cleared => "".into(),
        Event::GroupAdded(name) | Event::GroupRemoved(name) => format!("groupname:{name}\n").into(),
    }
}

/// What a client has to say.
#[must_use]
pub fn remote(kind: &str, data: &str) -> Arc<str> {
    format!("type:{kind}\n{data}").into()
}

/// A chunk of what a process has written.
#[must_use]
pub fn log(tidings: &Tidings, bytes: &[u8]) -> Arc<str> {
    let Tidings { process, group, pid, .. } = tidings;
    let (channel, data) = (tidings.key.channel.name(), readable(bytes));
    format!("processname:{process} groupname:{group} pid:{pid} channel:{channel}\n{data}").into()
}

/// A captured message.
#[must_use]
pub fn communication(tidings: &Tidings, message: &[u8]) -> Arc<str> {
    let Tidings { process, group, pid, .. } = tidings;
    let data = readable(message);
    format!("processname:{process} groupname:{group} pid:{pid}\n{data}").into()
}
