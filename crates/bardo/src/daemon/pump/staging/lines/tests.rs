//! Cuts at every step on the way into a shared output.

use std::io::Write as _;
use std::os::fd::AsFd as _;
use std::sync::Arc;

use bardo_core::{Generation, ServiceId};
use bardo_sys::memory::SharedMemory;

use super::super::super::Channel;
use super::super::super::lines::Standing;
use super::super::super::outlet::{OutletSettings, Outlets};
use super::super::super::record::{Record, words_for};
use super::super::super::strip::Strip;
use super::*;

/// What outlives a pump: two children's pipes, the output and the pipe before it, staging,
/// and memory.
struct Keeper {
    children: [(OwnedFd, OwnedFd); 2],
    output: (OwnedFd, OwnedFd),
    outbox: (OwnedFd, OwnedFd),
    staging: (OwnedFd, OwnedFd),
    cells: Arc<SharedMemory>,
}

const OUTLET: OutletId = OutletId::Output;
const PREFIXES: [&str; 2] = ["1>", "2>"];

fn key(child: usize) -> StreamKey {
    let service = ServiceId(u32::try_from(child).unwrap());
    StreamKey { service, generation: Generation(3), channel: Channel::Stderr }
}

fn copies((read, write): &(OwnedFd, OwnedFd)) -> (OwnedFd, OwnedFd) {
    (read.try_clone().unwrap(), write.try_clone().unwrap())
}

impl Keeper {
    fn new() -> Self {
        let cells = SharedMemory::anonymous("cells").unwrap();
        let new = || pipe::pipe().unwrap();
        Self {
            children: [new(), new()],
            output: new(),
            outbox: new(),
            staging: new(),
            cells: Arc::new(SharedMemory::map(cells, words_for(4)).unwrap()),
        }
    }

    fn pump(&self) -> Staging {
        let (record, _) = Record::open(Arc::clone(&self.cells), 0, words_for(4));
        let (read, write) = copies(&self.staging);
        let mut pump = Staging::new(read, write, record).unwrap();
        let output = self.output.1.try_clone().unwrap();
        let outlet = OutletSettings { output, outbox: copies(&self.outbox) };
        pump.outlets = Outlets::new([Some(outlet), None], &pump.record).unwrap();
        pump
    }

    fn say(&self, child: usize, text: &str) {
        let mut child = File::from(self.children[child].1.try_clone().unwrap());
        child.write_all(text.as_bytes()).unwrap();
    }

    fn source(&self, child: usize, filter: Filter) -> Source<'_> {
        Source { key: key(child), pipe: self.children[child].0.as_fd(), filter }
    }

    fn target(&self) -> File {
        self.output.1.try_clone().unwrap().into()
    }

    /// What has come out so far.
    fn out(&self) -> String {
        let waiting = pipe::waiting(&self.output.0).unwrap();
        let mut text = Vec::new();
        read_whole(&self.output.0, waiting, &mut text).unwrap();
        String::from_utf8(text).unwrap()
    }
}

fn stripping(pump: &Staging, child: usize) -> Filter {
    let kept = pump.record.state(key(child)).unwrap_or(0);
    Filter { capture: None, strip: Some(Strip::Text) }.at(kept)
}

fn lines(child: usize, patience: Patience) -> Lines<'static> {
    Lines { outlet: OUTLET, prefix: PREFIXES[child].as_bytes(), patience }
}

/// Carries what a child has said, as one chunk.
fn carry(pump: &mut Staging, keeper: &Keeper, child: usize, patience: Patience) -> Carried {
    let file = keeper.target();
    let target = Target { file: &file, place: None };
    let source = keeper.source(child, stripping(pump, child));
    assert_eq!(pump.empty(OUTLET, &file, true).unwrap(), Emptied::All);
    let how = (lines(child, patience), 1 << 17);
    let carried = pump.carry_lines(source, target, how, &mut |_| {}).unwrap();
    assert_eq!(pump.empty(OUTLET, &file, true).unwrap(), Emptied::All);
    carried
}

