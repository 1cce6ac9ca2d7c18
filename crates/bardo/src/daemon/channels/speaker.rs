//! What is known of one life of a service that speaks, and what becomes of its messages.
//!
//! It knows neither descriptors nor the table: bytes come in, and what the core is told
//! comes out, beside what people are shown. A life says some things wrongly a thousand
//! times a second; people read of each sort of thing once a life.

use std::time::Duration;

use bardo_core::input::Saying;
use bardo_wire::control::{Heard, Message};

/// Most bytes of a status that are kept, for each service. People read a line of it.
pub const STATUS_BYTES_MAX: usize = 1024;

/// The shortest period that a service can ask for. What is asked more often is asked by
/// mistake, and would keep the loop busy.
const PERIOD_MIN: Duration = Duration::from_millis(1);

/// The longest time that a service can ask for: so that no sum of times is too large.
/// What sd_notify calls infinity is longer.
const TIME_MAX: Duration = Duration::from_secs(10 * 365 * 24 * 60 * 60);

/// What a service tells of itself, for people.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Told {
    /// Its words.
    pub status: Box<str>,
    /// What it is at beside its work.
    pub doing: Option<Doing>,
    /// The process that it calls its main one.
    pub main_pid: Option<u32>,
}

/// What a service is at beside its work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Doing {
    /// It takes its configuration again.
    Reloading,
    /// It is about to end.
    Stopping,
}

/// Something that people are told once a life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Remark {
    /// Bytes that are no message.
    Malformed,
    /// A value that does not fit its key.
    Misfit,
    /// A message of somebody else.
    Stranger,
    /// A main process other than the one that was started.
    MainPid,
    /// Something that is not there yet.
    NotYet,
}

/// A ping, and when it was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Ping {
    number: u64,
    at: u64,
}

/// One life of a service that speaks.
#[derive(Debug)]
pub(super) struct Speaker {
    label: Box<str>,
    has_spoken: bool,
    /// The pings that are not answered: the last one, and the one before.
    pings: [Option<Ping>; 2],
    /// The heartbeat's period, as far as it is known here.
    period: Duration,
    told: Told,
    /// Whether that is new.
    is_told: bool,
    /// What was remarked on, a bit for each.
    remarked: u8,
}

/// What came of a message.
#[derive(Debug, Default)]
pub(super) struct Hearing {
    /// What the core is told.
    pub(super) sayings: Vec<Saying>,
    /// Lines for the main log.
    pub(super) lines: Vec<String>,
}

impl Speaker {
    /// One that has not spoken yet.
    pub(super) fn new(label: &str, period: Option<Duration>) -> Self {
        Self {
            label: label.into(),
            has_spoken: false,
            pings: [None; 2],
            period: period.unwrap_or_default(),
            told: Told::default(),
            is_told: false,
            remarked: 0,
        }
    }

    /// One that a predecessor has listened to before, what it told that one, and the number
    /// of the last ping of that.
    pub(super) fn resumed(label: &str, period: Option<Duration>, told: Told, ping: u64) -> Self {
        let pings = [(ping > 0).then_some(Ping { number: ping, at: 0 }), None];
        Self { pings, told, ..Self::new(label, period) }
    }

    /// What it tells of itself, if that is different from what was asked last.
    pub(super) fn retold(&mut self) -> Option<&Told> {
        std::mem::take(&mut self.is_told).then_some(&self.told)
    }

    /// Whether it tells something else of itself than was asked last.
    pub(super) fn is_retold(&self) -> bool {
        self.is_told
    }

    /// It is sent a ping.
    pub(super) fn pinged(&mut self, number: u64, at: u64) {
        self.pings = [Some(Ping { number, at }), self.pings[0]];
    }

    /// Takes a message that came with so many descriptors.
    pub(super) fn hear(
        &mut self,
        bytes: &[u8],
        descriptors: usize,
        now: u64,
        hearing: &mut Hearing,
    ) {
        let heard = match Heard::from_service(bytes) {
            Ok(heard) => heard,
            Err(error) => {
                let text = format!("what '{}' has said is passed over: {error}", self.label);
                return self.remark(Remark::Malformed, text, hearing);
            }
        };
        if !self.has_spoken {
            self.has_spoken = true;
            hearing.sayings.push(Saying::Hello);
        }
        for misfit in heard.misfits() {
            let text = format!("something that '{}' has said is passed over: {misfit}", self.label);
            self.remark(Remark::Misfit, text, hearing);
        }
        for message in heard.said() {
            self.take(message, descriptors, now, hearing);
        }
    }

