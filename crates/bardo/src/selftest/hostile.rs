//! Strangers do their worst to the HTTP server, and programs do not notice.
//!
//! A real daemon in a private folder listens on a port and on its socket file, and keeps
//! a program running that ends all the time. Attack after attack comes through the port,
//! and then through the file; meanwhile it is measured how soon the program is there again, how soon the owner of
//! the socket file and a well-behaved stranger are answered, and how much memory the
//! supervisor has. The first row of the table is without any attack.

mod attacks;
mod crowd;
mod table;

use std::fs;
use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use bardo_sys::clock;
use bardo_sys::limits::{self, Limit, Limited};

use self::attacks::Attack;
pub use self::crowd::Done;
use self::crowd::Door;
pub use self::table::{Report, Row};
use super::actors::{self, WORD};
use super::board::Board;
use super::client::Client;
use super::home::{Daemon, Home, PATIENCE, escaped, wait_until};
use super::{interruption, procfs, writers};

/// What is to be done.
#[derive(Debug, Clone)]
pub struct Hostile {
    /// The executable that is tested.
    pub executable: PathBuf,
    /// How many clients the largest crowds have.
    pub connections: usize,
    /// How long each attack goes on.
    pub span: Duration,
    /// What the supervisor's memory must stay below, in bytes.
    pub memory_within: u64,
    /// What the median time to a restart must stay below during an attack.
    pub restart_within: Duration,
    /// Starts in a time that there must be during an attack, in percent of those without.
    pub starts_percent: u64,
    /// Whether the folder stays there.
    pub keep: bool,
}

/// The program with the large log, and the one whose log grows.
const SHELF: &str = "shelf";
const TALKER: &str = "page";

/// Bytes of the large log: Supervisor's default size of a log file.
const SHELF_BYTES: usize = 50_000_000;

/// Descriptors that the supervisor is left with beside those that it has, where it is to
/// have few.
const FEW_DESCRIPTORS: u64 = 120;

/// How often each question is asked, and memory looked at.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Descriptors of our own that are no connections.
const DESCRIPTORS_BESIDE: u64 = 64;

/// Runs the test.
///
/// # Errors
/// When the folder cannot be used, or the daemon does not start.
pub fn run(hostile: &Hostile) -> io::Result<Report> {
    let mut home = Home::new("hostile")?;
    if hostile.keep {
        home.keep();
        println!("folder {}", home.path().display());
    }
    let connections = room_for(hostile.connections);
    if connections < hostile.connections {
        println!("{connections} connections: the limit of descriptors allows no more");
    }
    let server = free_port()?;
    home.configure("", &programs(hostile, &home, server))?;
    fill_shelf(&home)?;
    let board = Board::open(home.path())?;
    let mut daemon = Daemon::start(&hostile.executable, &home)?;
    let scene = Scene { home: &home, daemon: &daemon, server };
    let before = scene.wait_for_programs()?;

    let mut report = Report {
        memory_within: hostile.memory_within,
        restart_within: hostile.restart_within,
        starts_percent: hostile.starts_percent,
        ..Report::default()
    };
    report.rows.push(scene.measure("nobody", None, hostile.span, &mut report.findings));
    for attack in attacks::all(connections, SHELF, TALKER) {
        interruption::check()?;
        let findings = &mut report.findings;
        let row = scene.measure(attack.name, Some(&attack), hostile.span, findings);
        scene.compare(attack.name, &before, findings);
        report.rows.push(row);
    }
    report.memory_after = procfs::proportional_bytes(before.supervisor);
    board.stop();
    finish(&mut daemon, &mut report.findings)?;
    Ok(report)
}

/// As many connections as were asked for, or as our descriptors allow.
fn room_for(connections: usize) -> usize {
    let limit = limits::get(Limited::Descriptors);
    // Who may not raise it lives with what there is.
    let _ = limits::set(Limited::Descriptors, Limit { soft: limit.hard, hard: limit.hard });
    let most = limits::get(Limited::Descriptors).soft.saturating_sub(DESCRIPTORS_BESIDE);
    connections.min(usize::try_from(most).unwrap_or(usize::MAX))
}

/// A port that nobody listens on just now.
fn free_port() -> io::Result<SocketAddr> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()
}

