//! The supervisor is killed again and again, and nothing is lost.
//!
//! A real daemon in a private folder runs programs that write, crash, fail, linger
//! and refuse to stop, and event listeners that are told of it all. Its configuration file is removed, its supervisor is killed at
//! moments of chance, and after each death it is compared what is with what was. In
//! the end every line, every exit, every deadline and every event must be accounted for.

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::actors::{self, Run, WORD};
use super::board::Board;
use super::checker::Checker;
use super::client::{Client, Info};
use super::drivers::{self, Drive, Findings, LATE_MAX, PATIENT_STARTS, Part, STUBBORN_STOPS};
use super::home::{Daemon, Home, escaped, wait_until};
use super::interruption;
use super::lines::Random;
use super::procfs;
use super::report::Report;
use super::speakers;
use super::writers;

/// Of so many kills one comes while the new supervisor takes over.
const EARLY_KILLS: u64 = 6;

/// How soon such a kill comes after the one before, at most.
const EARLY_MAX: Duration = Duration::from_millis(20);

/// Descriptors of programs that end and begin all the time: two lives, three each.
const DESCRIPTORS_MORE: usize = 6;

/// What is to be done.
#[derive(Debug, Clone)]
pub struct Survival {
    /// The executable that is tested.
    pub executable: PathBuf,
    /// How often the supervisor is killed.
    pub kills: usize,
    /// The time over which the kills are spread.
    pub span: Duration,
    /// What chance begins with.
    pub seed: u64,
    /// Whether the folder stays there.
    pub keep: bool,
    /// What the median time to the first answer must stay below.
    pub answer_within: Duration,
}

/// Clients, each with its own program.
const PARTS: [Part; 4] =
    [drivers::toggle, drivers::run, drivers::start_patiently, drivers::stop_stubbornly];

/// Runs the test.
///
/// # Errors
/// When the folder cannot be used, or the daemon does not start.
pub fn run(survival: &Survival) -> io::Result<Report> {
    let mut home = Home::new("survival")?;
    if survival.keep {
        home.keep();
        println!("folder                 {}", home.path().display());
    }
    let configuration = home.configure("", &programs(survival, &home))?;
    let board = Board::open(home.path())?;
    let mut daemon = Daemon::start(&survival.executable, &home)?;
    fs::remove_file(configuration)?;
    let before = all_running(daemon.client())?;

    let mut report =
        Report { seed: survival.seed, answer_within: survival.answer_within, ..Report::default() };
    let findings = Findings::default();
    report.descriptors.0 = procfs::descriptors(daemon.keeper());
    let mut checker = Checker::new(&home);
    let scene = Scene { home: &home, daemon: &daemon, board: &board, findings: &findings };
    torture(survival, &scene, &before, &mut checker, &mut report)?;
    check_descriptors(&daemon, &findings, &mut report);
    board.stop();
    let written = wait_until("the writers' last lines", || {
        (0..writers::all().len()).all(|writer| board.is_done(writer))
    });
    if let Err(error) = written {
        findings.add(error.to_string());
    }
    let heard = wait_until("the last events", || speakers::all_heard(home.path(), &board));
    if let Err(error) = heard {
        findings.add(error.to_string());
    }
    finish(&home, &mut daemon, &findings)?;
    report.hearing = speakers::compare(home.path(), &board, &mut |text| findings.add(text));
    report.logs = checker.finish(&board, &findings);
    check_exits(&home, &findings, &mut report);
    report.wishes = findings.wishes.load(Ordering::Relaxed);
    report.statuses += findings.statuses.load(Ordering::Relaxed);
    report.statuses_wrong += findings.statuses_wrong.load(Ordering::Relaxed);
    report.deadlines += findings.deadlines.load(Ordering::Relaxed);
    report.findings = findings.take();
    Ok(report)
}

