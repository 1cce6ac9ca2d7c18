//! A private folder, and a daemon that runs in it.
//!
//! Whatever happens, nothing that was started here is left when the daemon's value is
//! dropped: every child of the keeper is ended by its number, then the keeper.

use std::fs::{self, DirBuilder, File};
use std::io::{self, Write as _};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::fs::DirBuilderExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use bardo_sys::poll::{self, Room};
use bardo_sys::{process, signals};
use rustix::net::{self, AddressFamily, SocketFlags, SocketType, sockopt};

use super::client::Client;
use super::interruption;
use super::procfs::{self, Stat};
use crate::daemon::trees;
pub use crate::launcher::escaped;

/// How long something that must happen is waited for. It is not a measure: on a
/// machine that has no time for us, nothing here may fail.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// How often a condition is looked at that nobody announces.
const LOOK_EVERY: Duration = Duration::from_millis(2);

/// The name of a supervisor's process, and of what it has cloned until that has executed
/// its program.
pub const SUPERVISOR_COMM: &str = "bardo-superv";

/// A folder of our own, removed when it is dropped.
#[derive(Debug)]
pub struct Home {
    path: PathBuf,
    keep: bool,
}

impl Home {
    /// Makes one.
    ///
    /// # Errors
    /// When the temporary folder cannot be written.
    pub fn new(name: &str) -> io::Result<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        loop {
            let count = COUNT.fetch_add(1, Ordering::Relaxed);
            let name = format!("bardo-{name}-{}-{count}", std::process::id());
            let path = std::env::temp_dir().join(name);
            match DirBuilder::new().mode(0o700).create(&path) {
                // A run that was killed, and whose number is ours now, has left it.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                made => return made.map(|()| Self { path, keep: false }),
            }
        }
    }

    /// Leaves it there in the end.
    pub fn keep(&mut self) {
        self.keep = true;
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A file in it.
    #[must_use]
    pub fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Writes a configuration: a server on `s.sock`, a main log `main.log`, then
    /// `more` lines of `[supervisord]`, then `programs`.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn configure(&self, more: &str, programs: &str) -> io::Result<PathBuf> {
        let path = self.file("supervisord.conf");
        let here = escaped(&self.path);
        let text = format!(
            "[unix_http_server]\nfile={here}/s.sock\n\n\
             [supervisord]\nlogfile={here}/main.log\nlogfile_maxbytes=0\n\
             pidfile={here}/s.pid\nchildlogdir={here}\n{more}\n\n\
             [rpcinterface:supervisor]\n\
             supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface\n\n\
             {programs}"
        );
        fs::write(&path, text)?;
        Ok(path)
    }

    /// The main log so far.
    #[must_use]
    pub fn main_log(&self) -> String {
        fs::read(self.file("main.log"))
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .unwrap_or_default()
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        if !self.keep {
            // Nothing depends on it.
            let _ = fs::remove_dir_all(&self.path);
        }
    }
}

/// A port of this machine that the kernel gives to nobody while this is there: it is bound,
/// and nobody listens on it. Whoever names it and sets `SO_REUSEADDR`, as servers do, can
/// listen on it all the same.
#[derive(Debug)]
pub struct Port {
    number: u16,
    _socket: OwnedFd,
}

impl Port {
    /// Takes one.
    ///
    /// # Errors
    /// When there is none.
    pub fn take() -> io::Result<Self> {
        let socket =
            net::socket_with(AddressFamily::INET, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
        sockopt::set_socket_reuseaddr(&socket, true)?;
        net::bind(&socket, &SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0))?;
        let address = SocketAddrV4::try_from(net::getsockname(&socket)?)?;
        Ok(Self { number: address.port(), _socket: socket })
    }

    /// Its number.
    #[must_use]
    pub fn number(&self) -> u16 {
        self.number
    }
}

/// A daemon in the foreground, in a process group of its own.
#[derive(Debug)]
pub struct Daemon {
    keeper: Child,
    client: Client,
}

impl Daemon {
    /// Starts `executable supervisord -n -c` with the configuration of that home, and
    /// waits until it answers.
    ///
    /// # Errors
    /// When it cannot be started, or does not answer.
    pub fn start(executable: &Path, home: &Home) -> io::Result<Self> {
        Self::start_with(executable, home, |_| {})
    }

    /// Like [`Self::start`], with something changed about the command.
    ///
    /// # Errors
    /// When it cannot be started, or does not answer.
    pub fn start_with(
        executable: &Path,
        home: &Home,
        change: impl FnOnce(&mut Command),
    ) -> io::Result<Self> {
        Self::spawn_with(executable, home, change)?.awaited(home)
    }

    /// Starts `executable run -c` with the configuration of that home, with something
    /// changed about the command, and waits until it answers.
    ///
    /// # Errors
    /// When it cannot be started, or does not answer.
    pub fn launch_with(
        executable: &Path,
        home: &Home,
        change: impl FnOnce(&mut Command),
    ) -> io::Result<Self> {
        Self::start_as(&["run", "-c"], executable, home, change)
    }