/// Begins a chunk of the first child and does so many of its steps.
fn carry_until(pump: &mut Staging, keeper: &Keeper, steps: usize) -> Chunk {
    let file = keeper.target();
    let target = Target { file: &file, place: None };
    let source = keeper.source(0, stripping(pump, 0));
    pump.look(source.pipe, 1 << 17).unwrap();
    let frame = pump.frame(lines(0, Patience::Ends), source, target);
    let next = pump.choose(source.filter, &frame, Patience::Ends).unwrap();
    let mut chunk = pump.begin_lines(source.key, target, (&frame, OUTLET), next);
    for _ in 0..steps {
        pump.advance(&mut chunk, Some(source.pipe), Some(target), &mut |_| {}).unwrap();
    }
    chunk
}

fn settle(pump: &mut Staging, keeper: &Keeper) {
    let file = keeper.target();
    let target = Target { file: &file, place: None };
    let source = keeper.source(0, stripping(pump, 0));
    pump.settle(Some(source), Some(target), false, &mut |_| {}).unwrap();
    assert_eq!(pump.empty(OUTLET, &file, true).unwrap(), Emptied::All);
}

#[test]
fn a_cut_between_any_two_steps_loses_doubles_and_tears_nothing() {
    for steps in 0..=8 {
        let keeper = Keeper::new();
        // The line goes on in another one's, which has begun.
        keeper.say(1, "other");
        let mut pump = keeper.pump();
        carry(&mut pump, &keeper, 1, Patience::Ends);
        keeper.say(0, "one \x1b[31mred\x1b[");
        let chunk = carry_until(&mut pump, &keeper, steps);
        assert_eq!(chunk.step == Step::Done, steps >= 7);
        drop(pump);
        keeper.say(0, "0m rest\ntwo\n");

        let mut pump = keeper.pump();
        settle(&mut pump, &keeper);
        while matches!(carry(&mut pump, &keeper, 0, Patience::Waits), Carried::Chunk { .. }) {}

        assert_eq!(keeper.out(), "2>other\n1>one red rest\n1>two\n", "after {steps} steps");
        assert_eq!(pump.outlets.standing(OUTLET, key(0)), Standing::Whole);
        assert_eq!(pipe::waiting(&keeper.staging.0).unwrap(), 0);
    }
}

#[test]
fn what_was_cut_on_its_way_into_the_outbox_is_taken_back() {
    let keeper = Keeper::new();
    keeper.say(0, "one\n");
    carry_until(&mut keeper.pump(), &keeper, 0);
    File::from(keeper.outbox.1.try_clone().unwrap()).write_all(b"1>o").unwrap();

    let mut pump = keeper.pump();
    settle(&mut pump, &keeper);
    carry(&mut pump, &keeper, 0, Patience::Waits);

    assert_eq!(keeper.out(), "1>one\n");
}

#[test]
fn what_was_cut_on_its_way_out_goes_on_before_anybody_else() {
    let keeper = Keeper::new();
    keeper.say(0, "first line\n");
    keeper.say(1, "second\n");
    let mut pump = keeper.pump();
    carry_until(&mut pump, &keeper, 7);
    pipe::splice(&keeper.outbox.0, &keeper.output.1, 4).unwrap();
    drop(pump);

    let mut pump = keeper.pump();
    carry(&mut pump, &keeper, 1, Patience::Waits);

    assert_eq!(keeper.out(), "1>first line\n2>second\n");
}

#[test]
fn without_its_stream_what_is_whole_in_the_outbox_goes_out_and_a_part_does_not() {
    for (steps, expected) in [(0, ""), (1, "1>one\n"), (3, "1>one\n")] {
        let keeper = Keeper::new();
        keeper.say(0, "one\n");
        let mut pump = keeper.pump();
        carry_until(&mut pump, &keeper, steps);
        drop(pump);
        if steps == 0 {
            File::from(keeper.outbox.1.try_clone().unwrap()).write_all(b"1>").unwrap();
        }

        let mut pump = keeper.pump();
        pump.settle(None, None, false, &mut |_| {}).unwrap();
        pump.empty(OUTLET, &keeper.target(), true).unwrap();

        assert_eq!(keeper.out(), expected, "after {steps} steps");
    }
}

#[test]
fn an_output_into_which_nothing_can_be_moved_is_written_to() {
    let keeper = Keeper::new();
    keeper.say(0, "one\n");
    let mut pump = keeper.pump();
    carry_until(&mut pump, &keeper, 7);

    assert_eq!(pump.empty(OUTLET, &keeper.target(), false).unwrap(), Emptied::All);

    assert_eq!(keeper.out(), "1>one\n");
    assert_eq!(pump.outlets.left(OUTLET), 0);
}
