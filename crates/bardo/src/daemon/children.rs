//! The processes that are there, and how one is made.

use std::collections::hash_map::{DefaultHasher, Entry};
use std::collections::{HashMap, VecDeque};
use std::ffi::CStr;
use std::hash::{Hash as _, Hasher as _};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use bardo_core::spec::Reach;
use bardo_core::{Generation, ServiceId, Signal, SpawnError};
use bardo_keeper::protocol::{Key, Roles, ToKeeper};
use bardo_sys::cgroup::Leaf;
use bardo_sys::plan::Plan;
use bardo_sys::spawn::{Born, Extras, Room, Spawner};
use bardo_sys::{clock, poll, process};
use rustix::io::Errno;
use rustix::pipe::{PipeFlags, pipe_with};

use super::channels::{Asks, Ends, Opened, Stock};
use super::link::Link;
use super::metrics::Cause;
use super::pump::Sink;
use super::trees::Nest;

/// Which life of which service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Life {
    /// The service.
    pub service: ServiceId,
    /// The life.
    pub generation: Generation,
}

/// How long births wait for a fast slot before they take a slow one: then the fast
/// ones are stuck.
const PATIENCE: Duration = Duration::from_millis(50);

/// How soon after a birth it is first asked whether the program was executed.
const FIRST_LOOK: Duration = Duration::from_micros(150);

/// The longest pause between two looks at births that are stuck.
const LOOK_MAX: Duration = Duration::from_secs(1);

/// The same while others wait for their turn, and those on their way may be merely slow.
const LOOK_SOON: Duration = Duration::from_millis(5);

/// How long a birth may be merely slow.
const SLOW: Duration = Duration::from_secs(1);

/// Most descriptors of ours that a child has the other end of: its three standard streams,
/// its control socket, its notify socket and the pipe on which it says that it is ready.
const ENDS_MAX: usize = 6;

/// Most births from one place that are stuck on their way. A dead mount may hold so many of
/// all there may be; further programs there wait, and those elsewhere do not.
const STUCK_MAX: usize = 8;

/// A process that is there.
#[derive(Debug)]
pub struct Child {
    /// Whose it is.
    pub life: Life,
    /// The process itself, which nothing else can be mistaken for; `None` for one of a
    /// predecessor's that has ended, and whose exit is on the way.
    pub pidfd: Option<OwnedFd>,
    /// The write end of its standard input.
    pub stdin: Option<OwnedFd>,
    /// The cgroup that it was born in, where it has one of its own.
    pub(super) leaf: Option<Box<Leaf>>,
}

/// A start, with all that it needs.
#[derive(Debug)]
pub struct Start {
    /// The life that begins.
    pub life: Life,
    /// What its process becomes.
    pub plan: Arc<Plan>,
    /// Whether its standard error goes where its standard output goes.
    pub redirect_stderr: bool,
    /// Where standard output and standard error go.
    pub sinks: [Sink; 2],
    /// What its standard input is, where that is no pipe of ours.
    pub stdin: Option<OwnedFd>,
    /// What channels it is given, where it speaks.
    pub(super) asks: Option<Box<Asks>>,
    /// Where it is born, where its tree is looked after.
    pub(super) nest: Option<Box<Nest>>,
    /// Why it is started.
    pub cause: Cause,
}

/// A process that has just been made.
#[derive(Debug)]
pub struct Newborn {
    /// Its number.
    pub pid: u32,
    /// The read end of its standard output.
    pub stdout: OwnedFd,
    /// The read end of its standard error, unless that goes where standard output
    /// goes.
    pub stderr: Option<OwnedFd>,
    /// Our ends of the channels on which it speaks.
    pub(super) ends: Ends,
}

/// Where a program lies and where it works, as a number: what one dead mount holds up.
type Place = u64;

/// A birth on its way to its program, until it is one or never will be.
#[derive(Debug)]
struct Birth {
    life: Life,
    place: Place,
    since: u64,
}

/// A birth that people are still to read of.
#[derive(Debug)]
struct Way {
    life: Life,
    since: u64,
    executed: bool,
}

