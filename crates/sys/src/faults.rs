//! Faults of the environment, made to happen: for tests, behind the feature `faults`.
//!
//! A [`Gate`] stands between a process with all it starts and the kernel. Before each
//! system call of a few kinds the kernel asks the gate, and the gate lets it go on or
//! answers with an error, as the test wills at that moment. [`mounts`] gives a process
//! file systems that nobody else sees, and [`clock`] a wall clock that can be stepped.
//!
//! What surprises a newcomer: a filter cannot be taken off again. A gate therefore lives
//! until the last process behind it has ended, and lets everything pass once nobody has
//! hold of it.

pub mod clock;
pub mod mounts;

use std::io;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use crate::channel::{Channel, Wait};
use crate::poll::{self, Room};

/// A kind of system call that a gate can refuse.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Call {
    /// Making a pipe.
    Pipe,
    /// Making a process or a thread.
    Clone,
    /// Making anonymous memory with a descriptor.
    Memory,
    /// Opening a file.
    Open,
    /// Taking a client's connection.
    Accept,
    /// Making a directory.
    Directory,
    /// Giving a socket its name.
    Bind,
    /// Opening a process by its number.
    Process,
}

impl Call {
    /// The numbers under which the kernel knows it.
    fn numbers(self) -> &'static [libc::c_long] {
        match self {
            Self::Pipe => &[libc::SYS_pipe2],
            Self::Clone => &[libc::SYS_clone, libc::SYS_clone3],
            Self::Memory => &[libc::SYS_memfd_create],
            Self::Open => &[libc::SYS_openat],
            Self::Accept => &[libc::SYS_accept4],
            Self::Directory => MAKE_DIRECTORY,
            Self::Bind => &[libc::SYS_bind],
            Self::Process => &[libc::SYS_pidfd_open],
        }
    }
}

#[cfg(target_arch = "x86_64")]
const MAKE_DIRECTORY: &[libc::c_long] = &[libc::SYS_mkdir, libc::SYS_mkdirat];
#[cfg(not(target_arch = "x86_64"))]
const MAKE_DIRECTORY: &[libc::c_long] = &[libc::SYS_mkdirat];

/// The architecture that a filter is for, as the kernel names it; calls of another one
/// pass.
#[cfg(target_arch = "x86_64")]
const ARCHITECTURE: u32 = 0xc000_003e;
#[cfg(target_arch = "aarch64")]
const ARCHITECTURE: u32 = 0xc000_00b7;

/// Most instructions of a filter: the kinds of calls with all their numbers, and a few.
const INSTRUCTIONS_MAX: usize = 32;

/// `_IOWR('!', 0, struct seccomp_notif)` and `_IOWR('!', 1, struct seccomp_notif_resp)`.
const RECEIVE: u64 = request(0, size_of::<libc::seccomp_notif>());
const ANSWER: u64 = request(1, size_of::<libc::seccomp_notif_resp>());

const fn request(number: u64, size: usize) -> u64 {
    3 << 30 | (size as u64) << 16 | (b'!' as u64) << 8 | number
}

/// What is refused, to whom, and with which error.
#[derive(Debug, Clone, Copy)]
struct Refusal {
    /// `None` for everybody.
    process: Option<u32>,
    call: Call,
    errno: i32,
}

#[derive(Debug, Default)]
struct State {
    refusals: Mutex<Vec<Refusal>>,
    refused: AtomicU64,
}

/// The other side of a filter that was put before a command: see [`Gate::before`].
#[derive(Debug)]
pub struct Unopened {
    channel: Channel,
    calls: Vec<Call>,
    gate: Gate,
}

/// Decides about system calls of the processes behind it.
#[derive(Debug)]
pub struct Gate {
    state: Arc<State>,
}

impl Gate {
    /// Sees to it that all that `command` becomes and starts is behind a gate for these
    /// calls. Without the right to filter others, processes behind it cannot gain rights
    /// by executing a program, either.
    ///
    /// # Errors
    /// What making a socket says. That there is no such filter here is an error of the
    /// command's start.
    pub fn before(command: &mut Command, calls: &[Call]) -> io::Result<Unopened> {
        let (ours, theirs) = Channel::pair()?;
        let filter = Filter::new(calls);
        let install = move || {
            let listener = filter.install()?;
            theirs.send(b"gate", &[listener.as_fd()], Wait::No)
        };
        // SAFETY: between the fork and the program only system calls are made, on memory
        // that was laid out before.
        unsafe { command.pre_exec(install) };
        let gate = Gate { state: Arc::default() };
        Ok(Unopened { channel: ours, calls: calls.to_vec(), gate })
    }

