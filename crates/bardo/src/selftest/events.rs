//! Event listeners under load: twenty programs write, one listener answers at once, another
//! one hangs. The first must hear every line in its order, memory must be bounded, and the
//! API must answer.

use std::collections::HashMap;
use std::fmt;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use bardo_sys::memory::SharedMemory;

use super::actors::WORD;
use super::home::{Daemon, Home, escaped, wait_until};
use super::interruption;
use super::listener::{Input, Manner, say};
use super::procfs;

/// How many programs write, and how often each.
const TALKERS: usize = 20;
const LINE_EVERY: Duration = Duration::from_millis(1);

/// How often the API is asked, and memory looked at.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// What is to be done.
#[derive(Debug, Clone)]
pub struct Events {
    /// The executable that is tested.
    pub executable: PathBuf,
    /// How long programs write.
    pub span: Duration,
    /// What the memory of keeper and supervisor must stay below, in bytes. What waits for
    /// one that hangs, 16 MiB at most, is there several times while a snapshot is made: as
    /// it waits, in both halves of the journal with as much again behind, and in between.
    pub memory_within: u64,
    /// What the median time to an answer of the API must stay below.
    pub answer_within: Duration,
    /// Whether the folder stays there.
    pub keep: bool,
}

/// The figures of the test.
#[derive(Debug, Default)]
pub struct Report {
    span: Duration,
    said: u64,
    heard: u64,
    wrong: u64,
    events: u64,
    discarded: usize,
    behind: Duration,
    answers: Vec<Duration>,
    memory: u64,
    used: Duration,
    memory_within: u64,
    answer_within: Duration,
    findings: Vec<String>,
}

/// Memory that talkers, the listener and the test share.
#[derive(Debug)]
struct Tally {
    memory: SharedMemory,
}

const WORDS: usize = 64;
const STOP: usize = 0;
const HEARD: usize = 1;
const WRONG: usize = 2;
const EVENTS: usize = 3;
const SAID_AT: usize = 8;
const DONE_AT: usize = SAID_AT + TALKERS;

impl Tally {
    fn open(folder: &Path) -> io::Result<Self> {
        let path = folder.join("tally");
        let mut options = File::options();
        let file = options.read(true).write(true).create(true).truncate(false).open(path)?;
        Ok(Self { memory: SharedMemory::map(file.into(), WORDS)? })
    }

    fn set(&self, place: usize, value: u64) {
        self.memory.words()[place].store(value, Ordering::SeqCst);
    }

    fn get(&self, place: usize) -> u64 {
        self.memory.words()[place].load(Ordering::SeqCst)
    }

    fn said(&self) -> u64 {
        (0..TALKERS).map(|talker| self.get(SAID_AT + talker)).sum()
    }

    fn is_over(&self) -> bool {
        (0..TALKERS).all(|talker| self.get(DONE_AT + talker) == 1)
    }
}

/// Runs the test.
///
/// # Errors
/// When the folder cannot be used, or the daemon does not start.
pub fn run(events: &Events) -> io::Result<Report> {
    let mut home = Home::new("events")?;
    if events.keep {
        home.keep();
        println!("folder {}", home.path().display());
    }
    home.configure("", &sections(events, &home))?;
    let tally = Tally::open(home.path())?;
    let mut daemon = Daemon::start(&events.executable, &home)?;
    wait_until("lines that are heard", || tally.get(HEARD) > 0)?;

    let mut report = Report {
        memory_within: events.memory_within,
        answer_within: events.answer_within,
        ..Report::default()
    };
    measure(events, &daemon, &tally, &mut report);
    tally.set(STOP, 1);
    let stopped = Instant::now();
    let over = wait_until("the last lines", || tally.is_over())
        .and_then(|()| wait_until("all to be heard", || tally.get(HEARD) >= tally.said()));
    report.behind = stopped.elapsed();
    report.findings.extend(over.err().map(|error| error.to_string()));
    if let Err(error) = daemon.client().call("supervisor.shutdown", &[]) {
        report.findings.push(format!("shutdown: {error}"));
    }
    let status = daemon.wait()?;
    if status.code() != Some(0) {
        report.findings.push(format!("the keeper ended with {status}"));
    }
    report.said = tally.said();
    report.heard = tally.get(HEARD);
    report.wrong = tally.get(WRONG);
    report.events = tally.get(EVENTS);
    report.discarded =
        home.main_log().matches("pool quick event buffer overflowed, discarding").count();
    Ok(report)
}

