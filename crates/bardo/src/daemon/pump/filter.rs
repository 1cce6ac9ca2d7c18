//! What is done to the bytes of a stream on their way: captured messages are told from the
//! rest, then terminal escape sequences are taken out of both.
//!
//! ```text
//! input -> Capture -> outside a message -> Strip -> the log
//!                  -> within a message  -> Strip -> the message
//! ```
//!
//! It is a state machine whose state fits into a few bits beside a generation, in the word
//! that outlives the process. The same bytes give the same result however they are cut.

use super::capture::Capture;
use super::intake::PartKind;
use super::strip::Strip;

/// Where a stream stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Filter {
    /// Whether messages are captured, and where that stands.
    pub(super) capture: Option<Capture>,
    /// Whether escape sequences are removed, and where that stands.
    pub(super) strip: Option<Strip>,
}

/// What has become of some bytes.
#[derive(Debug, Default)]
pub(super) struct Output {
    /// What belongs into the log.
    pub(super) log: Vec<u8>,
    /// What belongs into messages.
    pub(super) captured: Vec<u8>,
    /// Both, in the order in which they were written.
    pub(super) parts: Vec<Part>,
}

/// A stretch of an output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// This many bytes of the log.
    Logged(usize),
    /// This many bytes of a message.
    Captured(usize),
    /// The message is whole.
    End,
}

impl Output {
    /// Forgets everything.
    pub(super) fn clear(&mut self) {
        self.log.clear();
        self.captured.clear();
        self.parts.clear();
    }

    /// Keeps what comes up to the byte of the log with this number, and no more.
    pub(super) fn cut(&mut self, log_bytes: usize) {
        let mut left = log_bytes;
        let mut captured = 0;
        let mut kept = 0;
        for part in &mut self.parts {
            if left == 0 {
                break;
            }
            kept += 1;
            match part {
                Part::Logged(bytes) => {
                    *bytes = left.min(*bytes);
                    left -= *bytes;
                }
                Part::Captured(bytes) => captured += *bytes,
                Part::End => {}
            }
        }
        self.parts.truncate(kept);
        self.log.truncate(log_bytes);
        self.captured.truncate(captured);
    }

    /// Its parts with their bytes.
    pub(super) fn pieces(&self) -> impl Iterator<Item = (PartKind, &[u8])> {
        let (mut log, mut captured) = (self.log.as_slice(), self.captured.as_slice());
        self.parts.iter().map(move |part| match part {
            Part::Logged(bytes) => {
                let (piece, rest) = log.split_at(*bytes);
                log = rest;
                (PartKind::Logged, piece)
            }
            Part::Captured(bytes) => {
                let (piece, rest) = captured.split_at(*bytes);
                captured = rest;
                (PartKind::Captured, piece)
            }
            Part::End => (PartKind::CaptureEnd, [].as_slice()),
        })
    }

    /// Takes in bytes of the log or of a message; those that follow one another are one part.
    fn add(&mut self, is_within: bool, strip: &mut Option<Strip>, bytes: &[u8]) {
        let to = if is_within { &mut self.captured } else { &mut self.log };
        let before = to.len();
        match strip {
            Some(state) => *state = state.transform(bytes, to),
            None => to.extend_from_slice(bytes),
        }
        self.note(is_within, before);
    }

    fn note(&mut self, is_within: bool, before: usize) {
        let to = if is_within { &self.captured } else { &self.log };
        let added = to.len() - before;
        if added == 0 {
            return;
        }
        match (is_within, self.parts.last_mut()) {
            (false, Some(Part::Logged(bytes))) | (true, Some(Part::Captured(bytes))) => {
                *bytes += added;
            }
            (false, _) => self.parts.push(Part::Logged(added)),
            (true, _) => self.parts.push(Part::Captured(added)),
        }
    }
}

impl Filter {
    /// Whether it does anything.
    pub(super) fn is_needed(self) -> bool {
        self.capture.is_some() || self.strip.is_some()
    }

    /// Whether there is something that is held back until more follows.
    pub(super) fn holds_back(self) -> bool {
        let marks = self.capture.is_some_and(|capture| !capture.held_back().is_empty());
        marks || self.strip.is_some_and(|strip| !strip.held_back().is_empty())
    }

    /// The number that is stored for it.
    pub(super) fn to_bits(self) -> u16 {
        let strip = self.strip.map_or(0, |strip| u16::from(strip.to_bits()));
        self.capture.map_or(0, Capture::to_bits) | strip << Capture::BITS
    }

    /// The same stages, standing where the number says.
    pub(super) fn at(self, bits: u16) -> Self {
        let captured = bits & ((1 << Capture::BITS) - 1);
        Self {
            capture: self.capture.map(|_| Capture::from_bits(captured)),
            strip: self.strip.map(|_| Strip::from_bits((bits >> Capture::BITS) as u8)),
        }
    }

