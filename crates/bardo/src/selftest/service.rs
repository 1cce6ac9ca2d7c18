//! What a service is promised, measured: how soon one that hangs is replaced, what the
//! heartbeats of many cost, and that one which crashes is there again as soon as a plain
//! program.

mod table;

use std::io;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use bardo_sys::clock;

pub use self::table::Report;
use super::actors::WORD;
use super::hearts::{Heart, Hearts};
use super::home::{Daemon, Home, escaped, send, wait_until};
use super::lines::Random;
use super::{interruption, procfs};

/// What is to be done.
#[derive(Debug, Clone)]
pub struct Services {
    /// The executable that is tested.
    pub executable: PathBuf,
    /// How often a program is made to hang.
    pub hangs: usize,
    /// How often each of the two programs that are compared is killed.
    pub kills: usize,
    /// How many programs have a heartbeat at a time.
    pub hearts: usize,
    /// How long they are watched.
    pub span: Duration,
    /// What the median time from a last sign of life to the next process may be at most.
    pub replaced_within: Duration,
    /// What keeper and supervisor may use of one processor meanwhile, in percent.
    pub percent: u64,
    /// How much longer a service may be away than a plain program, in percent.
    pub slower_percent: u64,
    /// Whether the folder stays there.
    pub keep: bool,
}

/// The period of the program that hangs.
const SHORT: Duration = Duration::from_millis(100);

/// The two that are compared, by their places.
const PROGRAM: usize = 0;
const SERVICE: usize = 1;

/// The label of the service.
const LABEL: &str = "service";

/// How long it is quiet before a program is killed.
const QUIET: Duration = Duration::from_millis(10);

const KILL: i32 = 9;
const STOP: i32 = 19;

/// Runs the test.
///
/// # Errors
/// When the folder cannot be used, or the daemon does not start.
pub fn run(services: &Services) -> io::Result<Report> {
    let mut report = Report::new(services);
    hang(services, &mut report)?;
    compare(services, &mut report)?;
    watch(services, &mut report)?;
    Ok(report)
}

/// A daemon, and the memory of its programs.
struct Scene {
    daemon: Daemon,
    hearts: Hearts,
    home: Home,
}

impl Scene {
    /// Starts a daemon with these sections; `{heart}` is the command line of a program
    /// before its number and its manner.
    fn open(services: &Services, count: usize, sections: &str) -> io::Result<Self> {
        let mut home = Home::new("services")?;
        if services.keep {
            home.keep();
            println!("folder {}", home.path().display());
        }
        let words = format!("{WORD} \"{}\" 1 heart", escaped(home.path()));
        let command = format!("\"{}\" {words}", escaped(&services.executable));
        home.configure("", &sections.replace("{heart}", &command))?;
        let hearts = Hearts::open(home.path(), count)?;
        let daemon = Daemon::launch_with(&services.executable, &home, |_| {})?;
        Ok(Self { daemon, hearts, home })
    }

    /// Waits until one has lived so often.
    fn wait_for_life(&self, number: usize, lives: u64) -> io::Result<Heart> {
        wait_until("a life of a program", || self.hearts.get(number).lives >= lives)?;
        Ok(self.hearts.get(number))
    }

    /// Carries out `service`.
    fn service(&self, services: &Services, words: &[&str]) -> io::Result<()> {
        let mut command = Command::new(&services.executable);
        command.arg("service").args(words).env("BARDO_SOCKET", self.home.file("s.sock"));
        let output = command.output()?;
        match output.status.success() {
            true => Ok(()),
            false => {
                let said = String::from_utf8_lossy(&output.stderr);
                Err(io::Error::other(format!("service {}: {said}", words.join(" "))))
            }
        }
    }

    /// Stops everything.
    fn finish(mut self, report: &mut Report) -> io::Result<()> {
        if let Err(error) = self.daemon.client().call("supervisor.shutdown", &[]) {
            report.findings.push(format!("shutdown: {error}"));
        }
        let status = self.daemon.wait()?;
        if status.code() != Some(0) {
            report.findings.push(format!("the keeper ended with {status}"));
        }
        Ok(())
    }
}