    /// Starts `executable` with these words and the configuration of that home behind them,
    /// with something changed about the command, and waits until it answers.
    ///
    /// # Errors
    /// When it cannot be started, or does not answer.
    pub fn start_as(
        words: &[&str],
        executable: &Path,
        home: &Home,
        change: impl FnOnce(&mut Command),
    ) -> io::Result<Self> {
        Self::spawn_as(words, executable, home, change)?.awaited(home)
    }

    /// Waits until it answers.
    fn awaited(mut self, home: &Home) -> io::Result<Self> {
        let began = Instant::now();
        while self.client.state().is_err() {
            if let Some(status) = self.keeper.try_wait()? {
                let said = fs::read_to_string(home.file("console")).unwrap_or_default();
                return Err(io::Error::other(format!("the daemon has ended ({status}): {said}")));
            }
            interruption::check()?;
            if began.elapsed() > PATIENCE {
                return Err(io::Error::new(io::ErrorKind::TimedOut, "the daemon does not answer"));
            }
            thread::sleep(LOOK_EVERY);
        }
        Ok(self)
    }

    /// Like [`Self::start`], without waiting for anything.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn spawn(executable: &Path, home: &Home) -> io::Result<Self> {
        Self::spawn_with(executable, home, |_| {})
    }

    /// Like [`Self::start_with`], without waiting for anything.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn spawn_with(
        executable: &Path,
        home: &Home,
        change: impl FnOnce(&mut Command),
    ) -> io::Result<Self> {
        Self::spawn_as(&["supervisord", "-n", "-c"], executable, home, change)
    }

    /// Like [`Self::start_as`], without waiting for anything.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn spawn_as(
        words: &[&str],
        executable: &Path,
        home: &Home,
        change: impl FnOnce(&mut Command),
    ) -> io::Result<Self> {
        let console = File::create(home.file("console"))?;
        let mut command = Command::new(executable);
        command
            .args(words)
            .arg(home.file("supervisord.conf"))
            .stdin(Stdio::null())
            .stdout(console.try_clone()?)
            .stderr(console)
            .process_group(0);
        change(&mut command);
        Ok(Self {
            keeper: signals::spawn_unblocked(&mut command)?,
            client: Client::new(&home.file("s.sock")),
        })
    }

    /// Who can be asked.
    #[must_use]
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// The keeper's number.
    #[must_use]
    pub fn keeper(&self) -> u32 {
        self.keeper.id()
    }

    /// The children of the keeper: the supervisor and the programs.
    #[must_use]
    pub fn children(&self) -> Vec<Stat> {
        procfs::children(self.keeper())
    }

    /// The supervisor that is there now. A program that is being born has its name too,
    /// and soon a process group of its own: the eldest in the keeper's group is the one.
    #[must_use]
    pub fn supervisor(&self) -> Option<Stat> {
        let group = procfs::stat(self.keeper())?.group;
        let mut children = self.children();
        children.retain(|child| {
            child.is_alive() && child.comm == SUPERVISOR_COMM && child.group == group
        });
        children.into_iter().min_by_key(|child| child.started)
    }

    /// Sends a signal to the keeper.
    ///
    /// # Errors
    /// When it is not there.
    pub fn signal_keeper(&self, signal: i32) -> io::Result<()> {
        send(self.keeper(), signal)
    }

    /// Kills the supervisor, waits for its end, and returns its number.
    ///
    /// # Errors
    /// When there is none within [`PATIENCE`].
    pub fn kill_supervisor(&self) -> io::Result<u32> {
        let mut killed = None;
        wait_until("a supervisor to kill", || {
            killed = self.supervisor().filter(|stat| kill_and_see(stat.pid));
            killed.is_some()
        })?;
        Ok(killed.map_or(0, |stat| stat.pid))
    }

    /// Waits for the end of the keeper.
    ///
    /// # Errors
    /// When it does not end within [`PATIENCE`].
    pub fn wait(&mut self) -> io::Result<ExitStatus> {
        let mut status = None;
        let keeper = &mut self.keeper;
        wait_until("the end of the keeper", || {
            status = keeper.try_wait().ok().flatten();
            status.is_some()
        })?;
        status.ok_or_else(|| io::ErrorKind::TimedOut.into())
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if !matches!(self.keeper.try_wait(), Ok(None)) {
            return;
        }
        // The keeper is our child and not reaped, so its children are who they are; and
        // while it is stopped none of them is reaped.
        let _ = send(self.keeper(), STOP);
        let lock =
            procfs::socket_files(self.keeper()).into_iter().find(|path| path.ends_with("lock"));
        // Twice, because the supervisor may have cloned while the first list was made.
        for child in [(); 2].into_iter().flat_map(|()| self.children()) {
            let _ = send(child.pid, KILL);
        }
        let cgroup = trees::name_of(self.keeper());
        let _ = self.keeper.kill();
        let _ = self.keeper.wait();
        trees::kill_left(&cgroup);
        // Its runtime directory is nobody's any more.
        if let Some(directory) = lock.as_deref().and_then(Path::parent) {
            let _ = fs::remove_dir_all(directory);
        }
    }
}

