//! The child between its birth and its program.
//!
//! It runs in its parent's memory, with its parent's thread-local storage, on the
//! stack of a slot: raw system calls only, no allocation, nothing of the C library.
//! What it needs was laid out before it was born.

use std::ffi::{CStr, c_char};
use std::ptr;
use std::sync::atomic::Ordering;

use crate::plan::Plan;
use crate::raw::syscall;
use crate::spawn::{FIRST_FREE_FD, Job, PATH_BYTES};

/// What a child does between its birth and its program, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u16)]
pub enum Step {
    /// Take its own copy of the descriptor table, and put 0, 1 and 2 in place.
    Descriptors = 1,
    /// Lead a process group of its own.
    ProcessGroup,
    /// Take back the limit on descriptors.
    Limits,
    /// Set the supplementary groups.
    Groups,
    /// Set the group.
    Gid,
    /// Set the user.
    Uid,
    /// Change to its directory.
    Directory,
    /// Execute its program.
    Exec,
}

/// Which entry of the search path a file was found at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PathEntry(
    /// Counted from zero; `None` where nothing was searched, or the path is so long that
    /// it cannot be said.
    pub Option<u16>,
);

impl PathEntry {
    /// Twelve bits are left beside the kind of an error. All of them say that it is none.
    const NONE: u32 = 0xfff;

    fn to_bits(self) -> u32 {
        self.0.map_or(Self::NONE, |entry| u32::from(entry).min(Self::NONE)) << 4
    }

    fn from_bits(word: u32) -> Self {
        let entry = word >> 4 & Self::NONE;
        Self((entry != Self::NONE).then_some(entry as u16))
    }
}

/// Why a child has not become its program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChildError {
    /// There is no such file.
    NotFound,
    /// The file is a directory.
    IsDirectory(PathEntry),
    /// Nobody may execute the file.
    NotExecutable(PathEntry),
    /// Somebody may execute the file, but not we.
    NotPermitted(PathEntry),
    /// A step failed with this errno.
    Failed(Step, i32),
}

impl ChildError {
    pub(crate) fn to_word(self) -> u32 {
        match self {
            Self::NotFound => 1,
            Self::IsDirectory(entry) => 2 | entry.to_bits(),
            Self::NotExecutable(entry) => 3 | entry.to_bits(),
            Self::NotPermitted(entry) => 4 | entry.to_bits(),
            Self::Failed(step, errno) => (step as u32) << 16 | (errno as u32 & 0xffff),
        }
    }

    pub(crate) fn from_word(word: u32) -> Option<Self> {
        let step = match word >> 16 {
            0 => {
                let entry = PathEntry::from_bits(word);
                return match word & 0xf {
                    1 => Some(Self::NotFound),
                    2 => Some(Self::IsDirectory(entry)),
                    3 => Some(Self::NotExecutable(entry)),
                    4 => Some(Self::NotPermitted(entry)),
                    _ => None,
                };
            }
            1 => Step::Descriptors,
            2 => Step::ProcessGroup,
            3 => Step::Limits,
            4 => Step::Groups,
            5 => Step::Gid,
            6 => Step::Uid,
            7 => Step::Directory,
            _ => Step::Exec,
        };
        Some(Self::Failed(step, i32::from((word & 0xffff) as u16)))
    }
}

/// What the kernel takes as "ignore this signal": a handler that is no address, no
/// flags, no restorer, no mask. A process born with `CLONE_VM` has actions of its own.
const IGNORE: &[u64; 4] = &[libc::SIG_IGN as u64, 0, 0, 0];

/// Makes a system call and names the step when it fails.
macro_rules! step {
    ($step:expr, $number:expr, $($argument:expr),*) => {{
        let mut arguments = [0_usize; 5];
        let given = [$($argument),*];
        arguments[..given.len()].copy_from_slice(&given);
        // SAFETY: every pointer among the arguments comes from the plan or the
        // slot, closed by NUL or of the stated length, and outlives the call.
        let result = unsafe { syscall($number, arguments) };
        if result < 0 {
            return ChildError::Failed($step, -(result as i32));
        }
        result
    }};
}

/// The steps in their order; returns only when one of them fails.
pub(crate) fn become_program(job: &Job) -> ChildError {
    let Some(plan) = &job.plan else {
        return ChildError::Failed(Step::Exec, libc::EINVAL);
    };
    let everything = u32::MAX as usize;
    let pid = step!(Step::ProcessGroup, libc::SYS_getpid, 0);
    // SAFETY: the cell lies in shared memory that stays mapped in this address
    // space for as long as it exists.
    unsafe { (*job.cell).store(pid as u64, Ordering::Release) };
    if job.shares_table {
        let unshare = libc::CLOSE_RANGE_UNSHARE as usize;
        step!(
            Step::Descriptors,
            libc::SYS_close_range,
            FIRST_FREE_FD as usize,
            everything,
            unshare
        );
    }
    step!(Step::ProcessGroup, libc::SYS_setpgid, 0, 0);
    for (number, file) in job.files.iter().enumerate() {
        step!(Step::Descriptors, libc::SYS_dup3, *file as usize, number, 0);
    }
    if job.closes_ranges {
        step!(Step::Descriptors, libc::SYS_close_range, 3, everything, 0);
    }
    if let Some(limit) = &job.limit {
        let limit: *const libc::rlimit = limit;
        let resource = libc::RLIMIT_NOFILE as usize;
        step!(Step::Limits, libc::SYS_prlimit64, 0, resource, limit.addr(), 0);
    }
    if let Some(identity) = &plan.identity {
        let groups = identity.groups.as_ptr().addr();
        step!(Step::Groups, libc::SYS_setgroups, identity.groups.len(), groups);
        step!(Step::Gid, libc::SYS_setgid, identity.gid as usize);
        step!(Step::Uid, libc::SYS_setuid, identity.uid as usize);
    }
    if let Some(directory) = plan.directory.iter().next() {
        step!(Step::Directory, libc::SYS_chdir, directory.as_ptr().addr());
    }
    if let Some(umask) = plan.umask {
        step!(Step::Directory, libc::SYS_umask, umask as usize);
    }
    if plan.ignore_sigpipe {
        let ignore = IGNORE.as_ptr().addr();
        for signal in [libc::SIGPIPE, libc::SIGXFSZ] {
            step!(Step::Exec, libc::SYS_rt_sigaction, signal as usize, ignore, 0, 8);
        }
    }
    let none = 0_u64;
    let none: *const u64 = &raw const none;
    let how = libc::SIG_SETMASK as usize;
    step!(Step::Exec, libc::SYS_rt_sigprocmask, how, none.addr(), 0, 8);
    execute(job, plan)
}

