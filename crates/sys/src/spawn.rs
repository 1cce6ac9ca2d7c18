//! Starting a process without waiting for it, at a cost that does not grow with
//! the number of children.
//!
//! A child is cloned so that it shares our memory (nothing is copied) and our
//! descriptor table (nothing is copied), and is our sibling: its parent is ours.
//! It runs on the stack of a *slot* until it executes its program. The kernel
//! clears the slot's word when it does, or when it ends, so nobody waits for it: a
//! child that is stuck on the way holds one slot and stalls nobody.
//!
//! What surprises a newcomer: until that moment the child must be as careful as a
//! signal handler. It shares thread-local storage, so it makes raw system calls
//! only, and it must leave the descriptor table alone until it has its own copy of
//! the low part of it (`close_range` with UNSHARE copies what lies below its first
//! argument). So what a child is to have as 0, 1 and 2 is put at three low numbers
//! that belong to its slot. When all such slots are taken, further ones copy the
//! whole table instead, which is slower and needs no low numbers. So do all where a
//! container forbids `close_range`, because it is newer than the container's filter.
//!
//! Signals: the caller has blocked all of them and set all to their default, so a
//! child is born like that, and unblocks them just before its program.

use std::cell::UnsafeCell;
use std::ffi::{CStr, c_char, c_int, c_void};
use std::io;
use std::ops::Range;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, AtomicU32, AtomicU64, Ordering};

use rustix::io::{DupFlags, dup3};
use rustix::mm::{Advice, MapFlags, ProtFlags, madvise, mmap_anonymous};

use crate::child::become_program;
pub use crate::child::{ChildError, PathEntry, Step};
use crate::clock;
use crate::memory::SharedMemory;
use crate::plan::Plan;
use crate::raw::syscall;

/// Children on their way that share our descriptor table.
pub const SHARED_SLOTS: usize = 16;

/// Children on their way at most. The others are stuck: a dead mount may hold many.
pub const SLOTS: usize = 64;

/// The first number of the slots' descriptors. Below it is what the process was
/// given at its start.
const FIRST_SLOT_FD: RawFd = 16;

/// The number from which all other descriptors lie. A table of 64 is the largest
/// that the kernel keeps inside its own structure.
pub(crate) const FIRST_FREE_FD: RawFd = FIRST_SLOT_FD + 3 * SHARED_SLOTS as RawFd;

/// Bytes of a slot's stack. The child's frames need less than two pages.
const STACK_BYTES: usize = 16 << 10;

/// Longest path that a search along PATH tries: the kernel's own limit.
pub(crate) const PATH_BYTES: usize = libc::PATH_MAX as usize;

/// A slot's stack and the path that its child tries, one after the other. It is
/// never given back: a child may outlive everything but the address space.
const ROOM_BYTES: usize = STACK_BYTES + PATH_BYTES;

/// Slots whose memory is kept for the next births.
const KEPT_SLOTS: usize = 4;

/// Words of a birth cell: who is being born, its pid, what went wrong, and when it was
/// cloned.
const CELL_WORDS: usize = 4;

/// Words of surviving memory that the births take.
pub const BIRTH_WORDS: usize = SLOTS * CELL_WORDS;

/// A child that was cloned.
#[derive(Debug)]
pub struct Born {
    /// Its number.
    pub pid: u32,
    /// A descriptor of it, which no other process can ever be mistaken for.
    pub pidfd: OwnedFd,
}

/// Room for another child.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Room {
    /// There is a slot whose child costs the same however many there are.
    Fast,
    /// There are only slots whose child copies the whole descriptor table.
    Slow,
    /// There is none.
    None,
}

/// A child that is on its way no more.
#[derive(Debug)]
pub struct Settled {
    /// Who: the number that was given to [`Spawner::spawn`].
    pub identity: u64,
    /// Its number.
    pub pid: u32,
    /// Why it has not become its program; `None` when it has, or when it was
    /// killed on the way.
    pub error: Option<ChildError>,
    /// A way to write to its standard error, for words about a step that failed.
    pub stderr: Option<OwnedFd>,
}

