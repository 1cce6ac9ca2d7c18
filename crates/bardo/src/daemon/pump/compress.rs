//! Old logs are compressed, beside the pump and one at a time.
//!
//! A thread of low priority reads a backup and writes its copy under a name that is in no
//! chain. It exists only while there is something to do, and gives no file a name that
//! matters: when it has ended, the pump, which alone moves logs about, looks where the
//! backup stands by now, and lets the copy take its place. So a rotation in between cannot
//! mix anything up, and nobody waits for anybody.
//!
//! One thing surprises a newcomer: nothing is kept of what is compressed already. Whether
//! there is work is seen by the names on the disk, which is why a pump that was killed needs
//! no record of it.

use std::collections::{HashSet, VecDeque};
use std::fs::{self, File, FileTimes, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, TryRecvError, channel};
use std::thread;

use flate2::{Compression as Level, GzBuilder};
use rustix::fs::OFlags;

use super::rotation::{self, Identity};
use super::worker::{Stage, Worker};
use super::{Severity, Shared};

/// How much is read at once, and between two looks whether it is in vain.
const BLOCK_BYTES: usize = 128 * 1024;

/// The lowest priority that the kernel knows; that of the disk follows from it.
const NICENESS: i32 = 19;

/// A log of which a backup may have to be compressed.
#[derive(Debug)]
pub(super) struct Aged {
    pub(super) path: Arc<str>,
    /// How many are kept.
    pub(super) backups: u32,
    pub(super) age: Age,
}

/// Why a log may have a backup that is not compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Age {
    /// It has just been rotated.
    Rotated,
    /// Somebody begins to use it.
    Inherited,
}

/// What is being compressed, and what waits for its turn.
#[derive(Debug, Default)]
pub(super) struct Compression {
    waiting: VecDeque<Log>,
    /// Their names: there may be as many as programs.
    queued: HashSet<Arc<str>>,
    running: Option<Job>,
    /// Logs of which it has been said that a backup cannot be compressed.
    told: HashSet<Arc<str>>,
}

/// A log whose backups are to be compressed.
#[derive(Debug)]
struct Log {
    path: Arc<str>,
    backups: u32,
}

/// A backup that is being compressed.
#[derive(Debug)]
struct Job {
    log: Log,
    name: PathBuf,
    identity: Identity,
    /// The log was rotated meanwhile.
    is_due_again: bool,
    /// Tells the thread that it works in vain.
    is_over: Arc<AtomicBool>,
    outcome: Receiver<io::Result<u64>>,
}

/// Something worth a line in the main log.
type News = Option<(Severity, String)>;

impl Worker {
    /// Goes on with old logs, if there is something to go on with.
    pub(super) fn compress(&mut self) {
        // The main log may be rotated by what is said here.
        while self.compress_silently() {
            self.write_main_log();
        }
    }

    /// Leaves it to the caller to write the main log, and says whether there is a line.
    fn compress_silently(&mut self) -> bool {
        for aged in self.files.aged() {
            self.compression.take(aged);
        }
        // What the last pump had in flight comes first.
        if self.stage != Stage::Flowing {
            return false;
        }
        let mut has_said = false;
        while let Some(news) = self.compression.go_on(&self.shared) {
            if let Some((severity, text)) = news {
                self.main_log.say(severity, &text);
                has_said = true;
            }
        }
        has_said
    }
}

impl Compression {
    /// A log may have a backup that is to be compressed.
    fn take(&mut self, aged: Aged) {
        let Aged { path, backups, age } = aged;
        if let Some(job) = self.running.as_mut().filter(|job| job.log.path == path) {
            job.is_due_again |= age == Age::Rotated;
            return;
        }
        let is_queued = self.queued.contains(&path);
        if !is_queued && (age == Age::Rotated || self.was_left(&path)) {
            self.queue(Log { path, backups });
        }
    }

    fn queue(&mut self, log: Log) {
        self.queued.insert(Arc::clone(&log.path));
        self.waiting.push_back(log);
    }

