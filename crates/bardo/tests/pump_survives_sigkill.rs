//! The log pump is killed again and again, and no byte is lost, doubled or torn.
//!
//! The test plays the keeper: it holds every pipe, the staging pipe and the
//! memory, and starts this very binary anew as a process that runs nothing but
//! the pump. Writers number and checksum their lines and write them in blocks of
//! odd sizes, plain and with escape sequences cut anywhere, two of them into one
//! file, with rotation, some of it compressed. In the end every line must be there once,
//! whole and in order, over all rotated files. Two more write into one FIFO, which stands for
//! an output that programs share; there each line has its writer's prefix.
//!
//! `BARDO_PUMP_KILLS` sets how often (200 by default), `BARDO_PUMP_SEED` when.

#![expect(clippy::unwrap_used, reason = "all of this is a test, its helpers too")]

use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::os::fd::{AsFd, AsRawFd as _, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use bardo::daemon::pump::intake::{INTAKE_WORDS, Intake};
use bardo::daemon::pump::{
    self, Channel, MainLogSettings, OutletSettings, PumpSettings, Severity, Sink, Stream,
    StreamKey, words_for,
};
use bardo_core::{Generation, ServiceId};
use bardo_sys::memory::SharedMemory;
use bardo_sys::pipe;
use bardo_sys::waker::Waker;
use flate2::read::MultiGzDecoder;

/// Words before the pump's own, to see that it keeps to its range.
const BASE: usize = 8;
/// The pump's word that says whether a chunk is in flight.
const PHASE: usize = BASE + 1;
const PLACES: usize = 16;
const WORDS: usize = BASE + words_for(PLACES);

const BYTES_MAX: i64 = 1 << 20;
/// Small enough that some are compressed between two kills.
const COMPRESSED_BYTES_MAX: i64 = 1 << 15;
/// More than there will ever be: what retention drops cannot be checked.
const BACKUPS: i64 = 1_000_000;

/// Each so many lives the pump lives until a backup has been compressed.
const LONG_LIFE: u64 = 8;

/// No condition of this test takes longer, or something hangs.
const LIMIT: Duration = Duration::from_secs(120);

const PLAN: &str = "BARDO_PUMP_PLAN";

/// One writer's stream. Two that share a file are told apart by their highest bit.
#[derive(Debug, Clone, Copy)]
struct Part {
    log: &'static str,
    high_bit: u8,
    strip: bool,
    /// Whether rotated files are compressed.
    compress: bool,
    /// Blocks are this long at most.
    block_max: usize,
    /// Stands before each line in the output that is shared.
    prefix: &'static str,
}

const PLAIN: Part =
    Part { log: "plain", high_bit: 0, strip: false, compress: false, block_max: 9_001, prefix: "" };

/// The output that is shared.
const OUTPUT: &str = "output";

const PARTS: [Part; 11] = [
    PLAIN,
    Part { log: "plain-shared", block_max: 307, ..PLAIN },
    Part { log: "plain-shared", high_bit: 0x80, block_max: 70_001, ..PLAIN },
    Part { log: "strip", strip: true, block_max: 501, ..PLAIN },
    Part { log: "strip-shared", strip: true, block_max: 4_099, ..PLAIN },
    Part { log: "strip-shared", high_bit: 0x80, strip: true, block_max: 70_001, ..PLAIN },
    Part { log: "gzip", compress: true, block_max: 307, ..PLAIN },
    Part { log: "gzip-strip", strip: true, compress: true, block_max: 4_099, ..PLAIN },
    Part { log: OUTPUT, block_max: 33, prefix: "one | ", ..PLAIN },
    Part { log: OUTPUT, strip: true, block_max: 501, prefix: "two | ", ..PLAIN },
    Part { log: OUTPUT, block_max: 70_001, prefix: "three | ", ..PLAIN },
];

#[test]
fn every_line_is_there_once_whole_and_in_order_after_many_kills() {
    let kills = number_from("BARDO_PUMP_KILLS").unwrap_or(200);
    let seed = number_from("BARDO_PUMP_SEED").unwrap_or_else(|| u64::from(std::process::id()));
    println!("seed {seed}, {kills} kills");
    let began = Instant::now();
    let mut random = Random::new(seed);
    let keeper = Keeper::new();
    let stop = Arc::new(AtomicBool::new(false));
    let progress = Arc::new(AtomicU64::new(0));
    let writers: Vec<_> = keeper
        .write_ends
        .iter()
        .zip(PARTS)
        .enumerate()
        .map(|(number, (end, part))| {
            let end = File::from(end.try_clone().unwrap());
            let (stop, progress) = (Arc::clone(&stop), Arc::clone(&progress));
            let random = Random::new(seed ^ (number as u64 + 1) << 32);
            thread::spawn(move || write_lines(end, part, random, &stop, &progress))
        })
        .collect();

    let output = keeper.read_output();
    let mut in_flight = 0;
    let mut boxed = 0;
    let mut staged = 0;
    let mut compressing = 0;
    for kill in 0..kills {
        let mut child = keeper.start_pump();
        let target = progress.load(Ordering::Relaxed) + random.below(1 << 19);
        wait_until("the writers get on", || progress.load(Ordering::Relaxed) >= target);
        if kill.is_multiple_of(LONG_LIFE) {
            let before = keeper.compressed();
            wait_until("a backup is compressed", || keeper.compressed() > before);
        }
        for _ in 0..random.below(2_000) {
            std::hint::spin_loop();
        }
        child.kill().unwrap();
        child.wait().unwrap();
        in_flight += u64::from(keeper.cells.words()[PHASE].load(Ordering::Relaxed) != 0);
        staged += u64::from(pipe::waiting(&keeper.staging.0).unwrap() > 0);
        boxed += u64::from(pipe::waiting(&keeper.outbox.0).unwrap() > 0);
        compressing +=
            u64::from(PARTS.iter().any(|part| {
                keeper.directory.path().join(format!(".{}.gz.part", part.log)).exists()
            }));
    }
    let mut last = keeper.start_pump();
    stop.store(true, Ordering::Relaxed);
    let written: Vec<u64> = writers.into_iter().map(|writer| writer.join().unwrap()).collect();
    for part in PARTS.iter().filter(|part| part.compress) {
        let newest = keeper.directory.path().join(format!("{}.1.gz", part.log));
        wait_until("the newest backup is compressed", || newest.exists());
    }
    drop(last.stdin.take());
    assert!(last.wait().unwrap().success(), "the last pump ended in good order");

    drop(keeper.output);
    let output = output.join().unwrap();
    for (part, lines) in PARTS.iter().zip(&written) {
        if part.log == OUTPUT {
            check(part, &marked(&output, part.prefix), *lines);
            println!("{part:?}: {lines} lines");
            continue;
        }
        let (bytes, files, compressed) = log_of(keeper.directory.path(), part);
        check(part, &bytes, *lines);
        assert_eq!(part.compress, compressed > 0);
        println!("{part:?}: {lines} lines in {files} files, {compressed} of them compressed");
    }
    let outside = &keeper.cells.words()[..BASE];
    assert!(outside.iter().all(|word| word.load(Ordering::Relaxed) == 0));
    println!(
        "{kills} kills, {in_flight} with a chunk in flight, {staged} with bytes in staging, \
         {boxed} with bytes in the outbox, {compressing} with half a compressed file, {} lines, {:?}",
        written.iter().sum::<u64>(),
        began.elapsed()
    );
}

/// Not a test: the process that is killed. It runs the pump over the descriptors
/// that the plan names, until its standard input ends.
#[test]
fn helper_that_runs_nothing_but_the_pump() {
    let Ok(plan) = std::env::var(PLAN) else {
        return;
    };
    let fields: Vec<&str> = plan.split(';').collect();
    let inherited = |number: &str| format!("/proc/self/fd/{number}");
    let read_end = |number: &str| OwnedFd::from(File::open(inherited(number)).unwrap());
    let write_end = |number: &str| {
        let opened = File::options().read(true).write(true).open(inherited(number));
        OwnedFd::from(opened.unwrap())
    };
    let output = File::options().write(true).open(format!("{}/{OUTPUT}", fields[0])).unwrap();
    let outbox = (read_end(fields[4]), pipe_end(&inherited(fields[5])));
    let outlet = OutletSettings { output: output.into(), outbox };
    let (reports, ended) = mpsc::channel();
    let (handle, thread) = pump::start(PumpSettings {
        cells: Arc::new(SharedMemory::map(write_end(fields[1]), WORDS).unwrap()),
        base: BASE,
        length: words_for(PLACES),
        staging: (read_end(fields[2]), pipe_end(&inherited(fields[3]))),
        outlets: [Some(outlet), None],
        intake: Intake::open(intake_memory(), 0..INTAKE_WORDS),
        reports,
        waker: Arc::new(Waker::new().unwrap()),
        syslog: "/nonexistent/log".into(),
        main_log: main_log(Path::new(fields[0])),
        owed: Vec::new(),
    })
    .unwrap();
    for (place, (part, number)) in PARTS.iter().zip(&fields[6..]).enumerate() {
        let path = format!("{}/{}", fields[0], part.log);
        handle.attach(Stream {
            key: key(place),
            pipe: read_end(number),
            sink: Sink {
                path: Some(path.into()),
                bytes_max: if part.compress { COMPRESSED_BYTES_MAX } else { BYTES_MAX },
                backups: BACKUPS,
                compress: part.compress,
                strip_ansi: part.strip,
                captures: false,
                prefix: part.prefix.into(),
                echo: None,
            },
        });
    }
    handle.go();
    handle.line(b"a pump has begun\n".to_vec());
    std::io::stdout().write_all(b"!").unwrap();
    std::io::stdout().flush().unwrap();

    std::io::stdin().read_to_end(&mut Vec::new()).unwrap();

    for place in 0..PARTS.len() {
        handle.release(key(place).service, key(place).generation);
    }
    for _ in PARTS {
        ended.recv_timeout(LIMIT).unwrap();
    }
    handle.finish();
    thread.join().unwrap();
}

/// What outlives the pump.
struct Keeper {
    directory: tempfile::TempDir,
    read_ends: Vec<OwnedFd>,
    write_ends: Vec<OwnedFd>,
    staging: (OwnedFd, OwnedFd),
    outbox: (OwnedFd, OwnedFd),
    /// Keeps the shared output from ending between two pumps.
    output: File,
    cells: SharedMemory,
}

impl Keeper {
    fn new() -> Self {
        let (read_ends, write_ends) = PARTS.iter().map(|_| pipe::pipe().unwrap()).unzip();
        let memory = SharedMemory::anonymous("cells").unwrap();
        let directory = tempfile::tempdir().unwrap();
        let output = directory.path().join(OUTPUT);
        rustix::fs::mkfifoat(rustix::fs::CWD, &output, 0o600.into()).unwrap();
        let keeper = Self {
            output: File::options().read(true).write(true).open(&output).unwrap(),
            outbox: pipe::pipe().unwrap(),
            directory,
            read_ends,
            write_ends,
            staging: pipe::pipe().unwrap(),
            cells: SharedMemory::map(memory, WORDS).unwrap(),
        };
        keeper.read_ends.iter().for_each(leave_open_on_exec);
        leave_open_on_exec(&keeper.staging.0);
        leave_open_on_exec(&keeper.staging.1);
        leave_open_on_exec(&keeper.outbox.0);
        leave_open_on_exec(&keeper.outbox.1);
        leave_open_on_exec(&keeper.cells);
        keeper
    }

    /// Starts a pump, and returns when its streams flow.
    fn start_pump(&self) -> Child {
        let mut plan = vec![
            self.directory.path().to_str().unwrap().to_owned(),
            self.cells.as_fd().as_raw_fd().to_string(),
            self.staging.0.as_raw_fd().to_string(),
            self.staging.1.as_raw_fd().to_string(),
            self.outbox.0.as_raw_fd().to_string(),
            self.outbox.1.as_raw_fd().to_string(),
        ];
        plan.extend(self.read_ends.iter().map(|end| end.as_raw_fd().to_string()));
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "helper_that_runs_nothing_but_the_pump", "--nocapture"])
            .env(PLAN, plan.join(";"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = [0];
        let stdout = child.stdout.as_mut().unwrap();
        while said != *b"!" {
            stdout.read_exact(&mut said).expect("the pump begins");
        }
        child
    }

    /// How many backups are compressed.
    fn compressed(&self) -> usize {
        let names = fs::read_dir(self.directory.path()).unwrap().map(Result::unwrap);
        names.filter(|entry| entry.file_name().to_string_lossy().ends_with(".gz")).count()
    }

    /// Reads the shared output to its end, now and then with a rest, so that it is full.
    fn read_output(&self) -> thread::JoinHandle<Vec<u8>> {
        let mut output = File::open(self.directory.path().join(OUTPUT)).unwrap();
        thread::spawn(move || {
            let mut text = Vec::new();
            let mut buffer = [0; 7001];
            while let Ok(length @ 1..) = output.read(&mut buffer) {
                text.extend_from_slice(&buffer[..length]);
                for _ in 0..length {
                    std::hint::spin_loop();
                }
            }
            text
        })
    }
}

/// The lines that begin with a prefix, without it. Each line of the shared output begins with
/// one of them.
fn marked(output: &[u8], prefix: &str) -> Vec<u8> {
    let lines = output.split_inclusive(|byte| *byte == b'\n');
    let known = |line: &&[u8]| {
        PARTS.iter().any(|part| !part.prefix.is_empty() && line.starts_with(part.prefix.as_bytes()))
    };
    let foreign = lines.clone().find(|line| !known(line));
    assert_eq!(foreign.map(String::from_utf8_lossy), None);
    lines.filter_map(|line| line.strip_prefix(prefix.as_bytes())).flatten().copied().collect()
}

/// What a part's writer has written, over all files from the oldest on, how many there
/// are, and how many of them are compressed.
fn log_of(directory: &Path, part: &Part) -> (Vec<u8>, usize, usize) {
    let newest = directory.join(part.log);
    let backup = |number: usize| PathBuf::from(format!("{}.{number}", newest.display()));
    let compressed = |number: usize| PathBuf::from(format!("{}.{number}.gz", newest.display()));
    let exists = |number: &usize| backup(*number).exists() || compressed(*number).exists();
    let backups = (1..).take_while(exists).count();
    let directory = fs::read_dir(directory).unwrap();
    let names = directory.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let prefix = format!("{}.", part.log);
    let numbers = names.filter_map(|name| {
        let number = name.strip_prefix(&prefix)?.trim_end_matches(".gz").to_owned();
        Some(number.parse::<usize>().expect("nothing else has such a name"))
    });
    assert!(numbers.max().unwrap_or(0) <= backups, "no gap");
    let mut bytes = Vec::new();
    let mut unpacked = 0;
    for number in (1..=backups).rev() {
        let Ok(plain) = fs::read(backup(number)) else {
            let file = File::open(compressed(number)).unwrap();
            MultiGzDecoder::new(file).read_to_end(&mut bytes).expect("it is whole");
            unpacked += 1;
            continue;
        };
        bytes.extend(plain);
    }
    bytes.extend(fs::read(&newest).unwrap());
    bytes.retain(|byte| byte & 0x80 == part.high_bit);
    bytes.iter_mut().for_each(|byte| *byte &= 0x7f);
    (bytes, backups + 1, unpacked)
}

/// Writes numbered lines until it is told to stop, and returns how many.
fn write_lines(
    mut end: File,
    part: Part,
    mut random: Random,
    stop: &AtomicBool,
    progress: &AtomicU64,
) -> u64 {
    let mut lines = 0;
    let mut waiting = Vec::new();
    loop {
        let stopping = stop.load(Ordering::Relaxed);
        let block = 1 + random.below(part.block_max as u64) as usize;
        while waiting.len() < block && !stopping {
            lines += 1;
            let line: Vec<u8> = line(lines).bytes().map(|byte| byte | part.high_bit).collect();
            coloured(&line, part.strip, &mut random, &mut waiting);
        }
        let block = block.min(waiting.len());
        end.write_all(&waiting[..block]).unwrap();
        waiting.drain(..block);
        progress.fetch_add(block as u64, Ordering::Relaxed);
        if stopping && waiting.is_empty() {
            return lines;
        }
    }
}

/// A line that can be told to be the one of that number, whole.
fn line(number: u64) -> String {
    let mut random = Random::new(number);
    let payload = "x".repeat(random.below(90) as usize);
    format!("{number} {:016x} {payload}.\n", random.next())
}

/// Appends a line, with escape sequences at places of chance.
fn coloured(line: &[u8], strip: bool, random: &mut Random, output: &mut Vec<u8>) {
    for byte in line {
        if strip && random.below(12) == 0 {
            let sequences: [&[u8]; 4] = [b"\x1b[0m", b"\x1b[38;5;200m", b"\x1b[2K", b"\x1b[12;40H"];
            output.extend_from_slice(sequences[random.below(4) as usize]);
        }
        output.push(*byte);
    }
}

fn check(part: &Part, bytes: &[u8], lines: u64) {
    let mut rest = bytes;
    for number in 1..=lines {
        let expected = line(number);
        let found = rest.get(..expected.len());
        assert!(
            found == Some(expected.as_bytes()),
            "{part:?}: line {number} of {lines}, found {:?} at byte {} of {}",
            String::from_utf8_lossy(&rest[..rest.len().min(200)]),
            bytes.len() - rest.len(),
            bytes.len(),
        );
        rest = &rest[expected.len()..];
    }
    assert!(rest.is_empty(), "{part:?}: {} bytes too many", rest.len());
}

fn key(place: usize) -> StreamKey {
    StreamKey {
        service: ServiceId((place / 2) as u32),
        generation: Generation(7 + (place / 2) as u32),
        channel: if place.is_multiple_of(2) { Channel::Stdout } else { Channel::Stderr },
    }
}

fn main_log(directory: &Path) -> MainLogSettings {
    MainLogSettings {
        path: Some(directory.join("main").to_str().unwrap().into()),
        bytes_max: 0,
        backups: 0,
        compress: false,
        to_syslog: false,
        copy: None,
        copies_lines: false,
        format: |severity: Severity, text: &str| format!("{severity:?} {text}\n").into_bytes(),
    }
}

fn pipe_end(path: &str) -> OwnedFd {
    File::options().write(true).open(path).unwrap().into()
}

fn leave_open_on_exec(descriptor: impl AsFd) {
    rustix::io::fcntl_setfd(descriptor, rustix::io::FdFlags::empty()).unwrap();
}

fn wait_until(what: &str, condition: impl Fn() -> bool) {
    let began = Instant::now();
    while !condition() {
        assert!(began.elapsed() < LIMIT, "waited in vain: {what}");
        thread::yield_now();
    }
}

fn number_from(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

/// Chance that can be had again: xorshift.
struct Random(u64);

impl Random {
    fn new(seed: u64) -> Self {
        Self((seed ^ 0x9e37_79b9_7f4a_7c15).max(1))
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, limit: u64) -> u64 {
        (self.next() >> 11) % limit
    }
}

/// Nothing is told here, so it need not outlive the pump.
fn intake_memory() -> Arc<SharedMemory> {
    let file = SharedMemory::anonymous("intake").unwrap();
    Arc::new(SharedMemory::map(file, INTAKE_WORDS).unwrap())
}