    /// The same stages at their beginning.
    pub(super) fn at_start(self) -> Self {
        self.at(0)
    }

    /// Adds what becomes of `input` to `output`, and says where the stream stands then.
    pub(super) fn transform(self, input: &[u8], output: &mut Output) -> Self {
        let Self { capture, mut strip } = self;
        let Some(mut state) = capture else {
            output.add(false, &mut strip, input);
            return Self { capture, strip };
        };
        let mut rest = input;
        while !rest.is_empty() {
            // The common case by far: nothing that could begin a mark.
            let (plain, next) = rest.split_at(state.plain(rest));
            output.add(state.is_within, &mut strip, plain);
            let Some((byte, next)) = next.split_first() else { break };
            let step = state.step(*byte);
            output.add(state.is_within, &mut strip, step.freed);
            if step.emits_byte {
                output.add(state.is_within, &mut strip, &[*byte]);
            }
            if step.is_mark && state.is_within {
                output.parts.push(Part::End);
            }
            state = step.next;
            rest = next;
        }
        Self { capture: Some(state), strip }
    }

    /// Adds what is held back, for nothing follows. What is within a message stays there.
    pub(super) fn finish(self, output: &mut Output) -> Self {
        let Self { capture, mut strip } = self;
        let is_within = capture.is_some_and(|capture| capture.is_within);
        if let Some(capture) = capture {
            output.add(is_within, &mut strip, capture.held_back());
        }
        if let Some(strip) = strip {
            let before = if is_within { output.captured.len() } else { output.log.len() };
            let to = if is_within { &mut output.captured } else { &mut output.log };
            to.extend_from_slice(strip.held_back());
            output.note(is_within, before);
        }
        self.at_start()
    }

    /// How much of `input` stands behind the first `written` bytes of the log, and where the
    /// stream stands after that much: for a target that took only a part.
    pub(super) fn consumed(self, input: &[u8], written: usize) -> (usize, Self) {
        let mut filter = self;
        let mut logged = 0;
        for (at, byte) in input.iter().enumerate() {
            if logged >= written {
                return (at, filter);
            }
            match filter.part_of_byte(*byte, written - logged) {
                Ok((emitted, next)) => {
                    logged += emitted;
                    filter = next;
                }
                Err(cut) => return (at, cut),
            }
        }
        (input.len(), filter)
    }

    /// What one byte adds to the log and where the stream stands then; or, if that is more
    /// than `room`, where it stands when just so much of it is out and the byte is still to
    /// be taken in.
    fn part_of_byte(self, byte: u8, room: usize) -> Result<(usize, Self), Self> {
        let Self { capture, mut strip } = self;
        let Some(capture) = capture else {
            let (emitted, strip) =
                strip_one(strip, byte, room).map_err(|strip| Self { strip, ..self })?;
            return Ok((emitted, Self { strip, ..self }));
        };
        let step = capture.step(byte);
        let mut emitted = 0;
        let last = step.emits_byte.then_some(byte);
        for (place, byte) in step.freed.iter().copied().chain(last).enumerate() {
            let capture = Some(capture.passed_on(place));
            if capture.is_some_and(|capture| capture.is_within) {
                let mut unseen = Vec::new();
                strip = strip.map(|strip| strip.transform(&[byte], &mut unseen));
                continue;
            }
            if emitted == room {
                return Err(Self { capture, strip });
            }
            match strip_one(strip, byte, room - emitted) {
                Ok((more, next)) => {
                    emitted += more;
                    strip = next;
                }
                Err(strip) => return Err(Self { capture, strip }),
            }
        }
        Ok((emitted, Self { capture: Some(step.next), strip }))
    }
}