const KILL: i32 = 9;
const STOP: i32 = 19;

/// Kills a process and waits until it has ended. False when it was not there.
fn kill_and_see(pid: u32) -> bool {
    let Ok(pidfd) = process::open(pid) else { return false };
    if !process::signal(pidfd.as_fd(), KILL).unwrap_or(false) {
        return false;
    }
    let patience = u64::try_from(PATIENCE.as_nanos()).unwrap_or(u64::MAX);
    poll::two(pidfd.as_fd(), None, Room(false), Some(patience)).first
}

/// Sends a signal to a process.
///
/// # Errors
/// When it is not there, or the signal is refused.
pub fn send(pid: u32, signal: i32) -> io::Result<()> {
    let pidfd = process::open(pid)?;
    match process::signal(pidfd.as_fd(), signal)? {
        true => Ok(()),
        false => Err(io::ErrorKind::NotFound.into()),
    }
}

/// Waits until something is so.
///
/// # Errors
/// When it is not within [`PATIENCE`], or a signal ends the self-test.
pub fn wait_until(what: &str, mut condition: impl FnMut() -> bool) -> io::Result<()> {
    let began = Instant::now();
    while !condition() {
        interruption::check()?;
        if began.elapsed() > PATIENCE {
            let text = format!("waited in vain for {what}");
            return Err(io::Error::new(io::ErrorKind::TimedOut, text));
        }
        thread::sleep(LOOK_EVERY);
    }
    Ok(())
}

/// How often one looks at what must stay so.
const WATCH_EVERY: Duration = Duration::from_millis(20);

/// Looks at something for a while: it must stay so. For what must not happen there is
/// nothing to wait for.
#[must_use]
pub fn stays(span: Duration, condition: impl Fn() -> bool) -> bool {
    let began = Instant::now();
    while began.elapsed() < span {
        if !condition() {
            return false;
        }
        thread::sleep(WATCH_EVERY);
    }
    true
}

/// Adds a line to a file in one write, so that lines of several writers stay whole.
///
/// # Errors
/// When the file cannot be written.
pub fn add_line(path: &Path, line: &str) -> io::Result<()> {
    let mut file = File::options().append(true).create(true).open(path)?;
    file.write_all(format!("{line}\n").as_bytes())
}

/// Writes a new file that can be executed at once. Another process writes it: what this one has
/// open for writing, a child that another of its threads starts meanwhile has open too until it
/// executes its program, and so long the kernel executes no such file.
///
/// # Errors
/// When it cannot be written.
pub fn write_executable(path: &Path, bytes: &[u8]) -> io::Result<()> {
    // One that is there may be open like that.
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut writer = Command::new("/bin/sh")
        .args(["-c", "cat >\"$0\" && chmod 755 \"$0\""])
        .arg(path)
        .stdin(Stdio::piped())
        .spawn()?;
    let written = writer.stdin.take().map_or(Ok(()), |mut input| input.write_all(bytes));
    let status = writer.wait()?;
    written?;
    match status.success() {
        true => Ok(()),
        false => Err(io::Error::other(format!("{} is not written: {status}", path.display()))),
    }
}

/// Copies a program to where nothing is; it can be executed at once, see [`write_executable`].
///
/// # Errors
/// When it cannot be read or written.
pub fn copy_executable(from: &Path, to: &Path) -> io::Result<()> {
    write_executable(to, &fs::read(from)?)
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    fn a_folder_that_a_killed_run_has_left_is_passed_over() {
        let first = Home::new("left").unwrap();
        let name = first.path().file_name().unwrap().to_str().unwrap();
        let (start, count) = name.rsplit_once('-').unwrap();
        // Other tests make folders meanwhile.
        let next: u32 = count.parse::<u32>().unwrap() + 1;
        let left: Vec<PathBuf> = (next..next + 100)
            .map(|count| std::env::temp_dir().join(format!("{start}-{count}")))
            .collect();
        let made: Vec<&PathBuf> = left.iter().filter(|path| fs::create_dir(path).is_ok()).collect();

        let second = Home::new("left");

        for path in made {
            fs::remove_dir(path).unwrap();
        }
        assert!(!left.iter().any(|path| path == second.as_ref().unwrap().path()));
    }

    #[test]
    fn a_port_that_is_taken_refuses_clients_and_takes_a_server_that_names_it() {
        let port = Port::take().unwrap();
        let address = (Ipv4Addr::LOCALHOST, port.number());

        let refused = TcpStream::connect(address).unwrap_err();
        // The standard library sets `SO_REUSEADDR` too.
        let server = TcpListener::bind(address).unwrap();

        assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
        TcpStream::connect(server.local_addr().unwrap()).unwrap();
    }
}