    fn take(&mut self, message: Message<'_>, descriptors: usize, now: u64, hearing: &mut Hearing) {
        let mut say = |saying| hearing.sayings.push(saying);
        match message {
            // Every message says that, and this one nothing else.
            Message::Hello | Message::Barrier => {}
            Message::Ready => {
                say(Saying::Ready);
                self.is_told |= self.told.doing.take().is_some();
            }
            Message::Errno(errno) => say(Saying::Failed(errno.into())),
            Message::Reset => say(Saying::Reset),
            Message::Watchdog => say(Saying::Alive),
            Message::Pong(number) if self.is_answered(number, now) => say(Saying::Alive),
            Message::Pong(_) => {}
            Message::WatchdogTrigger => say(Saying::Trigger),
            Message::WatchdogPeriod(period) => {
                self.period = if period.is_zero() { period } else { period.max(PERIOD_MIN) };
                say(Saying::Period(self.period.min(TIME_MAX)));
            }
            Message::ExtendTimeout(time) => say(Saying::Extend(time.min(TIME_MAX))),
            Message::Status(status) => {
                let status = beginning(status);
                if *self.told.status != *status {
                    self.told.status = status.into();
                    self.is_told = true;
                }
            }
            Message::Reloading { .. } => self.is_at(Doing::Reloading),
            Message::Stopping => self.is_at(Doing::Stopping),
            Message::MainPid(pid) => self.calls_main(pid, hearing),
            Message::Store { .. } => self.asks_in_vain("FDSTORE", descriptors, hearing),
            Message::Remove(_) => self.asks_in_vain("FDSTOREREMOVE", descriptors, hearing),
            Message::Connect(_) => self.asks_in_vain("CONNECT", descriptors, hearing),
            Message::Standby => self.asks_in_vain("STANDBY", descriptors, hearing),
            Message::Prepared => self.asks_in_vain("PREPARED", descriptors, hearing),
            Message::Busy => self.asks_in_vain("BUSY", descriptors, hearing),
        }
    }

    /// Whether a ping is answered by this number: the last one, or the one before when it
    /// is not too old. Each is answered once.
    fn is_answered(&mut self, number: u64, now: u64) -> bool {
        let age_max = self.period.saturating_mul(2).as_nanos();
        let place = self.pings.iter().position(|ping| ping.is_some_and(|it| it.number == number));
        let Some(place) = place else { return false };
        let ping = self.pings[place].take();
        let is_young = |ping: Ping| u128::from(now.saturating_sub(ping.at)) < age_max;
        place == 0 || ping.is_some_and(is_young)
    }

    fn is_at(&mut self, doing: Doing) {
        self.is_told |= self.told.doing.replace(doing) != Some(doing);
    }

    fn calls_main(&mut self, pid: u32, hearing: &mut Hearing) {
        self.is_told |= self.told.main_pid.replace(pid) != Some(pid);
        let text = format!(
            "'{}' says that its main process is {pid}: that is shown, and the process that was \
             started is watched as before",
            self.label
        );
        self.remark(Remark::MainPid, text, hearing);
    }

    fn asks_in_vain(&mut self, key: &str, descriptors: usize, hearing: &mut Hearing) {
        let closed = if descriptors == 0 { "" } else { "; the descriptors with it are closed" };
        let text = format!("'{}' says {key}, which is not there yet{closed}", self.label);
        self.remark(Remark::NotYet, text, hearing);
    }

    /// Somebody else has spoken for it.
    pub(super) fn was_spoken_for(&mut self, pid: u32, uid: u32, hearing: &mut Hearing) {
        let text = format!(
            "process {pid} of user {uid} is none of those of '{}': what it says is not heard",
            self.label
        );
        self.remark(Remark::Stranger, text, hearing);
    }

    /// Bytes came that are no message, for a reason that is known where they were received.
    pub(super) fn was_cut_short(&mut self, hearing: &mut Hearing) {
        let error = bardo_wire::control::ControlError::TooLong;
        let text = format!("what '{}' has said is passed over: {error}", self.label);
        self.remark(Remark::Malformed, text, hearing);
    }

    fn remark(&mut self, remark: Remark, text: String, hearing: &mut Hearing) {
        let bit = 1 << remark as u8;
        if self.remarked & bit == 0 {
            self.remarked |= bit;
            hearing.lines.push(text);
        }
    }
}

