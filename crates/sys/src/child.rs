//! The child between its birth and its program.
//!
//! It runs in its parent's memory, with its parent's thread-local storage, on the
//! stack of a slot: raw system calls only, no allocation, nothing of the C library.
//! What it needs was laid out before it was born.

use std::ffi::{CStr, c_char};
use std::os::fd::RawFd;
use std::ptr;
use std::sync::atomic::Ordering;

use crate::plan::{Identity, Plan};
use crate::raw::syscall;
use crate::setup::Setup;
use crate::slot::Job;
use crate::spawn::PATH_BYTES;

/// What a child does between its birth and its program. The numbers stand in memory that
/// a successor of another version may read, so they stay what they are.
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
    /// Join its cgroup.
    Cgroup,
    /// Lead a session of its own.
    Session,
    /// Set its nice value.
    Priority,
    /// Set by which rule it gets the processor.
    Scheduling,
    /// Set the processors it may run on.
    Affinity,
    /// Give up its capabilities.
    Capabilities,
    /// Give up gaining rights by what it executes.
    NoNewPrivileges,
}

impl Step {
    /// All of them. A number in a birth cell is one more than the place here.
    const ALL: [Self; 15] = [
        Self::Descriptors,
        Self::ProcessGroup,
        Self::Limits,
        Self::Groups,
        Self::Gid,
        Self::Uid,
        Self::Directory,
        Self::Exec,
        Self::Cgroup,
        Self::Session,
        Self::Priority,
        Self::Scheduling,
        Self::Affinity,
        Self::Capabilities,
        Self::NoNewPrivileges,
    ];
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
        let Some(place) = (word >> 16).checked_sub(1) else {
            let entry = PathEntry::from_bits(word);
            return match word & 0xf {
                1 => Some(Self::NotFound),
                2 => Some(Self::IsDirectory(entry)),
                3 => Some(Self::NotExecutable(entry)),
                4 => Some(Self::NotPermitted(entry)),
                _ => None,
            };
        };
        let step = Step::ALL.get(place as usize).copied().unwrap_or(Step::Exec);
        Some(Self::Failed(step, i32::from((word & 0xffff) as u16)))
    }
}

/// What the kernel takes as "ignore this signal": a handler that is no address, no
/// flags, no restorer, no mask. A process born with `CLONE_VM` has actions of its own.
const IGNORE: &[u64; 4] = &[libc::SIG_IGN as u64, 0, 0, 0];

/// Makes a system call and names the step when it fails. Every pointer among the arguments
/// must be valid for the call.
#[inline(always)]
pub(crate) fn call(
    step: Step,
    number: libc::c_long,
    arguments: [usize; 5],
) -> Result<usize, ChildError> {
    // SAFETY: the callers are this module and `setup.rs`, whose pointers come from the
    // plan, the slot or their own stack, are closed by NUL or of the stated length, and
    // outlive the call.
    let result = unsafe { syscall(number, arguments) };
    if result < 0 { Err(ChildError::Failed(step, -(result as i32))) } else { Ok(result as usize) }
}

/// The steps in their order; returns only when one of them fails.
pub(crate) fn become_program(job: &Job) -> ChildError {
    let Some(plan) = &job.plan else {
        return ChildError::Failed(Step::Exec, libc::EINVAL);
    };
    match prepare(job, plan) {
        Ok(()) => execute(job, plan),
        Err(error) => error,
    }
}

fn prepare(job: &Job, plan: &Plan) -> Result<(), ChildError> {
    let pid = call(Step::ProcessGroup, libc::SYS_getpid, [0; 5])?;
    // SAFETY: the cell lies in shared memory that stays mapped in this address
    // space for as long as it exists.
    unsafe { (*job.cell).store(pid as u64, Ordering::Release) };
    job.variables.write_pid(pid as u32);
    if job.shares_table {
        let unshare = libc::CLOSE_RANGE_UNSHARE as usize;
        close(job.table_end as usize, EVERYTHING, unshare)?;
    }
    if let Some(leaf) = job.moves.cgroup {
        join(leaf)?;
    }
    let setup = plan.setup.as_deref();
    if setup.is_some_and(|setup| setup.new_session) {
        call(Step::Session, libc::SYS_setsid, [0; 5])?;
    } else {
        call(Step::ProcessGroup, libc::SYS_setpgid, [0; 5])?;
    }
    descriptors(job)?;
    if let Some(limit) = &job.limit {
        let limit: *const libc::rlimit = limit;
        let resource = libc::RLIMIT_NOFILE as usize;
        call(Step::Limits, libc::SYS_prlimit64, [0, resource, limit.addr(), 0, 0])?;
    }
    if let Some(setup) = setup {
        setup.apply()?;
    }
    let confined = setup.is_some_and(|setup| setup.confined);
    if let Some(identity) = &plan.identity {
        become_user(identity, confined)?;
    }
    if let Some(directory) = plan.directory.iter().next() {
        call(Step::Directory, libc::SYS_chdir, [directory.as_ptr().addr(), 0, 0, 0, 0])?;
    }
    if let Some(umask) = plan.umask {
        call(Step::Directory, libc::SYS_umask, [umask as usize, 0, 0, 0, 0])?;
    }
    signals(plan)
}