    fn start(self, listener: OwnedFd, calls: Vec<Call>) -> io::Result<Self> {
        let shared = Arc::clone(&self.state);
        let name = "gate".to_owned();
        thread::Builder::new().name(name).spawn(move || keep(&listener, &calls, &shared))?;
        Ok(self)
    }

    /// From now on this process is refused such calls, with this error.
    pub fn refuse(&self, process: u32, call: Call, errno: i32) {
        self.add(Refusal { process: Some(process), call, errno });
    }

    /// From now on everybody is refused such calls, with this error.
    pub fn refuse_everybody(&self, call: Call, errno: i32) {
        self.add(Refusal { process: None, call, errno });
    }

    fn add(&self, refusal: Refusal) {
        self.state.refusals.lock().unwrap_or_else(PoisonError::into_inner).push(refusal);
    }

    /// From now on everything is let through.
    pub fn let_pass(&self) {
        self.state.refusals.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// How many calls were refused so far.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.state.refused.load(Ordering::SeqCst)
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.let_pass();
    }
}

impl Unopened {
    /// Takes the gate in hand once the command was started. Whoever is behind it waits
    /// until then.
    ///
    /// # Errors
    /// When there was no start, or no thread can be had.
    pub fn open(self) -> io::Result<Gate> {
        let mut listener = None;
        self.channel.receive(&mut [0; 8], Wait::No, |descriptor| listener = Some(descriptor))?;
        self.gate.start(listener.ok_or(io::ErrorKind::NotFound)?, self.calls)
    }

    /// What it will refuse from the first call on: see [`Gate::refuse`].
    pub fn refuse(&self, process: u32, call: Call, errno: i32) {
        self.gate.refuse(process, call, errno);
    }
}

/// Answers until nobody is behind the gate any more.
fn keep(listener: &OwnedFd, calls: &[Call], state: &State) {
    loop {
        let _ = poll::two(listener.as_fd(), None, Room(false), None);
        // SAFETY: all zeroes are a valid value, and what the kernel asks for.
        let mut asked: libc::seccomp_notif = unsafe { std::mem::zeroed() };
        let asked_for: *mut libc::seccomp_notif = &raw mut asked;
        match ask(listener, RECEIVE, asked_for.cast()) {
            Ok(()) => {}
            // The asker was killed, or interrupted and will ask again.
            Err(libc::ENOENT | libc::EINTR) if !is_deserted(listener) => continue,
            Err(_) => return,
        }
        let errno = verdict(&asked, calls, state);
        let go_on = libc::SECCOMP_USER_NOTIF_FLAG_CONTINUE as u32;
        let mut answer = libc::seccomp_notif_resp {
            id: asked.id,
            val: 0,
            error: errno.map_or(0, |errno| -errno),
            flags: if errno.is_some() { 0 } else { go_on },
        };
        let answer: *mut libc::seccomp_notif_resp = &raw mut answer;
        // An asker that was killed meanwhile needs no answer.
        let answered = ask(listener, ANSWER, answer.cast()).is_ok();
        if answered && errno.is_some() {
            state.refused.fetch_add(1, Ordering::SeqCst);
        }
    }
}

/// Whether the last process behind the gate has ended.
fn is_deserted(listener: &OwnedFd) -> bool {
    let mut waited = libc::pollfd { fd: listener.as_raw_fd(), events: libc::POLLIN, revents: 0 };
    // SAFETY: one valid entry, and no time to wait.
    unsafe { libc::poll(&raw mut waited, 1, 0) };
    waited.revents & libc::POLLHUP != 0
}

/// The error for a call, or `None` where it goes on.
fn verdict(asked: &libc::seccomp_notif, calls: &[Call], state: &State) -> Option<i32> {
    let number = libc::c_long::from(asked.data.nr);
    let call = calls.iter().find(|call| call.numbers().contains(&number))?;
    let refusals = state.refusals.lock().unwrap_or_else(PoisonError::into_inner);
    if refusals.is_empty() {
        return None;
    }
    let process = process_of(asked.pid)?;
    let is_meant = |given: &&Refusal| given.process.is_none_or(|one| one == process);
    let refusal = refusals.iter().find(|given| given.call == *call && is_meant(given));
    refusal.map(|refusal| refusal.errno)
}

/// The process to which a thread belongs. It waits for an answer, so it is there.
fn process_of(thread: u32) -> Option<u32> {
    let text = std::fs::read_to_string(format!("/proc/{thread}/status")).ok()?;
    text.lines().find_map(|line| line.strip_prefix("Tgid:"))?.trim().parse().ok()
}

fn ask(listener: &OwnedFd, request: u64, about: *mut libc::c_void) -> Result<(), i32> {
    // SAFETY: the request's structure is what `about` points to, and it outlives the call.
    let result = unsafe { libc::ioctl(listener.as_raw_fd(), request as libc::Ioctl, about) };
    if result < 0 {
        return Err(io::Error::last_os_error().raw_os_error().unwrap_or(0));
    }
    Ok(())
}

