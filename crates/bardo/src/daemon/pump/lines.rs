//! Lines of several streams in one output: which bytes go out now, and what is put around them.
//!
//! Pure functions over bytes. Whole lines go out at once. The beginning of a line is held back
//! until the rest of it is there, or cannot be waited for; then the line is left *open*. What
//! the same stream says next goes on in it, anybody else begins a new one.

/// How the last line of an output stands to a stream that is about to write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// It is whole, or there is none.
    Whole,
    /// The stream itself has begun it.
    Own,
    /// Another one has begun it.
    Foreign,
}

/// Whether the beginning of a line may wait for the rest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Patience {
    /// More may come.
    Waits,
    /// Nothing more can come, or there is no room for it.
    Ends,
}

/// What belongs before a line's text and what room there is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Frame<'a> {
    /// Stands before each line.
    pub(super) prefix: &'a [u8],
    pub(super) standing: Standing,
    /// Most bytes that may go out at once.
    pub(super) room: usize,
}

impl Frame<'_> {
    /// What is put before the first byte.
    fn opening(&self) -> usize {
        match self.standing {
            Standing::Whole => self.prefix.len(),
            Standing::Own => 0,
            Standing::Foreign => 1 + self.prefix.len(),
        }
    }

    /// How many bytes of `text` go out now: whole lines, as many as there is room for; or a
    /// part of a line, where none is whole or the first has no room and it cannot wait.
    pub(super) fn fitting(&self, text: &[u8], patience: Patience) -> usize {
        let mut taken = 0;
        let mut used = 0;
        for line in text.split_inclusive(|byte| *byte == b'\n') {
            let before = if taken == 0 { self.opening() } else { self.prefix.len() };
            let is_whole = line.ends_with(b"\n");
            let fits = used + before + line.len() <= self.room;
            if is_whole && fits {
                taken += line.len();
                used += before + line.len();
                continue;
            }
            if taken > 0 || (!is_whole && fits && patience == Patience::Waits) {
                return taken;
            }
            return line.len().min(self.room.saturating_sub(before)).max(1);
        }
        taken
    }

    /// Adds `text` to `output` with what belongs before each line.
    pub(super) fn compose(&self, text: &[u8], output: &mut Vec<u8>) {
        if text.is_empty() {
            return;
        }
        if self.standing == Standing::Foreign {
            output.push(b'\n');
        }
        if self.prefix.is_empty() {
            output.extend_from_slice(text);
            return;
        }
        let mut begins = self.standing != Standing::Own;
        for line in text.split_inclusive(|byte| *byte == b'\n') {
            if begins {
                output.extend_from_slice(self.prefix);
            }
            output.extend_from_slice(line);
            begins = true;
        }
    }
}

/// How many bytes up to and with the last line break.
pub(super) fn whole_lines(text: &[u8]) -> usize {
    text.iter().rposition(|byte| *byte == b'\n').map_or(0, |last| last + 1)
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    const ROOM: usize = 40;

    fn frame(prefix: &str, standing: Standing) -> Frame<'_> {
        Frame { prefix: prefix.as_bytes(), standing, room: ROOM }
    }

    fn composed(prefix: &str, standing: Standing, text: &str) -> String {
        let mut output = Vec::new();
        frame(prefix, standing).compose(text.as_bytes(), &mut output);
        String::from_utf8(output).unwrap()
    }

    #[test]
    fn each_line_has_its_prefix_once() {
        assert_eq!(composed("a| ", Standing::Whole, "one\n\ntwo"), "a| one\na| \na| two");
        assert_eq!(composed("a| ", Standing::Own, "rest\nnext\n"), "rest\na| next\n");
        assert_eq!(composed("a| ", Standing::Foreign, "one\n"), "\na| one\n");
        assert_eq!(composed("", Standing::Foreign, "one\ntwo"), "\none\ntwo");
        assert_eq!(composed("a| ", Standing::Foreign, ""), "");
    }

    #[test]
    fn the_beginning_of_a_line_waits_only_where_more_may_come() {
        let frame = frame("a| ", Standing::Whole);

        assert_eq!(frame.fitting(b"one\ntwo\nthr", Patience::Waits), 8);
        assert_eq!(frame.fitting(b"one\ntwo\nthr", Patience::Ends), 8);
        assert_eq!(frame.fitting(b"thr", Patience::Waits), 0);
        assert_eq!(frame.fitting(b"thr", Patience::Ends), 3);
        assert_eq!(frame.fitting(b"", Patience::Ends), 0);
    }

    #[test]
    fn a_line_that_has_no_room_goes_out_in_parts_and_no_other_is_cut() {
        let line = [b"short\n".as_slice(), &[b'x'; 50], b"\n"].concat();
        let begun = frame("a| ", Standing::Whole);

        assert_eq!(begun.fitting(&line, Patience::Waits), 6);
        assert_eq!(begun.fitting(&line[6..], Patience::Waits), ROOM - 3);
        assert_eq!(frame("a| ", Standing::Own).fitting(&line[43..], Patience::Waits), 14);
    }

    proptest! {
        /// Two streams take turns as the pump lets them, each with what it has been given so
        /// far. Lines that fit are whole, in order, and marked; the bytes are all there.
        #[test]
        fn however_the_pieces_come_the_lines_are_the_same(
            texts in prop::array::uniform2("([a-z]{0,20}\n){0,6}[a-z]{0,20}"),
            prefixes in prop::array::uniform2("[01>]{0,3}"),
            pieces in vec((0..2_usize, 1..15_usize), 0..60),
        ) {
            let mut given = [0, 0];
            let mut gone = [0, 0];
            let mut owner: Option<usize> = None;
            let mut output = Vec::new();
            let rest = (0..2).flat_map(|stream| vec![(stream, usize::MAX); 30]);
            let mut expected = [Vec::new(), Vec::new()];
            for (stream, length) in pieces.into_iter().chain(rest) {
                let text = texts[stream].as_bytes();
                given[stream] = text.len().min(length.saturating_add(given[stream]));
                let standing = match owner {
                    None => Standing::Whole,
                    Some(open) if open == stream => Standing::Own,
                    Some(_) => Standing::Foreign,
                };
                let frame = frame(&prefixes[stream], standing);
                let ends = length == usize::MAX;
                let patience = if ends { Patience::Ends } else { Patience::Waits };
                let waiting = &text[gone[stream]..given[stream]];
                let now = &waiting[..frame.fitting(waiting, patience)];
                let before = output.len();
                frame.compose(now, &mut output);
                prop_assert!(output.len() - before <= ROOM);
                gone[stream] += now.len();
                expected[stream].extend_from_slice(now);
                if let Some(last) = now.last() {
                    owner = (*last != b'\n').then_some(stream);
                }
            }
            let mut lines: Vec<String> =
                String::from_utf8(output).unwrap().lines().map(str::to_owned).collect();
            let mut wanted = Vec::new();
            for (text, prefix) in texts.iter().zip(&prefixes) {
                wanted.extend(text.lines().map(|line| format!("{prefix}{line}")));
            }
            lines.sort();
            wanted.sort();
            prop_assert_eq!(lines, wanted);
            prop_assert_eq!(&expected[0], texts[0].as_bytes());
            prop_assert_eq!(&expected[1], texts[1].as_bytes());
        }
    }
}