/// The sections of all programs.
fn programs(survival: &Survival, home: &Home) -> String {
    let executable = escaped(&survival.executable);
    let folder = escaped(home.path());
    let seed = survival.seed;
    let mut text = speakers::sections(&executable, &folder, seed);
    let mut add = |name: &str, role: &str, options: &str| {
        let command = format!("\"{executable}\" {WORD} \"{folder}\" {seed} {role}");
        // Writing into memory cannot fail.
        let _ = writeln!(text, "[program:{name}]\ncommand={command}\n{options}\n");
    };
    for (number, writer) in writers::all().iter().enumerate() {
        add(&writer.name, &format!("writer {number}"), &writer.options(&folder));
    }
    add("crasher", "crasher", "autorestart=true\nstartsecs=0");
    add("failing", "failing", "startsecs=30\nstartretries=1000000");
    add("toggled", "idle", "startsecs=0");
    add("sitter", "idle", "");
    add("runner", "runner", "autostart=false\nstartsecs=0\nautorestart=unexpected");
    let patient = format!("autostart=false\nstartsecs={}", PATIENT_STARTS.as_secs());
    add("patient", "idle", &patient);
    let wait = STUBBORN_STOPS.as_secs();
    add("stubborn", "stubborn", &format!("autostart=false\nstartsecs=0\nstopwaitsecs={wait}"));
    text
}

/// The programs that live as long as the test, and that nobody touches.
fn is_long_lived(info: &Info) -> bool {
    info.name == "sitter"
        || speakers::is_one(&info.name)
        || writers::all().iter().any(|writer| writer.name == info.name)
}

/// How many they are.
fn long_lived_count() -> usize {
    writers::all().len() + 1 + speakers::SPEAKERS + speakers::POOLS.len()
}

fn long_lived(client: &Client) -> Vec<Info> {
    let mut infos = client.infos().unwrap_or_default();
    infos.retain(is_long_lived);
    infos
}

fn all_running(client: &Client) -> io::Result<Vec<Info>> {
    let mut infos = Vec::new();
    wait_until("all programs to run", || {
        infos = long_lived(client);
        infos.len() == long_lived_count() && infos.iter().all(|info| info.state == "RUNNING")
    })?;
    Ok(infos)
}

/// Where it all happens.
#[derive(Clone, Copy)]
struct Scene<'a> {
    home: &'a Home,
    daemon: &'a Daemon,
    board: &'a Board,
    findings: &'a Findings,
}

/// Kills, measures and compares, while clients go on.
fn torture(
    survival: &Survival,
    scene: &Scene<'_>,
    before: &[Info],
    checker: &mut Checker,
    report: &mut Report,
) -> io::Result<()> {
    let Scene { home, daemon, board, findings } = *scene;
    let ending = AtomicBool::new(false);
    let drive = Drive { client: daemon.client(), folder: home.path(), findings, ending: &ending };
    thread::scope(|scope| {
        scope.spawn(|| checker.watch(board, &ending));
        for part in PARTS {
            scope.spawn(move || drive.over_and_over(part));
        }
        let result = kill_all(survival, daemon, before, findings, report);
        ending.store(true, Ordering::Relaxed);
        result
    })
}

fn kill_all(
    survival: &Survival,
    daemon: &Daemon,
    before: &[Info],
    findings: &Findings,
    report: &mut Report,
) -> io::Result<()> {
    let mut random = Random::new(survival.seed);
    let kills = u64::try_from(survival.kills).unwrap_or(1).max(1);
    let pause = u64::try_from(survival.span.as_micros()).unwrap_or(0) / kills;
    let mut early = false;
    while report.kills < survival.kills {
        if !early {
            interruption::sleep(Duration::from_micros(random.below(2 * pause)))?;
        }
        let killed_at = Instant::now();
        let killed = daemon.kill_supervisor()?;
        report.kills += 1;
        // A supervisor that is killed twice in a row is started after a pause.
        early = !early && report.kills < survival.kills && random.below(EARLY_KILLS) == 0;
        if early {
            report.early_kills += 1;
            wait_until("the next supervisor", || daemon.supervisor().is_some())?;
            let moment = u64::try_from(EARLY_MAX.as_micros()).unwrap_or(0);
            thread::sleep(Duration::from_micros(random.below(moment)));
            continue;
        }
        first_answer(daemon, killed_at, report)?;
        compare(daemon, killed, before, findings, report);
    }
    Ok(())
}

/// Asks again and again until somebody answers.
fn first_answer(daemon: &Daemon, killed_at: Instant, report: &mut Report) -> io::Result<()> {
    let mut last = None;
    let answered = wait_until("an answer", || match daemon.client().state() {
        Ok(_) => true,
        Err(error) => {
            last = Some(error);
            false
        }
    });
    report.answers.push(killed_at.elapsed());
    answered.map_err(|error| io::Error::other(format!("{error}: {last:?}")))
}

