//! A slot: what a child and its parent both look at while the child is on its way to its
//! program, and the clone itself.
//!
//! What surprises a newcomer: nothing of a slot may move or be freed while a child is on
//! its way, and only the kernel says when that is over: it clears the slot's word.

use std::cell::UnsafeCell;
use std::ffi::{CStr, c_char, c_int, c_void};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, AtomicU32, AtomicU64, Ordering};

use crate::child::become_program;
use crate::extras::{Extras, LifeVariables};
use crate::plan::Plan;
use crate::raw::{CloneArguments, clone3, syscall};
use crate::spawn::{Born, EXTRAS_MAX, STACK_BYTES};

/// Makes a process in a cgroup from its birth on.
const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;

/// What a child and its parent both look at while it is on its way.
pub(crate) struct Slot {
    /// The child's number while it is on its way. The kernel clears it.
    pub(crate) tid: AtomicI32,
    /// What went wrong: see [`crate::child::ChildError::from_word`].
    pub(crate) error: AtomicU32,
    /// The rest, written by the parent before the clone and read by the child.
    pub(crate) job: UnsafeCell<Job>,
}

/// A descriptor on its way: its number in the table that the child is born with, and the
/// one that it is to have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Move {
    pub(crate) from: RawFd,
    pub(crate) to: RawFd,
}

/// The descriptors of a child beside 0, 1 and 2.
#[derive(Debug, Default)]
pub(crate) struct Moves {
    all: [Move; EXTRAS_MAX],
    count: usize,
    /// The leaf to be joined by writing, where the clone cannot do it.
    pub(crate) cgroup: Option<RawFd>,
    /// The program, where it is in memory.
    pub(crate) image: Option<RawFd>,
    /// What survives the closing of all others, ascending.
    kept: [RawFd; EXTRAS_MAX],
    kept_count: usize,
    /// How many numbers of the slot are in use.
    pub(crate) used: usize,
}

/// What a child reads. It stays untouched until the child is on its way no more.
pub(crate) struct Job {
    pub(crate) plan: Option<Arc<Plan>>,
    pub(crate) identity: u64,
    pub(crate) pid: u32,
    pub(crate) busy: bool,
    /// The descriptors to have as 0, 1 and 2.
    pub(crate) files: [RawFd; 3],
    /// The others.
    pub(crate) moves: Moves,
    /// Our own name of its standard error, where the slot has no number for it.
    pub(crate) stderr: Option<OwnedFd>,
    pub(crate) shares_table: bool,
    /// The lowest number that the child's own table need not have.
    pub(crate) table_end: RawFd,
    /// Whether there is `close_range`; without it, exec closes what the child has copied.
    pub(crate) closes_ranges: bool,
    pub(crate) limit: Option<libc::rlimit>,
    pub(crate) cell: *const AtomicU64,
    pub(crate) argv: Vec<*const c_char>,
    pub(crate) envp: Vec<*const c_char>,
    /// The variables of this life only.
    pub(crate) variables: LifeVariables,
    pub(crate) search: *const c_char,
    pub(crate) stack: *mut u8,
    pub(crate) path: *mut u8,
}

impl Moves {
    /// Forgets everything.
    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Adds a descriptor that is to be `to`, and to outlive the exec.
    pub(crate) fn add(&mut self, from: RawFd, to: RawFd) {
        self.all[self.count] = Move { from, to };
        self.count += 1;
        self.keep(to);
    }

    /// Adds a number that is not closed before the exec.
    pub(crate) fn keep(&mut self, number: RawFd) {
        let place = self.kept().partition_point(|kept| *kept < number);
        self.kept.copy_within(place..self.kept_count, place + 1);
        self.kept[place] = number;
        self.kept_count += 1;
    }

    pub(crate) fn all(&self) -> &[Move] {
        &self.all[..self.count]
    }

    pub(crate) fn kept(&self) -> &[RawFd] {
        &self.kept[..self.kept_count]
    }
}

impl Slot {
    pub(crate) fn new(cell: *const AtomicU64, room: *mut u8) -> Self {
        let job = Job {
            plan: None,
            identity: 0,
            pid: 0,
            busy: false,
            files: [0; 3],
            moves: Moves::default(),
            stderr: None,
            shares_table: false,
            table_end: 0,
            closes_ranges: true,
            limit: None,
            cell,
            argv: Vec::new(),
            envp: Vec::new(),
            variables: LifeVariables::default(),
            search: ptr::null(),
            stack: room,
            path: room.wrapping_add(STACK_BYTES),
        };
        Self { tid: AtomicI32::new(0), error: AtomicU32::new(0), job: UnsafeCell::new(job) }
    }

    /// Clones a child that does the slot's job, into a cgroup where one is given.
    pub(crate) fn clone_child(&self, cgroup: Option<BorrowedFd<'_>>) -> io::Result<Born> {
        let mut pidfd: c_int = -1;
        // Not zero, so that the slot is taken before the child has run.
        self.tid.store(-1, Ordering::Release);
        // SAFETY: no child runs on this slot, so we may write its job.
        let job = unsafe { &mut *self.job.get() };
        job.busy = true;
        let mut flags =
            libc::CLONE_VM | libc::CLONE_PARENT | libc::CLONE_PIDFD | libc::CLONE_CHILD_CLEARTID;
        if job.shares_table {
            flags |= libc::CLONE_FILES;
        }
        let result = match cgroup {
            None => self.clone_here(flags, &mut pidfd),
            Some(leaf) => self.clone_into(leaf, flags, &mut pidfd),
        };
        let pid = match result {
            Ok(pid) => pid,
            Err(error) => {
                self.tid.store(0, Ordering::Release);
                // SAFETY: there is no child.
                unsafe { (*self.job.get()).busy = false };
                return Err(error);
            }
        };
        // SAFETY: the child does not read `pid`; the kernel gave us `pidfd`.
        let pidfd = unsafe {
            (*self.job.get()).pid = pid;
            OwnedFd::from_raw_fd(pidfd)
        };
        Ok(Born { pid, pidfd })
    }

