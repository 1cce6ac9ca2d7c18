//! Filters of older containers refuse calls that are newer than they are. Programs start
//! and get their signals all the same.
//!
//! A filter cannot be taken off again, so a process of its own is put behind it: this
//! program once more, with one test that is run in no other way.

#![expect(clippy::unwrap_used, reason = "all of this is a test, its helpers too")]

use std::io::{self, Read as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::process::CommandExt as _;
use std::process::Command;
use std::sync::Arc;

use bardo_sys::memory::SharedMemory;
use bardo_sys::plan::{Environment, Plan, Strings};
use bardo_sys::poll;
use bardo_sys::spawn::{BIRTH_WORDS, Extras, Spawner};
use bardo_sys::{probe, process};
use rustix::pipe::{PipeFlags, pipe_with};

/// What is refused: calls that came with Linux 5.1 and later.
const REFUSED: [libc::c_long; 2] = [libc::SYS_close_range, libc::SYS_pidfd_send_signal];

/// The variable that tells the helper which error is expected.
const ERRNO: &str = "BARDO_TEST_ERRNO";

/// Room for the births of a spawner.
const WORDS: usize = BIRTH_WORDS.next_multiple_of(1024);

/// Puts this process and all it starts behind the filter.
fn refuse(errno: i32) -> io::Result<()> {
    let statement = |code: u32, k: u32| libc::sock_filter { code: code as u16, jt: 0, jf: 0, k };
    let load = libc::BPF_LD | libc::BPF_W | libc::BPF_ABS;
    let equals = |number: libc::c_long, ahead: usize| libc::sock_filter {
        code: (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16,
        jt: u8::try_from(ahead).unwrap_or(0),
        jf: 0,
        k: number as u32,
    };
    let answer = |k| statement(libc::BPF_RET | libc::BPF_K, k);
    let mut filter = [
        statement(load, 0),
        equals(REFUSED[0], 2),
        equals(REFUSED[1], 1),
        answer(libc::SECCOMP_RET_ALLOW),
        answer(libc::SECCOMP_RET_ERRNO | errno.cast_unsigned()),
    ];
    let program = libc::sock_fprog { len: 5, filter: filter.as_mut_ptr() };
    // SAFETY: the program is valid, and read before the call returns.
    let result = unsafe {
        libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
        libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const program)
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

#[test]
fn programs_start_and_get_signals_where_newer_calls_are_refused() {
    for errno in [libc::ENOSYS, libc::EPERM] {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "helper_behind_the_filter", "--ignored", "--nocapture"]);
        command.env(ERRNO, errno.to_string());
        // SAFETY: only system calls are made, on the stack.
        unsafe { command.pre_exec(move || refuse(errno)) };

        let output = command.output().unwrap();

        let said = String::from_utf8_lossy(&output.stdout);
        let why = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && said.contains("1 passed"), "{said}{why}");
    }
}

#[test]
#[ignore = "it is run by the test above, behind a filter"]
fn helper_behind_the_filter() {
    let errno: i32 = std::env::var(ERRNO).unwrap().parse().unwrap();
    for tried in [probe::close_range_unshare(), probe::pidfd_send_signal()] {
        assert_eq!(tried.unwrap_err().raw_os_error(), Some(errno));
    }
    // Somebody has left this open for programs.
    let left = rustix::io::fcntl_dupfd_cloexec(io::stderr(), 100).unwrap();
    rustix::io::fcntl_setfd(&left, rustix::io::FdFlags::empty()).unwrap();
    let memory = SharedMemory::anonymous("test").unwrap();
    let memory = Arc::new(SharedMemory::map(memory, WORDS).unwrap());
    let mut spawner = Spawner::new(memory, 0..BIRTH_WORDS, None).unwrap();
    let (read, write) = pipe_with(PipeFlags::CLOEXEC).unwrap();
    let words = "echo /proc/$$/fd/*; exec sleep 1000";
    let files = [read.as_fd(), write.as_fd(), write.as_fd()];

    let born =
        spawner.spawn(7, plan(&["/bin/sh", "-c", words]), files, &Extras::default()).unwrap();

    drop(write);
    // A birth that has failed says nothing, and keeps its slot's name of the pipe.
    let (has_said, _) = poll::many(read.as_fd(), [Some(born.pidfd.as_fd())], None);
    assert!(has_said, "the program was not executed");
    let said = line(&read);
    assert!(process::signal(born.pidfd.as_fd(), libc::SIGKILL).unwrap());
    let over = poll::many(born.pidfd.as_fd(), [], None);
    assert!(over.0, "the process has ended");
    let numbers: Vec<&str> =
        said.split_whitespace().filter_map(|at| at.rsplit('/').next()).collect();
    // A shell may read its own directory through 3.
    assert!(["0 1 2", "0 1 2 3"].contains(&numbers.join(" ").as_str()), "{said}");
    let mut settled = Vec::new();
    spawner.settle(&mut settled);
    assert!(settled.iter().all(|settled| settled.error.is_none()), "{settled:?}");
}

fn line(pipe: &OwnedFd) -> String {
    let mut file = std::fs::File::from(pipe.try_clone().unwrap());
    let (mut said, mut byte) = (Vec::new(), [0]);
    while file.read(&mut byte).unwrap() == 1 && byte != [b'\n'] {
        said.push(byte[0]);
    }
    String::from_utf8(said).unwrap()
}

fn plan(words: &[&str]) -> Arc<Plan> {
    let strings = |words: &[&str]| Strings::new(words.iter().map(|word| word.as_bytes())).unwrap();
    Arc::new(Plan {
        words: strings(words),
        base: Arc::new(Environment { variables: strings(&["PATH=/bin:/usr/bin"]) }),
        ..Plan::default()
    })
}
