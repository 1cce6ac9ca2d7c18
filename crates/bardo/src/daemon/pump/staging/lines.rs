//! Chunks that go out in whole lines, and the outboxes before the outputs.

use std::fs::File;
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};

use bardo_sys::pipe;

use super::super::StreamKey;
use super::super::filter::{Filter, Part};
use super::super::lines::{Frame, Patience, whole_lines};
use super::super::outlet::{Emptied, OutletId};
use super::super::record::{InFlight, LineNote};
use super::{Carried, Chunk, Show, Source, Staging, Step, Target, read_whole};

/// Most bytes of one chunk, and so of a line that is held back: what a pipe of the usual size
/// holds when its pages are full.
pub(in super::super) const HELD_BYTES_MAX: usize = 64 << 10;

/// Most bytes that go at once to an output which is a regular file, with what stands before
/// each line: a bound for memory. It has room for any line that is held back.
const FILE_ROOM: usize = 1 << 20;

/// How lines go to an outlet.
#[derive(Debug, Clone, Copy)]
pub(in super::super) struct Lines<'a> {
    pub(in super::super) outlet: OutletId,
    /// Stands before each line.
    pub(in super::super) prefix: &'a [u8],
    /// Whether the beginning of a line is held back.
    pub(in super::super) patience: Patience,
}

