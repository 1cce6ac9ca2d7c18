//! The path of bytes that must be looked at, exact under SIGKILL.
//!
//! The protocol is in the module above. Here it is a machine of small steps: a
//! chunk is copied and transformed without leaving a trace, then [`Step`] after
//! [`Step`] is done, each at most one store that counts or one system call. A
//! new pump enters the same machine at the step that the record and staging
//! show, so that what happens after a kill is what would have happened without
//! it.

use std::fs::File;
use std::io::{self, Write as _};
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use bardo_sys::pipe;

use super::CHUNK_BYTES_MAX;
use super::StreamKey;
use super::record::{InFlight, Phase, Place, Record};
use super::strip::Strip;

/// What staging and the scratch pipe are asked to hold: a whole chunk even where
/// its pages are not full. Less makes for smaller chunks and nothing else.
const STAGING_BYTES: usize = 2 * CHUNK_BYTES_MAX;

/// Where a chunk comes from and what is done to it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Source<'a> {
    pub(super) key: StreamKey,
    pub(super) pipe: BorrowedFd<'a>,
    /// Where its transformer stands; `None` changes nothing.
    pub(super) filter: Option<Strip>,
}

/// Where a chunk goes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Target<'a> {
    pub(super) file: &'a File,
    /// Its end, where it has one.
    pub(super) place: Option<Place>,
}

/// What became of a chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Carried {
    /// It is where it belongs.
    Chunk { input: usize, output: usize, filter: Option<Strip> },
    /// There was none.
    Empty,
    /// There was none, and there will be none.
    End,
}

