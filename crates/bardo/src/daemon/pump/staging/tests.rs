//! Cuts at every step, and targets of every kind.

use super::super::Channel;
use super::super::record::words_for;
use super::super::strip::Strip;
use super::*;
use bardo_core::{Generation, ServiceId};
use bardo_sys::memory::SharedMemory;
use std::cell::RefCell;
use std::fs;
use std::io::Write as _;
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
    /// What was shown beside the log.
    shown: RefCell<Vec<u8>>,
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
            shown: RefCell::default(),
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

    fn source(&self, filter: Filter) -> Source<'_> {
        Source { key: KEY, pipe: self.pipe.as_fd(), filter }
    }

    fn show(&self, shown: Shown<'_>) {
        self.shown.borrow_mut().extend_from_slice(&shown.output.log);
    }

    fn log(&self) -> Vec<u8> {
        fs::read(&self.path).unwrap()
    }
}

fn end_of(file: &File) -> Option<Place> {
    let metadata = file.metadata().unwrap();
    Some(Place { offset: metadata.len(), device: metadata.dev(), inode: metadata.ino() })
}

/// What removes escape sequences, standing where the number says.
fn stripping(bits: u16) -> Filter {
    Filter { capture: None, strip: Some(Strip::Text) }.at(bits)
}

/// Starts a chunk and does so many of its steps.
fn carry_until(pump: &mut Staging, keeper: &Keeper, file: &File, steps: usize) -> Chunk {
    let copied = pipe::tee(&keeper.pipe, &pump.scratch_write, CHUNK_BYTES_MAX).unwrap();
    pump.input.clear();
    pump.output.clear();
    pump.read_scratch(copied).unwrap();
    let state = stripping(pump.record.state(KEY).unwrap_or(0));
    let next = state.transform(&pump.input, &mut pump.output);
    let place = end_of(file);
    let target = Target { file, place };
    let show = &mut |shown: Shown<'_>| keeper.show(shown);
    let (mut chunk, _) = pump.begin(keeper.source(state), target, next).unwrap();
    for _ in 0..steps {
        let pipe = Some(keeper.pipe.as_fd());
        pump.advance(&mut chunk, pipe, Some(target), show).unwrap();
    }
    chunk
}

/// A new pump: settles, then carries all there is.
fn restart_and_carry_all(keeper: &Keeper) {
    let mut pump = keeper.pump();
    let file = pipe::open_target(&keeper.path).unwrap();
    let known = pump.unsettled();
    assert!(known.is_none_or(|(key, _)| key == KEY));
    let target = Target { file: &file, place: end_of(&file) };
    let show = &mut |shown: Shown<'_>| keeper.show(shown);
    let before = stripping(pump.record.state(KEY).unwrap_or(0));
    let settled = pump.settle(Some(keeper.source(before)), Some(target), false, show).unwrap();
    let kept = pump.record.state(KEY);
    assert!(settled.is_none() || settled == kept);
    let mut filter = stripping(kept.unwrap_or(0));
    loop {
        let target = Target { file: &file, place: end_of(&file) };
        match pump.carry(keeper.source(filter), target, CHUNK_BYTES_MAX, show).unwrap() {
            Carried::Chunk { filter: next, .. } => filter = next,
            Carried::Empty | Carried::End | Carried::Held => break,
        }
    }
    assert_eq!(pump.unsettled(), None);
    assert_eq!(pipe::waiting(&keeper.staging.0).unwrap(), 0);
}