/// A birth that a predecessor left in the surviving memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Birth {
    /// Who.
    pub identity: u64,
    /// Its number; `None` when there was no clone, or it has not run yet.
    pub pid: Option<u32>,
    /// Why it has not become its program, if that is known.
    pub error: Option<ChildError>,
    /// When it was cloned, in nanoseconds on the monotonic clock.
    pub at: u64,
}

/// What a child and its parent both look at while it is on its way.
struct Slot {
    /// The child's number while it is on its way. The kernel clears it.
    tid: AtomicI32,
    /// What went wrong: see [`ChildError::from_word`].
    error: AtomicU32,
    /// The rest, written by the parent before the clone and read by the child.
    job: UnsafeCell<Job>,
}

/// What a child reads. It stays untouched until the child is on its way no more.
pub(crate) struct Job {
    pub(crate) plan: Option<Arc<Plan>>,
    identity: u64,
    pid: u32,
    busy: bool,
    /// The descriptors to have as 0, 1 and 2.
    pub(crate) files: [RawFd; 3],
    /// Our own name of its standard error, where the slot has no number for it.
    stderr: Option<OwnedFd>,
    pub(crate) shares_table: bool,
    /// Whether there is `close_range`; without it, exec closes what the child has copied.
    pub(crate) closes_ranges: bool,
    pub(crate) limit: Option<libc::rlimit>,
    pub(crate) cell: *const AtomicU64,
    pub(crate) argv: Vec<*const c_char>,
    pub(crate) envp: Vec<*const c_char>,
    pub(crate) search: *const c_char,
    stack: *mut u8,
    pub(crate) path: *mut u8,
}

/// Starts processes.
pub struct Spawner {
    slots: Box<[Slot]>,
    births: Arc<SharedMemory>,
    base: usize,
    /// A predecessor's program may have had more cells than this one needs.
    births_words: usize,
    null: OwnedFd,
    limit: Option<libc::rlimit>,
    closes_ranges: bool,
    busy: usize,
    /// Stacks and paths of all slots.
    rooms: *mut u8,
    /// How many slots have been used since their memory was last given back.
    used: usize,
}

// SAFETY: the raw pointers of a job point into its own plan, its own buffers and
// the shared memory, all of which the spawner owns and moves along.
unsafe impl Send for Spawner {}

impl std::fmt::Debug for Spawner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Spawner").field("busy", &self.busy).finish_non_exhaustive()
    }
}

impl Spawner {
    /// Takes the low descriptor numbers, which must be free from 16 on. Births are
    /// noted in the words `area` of `births`. Children get `limit` (soft, hard) as
    /// their limit on descriptors where it is given.
    ///
    /// # Errors
    /// When /dev/null cannot be opened or the numbers cannot be taken.
    pub fn new(
        births: Arc<SharedMemory>,
        area: Range<usize>,
        limit: Option<(u64, u64)>,
    ) -> io::Result<Self> {
        let (base, births_words) = (area.start, area.len());
        assert!(births_words >= BIRTH_WORDS, "there is a cell for each slot");
        assert!(area.end <= births.words().len(), "the births lie within the memory");
        let first = rustix::fs::open(
            "/dev/null",
            rustix::fs::OFlags::RDWR | rustix::fs::OFlags::CLOEXEC,
            rustix::fs::Mode::empty(),
        )?;
        // Fills every hole below, so that nothing else can come to lie there.
        let mut spare = Vec::new();
        let null = loop {
            let next = rustix::io::fcntl_dupfd_cloexec(&first, 0)?;
            if next.as_raw_fd() >= FIRST_FREE_FD {
                break next;
            }
            spare.push(next);
        };
        spare.into_iter().for_each(std::mem::forget);
        std::mem::forget(first);
        let closes_ranges = has_close_range();
        if !closes_ranges {
            close_all_at_exec()?;
        }
        let limit = limit.map(|(soft, hard)| libc::rlimit { rlim_cur: soft, rlim_max: hard });
        let (protection, flags) = (ProtFlags::READ | ProtFlags::WRITE, MapFlags::PRIVATE);
        // SAFETY: a fresh mapping at an address of the kernel's choice aliases nothing.
        // It is never unmapped.
        let rooms =
            unsafe { mmap_anonymous(ptr::null_mut(), SLOTS * ROOM_BYTES, protection, flags) }?
                .cast::<u8>();
        let slots = (0..SLOTS)
            .map(|index| Slot::new(&births, base, index, rooms.wrapping_add(index * ROOM_BYTES)))
            .collect();
        Ok(Self {
            slots,
            births,
            base,
            births_words,
            null,
            limit,
            closes_ranges,
            busy: 0,
            rooms,
            used: 0,
        })
    }