fn programs(hostile: &Hostile, home: &Home, server: SocketAddr) -> String {
    let executable = escaped(&hostile.executable);
    let folder = escaped(home.path());
    let talker = writers::number_of(TALKER);
    let program = |name: &str, role: &str, options: &str| {
        format!(
            "[program:{name}]\ncommand=\"{executable}\" {WORD} \"{folder}\" 1 {role}\n{options}\n\n"
        )
    };
    [
        format!("[inet_http_server]\nport={server}\n\n"),
        program("crasher", "crasher", "autorestart=true\nstartsecs=0"),
        program("sitter", "idle", ""),
        program(
            SHELF,
            "idle",
            &format!("stdout_logfile={folder}/shelf.log\nstdout_logfile_maxbytes=0"),
        ),
        program(
            TALKER,
            &format!("writer {talker}"),
            &format!("stdout_logfile={folder}/talker.log\nstdout_logfile_maxbytes=0"),
        ),
    ]
    .concat()
}

fn fill_shelf(home: &Home) -> io::Result<()> {
    let line = "A line of a log that is text, with an <angle> & more.\n";
    fs::write(home.file("shelf.log"), line.repeat(SHELF_BYTES / line.len()))
}

/// Where it all happens.
struct Scene<'a> {
    home: &'a Home,
    daemon: &'a Daemon,
    server: SocketAddr,
}

/// What must not change.
struct Before {
    supervisor: u32,
    sitter: u32,
}

impl Scene<'_> {
    fn client(&self) -> &Client {
        self.daemon.client()
    }

    fn wait_for_programs(&self) -> io::Result<Before> {
        let mut sitter = None;
        wait_until("all programs to run", || {
            let infos = self.client().infos().unwrap_or_default();
            let running = infos.iter().filter(|info| info.state == "RUNNING");
            sitter = infos.iter().find(|info| info.name == "sitter").map(|info| info.pid);
            // The one that ends all the time may be down just now.
            running.filter(|info| info.name != "crasher").count() == 3
        })?;
        let supervisor = self.daemon.supervisor().ok_or(io::ErrorKind::NotFound)?.pid;
        Ok(Before { supervisor, sitter: sitter.unwrap_or_default() })
    }

    /// Whether the supervisor and the program that nobody touches are who they were.
    fn compare(&self, attack: &str, before: &Before, findings: &mut Vec<String>) {
        let supervisor = self.daemon.supervisor().map(|stat| stat.pid);
        if supervisor != Some(before.supervisor) {
            findings.push(format!("{attack}: the supervisor is another one: {supervisor:?}"));
        }
        match self.client().info("sitter") {
            Ok(info) if info.pid == before.sitter && info.state == "RUNNING" => {}
            other => findings.push(format!("{attack}: a program is {other:?}")),
        }
    }

    /// Measures for a while, during an attack or none.
    fn measure(
        &self,
        name: &'static str,
        attack: Option<&Attack>,
        span: Duration,
        findings: &mut Vec<String>,
    ) -> Row {
        let supervisor = self.daemon.supervisor().map_or(0, |stat| stat.pid);
        let held = procfs::descriptors(supervisor);
        let few = attack.is_some_and(|attack| attack.few_descriptors);
        let limited =
            if few { limit_descriptors(supervisor, held as u64 + FEW_DESCRIPTORS) } else { Ok(()) };
        let began = clock::monotonic();
        let (mut row, owner, stranger) = self.watch(supervisor, attack, span);
        row.name = name;
        let span = u64::try_from(span.as_nanos()).unwrap_or(u64::MAX);
        row.restarts = restarts(self.home, began, began.saturating_add(span));
        if few {
            let most = limits::get(Limited::Descriptors).hard;
            let _ = limit_descriptors(supervisor, most);
        }
        let calm = wait_until("the connections to end", || {
            procfs::descriptors(supervisor) <= held + DESCRIPTORS_MORE
        });
        // Without descriptors strangers are not let in, which is as it should be.
        let stranger = stranger.filter(|_| !few);
        let errors = [limited.err(), calm.err(), owner, stranger];
        findings.extend(errors.into_iter().flatten().map(|error| format!("{name}: {error}")));
        row
    }

    fn door(&self, attack: &Attack) -> Door {
        match attack.at_file {
            true => Door::File(self.home.file("s.sock")),
            false => Door::Port(self.server),
        }
    }

    /// Watches for a while, and says why the owner or a stranger was not answered.
    fn watch(
        &self,
        supervisor: u32,
        attack: Option<&Attack>,
        span: Duration,
    ) -> (Row, Option<io::Error>, Option<io::Error>) {
        let back = AtomicBool::new(false);
        thread::scope(|scope| {
            let crowd = attack.map(|attack| {
                let (door, back) = (self.door(attack), &back);
                scope.spawn(move || crowd::send(&door, &attack.manner, attack.clients, back))
            });
            let own = scope.spawn(|| over_and_over(&back, || ask_as_owner(self.client())));
            let strange = scope.spawn(|| over_and_over(&back, || ask_as_stranger(self.server)));
            let used = procfs::processor_time(supervisor);
            let memory = watch_memory(supervisor, span);
            let used = procfs::processor_time(supervisor).saturating_sub(used);
            back.store(true, Ordering::Relaxed);
            let done = crowd.and_then(|crowd| crowd.join().ok()).unwrap_or_default();
            let (owner, owner_error) = own.join().unwrap_or_default();
            let (stranger, stranger_error) = strange.join().unwrap_or_default();
            (
                Row { span, done, owner, stranger, memory, used, ..Row::default() },
                owner_error,
                stranger_error,
            )
        })
    }
}

