//! Clients that start and stop programs while supervisors die.
//!
//! Each has a program of its own and checks what comes of its wishes. A request that
//! a death has cut off is looked into: it may have been carried out or not.

use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use bardo_wire::xmlrpc::Value;

use super::actors::{self, Run};
use super::board::Board;
use super::client::{CallError, Client, Info};
use super::home::PATIENCE;
use super::interruption;
use super::procfs::{self, Stat};

/// How much later than its time something may happen: room for a busy machine, and
/// for a supervisor that is dead at that moment.
pub(super) const LATE_MAX: Duration = Duration::from_secs(5);

/// `startsecs` of the program whose start is measured.
pub(super) const PATIENT_STARTS: Duration = Duration::from_secs(2);

/// `stopwaitsecs` of the program that does not obey.
pub(super) const STUBBORN_STOPS: Duration = Duration::from_secs(2);

const LOOK_EVERY: Duration = Duration::from_millis(5);

/// Faults: a program is up already, or not up.
const ALREADY_STARTED: i32 = 60;
const NOT_RUNNING: i32 = 70;

/// What the clients have found.
#[derive(Debug, Default)]
pub(super) struct Findings {
    texts: Mutex<Vec<String>>,
    /// Starts and stops that were carried out.
    pub(super) wishes: AtomicU64,
    /// Deadlines that were measured.
    pub(super) deadlines: AtomicU64,
    /// Exit statuses that were compared.
    pub(super) statuses: AtomicU64,
    /// Exit statuses that were wrong.
    pub(super) statuses_wrong: AtomicU64,
    /// Bytes of logs that were asked for piece by piece, and compared.
    pub(super) tailed: AtomicU64,
    /// Bytes of logs that came over connections that follow them, and were compared.
    pub(super) followed: AtomicU64,
}

impl Findings {
    /// Something is not as it should be.
    pub(super) fn add(&self, text: String) {
        if let Ok(mut texts) = self.texts.lock() {
            texts.push(text);
        }
    }

    /// Everything that is not as it should be.
    #[must_use]
    pub(super) fn take(&self) -> Vec<String> {
        self.texts.lock().map(|mut texts| std::mem::take(&mut *texts)).unwrap_or_default()
    }
}

/// What a driver needs.
#[derive(Debug, Clone, Copy)]
pub(super) struct Drive<'a> {
    /// Who is asked.
    pub(super) client: &'a Client,
    /// Where the actors note their lives.
    pub(super) folder: &'a Path,
    /// Where findings go.
    pub(super) findings: &'a Findings,
    /// Whether it is time to end.
    pub(super) ending: &'a AtomicBool,
    /// Where it stands whether to rest.
    pub(super) board: &'a Board,
    /// How many rest.
    pub(super) resting: &'a AtomicUsize,
}

/// A driver gave up; why has been noted.
#[derive(Debug)]
pub(super) struct GaveUp;