/// A program for the kernel that asks the gate about some calls and lets all others pass.
#[derive(Debug)]
struct Filter {
    instructions: Vec<libc::sock_filter>,
}

impl Filter {
    fn new(calls: &[Call]) -> Self {
        let numbers: Vec<u32> = calls
            .iter()
            .flat_map(|call| call.numbers())
            .filter_map(|number| u32::try_from(*number).ok())
            .collect();
        let load = (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16;
        let equal = (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16;
        let answer = (libc::BPF_RET | libc::BPF_K) as u16;
        let step = |code, k| libc::sock_filter { code, jt: 0, jf: 0, k };
        // The structure begins with the call's number; its architecture comes next. The
        // last two instructions are the two answers.
        let mut instructions = vec![step(load, 4), step(equal, ARCHITECTURE), step(load, 0)];
        instructions.extend(numbers.iter().map(|number| step(equal, *number)));
        let allow = instructions.len();
        instructions.push(step(answer, libc::SECCOMP_RET_ALLOW));
        instructions.push(step(answer, libc::SECCOMP_RET_USER_NOTIF));
        assert!(instructions.len() <= INSTRUCTIONS_MAX, "jumps are short");
        let distance = |from: usize, to: usize| (to - from - 1) as u8;
        instructions[1].jf = distance(1, allow);
        for (place, instruction) in instructions.iter_mut().enumerate().take(allow).skip(3) {
            instruction.jt = distance(place, allow + 1);
        }
        Self { instructions }
    }

    /// Puts it before the calling thread and all that come of it. Allocates nothing.
    fn install(&self) -> io::Result<OwnedFd> {
        match self.try_install() {
            Err(error) if error.raw_os_error() == Some(libc::EACCES) => {
                // SAFETY: plain numbers.
                unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) };
                self.try_install()
            }
            other => other,
        }
    }

    fn try_install(&self) -> io::Result<OwnedFd> {
        let program = libc::sock_fprog {
            len: self.instructions.len() as u16,
            filter: self.instructions.as_ptr().cast_mut(),
        };
        // SAFETY: the program is `len` instructions long and only read.
        let result = unsafe {
            libc::syscall(
                libc::SYS_seccomp,
                libc::SECCOMP_SET_MODE_FILTER,
                libc::SECCOMP_FILTER_FLAG_NEW_LISTENER,
                &raw const program,
            )
        };
        if result < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the kernel has just made it for us.
        Ok(unsafe { OwnedFd::from_raw_fd(result as RawFd) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_refused_for_as_long_as_the_test_wills() {
        let filter = Filter::new(&[Call::Pipe, Call::Memory]);
        let (give, take) = std::sync::mpsc::channel();
        let (go, wait) = std::sync::mpsc::channel();
        // A filter is its thread's own.
        let behind = thread::spawn(move || {
            give.send(filter.install()).unwrap();
            let pipe = || crate::pipe::pipe().map_err(|error| error.raw_os_error());
            let memory = || crate::memory::SharedMemory::anonymous("gate");
            wait.recv().ok()?;
            let first = (pipe().err(), memory().is_ok());
            wait.recv().ok()?;
            Some((first, pipe().is_ok()))
        });
        let listener = match take.recv().unwrap() {
            Ok(listener) => listener,
            Err(error) => return eprintln!("skipped: there is no such filter here: {error}"),
        };
        let gate = Gate { state: Arc::default() };
        let gate = gate.start(listener, vec![Call::Pipe, Call::Memory]).unwrap();

        gate.refuse(std::process::id(), Call::Pipe, libc::ENFILE);
        go.send(()).unwrap();
        until(|| gate.refused() == 1);
        gate.let_pass();
        go.send(()).unwrap();

        let seen = behind.join().unwrap();
        assert_eq!(seen, Some(((Some(Some(libc::ENFILE)), true), true)));
    }

    fn until(condition: impl Fn() -> bool) {
        while !condition() {
            thread::yield_now();
        }
    }

    #[test]
    fn an_unknown_process_is_let_through() {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", "/bin/true & wait $!"]);
        let gate = Gate::before(&mut command, &[Call::Clone]).unwrap();
        let mut shell = match command.spawn() {
            Ok(shell) => shell,
            Err(error) => return eprintln!("skipped: there is no such filter here: {error}"),
        };
        let gate = gate.open().unwrap();
        gate.refuse(u32::MAX, Call::Clone, libc::EAGAIN);

        assert!(shell.wait().unwrap().success());
        assert_eq!(gate.refused(), 0);
    }
}
