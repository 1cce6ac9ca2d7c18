//! What stands in an event after its header, in Supervisor's words (`events.py`).

use std::sync::Arc;

use bardo_core::service::StateName;
use bardo_core::{Event, Pid};
use bardo_wire::listener::EventType;
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

use crate::daemon::pump::intake::Tidings;
use crate::daemon::troubles::TroubleKind;
use crate::words::{self, readable};

/// What cannot stand in a field of a header.
const IN_A_FIELD: &AsciiSet = &CONTROLS.add(b' ').add(b':').add(b'%');

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

/// Something that is wrong, or was: the state is `BEGAN` or `ENDED`. Listeners take the
/// first line apart at blanks and colons, so the subject has none of them.
#[must_use]
pub fn trouble(kind: TroubleKind, subject: &str, state: &str, text: &str) -> Arc<str> {
    let (kind, subject) = (kind.name(), utf8_percent_encode(subject, IN_A_FIELD));
    format!("kind:{kind} subject:{subject} state:{state}\n{text}").into()
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

#[cfg(test)]
mod tests {
    use bardo_core::{Generation, ServiceId};

    use super::*;
    use crate::daemon::pump::{Channel, StreamKey};

    fn state(to: StateName) -> Arc<str> {
        event(&Event::ProcessState {
            service: ServiceId(1),
            generation: Generation(2),
            group: "g".into(),
            name: "p".into(),
            from: StateName::Starting,
            to,
            pid: Some(Pid(7)),
            tries: 3,
            expected: true,
        })
    }

    #[test]
    fn the_subject_of_a_trouble_is_one_word_without_colons() {
        let told = trouble(TroubleKind::LogTarget, "/a b:c%", "BEGAN", "it is: full");

        assert_eq!(&*told, "kind:log-target subject:/a%20b%3Ac%25 state:BEGAN\nit is: full");
    }

    #[test]
    fn a_state_is_told_with_what_supervisor_tells_of_it() {
        let begin = "processname:p groupname:g from_state:STARTING";
        for (to, end) in [
            (StateName::Starting, " tries:3"),
            (StateName::Backoff, " tries:3"),
            (StateName::Running, " pid:7"),
            (StateName::Stopping, " pid:7"),
            (StateName::Stopped, " pid:7"),
            (StateName::Exited, " expected:1 pid:7"),
            (StateName::Fatal, ""),
            (StateName::Unknown, ""),
        ] {
            assert_eq!(*state(to), format!("{begin}{end}"), "{to:?}");
        }
    }

    #[test]
    fn groups_clients_and_output_are_told_as_supervisor_tells_them() {
        let tidings = Tidings {
            key: StreamKey {
                service: ServiceId(1),
                generation: Generation(2),
                channel: Channel::Stderr,
            },
            pid: 7,
            chunks: true,
            capture_bytes_max: 0,
            group: "g".to_owned(),
            process: "p".to_owned(),
            parts: Vec::new(),
        };

        assert_eq!(*event(&Event::GroupAdded("g".into())), *"groupname:g\n");
        assert_eq!(*event(&Event::GroupRemoved("g".into())), *"groupname:g\n");
        assert_eq!(*event(&Event::SupervisorRunning), *"");
        assert_eq!(*remote("t", "one\ntwo"), *"type:t\none\ntwo");
        assert_eq!(
            *log(&tidings, b"said\n"),
            *"processname:p groupname:g pid:7 channel:stderr\nsaid\n"
        );
        assert_eq!(*communication(&tidings, b"said"), *"processname:p groupname:g pid:7\nsaid");
    }
}
