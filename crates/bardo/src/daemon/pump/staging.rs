//! The path of bytes that must be looked at, exact under SIGKILL.
//!
//! The protocol is in the module above. Here it is a machine of small steps: a
//! chunk is copied and transformed without leaving a trace, then [`Step`] after
//! [`Step`] is done, each at most one store that counts or one system call. A
//! new pump enters the same machine at the step that the record and staging
//! show, so that what happens after a kill is what would have happened without
//! it.

use std::fs::File;
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use bardo_sys::pipe;

use super::CHUNK_BYTES_MAX;
use super::StreamKey;
use super::filter::{Filter, Output};
use super::outlet::Outlets;
use super::record::{InFlight, LineNote, Phase, Place, Record};

/// What staging and the scratch pipe are asked to hold: a whole chunk even where
/// its pages are not full. Less makes for smaller chunks and nothing else.
const STAGING_BYTES: usize = 2 * CHUNK_BYTES_MAX;

/// Where a chunk comes from and what is done to it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Source<'a> {
    pub(super) key: StreamKey,
    pub(super) pipe: BorrowedFd<'a>,
    /// What is done to it, and where that stands.
    pub(super) filter: Filter,
}

/// Where a chunk goes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Target<'a> {
    pub(super) file: &'a File,
    /// Its end, where it has one.
    pub(super) place: Option<Place>,
}

/// A chunk whose output is where it belongs.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shown<'a> {
    /// Its number. A chunk that is shown again has the same one.
    pub(super) number: u64,
    /// What was read.
    pub(super) input: &'a [u8],
    /// What has become of it.
    pub(super) output: &'a Output,
}

/// Is shown each chunk.
pub(super) type Show<'a> = &'a mut dyn FnMut(Shown<'_>);

/// What became of a chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Carried {
    /// It is where it belongs.
    Chunk { input: usize, output: usize, filter: Filter },
    /// There was none.
    Empty,
    /// There was none, and there will be none.
    End,
    /// There was the beginning of a line, which waits for the rest.
    Held,
}

/// What is to be done next to the chunk in flight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// Write the output at the recorded offset.
    Write,
    /// Show the output wherever else it wants to be seen.
    Show,
    /// Move the input into staging.
    Move,
    /// Keep where the filter stands now.
    Keep,
    /// Record that only staging is left to empty.
    Mark,
    /// Empty staging.
    Discard,
    /// Record that nothing is in flight.
    Clear,
    /// Nothing.
    Done,
}

/// The chunk in flight, as the living pump holds it.
#[derive(Debug)]
struct Chunk {
    flight: InFlight,
    step: Step,
    /// How much of the input is in staging.
    staged: usize,
}

/// The pipes, the record, and room for one chunk.
#[derive(Debug)]
pub(super) struct Staging {
    read: OwnedFd,
    write: OwnedFd,
    scratch_read: OwnedFd,
    scratch_write: OwnedFd,
    null: File,
    pub(super) record: Record,
    pub(super) outlets: Outlets,
    /// The pipe into which is copied what may have to wait for the rest of its line, and what
    /// it was asked to hold.
    line_scratch: Option<(OwnedFd, OwnedFd, usize)>,
    input: Vec<u8>,
    output: Output,
    /// What is written of the output, where that is not the output itself.
    lines: Vec<u8>,
}

impl Staging {
    /// Takes the ends of the staging pipe, which outlives this process, and the
    /// record about it.
    pub(super) fn new(read: OwnedFd, write: OwnedFd, record: Record) -> io::Result<Self> {
        let (scratch_read, scratch_write) = pipe::pipe()?;
        // What was copied into scratch must fit into staging, buffer by buffer, so
        // scratch is never the larger one. Making an empty pipe smaller is always
        // granted.
        let _ = pipe::set_capacity(&write, STAGING_BYTES);
        let room = pipe::capacity(&write)?;
        let _ = pipe::set_capacity(&scratch_write, room);
        assert!(
            pipe::capacity(&scratch_write)? <= room,
            "the scratch pipe is not larger than the staging pipe"
        );
        Ok(Self {
            read,
            write,
            scratch_read,
            scratch_write,
            null: pipe::open_target(Path::new("/dev/null"))?,
            record,
            outlets: Outlets::default(),
            line_scratch: None,
            input: Vec::new(),
            output: Output::default(),
            lines: Vec::new(),
        })
    }

