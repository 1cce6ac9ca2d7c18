//! How fast the log pump carries: one writer, blocks of three sizes, plain and
//! stripped, with rotation at 50 MiB; and what ten thousand idle streams cost.
//!
//! `cargo bench -p bardo --bench pump` prints the figures. The clock stops when
//! the last byte is in its file.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use bardo::daemon::pump::intake::{INTAKE_WORDS, Intake};
use bardo::daemon::pump::{
    self, Channel, MainLogSettings, PumpHandle, PumpSettings, Report, Sink, Stream, StreamKey,
    words_for,
};
use bardo_core::{Generation, ServiceId};
use bardo_sys::memory::SharedMemory;
use bardo_sys::pipe;
use bardo_sys::waker::Waker;

const PLACES: usize = 10_000;
const TIME: Duration = Duration::from_secs(2);

fn main() {
    let directory = tempfile::tempdir().expect("a directory can be made");
    let (sender, reports) = mpsc::channel();
    let cells = SharedMemory::anonymous("cells").expect("memory can be had");
    let cells = SharedMemory::map(cells, words_for(PLACES)).expect("memory can be mapped");
    let intake = SharedMemory::anonymous("intake").expect("memory can be had");
    let intake = SharedMemory::map(intake, INTAKE_WORDS).expect("it can be mapped");
    let (pump, thread) = pump::start(PumpSettings {
        cells: Arc::new(cells),
        base: 0,
        length: words_for(PLACES),
        staging: pipe::pipe().expect("a pipe can be made"),
        outlets: [None, None],
        intake: Intake::open(Arc::new(intake), 0..INTAKE_WORDS),
        reports: sender,
        waker: Arc::new(Waker::new().expect("a waker can be made")),
        syslog: "/nonexistent/log".into(),
        main_log: MainLogSettings {
            path: None,
            bytes_max: 0,
            backups: 0,
            compress: false,
            to_syslog: false,
            copy: None,
            copies_lines: false,
            format: |_, text| format!("{text}\n").into_bytes(),
        },
        owed: Vec::new(),
    })
    .expect("the pump starts");
    pump.go();
    for strip_ansi in [false, true] {
        for block in [64, 4096, 65_536] {
            measure(directory.path(), &pump, &reports, strip_ansi, block);
        }
    }
    idle(directory.path(), &pump);
    pump.finish();
    thread.join().expect("the pump ends in good order");
}

fn measure(
    directory: &Path,
    pump: &PumpHandle,
    reports: &mpsc::Receiver<Report>,
    strip_ansi: bool,
    block: usize,
) {
    let mut child = attach(directory, pump, 0, strip_ansi);
    let text = "a line of sixty-four bytes, newline included, as programs write\n".repeat(1024);
    let (before, began) = (processor_time(), Instant::now());
    let mut bytes = 0;
    while began.elapsed() < TIME {
        for _ in 0..(65_536 / block) {
            child.write_all(&text.as_bytes()[..block]).expect("the pump reads");
            bytes += block;
        }
    }
    drop(child);
    reports.recv().expect("the pump reports");
    let elapsed = began.elapsed().as_secs_f64();
    let mib = bytes as f64 / f64::from(1 << 20);
    println!(
        "{} writes of {block:>5} bytes: {:>7.1} MiB/s, {:.2} s of processor per GiB, both ends",
        if strip_ansi { "stripped" } else { "plain   " },
        mib / elapsed,
        (processor_time() - before) / (mib / 1024.0),
    );
}

fn idle(directory: &Path, pump: &PumpHandle) {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    let streams =
        PLACES.min(limit.current.map_or(PLACES, |limit| {
            usize::try_from(limit).unwrap_or(PLACES).saturating_sub(1200) / 2
        }));
    let before = resident();
    let children: Vec<File> =
        (0..streams).map(|place| attach(directory, pump, place as u32, false)).collect();
    let mut last = &children[streams - 1];
    last.write_all(b"settled\n").expect("the pump reads");
    let name = directory.join(format!("log{}", streams - 1));
    while fs::metadata(&name).map_or(0, |metadata| metadata.len()) == 0 {
        std::thread::yield_now();
    }
    let each = (resident() - before) as f64 / streams as f64;
    let switches = pump_wakeups();
    std::thread::sleep(TIME);
    println!(
        "{streams} idle streams: {each:.0} bytes each, {} wake-ups in {TIME:?}",
        pump_wakeups() - switches
    );
}

fn attach(directory: &Path, pump: &PumpHandle, place: u32, strip_ansi: bool) -> File {
    let (read, write) = pipe::pipe().expect("a pipe can be made");
    let path = directory.join(format!("log{place}"));
    let path = path.to_str().expect("a temporary directory has a plain name");
    pump.attach(Stream {
        key: StreamKey {
            service: ServiceId(place),
            generation: Generation(0),
            channel: Channel::Stdout,
        },
        pipe: read,
        sink: Sink {
            path: Some(path.into()),
            bytes_max: 50 << 20,
            backups: 3,
            compress: false,
            strip_ansi,
            captures: false,
            prefix: "".into(),
            echo: None,
        },
    });
    write.into()
}

/// Seconds of processor time of the whole process.
fn processor_time() -> f64 {
    let stat = fs::read_to_string("/proc/self/stat").expect("there is a /proc");
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    let ticks = after_name.split_whitespace().skip(11).take(2);
    ticks.filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>() / 100.0
}

fn resident() -> i64 {
    let statm = fs::read_to_string("/proc/self/statm").expect("there is a /proc");
    let pages = statm.split_whitespace().nth(1).and_then(|pages| pages.parse::<i64>().ok());
    pages.unwrap_or(0) * 4096
}

/// How often the pump's thread has slept and been woken.
fn pump_wakeups() -> u64 {
    let tasks = fs::read_dir("/proc/self/task").expect("there is a /proc");
    let statuses =
        tasks.flatten().filter_map(|task| fs::read_to_string(task.path().join("status")).ok());
    let pump = statuses.filter(|status| status.starts_with("Name:\tlog-pump"));
    let lines = pump.flat_map(|status| status.lines().map(str::to_owned).collect::<Vec<_>>());
    lines
        .filter_map(|line| {
            line.strip_prefix("voluntary_ctxt_switches:")?.trim().parse::<u64>().ok()
        })
        .sum()
}
