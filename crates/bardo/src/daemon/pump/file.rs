//! Log files: one per path, however many streams name it.
//!
//! [`Files`] opens them by name when they are needed, keeps them open up to a
//! limit, looks before each chunk where the file ends, rotates, and remembers
//! which of them refused. It knows nothing of streams and never waits: the
//! caller asks [`Files::may_try`] first.
//!
//! One thing surprises a newcomer: no offset is kept. Where the file ends is
//! asked before each chunk, which makes copytruncate, a second writer and a
//! killed pump one and the same case.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bardo_sys::pipe;

use super::Report;
use super::compress::{Age, Aged};
use super::outlet::{Identity, OutletId};
use super::pulse::Pulse;
use super::record::Place;
use super::rotation;
use super::target::{self, is_ours_to_rename};
use rustix::io::Errno;

/// Most log files that are kept open. Ten thousand idle programs need not hold
/// ten thousand descriptors for their logs beside those of their pipes.
const OPEN_MAX: usize = 1024;

/// The first and the longest wait before a file that refused is tried again, in
/// seconds; it doubles between them.
const RETRY_FIRST: u32 = 1;
const RETRY_LONGEST: u32 = 30;

/// How long, in seconds, a target may have no room before it counts as one that takes
/// nothing. A reader that is only slow makes room in between.
const FULL_LONG: u32 = 5;

/// Whole seconds since the pump started. Deadlines are kept to the second, so
/// that ten thousand files in trouble wake the pump at most once a second.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Second(u32);

/// Which file of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FileId(pub(super) u32);

/// When and how a file is rotated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Rotation {
    /// Once it has reached this size; never where this is not positive.
    pub(super) bytes_max: i64,
    /// How many old ones are kept; with none, the file is truncated.
    pub(super) backups: u32,
    /// Whether old ones are compressed.
    pub(super) compress: bool,
}

impl Rotation {
    /// Takes numbers as the user wrote them.
    pub(super) fn new(bytes_max: i64, backups: i64, compress: bool) -> Self {
        let backups = u32::try_from(backups.max(0)).unwrap_or(u32::MAX);
        Self { bytes_max, backups, compress }
    }

    /// How many bytes fit into a file of that size before it is due; `None` is
    /// any number.
    pub(super) fn room(self, size: u64) -> Option<u64> {
        let bytes_max = u64::try_from(self.bytes_max).unwrap_or(0);
        (bytes_max > 0).then(|| bytes_max.saturating_sub(size))
    }
}

/// What keeps a file from being written to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Trouble {
    None,
    /// It refused. It is tried again then, after a wait of so many seconds.
    Refused {
        retry: Second,
        wait: u32,
    },
    /// A FIFO or a terminal has no room: somebody is slow to read it. If that lasts until
    /// then, it is told.
    Full {
        tell: Second,
    },
}

/// What was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// A regular file: it has an end, and can be rotated.
    Regular,
    /// A FIFO, a terminal, a device: what is written has gone.
    Onward,
}

/// One file.
#[derive(Debug)]
struct LogFile {
    path: Arc<str>,
    users: u32,
    file: Option<File>,
    kind: Kind,
    /// Whether bytes can be moved into it without looking at them.
    splices: bool,
    trouble: Trouble,
    /// A rotation failed; it is not tried again before then.
    rotate_after: Option<Second>,
    /// Whether the control thread knows that it takes nothing.
    told: bool,
    /// The output that it is, since it was opened last.
    outlet: Option<OutletId>,
}

/// The table.
#[derive(Debug)]
pub(super) struct Files {
    slots: Vec<Option<LogFile>>,
    free: Vec<FileId>,
    by_path: HashMap<Arc<str>, FileId>,
    open: usize,
    open_max: usize,
    /// Where the search for a file to close goes on.
    hand: usize,
    started: Instant,
    /// Where it is said what is about to be touched.
    pulse: Arc<Pulse>,
    /// What the control thread has not been told yet.
    reports: Vec<Report>,
    /// Logs of which a backup may have to be compressed.
    aged: Vec<Aged>,
    /// The outputs that programs share.
    outputs: Vec<(Identity, OutletId)>,
}