    /// What a predecessor left behind: births that were begun and not yet noted
    /// elsewhere. Look at it again where a pid is missing: a child writes it as
    /// its first act.
    #[must_use]
    pub fn births(memory: &SharedMemory, area: Range<usize>) -> Vec<Birth> {
        let words = &memory.words()[area];
        words
            .chunks_exact(CELL_WORDS)
            .filter_map(|cell| {
                let identity = cell[0].load(Ordering::Acquire);
                let pid = u32::try_from(cell[1].load(Ordering::Acquire)).ok();
                let error = u32::try_from(cell[2].load(Ordering::Acquire)).ok();
                (identity != 0).then_some(Birth {
                    identity,
                    pid: pid.filter(|pid| *pid != 0),
                    error: error.and_then(ChildError::from_word),
                    at: cell[3].load(Ordering::Acquire),
                })
            })
            .collect()
    }

    /// Forgets births that a predecessor left behind, now that it is written down
    /// elsewhere what became of them. A cell that was used since is left alone.
    pub fn forget(&self, births: &[Birth]) {
        let words = &self.births.words()[self.base..self.base + self.births_words];
        for cell in words.chunks_exact(CELL_WORDS) {
            let identity = cell[0].load(Ordering::Acquire);
            if births.iter().any(|birth| birth.identity == identity) {
                cell[0].store(0, Ordering::Release);
            }
        }
    }

    /// What room there is for another child now.
    #[must_use]
    pub fn room(&self) -> Room {
        match self.free_slot() {
            Some(index) if index < SHARED_SLOTS => Room::Fast,
            Some(_) => Room::Slow,
            None => Room::None,
        }
    }

    /// How many children are on their way.
    #[must_use]
    pub fn busy(&self) -> usize {
        self.busy
    }