/// Beyond every descriptor.
const EVERYTHING: usize = u32::MAX as usize;

fn close(first: usize, last: usize, how: usize) -> Result<(), ChildError> {
    call(Step::Descriptors, libc::SYS_close_range, [first, last, how, 0, 0]).map(drop)
}

/// Joins the cgroup of this directory, where the clone could not do it. What is opened is
/// closed with all that is not the program's.
fn join(leaf: RawFd) -> Result<(), ChildError> {
    let (path, flags) = (c"cgroup.procs".as_ptr(), libc::O_WRONLY | libc::O_CLOEXEC);
    let arguments = [leaf as usize, path.addr(), flags as usize, 0, 0];
    let file = call(Step::Cgroup, libc::SYS_openat, arguments)?;
    // Nobody is us.
    let own = b"0";
    call(Step::Cgroup, libc::SYS_write, [file, own.as_ptr().addr(), own.len(), 0, 0])?;
    Ok(())
}

/// Puts all descriptors in place, and closes the others.
fn descriptors(job: &Job) -> Result<(), ChildError> {
    for (number, file) in job.files.iter().enumerate() {
        call(Step::Descriptors, libc::SYS_dup3, [*file as usize, number, 0, 0, 0])?;
    }
    for extra in job.moves.all() {
        let arguments = [extra.from as usize, extra.to as usize, 0, 0, 0];
        call(Step::Descriptors, libc::SYS_dup3, arguments)?;
    }
    if job.closes_ranges {
        let mut first = 3;
        for kept in job.moves.kept() {
            let kept = *kept as usize;
            if first < kept {
                close(first, kept - 1, 0)?;
            }
            first = kept + 1;
        }
        close(first, EVERYTHING, 0)?;
    }
    Ok(())
}

/// Becomes another user; `confined`, for good and without any right that is left.
fn become_user(identity: &Identity, confined: bool) -> Result<(), ChildError> {
    let id = |number: u32| [number as usize, 0, 0, 0, 0];
    let becomes_other = call(Step::Uid, libc::SYS_geteuid, [0; 5])? != identity.uid as usize;
    let confined = confined && becomes_other;
    if confined {
        Setup::bound();
    }
    let groups = identity.groups.as_ptr().addr();
    call(Step::Groups, libc::SYS_setgroups, [identity.groups.len(), groups, 0, 0, 0])?;
    call(Step::Gid, libc::SYS_setgid, id(identity.gid))?;
    call(Step::Uid, libc::SYS_setuid, id(identity.uid))?;
    if confined { Setup::confine() } else { Ok(()) }
}

fn signals(plan: &Plan) -> Result<(), ChildError> {
    if plan.ignore_sigpipe {
        let ignore = IGNORE.as_ptr().addr();
        for signal in [libc::SIGPIPE, libc::SIGXFSZ] {
            let arguments = [signal as usize, ignore, 0, 8, 0];
            call(Step::Exec, libc::SYS_rt_sigaction, arguments)?;
        }
    }
    let none = 0_u64;
    let none: *const u64 = &raw const none;
    let how = libc::SIG_SETMASK as usize;
    call(Step::Exec, libc::SYS_rt_sigprocmask, [how, none.addr(), 0, 8, 0])?;
    Ok(())
}

/// Executes the program under its own name, or along the search path. Unlike
/// Supervisor, which ends its search at the first file of that name, it passes
/// over directories and files that cannot be executed, as a shell does.
fn execute(job: &Job, plan: &Plan) -> ChildError {
    let Some(name) = job.argv.first().copied().filter(|name| !name.is_null()) else {
        return ChildError::Failed(Step::Exec, libc::EINVAL);
    };
    if let Some(image) = job.moves.image {
        let (path, flags) = (c"".as_ptr().addr(), libc::AT_EMPTY_PATH as usize);
        let (words, variables) = (job.argv.as_ptr().addr(), job.envp.as_ptr().addr());
        let arguments = [image as usize, path, words, variables, flags];
        return match call(Step::Exec, libc::SYS_execveat, arguments) {
            Err(error) => error,
            Ok(_) => ChildError::Failed(Step::Exec, libc::EINVAL),
        };
    }
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
        let steps = Step::ALL.map(|step| ChildError::Failed(step, libc::ENOEXEC));
        let others = steps.into_iter().chain([ChildError::NotFound]);

        for error in found.chain(others) {
            assert_eq!(ChildError::from_word(error.to_word()), Some(error));
        }
        let beyond = ChildError::IsDirectory(PathEntry(Some(5000)));
        let unsaid = ChildError::IsDirectory(PathEntry(None));
        assert_eq!(ChildError::from_word(beyond.to_word()), Some(unsaid));
        assert_eq!(ChildError::from_word(0), None);
    }
}