    /// Carries up to `limit` bytes of the source.
    ///
    /// # Errors
    /// What the target says. The source's bytes are then in its pipe as before.
    pub(super) fn carry(
        &mut self,
        source: Source<'_>,
        target: Target<'_>,
        limit: usize,
        show: Show<'_>,
    ) -> io::Result<Carried> {
        let copied = match pipe::tee(source.pipe, &self.scratch_write, limit) {
            Ok(0) => return Ok(Carried::End),
            Ok(copied) => copied,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(Carried::Empty),
            Err(error) => return Err(error),
        };
        self.read_scratch(copied)?;
        self.output.clear();
        let next = source.filter.transform(&self.input, &mut self.output);
        self.deliver(source, target, next, show)
    }

    /// Writes what the filter holds back, because nothing follows.
    pub(super) fn flush(
        &mut self,
        source: Source<'_>,
        target: Target<'_>,
        show: Show<'_>,
    ) -> io::Result<Carried> {
        let Some(next) = self.take_held_back(source.filter) else { return Ok(Carried::End) };
        self.deliver(source, target, next, show)
    }

    /// Whose chunk was in flight when the last pump died, and its number.
    pub(super) fn unsettled(&self) -> Option<(StreamKey, u64)> {
        self.record.in_flight().map(|(_, flight)| (flight.key, flight.number))
    }

    /// Finishes what the last pump had in flight, or undoes it where nothing had
    /// left the stream's pipe. To be called before anything is carried, with the
    /// stream that [`Staging::unsettled`] names and its file; without
    /// its pipe there is nothing but staging to empty. One that `was_told` was whole in its
    /// file, whatever has become of that since.
    ///
    /// Returns where the stream's filter stands, where that has changed.
    pub(super) fn settle(
        &mut self,
        source: Option<Source<'_>>,
        target: Option<Target<'_>>,
        was_told: bool,
        show: Show<'_>,
    ) -> io::Result<Option<u16>> {
        let pipe = source.map(|source| source.pipe);
        let staged = pipe::waiting(&self.read)?;
        let Some((phase, flight)) = self.record.in_flight() else {
            // Nothing in flight and something staged: another version's record
            // was forgotten. The bytes belong to nobody.
            self.discard(staged)?;
            return Ok(None);
        };
        let step = match phase {
            Phase::Moving if pipe.is_none() => {
                if staged == 0 && !self.is_written(&flight, target) {
                    self.undo_write(&flight, target)?;
                }
                Step::Mark
            }
            Phase::Moving if staged > 0 || was_told => Step::Move,
            Phase::Moving if self.is_written(&flight, target) => {
                self.copy_again(&flight, source)?;
                Step::Show
            }
            Phase::Moving => {
                self.undo_write(&flight, target)?;
                self.record.clear();
                return Ok(None);
            }
            Phase::Discarding => Step::Discard,
        };
        let mut chunk = Chunk { flight, step, staged };
        while chunk.step != Step::Done {
            self.advance(&mut chunk, pipe, target, show)?;
        }
        Ok(Some(flight.next))
    }

    /// Takes the output of a chunk to its target and the input out of its pipe.
    fn deliver(
        &mut self,
        source: Source<'_>,
        target: Target<'_>,
        next: Filter,
        show: Show<'_>,
    ) -> io::Result<Carried> {
        let (mut chunk, next) = self.begin(source, target, next)?;
        while chunk.step != Step::Done {
            self.advance(&mut chunk, Some(source.pipe), Some(target), show)?;
        }
        Ok(Carried::Chunk {
            input: usize::try_from(chunk.flight.input_bytes).expect("a chunk fits into memory"),
            output: usize::try_from(chunk.flight.output_bytes).expect("a chunk fits into memory"),
            filter: next,
        })
    }