fn sections(events: &Events, home: &Home) -> String {
    let executable = escaped(&events.executable);
    let folder = escaped(home.path());
    let command = format!("command=\"{executable}\" {WORD} \"{folder}\" 1");
    format!(
        "[program:talker]\n{command} talker %(process_num)d\nnumprocs={TALKERS}\n\
         process_name=talker_%(process_num)02d\nstdout_events_enabled=true\n\
         stdout_logfile={folder}/talker.log\n\n\
         [eventlistener:quick]\n{command} counter\nevents=PROCESS_LOG\nbuffer_size=10000\n\n\
         [eventlistener:hanging]\n{command} listener hanging hanging\nevents=PROCESS_LOG\n\
         buffer_size=10000\n"
    )
}

/// Asks and looks while programs write.
fn measure(events: &Events, daemon: &Daemon, tally: &Tally, report: &mut Report) {
    let supervisor = daemon.supervisor().map_or(0, |stat| stat.pid);
    let used = procfs::processor_time(supervisor);
    let (began, said) = (Instant::now(), tally.said());
    let back = AtomicBool::new(false);
    thread::scope(|scope| {
        let client = daemon.client();
        let asker = scope.spawn(|| {
            let (mut answers, mut failures) = (Vec::new(), Vec::new());
            while !back.load(Ordering::Relaxed) {
                let asked = Instant::now();
                match client.state() {
                    Ok(_) => answers.push(asked.elapsed()),
                    Err(error) => failures.push(format!("the API: {error}")),
                }
                thread::sleep(LOOK_EVERY);
            }
            (answers, failures)
        });
        while began.elapsed() < events.span && !interruption::has_come() {
            let pair = [daemon.keeper(), supervisor];
            let bytes = pair.into_iter().map(procfs::proportional_bytes).sum();
            report.memory = report.memory.max(bytes);
            thread::sleep(LOOK_EVERY);
        }
        back.store(true, Ordering::Relaxed);
        let (answers, failures) = asker.join().unwrap_or_default();
        report.answers = answers;
        report.findings.extend(failures);
    });
    report.span = began.elapsed();
    report.used = procfs::processor_time(supervisor).saturating_sub(used);
    let rate = (tally.said() - said) as f64 / report.span.as_secs_f64();
    let wanted = TALKERS as f64 / LINE_EVERY.as_secs_f64();
    if rate < wanted * 0.9 {
        println!("programs wrote {rate:.0} lines a second, not {wanted:.0}");
    }
}

/// Writes a line every millisecond until it is told to stop.
///
/// # Errors
/// When nobody reads.
pub fn talk(folder: &Path, number: usize) -> io::Result<u8> {
    let tally = Tally::open(folder)?;
    let began = Instant::now();
    let mut count = 0;
    while tally.get(STOP) == 0 {
        let due = (began.elapsed().as_micros() / LINE_EVERY.as_micros()) as u64;
        while count < due {
            count += 1;
            tally.set(SAID_AT + number, count);
            say(format!("{number} {count} a line of a log that is as long as most are\n")
                .as_bytes())?;
        }
        thread::sleep(LINE_EVERY);
    }
    tally.set(DONE_AT + number, 1);
    loop {
        thread::park();
    }
}