    /// Whether a pump that was killed has left something to do. What it had begun is begun
    /// anew.
    fn was_left(&self, path: &Arc<str>) -> bool {
        let was_begun = fs::remove_file(rotation::unfinished(Path::new(&**path))).is_ok();
        let newest = fs::symlink_metadata(rotation::newest(Path::new(&**path)));
        // Where it has failed, it is tried again when the log is rotated.
        !self.told.contains(path) && (was_begun || newest.is_ok())
    }

    /// Does the next thing; `None` if there is none at present.
    fn go_on(&mut self, shared: &Arc<Shared>) -> Option<News> {
        let Some(job) = &self.running else {
            let log = self.waiting.pop_front()?;
            self.queued.remove(&log.path);
            return Some(self.start(log, shared));
        };
        let outcome = match job.outcome.try_recv() {
            Ok(outcome) => outcome,
            Err(TryRecvError::Empty) => return None,
            Err(TryRecvError::Disconnected) => Err(io::Error::other("its thread has panicked")),
        };
        let job = self.running.take()?;
        shared.pulse.touch_other(&job.log.path);
        Some(self.finish(job, outcome))
    }

    /// Begins with the newest backup that is not compressed.
    fn start(&mut self, log: Log, shared: &Arc<Shared>) -> News {
        shared.pulse.touch_other(&log.path);
        let Some(name) = rotation::newest_plain(Path::new(&*log.path), log.backups) else {
            let text = || format!("old logs of {} are compressed again", log.path);
            return self.told.remove(&log.path).then(|| (Severity::Information, text()));
        };
        match begin(&log.path, &name, shared) {
            Ok((identity, is_over, outcome)) => {
                let is_due_again = false;
                self.running = Some(Job { log, name, identity, is_due_again, is_over, outcome });
                None
            }
            Err(error) => self.failed(&log.path, &name, &error),
        }
    }

    /// A copy is made, or cannot be made.
    fn finish(&mut self, job: Job, outcome: io::Result<u64>) -> News {
        let path = Path::new(&*job.log.path);
        let placed = outcome.and_then(|bytes| {
            match rotation::find(path, job.log.backups, job.identity) {
                Some((number, length)) if length == bytes => rotation::replace(path, number),
                Some(_) => Err(io::Error::other("somebody writes to it")),
                // It was too old meanwhile, or somebody has taken it away.
                None => fs::remove_file(rotation::unfinished(path)),
            }
        });
        match placed {
            Ok(()) => {
                self.queue(job.log);
                None
            }
            Err(error) => {
                let _ = fs::remove_file(rotation::unfinished(path));
                let news = self.failed(&job.log.path, &job.name, &error);
                if job.is_due_again {
                    self.queue(job.log);
                }
                news
            }
        }
    }

    /// The backup stays as it is. That is said once, and tried again when the log is rotated.
    fn failed(&mut self, path: &Arc<str>, name: &Path, error: &io::Error) -> News {
        let text = format!("cannot compress {}: {error}; it stays as it is", name.display());
        self.told.insert(Arc::clone(path)).then_some((Severity::Warning, text))
    }

    /// A log is no more.
    pub(super) fn forget(&mut self, path: &Arc<str>) {
        if self.queued.remove(path) {
            self.waiting.retain(|log| log.path != *path);
        }
        self.told.remove(path);
    }

    /// The pump ends. What is half done is left to the next one.
    pub(super) fn abandon(&mut self) {
        self.waiting.clear();
        self.queued.clear();
        if let Some(job) = self.running.take() {
            job.is_over.store(true, Ordering::Relaxed);
            let _ = fs::remove_file(rotation::unfinished(Path::new(&*job.log.path)));
        }
    }
}

/// What a thread that compresses is known by.
type Begun = (Identity, Arc<AtomicBool>, Receiver<io::Result<u64>>);

