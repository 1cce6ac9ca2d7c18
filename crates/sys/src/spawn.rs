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

use std::io;
use std::ops::Range;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use rustix::io::{DupFlags, dup3};
use rustix::mm::{Advice, MapFlags, ProtFlags, madvise, mmap_anonymous};

pub use crate::child::{ChildError, PathEntry, Step};
use crate::clock;
pub use crate::extras::{Extra, Extras, Variable};
use crate::image::{Image, Kind};
use crate::memory::SharedMemory;
use crate::plan::Plan;
use crate::slot::{Job, Slot};

/// Children on their way that share our descriptor table.
pub const SHARED_SLOTS: usize = 16;

/// Children on their way at most. The others are stuck: a dead mount may hold many.
pub const SLOTS: usize = 64;

/// The first number of the slots' descriptors. Below it is what the process was
/// given at its start.
const FIRST_SLOT_FD: RawFd = 16;

/// The number from which the slots' descriptors beside 0, 1 and 2 lie. Children that have
/// no others need a table of 64, the largest that the kernel keeps inside its own structure.
const FIRST_EXTRA_FD: RawFd = FIRST_SLOT_FD + 3 * SHARED_SLOTS as RawFd;

/// Most descriptors of a child beside 0, 1 and 2: a control socket, a pipe to say that it
/// is ready, an image, and a cgroup where the clone cannot join it.
pub const EXTRAS_MAX: usize = 4;

/// The number under which a script in memory is open in its interpreter, which reads it by
/// that name. It is high, so that it is in nobody's way, and below the one that bash takes.
const SCRIPT_FD: RawFd = 250;

/// The number from which all other descriptors lie.
const FIRST_FREE_FD: RawFd = FIRST_EXTRA_FD + (EXTRAS_MAX * SHARED_SLOTS) as RawFd;