    fn clone_here(&self, flags: c_int, pidfd: &mut c_int) -> io::Result<u32> {
        let argument: *const Self = self;
        // SAFETY: the stack belongs to this slot alone and outlives the child's use
        // of it, because the slot is not used again before the kernel has cleared
        // `tid`. `child` makes raw system calls only and never returns.
        let pid = unsafe {
            libc::clone(
                child,
                self.stack_end(),
                flags,
                argument.cast_mut().cast(),
                ptr::from_mut(pidfd),
                ptr::null_mut::<c_void>(),
                self.tid.as_ptr(),
            )
        };
        u32::try_from(pid).map_err(|_| io::Error::last_os_error())
    }

    fn clone_into(&self, leaf: BorrowedFd<'_>, flags: c_int, pidfd: &mut c_int) -> io::Result<u32> {
        let end = self.stack_end().addr();
        let arguments = CloneArguments {
            flags: u64::from(flags.cast_unsigned()) | CLONE_INTO_CGROUP,
            pidfd: ptr::from_mut(pidfd).addr() as u64,
            child_tid: self.tid.as_ptr().addr() as u64,
            stack: (end - STACK_BYTES) as u64,
            stack_size: STACK_BYTES as u64,
            cgroup: u64::from(leaf.as_raw_fd().cast_unsigned()),
            ..CloneArguments::default()
        };
        let argument: *const Self = self;
        // SAFETY: as for `clone_here`: the stack is the slot's own, and `child` never
        // returns. All pointers are valid for as long as the kernel may use them.
        let result = unsafe { clone3(&arguments, child, argument.cast_mut().cast()) };
        u32::try_from(result).map_err(|_| io::Error::from_raw_os_error(-(result as i32)))
    }

    /// The end of the stack: it grows downwards. A slot's room begins on a page, so this
    /// is aligned as a stack must be.
    fn stack_end(&self) -> *mut c_void {
        // SAFETY: nobody writes the address of the stack.
        let stack = unsafe { (*self.job.get()).stack };
        stack.wrapping_add(STACK_BYTES).cast()
    }
}

impl Job {
    pub(crate) fn changes_user(&self) -> bool {
        self.plan.as_ref().is_some_and(|plan| plan.identity.is_some())
    }

    /// A new name of the child's standard error.
    pub(crate) fn stderr(&self) -> Option<OwnedFd> {
        match &self.stderr {
            Some(stderr) => stderr.try_clone().ok(),
            None => {
                // SAFETY: the slot's numbers stay open until it is released.
                let number = unsafe { BorrowedFd::borrow_raw(self.files[2]) };
                number.try_clone_to_owned().ok()
            }
        }
    }

    /// Lays out the pointers that the kernel wants.
    ///
    /// # Errors
    /// When a variable of this life holds a NUL.
    pub(crate) fn prepare(&mut self, plan: Arc<Plan>, extras: &Extras<'_>) -> io::Result<()> {
        self.argv.clear();
        self.argv.extend(plan.words.iter().map(CStr::as_ptr));
        self.argv.push(ptr::null());
        self.envp.clear();
        self.variables.lay_out(extras.variables, &mut self.envp)?;
        let is_wanted = |variable: &&CStr| !self.variables.replaces(variable);
        self.envp.extend(plan.variables.iter().filter(is_wanted).map(CStr::as_ptr));
        let mut replaced = plan.replaced.iter().peekable();
        for (variable, index) in plan.base.variables.iter().zip(0..) {
            if replaced.next_if(|replaced| **replaced == index).is_none() && is_wanted(&variable) {
                self.envp.push(variable.as_ptr());
            }
        }
        self.envp.push(ptr::null());
        self.search = plan.search_path.iter().next().map_or(ptr::null(), CStr::as_ptr);
        self.plan = Some(plan);
        Ok(())
    }
}

/// The child, until its program.
extern "C" fn child(argument: *mut c_void) -> c_int {
    // SAFETY: the argument is the slot that `clone_child` gave, which outlives the
    // child's use of it; nobody writes the job meanwhile.
    let (slot, job) = unsafe {
        let slot = &*argument.cast::<Slot>();
        (slot, &*slot.job.get())
    };
    let error = become_program(job);
    slot.error.store(error.to_word(), Ordering::Release);
    // SAFETY: the cell's last word follows the one for the pid, in the same memory.
    unsafe { (*job.cell.add(1)).store(error.to_word().into(), Ordering::Release) };
    // SAFETY: takes a number; ends this process and returns to nobody.
    unsafe { syscall(libc::SYS_exit_group, [127, 0, 0, 0, 0]) };
    loop {
        core::hint::spin_loop();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_in_ascending_order() {
        let mut moves = Moves::default();

        moves.add(80, 9);
        moves.add(81, 3);
        moves.keep(82);

        assert_eq!(moves.kept(), [3, 9, 82]);
        assert_eq!(moves.all(), [Move { from: 80, to: 9 }, Move { from: 81, to: 3 }]);
    }
}