/// All processes, and those to come.
#[derive(Debug)]
pub struct Children {
    by_pid: HashMap<u32, Child>,
    /// Children whose number was another one's whose exit is still to be read.
    later: Vec<(u32, Child)>,
    /// The process of each service, by place; 0 is none.
    pids: Vec<u32>,
    spawner: Spawner,
    /// Births for which there was no room.
    waiting: VecDeque<(Place, Start)>,
    /// Births on their way.
    births: Vec<Birth>,
    /// Births on their way, in their order: people read of them in that order.
    order: VecDeque<Way>,
    /// Births that a predecessor began, and whose processes have not executed their
    /// programs yet.
    adopted: Vec<(u32, Life)>,
    /// Since when there is no fast slot.
    crowded_since: Option<u64>,
    /// How long to wait before births are looked at again.
    look: Duration,
    /// Channels for those who will be born.
    pub(super) stock: Stock,
}

impl Life {
    /// The number that the spawner notes; never 0.
    #[must_use]
    pub fn to_number(self) -> u64 {
        (u64::from(self.service.0) + 1) << 32 | u64::from(self.generation.0)
    }

    /// The life of a number.
    #[must_use]
    pub fn from_number(number: u64) -> Self {
        let half = |number: u64| u32::try_from(number & u64::from(u32::MAX)).unwrap_or(0);
        Self {
            service: ServiceId(half(number >> 32).wrapping_sub(1)),
            generation: Generation(half(number)),
        }
    }

    /// The keeper's name for its descriptors.
    #[must_use]
    pub fn key(self) -> Key {
        Key { owner: self.service.0, life: self.generation.0 }
    }
}

impl Children {
    /// Nobody yet.
    #[must_use]
    pub fn new(spawner: Spawner) -> Self {
        Self {
            by_pid: HashMap::new(),
            later: Vec::new(),
            pids: Vec::new(),
            spawner,
            waiting: VecDeque::new(),
            births: Vec::new(),
            order: VecDeque::new(),
            adopted: Vec::new(),
            crowded_since: None,
            look: FIRST_LOOK,
            stock: Stock::default(),
        }
    }

    /// The births.
    pub fn spawner(&mut self) -> &mut Spawner {
        &mut self.spawner
    }

    /// Takes in a process, made just now or by a predecessor.
    pub fn add(&mut self, pid: u32, child: Child) {
        let place = child.life.service.0 as usize;
        if place >= self.pids.len() {
            self.pids.resize(place + 1, 0);
        }
        self.pids[place] = pid;
        if let Entry::Vacant(vacant) = self.by_pid.entry(pid) {
            vacant.insert(child);
        } else {
            // The kernel gives a number again only when its process was reaped, so
            // the exit of the first one is on the way.
            self.later.push((pid, child));
        }
    }

    /// Takes out a process that has ended: of two of a number the eldest.
    pub fn remove(&mut self, pid: u32) -> Option<Child> {
        let child = self.by_pid.remove(&pid)?;
        self.adopted.retain(|(_, life)| *life != child.life);
        if let Some(next) = self.later.iter().position(|(number, _)| *number == pid) {
            let (_, next) = self.later.remove(next);
            self.by_pid.insert(pid, next);
        }
        if let Some(current) = self.pids.get_mut(child.life.service.0 as usize)
            && *current == pid
            && self.by_pid.get(&pid).is_none_or(|next| next.life.service != child.life.service)
        {
            *current = 0;
        }
        Some(child)
    }

    /// Every process that is there, as far as it is open.
    pub fn open(&self) -> impl Iterator<Item = (Key, BorrowedFd<'_>)> {
        let later = self.later.iter().map(|(_, child)| child);
        let all = self.by_pid.values().chain(later);
        all.filter_map(|child| Some((child.life.key(), child.pidfd.as_ref()?.as_fd())))
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.by_pid.len() + self.later.len()
    }

    /// The process of that number.
    #[must_use]
    pub fn child(&self, pid: u32) -> Option<&Child> {
        self.by_pid.get(&pid)
    }

