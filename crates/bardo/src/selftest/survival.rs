//! The supervisor is killed and held up again and again, and nothing is lost.
//!
//! A real daemon in a private folder runs programs that write as fast as they can, crash,
//! fail, linger and refuse to stop, event listeners that are told of it all, and FastCGI
//! programs that a crowd visits. Its configuration file is removed, its supervisor is killed
//! or stopped at moments of chance, and after each blow it is compared what is with what
//! was. In the end every line, every exit, every deadline, every visitor and every event must
//! be accounted for.

use std::fs;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use super::accounts;
use super::blows::Blows;
use super::board::Board;
use super::cast;
use super::checker::Checker;
use super::client::Info;
use super::drivers::{self, Drive, Findings, Part};
use super::home::{Daemon, Home, wait_until};
use super::procfs;
use super::report::Report;
use super::speakers;
use super::tails;
use super::visitors::{CROWD, Doors, Visits};
use super::writers;

/// Descriptors of programs that end and begin all the time: two lives, three each.
const DESCRIPTORS_MORE: usize = 6;

/// What is to be done.
#[derive(Debug, Clone)]
pub struct Survival {
    /// The executable that is tested.
    pub executable: PathBuf,
    /// How often the supervisor is killed.
    pub kills: usize,
    /// How often it is stopped: every second time it is left so.
    pub hangs: usize,
    /// Programs more, which do nothing.
    pub children: usize,
    /// The time over which all this is spread.
    pub span: Duration,
    /// Whether descriptors and memory are compared, early and in the end.
    pub soaks: bool,
    /// What chance begins with.
    pub seed: u64,
    /// Whether the folder stays there.
    pub keep: bool,
    /// What the median time to the first answer may be at most.
    pub answer_within: Duration,
}

/// Where it all happens.
#[derive(Clone, Copy)]
pub(super) struct Scene<'a> {
    pub(super) home: &'a Home,
    pub(super) daemon: &'a Daemon,
    pub(super) board: &'a Board,
    pub(super) findings: &'a Findings,
    /// How many clients rest just now.
    pub(super) resting: &'a AtomicUsize,
}

/// Clients that start and stop, each with its own program, and those that read logs.
const PARTS: [Part; 7] = [
    drivers::toggle,
    drivers::run,
    drivers::start_patiently,
    drivers::stop_stubbornly,
    tails::look,
    tails::collect,
    tails::follow,
];

/// All clients.
pub(super) const CLIENTS: usize = PARTS.len() + CROWD;

/// Runs the test.
///
/// # Errors
/// When the folder cannot be used, the daemon does not start, or a signal ends the test.
pub fn run(survival: &Survival) -> io::Result<Report> {
    let mut home = Home::new("survival")?;
    if survival.keep {
        home.keep();
        println!("folder                 {}", home.path().display());
    }
    let doors = Doors::new(&home)?;
    let configuration = cast::configure(survival, &home, &doors)?;
    let board = Board::open(home.path())?;
    let mut daemon = Daemon::start(&survival.executable, &home)?;
    fs::remove_file(configuration)?;
    let before = cast::all_running(daemon.client(), survival)?;

    let mut report = Report::new(survival);
    let findings = Findings::default();
    report.descriptors.0 = procfs::descriptors(daemon.keeper());
    let mut checker = Checker::new(&home);
    let resting = AtomicUsize::new(0);
    let scene = Scene {
        home: &home,
        daemon: &daemon,
        board: &board,
        findings: &findings,
        resting: &resting,
    };
    torture(survival, scene, &before, &doors, &mut checker, &mut report)?;
    check_descriptors(&daemon, &findings, &mut report);
    fall_silent(scene);
    finish(&home, &mut daemon, &findings)?;
    report.hearing = speakers::compare(home.path(), &board, &mut |text| findings.add(text));
    report.logs = checker.finish(&board, &findings);
    accounts::settle(&home, &findings, &mut report);
    report.take(&findings);
    Ok(report)
}

/// Kills, holds up, measures and compares, while clients go on.
fn torture(
    survival: &Survival,
    scene: Scene<'_>,
    before: &[Info],
    doors: &Doors,
    checker: &mut Checker,
    report: &mut Report,
) -> io::Result<()> {
    let Scene { home, daemon, board, findings, resting } = scene;
    let ending = AtomicBool::new(false);
    let drive = Drive {
        client: daemon.client(),
        folder: home.path(),
        findings,
        ending: &ending,
        board,
        resting,
    };
    let visits = Visits::default();
    let result = thread::scope(|scope| {
        scope.spawn(|| checker.watch(board, &ending));
        for part in PARTS {
            scope.spawn(move || drive.over_and_over(part));
        }
        for place in 0..CROWD {
            let visits = &visits;
            scope.spawn(move || doors.knock(place, drive, visits));
        }
        let result = Blows::new(survival, scene, before, report).strike_all();
        ending.store(true, Ordering::Relaxed);
        result
    });
    report.visited = visits.visited();
    result
}

/// Has all programs come to their ends: nothing may be on its way, and there may be no
/// process that nobody knows.
fn fall_silent(scene: Scene<'_>) {
    let Scene { home, daemon, board, findings, .. } = scene;
    board.stop();
    let written = wait_until("the writers' last lines", || {
        (0..writers::all().len()).all(|writer| board.is_done(writer))
    });
    let heard = wait_until("the last events", || speakers::all_heard(home.path(), board));
    board.pause(true);
    let known = cast::wait_for_no_stranger(daemon);
    for result in [written, heard, known] {
        if let Err(error) = result {
            findings.add(error.to_string());
        }
    }
    board.pause(false);
}

/// The keeper must not hold more than it did before the first death, once the programs
/// that clients have started are stopped.
fn check_descriptors(daemon: &Daemon, findings: &Findings, report: &mut Report) {
    for name in ["patient", "stubborn", "runner"] {
        // It may be stopped already.
        let _ = daemon.client().about("stopProcess", name);
    }
    let most = report.descriptors.0 + DESCRIPTORS_MORE;
    let held = wait_until("the keeper to close what is over", || {
        report.descriptors.1 = procfs::descriptors(daemon.keeper());
        report.descriptors.1 <= most
    });
    if let Err(error) = held {
        findings.add(format!("{error}: {:?}", report.descriptors));
    }
}

/// Stops everything; nothing may be left.
fn finish(home: &Home, daemon: &mut Daemon, findings: &Findings) -> io::Result<()> {
    if let Err(error) = daemon.client().call("supervisor.shutdown", &[]) {
        findings.add(format!("shutdown: {error}"));
    }
    let status = daemon.wait()?;
    if status.code() != Some(0) {
        findings.add(format!("the keeper ended with {status}"));
    }
    for left in procfs::with_words(&home.path().display().to_string()) {
        findings.add(format!("a process is left: {left:?}"));
    }
    for name in ["s.sock", "s.pid"] {
        if home.file(name).exists() {
            findings.add(format!("{name} is left"));
        }
    }
    Ok(())
}