/// Compares what is with what was.
fn compare(
    daemon: &Daemon,
    killed: u32,
    before: &[Info],
    findings: &Findings,
    report: &mut Report,
) {
    let after = match daemon.client().infos() {
        Ok(mut infos) => {
            infos.retain(is_long_lived);
            infos
        }
        Err(error) => {
            findings.add(format!("getAllProcessInfo after the death of {killed}: {error}"));
            return;
        }
    };
    for (was, is) in before.iter().zip(&after) {
        if was != is {
            report.children_lost += 1;
            findings.add(format!("after the death of {killed}: {was:?} became {is:?}"));
        }
        let there = procfs::stat(was.pid);
        if there.as_ref().is_none_or(|stat| !stat.is_alive() || stat.parent != daemon.keeper()) {
            report.children_lost += 1;
            findings.add(format!("after the death of {killed}: {} is {there:?}", was.name));
        }
    }
    if after.len() != before.len() {
        findings.add(format!("after the death of {killed}: {} programs", after.len()));
    }
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

/// Compares the lives that programs have noted with each other and with the main log.
fn check_exits(home: &Home, findings: &Findings, report: &mut Report) {
    let log = home.main_log();
    for name in ["crasher", "runner", "failing"] {
        let runs = actors::runs(home.path(), name);
        for pair in runs.windows(2) {
            match pair[0].ended {
                Some((_, at)) if at <= pair[1].began => {}
                // A process that is killed at the end notes no end.
                _ => findings.add(format!("{name}: two lives at once: {pair:?}")),
            }
        }
        report.exits_missing += forgotten(name, &runs, findings);
        let codes: Vec<u8> = runs.iter().filter_map(|run| Some(run.ended?.0)).collect();
        report.exits += codes.len();
        let logged = logged_codes(&log, name);
        compare_codes(name, &codes, &logged, findings, report);
    }
    check_backoff(home, findings, report);
}

/// Exits that did not lead to what must follow: a restart, at once.
fn forgotten(name: &str, runs: &[Run], findings: &Findings) -> usize {
    let restarts = |code| match name {
        "crasher" => true,
        "runner" => code != 0,
        // It waits longer and longer: see `check_backoff`.
        _ => false,
    };
    let late = |pair: &&[Run]| {
        pair[0].ended.is_some_and(|(code, at)| {
            let gap = Duration::from_nanos(pair[1].began.saturating_sub(at));
            restarts(code) && gap > LATE_MAX
        })
    };
    let forgotten: Vec<_> = runs.windows(2).filter(late).collect();
    if let Some(pair) = forgotten.first() {
        findings.add(format!("{name}: not started again: {pair:?}"));
    }
    forgotten.len()
}

/// The codes of a program's exits, as the main log tells them.
fn logged_codes(log: &str, name: &str) -> Vec<u8> {
    let begin = format!("exited: {name} (exit status ");
    let lines = log.lines().filter_map(|line| line.split_once(&begin));
    lines.filter_map(|(_, rest)| rest.split(';').next()?.parse().ok()).collect()
}

/// What is logged must be what was noted, in its order and nothing twice. A line that
/// the supervisor was about to write when it was killed is not there: one moment for
/// each kill.
fn compare_codes(
    name: &str,
    codes: &[u8],
    logged: &[u8],
    findings: &Findings,
    report: &mut Report,
) {
    report.statuses += logged.len() as u64;
    report.exits_logged += logged.len();
    let mut rest = codes.iter();
    for code in logged {
        if !rest.any(|noted| noted == code) {
            report.statuses_wrong += 1;
            findings.add(format!("{name}: the main log tells of code {code} out of order"));
            return;
        }
    }
    report.exits_unlogged += codes.len() - logged.len();
}

/// The n-th try must come n seconds after the failure before it.
fn check_backoff(home: &Home, findings: &Findings, report: &mut Report) {
    let runs = actors::runs(home.path(), "failing");
    for (pair, failures) in runs.windows(2).zip(1..) {
        let Some((_, ended)) = pair[0].ended else { continue };
        let gap = Duration::from_nanos(pair[1].began.saturating_sub(ended));
        let due = Duration::from_secs(failures);
        report.deadlines += 1;
        if gap < due || gap > due + LATE_MAX {
            findings.add(format!("failing: try {} came after {gap:?}", failures + 1));
        }
    }
    if runs.len() < 2 {
        findings.add(format!("failing was tried {} times", runs.len()));
    }
}