    /// Records the chunk that is in the buffers.
    ///
    /// A target without an end is written to first: how much it took is not to be seen
    /// afterwards. If the pump is killed right then, that much is written again; it is the
    /// one place where that can happen.
    fn begin(
        &mut self,
        source: Source<'_>,
        target: Target<'_>,
        mut next: Filter,
    ) -> io::Result<(Chunk, Filter)> {
        let number = self.record.next_number();
        if target.place.is_none() {
            let whole = self.output.log.len();
            let written = match whole {
                0 => 0,
                _ => pipe::write_now(target.file, &self.output.log)?,
            };
            if written < whole {
                let (consumed, state) = source.filter.consumed(&self.input, written);
                next = state;
                self.output.cut(written);
                self.input.truncate(consumed);
            }
        }
        let (input_bytes, output_bytes) = (self.input.len(), self.output.log.len());
        let flight = InFlight {
            key: source.key,
            place: target.place,
            input_bytes: input_bytes as u64,
            output_bytes: output_bytes as u64,
            next: next.to_bits(),
            number,
            line: None,
        };
        self.record.begin(&flight);
        let step = match target.place {
            Some(_) => Step::Write,
            None => Step::Show,
        };
        Ok((Chunk { flight, step, staged: 0 }, next))
    }

    /// Does one step.
    fn advance(
        &mut self,
        chunk: &mut Chunk,
        pipe: Option<BorrowedFd<'_>>,
        target: Option<Target<'_>>,
        show: Show<'_>,
    ) -> io::Result<()> {
        chunk.step = match chunk.step {
            Step::Write => {
                if let Err(error) = self.write(&chunk.flight, target) {
                    // Nothing has left the pipe.
                    self.record.clear();
                    return Err(error);
                }
                Step::Show
            }
            Step::Show => {
                show(self.shown(chunk.flight.number));
                Step::Move
            }
            Step::Move => {
                let input = usize::try_from(chunk.flight.input_bytes).unwrap_or(usize::MAX);
                let left = input.saturating_sub(chunk.staged);
                let pipe = pipe.expect("a chunk moves only while its pipe is known");
                match pipe::splice(pipe, &self.write, left) {
                    Ok(moved) if moved > 0 && moved < left => {
                        chunk.staged += moved;
                        Step::Move
                    }
                    Ok(moved) => {
                        chunk.staged += moved;
                        Step::Keep
                    }
                    // Somebody else has read from the pipe.
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => Step::Keep,
                    Err(error) => return Err(error),
                }
            }
            Step::Keep => {
                self.record.keep_state(chunk.flight.key, chunk.flight.next);
                self.keep_line(&chunk.flight);
                Step::Mark
            }
            Step::Mark => {
                self.record.discarding();
                Step::Discard
            }
            Step::Discard => {
                self.discard(chunk.staged)?;
                Step::Clear
            }
            Step::Clear => {
                self.record.clear();
                Step::Done
            }
            Step::Done => Step::Done,
        };
        Ok(())
    }

    /// Writes the output of a chunk where its place is, or puts it into an outbox. If that
    /// fails, all is as it was before.
    fn write(&mut self, flight: &InFlight, target: Option<Target<'_>>) -> io::Result<()> {
        let output = if flight.line.is_some() { &self.lines } else { &self.output.log };
        let (Some(place), Some(target)) = (flight.place, target) else {
            let line = flight.line.expect("what has no place goes to an outbox, if it is here");
            return self.outlets.pack(line.outlet, output, &self.null);
        };
        target.file.write_all_at(output, place.offset).inspect_err(|_| {
            let _ = target.file.set_len(place.offset);
        })
    }

    /// Keeps whose line an output ends in after a chunk that says something.
    fn keep_line(&mut self, flight: &InFlight) {
        if let Some(LineNote { outlet, leaves_open }) = flight.line
            && flight.output_bytes > 0
        {
            let owner = leaves_open.then_some(flight.key);
            self.outlets.ends_in(outlet, owner, &self.record);
        }
    }