    /// The process of a life.
    #[must_use]
    pub fn get(&self, life: Life) -> Option<(u32, &Child)> {
        let current = self.pids.get(life.service.0 as usize).copied().unwrap_or(0);
        if let Some(child) = self.by_pid.get(&current).filter(|child| child.life == life) {
            return Some((current, child));
        }
        let later = self.later.iter().map(|(pid, child)| (pid, child));
        let mut all = self.by_pid.iter().chain(later);
        all.find(|(_, child)| child.life == life).map(|(pid, child)| (*pid, child))
    }

    /// Whether there is room for a birth now. While fast slots come free soon, slow
    /// ones are left alone.
    pub fn has_room(&mut self) -> bool {
        match self.spawner.room() {
            Room::Fast => {
                self.crowded_since = None;
                true
            }
            Room::None => false,
            Room::Slow => {
                let now = clock::monotonic();
                let since = *self.crowded_since.get_or_insert(now);
                u128::from(now - since) > PATIENCE.as_nanos()
            }
        }
    }

    /// Puts a birth off until there is room.
    pub fn put_off(&mut self, start: Start) {
        self.waiting.push_back((place(&start.plan), start));
    }

    /// Forgets a birth that was put off.
    pub fn forget(&mut self, life: Life) {
        self.waiting.retain(|(_, waiting)| waiting.life != life);
    }

    /// The next birth that was put off, if there is room for it now. One from a place where
    /// births are stuck lets the others pass.
    pub fn next_waiting(&mut self) -> Option<Start> {
        if self.waiting.is_empty() || !self.has_room() {
            return None;
        }
        let stuck = self.stuck_places();
        let next = self.waiting.iter().position(|(place, _)| !stuck.contains(place))?;
        self.waiting.remove(next).map(|(_, start)| start)
    }

    /// Whether a birth has to wait behind others, or until others from its place are not
    /// stuck any more.
    #[must_use]
    pub fn is_crowded(&self, start: &Start) -> bool {
        let stuck = self.stuck_places();
        let is_free = |place: &Place| !stuck.contains(place);
        !is_free(&place(&start.plan)) || self.waiting.iter().any(|(place, _)| is_free(place))
    }

    /// The places from which no more births begin for now.
    fn stuck_places(&self) -> Vec<Place> {
        if self.births.len() < STUCK_MAX {
            return Vec::new();
        }
        let now = clock::monotonic();
        let is_stuck =
            |birth: &&Birth| u128::from(now.saturating_sub(birth.since)) > PATIENCE.as_nanos();
        let mut places: Vec<Place> =
            self.births.iter().filter(is_stuck).map(|birth| birth.place).collect();
        places.sort_unstable();
        let full = places.chunk_by(PartialEq::eq).filter(|same| same.len() >= STUCK_MAX);
        full.map(|same| same[0]).collect()
    }

    /// A birth has become its program, or never will: see [`Self::next_executed`].
    pub fn settled(&mut self, life: Life, executed: bool) {
        self.births.retain(|birth| birth.life != life);
        match self.order.iter_mut().find(|way| way.life == life) {
            Some(way) if executed => way.executed = true,
            Some(_) => self.order.retain(|way| way.life != life),
            // It was passed over; now it is the next to be told of.
            None if executed => {
                self.order.push_front(Way { life, since: 0, executed });
            }
            None => {}
        }
    }

    /// The next birth that has become its program, in the order of births. One that
    /// takes too long is passed over.
    pub fn next_executed(&mut self) -> Option<Life> {
        let now = clock::monotonic();
        while let Some(way) = self.order.front() {
            if way.executed {
                return self.order.pop_front().map(|way| way.life);
            }
            if u128::from(now.saturating_sub(way.since)) < PATIENCE.as_nanos() {
                return None;
            }
            self.order.pop_front();
        }
        None
    }

    /// Takes in a birth that a predecessor began, and whose process is on its way still.
    pub fn adopt(&mut self, pid: u32, life: Life) {
        self.adopted.push((pid, life));
    }

    /// The next of these births whose process has executed its program.
    pub fn next_adopted(&mut self) -> Option<Life> {
        let place = self.adopted.iter().position(|(pid, _)| !process::is_unborn(*pid))?;
        Some(self.adopted.swap_remove(place).1)
    }