    /// Clones a child that becomes what `plan` says, with `files` as its 0, 1 and 2.
    /// `identity` (never 0) is noted in the surviving memory before, together with
    /// the pid, and kept there until the child is settled. Never waits.
    ///
    /// # Errors
    /// What `clone` says; EAGAIN also when there is no room.
    pub fn spawn(
        &mut self,
        identity: u64,
        plan: Arc<Plan>,
        files: [BorrowedFd<'_>; 3],
    ) -> io::Result<Born> {
        let index = self.free_slot().ok_or_else(|| io::Error::from_raw_os_error(libc::EAGAIN))?;
        let closes_ranges = self.closes_ranges;
        let shares_table = index < SHARED_SLOTS && closes_ranges;
        let limit = self.limit;
        let cell = &self.births.words()[self.base + index * CELL_WORDS..][..CELL_WORDS];
        let slot = &self.slots[index];
        slot.error.store(0, Ordering::Relaxed);
        {
            // SAFETY: the slot is free, so no child reads its job.
            let job = unsafe { &mut *slot.job.get() };
            job.files = files.map(|file| file.as_raw_fd());
            if shares_table {
                let first = FIRST_SLOT_FD + 3 * RawFd::try_from(index).unwrap_or(0);
                for (number, file) in (first..).zip(files) {
                    put(file, number)?;
                }
                job.files = [first, first + 1, first + 2];
            } else {
                job.stderr = Some(files[2].try_clone_to_owned()?);
            }
            job.closes_ranges = closes_ranges;
            job.prepare(plan, identity, shares_table, limit);
        }
        cell[1].store(0, Ordering::Relaxed);
        cell[2].store(0, Ordering::Relaxed);
        cell[3].store(clock::monotonic(), Ordering::Relaxed);
        cell[0].store(identity, Ordering::Release);
        match slot.clone_child(shares_table) {
            Ok(born) => {
                cell[1].store(u64::from(born.pid), Ordering::Release);
                self.busy += 1;
                self.used = self.used.max(index + 1);
                Ok(born)
            }
            Err(error) => {
                self.release(index);
                Err(error)
            }
        }
    }

    /// Adds to `settled` the children that are on their way no more.
    pub fn settle(&mut self, settled: &mut Vec<Settled>) {
        if self.busy == 0 {
            return;
        }
        let mut changed_user = false;
        for index in 0..SLOTS {
            let slot = &self.slots[index];
            // SAFETY: the child only reads its job, and so do we.
            let job = unsafe { &*slot.job.get() };
            if job.busy && slot.tid.load(Ordering::Acquire) == 0 {
                let error = ChildError::from_word(slot.error.load(Ordering::Acquire));
                let stderr = match error {
                    Some(ChildError::Failed(..)) => job.stderr(),
                    _ => None,
                };
                settled.push(Settled { identity: job.identity, pid: job.pid, error, stderr });
                changed_user |= job.changes_user();
                self.busy -= 1;
                self.release(index);
            }
        }
        if changed_user {
            self.be_dumpable();
        }
        self.rest();
    }

    /// A change of user in memory that is shared takes from us too the right to be
    /// looked at and to leave a core file. It is taken back only when no child is on
    /// its way as another user: that user could look at our memory through it.
    fn be_dumpable(&self) {
        let others = self.slots.iter().any(|slot| {
            // SAFETY: only this thread writes `busy` and the plan.
            let job = unsafe { &*slot.job.get() };
            job.busy && job.changes_user()
        });
        if !others {
            let dumpable = rustix::process::DumpableBehavior::Dumpable;
            let _ = rustix::process::set_dumpable_behavior(dumpable);
        }
    }

    /// Gives the memory of slots back when nobody is on the way after many were.
    fn rest(&mut self) {
        if self.busy == 0 && self.used > KEPT_SLOTS {
            let offset = KEPT_SLOTS * ROOM_BYTES;
            let length = (self.used - KEPT_SLOTS) * ROOM_BYTES;
            // SAFETY: the range lies within the mapping, and no child is on its way, so
            // nobody needs what is in it: a new child finds zeroes. A refusal is harmless.
            let _ = unsafe {
                madvise(self.rooms.wrapping_add(offset).cast(), length, Advice::LinuxDontNeed)
            };
            self.used = KEPT_SLOTS;
        }
    }

    fn free_slot(&self) -> Option<usize> {
        (0..SLOTS).find(|index| {
            // SAFETY: only this thread writes `busy`.
            let job = unsafe { &*self.slots[*index].job.get() };
            !job.busy
        })
    }

    fn release(&mut self, index: usize) {
        {
            // SAFETY: no child runs on this slot, so we are alone with its job.
            let job = unsafe { &mut *self.slots[index].job.get() };
            job.plan = None;
            job.stderr = None;
            job.busy = false;
        }
        let cell = self.base + index * CELL_WORDS;
        self.births.words()[cell].store(0, Ordering::Release);
        if index < SHARED_SLOTS {
            let first = FIRST_SLOT_FD + 3 * RawFd::try_from(index).unwrap_or(0);
            for number in first..first + 3 {
                // Cannot fail: both numbers are open.
                let _ = put(self.null.as_fd(), number);
            }
        }
    }
}

/// Whether there is `close_range`: a range without a descriptor is closed.
fn has_close_range() -> bool {
    // SAFETY: plain numbers; no descriptor has this one.
    unsafe { libc::syscall(libc::SYS_close_range, u32::MAX, u32::MAX, 0) == 0 }
}

/// Sees to it that no descriptor of this moment outlives an exec but 0, 1 and 2. Those
/// that are opened later are closed by it anyway; these may have come from outside.
fn close_all_at_exec() -> io::Result<()> {
    for entry in std::fs::read_dir("/proc/self/fd")? {
        let number = entry?.file_name().to_str().and_then(|name| name.parse::<RawFd>().ok());
        let Some(number) = number.filter(|number| *number > 2) else { continue };
        // SAFETY: plain numbers; a number that is closed by now is refused.
        unsafe { libc::fcntl(number, libc::F_SETFD, libc::FD_CLOEXEC) };
    }
    Ok(())
}

/// Makes `number` another name of `file`, closed by exec.
fn put(file: BorrowedFd<'_>, number: RawFd) -> io::Result<()> {
    // SAFETY: the numbers of the slots belong to the spawner and are always open;
    // the value is forgotten, so nothing is closed twice.
    let mut target = unsafe { OwnedFd::from_raw_fd(number) };
    let result = dup3(file, &mut target, DupFlags::CLOEXEC);
    std::mem::forget(target);
    Ok(result?)
}

impl Slot {
    fn new(births: &Arc<SharedMemory>, base: usize, index: usize, room: *mut u8) -> Self {
        let job = Job {
            plan: None,
            identity: 0,
            pid: 0,
            busy: false,
            files: [0; 3],
            stderr: None,
            shares_table: false,
            closes_ranges: true,
            limit: None,
            cell: &raw const births.words()[base + index * CELL_WORDS + 1],
            argv: Vec::new(),
            envp: Vec::new(),
            search: ptr::null(),
            stack: room,
            path: room.wrapping_add(STACK_BYTES),
        };
        Self { tid: AtomicI32::new(0), error: AtomicU32::new(0), job: UnsafeCell::new(job) }
    }