/// As much of a status as is kept: whole characters.
fn beginning(status: &str) -> &str {
    let fits = |end: &usize| status.is_char_boundary(*end);
    let end = (0..=STATUS_BYTES_MAX.min(status.len())).rev().find(fits);
    &status[..end.unwrap_or(0)]
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn speaker() -> Speaker {
        Speaker::new("gauge", Some(Duration::from_secs(1)))
    }

    fn hear(speaker: &mut Speaker, bytes: &[u8]) -> Hearing {
        hear_at(speaker, bytes, 0)
    }

    fn hear_at(speaker: &mut Speaker, bytes: &[u8], now: u64) -> Hearing {
        let mut hearing = Hearing::default();
        speaker.hear(bytes, 0, now, &mut hearing);
        hearing
    }

    #[test]
    fn the_first_message_says_hello_whatever_it_says() {
        for first in ["HELLO=1", "STATUS=x", "FROM=tomorrow", "READY=0"] {
            let mut speaker = speaker();

            assert_eq!(hear(&mut speaker, first.as_bytes()).sayings, [Saying::Hello], "{first}");
            assert!(hear(&mut speaker, first.as_bytes()).sayings.is_empty(), "{first}");
        }
    }

    #[test]
    fn each_key_says_its_thing() {
        let seconds = Duration::from_secs;
        let cases = [
            ("READY=1", Saying::Ready),
            ("ERRNO=19", Saying::Failed(19)),
            ("RESET=1", Saying::Reset),
            ("WATCHDOG=1", Saying::Alive),
            ("WATCHDOG=trigger", Saying::Trigger),
            ("WATCHDOG_USEC=2000000", Saying::Period(seconds(2))),
            ("WATCHDOG_USEC=0", Saying::Period(Duration::ZERO)),
            ("WATCHDOG_USEC=1", Saying::Period(PERIOD_MIN)),
            ("EXTEND_TIMEOUT_USEC=30000000", Saying::Extend(seconds(30))),
            ("EXTEND_TIMEOUT_USEC=18446744073709551615", Saying::Extend(TIME_MAX)),
        ];
        for (text, expected) in cases {
            let mut speaker = speaker();
            hear(&mut speaker, b"HELLO=1");

            let hearing = hear(&mut speaker, text.as_bytes());

            assert_eq!(hearing.sayings, [expected], "{text}");
            assert!(hearing.lines.is_empty(), "{text}: {:?}", hearing.lines);
        }
    }

    #[test]
    fn a_ping_is_answered_by_its_number_and_once() {
        let mut speaker = speaker();
        hear(&mut speaker, b"HELLO=1");
        speaker.pinged(1, 0);

        assert!(hear(&mut speaker, b"PONG=2").sayings.is_empty());
        assert_eq!(hear(&mut speaker, b"PONG=1").sayings, [Saying::Alive]);
        assert!(hear(&mut speaker, b"PONG=1").sayings.is_empty());
    }

    #[test]
    fn the_ping_before_the_last_is_answered_within_two_periods() {
        for (now, counts) in [(2 * SECOND - 1, true), (2 * SECOND, false)] {
            let mut speaker = speaker();
            hear(&mut speaker, b"HELLO=1");
            speaker.pinged(1, 0);
            speaker.pinged(2, SECOND);

            let hearing = hear_at(&mut speaker, b"PONG=1", now);

            assert_eq!(hearing.sayings.len(), usize::from(counts), "{now}");
            let hearing = hear_at(&mut speaker, b"PONG=2", 9 * SECOND);
            assert_eq!(hearing.sayings, [Saying::Alive], "the last one is never too old");
        }
    }

    #[test]
    fn the_answer_to_a_predecessors_last_ping_counts() {
        let period = Some(Duration::from_secs(1));
        let mut speaker = Speaker::resumed("gauge", period, Told::default(), 41);

        assert_eq!(hear(&mut speaker, b"PONG=40").sayings, [Saying::Hello]);
        assert_eq!(hear(&mut speaker, b"PONG=41").sayings, [Saying::Alive]);
    }

    #[test]
    fn what_it_is_at_is_told_until_it_is_ready_again() {
        let mut speaker = speaker();

        hear(&mut speaker, b"STATUS=halfway\nMAINPID=7");
        assert!(speaker.retold().is_some());
        hear(&mut speaker, b"STATUS=halfway");
        assert_eq!(speaker.retold(), None, "nothing is new");
        hear(&mut speaker, b"RELOADING=1\nMONOTONIC_USEC=5");
        let told =
            Told { status: "halfway".into(), doing: Some(Doing::Reloading), main_pid: Some(7) };
        assert_eq!(speaker.retold(), Some(&told));
        hear(&mut speaker, b"READY=1");
        assert_eq!(speaker.retold().map(|told| told.doing), Some(None));
    }

    #[test]
    fn a_long_status_is_cut_between_two_characters() {
        let mut speaker = speaker();
        let long = format!("STATUS=x{}", "ä".repeat(STATUS_BYTES_MAX));

        hear(&mut speaker, long.as_bytes());

        let told = speaker.retold().map(|told| told.status.len());
        assert_eq!(told, Some(STATUS_BYTES_MAX - 1));
    }

    #[test]
    fn people_read_of_each_oddity_once_a_life() {
        let cases: [(&[u8], &str); 4] = [
            (b"PONG=x", "something that 'gauge' has said is passed over: PONG=x is not understood"),
            (b"A=1\0B=1", "what 'gauge' has said is passed over: a message with a NUL at byte 3"),
            (
                b"MAINPID=7",
                "'gauge' says that its main process is 7: that is shown, and the process that \
                 was started is watched as before",
            ),
            (b"FDSTORE=1\nFDNAME=x", "'gauge' says FDSTORE, which is not there yet"),
        ];
        for (bytes, expected) in cases {
            let mut speaker = speaker();

            assert_eq!(hear(&mut speaker, bytes).lines, [expected]);
            assert!(hear(&mut speaker, bytes).lines.is_empty(), "{expected}");
        }
    }

    #[test]
    fn descriptors_that_nobody_can_keep_are_said_to_be_closed() {
        let mut hearing = Hearing::default();

        speaker().hear(b"FDSTORE=1", 2, 0, &mut hearing);

        let expected =
            "'gauge' says FDSTORE, which is not there yet; the descriptors with it are closed";
        assert_eq!(hearing.lines, [expected]);
    }
}