    /// How long the loop may sleep before births are looked at; `None` when there
    /// are none on their way.
    pub fn next_look(&mut self) -> Option<Duration> {
        if self.spawner.busy() == 0 && self.order.is_empty() && self.adopted.is_empty() {
            self.look = FIRST_LOOK;
            return None;
        }
        let look = self.look;
        let eldest = self.births.first().map_or(0, |birth| birth.since);
        let is_slow = u128::from(clock::monotonic().saturating_sub(eldest)) < SLOW.as_nanos();
        let most = if self.waiting.is_empty() || !is_slow { LOOK_MAX } else { LOOK_SOON };
        self.look = (look * 2).min(most);
        Some(look)
    }

    /// Makes a process: pipes, into the keeper's hands, then the clone, into `leaf` where it
    /// has one.
    ///
    /// # Errors
    /// When there are no descriptors or no process to be had.
    pub(super) fn spawn(
        &mut self,
        link: &Link,
        start: &Start,
        leaf: Option<(Leaf, OwnedFd)>,
    ) -> Result<Newborn, SpawnError> {
        let life = start.life;
        let pipe = || pipe_with(PipeFlags::CLOEXEC);
        let made = || -> rustix::io::Result<_> {
            let stdin = if start.stdin.is_some() { None } else { Some(pipe()?) };
            let stdout = pipe()?;
            let stderr = if start.redirect_stderr { None } else { Some(pipe()?) };
            Ok((stdin, stdout, stderr))
        };
        let (stdin, stdout, stderr) =
            made().map_err(|errno| SpawnError::Pipes(errno.raw_os_error()))?;
        let stock = &mut self.stock;
        let opened = start.asks.as_ref().map(|asks| asks.open(life, stock)).transpose();
        let opened = opened.map_err(|error| SpawnError::Pipes(errno(&error)))?;
        // In the order of the roles' numbers.
        let mut roles = Roles::default();
        let mut held: [BorrowedFd<'_>; ENDS_MAX] = [stdout.0.as_fd(); ENDS_MAX];
        let mut count = 0;
        let ours = [
            (Roles::STDIN, stdin.as_ref().map(|(_, write)| write.as_fd())),
            (Roles::STDOUT, Some(stdout.0.as_fd())),
            (Roles::STDERR, stderr.as_ref().map(|(read, _)| read.as_fd())),
        ];
        let ours = ours.into_iter().filter_map(|(role, end)| Some((role, end?)));
        let channels = opened.iter().flat_map(|opened| opened.ends().held());
        for (role, end) in ours.chain(channels) {
            roles = roles.and(role);
            held[count] = end;
            count += 1;
        }
        link.hold(life.key(), roles, &held[..count])
            .map_err(|error| SpawnError::Pipes(errno(&error)))?;
        let stderr_end = stderr.as_ref().map_or(stdout.1.as_fd(), |(_, write)| write.as_fd());
        let stdin_end = stdin.as_ref().map(|(read, _)| read.as_fd());
        let given = start.stdin.as_ref().map(AsFd::as_fd);
        let files = [given.or(stdin_end).unwrap_or(stdout.1.as_fd()), stdout.1.as_fd(), stderr_end];
        let mut spawn = |extras: &Extras<'_>| {
            self.spawner.spawn(life.to_number(), Arc::clone(&start.plan), files, extras)
        };
        let cgroup = leaf.as_ref().map(|(_, directory)| directory.as_fd());
        let born = match &opened {
            Some(opened) => opened.with_extras(cgroup, spawn),
            None => spawn(&Extras { cgroup, ..Extras::default() }),
        };
        match born {
            Ok(Born { pid, pidfd }) => {
                let stdin = stdin.map(|(_, write)| write);
                let leaf = leaf.map(|(leaf, _)| Box::new(leaf));
                self.add(pid, Child { life, pidfd: Some(pidfd), stdin, leaf });
                self.look = FIRST_LOOK;
                let since = clock::monotonic();
                self.order.push_back(Way { life, since, executed: false });
                self.births.push(Birth { life, place: place(&start.plan), since });
                let stderr = stderr.map(|(read, _)| read);
                let ends = opened.map(Opened::into_ends).unwrap_or_default();
                Ok(Newborn { pid, stdout: stdout.0, stderr, ends })
            }
            Err(error) => {
                // What it was to be born in stays empty.
                let _ = leaf.map(|(leaf, _)| leaf.remove());
                // A keeper that is gone is noticed elsewhere.
                let _ = link.say(ToKeeper::Drop(life.key(), Roles::ALL));
                Err(match Errno::from_io_error(&error) {
                    // The descriptor of the process is the first that it opens.
                    Some(none @ (Errno::MFILE | Errno::NFILE)) => {
                        SpawnError::Pipes(none.raw_os_error())
                    }
                    _ => SpawnError::Clone(errno(&error)),
                })
            }
        }
    }