/// Listens and answers at once; counts lines, and those that are not the next one.
///
/// # Errors
/// When what it is sent is no event.
pub fn count(folder: &Path) -> io::Result<u8> {
    let tally = Tally::open(folder)?;
    let mut input = Input::default();
    let mut voices: HashMap<Vec<u8>, Voice> = HashMap::new();
    let (mut heard, mut wrong, mut events) = (0, 0, 0);
    say(b"READY\n")?;
    while let Some(event) = input.next_event(&Manner::Content)? {
        let mut lines = input.bytes[event].split_inclusive(|byte| *byte == b'\n').skip(1);
        let name = lines.next().unwrap_or_default();
        let voice = voices.entry(name.to_owned()).or_default();
        for line in lines {
            voice.waiting.extend_from_slice(line);
            if line.ends_with(b"\n") {
                heard += 1;
                wrong += u64::from(!voice.is_next());
            }
        }
        events += 1;
        tally.set(EVENTS, events);
        tally.set(WRONG, wrong);
        tally.set(HEARD, heard);
        say(b"RESULT 2\nOKREADY\n")?;
    }
    Ok(0)
}

/// What was heard of one talker.
#[derive(Debug, Default)]
struct Voice {
    waiting: Vec<u8>,
    count: u64,
}

impl Voice {
    /// Takes the line that waits; whether it is the one after the last.
    fn is_next(&mut self) -> bool {
        let line = std::mem::take(&mut self.waiting);
        let number =
            str::from_utf8(&line).ok().and_then(|text| text.split(' ').nth(1)?.parse().ok());
        let expected = self.count + 1;
        self.count = number.unwrap_or(expected);
        number == Some(expected) && line.ends_with(b"as most are\n")
    }
}

impl Report {
    /// Whether every bar was met.
    #[must_use]
    pub fn is_good(&self) -> bool {
        self.faults().is_empty()
    }

    /// The median and the longest time to an answer.
    fn answer_times(&self) -> (Duration, Duration) {
        let mut times = self.answers.clone();
        times.sort_unstable();
        let median = times.get(times.len() / 2).copied().unwrap_or(Duration::MAX);
        (median, times.last().copied().unwrap_or_default())
    }

    fn faults(&self) -> Vec<String> {
        let mut faults = self.findings.clone();
        let (median, _) = self.answer_times();
        let mut unless = |is_good: bool, text: &str| {
            if !is_good {
                faults.push(text.to_owned());
            }
        };
        unless(self.said > 0 && self.heard == self.said, "not every line was heard");
        unless(self.wrong == 0, "lines were heard out of their order");
        unless(self.discarded == 0, "events were discarded");
        unless(self.memory < self.memory_within, "there is more memory than there may be");
        unless(median < self.answer_within, "the API took too long");
        faults
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (median, worst) = self.answer_times();
        let milliseconds = |span: Duration| format!("{:.1} ms", span.as_secs_f64() * 1000.0);
        let seconds = self.span.as_secs_f64().max(0.001);
        let rows = [
            ("programs", TALKERS.to_string()),
            ("seconds", format!("{seconds:.1}")),
            (
                "lines written",
                format!("{} ({:.0} a second)", self.said, self.said as f64 / seconds),
            ),
            ("lines heard", self.heard.to_string()),
            ("lines out of order", self.wrong.to_string()),
            ("events", format!("{} ({:.0} a second)", self.events, self.events as f64 / seconds)),
            ("events discarded", self.discarded.to_string()),
            ("behind in the end", milliseconds(self.behind)),
            ("API, median", milliseconds(median)),
            ("API, worst", milliseconds(worst)),
            ("API, answers", self.answers.len().to_string()),
            ("memory, most", format!("{:.1} MiB", self.memory as f64 / f64::from(1 << 20))),
            ("processor", format!("{:.0} %", self.used.as_secs_f64() / seconds * 100.0)),
        ];
        for (name, value) in rows {
            writeln!(f, "{name:<22} {value}")?;
        }
        for fault in self.faults() {
            writeln!(f, "WRONG: {fault}")?;
        }
        let verdict = if self.is_good() { "everything was heard" } else { "FAILED" };
        writeln!(f, "{verdict}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_is_not_the_next_one_is_noticed() {
        let mut voice = Voice::default();
        let mut hear = |count: u64, end: &str| {
            voice.waiting = format!("3 {count} as long as most are{end}").into_bytes();
            voice.is_next()
        };

        assert!(hear(1, "\n") && hear(2, "\n"));
        assert!(!hear(4, "\n") && hear(5, "\n"));
        assert!(!hear(6, "") && !hear(6, "\n"));
    }
}