/// What one byte becomes: how many bytes, and the next state; or, if that is more than
/// `room`, the state in which the held byte is out and this one is still to come.
fn strip_one(
    strip: Option<Strip>,
    byte: u8,
    room: usize,
) -> Result<(usize, Option<Strip>), Option<Strip>> {
    let Some(state) = strip else { return Ok((1, None)) };
    let mut output = Vec::new();
    let next = state.transform(&[byte], &mut output);
    if output.len() > room { Err(Some(Strip::Text)) } else { Ok((output.len(), Some(next))) }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    const BEGIN: &str = "<!--XSUPERVISOR:BEGIN-->";
    const END: &str = "<!--XSUPERVISOR:END-->";

    fn both() -> Filter {
        Filter { capture: Some(Capture::default()), strip: Some(Strip::default()) }
    }

    fn capturing() -> Filter {
        Filter { strip: None, ..both() }
    }

    /// The log, and the messages with whether each is whole.
    fn read(output: &Output) -> (String, Vec<(String, bool)>) {
        let mut messages = Vec::new();
        let mut message = String::new();
        for (kind, bytes) in output.pieces() {
            let text = str::from_utf8(bytes).unwrap();
            match kind {
                PartKind::Captured => message.push_str(text),
                PartKind::CaptureEnd => messages.push((std::mem::take(&mut message), true)),
                PartKind::Said | PartKind::Logged => {}
            }
        }
        if !message.is_empty() {
            messages.push((message, false));
        }
        (String::from_utf8(output.log.clone()).unwrap(), messages)
    }

    fn all(filter: Filter, input: &str) -> (String, Vec<(String, bool)>) {
        let mut output = Output::default();
        filter.transform(input.as_bytes(), &mut output).finish(&mut output);
        read(&output)
    }

    fn whole(text: &str) -> (String, bool) {
        (text.to_owned(), true)
    }

    #[test]
    fn what_is_between_the_marks_is_a_message() {
        let text = format!("before{BEGIN}inner{END}after\n{BEGIN}{END}{BEGIN}unfinished");

        let unfinished = ("unfinished".to_owned(), false);
        let messages = vec![whole("inner"), whole(""), unfinished];
        assert_eq!(all(capturing(), &text), ("beforeafter\n".to_owned(), messages));
    }

    #[test]
    fn what_only_looks_like_a_mark_is_kept_also_at_the_end() {
        for text in
            ["tiny", "<!--X", "<<!--XSUPERVISOR:BEGIN-- >", "a<b", "<!--XSUPERVISOR:BEGIN--"]
        {
            assert_eq!(all(capturing(), text), (text.to_owned(), vec![]), "{text}");
        }
    }

    #[test]
    fn a_begin_within_a_message_is_a_part_of_it() {
        let text = format!("{BEGIN}a{BEGIN}b{END}c{END}");

        assert_eq!(
            all(capturing(), &text),
            (format!("c{END}"), vec![whole(&format!("a{BEGIN}b"))])
        );
    }

    #[test]
    fn escape_sequences_are_removed_in_and_outside_of_messages() {
        let text = format!("\x1b[1mbold\x1b[0m{BEGIN}\x1b[2Jclear{END}\x1b");

        assert_eq!(all(both(), &text), ("bold\x1b".to_owned(), vec![whole("clear")]));
    }

    #[test]
    fn a_part_ends_where_the_log_is_cut() {
        let mut output = Output::default();
        let text = format!("one{BEGIN}m{END}two{BEGIN}n{END}");
        capturing().transform(text.as_bytes(), &mut output);

        output.cut(4);

        assert_eq!(read(&output), ("onet".to_owned(), vec![whole("m")]));
        assert_eq!(output.parts.last(), Some(&Part::Logged(1)));
    }

    /// Text in which marks, whole and broken, and escape sequences are common.
    fn output_of_a_program() -> impl Strategy<Value = Vec<u8>> {
        let piece = prop_oneof![
            2 => Just(BEGIN.to_owned()),
            2 => Just(END.to_owned()),
            2 => (0..24_usize).prop_map(|end| BEGIN[..end].to_owned()),
            2 => (0..22_usize).prop_map(|end| END[..end].to_owned()),
            1 => Just("\x1b".to_owned()),
            1 => Just("\x1b[1m".to_owned()),
            3 => "[<!a-z\x1b]{0,5}",
        ];
        vec(piece, 0..8).prop_map(|pieces| pieces.concat().into_bytes())
    }

    fn filters() -> impl Strategy<Value = Filter> {
        prop_oneof![Just(capturing()), Just(both()), Just(Filter { capture: None, ..both() })]
    }

    proptest! {
        #[test]
        fn how_the_input_is_cut_makes_no_difference(
            filter in filters(),
            input in output_of_a_program(),
            cuts in vec(any::<prop::sample::Index>(), 0..8),
        ) {
            let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(input.len() + 1)).collect();
            cuts.push(input.len());
            cuts.sort_unstable();
            let mut expected = Output::default();
            filter.transform(&input, &mut expected).finish(&mut expected);

            let mut output = Output::default();
            let (mut state, mut start) = (filter, 0);
            for cut in cuts {
                state = filter.at(state.to_bits());
                state = state.transform(&input[start..cut], &mut output);
                start = cut;
            }
            state.finish(&mut output);

            prop_assert_eq!(read(&output), read(&expected));
        }

        #[test]
        fn a_target_that_takes_a_part_loses_and_doubles_nothing(
            filter in filters(),
            input in output_of_a_program(),
            part in any::<prop::sample::Index>(),
        ) {
            let mut whole = Output::default();
            let end = filter.transform(&input, &mut whole);
            prop_assume!(!whole.log.is_empty());
            let written = 1 + part.index(whole.log.len());
            let expected = read(&whole);

            let (consumed, state) = filter.consumed(&input, written);
            let mut output = whole;
            output.cut(written);
            let state = filter.at(state.to_bits()).transform(&input[consumed..], &mut output);

            prop_assert_eq!((read(&output), state), (expected, end));
        }
    }
}