    /// Whether the process of a life has ended, as the kernel has it: its exit, which the keeper
    /// tells of, may come much later.
    #[must_use]
    pub fn is_dead(&self, life: Life) -> bool {
        let pidfd =
            |child: &Child| child.pidfd.as_ref().map(|pidfd| poll::is_readable(pidfd.as_fd()));
        self.get(life).is_some_and(|(_, child)| pidfd(child).unwrap_or(true))
    }

    /// Sends a signal. `None` when the process is gone: its exit is on the way.
    ///
    /// # Errors
    /// The errno, when the process is there and the signal was refused.
    pub fn signal(&self, life: Life, signal: Signal, reach: Reach) -> Result<Option<()>, i32> {
        let Some((pid, child)) = self.get(life) else { return Ok(None) };
        let Some(pidfd) = &child.pidfd else { return Ok(None) };
        let number = signal.number();
        let sent = match reach {
            Reach::Process => process::signal(pidfd.as_fd(), number),
            // While the process is there its number is its own, and so is the group's.
            Reach::Group | Reach::Tree => match process::signal(pidfd.as_fd(), 0) {
                Ok(true) => match process::signal_group(pid, number) {
                    // It is on its way, and does not lead a group yet.
                    Ok(false) => process::signal(pidfd.as_fd(), number),
                    other => other,
                },
                other => other,
            },
        };
        match sent {
            Ok(true) => Ok(Some(())),
            Ok(false) => Ok(None),
            Err(error) => Err(errno(&error)),
        }
    }
}

/// The place of a program: where it lies, or its name where it is searched for, and the
/// directory it works in.
fn place(plan: &Plan) -> Place {
    let name = plan.words.iter().next().map_or(&[][..], CStr::to_bytes);
    let folder = name.iter().rposition(|byte| *byte == b'/').map_or(name, |end| &name[..end]);
    let mut hasher = DefaultHasher::new();
    (folder, plan.directory.iter().next()).hash(&mut hasher);
    hasher.finish()
}

fn errno(error: &io::Error) -> i32 {
    error.raw_os_error().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use bardo_sys::plan::Strings;

    use super::*;

    #[test]
    fn a_place_is_where_a_program_lies_and_works() {
        let at = |word: &str, directory: &[&str]| {
            let strings = |words: &[&str]| Strings::new(words.iter().map(|word| word.as_bytes()));
            place(&Plan {
                words: strings(&[word]).unwrap(),
                directory: strings(directory).unwrap(),
                ..Plan::default()
            })
        };

        assert_eq!(at("/dead/one", &[]), at("/dead/two", &[]));
        assert_ne!(at("/dead/one", &[]), at("/live/one", &[]));
        assert_ne!(at("/bin/one", &["/dead"]), at("/bin/one", &[]));
        assert_ne!(at("one", &[]), at("two", &[]), "they are searched for");
    }

    #[test]
    fn a_life_and_its_number_are_the_same() {
        for (service, generation) in [(0, 0), (7, 9), (u32::MAX - 1, u32::MAX)] {
            let life = Life { service: ServiceId(service), generation: Generation(generation) };

            assert_ne!(life.to_number(), 0);
            assert_eq!(Life::from_number(life.to_number()), life);
        }
    }
}