/// Every cut between two steps, with more output arriving after the cut. The
/// first chunk ends within an escape sequence.
#[test]
fn a_cut_between_any_two_steps_loses_doubles_and_tears_nothing() {
    for steps in 0..=8 {
        let keeper = Keeper::new();
        keeper.say(b"one \x1b[31mred\x1b[");
        let mut pump = keeper.pump();
        let file = pipe::open_target(&keeper.path).unwrap();

        let chunk = carry_until(&mut pump, &keeper, &file, steps);
        assert_eq!(chunk.step == Step::Done, steps >= 7);
        drop((pump, file));
        keeper.say(b"0mtwo\n");
        restart_and_carry_all(&keeper);

        assert_eq!(keeper.log(), b"before\none redtwo\n", "after {steps} steps");
        // What is shown elsewhere may be seen twice, and is never missing.
        let shown = String::from_utf8(keeper.shown.take()).unwrap();
        let expected = if steps == 2 { "one redone redtwo\n" } else { "one redtwo\n" };
        assert_eq!(shown, expected, "after {steps} steps");
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
        carry_until(&mut pump, &keeper, &file, 2);
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
    carry_until(&mut pump, &keeper, &file, 5);
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
    carry_until(&mut pump, &keeper, &file, 3);
    drop((pump, file));

    let mut pump = keeper.pump();
    pump.settle(None, None, false, &mut |_| {}).unwrap();

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

    let error = pump.carry(keeper.source(stripping(0)), target, 100, &mut |_| {}).unwrap_err();

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
    let source = keeper.source(Filter::default());
    keeper.say(b"\x1b[1mbold\n");

    let carried = pump.carry(source, target, 6, &mut |_| {}).unwrap();

    let (input, output) = (6, 6);
    let filter = Filter::default();
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

    let mut filter = stripping(0);
    let mut received = Vec::new();
    while pipe::waiting(&keeper.pipe).unwrap() > 0 {
        match pump.carry(keeper.source(filter), target, CHUNK_BYTES_MAX, &mut |_| {}) {
            Ok(Carried::Chunk { filter: next, .. }) => filter = next,
            Ok(Carried::Empty | Carried::End | Carried::Held) => break,
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

    let (capture, strip) = (None, Some(Strip::Escape));
    pump.flush(keeper.source(Filter { capture, strip }), target, &mut |_| {}).unwrap();

    assert_eq!(keeper.log(), b"before\n\x1b");
    assert_eq!(pump.record.state(KEY), Some(0));
}

/// What was shown, with the numbers of the chunks.
type Shows = Vec<(u64, Vec<u8>)>;

/// Does a chunk to a target that has no end, up to a step, and settles it with a new pump.
fn cut_without_an_end(steps: usize, was_told: bool) -> (Shows, Vec<u8>) {
    let keeper = Keeper::new();
    let mut pump = keeper.pump();
    let (far, near) = pipe::pipe().unwrap();
    let near = File::from(near);
    let target = Target { file: &near, place: None };
    keeper.say(b"RESULT 2\nOK");
    let mut shows = Shows::new();
    let show = &mut |shown: Shown<'_>| shows.push((shown.number, shown.input.to_vec()));

    let copied = pipe::tee(&keeper.pipe, &pump.scratch_write, CHUNK_BYTES_MAX).unwrap();
    pump.read_scratch(copied).unwrap();
    let next = Filter::default().transform(&pump.input, &mut pump.output);
    let (mut chunk, _) = pump.begin(keeper.source(Filter::default()), target, next).unwrap();
    for _ in 0..steps {
        pump.advance(&mut chunk, Some(keeper.pipe.as_fd()), Some(target), show).unwrap();
    }
    let mut pump = keeper.pump();
    let source = keeper.source(Filter::default());
    pump.settle(Some(source), Some(target), was_told, show).unwrap();
    assert!(matches!(pump.carry(source, target, 100, show), Ok(Carried::Empty)));

    let mut buffer = [0; 100];
    let length = pipe::read(&far, &mut buffer).unwrap();
    (shows, buffer[..length].to_vec())
}

#[test]
fn a_chunk_for_a_target_without_an_end_is_shown_under_one_number() {
    for steps in 0..8 {
        let (shows, written) = cut_without_an_end(steps, false);

        let first = shows.first().cloned().unwrap();
        assert_eq!(first, (1, b"RESULT 2\nOK".to_vec()), "{steps}");
        assert!(shows.iter().all(|show| *show == first), "{steps}: {shows:?}");
        assert_eq!(written, b"RESULT 2\nOK", "{steps}");
    }
}

#[test]
fn what_was_told_is_not_shown_again_and_is_not_undone() {
    let (shows, written) = cut_without_an_end(0, true);
    assert_eq!((shows, written.as_slice()), (vec![], b"RESULT 2\nOK".as_slice()));

    // Its file was made shorter since: the chunk goes on all the same.
    let keeper = Keeper::new();
    let mut pump = keeper.pump();
    let file = pipe::open_target(&keeper.path).unwrap();
    keeper.say(b"line\n");
    carry_until(&mut pump, &keeper, &file, 2);
    file.set_len(0).unwrap();

    let target = Target { file: &file, place: end_of(&file) };
    let mut pump = keeper.pump();
    pump.settle(Some(keeper.source(stripping(0))), Some(target), true, &mut |_| {}).unwrap();
    assert_eq!(pipe::waiting(&keeper.pipe).unwrap(), 0);
}