    /// Whether the output of a chunk is whole in its file or outbox, nothing of its input
    /// having left the pipe. The order of the steps makes the size enough.
    fn is_written(&self, flight: &InFlight, target: Option<Target<'_>>) -> bool {
        let Some(place) = flight.place else {
            // The outbox was empty before.
            return flight.line.is_none_or(|line| {
                self.outlets.has(line.outlet)
                    && self.outlets.left(line.outlet) as u64 == flight.output_bytes
            });
        };
        let end = place.offset + flight.output_bytes;
        flight.output_bytes == 0 || same_file(place, target).is_some_and(|(_, now)| now >= end)
    }

    /// Takes back a part of an output. A file that is not the recorded one, or has
    /// another size than this pump can have given it, is left alone.
    fn undo_write(&self, flight: &InFlight, target: Option<Target<'_>>) -> io::Result<()> {
        let Some(place) = flight.place else {
            if let Some(line) = flight.line.filter(|line| self.outlets.has(line.outlet)) {
                self.outlets.drop_all(line.outlet, &self.null);
            }
            return Ok(());
        };
        match same_file(place, target) {
            Some((file, now)) if now > place.offset => file.set_len(place.offset),
            _ => Ok(()),
        }
    }

    fn discard(&mut self, staged: usize) -> io::Result<()> {
        let mut left = staged;
        while left > 0 {
            match pipe::splice(&self.read, &self.null, left) {
                Ok(0) => break,
                Ok(gone) => left -= gone,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Makes the output of a chunk again, which may not have been shown: its input is
    /// still at the head of its pipe.
    fn copy_again(&mut self, flight: &InFlight, source: Option<Source<'_>>) -> io::Result<()> {
        self.input.clear();
        self.output.clear();
        let Some(source) = source else { return Ok(()) };
        let input = usize::try_from(flight.input_bytes).unwrap_or(0).min(CHUNK_BYTES_MAX);
        if input == 0 {
            source.filter.finish(&mut self.output);
            return Ok(());
        }
        // A target that took only a part may have had the first bytes of what the next one
        // of input has freed.
        let freed = usize::from(flight.place.is_none() && flight.line.is_none());
        let copied = pipe::tee(source.pipe, &self.scratch_write, input + freed)?;
        self.read_scratch(copied)?;
        let beyond = self.input.split_off(input.min(copied));
        let state = source.filter.transform(&self.input, &mut self.output);
        let written = usize::try_from(flight.output_bytes).unwrap_or(usize::MAX);
        if flight.line.is_none() && self.output.log.len() < written {
            state.transform(&beyond, &mut self.output);
            self.output.cut(written);
        }
        Ok(())
    }

    fn shown(&self, number: u64) -> Shown<'_> {
        Shown { number, input: &self.input, output: &self.output }
    }

    /// Takes what a filter holds back as what is to be written; returns the filter as it is
    /// then, where it held anything back.
    fn take_held_back(&mut self, filter: Filter) -> Option<Filter> {
        self.input.clear();
        self.output.clear();
        let next = filter.finish(&mut self.output);
        (!self.output.parts.is_empty()).then_some(next)
    }

    fn read_scratch(&mut self, copied: usize) -> io::Result<()> {
        read_whole(&self.scratch_read, copied, &mut self.input)
    }
}

/// Reads as much as is known to be in a pipe.
fn read_whole(from: &OwnedFd, bytes: usize, into: &mut Vec<u8>) -> io::Result<()> {
    into.resize(bytes, 0);
    let mut filled = 0;
    while filled < bytes {
        filled += pipe::read(from, &mut into[filled..])?;
    }
    Ok(())
}

/// The file that a chunk was being written to and its size now, if its name
/// still leads to it.
fn same_file<'a>(recorded: Place, target: Option<Target<'a>>) -> Option<(&'a File, u64)> {
    let target = target?;
    let now = target.place?;
    let same = (now.device, now.inode) == (recorded.device, recorded.inode);
    same.then_some((target.file, now.offset))
}

pub(super) mod lines;

#[cfg(test)]
mod tests;