/// Stops a program again and again at moments of chance, and measures how soon the next one
/// is there.
fn hang(services: &Services, report: &mut Report) -> io::Result<()> {
    let period = SHORT.as_millis();
    let sections =
        format!("[program:heart]\ncommand={{heart}} 0 answers\nheartbeat_period={period}ms\n");
    let scene = Scene::open(services, 1, &sections)?;
    let mut random = Random::new(1);
    for _ in 0..services.hangs {
        let lives = scene.hearts.get(0).lives;
        let signs = scene.hearts.get(0).signs;
        wait_until("an answer", || scene.hearts.get(0).signs > signs + 1)?;
        interruption::sleep(Duration::from_micros(random.below(SHORT.as_micros() as u64)))?;
        let stopped = clock::monotonic();
        send(scene.hearts.get(0).pid, STOP)?;
        let next = scene.wait_for_life(0, lives.max(1) + 1)?;
        let since = |then: u64| Duration::from_nanos(next.began.saturating_sub(then));
        report.after_stop.push(since(stopped));
        report.after_sign.push(since(next.alive_before));
    }
    if report.after_sign.iter().any(|time| *time < SHORT * 2) {
        report.findings.push("one was killed before two periods were over".to_owned());
    }
    scene.finish(report)
}

/// Kills a plain program and a service in turns, and measures how soon the next one is
/// there.
fn compare(services: &Services, report: &mut Report) -> io::Result<()> {
    let sections = "[program:plain]\ncommand={heart} 0 plain\nautorestart=true\nstartsecs=0\n";
    let scene = Scene::open(services, 2, sections)?;
    let arguments = [WORD, &scene.home.path().display().to_string(), "1", "heart", "1", "plain"];
    let binary = services.executable.display().to_string();
    let up = ["up", &binary, "-label", LABEL, "-alive", "0", "--"];
    for _ in 0..services.kills {
        // After its first crash a service does not wait.
        scene.service(services, &[&up[..], &arguments].concat())?;
        for number in [PROGRAM, SERVICE] {
            interruption::sleep(QUIET)?;
            let heart = scene.wait_for_life(number, 1)?;
            let killed = clock::monotonic();
            send(heart.pid, KILL)?;
            let next = scene.wait_for_life(number, heart.lives + 1)?;
            report.away[number].push(Duration::from_nanos(next.began.saturating_sub(killed)));
        }
        let is_initialised =
            || scene.daemon.client().info(LABEL).is_ok_and(|info| info.state == "RUNNING");
        wait_until("a service to be initialised", is_initialised)?;
        scene.service(services, &["down", LABEL])?;
    }
    scene.finish(report)
}

/// Watches what the heartbeats of many programs cost.
fn watch(services: &Services, report: &mut Report) -> io::Result<()> {
    let count = services.hearts;
    let sections = format!(
        "[program:heart]\ncommand={{heart}} %(process_num)d answers\nnumprocs={count}\n\
         process_name=%(process_num)d\nheartbeat_period=1\nstdout_logfile=NONE\n\
         stderr_logfile=NONE\n"
    );
    let scene = Scene::open(services, count, &sections)?;
    let signs = || (0..count).map(|number| scene.hearts.get(number).signs).collect::<Vec<u64>>();
    wait_until("two answers of each", || signs().iter().all(|signs| *signs > 2))?;
    let supervisor = scene.daemon.supervisor().map_or(0, |stat| stat.pid);
    let used = || [scene.daemon.keeper(), supervisor].map(procfs::processor_time);
    let (before, answered, began) = (used(), signs(), Instant::now());
    interruption::sleep(services.span)?;
    let (after, span) = (used(), began.elapsed());
    report.watched = span;
    report.used = [0, 1].map(|place| after[place].saturating_sub(before[place]));
    report.signs = signs().iter().sum::<u64>() - answered.iter().sum::<u64>();
    let lives = (0..count).map(|number| scene.hearts.get(number).lives);
    let again = lives.filter(|lives| *lives > 1).count();
    if again > 0 {
        report.findings.push(format!("{again} programs that answered were started again"));
    }
    scene.finish(report)
}
