//! What else a child does to itself before its program: its session, its place among
//! those who want the processor, its limits, and what it gives up for good.
//!
//! Like everything between birth and program these are raw system calls. What is asked
//! for here is never asked for by a plain program of Supervisor.

use std::fs;
use std::io;
use std::os::fd::BorrowedFd;
use std::time::Duration;

use crate::child::{ChildError, Step, call};
use crate::limits::{Limit, Limited};
use crate::process;

/// What a child does to itself before its program.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Setup {
    /// Whether it leads a session of its own, without a terminal.
    pub new_session: bool,
    /// How readily it leaves the processor to others: -20 to 19.
    pub nice: Option<i8>,
    /// By which rule it gets the processor.
    pub policy: Option<Policy>,
    /// The processors it may run on, a bit for each; none: all that we have.
    pub processors: Box<[u64]>,
    /// Its limits.
    pub limits: Box<[(Limited, Limit)]>,
    /// Whether it can never gain a right again, and gives up all that it has, when it
    /// becomes another user.
    pub confined: bool,
}

/// By which rule somebody gets the processor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Policy {
    /// A fair share, in slices of this length where it is given (Linux 6.12 and later).
    Other(Option<Duration>),
    /// A fair share, and never before others are through.
    Batch,
    /// What nobody else wants.
    Idle,
    /// Before all others, until it waits: 1 to 99.
    Fifo(u8),
    /// Before all others, in turn with its equals: 1 to 99.
    RoundRobin(u8),
    /// So much time in each period, before the deadline in it.
    Deadline {
        /// The time.
        runtime: Duration,
        /// Until when, from the beginning of a period.
        deadline: Duration,
        /// How long a period is.
        period: Duration,
    },
}

/// `struct sched_attr` in its first version.
#[repr(C)]
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SchedulerAttributes {
    size: u32,
    policy: u32,
    flags: u64,
    nice: i32,
    priority: u32,
    pub(crate) runtime: u64,
    deadline: u64,
    period: u64,
}

/// The header of `capset`, for ourselves, in the version with two words of each kind.
const CAPABILITY_HEADER: [u32; 2] = [0x2008_0522, 0];

/// More processors than any kernel is built for.
const PROCESSORS_MAX: u32 = 1 << 16;

/// Beyond the largest capability of any kernel.
const CAPABILITIES_MAX: usize = 64;

/// The processors of these numbers, a bit for each, as [`Setup::processors`] has them. When
/// no machine has any of them the kernel will refuse it.
#[must_use]
pub fn processors(numbers: &[u32]) -> Box<[u64]> {
    let mut words = if numbers.is_empty() { Vec::new() } else { vec![0] };
    for number in numbers.iter().filter(|number| **number < PROCESSORS_MAX) {
        let word = (number / u64::BITS) as usize;
        if words.len() <= word {
            words.resize(word + 1, 0);
        }
        words[word] |= 1 << (number % u64::BITS);
    }
    words.into()
}

impl Policy {
    pub(crate) fn attributes(self, nice: i32) -> SchedulerAttributes {
        let plain = |policy: i32, priority: u8| SchedulerAttributes {
            size: size_of::<SchedulerAttributes>() as u32,
            policy: policy.cast_unsigned(),
            priority: priority.into(),
            nice,
            ..SchedulerAttributes::default()
        };
        let nanoseconds = |time: Duration| time.as_nanos() as u64;
        match self {
            Self::Other(slice) => SchedulerAttributes {
                runtime: slice.map_or(0, nanoseconds),
                ..plain(libc::SCHED_OTHER, 0)
            },
            Self::Batch => plain(libc::SCHED_BATCH, 0),
            Self::Idle => plain(libc::SCHED_IDLE, 0),
            Self::Fifo(priority) => plain(libc::SCHED_FIFO, priority),
            Self::RoundRobin(priority) => plain(libc::SCHED_RR, priority),
            Self::Deadline { runtime, deadline, period } => SchedulerAttributes {
                runtime: nanoseconds(runtime),
                deadline: nanoseconds(deadline),
                period: nanoseconds(period),
                ..plain(libc::SCHED_DEADLINE, 0)
            },
        }
    }
}

impl Setup {
    /// What is to be done while it still has our rights.
    pub(crate) fn apply(&self) -> Result<(), ChildError> {
        self.limit(0)?;
        self.schedule(0)?;
        self.prioritise(0)?;
        self.place(0)
    }

