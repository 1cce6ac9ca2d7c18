//! Removing terminal escape sequences: the transformer of `strip_ansi`.
//!
//! Supervisor removes everything from `ESC [` up to and including the first of
//! fifteen letters, in each chunk by itself, so that a sequence which two reads
//! have cut comes out mangled (`StripAnsi` in its dispatchers). Ours is a state
//! machine: the same bytes give the same result however they are cut.
//!
//! ```text
//!              ESC                    [             one of the letters   other
//! Text      -> Escape             emit              emit                 emit
//! Escape       emit the held ESC  -> Sequence    -> Text, emit both   -> Text, emit both
//! Sequence     drop               drop           -> Text, drop           drop
//! ```
//!
//! One thing surprises a newcomer: an `ESC` at the very end is held back, for it
//! may begin a sequence. Whoever knows that nothing follows asks for it with
//! [`Strip::held_back`].

const ESCAPE: u8 = 0x1b;

/// Where the machine stands. One byte, so that it fits beside a generation in
/// the word that outlives the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Strip {
    /// In plain text.
    #[default]
    Text,
    /// An `ESC` was seen in plain text, and not yet passed on.
    Escape,
    /// Within a sequence.
    Sequence,
}

impl Strip {
    /// The number that is stored for it.
    pub(crate) fn to_bits(self) -> u8 {
        match self {
            Self::Text => 0,
            Self::Escape => 1,
            Self::Sequence => 2,
        }
    }

    /// The state of a stored number. Unknown ones are plain text.
    pub(crate) fn from_bits(bits: u8) -> Self {
        match bits {
            1 => Self::Escape,
            2 => Self::Sequence,
            _ => Self::Text,
        }
    }

    /// Appends to `output` what is left of `input`, and says where the machine
    /// stands then.
    pub(crate) fn transform(self, input: &[u8], output: &mut Vec<u8>) -> Self {
        let mut state = self;
        let mut rest = input;
        while let Some(&byte) = rest.first() {
            if state == Self::Text {
                // The common case by far: copy all up to the next ESC at once.
                let plain = rest.iter().position(|byte| *byte == ESCAPE);
                let (text, next) = rest.split_at(plain.unwrap_or(rest.len()));
                output.extend_from_slice(text);
                rest = next.get(1..).unwrap_or_default();
                if plain.is_some() {
                    state = Self::Escape;
                }
                continue;
            }
            let step = state.step(byte);
            step.emit(byte, output);
            state = step.next;
            rest = &rest[1..];
        }
        state
    }

    /// What must be passed on if nothing follows.
    pub(crate) fn held_back(self) -> &'static [u8] {
        match self {
            Self::Escape => &[ESCAPE],
            Self::Text | Self::Sequence => &[],
        }
    }

    fn step(self, byte: u8) -> Step {
        let (emits_escape, emits_byte, next) = match (self, byte) {
            (Self::Text, ESCAPE) => (false, false, Self::Escape),
            (Self::Text, _) => (false, true, Self::Text),
            (Self::Escape, b'[') => (false, false, Self::Sequence),
            (Self::Escape, ESCAPE) => (true, false, Self::Escape),
            (Self::Escape, _) => (true, true, Self::Text),
            (Self::Sequence, byte) if ends_sequence(byte) => (false, false, Self::Text),
            (Self::Sequence, _) => (false, false, Self::Sequence),
        };
        Step { emits_escape, emits_byte, next }
    }
}

/// What one byte does.
struct Step {
    emits_escape: bool,
    emits_byte: bool,
    next: Strip,
}

impl Step {
    fn emit(&self, byte: u8, output: &mut Vec<u8>) {
        if self.emits_escape {
            output.push(ESCAPE);
        }
        if self.emits_byte {
            output.push(byte);
        }
    }
}

/// The letters that end a sequence, as Supervisor lists them.
fn ends_sequence(byte: u8) -> bool {
    matches!(
        byte,
        b'H' | b'f'
            | b'A'
            | b'B'
            | b'C'
            | b'D'
            | b'R'
            | b's'
            | b'u'
            | b'J'
            | b'K'
            | b'h'
            | b'l'
            | b'p'
            | b'm'
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;

    fn strip(input: &[u8]) -> Vec<u8> {
        let mut output = Vec::new();
        let state = Strip::Text.transform(input, &mut output);
        output.extend_from_slice(state.held_back());
        output
    }

    /// Supervisor's result for one unsplit input, said in another way: look for
    /// the two bytes that begin a sequence, then for a letter that ends it.
    fn as_supervisor_strips(mut input: &[u8]) -> Vec<u8> {
        let mut output = Vec::new();
        while let Some(start) = input.windows(2).position(|pair| pair == b"\x1b[") {
            output.extend_from_slice(&input[..start]);
            let letters = b"HfABCDRsuJKhlpm";
            let end = input[start..].iter().position(|byte| letters.contains(byte));
            input = end.map_or(&[], |end| &input[start + end + 1..]);
        }
        output.extend_from_slice(input);
        output
    }

    /// Bytes among which sequences, whole and broken, are common.
    fn terminal_output() -> impl Strategy<Value = Vec<u8>> {
        let byte = prop_oneof![
            3 => Just(ESCAPE),
            3 => Just(b'['),
            2 => prop::sample::select(b"HfABCDRsuJKhlpm".to_vec()),
            4 => any::<u8>(),
        ];
        vec(byte, 0..200)
    }

    #[test]
    fn colours_and_movements_are_removed() {
        assert_eq!(strip(b"a\x1b[31mred\x1b[0m\x1b[2Jb"), b"aredb");
    }

    #[test]
    fn what_is_no_sequence_is_kept() {
        assert_eq!(strip(b"\x1b\x1bx \x1b]0;title\x07 \x1b"), b"\x1b\x1bx \x1b]0;title\x07 \x1b");
    }

    #[test]
    fn letters_outside_supervisors_set_do_not_end_a_sequence() {
        assert_eq!(strip(b"\x1b[5Gstill inside"), b"till inside");
        assert_eq!(strip(b"\x1b[5 G never ended"), b"");
    }

    #[test]
    fn a_sequence_that_two_reads_have_cut_is_removed() {
        let mut output = Vec::new();

        let state = Strip::Text.transform(b"a\x1b", &mut output);
        let state = state.transform(b"[3", &mut output);
        let state = state.transform(b"1mb", &mut output);

        assert_eq!((output.as_slice(), state), (b"ab".as_slice(), Strip::Text));
    }

    proptest! {
        #[test]
        fn an_unsplit_input_gives_what_supervisor_gives(input in terminal_output()) {
            prop_assert_eq!(strip(&input), as_supervisor_strips(&input));
        }

        #[test]
        fn how_the_input_is_cut_makes_no_difference(
            input in terminal_output(),
            cuts in vec(any::<prop::sample::Index>(), 0..8),
        ) {
            let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(input.len() + 1)).collect();
            cuts.push(input.len());
            cuts.sort_unstable();

            let mut output = Vec::new();
            let mut state = Strip::Text;
            let mut start = 0;
            for cut in cuts {
                state = Strip::from_bits(state.to_bits());
                state = state.transform(&input[start..cut], &mut output);
                start = cut;
            }
            output.extend_from_slice(state.held_back());

            prop_assert_eq!(output, strip(&input));
        }
    }
}
