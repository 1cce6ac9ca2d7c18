//! The protocol between a supervisor and an event listener: what is said to it on its
//! standard input, and what its answers on standard output mean.
//!
//! It knows nothing of pools, queues and processes. Supervisor's source of it all is
//! `PEventListenerDispatcher` in its `dispatchers.py` and `EventListenerPool` in
//! `process.py`.
//!
//! One thing surprises a newcomer: `len:` counts characters and not bytes, because that
//! is what Supervisor 4 on Python 3 sends. The two are the same for ASCII. A pool can ask
//! for bytes.

use std::fmt;

/// What a listener says when it wants an event.
const READY: &[u8] = b"READY\n";

/// How a result begins.
const RESULT: &[u8] = b"RESULT ";

/// Most bytes of the line that announces a result. Listeners send less than twenty.
const LINE_BYTES_MAX: usize = 4096;

/// Most bytes of a result. Listeners answer `OK` or `FAIL`; the room is for those whose
/// result is text for somebody.
const RESULT_BYTES_MAX: usize = 1 << 20;

macro_rules! event_types {
    ($($variant:ident $name:literal $doc:literal;)*) => {
        /// The types of events that are sent.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum EventType {
            $(#[doc = $doc] $variant,)*
        }

        impl EventType {
            /// All of them, in the order of their numbers.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// As the header and `events=` name it.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }
        }
    };
}

event_types! {
    ProcessStateStopped "PROCESS_STATE_STOPPED" "A process is stopped.";
    ProcessStateExited "PROCESS_STATE_EXITED" "A process has ended by itself.";
    ProcessStateStarting "PROCESS_STATE_STARTING" "A process is being started.";
    ProcessStateStopping "PROCESS_STATE_STOPPING" "A process is being stopped.";
    ProcessStateBackoff "PROCESS_STATE_BACKOFF" "A start has failed and is tried again later.";
    ProcessStateFatal "PROCESS_STATE_FATAL" "No further start is tried.";
    ProcessStateRunning "PROCESS_STATE_RUNNING" "A start has succeeded.";
    ProcessStateUnknown "PROCESS_STATE_UNKNOWN" "A process could not be signalled.";
    ProcessCommunicationStdout "PROCESS_COMMUNICATION_STDOUT" "Captured from standard output.";
    ProcessCommunicationStderr "PROCESS_COMMUNICATION_STDERR" "Captured from standard error.";
    ProcessLogStdout "PROCESS_LOG_STDOUT" "Written to standard output.";
    ProcessLogStderr "PROCESS_LOG_STDERR" "Written to standard error.";
    RemoteCommunication "REMOTE_COMMUNICATION" "Sent by a client.";
    SupervisorRunning "SUPERVISOR_STATE_CHANGE_RUNNING" "The supervisor works.";
    SupervisorStopping "SUPERVISOR_STATE_CHANGE_STOPPING" "The supervisor ends or begins anew.";
    Tick5 "TICK_5" "Another five seconds are over.";
    Tick60 "TICK_60" "Another minute is over.";
    Tick3600 "TICK_3600" "Another hour is over.";
    ProcessGroupAdded "PROCESS_GROUP_ADDED" "A group was added.";
    ProcessGroupRemoved "PROCESS_GROUP_REMOVED" "A group was removed.";
    Trouble "BARDO_TROUBLE" "Something is wrong, or is not any more.";
}

impl EventType {
    /// The type of that number, as [`Self::number`] counts.
    #[must_use]
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.get(usize::from(number)).copied()
    }

    /// Its place in [`Self::ALL`].
    #[must_use]
    pub fn number(self) -> u8 {
        self as u8
    }
}

/// A set of types: what a pool has subscribed to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct EventTypes(u32);

impl EventTypes {
    /// The types that a name of `events=` stands for: itself, or, if it is an abstract one,
    /// all that begin with it. Nothing for an unknown name. `EVENT` stands for all that
    /// Supervisor has: who subscribes to it need not know the others.
    #[must_use]
    pub fn named(name: &str) -> Self {
        let stands_for = |event: &&EventType| {
            let rest = event.name().strip_prefix(name);
            (name == "EVENT" && **event != EventType::Trouble)
                || rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('_'))
        };
        Self::of(EventType::ALL.iter().filter(stands_for).copied())
    }

    /// The set of these types.
    #[must_use]
    pub fn of(types: impl IntoIterator<Item = EventType>) -> Self {
        Self(types.into_iter().fold(0, |set, event| set | 1 << event.number()))
    }

    /// Both together.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether a type is in it.
    #[must_use]
    pub fn contains(self, event: EventType) -> bool {
        self.0 >> event.number() & 1 == 1
    }

    /// The set as a number, a bit for each type.
    #[must_use]
    pub fn to_bits(self) -> u32 {
        self.0
    }

    /// The set of a number. Unknown bits mean nothing.
    #[must_use]
    pub fn from_bits(bits: u32) -> Self {
        Self(bits)
    }
}