/// A driver's part: what it does over and over.
pub(super) type Part = fn(Drive<'_>) -> Result<(), GaveUp>;

impl Drive<'_> {
    /// Drives until it is time to end, or something went wrong that makes going on
    /// pointless.
    pub(super) fn over_and_over(self, part: Part) {
        while !self.ending.load(Ordering::Relaxed) {
            self.rest();
            if part(self).is_err() {
                break;
            }
            thread::sleep(LOOK_EVERY);
        }
        // One that gave up rests until the end.
        self.resting.fetch_add(1, Ordering::SeqCst);
    }

    /// Rests for as long as all are to. Whether it did.
    pub(super) fn rest(self) -> bool {
        if !self.board.is_paused() {
            return false;
        }
        self.resting.fetch_add(1, Ordering::SeqCst);
        while self.board.is_paused() && !self.ending.load(Ordering::Relaxed) {
            thread::sleep(LOOK_EVERY);
        }
        self.resting.fetch_sub(1, Ordering::SeqCst);
        true
    }

    /// How a process is, as soon as somebody answers.
    fn info(self, name: &str) -> Result<Info, GaveUp> {
        let began = Instant::now();
        loop {
            match self.client.info(name) {
                Ok(info) => return Ok(info),
                Err(CallError::Unanswered(_)) if !self.is_over(began) => {}
                Err(error) => return self.give_up(&format!("getProcessInfo {name}: {error}")),
            }
            thread::sleep(LOOK_EVERY);
        }
    }

    /// Whether to wait any longer is in vain.
    fn is_over(self, began: Instant) -> bool {
        began.elapsed() > PATIENCE || interruption::has_come()
    }

    /// Notes why it goes no further.
    pub(super) fn give_up<T>(self, text: &str) -> Result<T, GaveUp> {
        self.findings.add(text.to_owned());
        Err(GaveUp)
    }

    /// Has a start or a stop carried out, however often it is cut off. `done` is the
    /// fault that says that a former try was successful.
    fn wish(self, method: &str, name: &str, wait: bool, done: i32) -> Result<(), GaveUp> {
        let began = Instant::now();
        let mut tries = 0;
        loop {
            let parameters = [Value::from(name), Value::from(wait)];
            match self.client.call(&format!("supervisor.{method}"), &parameters) {
                Ok(_) => break,
                Err(CallError::Fault(code, _)) if code == done && tries > 0 => break,
                Err(CallError::Unanswered(_)) if !self.is_over(began) => tries += 1,
                Err(error) => return self.give_up(&format!("{method} {name}: {error}")),
            }
            thread::sleep(LOOK_EVERY);
        }
        self.findings.wishes.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    fn start(self, name: &str, wait: bool) -> Result<(), GaveUp> {
        self.wish("startProcess", name, wait, ALREADY_STARTED)
    }

    fn stop(self, name: &str, wait: bool) -> Result<(), GaveUp> {
        self.wish("stopProcess", name, wait, NOT_RUNNING)
    }

    /// Waits until a process is in a state.
    fn until(self, name: &str, state: &str) -> Result<Info, GaveUp> {
        let began = Instant::now();
        loop {
            let info = self.info(name)?;
            if info.state == state {
                return Ok(info);
            }
            if self.is_over(began) {
                return self.give_up(&format!("{name} does not become {state}: {info:?}"));
            }
            thread::sleep(LOOK_EVERY);
        }
    }

    /// Compares the time that something took with the time that it should take.
    fn measure(self, what: &str, took_at_least: Duration, took_at_most: Duration, due: Duration) {
        self.findings.deadlines.fetch_add(1, Ordering::Relaxed);
        if took_at_most < due {
            self.findings.add(format!("{what}: {took_at_most:?}, too early for {due:?}"));
        }
        if took_at_least > due + LATE_MAX {
            self.findings.add(format!("{what}: {took_at_least:?}, too late for {due:?}"));
        }
    }
}

/// Stops and starts a program that lives long.
pub(super) fn toggle(drive: Drive<'_>) -> Result<(), GaveUp> {
    let Drive { findings, .. } = drive;
    let before = drive.until("toggled", "RUNNING")?;
    let process = procfs::stat(before.pid);
    drive.stop("toggled", true)?;
    drive.until("toggled", "STOPPED")?;
    let there = procfs::stat(before.pid).filter(Stat::is_alive);
    if there.is_some() && there.map(|stat| stat.started) == process.map(|stat| stat.started) {
        findings.add(format!("toggled was stopped and process {} is there", before.pid));
    }
    drive.start("toggled", true)?;
    let after = drive.info("toggled")?;
    if after.state != "RUNNING" || after.pid == before.pid {
        findings.add(format!("toggled was started: {after:?}"));
    }
    Ok(())
}

/// Starts a program that ends by itself, and compares the status that it ends with.
pub(super) fn run(drive: Drive<'_>) -> Result<(), GaveUp> {
    let Drive { findings, folder, .. } = drive;
    let before = actors::last_run(folder, "runner").map_or(0, |run| run.began);
    drive.start("runner", false)?;
    let began = Instant::now();
    // It ends with codes that make it start again, and then with 0.
    let info = loop {
        let info = drive.until("runner", "EXITED")?;
        let last = actors::last_run(folder, "runner");
        let is_over = |run: Run| run.began > before && run.ended.is_some_and(|(code, _)| code == 0);
        if last.is_some_and(is_over) {
            break info;
        }
        if drive.is_over(began) {
            return drive.give_up(&format!("runner ended too early: {last:?}, {info:?}"));
        }
        thread::sleep(LOOK_EVERY);
    };
    findings.statuses.fetch_add(1, Ordering::Relaxed);
    if info.exit_status != 0 || !info.spawn_error.is_empty() {
        findings.statuses_wrong.fetch_add(1, Ordering::Relaxed);
        findings.add(format!("runner ended with 0: {info:?}"));
    }
    Ok(())
}

/// Measures how long a start takes that is to be stable for a while.
pub(super) fn start_patiently(drive: Drive<'_>) -> Result<(), GaveUp> {
    let asked = Instant::now();
    drive.start("patient", false)?;
    let granted = Instant::now();
    drive.until("patient", "RUNNING")?;
    drive.measure("patient's start", granted.elapsed(), asked.elapsed(), PATIENT_STARTS);
    drive.stop("patient", true)?;
    drive.until("patient", "STOPPED")?;
    Ok(())
}

/// Measures how long a stop takes that must come to a SIGKILL.
pub(super) fn stop_stubbornly(drive: Drive<'_>) -> Result<(), GaveUp> {
    drive.start("stubborn", true)?;
    let before = drive.until("stubborn", "RUNNING")?;
    let last = || actors::last_run(drive.folder, "stubborn");
    let began = Instant::now();
    // It must have come so far that it does not listen.
    while last().is_none_or(|run| run.pid != before.pid) && !drive.is_over(began) {
        thread::sleep(LOOK_EVERY);
    }
    let asked = Instant::now();
    drive.stop("stubborn", false)?;
    let granted = Instant::now();
    let after = drive.until("stubborn", "STOPPED")?;
    drive.measure("stubborn's stop", granted.elapsed(), asked.elapsed(), STUBBORN_STOPS);
    drive.findings.statuses.fetch_add(1, Ordering::Relaxed);
    if after.exit_status != -1 {
        drive.findings.statuses_wrong.fetch_add(1, Ordering::Relaxed);
        drive.findings.add(format!("stubborn was killed: {after:?}"));
    }
    Ok(())
}