/// What is to be done next to the chunk in flight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// Write the output at the recorded offset.
    Write,
    /// Move the input into staging.
    Move,
    /// Keep where the transformer stands now.
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
    input: Vec<u8>,
    output: Vec<u8>,
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
            input: Vec::new(),
            output: Vec::new(),
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
    ) -> io::Result<Carried> {
        self.input.clear();
        self.output.clear();
        let copied = match pipe::tee(source.pipe, &self.scratch_write, limit) {
            Ok(0) => return Ok(Carried::End),
            Ok(copied) => copied,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(Carried::Empty),
            Err(error) => return Err(error),
        };
        self.read_scratch(copied)?;
        let next = match source.filter {
            Some(state) => Some(state.transform(&self.input, &mut self.output)),
            None => {
                self.output.extend_from_slice(&self.input);
                None
            }
        };
        self.deliver(source, target, next)
    }

    /// Writes what the transformer holds back, because nothing follows.
    pub(super) fn flush(&mut self, source: Source<'_>, target: Target<'_>) -> io::Result<Carried> {
        self.input.clear();
        self.output.clear();
        let Some(state) = source.filter else {
            return Ok(Carried::End);
        };
        self.output.extend_from_slice(state.held_back());
        if self.output.is_empty() {
            return Ok(Carried::End);
        }
        self.deliver(source, target, Some(Strip::Text))
    }

    /// Whose chunk was in flight when the last pump died.
    pub(super) fn unsettled(&self) -> Option<StreamKey> {
        self.record.in_flight().map(|(_, flight)| flight.key)
    }

    /// Finishes what the last pump had in flight, or undoes it where nothing had
    /// left the stream's pipe. To be called before anything is carried, with the
    /// pipe and the file of the stream that [`Staging::unsettled`] names; without
    /// its pipe there is nothing but staging to empty.
    ///
    /// Returns where the stream's transformer stands, where that has changed.
    pub(super) fn settle(
        &mut self,
        pipe: Option<BorrowedFd<'_>>,
        target: Option<Target<'_>>,
    ) -> io::Result<Option<Strip>> {
        let staged = pipe::waiting(&self.read)?;
        let Some((phase, flight)) = self.record.in_flight() else {
            // Nothing in flight and something staged: another version's record
            // was forgotten. The bytes belong to nobody.
            self.discard(staged)?;
            return Ok(None);
        };
        let step = match phase {
            Phase::Moving if pipe.is_none() => Step::Mark,
            Phase::Moving if staged > 0 || is_written(&flight, target) => Step::Move,
            Phase::Moving => {
                undo_write(&flight, target)?;
                self.record.clear();
                return Ok(None);
            }
            Phase::Discarding => Step::Discard,
        };
        let mut chunk = Chunk { flight, step, staged };
        while chunk.step != Step::Done {
            self.advance(&mut chunk, pipe, target)?;
        }
        Ok(Some(Strip::from_bits(flight.next)))
    }

    /// Takes the output of a chunk to its target and the input out of its pipe.
    fn deliver(
        &mut self,
        source: Source<'_>,
        target: Target<'_>,
        next: Option<Strip>,
    ) -> io::Result<Carried> {
        let (mut chunk, next) = self.begin(source, target, next)?;
        while chunk.step != Step::Done {
            self.advance(&mut chunk, Some(source.pipe), Some(target))?;
        }
        Ok(Carried::Chunk {
            input: usize::try_from(chunk.flight.input_bytes).expect("a chunk fits into memory"),
            output: usize::try_from(chunk.flight.output_bytes).expect("a chunk fits into memory"),
            filter: next,
        })
    }

    /// Records the chunk that is in the buffers.
    ///
    /// A target without an end is written to first: how much it took is not to be
    /// seen afterwards. If the pump is killed right then, that much is written
    /// again; it is the one place where that can happen.
    fn begin(
        &mut self,
        source: Source<'_>,
        target: Target<'_>,
        mut next: Option<Strip>,
    ) -> io::Result<(Chunk, Option<Strip>)> {
        let mut input_bytes = self.input.len();
        let mut output_bytes = self.output.len();
        if target.place.is_none() && !self.output.is_empty() {
            let mut file = target.file;
            let written = file.write(&self.output)?;
            if written < output_bytes {
                output_bytes = written;
                (input_bytes, next) = match source.filter {
                    Some(state) => {
                        let (consumed, state) = state.consumed(&self.input, written);
                        (consumed, Some(state))
                    }
                    None => (written, None),
                };
            }
        }
        let flight = InFlight {
            key: source.key,
            place: target.place,
            input_bytes: input_bytes as u64,
            output_bytes: output_bytes as u64,
            next: next.map_or(0, Strip::to_bits),
        };
        self.record.begin(&flight);
        let step = match target.place {
            Some(_) => Step::Write,
            None => Step::Move,
        };
        Ok((Chunk { flight, step, staged: 0 }, next))
    }

    /// Does one step.
    fn advance(
        &mut self,
        chunk: &mut Chunk,
        pipe: Option<BorrowedFd<'_>>,
        target: Option<Target<'_>>,
    ) -> io::Result<()> {
        chunk.step = match chunk.step {
            Step::Write => {
                let place = chunk.flight.place.expect("only a file with an end is written here");
                let file = target.expect("a chunk that begins has a target").file;
                if let Err(error) = file.write_all_at(&self.output, place.offset) {
                    // Nothing has left the pipe, so the file is as it was before.
                    let _ = file.set_len(place.offset);
                    self.record.clear();
                    return Err(error);
                }
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

    fn read_scratch(&mut self, copied: usize) -> io::Result<()> {
        self.input.resize(copied, 0);
        let mut filled = 0;
        while filled < copied {
            filled += pipe::read(&self.scratch_read, &mut self.input[filled..])?;
        }
        Ok(())
    }
}

/// Whether the output of a chunk is whole in its file, nothing of its input
/// having left the pipe. The order of the steps makes the file's size enough.
fn is_written(flight: &InFlight, target: Option<Target<'_>>) -> bool {
    let Some(place) = flight.place else {
        return true;
    };
    let end = place.offset + flight.output_bytes;
    flight.output_bytes == 0 || same_file(place, target).is_some_and(|(_, now)| now >= end)
}

/// Takes back a part of an output. A file that is not the recorded one, or has
/// another size than this pump can have given it, is left alone.
fn undo_write(flight: &InFlight, target: Option<Target<'_>>) -> io::Result<()> {
    let Some(place) = flight.place else {
        return Ok(());
    };
    match same_file(place, target) {
        Some((file, now)) if now > place.offset => file.set_len(place.offset),
        _ => Ok(()),
    }
}

/// The file that a chunk was being written to and its size now, if its name
/// still leads to it.
fn same_file<'a>(recorded: Place, target: Option<Target<'a>>) -> Option<(&'a File, u64)> {
    let target = target?;
    let now = target.place?;
    let same = (now.device, now.inode) == (recorded.device, recorded.inode);
    same.then_some((target.file, now.offset))
}

#[cfg(test)]
mod tests {
    use super::super::Channel;
    use super::super::record::words_for;
    use super::*;
    use bardo_core::{Generation, ServiceId};
    use bardo_sys::memory::SharedMemory;
    use std::fs;
    use std::os::fd::AsFd as _;
    use std::os::unix::fs::MetadataExt as _;
    use std::path::PathBuf;
    use std::sync::Arc;
    use tempfile::TempDir;

    const KEY: StreamKey =
        StreamKey { service: ServiceId(2), generation: Generation(9), channel: Channel::Stderr };

    /// What outlives a pump: a child's pipe, staging, memory, and a log that
    /// already holds a line.
    struct Keeper {
        _directory: TempDir,
        path: PathBuf,
        child: OwnedFd,
        pipe: OwnedFd,
        staging: (OwnedFd, OwnedFd),
        cells: Arc<SharedMemory>,
    }

    impl Keeper {
        fn new() -> Self {
            let directory = tempfile::tempdir().unwrap();
            let path = directory.path().join("log");
            fs::write(&path, "before\n").unwrap();
            let (pipe, child) = pipe::pipe().unwrap();
            let cells = SharedMemory::anonymous("cells").unwrap();
            Self {
                _directory: directory,
                path,
                child,
                pipe,
                staging: pipe::pipe().unwrap(),
                cells: Arc::new(SharedMemory::map(cells, 64).unwrap()),
            }
        }

        fn pump(&self) -> Staging {
            let (record, _) = Record::open(Arc::clone(&self.cells), 0, words_for(8));
            let read = self.staging.0.try_clone().unwrap();
            let write = self.staging.1.try_clone().unwrap();
            Staging::new(read, write, record).unwrap()
        }

        fn say(&self, bytes: &[u8]) {
            let mut child = File::from(self.child.try_clone().unwrap());
            child.write_all(bytes).unwrap();
        }

        fn source(&self, filter: Strip) -> Source<'_> {
            Source { key: KEY, pipe: self.pipe.as_fd(), filter: Some(filter) }
        }

        fn log(&self) -> Vec<u8> {
            fs::read(&self.path).unwrap()
        }
    }

    fn end_of(file: &File) -> Option<Place> {
        let metadata = file.metadata().unwrap();
        Some(Place { offset: metadata.len(), device: metadata.dev(), inode: metadata.ino() })
    }

    /// Starts a chunk and does so many of its steps.
    fn carry_until(pump: &mut Staging, keeper: &Keeper, file: &File, steps: usize) -> Chunk {
        let copied = pipe::tee(&keeper.pipe, &pump.scratch_write, CHUNK_BYTES_MAX).unwrap();
        pump.input.clear();
        pump.output.clear();
        pump.read_scratch(copied).unwrap();
        let state = pump.record.state(KEY).map(Strip::from_bits).unwrap_or_default();
        let next = state.transform(&pump.input, &mut pump.output);
        let place = end_of(file);
        let target = Target { file, place };
        let (mut chunk, _) = pump.begin(keeper.source(state), target, Some(next)).unwrap();
        for _ in 0..steps {
            let pipe = Some(keeper.pipe.as_fd());
            pump.advance(&mut chunk, pipe, Some(target)).unwrap();
        }
        chunk
    }

    /// A new pump: settles, then carries all there is.
    fn restart_and_carry_all(keeper: &Keeper) {
        let mut pump = keeper.pump();
        let file = pipe::open_target(&keeper.path).unwrap();
        let known = pump.unsettled();
        assert!(known.is_none_or(|key| key == KEY));
        let target = Target { file: &file, place: end_of(&file) };
        let settled = pump.settle(Some(keeper.pipe.as_fd()), Some(target)).unwrap();
        let kept = pump.record.state(KEY).map(Strip::from_bits);
        assert!(settled.is_none() || settled == kept);
        let mut filter = kept.unwrap_or_default();
        loop {
            let target = Target { file: &file, place: end_of(&file) };
            match pump.carry(keeper.source(filter), target, CHUNK_BYTES_MAX).unwrap() {
                Carried::Chunk { filter: next, .. } => filter = next.unwrap(),
                Carried::Empty | Carried::End => break,
            }
        }
        assert_eq!(pump.unsettled(), None);
        assert_eq!(pipe::waiting(&keeper.staging.0).unwrap(), 0);
    }

    /// Every cut between two steps, with more output arriving after the cut. The
    /// first chunk ends within an escape sequence.
    #[test]
    fn a_cut_between_any_two_steps_loses_doubles_and_tears_nothing() {
        for steps in 0..=7 {
            let keeper = Keeper::new();
            keeper.say(b"one \x1b[31mred\x1b[");
            let mut pump = keeper.pump();
            let file = pipe::open_target(&keeper.path).unwrap();

            let chunk = carry_until(&mut pump, &keeper, &file, steps);
            assert_eq!(chunk.step == Step::Done, steps >= 6);
            drop((pump, file));
            keeper.say(b"0mtwo\n");
            restart_and_carry_all(&keeper);

            assert_eq!(keeper.log(), b"before\none redtwo\n", "after {steps} steps");
        }
    }

    #[test]
    fn a_write_that_was_cut_in_its_midst_is_taken_back() {
        let keeper = Keeper::new();
        keeper.say(b"one \x1b[31mred\x1b[0m\n");
        let mut pump = keeper.pump();
        let file = pipe::open_target(&keeper.path).unwrap();
        carry_until(&mut pump, &keeper, &file, 0);
        file.write_all_at(b"one", 7).unwrap();
        drop((pump, file));

        restart_and_carry_all(&keeper);

        assert_eq!(keeper.log(), b"before\none red\n");
    }

    #[test]
    fn a_move_that_was_cut_in_its_midst_is_finished() {
        for moved in [1, 5, 11] {
            let keeper = Keeper::new();
            keeper.say(b"one \x1b[31mred\n");
            let mut pump = keeper.pump();
            let file = pipe::open_target(&keeper.path).unwrap();
            carry_until(&mut pump, &keeper, &file, 1);
            pipe::splice(&keeper.pipe, &keeper.staging.1, moved).unwrap();
            drop((pump, file));
            keeper.say(b"two\n");

            restart_and_carry_all(&keeper);

            assert_eq!(keeper.log(), b"before\none red\ntwo\n");
        }
    }

    #[test]
    fn a_discard_that_was_cut_in_its_midst_is_finished() {
        let keeper = Keeper::new();
        keeper.say(b"one \x1b[31mred\n");
        let mut pump = keeper.pump();
        let file = pipe::open_target(&keeper.path).unwrap();
        carry_until(&mut pump, &keeper, &file, 4);
        pipe::splice(&keeper.staging.0, &pump.null, 3).unwrap();
        drop((pump, file));
        keeper.say(b"two\n");

        restart_and_carry_all(&keeper);

        assert_eq!(keeper.log(), b"before\none red\ntwo\n");
    }

    #[test]
    fn without_its_stream_only_staging_is_emptied() {
        let keeper = Keeper::new();
        keeper.say(b"one\n");
        let mut pump = keeper.pump();
        let file = pipe::open_target(&keeper.path).unwrap();
        carry_until(&mut pump, &keeper, &file, 2);
        drop((pump, file));

        let mut pump = keeper.pump();
        pump.settle(None, None).unwrap();

        assert_eq!(pump.unsettled(), None);
        assert_eq!(pipe::waiting(&keeper.staging.0).unwrap(), 0);
        assert_eq!(keeper.log(), b"before\none\n");
    }

    /// Buffers of one byte each fill the pipes' slots long before their bytes.
    #[test]
    fn many_small_buffers_are_carried_whole() {
        let keeper = Keeper::new();
        let (one, one_write) = pipe::pipe().unwrap();
        let text: Vec<u8> = (0..200_u32).map(|number| b'a' + (number % 26) as u8).collect();
        pipe::set_capacity(&keeper.pipe, 1 << 20).unwrap();
        for byte in &text {
            File::from(one_write.try_clone().unwrap()).write_all(&[*byte]).unwrap();
            pipe::splice(&one, &keeper.child, 1).unwrap();
        }

        restart_and_carry_all(&keeper);

        assert_eq!(keeper.log()[7..], text);
    }

    #[test]
    fn a_disk_that_refuses_leaves_the_bytes_in_the_pipe() {
        let keeper = Keeper::new();
        keeper.say(b"one\n");
        let mut pump = keeper.pump();
        let full = pipe::open_target(Path::new("/dev/full")).unwrap();
        let place = Place { offset: 0, device: 0, inode: 0 };
        let target = Target { file: &full, place: Some(place) };

        let error = pump.carry(keeper.source(Strip::Text), target, 100).unwrap_err();

        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
        assert_eq!(pump.unsettled(), None);
        assert_eq!(pipe::waiting(&keeper.pipe).unwrap(), 4);
        restart_and_carry_all(&keeper);
        assert_eq!(keeper.log(), b"before\none\n");
    }

    #[test]
    fn bytes_that_are_not_changed_can_go_the_same_way() {
        let keeper = Keeper::new();
        let mut pump = keeper.pump();
        let file = pipe::open_target(&keeper.path).unwrap();
        let target = Target { file: &file, place: end_of(&file) };
        let source = Source { filter: None, ..keeper.source(Strip::Text) };
        keeper.say(b"\x1b[1mbold\n");

        let carried = pump.carry(source, target, 6).unwrap();

        let (input, output) = (6, 6);
        let filter = None;
        assert_eq!(carried, Carried::Chunk { input, output, filter });
        assert_eq!(keeper.log(), b"before\n\x1b[1mbo");
        assert_eq!(pipe::waiting(&keeper.pipe).unwrap(), 3);
    }

    #[test]
    fn a_fifo_that_takes_a_part_gets_the_rest_later() {
        let keeper = Keeper::new();
        let mut pump = keeper.pump();
        let (far, near) = pipe::pipe().unwrap();
        pipe::set_capacity(&near, 4096).unwrap();
        pipe::set_nonblocking(&near, true).unwrap();
        let near = File::from(near);
        let target = Target { file: &near, place: None };
        let line = b"text \x1b[1mbold\x1b[0m\n".repeat(500);
        keeper.say(&line);

        let mut filter = Strip::Text;
        let mut received = Vec::new();
        while pipe::waiting(&keeper.pipe).unwrap() > 0 {
            match pump.carry(keeper.source(filter), target, CHUNK_BYTES_MAX) {
                Ok(Carried::Chunk { filter: next, .. }) => filter = next.unwrap(),
                Ok(Carried::Empty | Carried::End) => break,
                Err(error) => {
                    assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
                    let mut buffer = [0; 1000];
                    let length = pipe::read(&far, &mut buffer).unwrap();
                    received.extend_from_slice(&buffer[..length]);
                }
            }
        }
        drop(near);
        let mut buffer = [0; 5000];
        while let Ok(length @ 1..) = pipe::read(&far, &mut buffer) {
            received.extend_from_slice(&buffer[..length]);
        }

        assert_eq!(received, b"text bold\n".repeat(500));
    }

    #[test]
    fn an_escape_at_the_very_end_is_written_when_nothing_follows() {
        let keeper = Keeper::new();
        let mut pump = keeper.pump();
        let file = pipe::open_target(&keeper.path).unwrap();
        let target = Target { file: &file, place: end_of(&file) };

        pump.flush(keeper.source(Strip::Escape), target).unwrap();

        assert_eq!(keeper.log(), b"before\n\x1b");
        assert_eq!(pump.record.state(KEY), Some(Strip::Text.to_bits()));
    }
}