/// Starts the thread. It wakes the pump when it ends, however it ends.
fn begin(path: &str, name: &Path, shared: &Arc<Shared>) -> io::Result<Begun> {
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let source = OpenOptions::new().read(true).custom_flags(flags.bits() as i32).open(name)?;
    let identity = Identity::of(&source.metadata()?);
    let (sender, outcome) = channel();
    let is_over = Arc::new(AtomicBool::new(false));
    let (copy, told, wake) =
        (rotation::unfinished(Path::new(path)), Arc::clone(&is_over), Wake(Arc::clone(shared)));
    thread::Builder::new().name("log-compressor".into()).spawn(move || {
        // Dropped behind the sender, so that who is woken sees what became of it.
        let _wake = wake;
        let sender = sender;
        // A thread's own on Linux. Without it, all is done as well, only less politely.
        let _ = rustix::process::setpriority_process(None, NICENESS);
        let written = make_copy(&source, &copy, &told);
        if written.is_err() {
            let _ = fs::remove_file(&copy);
        }
        // A pump that has ended needs no answer.
        let _ = sender.send(written);
    })?;
    Ok((identity, is_over, outcome))
}

/// Wakes the pump when it is dropped.
struct Wake(Arc<Shared>);

impl Drop for Wake {
    fn drop(&mut self) {
        self.0.waker.wake();
    }
}

/// Makes the compressed copy of a file, and says how many of its bytes are in it.
///
/// The copy is on the disk when this returns: the plain file, which has long been there,
/// ends because of it, and a loss of power must not take both.
fn make_copy(source: &File, name: &Path, is_over: &AtomicBool) -> io::Result<u64> {
    let (copy, bytes) = write_copy(source, name, is_over)?;
    copy.sync_all()?;
    Ok(bytes)
}

