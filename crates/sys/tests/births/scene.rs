//! A spawner in a process of its own, and what its programs say.

use std::fs::File;
use std::io::Read as _;
use std::os::fd::{AsFd as _, OwnedFd};
use std::process::Command;
use std::sync::Arc;

use bardo_sys::memory::SharedMemory;
use bardo_sys::plan::{Environment, Plan, Strings};
use bardo_sys::poll;
use bardo_sys::spawn::{BIRTH_WORDS, Born, Extras, Settled, Spawner};
use rustix::pipe::{PipeFlags, pipe_with};

/// Room for the births of a spawner.
const WORDS: usize = BIRTH_WORDS.next_multiple_of(1024);

/// Runs one of the tests that are run in no other way, in a process of its own.
pub(crate) fn alone(test: &str) {
    let output = alone_after(test, |_| {});
    assert!(output.0, "{}", output.1);
}

/// The same, with something done to the process before. True when the test has passed.
pub(crate) fn alone_after(test: &str, prepare: impl FnOnce(&mut Command)) -> (bool, String) {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", test, "--ignored", "--nocapture"]);
    prepare(&mut command);
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let why = String::from_utf8_lossy(&output.stderr);
    (output.status.success() && said.contains("1 passed"), format!("{said}{why}"))
}

pub(crate) struct Scene {
    pub(crate) spawner: Spawner,
}

impl Scene {
    pub(crate) fn new() -> Self {
        let memory = SharedMemory::anonymous("test").unwrap();
        let memory = Arc::new(SharedMemory::map(memory, WORDS).unwrap());
        Self { spawner: Spawner::new(memory, 0..BIRTH_WORDS, None).unwrap() }
    }

    /// Takes all slots whose children share our table: who is not settled keeps one.
    pub(crate) fn fill(&mut self) {
        while self.spawner.room() == bardo_sys::spawn::Room::Fast {
            self.run(shell("exit 0"), &Extras::default());
        }
    }

    /// What a program writes until it ends.
    pub(crate) fn run(&mut self, plan: Plan, extras: &Extras<'_>) -> String {
        let (read, write) = pipe_with(PipeFlags::CLOEXEC).unwrap();
        let null = File::open("/dev/null").unwrap();
        let files = [null.as_fd(), write.as_fd(), write.as_fd()];
        let born = self.spawner.spawn(7, Arc::new(plan), files, extras).unwrap();
        drop(write);
        wait(&born);
        // The slot has another name of the pipe, so its end never comes.
        rustix::io::ioctl_fionbio(&read, true).unwrap();
        said(read)
    }

    /// Why a program that is not executed was not.
    pub(crate) fn fail(&mut self, plan: Plan, extras: &Extras<'_>) -> Settled {
        self.run(plan, extras);
        let mut settled = Vec::new();
        self.spawner.settle(&mut settled);
        settled.pop().unwrap()
    }
}

fn wait(born: &Born) {
    let over = poll::many(born.pidfd.as_fd(), [], None);
    assert!(over.0, "the process has ended");
}

/// What is in a pipe now.
pub(crate) fn said(pipe: OwnedFd) -> String {
    let (mut file, mut bytes) = (File::from(pipe), Vec::new());
    let _ = file.read_to_end(&mut bytes);
    String::from_utf8(bytes).unwrap()
}

pub(crate) fn strings(words: &[&str]) -> Strings {
    Strings::new(words.iter().map(|word| word.as_bytes())).unwrap()
}

/// What a shell does.
pub(crate) fn shell(words: &str) -> Plan {
    Plan {
        words: strings(&["/bin/sh", "-c", words]),
        base: Arc::new(Environment { variables: strings(&["PATH=/bin:/usr/bin", "A=base"]) }),
        ..Plan::default()
    }
}

/// Refuses `clone3` to a process, as containers do whose filters are older than it.
pub(crate) fn refuse_clone3(command: &mut Command) {
    use std::os::unix::process::CommandExt as _;
    let filter = || {
        let statement =
            |code: u32, k: u32| libc::sock_filter { code: code as u16, jt: 0, jf: 0, k };
        let answer = |k| statement(libc::BPF_RET | libc::BPF_K, k);
        let number = u32::try_from(libc::SYS_clone3).unwrap_or(0);
        let mut filter = [
            statement(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0),
            libc::sock_filter {
                jf: 1,
                ..statement(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, number)
            },
            answer(libc::SECCOMP_RET_ERRNO | libc::ENOSYS.cast_unsigned()),
            answer(libc::SECCOMP_RET_ALLOW),
        ];
        let program = libc::sock_fprog { len: 4, filter: filter.as_mut_ptr() };
        // SAFETY: the program is valid, and read before the call returns.
        let result = unsafe {
            libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
            libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const program)
        };
        if result == 0 { Ok(()) } else { Err(std::io::Error::last_os_error()) }
    };
    // SAFETY: only system calls are made, on the stack.
    unsafe { command.pre_exec(filter) };
}