impl Staging {
    /// Carries up to `limit` bytes of the source in whole lines. The outbox must be empty.
    ///
    /// # Errors
    /// What the target says. The source's bytes are then in its pipe as before.
    pub(in super::super) fn carry_lines(
        &mut self,
        source: Source<'_>,
        target: Target<'_>,
        (lines, limit): (Lines<'_>, usize),
        show: Show<'_>,
    ) -> io::Result<Carried> {
        let patience = match self.look(source.pipe, limit) {
            Ok(None) => return Ok(Carried::End),
            Ok(Some(Looked::Some)) => lines.patience,
            Ok(Some(Looked::Full)) => Patience::Ends,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(Carried::Empty),
            Err(error) => return Err(error),
        };
        let frame = self.frame(lines, source, target);
        match self.choose(source.filter, &frame, patience) {
            Some(next) => self.deliver_lines(source, target, (&frame, lines.outlet), next, show),
            None => Ok(Carried::Held),
        }
    }

    /// Writes what the filter holds back, because nothing follows.
    pub(in super::super) fn flush_lines(
        &mut self,
        source: Source<'_>,
        target: Target<'_>,
        lines: Lines<'_>,
        show: Show<'_>,
    ) -> io::Result<Carried> {
        let Some(next) = self.take_held_back(source.filter) else { return Ok(Carried::End) };
        let frame = self.frame(lines, source, target);
        self.deliver_lines(source, target, (&frame, lines.outlet), next, show)
    }

    /// Moves what is in an outbox into its output, as far as there is room.
    ///
    /// # Errors
    /// What the output says: `EINVAL` where nothing can be moved there.
    pub(in super::super) fn empty(
        &mut self,
        outlet: OutletId,
        target: &File,
        splices: bool,
    ) -> io::Result<Emptied> {
        if splices {
            return self.outlets.splice(outlet, target);
        }
        let (scratch_read, scratch_write) = (&self.scratch_read, &self.scratch_write);
        let mut copy = |outbox: &OwnedFd, bytes: usize| {
            let copied = pipe::tee(outbox, scratch_write, bytes)?;
            let mut text = Vec::new();
            read_whole(scratch_read, copied, &mut text)?;
            Ok(text)
        };
        self.outlets.write(outlet, target, &mut copy, &self.null)
    }

    fn frame<'a>(&self, lines: Lines<'a>, source: Source<'_>, target: Target<'_>) -> Frame<'a> {
        let room = match target.place {
            Some(_) => FILE_ROOM,
            None => self.outlets.room(lines.outlet),
        };
        let standing = self.outlets.standing(lines.outlet, source.key);
        Frame { prefix: lines.prefix, standing, room }
    }

    /// Copies what is at the head of a pipe into the input. `None` is the end.
    ///
    /// A writer whose pipe is full cannot finish its line. How many bytes fill a pipe depends
    /// on the pieces in which they were written; but their copy fills another one of that
    /// size. So the scratch pipe is never the larger one when the answer counts.
    fn look(&mut self, pipe: BorrowedFd<'_>, limit: usize) -> io::Result<Option<Looked>> {
        let (read, write, known_room) = match &mut self.line_scratch {
            Some(scratch) => scratch,
            scratch @ None => {
                let (read, write) = pipe::pipe()?;
                scratch.insert((read, write, 0))
            }
        };
        let room = pipe::capacity(pipe)?.min(HELD_BYTES_MAX);
        if *known_room != room {
            // It is empty, so it can be made smaller. One that stays smaller is as exact.
            let _ = pipe::set_capacity(&*write, room);
            *known_room = room;
        }
        let copied = pipe::tee(pipe, &*write, limit)?;
        if copied == 0 {
            return Ok(None);
        }
        let is_full = pipe::is_full(&*write)?;
        read_whole(read, copied, &mut self.input)?;
        Ok(Some(if is_full { Looked::Full } else { Looked::Some }))
    }

    /// Cuts input and output to what goes out now, and says where the filter stands then;
    /// `None` where all of it is held back. What is in messages is never held back, nor what
    /// is before it: somebody may wait for an answer.
    fn choose(&mut self, filter: Filter, frame: &Frame<'_>, patience: Patience) -> Option<Filter> {
        let whole = whole_lines(&self.input);
        self.output.clear();
        if whole > 0 && whole < self.input.len() {
            let next = filter.transform(&self.input[..whole], &mut self.output);
            let log = &self.output.log;
            if (log.is_empty() || log.ends_with(b"\n"))
                && frame.fitting(log, Patience::Ends) == log.len()
            {
                self.input.truncate(whole);
                return Some(next);
            }
            self.output.clear();
        }
        let next = filter.transform(&self.input, &mut self.output);
        let is_plain = self.output.parts.iter().all(|part| matches!(part, Part::Logged(_)));
        let patience = if is_plain { patience } else { Patience::Ends };
        let fitting = frame.fitting(&self.output.log, patience);
        if fitting == self.output.log.len() {
            return Some(next);
        }
        if fitting == 0 {
            return None;
        }
        let consumed = match filter.is_needed() {
            true => filter.consumed(&self.input, fitting).0.max(1),
            false => fitting,
        };
        self.input.truncate(consumed);
        self.output.clear();
        // A byte that frees several is taken in whole or not at all.
        Some(filter.transform(&self.input, &mut self.output))
    }

    /// Takes the output of a chunk to its target, with what stands before its lines, and the
    /// input out of its pipe.
    fn deliver_lines(
        &mut self,
        source: Source<'_>,
        target: Target<'_>,
        (frame, outlet): (&Frame<'_>, OutletId),
        next: Filter,
        show: Show<'_>,
    ) -> io::Result<Carried> {
        let mut chunk = self.begin_lines(source.key, target, (frame, outlet), next);
        let (input, output) = (self.input.len(), self.lines.len());
        while chunk.step != Step::Done {
            self.advance(&mut chunk, Some(source.pipe), Some(target), show)?;
        }
        Ok(Carried::Chunk { input, output, filter: next })
    }

    /// Records the chunk that is in the buffers.
    fn begin_lines(
        &mut self,
        key: StreamKey,
        target: Target<'_>,
        (frame, outlet): (&Frame<'_>, OutletId),
        next: Filter,
    ) -> Chunk {
        self.lines.clear();
        frame.compose(&self.output.log, &mut self.lines);
        let leaves_open = !self.lines.ends_with(b"\n");
        let flight = InFlight {
            key,
            place: target.place,
            input_bytes: self.input.len() as u64,
            output_bytes: self.lines.len() as u64,
            next: next.to_bits(),
            number: self.record.next_number(),
            line: Some(LineNote { outlet, leaves_open }),
        };
        self.record.begin(&flight);
        Chunk { flight, step: Step::Write, staged: 0 }
    }
}

/// What was found in a pipe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Looked {
    /// Its writer has room for more.
    Some,
    /// It may have none.
    Full,
}

#[cfg(test)]
mod tests;