fn write_copy(mut source: &File, name: &Path, is_over: &AtomicBool) -> io::Result<(File, u64)> {
    let metadata = source.metadata()?;
    match fs::remove_file(name) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let copy = OpenOptions::new().write(true).create_new(true).mode(0o600).open(name)?;
    let own = copy.metadata()?;
    if (own.uid(), own.gid()) != (metadata.uid(), metadata.gid()) {
        std::os::unix::fs::fchown(&copy, Some(metadata.uid()), Some(metadata.gid()))?;
    }
    copy.set_permissions(metadata.permissions())?;
    let time = u32::try_from(metadata.mtime()).unwrap_or(0);
    let mut encoder = GzBuilder::new().mtime(time).write(&copy, Level::default());
    let mut block = vec![0; BLOCK_BYTES];
    let mut bytes = 0;
    loop {
        if is_over.load(Ordering::Relaxed) {
            return Err(io::ErrorKind::Interrupted.into());
        }
        let read = source.read(&mut block)?;
        if read == 0 {
            break;
        }
        io::Write::write_all(&mut encoder, &block[..read])?;
        bytes += read as u64;
    }
    encoder.finish()?;
    copy.set_times(FileTimes::new().set_modified(metadata.modified()?))?;
    Ok((copy, bytes))
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::read::MultiGzDecoder;
    use proptest::prelude::*;
    use tempfile::TempDir;

    use super::*;

    /// What happens to a log.
    #[derive(Debug, Clone, Copy)]
    enum Event {
        Write(u16),
        /// A rotation, cut after so many steps.
        Rotate(usize),
        /// A backup is compressed, with whole rotations while its copy is made.
        Compress {
            rotations: u8,
            cut: Cut,
        },
        /// A pump begins where another one was killed.
        Inherit,
    }

    /// Where the compression of a backup is cut.
    #[derive(Debug, Clone, Copy)]
    enum Cut {
        /// The copy is torn after so many bytes.
        Torn(u8),
        /// So many steps of its taking the place are done.
        Steps(usize),
    }

    fn event() -> impl Strategy<Value = Event> {
        let cut = prop_oneof![any::<u8>().prop_map(Cut::Torn), (0..=2_usize).prop_map(Cut::Steps)];
        prop_oneof![
            (1..2_000_u16).prop_map(Event::Write),
            prop_oneof![Just(usize::MAX), 0..8_usize].prop_map(Event::Rotate),
            (0..3_u8, cut).prop_map(|(rotations, cut)| Event::Compress { rotations, cut }),
            Just(Event::Inherit),
        ]
    }

    /// A log, and all that was ever written to it.
    struct Written {
        _directory: TempDir,
        path: PathBuf,
        backups: u32,
        bytes: Vec<u8>,
    }

    impl Written {
        fn new(backups: u32) -> Self {
            let directory = tempfile::tempdir().unwrap();
            let path = directory.path().join("log");
            Self { _directory: directory, path, backups, bytes: Vec::new() }
        }

        fn undergo(&mut self, event: Event) {
            match event {
                Event::Write(length) => {
                    let begin = self.bytes.len();
                    // Every four bytes tell where they belong.
                    let bytes = (begin..begin + usize::from(length))
                        .map(|place| (place / 4).to_le_bytes()[place % 4]);
                    self.bytes.extend(bytes);
                    let log = OpenOptions::new().append(true).create(true).open(&self.path);
                    log.unwrap().write_all(&self.bytes[begin..]).unwrap();
                }
                Event::Rotate(steps) => self.rotate(steps),
                Event::Compress { rotations, cut } => self.compress(rotations, cut),
                Event::Inherit => {
                    let path = self.path.to_str().unwrap().into();
                    Compression::default().was_left(&path);
                    assert!(!rotation::unfinished(&self.path).exists());
                }
            }
        }

        fn rotate(&self, steps: usize) {
            if self.path.exists() {
                let steps = rotation::shifting(&self.path, self.backups).into_iter().take(steps);
                steps.for_each(|step| rotation::perform(&step).unwrap());
            }
        }

        fn compress(&self, rotations: u8, cut: Cut) {
            let Some(name) = rotation::newest_plain(&self.path, self.backups) else { return };
            let source = File::open(name).unwrap();
            let identity = Identity::of(&source.metadata().unwrap());
            let copy = rotation::unfinished(&self.path);
            let (_, bytes) = write_copy(&source, &copy, &AtomicBool::new(false)).unwrap();
            for _ in 0..rotations {
                self.rotate(usize::MAX);
            }
            match cut {
                Cut::Torn(length) => {
                    let copy = OpenOptions::new().write(true).open(copy).unwrap();
                    let length = copy.metadata().unwrap().len().min(length.into());
                    copy.set_len(length).unwrap();
                }
                Cut::Steps(steps) => {
                    if let Some(found) = rotation::find(&self.path, self.backups, identity) {
                        assert_eq!(found.1, bytes);
                        let steps =
                            rotation::replacing(&self.path, found.0).into_iter().take(steps);
                        steps.for_each(|step| rotation::perform(&step).unwrap());
                    }
                }
            }
        }

        /// What all files hold, from the oldest on.
        fn found(&self) -> Vec<u8> {
            let mut bytes = Vec::new();
            for number in (1..=64).rev() {
                let plain = format!("{}.{number}", self.path.display());
                match (fs::read(&plain), File::open(format!("{plain}.gz"))) {
                    (Ok(plain), _) => bytes.extend(plain),
                    (_, Ok(compressed)) => {
                        MultiGzDecoder::new(compressed).read_to_end(&mut bytes).unwrap();
                    }
                    _ => {}
                }
            }
            bytes.extend(fs::read(&self.path).unwrap_or_default());
            bytes
        }
    }

    /// Each case makes tens of files, and some file systems wait for the disk when one
    /// replaces another.
    const CASES: u32 = 48;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(CASES))]

        #[test]
        fn all_that_was_written_is_there_whatever_is_cut(
            events in proptest::collection::vec(event(), 1..24),
        ) {
            let mut log = Written::new(64);
            for event in events {
                log.undergo(event);
                prop_assert!(log.found() == log.bytes, "after {event:?}");
            }
        }

        #[test]
        fn a_chain_of_few_backups_loses_the_oldest_only(
            events in proptest::collection::vec(event(), 1..48),
            backups in 1..4_u32,
        ) {
            let mut log = Written::new(backups);
            for event in events {
                log.undergo(event);
                prop_assert!(log.bytes.ends_with(&log.found()), "after {event:?}");
            }
        }
    }

    #[test]
    fn a_copy_is_like_its_original() {
        use std::os::unix::fs::PermissionsExt as _;
        let directory = tempfile::tempdir().unwrap();
        let (plain, copy) = (directory.path().join("log.1"), directory.path().join("copy"));
        let text = "a line that comes again\n".repeat(20_000);
        fs::write(&plain, &text).unwrap();
        fs::set_permissions(&plain, fs::Permissions::from_mode(0o640)).unwrap();
        // Something of a former attempt is in the way.
        fs::write(&copy, "torn").unwrap();

        let bytes = make_copy(&File::open(&plain).unwrap(), &copy, &AtomicBool::new(false));

        assert_eq!(bytes.unwrap(), text.len() as u64);
        let mut found = String::new();
        MultiGzDecoder::new(File::open(&copy).unwrap()).read_to_string(&mut found).unwrap();
        assert!(found == text);
        let (old, new) = (fs::metadata(&plain).unwrap(), fs::metadata(&copy).unwrap());
        assert_eq!((new.mode(), new.uid(), new.gid()), (old.mode(), old.uid(), old.gid()));
        assert_eq!(new.modified().unwrap(), old.modified().unwrap());
        assert!(new.len() < old.len() / 10);
    }

    /// A log with one backup and its whole copy, and the job that has made it.
    fn made(directory: &TempDir) -> (PathBuf, Job) {
        let path = directory.path().join("log");
        let (name, copy) = (rotation::newest(&path), rotation::unfinished(&path));
        fs::write(&name, "text").unwrap();
        let source = File::open(&name).unwrap();
        write_copy(&source, &copy, &AtomicBool::new(false)).unwrap();
        let identity = Identity::of(&source.metadata().unwrap());
        let log = Log { path: path.to_str().unwrap().into(), backups: 2 };
        let (_, outcome) = channel();
        (path, Job { log, name, identity, is_due_again: false, is_over: Arc::default(), outcome })
    }

    #[test]
    fn a_backup_that_has_grown_meanwhile_stays() {
        let directory = tempfile::tempdir().unwrap();
        let (path, job) = made(&directory);
        fs::write(rotation::newest(&path), "text and more").unwrap();

        let news = Compression::default().finish(job, Ok(4));

        let (severity, text) = news.unwrap();
        assert!(severity == Severity::Warning && text.contains("somebody writes to it"), "{text}");
        assert_eq!(fs::read_to_string(rotation::newest(&path)).unwrap(), "text and more");
        assert!(!rotation::unfinished(&path).exists());
    }

    #[test]
    fn the_copy_of_a_backup_that_is_kept_no_more_goes_with_it() {
        let directory = tempfile::tempdir().unwrap();
        let (path, job) = made(&directory);
        fs::remove_file(rotation::newest(&path)).unwrap();

        assert_eq!(Compression::default().finish(job, Ok(4)), None);

        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_log_waits_once_however_often_it_is_named() {
        let path: Arc<str> = "/nonexistent/log".into();
        let aged = |age| Aged { path: Arc::clone(&path), backups: 2, age };
        let mut compression = Compression::default();

        for age in [Age::Inherited, Age::Rotated, Age::Rotated, Age::Inherited] {
            compression.take(aged(age));
        }
        assert_eq!(compression.waiting.len(), 1);
        compression.forget(&path);
        assert_eq!((compression.waiting.len(), compression.queued.len()), (0, 0));
    }

    #[test]
    fn work_in_vain_is_left() {
        let directory = tempfile::tempdir().unwrap();
        let plain = directory.path().join("log.1");
        fs::write(&plain, "text").unwrap();
        let source = File::open(&plain).unwrap();

        let bytes = write_copy(&source, &directory.path().join("copy"), &AtomicBool::new(true));

        assert!(bytes.is_err());
    }
}