/// Bytes of a slot's stack. The child's frames need less than two pages.
pub(crate) const STACK_BYTES: usize = 16 << 10;

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
    /// Whether a clone can join a cgroup; found out when one is to.
    clones_into_cgroups: bool,
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
            .map(|index| {
                let cell = &raw const births.words()[base + index * CELL_WORDS + 1];
                Slot::new(cell, rooms.wrapping_add(index * ROOM_BYTES))
            })
            .collect();
        Ok(Self {
            slots,
            births,
            base,
            births_words,
            null,
            limit,
            closes_ranges,
            clones_into_cgroups: true,
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
        match self.free_slot_for(&Extras::default()) {
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

    /// Clones a child that becomes what `plan` says, with `files` as its 0, 1 and 2, and
    /// `extras` for this life only. `identity` (never 0) is noted in the surviving memory
    /// before, together with the pid, and kept there until the child is settled. Never waits.
    ///
    /// # Errors
    /// What `clone` says; EAGAIN also when there is no room; `InvalidInput` when there are
    /// more than [`EXTRAS_MAX`] descriptors, one is to be 0, 1 or 2, two are to be the same,
    /// or a variable cannot be one.
    pub fn spawn(
        &mut self,
        identity: u64,
        plan: Arc<Plan>,
        files: [BorrowedFd<'_>; 3],
        extras: &Extras<'_>,
    ) -> io::Result<Born> {
        let index =
            self.free_slot_for(extras).ok_or_else(|| io::Error::from_raw_os_error(libc::EAGAIN))?;
        let into = extras.cgroup.filter(|_| self.clones_into_cgroups);
        let spares = match self.prepare(index, identity, Arc::clone(&plan), files, extras) {
            Ok(spares) => spares,
            Err(error) => {
                self.release(index);
                return Err(error);
            }
        };
        let cell = &self.births.words()[self.base + index * CELL_WORDS..][..CELL_WORDS];
        cell[1].store(0, Ordering::Relaxed);
        cell[2].store(0, Ordering::Relaxed);
        cell[3].store(clock::monotonic(), Ordering::Relaxed);
        cell[0].store(identity, Ordering::Release);
        let cloned = self.slots[index].clone_child(into);
        drop(spares);
        match cloned {
            Ok(born) => {
                cell[1].store(u64::from(born.pid), Ordering::Release);
                self.busy += 1;
                self.used = self.used.max(index + 1);
                Ok(born)
            }
            Err(error) => {
                self.release(index);
                if into.is_some() && is_unknown(&error) {
                    self.clones_into_cgroups = false;
                    return self.spawn(identity, plan, files, extras);
                }
                Err(error)
            }
        }
    }

    /// Writes the job of a slot. What comes back must live until the clone.
    fn prepare(
        &self,
        index: usize,
        identity: u64,
        plan: Arc<Plan>,
        files: [BorrowedFd<'_>; 3],
        extras: &Extras<'_>,
    ) -> io::Result<Spares> {
        let slot = &self.slots[index];
        slot.error.store(0, Ordering::Relaxed);
        // SAFETY: the slot is free, so no child reads its job.
        let job = unsafe { &mut *slot.job.get() };
        job.identity = identity;
        job.limit = self.limit;
        job.closes_ranges = self.closes_ranges;
        job.shares_table = index < SHARED_SLOTS && self.closes_ranges;
        job.files = files.map(|file| file.as_raw_fd());
        if job.shares_table {
            let first = FIRST_SLOT_FD + 3 * RawFd::try_from(index).unwrap_or(0);
            for (number, file) in (first..).zip(files) {
                put(file, number)?;
            }
            job.files = [first, first + 1, first + 2];
        } else {
            job.stderr = Some(files[2].try_clone_to_owned()?);
        }
        let spares = self.arrange(index, job, plan.image.as_deref(), extras)?;
        job.prepare(plan, extras)?;
        Ok(spares)
    }

    /// Puts the descriptors beside 0, 1 and 2 where the child finds them: at the numbers of
    /// its slot, or where it copies the whole table, beyond all that it is to have.
    fn arrange(
        &self,
        index: usize,
        job: &mut Job,
        image: Option<&Image>,
        extras: &Extras<'_>,
    ) -> io::Result<Spares> {
        let cgroup = extras.cgroup.filter(|_| !self.clones_into_cgroups);
        let is_script = image.is_some_and(|image| image.kind() == Kind::Script);
        let others = usize::from(cgroup.is_some()) + usize::from(image.is_some());
        let count = extras.files.len() + others;
        let is_unfit = |(place, extra): (usize, &Extra<'_>)| {
            let earlier = &extras.files[..place];
            extra.number < 3
                || is_script && extra.number == SCRIPT_FD
                || earlier.iter().any(|other| other.number == extra.number)
        };
        if count > EXTRAS_MAX || extras.files.iter().enumerate().any(is_unfit) {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let mut spares = Spares::default();
        let beyond = extras
            .files
            .iter()
            .map(|extra| extra.number.saturating_add(1))
            .fold(FIRST_FREE_FD.max(SCRIPT_FD + 1), RawFd::max);
        let numbers = extra_numbers(index);
        let mut place = |job: &mut Job, file: BorrowedFd<'_>| -> io::Result<RawFd> {
            let at = job.moves.used;
            job.moves.used += 1;
            if job.shares_table {
                put(file, numbers.start + at as RawFd)?;
                return Ok(numbers.start + at as RawFd);
            }
            let spare = rustix::io::fcntl_dupfd_cloexec(file, beyond)?;
            Ok(spares.0[at].insert(spare).as_raw_fd())
        };
        for extra in extras.files {
            let from = place(job, extra.file)?;
            job.moves.add(from, extra.number);
        }
        if let Some(image) = image {
            let from = place(job, image.as_fd())?;
            if is_script {
                job.moves.add(from, SCRIPT_FD);
            } else {
                // It is closed by the exec.
                job.moves.keep(from);
            }
            job.moves.image = Some(if is_script { SCRIPT_FD } else { from });
        }
        if let Some(leaf) = cgroup {
            job.moves.cgroup = Some(place(job, leaf)?);
        }
        job.table_end = if job.moves.used == 0 { FIRST_EXTRA_FD } else { FIRST_FREE_FD };
        Ok(spares)
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

    /// A slot that is free and none of whose own numbers is one that the child is to have:
    /// it would lose what lies there.
    fn free_slot_for(&self, extras: &Extras<'_>) -> Option<usize> {
        (0..SLOTS).find(|index| {
            // SAFETY: only this thread writes `busy`.
            let job = unsafe { &*self.slots[*index].job.get() };
            let own = if *index < SHARED_SLOTS { extra_numbers(*index) } else { 0..0 };
            !job.busy && !extras.files.iter().any(|extra| own.contains(&extra.number))
        })
    }

    fn release(&mut self, index: usize) {
        let used = {
            // SAFETY: no child runs on this slot, so we are alone with its job.
            let job = unsafe { &mut *self.slots[index].job.get() };
            job.plan = None;
            job.stderr = None;
            job.busy = false;
            let used = job.moves.used;
            job.moves.clear();
            used
        };
        let cell = self.base + index * CELL_WORDS;
        self.births.words()[cell].store(0, Ordering::Release);
        if index < SHARED_SLOTS {
            let first = FIRST_SLOT_FD + 3 * RawFd::try_from(index).unwrap_or(0);
            for number in (first..first + 3).chain(extra_numbers(index).take(used)) {
                // Cannot fail: both numbers are open.
                let _ = put(self.null.as_fd(), number);
            }
        }
    }
}

/// Names of descriptors that are needed until the clone.
#[derive(Default)]
struct Spares([Option<OwnedFd>; EXTRAS_MAX]);

/// The numbers that a slot has for descriptors beside 0, 1 and 2.
fn extra_numbers(index: usize) -> Range<RawFd> {
    let first = FIRST_EXTRA_FD + (index * EXTRAS_MAX) as RawFd;
    first..first + EXTRAS_MAX as RawFd
}

/// Whether the kernel does not know this way to clone, or a filter refuses it.
fn is_unknown(error: &io::Error) -> bool {
    let errno = error.raw_os_error();
    matches!(errno, Some(libc::ENOSYS | libc::EPERM | libc::E2BIG))
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