impl Files {
    pub(super) fn new(pulse: Arc<Pulse>) -> Self {
        Self {
            slots: Vec::new(),
            free: Vec::new(),
            by_path: HashMap::new(),
            open: 0,
            open_max: OPEN_MAX,
            hand: 0,
            started: Instant::now(),
            pulse,
            reports: Vec::new(),
            aged: Vec::new(),
            outputs: Vec::new(),
        }
    }

    /// From now on it is known which files are these outputs.
    pub(super) fn know_outputs(&mut self, outputs: Vec<(Identity, OutletId)>) {
        self.outputs = outputs;
    }

    /// The file of that path, for one more user. It is not opened yet.
    pub(super) fn acquire(&mut self, path: &Arc<str>) -> FileId {
        if let Some(&id) = self.by_path.get(path) {
            self.file_mut(id).users += 1;
            return id;
        }
        let id = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            FileId(u32::try_from(self.slots.len() - 1).expect("there are fewer files than 2^32"))
        });
        self.slots[id.0 as usize] = Some(LogFile {
            path: Arc::clone(path),
            users: 1,
            file: None,
            kind: Kind::Regular,
            splices: true,
            trouble: Trouble::None,
            rotate_after: None,
            told: false,
            outlet: None,
        });
        self.pulse.name(id, Some(path));
        self.by_path.insert(Arc::clone(path), id);
        id
    }

    /// One user less; the last one closes it.
    pub(super) fn release(&mut self, id: FileId) {
        let file = self.file_mut(id);
        file.users -= 1;
        if file.users == 0 {
            let path = Arc::clone(&file.path);
            self.tell_takes(id);
            self.pulse.touch(id);
            self.close(id);
            self.pulse.name(id, None);
            self.by_path.remove(&path);
            self.slots[id.0 as usize] = None;
            self.free.push(id);
        }
    }

    /// Opens the file if it is not open, and says where it ends; `None` is a
    /// target that has no end. A file whose name was removed is created again,
    /// because what goes into the old one is lost with the process.
    pub(super) fn prepare(&mut self, id: FileId) -> io::Result<Option<Place>> {
        self.pulse.touch(id);
        self.open(id)?;
        if self.file(id).kind == Kind::Onward {
            return Ok(None);
        }
        let mut metadata = self.opened(id).metadata()?;
        if metadata.nlink() == 0 {
            self.close(id);
            self.open(id)?;
            metadata = self.opened(id).metadata()?;
        }
        Ok(Some(Place { offset: metadata.len(), device: metadata.dev(), inode: metadata.ino() }))
    }

    /// Writes what fits at the place that [`Files::prepare`] gave, and says how
    /// much that was.
    pub(super) fn write(
        &self,
        id: FileId,
        place: Option<Place>,
        bytes: &[u8],
    ) -> io::Result<usize> {
        let file = self.opened(id);
        match place {
            Some(place) => file.write_at(bytes, place.offset),
            None => pipe::write_now(file, bytes),
        }
    }

    /// Rotates the file if it has reached its limit. A failure leaves it as it
    /// is, growing, and is returned once.
    pub(super) fn rotate(&mut self, id: FileId, size: u64, rotation: Rotation) -> io::Result<()> {
        let now = self.now();
        let file = self.file_mut(id);
        let due = rotation.room(size) == Some(0) && file.rotate_after.is_none_or(|at| at <= now);
        if !due || file.kind == Kind::Onward || !is_ours_to_rename(&file.path) {
            return Ok(());
        }
        let path = Arc::clone(&file.path);
        let rotated = if rotation.backups == 0 {
            self.opened(id).set_len(0)
        } else {
            rotation::shift(Path::new(&*path), rotation.backups)
        };
        if let Err(error) = rotated {
            let known = self.file(id).rotate_after.is_some();
            self.file_mut(id).rotate_after = Some(Second(now.0 + RETRY_LONGEST));
            return if known { Ok(()) } else { Err(error) };
        }
        self.file_mut(id).rotate_after = None;
        if rotation.backups > 0 {
            self.ages(id, rotation, Age::Rotated);
            self.close(id);
            // Whoever looks for the log by name finds one. If that cannot be had,
            // the next chunk says so.
            let _ = self.open(id);
        }
        Ok(())
    }

    /// Somebody begins to use the file: a pump that was killed may have left a backup of it
    /// that is not compressed yet.
    pub(super) fn inherit(&mut self, id: FileId, rotation: Rotation) {
        if is_ours_to_rename(self.path(id)) {
            self.ages(id, rotation, Age::Inherited);
        }
    }

    fn ages(&mut self, id: FileId, rotation: Rotation, age: Age) {
        if rotation.compress && rotation.backups > 0 {
            let path = Arc::clone(self.path(id));
            self.aged.push(Aged { path, backups: rotation.backups, age });
        }
    }

    /// Logs of which a backup may have to be compressed, each told once.
    pub(super) fn aged(&mut self) -> impl Iterator<Item = Aged> {
        self.aged.drain(..)
    }

    /// Closes the file and opens it by its name, which may be another file now.
    /// What had refused may be tried at once.
    pub(super) fn reopen(&mut self, id: FileId) -> io::Result<()> {
        self.pulse.touch(id);
        self.close(id);
        self.file_mut(id).rotate_after = None;
        self.file_mut(id).splices = true;
        self.open(id)?;
        self.make_due(id);
        Ok(())
    }

    /// Lets a file in trouble be tried at once.
    pub(super) fn make_due(&mut self, id: FileId) {
        let now = self.now();
        let file = self.file_mut(id);
        file.trouble = match file.trouble {
            Trouble::Refused { wait, .. } => Trouble::Refused { retry: now, wait },
            Trouble::None | Trouble::Full { .. } => Trouble::None,
        };
    }

    /// The file of that path, if it is in use.
    pub(super) fn find(&self, path: &str) -> Option<FileId> {
        self.by_path.get(path).copied()
    }

    /// Removes the file of that path and creates it again, if it is in use.
    pub(super) fn clear(&mut self, path: &str) -> Option<(FileId, io::Result<()>)> {
        let id = *self.by_path.get(path)?;
        self.pulse.touch(id);
        if is_ours_to_rename(path)
            && let Err(error) = fs::remove_file(path)
            && error.kind() != io::ErrorKind::NotFound
        {
            return Some((id, Err(error)));
        }
        Some((id, self.reopen(id)))
    }

    /// Nobody reads what goes to an inherited descriptor, and nobody ever will: from now on
    /// it is dropped, until the file is opened anew. False for other files.
    pub(super) fn drop_if_deserted(&mut self, id: FileId, error: &io::Error) -> bool {
        let has_gone = matches!(
            Errno::from_io_error(error),
            Some(Errno::PIPE | Errno::CONNRESET | Errno::NOTCONN | Errno::IO)
        );
        let path = Arc::clone(&self.file(id).path);
        let is_file = self.file(id).kind == Kind::Regular;
        let is_ours = self.file(id).outlet.is_some() || target::is_inherited(&path);
        if !has_gone || is_file || !is_ours {
            return false;
        }
        let Ok(nowhere) = pipe::open_target(Path::new("/dev/null")) else { return false };
        let file = self.file_mut(id);
        // As many are open as before.
        file.file = Some(nowhere);
        file.trouble = Trouble::None;
        self.tell_takes(id);
        true
    }

    /// Notes that the file refused, and closes it, so that the next try finds
    /// what then has its name. Says whether that is news, and when it is tried.
    pub(super) fn refused(&mut self, id: FileId, error: &io::Error) -> (News, Second) {
        let now = self.now();
        self.close(id);
        self.tell_refuses(id, || error.to_string());
        let file = self.file_mut(id);
        let (wait, news) = match file.trouble {
            Trouble::Refused { wait, .. } => ((wait * 2).min(RETRY_LONGEST), News::No),
            Trouble::None | Trouble::Full { .. } => (RETRY_FIRST, News::Yes),
        };
        let retry = Second(now.0 + wait + 1);
        file.trouble = Trouble::Refused { retry, wait };
        (news, retry)
    }

    /// Notes that a target has no room. Says when [`Files::tell_full`] has to look at it.
    pub(super) fn full(&mut self, id: FileId) -> Second {
        let tell = Second(self.now().0 + FULL_LONG + 1);
        self.file_mut(id).trouble = Trouble::Full { tell };
        tell
    }

    /// Notes which targets have had no room for long.
    pub(super) fn tell_full(&mut self) {
        let now = self.now();
        let full = |file: &LogFile| matches!(file.trouble, Trouble::Full { tell } if tell <= now);
        for id in self.which(full) {
            self.tell_refuses(id, || "it is full, and nobody reads it".to_owned());
        }
    }

    /// What has changed about targets that take nothing since this was last asked.
    pub(super) fn reports(&mut self) -> impl Iterator<Item = Report> {
        self.reports.drain(..)
    }

    /// Notes that the file took bytes, or that a full one has room. Says whether
    /// that ends a refusal.
    pub(super) fn took(&mut self, id: FileId) -> News {
        let file = self.file_mut(id);
        let before = std::mem::replace(&mut file.trouble, Trouble::None);
        self.tell_takes(id);
        match before {
            Trouble::Refused { .. } => News::Yes,
            Trouble::None | Trouble::Full { .. } => News::No,
        }
    }

    /// Notes that bytes must be read and written for this file.
    pub(super) fn cannot_splice(&mut self, id: FileId) {
        self.file_mut(id).splices = false;
    }

    /// Whether bytes can be moved into the file without looking at them.
    pub(super) fn splices(&self, id: FileId) -> bool {
        self.file(id).splices
    }

    /// The output that a file is, if it is one. To be called after [`Files::prepare`].
    pub(super) fn outlet(&self, id: FileId) -> Option<OutletId> {
        self.file(id).outlet
    }

    /// The output that an open file is, if it is one.
    pub(super) fn output(&self, file: impl AsFd) -> Option<OutletId> {
        if self.outputs.is_empty() {
            return None;
        }
        let identity = Identity::of(file).ok()?;
        let known = self.outputs.iter().find(|(known, _)| *known == identity);
        known.map(|(_, outlet)| *outlet)
    }

    /// Some file that is this output, open, and may be written to.
    pub(super) fn way_out(&self, outlet: OutletId) -> Option<FileId> {
        let is_way = |file: &LogFile| file.outlet == Some(outlet) && file.file.is_some();
        self.which(is_way).into_iter().find(|id| self.may_try(*id))
    }

    /// Whether the file may be written to at this moment.
    pub(super) fn may_try(&self, id: FileId) -> bool {
        match self.file(id).trouble {
            Trouble::None => true,
            Trouble::Refused { retry, .. } => retry <= self.now(),
            Trouble::Full { .. } => false,
        }
    }

    /// Whether the file is one that had no room. A file that has gone meanwhile is
    /// not.
    pub(super) fn is_full(&self, id: FileId) -> bool {
        let file = self.slots.get(id.0 as usize).and_then(Option::as_ref);
        file.is_some_and(|file| matches!(file.trouble, Trouble::Full { .. }) && file.file.is_some())
    }

    /// The earliest second at which a file is tried again, of all whose time has
    /// not come yet.
    pub(super) fn next_retry(&self) -> Option<Second> {
        let now = self.now();
        let retries = self.slots.iter().flatten().filter_map(|file| match file.trouble {
            Trouble::Refused { retry, .. } if retry > now => Some(retry),
            Trouble::Full { tell } if tell > now && !file.told => Some(tell),
            Trouble::Refused { .. } | Trouble::None | Trouble::Full { .. } => None,
        });
        retries.min()
    }

    /// The files that have refused and whose time has come.
    pub(super) fn due(&self) -> Vec<FileId> {
        let now = self.now();
        self.which(|file| matches!(file.trouble, Trouble::Refused { retry, .. } if retry <= now))
    }

    /// The second after this one.
    pub(super) fn soon(&self) -> Second {
        Second(self.now().0 + 1)
    }

    /// How long it is until that second.
    pub(super) fn until(&self, second: Second) -> Duration {
        let at = self.started + Duration::from_secs(second.0.into());
        at.saturating_duration_since(Instant::now())
    }

    /// The open file. To be called after [`Files::prepare`].
    pub(super) fn opened(&self, id: FileId) -> &File {
        let file = self.file(id).file.as_ref();
        file.expect("the file was prepared in this round")
    }

    /// The name of a file.
    pub(super) fn path(&self, id: FileId) -> &Arc<str> {
        &self.file(id).path
    }

    /// All files.
    pub(super) fn ids(&self) -> Vec<FileId> {
        self.by_path.values().copied().collect()
    }

    fn which(&self, wanted: impl Fn(&LogFile) -> bool) -> Vec<FileId> {
        let slots = (0..).map(FileId).zip(&self.slots);
        let wanted = slots.filter(|(_, file)| file.as_ref().is_some_and(&wanted));
        wanted.map(|(id, _)| id).collect()
    }

    fn tell_refuses(&mut self, id: FileId, why: impl FnOnce() -> String) {
        let file = self.file_mut(id);
        if !std::mem::replace(&mut file.told, true) {
            let report = Report::Refuses { target: Arc::clone(&file.path), why: why() };
            self.reports.push(report);
        }
    }

    fn tell_takes(&mut self, id: FileId) {
        let file = self.file_mut(id);
        if std::mem::take(&mut file.told) {
            let report = Report::Takes(Arc::clone(&file.path));
            self.reports.push(report);
        }
    }

    fn open(&mut self, id: FileId) -> io::Result<()> {
        if self.file(id).file.is_some() {
            return Ok(());
        }
        if self.open >= self.open_max {
            self.close_another();
        }
        let path = Arc::clone(&self.file(id).path);
        let mut opened = target::open(&path);
        if opened.as_ref().is_err_and(pipe::is_descriptor_limit) && self.close_another() {
            opened = target::open(&path);
        }
        let opened = opened?;
        let kind = if opened.file.metadata()?.is_file() { Kind::Regular } else { Kind::Onward };
        // A file with a name of its own is one, whoever else writes to it.
        let may_be_shared = kind == Kind::Onward || !is_ours_to_rename(&path);
        let outlet = if may_be_shared { self.output(&opened.file) } else { None };
        let file = self.file_mut(id);
        file.outlet = outlet;
        file.kind = kind;
        file.splices &= opened.is_ours;
        file.file = Some(opened.file);
        self.open += 1;
        Ok(())
    }

    fn close(&mut self, id: FileId) {
        if self.file_mut(id).file.take().is_some() {
            self.open -= 1;
        }
    }

    /// Closes some regular file, in turn, and says whether there was one.
    fn close_another(&mut self) -> bool {
        for _ in 0..self.slots.len() {
            self.hand = (self.hand + 1) % self.slots.len();
            if let Some(file) = &mut self.slots[self.hand]
                && file.kind == Kind::Regular
                && file.file.take().is_some()
            {
                self.open -= 1;
                return true;
            }
        }
        false
    }

    fn now(&self) -> Second {
        let seconds = self.started.elapsed().as_secs();
        Second(u32::try_from(seconds).unwrap_or(u32::MAX - RETRY_LONGEST - 1))
    }

    fn file(&self, id: FileId) -> &LogFile {
        let file = self.slots[id.0 as usize].as_ref();
        file.expect("a file is in the table while somebody uses it")
    }

    fn file_mut(&mut self, id: FileId) -> &mut LogFile {
        let file = self.slots[id.0 as usize].as_mut();
        file.expect("a file is in the table while somebody uses it")
    }
}

/// Whether something is worth a line in the main log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum News {
    Yes,
    No,
}

#[cfg(test)]
mod tests;