    /// Does to a process that is there what would have been done at its birth: its limits
    /// and its place among those who want the processor. All else is for a birth only. A
    /// thread that is made meanwhile may be passed over.
    ///
    /// The kernel takes numbers only, so it is asked before each step whether `pidfd` is
    /// still the process that has the number, and nothing more is done where it has been
    /// reaped.
    ///
    /// # Errors
    /// The first step that was refused; the others are done all the same.
    pub fn change(&self, pidfd: BorrowedFd<'_>, pid: u32) -> Result<(), ChildError> {
        let is_there = || process::signal(pidfd, 0).is_ok_and(|is_there| is_there);
        let threads = fs::read_dir(format!("/proc/{pid}/task"));
        // Without a descriptor for them they are not found.
        let missed = threads.as_ref().err().and_then(io::Error::raw_os_error);
        let threads: Vec<_> = threads.into_iter().flatten().flatten().collect();
        if !is_there() {
            return Ok(());
        }
        let mut result = self.limit(pid);
        if let Some((errno, step)) = missed.zip(self.step_of_threads()) {
            result = result.and(Err(ChildError::Failed(step, errno)));
        }
        for thread in threads {
            let Some(thread) = thread.file_name().to_str().and_then(|name| name.parse().ok())
            else {
                continue;
            };
            // A thread that has ended may have left its number to another process.
            let is_its_own = || fs::exists(format!("/proc/{pid}/task/{thread}")).unwrap_or(false);
            if !is_its_own() || !is_there() {
                continue;
            }
            for done in [self.schedule(thread), self.prioritise(thread), self.place(thread)] {
                match done {
                    // It has ended just now.
                    Err(ChildError::Failed(_, libc::ESRCH)) => {}
                    done => result = result.and(done),
                }
            }
        }
        result
    }

    /// Which steps the kernel refuses us, each with its errno: ENOSYS for a slice that it
    /// passes over. They are tried on a thread that ends then: all of this is each thread's
    /// own.
    #[must_use]
    pub fn refused(&self) -> Vec<(Step, i32)> {
        let tried = || {
            let scheduled = self.schedule(0).and_then(|()| self.is_sliced());
            let all = [scheduled, self.prioritise(0), self.place(0)];
            all.into_iter().filter_map(|done| match done {
                Err(ChildError::Failed(step, errno)) => Some((step, errno)),
                _ => None,
            })
        };
        std::thread::scope(|scope| {
            let thread = std::thread::Builder::new().name("trial".into());
            let thread = thread.spawn_scoped(scope, || tried().collect());
            // What cannot be tried is found out by the child.
            thread.ok().and_then(|thread| thread.join().ok()).unwrap_or_default()
        })
    }

    /// The first step that each thread is changed by, if there is one.
    fn step_of_threads(&self) -> Option<Step> {
        let steps = [
            (self.policy.is_some(), Step::Scheduling),
            (self.nice.is_some(), Step::Priority),
            (!self.processors.is_empty(), Step::Affinity),
        ];
        steps.into_iter().find_map(|(is_asked, step)| is_asked.then_some(step))
    }

    fn limit(&self, process: u32) -> Result<(), ChildError> {
        for (what, limit) in &self.limits {
            let limit = libc::rlimit { rlim_cur: limit.soft, rlim_max: limit.hard };
            let arguments = [process as usize, what.number(), (&raw const limit).addr(), 0, 0];
            call(Step::Limits, libc::SYS_prlimit64, arguments)?;
        }
        Ok(())
    }

    fn schedule(&self, thread: u32) -> Result<(), ChildError> {
        let Some(policy) = self.policy else { return Ok(()) };
        // The kernel adds 20, so that no answer is negative.
        let (who, thread) = (libc::PRIO_PROCESS as usize, thread as usize);
        let own = call(Step::Priority, libc::SYS_getpriority, [who, thread, 0, 0, 0])?;
        let attributes = policy.attributes(20 - own as i32);
        let address = (&raw const attributes).addr();
        call(Step::Scheduling, libc::SYS_sched_setattr, [thread, address, 0, 0, 0])?;
        Ok(())
    }

    /// Whether we have the slice that was set: kernels before 6.12 pass over it.
    fn is_sliced(&self) -> Result<(), ChildError> {
        let Some(Policy::Other(Some(_))) = self.policy else { return Ok(()) };
        let mut found = SchedulerAttributes::default();
        let (address, size) = ((&raw mut found).addr(), size_of::<SchedulerAttributes>());
        call(Step::Scheduling, libc::SYS_sched_getattr, [0, address, size, 0, 0])?;
        let is_known = found.runtime != 0;
        is_known.then_some(()).ok_or(ChildError::Failed(Step::Scheduling, libc::ENOSYS))
    }

    fn prioritise(&self, thread: u32) -> Result<(), ChildError> {
        let Some(nice) = self.nice else { return Ok(()) };
        let (who, nice) = (libc::PRIO_PROCESS as usize, isize::from(nice).cast_unsigned());
        call(Step::Priority, libc::SYS_setpriority, [who, thread as usize, nice, 0, 0])?;
        Ok(())
    }