/// Descriptors of programs that end and begin, and of questions that are asked.
const DESCRIPTORS_MORE: usize = 8;

/// What came of questions, and how long each answer took.
type Answers = (Vec<Duration>, Option<io::Error>);

/// Asks until it is called back; the first failure ends it.
fn over_and_over(back: &AtomicBool, ask: impl Fn() -> io::Result<()>) -> Answers {
    let mut answers = Vec::new();
    while !back.load(Ordering::Relaxed) {
        let asked = Instant::now();
        if let Err(error) = ask() {
            return (answers, Some(error));
        }
        answers.push(asked.elapsed());
        thread::sleep(LOOK_EVERY);
    }
    (answers, None)
}

fn ask_as_owner(client: &Client) -> io::Result<()> {
    let told = |error| io::Error::other(format!("the owner was not answered: {error}"));
    client.state().map(|_| ()).map_err(told)
}

fn ask_as_stranger(server: SocketAddr) -> io::Result<()> {
    visit(server).map_err(|error| io::Error::other(format!("a stranger was not answered: {error}")))
}

fn visit(server: SocketAddr) -> io::Result<()> {
    let mut stream = TcpStream::connect_timeout(&server, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(b"GET /ok.html HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    match answer.starts_with(b"HTTP/1.1 200 OK") {
        true => Ok(()),
        false => Err(io::Error::other(String::from_utf8_lossy(&answer).into_owned())),
    }
}

/// The most memory that a process has within this time.
fn watch_memory(pid: u32, span: Duration) -> u64 {
    let until = Instant::now() + span;
    let mut most = 0;
    while Instant::now() < until {
        most = most.max(procfs::proportional_bytes(pid));
        thread::sleep(LOOK_EVERY);
    }
    most
}

/// How long the program that ends all the time was away, each time.
fn restarts(home: &Home, from: u64, to: u64) -> Vec<Duration> {
    let runs = actors::runs(home.path(), "crasher");
    let gap = |pair: &[actors::Run]| {
        let (_, ended) = pair[0].ended?;
        let gap = Duration::from_nanos(pair[1].began.saturating_sub(ended));
        (from..to).contains(&ended).then_some(gap)
    };
    runs.windows(2).filter_map(gap).collect()
}

fn limit_descriptors(pid: u32, soft: u64) -> io::Result<()> {
    let limit = limits::get(Limited::Descriptors);
    limits::set_of(pid, Limited::Descriptors, Limit { soft, hard: limit.hard.max(soft) })
}

/// Stops everything.
fn finish(daemon: &mut Daemon, findings: &mut Vec<String>) -> io::Result<()> {
    if let Err(error) = daemon.client().call("supervisor.shutdown", &[]) {
        findings.push(format!("shutdown: {error}"));
    }
    let status = daemon.wait()?;
    if status.code() != Some(0) {
        findings.push(format!("the keeper ended with {status}"));
    }
    Ok(())
}