/// What stands before the payload of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header<'a> {
    /// `identifier=` of the supervisor.
    pub server: &'a str,
    /// The number of the event.
    pub serial: u64,
    /// The pool that it is sent to.
    pub pool: &'a str,
    /// Its number there.
    pub pool_serial: u64,
    /// Its type.
    pub event: EventType,
    /// What its length counts.
    pub unit: LengthUnit,
}

/// What the length in a header counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LengthUnit {
    /// Characters, which those understand who read text.
    Characters,
    /// Bytes, which those understand who read bytes.
    Bytes,
}

impl Header<'_> {
    /// The line before a payload.
    #[must_use]
    pub fn line(&self, payload: &str) -> String {
        let Self { server, serial, pool, pool_serial, event, unit } = self;
        let name = event.name();
        let length = match unit {
            LengthUnit::Characters => payload.chars().count(),
            LengthUnit::Bytes => payload.len(),
        };
        format!(
            "ver:3.0 server:{server} serial:{serial} pool:{pool} poolserial:{pool_serial} \
             eventname:{name} len:{length}\n"
        )
    }
}

/// What a listener is doing, as the supervisor sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ListenerState {
    /// It has not said yet that it wants an event: it is new, or at work on its last one.
    #[default]
    Acknowledged,
    /// It waits for an event.
    Ready,
    /// It was sent one and has not answered yet.
    Busy,
    /// It has broken the rules and gets no event any more in this life.
    Unknown,
}

impl fmt::Display for ListenerState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Acknowledged => "ACKNOWLEDGED",
            Self::Ready => "READY",
            Self::Busy => "BUSY",
            Self::Unknown => "UNKNOWN",
        })
    }
}

/// What a listener has said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Said {
    /// It wants an event.
    Ready,
    /// The result of its event.
    Result(Vec<u8>),
    /// A line that announces no result, where one was due.
    BadResult(Vec<u8>),
    /// Something else than was due.
    Nonsense,
}

/// What was heard of a listener and is not a whole message yet, and what is due.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Conversation {
    /// What is due.
    pub state: ListenerState,
    /// What was heard and has no meaning yet.
    pub heard: Vec<u8>,
    /// How long the result is that has been announced.
    pub result_bytes: Option<usize>,
}

impl Conversation {
    /// Takes in bytes; [`Self::next_said`] says what they mean.
    pub fn hear(&mut self, bytes: &[u8]) {
        if self.state != ListenerState::Unknown {
            self.heard.extend_from_slice(bytes);
        }
    }

    /// The listener is sent an event: its result is due.
    pub fn sent(&mut self) {
        self.state = ListenerState::Busy;
    }

    /// The next thing that it has said; `None` while that is not known. The state is the
    /// one that follows from it.
    pub fn next_said(&mut self) -> Option<Said> {
        if self.heard.is_empty() && self.result_bytes != Some(0) {
            return None;
        }
        match self.state {
            ListenerState::Acknowledged if self.heard.len() < READY.len() => None,
            ListenerState::Acknowledged if self.heard.starts_with(READY) => {
                self.heard.drain(..READY.len());
                self.state = ListenerState::Ready;
                Some(Said::Ready)
            }
            ListenerState::Busy => self.result(),
            // It is strict, as Supervisor's.
            ListenerState::Acknowledged | ListenerState::Ready => self.broken(Said::Nonsense),
            ListenerState::Unknown => None,
        }
    }

    fn result(&mut self) -> Option<Said> {
        let length = match self.result_bytes {
            Some(length) => length,
            None => {
                let end = self.heard.iter().position(|byte| *byte == b'\n');
                let Some(end) = end else {
                    if self.heard.len() <= LINE_BYTES_MAX {
                        return None;
                    }
                    let line = self.heard[..LINE_BYTES_MAX].to_vec();
                    return self.broken(Said::BadResult(line));
                };
                let line: Vec<u8> = self.heard.drain(..=end).take(end).collect();
                let Some(length) = announced(&line) else {
                    return self.broken(Said::BadResult(line));
                };
                self.result_bytes = Some(length);
                length
            }
        };
        if self.heard.len() < length {
            return None;
        }
        self.result_bytes = None;
        self.state = ListenerState::Acknowledged;
        Some(Said::Result(self.heard.drain(..length).collect()))
    }

    /// Nothing is heard of it any more: its result made no sense.
    pub fn break_off(&mut self) {
        self.state = ListenerState::Unknown;
        self.heard = Vec::new();
        self.result_bytes = None;
    }

    fn broken(&mut self, said: Said) -> Option<Said> {
        self.break_off();
        Some(said)
    }
}