/// Executes the program under its own name, or along the search path. Unlike
/// Supervisor, which ends its search at the first file of that name, it passes
/// over directories and files that cannot be executed, as a shell does.
fn execute(job: &Job, plan: &Plan) -> ChildError {
    let Some(name) = job.argv.first().copied().filter(|name| !name.is_null()) else {
        return ChildError::Failed(Step::Exec, libc::EINVAL);
    };
    // SAFETY: every word of the plan is closed by a NUL.
    let name_bytes = unsafe { CStr::from_ptr(name) }.to_bytes();
    if name_bytes.contains(&b'/') || job.search.is_null() {
        return try_execute(job, plan, name, PathEntry(None));
    }
    // SAFETY: the search path is closed by a NUL.
    let search = unsafe { CStr::from_ptr(job.search) }.to_bytes();
    let mut found = ChildError::NotFound;
    for (number, directory) in search.split(|byte| *byte == b':').enumerate() {
        let directory = if directory.is_empty() { b".".as_slice() } else { directory };
        let length = directory.len() + 1 + name_bytes.len() + 1;
        if length > PATH_BYTES {
            continue;
        }
        let path = job.path;
        // SAFETY: the parts fit, as was just checked; nobody else uses the buffer
        // while the child is on its way.
        unsafe {
            ptr::copy_nonoverlapping(directory.as_ptr(), path, directory.len());
            path.add(directory.len()).write(b'/');
            let rest = path.add(directory.len() + 1);
            ptr::copy_nonoverlapping(name_bytes.as_ptr(), rest, name_bytes.len());
            rest.add(name_bytes.len()).write(0);
        }
        let entry = PathEntry(u16::try_from(number).ok());
        match try_execute(job, plan, path.cast::<c_char>().cast_const(), entry) {
            ChildError::NotFound => {}
            error @ (ChildError::IsDirectory(_)
            | ChildError::NotExecutable(_)
            | ChildError::NotPermitted(_)) => {
                if found == ChildError::NotFound {
                    found = error;
                }
            }
            error @ ChildError::Failed(..) => return error,
        }
    }
    found
}

/// Executes one file, and says why it could not be.
fn try_execute(job: &Job, plan: &Plan, path: *const c_char, entry: PathEntry) -> ChildError {
    let pointers = [path.addr(), job.argv.as_ptr().addr(), job.envp.as_ptr().addr(), 0, 0];
    // SAFETY: the path is closed by a NUL, both arrays by a null pointer.
    let errno = -(unsafe { syscall(libc::SYS_execve, pointers) } as i32);
    let mut status = std::mem::MaybeUninit::<libc::stat>::uninit();
    let here = libc::AT_FDCWD as usize;
    let arguments = [here, path.addr(), status.as_mut_ptr().addr(), 0, 0];
    // SAFETY: the path is closed by a NUL, and `status` has room for the answer.
    let looked = unsafe { syscall(libc::SYS_newfstatat, arguments) };
    if looked < 0 {
        return match -(looked as i32) {
            libc::ENOENT | libc::ENOTDIR => ChildError::NotFound,
            libc::EACCES if plan.identity.is_none() => ChildError::NotPermitted(entry),
            _ => ChildError::Failed(Step::Exec, errno),
        };
    }
    // SAFETY: the kernel has filled it in.
    let mode = unsafe { status.assume_init() }.st_mode;
    if mode & libc::S_IFMT == libc::S_IFDIR {
        ChildError::IsDirectory(entry)
    } else if mode & 0o111 == 0 {
        ChildError::NotExecutable(entry)
    } else if errno == libc::EACCES && plan.identity.is_none() {
        ChildError::NotPermitted(entry)
    } else {
        ChildError::Failed(Step::Exec, errno)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_the_same_behind_its_word() {
        let entries = [None, Some(0), Some(7), Some(0xffe)].map(PathEntry);
        let kinds = [ChildError::IsDirectory, ChildError::NotExecutable, ChildError::NotPermitted];
        let found = kinds.iter().flat_map(|kind| entries.map(kind));
        let others = [ChildError::NotFound, ChildError::Failed(Step::Exec, libc::ENOEXEC)];

        for error in found.chain(others) {
            assert_eq!(ChildError::from_word(error.to_word()), Some(error));
        }
        let beyond = ChildError::IsDirectory(PathEntry(Some(5000)));
        let unsaid = ChildError::IsDirectory(PathEntry(None));
        assert_eq!(ChildError::from_word(beyond.to_word()), Some(unsaid));
        assert_eq!(ChildError::from_word(0), None);
    }
}