    fn place(&self, thread: u32) -> Result<(), ChildError> {
        if self.processors.is_empty() {
            return Ok(());
        }
        let (length, start) = (size_of_val(&*self.processors), self.processors.as_ptr());
        let arguments = [thread as usize, length, start.addr(), 0, 0];
        call(Step::Affinity, libc::SYS_sched_setaffinity, arguments)?;
        Ok(())
    }

    /// Gives up what a program executed later could take back, as far as we may: where
    /// we may not, nothing can be taken back either, because of the last of the steps.
    pub(crate) fn bound() {
        let drop = libc::PR_CAPBSET_DROP as usize;
        for capability in 0..CAPABILITIES_MAX {
            let arguments = [drop, capability, 0, 0, 0];
            if call(Step::Capabilities, libc::SYS_prctl, arguments).is_err() {
                return;
            }
        }
    }

    /// Gives up every right for good.
    pub(crate) fn confine() -> Result<(), ChildError> {
        let none = [0_u32; 6];
        let arguments = [CAPABILITY_HEADER.as_ptr().addr(), none.as_ptr().addr(), 0, 0, 0];
        call(Step::Capabilities, libc::SYS_capset, arguments)?;
        let arguments = [libc::PR_SET_NO_NEW_PRIVS as usize, 1, 0, 0, 0];
        call(Step::NoNewPrivileges, libc::SYS_prctl, arguments)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd as _;

    use super::*;

    #[test]
    fn processors_are_bits() {
        assert_eq!(*processors(&[]), []);
        assert_eq!(*processors(&[0, 1, 64]), [3, 1]);
        assert_eq!(*processors(&[u32::MAX]), [0]);
    }

    #[test]
    fn what_is_refused_is_found_out_without_changing_anything() {
        let nice = || {
            let stat = fs::read_to_string("/proc/thread-self/stat").unwrap();
            stat[stat.rfind(')').unwrap() + 2..].split(' ').nth(16).map(str::to_owned)
        };
        let before = nice();
        let setup = Setup { nice: Some(19), processors: processors(&[4000]), ..Setup::default() };

        assert_eq!(setup.refused(), [(Step::Affinity, libc::EINVAL)]);
        assert_eq!(nice(), before);
    }

    #[test]
    fn a_process_that_is_there_is_changed() {
        let mut child = std::process::Command::new("/bin/sleep").arg("1000").spawn().unwrap();
        let limit = Limit { soft: 77, hard: 77 };
        let limits = [(Limited::Descriptors, limit)].into();
        let setup = Setup { nice: Some(7), limits, ..Setup::default() };

        let pidfd = process::open(child.id()).unwrap();

        setup.change(pidfd.as_fd(), child.id()).unwrap();

        let of = |file: &str| fs::read_to_string(format!("/proc/{}/{file}", child.id()));
        let stat = of("stat").unwrap();
        let behind = &stat[stat.rfind(')').unwrap() + 2..];
        assert_eq!(behind.split(' ').nth(16), Some("7"), "{stat}");
        let limits = of("limits").unwrap();
        let line = limits.lines().find(|line| line.starts_with("Max open files")).unwrap();
        assert!(line.contains("77"), "{line}");
        child.kill().unwrap();
        child.wait().unwrap();
    }

    #[test]
    fn whoever_has_the_number_of_one_that_has_gone_is_left_alone() {
        let sleep = || std::process::Command::new("/bin/sleep").arg("1000").spawn().unwrap();
        let [mut gone, mut stranger] = [sleep(), sleep()];
        let pidfd = process::open(gone.id()).unwrap();
        let nice = |pid: u32| {
            let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
            stat[stat.rfind(')').unwrap() + 2..].split(' ').nth(16).map(str::to_owned)
        };
        let before = nice(stranger.id());
        let setup = Setup { nice: Some(19), ..Setup::default() };
        gone.kill().unwrap();
        gone.wait().unwrap();

        setup.change(pidfd.as_fd(), stranger.id()).unwrap();

        assert_eq!(nice(stranger.id()), before);
        stranger.kill().unwrap();
        stranger.wait().unwrap();
    }

    #[test]
    fn a_rule_is_laid_out_as_the_kernel_wants_it() {
        let milliseconds = Duration::from_millis;
        assert_eq!(size_of::<SchedulerAttributes>(), 48);

        let fair = Policy::Other(Some(milliseconds(3))).attributes(-5);
        assert_eq!((fair.policy, fair.nice, fair.runtime), (0, -5, 3_000_000));
        let first = Policy::Fifo(50).attributes(0);
        assert_eq!((first.policy, first.priority), (1, 50));
        let (runtime, deadline, period) = (milliseconds(1), milliseconds(5), milliseconds(10));
        let timed = Policy::Deadline { runtime, deadline, period }.attributes(0);
        assert_eq!((timed.policy, timed.deadline, timed.period), (6, 5_000_000, 10_000_000));
    }
}