    fn clone_child(&self, shares_table: bool) -> io::Result<Born> {
        let mut flags =
            libc::CLONE_VM | libc::CLONE_PARENT | libc::CLONE_PIDFD | libc::CLONE_CHILD_CLEARTID;
        if shares_table {
            flags |= libc::CLONE_FILES;
        }
        let mut pidfd: c_int = -1;
        // Not zero, so that the slot is taken before the child has run.
        self.tid.store(-1, Ordering::Release);
        // SAFETY: no child runs on this slot, so we may write its job.
        let job = unsafe { &mut *self.job.get() };
        let stack = job.stack.wrapping_add(STACK_BYTES);
        job.busy = true;
        let stack = stack.map_addr(|address| address & !15).cast::<c_void>();
        let argument: *const Self = self;
        // SAFETY: the stack belongs to this slot alone and outlives the child's use
        // of it, because the slot is not used again before the kernel has cleared
        // `tid`. `child` makes raw system calls only and never returns.
        let pid = unsafe {
            libc::clone(
                child,
                stack,
                flags,
                argument.cast_mut().cast(),
                &raw mut pidfd,
                ptr::null_mut::<c_void>(),
                self.tid.as_ptr(),
            )
        };
        if pid < 0 {
            let error = io::Error::last_os_error();
            self.tid.store(0, Ordering::Release);
            // SAFETY: there is no child.
            unsafe { (*self.job.get()).busy = false };
            return Err(error);
        }
        let pid = u32::try_from(pid).unwrap_or(0);
        // SAFETY: the child does not read `pid`; the kernel gave us `pidfd`.
        let pidfd = unsafe {
            (*self.job.get()).pid = pid;
            OwnedFd::from_raw_fd(pidfd)
        };
        Ok(Born { pid, pidfd })
    }
}

impl Job {
    fn changes_user(&self) -> bool {
        self.plan.as_ref().is_some_and(|plan| plan.identity.is_some())
    }

    /// A new name of the child's standard error.
    fn stderr(&self) -> Option<OwnedFd> {
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
    fn prepare(
        &mut self,
        plan: Arc<Plan>,
        identity: u64,
        shares_table: bool,
        limit: Option<libc::rlimit>,
    ) {
        self.argv.clear();
        self.argv.extend(plan.words.iter().map(CStr::as_ptr));
        self.argv.push(ptr::null());
        self.envp.clear();
        self.envp.extend(plan.variables.iter().map(CStr::as_ptr));
        let mut replaced = plan.replaced.iter().peekable();
        for (variable, index) in plan.base.variables.iter().zip(0..) {
            if replaced.next_if(|replaced| **replaced == index).is_none() {
                self.envp.push(variable.as_ptr());
            }
        }
        self.envp.push(ptr::null());
        self.search = plan.search_path.iter().next().map_or(ptr::null(), CStr::as_ptr);
        self.identity = identity;
        self.shares_table = shares_table;
        self.limit = limit;
        self.plan = Some(plan);
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