/// The length that a line announces. Supervisor does not look at the word `RESULT`, and
/// takes numbers as Python does: with blanks around them, or a sign.
fn announced(line: &[u8]) -> Option<usize> {
    let number = str::from_utf8(line.strip_prefix(RESULT)?).ok()?.trim();
    let number = number.strip_prefix('+').unwrap_or(number);
    let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    let length = is_number.then(|| number.parse().ok()).flatten()?;
    (length <= RESULT_BYTES_MAX).then_some(length)
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    /// All that is said, event after event, as soon as one is wanted.
    fn all(bytes: &[&[u8]]) -> Vec<Said> {
        let mut conversation = Conversation::default();
        let mut said = Vec::new();
        for bytes in bytes {
            conversation.hear(bytes);
            while let Some(next) = conversation.next_said() {
                if next == Said::Ready {
                    conversation.sent();
                }
                said.push(next);
            }
        }
        said
    }

    fn result(text: &str) -> Said {
        Said::Result(text.into())
    }

    #[test]
    fn a_listener_wants_an_event_and_has_a_result() {
        assert_eq!(
            all(&[b"READY\nRESULT 2\nOKREADY\nRESULT 4\nFAIL"]),
            [Said::Ready, result("OK"), Said::Ready, result("FAIL")]
        );
    }

    #[test]
    fn an_empty_result_is_a_result() {
        assert_eq!(all(&[b"READY\n", b"RESULT 0\n"]), [Said::Ready, result("")]);
    }

    #[test]
    fn fewer_bytes_than_a_word_mean_nothing_yet() {
        assert_eq!(all(&[b"READ"]), []);
        assert_eq!(all(&[b"nonse"]), []);
        assert_eq!(all(&[b"nonsense"]), [Said::Nonsense]);
    }

    #[test]
    fn who_has_broken_the_rules_is_not_heard_any_more() {
        let mut conversation = Conversation::default();
        conversation.hear(b"READY\nx");

        assert_eq!(conversation.next_said(), Some(Said::Ready));
        assert_eq!(conversation.next_said(), Some(Said::Nonsense));
        conversation.hear(b"READY\n");

        assert_eq!((conversation.next_said(), conversation.state), (None, ListenerState::Unknown));
        assert!(conversation.heard.is_empty());
    }

    #[test]
    fn a_result_is_announced_by_its_word_and_a_number() {
        for (line, length) in
            [("RESULT 2", 2), ("RESULT  7 ", 7), ("RESULT +3", 3), ("RESULT 0", 0)]
        {
            assert_eq!(announced(line.as_bytes()), Some(length), "{line}");
        }
        for line in ["RESULT x", "RESULT", "RESULT -1", "result 2", "nothing", "RESULT 9999999999"]
        {
            assert_eq!(announced(line.as_bytes()), None, "{line}");
            let text = format!("READY\n{line}\nOK");
            let bad = Said::BadResult(line.into());
            assert_eq!(all(&[text.as_bytes()]), [Said::Ready, bad]);
        }
    }

    #[test]
    fn a_line_without_an_end_does_not_fill_the_memory() {
        let long = vec![b'x'; LINE_BYTES_MAX + 1];
        let said = all(&[b"READY\n", &long]);

        assert!(matches!(&said[1], Said::BadResult(line) if line.len() == LINE_BYTES_MAX));
    }

    #[test]
    fn a_header_counts_characters_or_bytes() {
        let header = |unit| {
            let event = EventType::Tick5;
            Header { server: "s", serial: 3, pool: "p", pool_serial: 1, event, unit }
        };

        assert_eq!(
            header(LengthUnit::Characters).line("when:é"),
            "ver:3.0 server:s serial:3 pool:p poolserial:1 eventname:TICK_5 len:6\n"
        );
        assert_eq!(
            header(LengthUnit::Bytes).line("when:é"),
            "ver:3.0 server:s serial:3 pool:p poolserial:1 eventname:TICK_5 len:7\n"
        );
    }

    #[test]
    fn an_abstract_type_stands_for_all_below_it() {
        let types = |name| {
            let set = EventTypes::named(name);
            EventType::ALL.iter().filter(|event| set.contains(**event)).count()
        };
        let expected = [
            ("EVENT", 20),
            ("PROCESS_STATE", 8),
            ("PROCESS_LOG", 2),
            ("PROCESS_COMMUNICATION", 2),
            ("SUPERVISOR_STATE_CHANGE", 2),
            ("TICK", 3),
            ("PROCESS_GROUP", 2),
            ("TICK_60", 1),
            ("BARDO_TROUBLE", 1),
            ("nothing", 0),
        ];
        for (name, count) in expected {
            assert_eq!(types(name), count, "{name}");
        }
    }

    #[test]
    fn a_type_and_its_number_are_the_same() {
        for event in EventType::ALL {
            assert_eq!(EventType::from_number(event.number()), Some(*event));
        }
        assert_eq!(EventType::from_number(21), None);
    }

    proptest! {
        #[test]
        fn how_it_is_cut_makes_no_difference(
            parts in vec(prop_oneof![
                Just("READY\n"), Just("RESULT 2\nOK"), Just("RESULT 4\nFAIL"), Just("RESULT 0\n"), Just("x"),
            ], 0..6),
            cut in any::<prop::sample::Index>(),
        ) {
            let text = parts.concat().into_bytes();
            let (one, other) = text.split_at(cut.index(text.len() + 1));

            prop_assert_eq!(all(&[one, other]), all(&[&text]));
        }
    }
}
