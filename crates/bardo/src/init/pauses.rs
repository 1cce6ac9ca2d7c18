//! Pauses between one start of a service and the next, where its init system has none that
//! grow: noted in a file, doubled from start to start, a minute at most.

use std::fs;
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bardo_sys::poll::{self, Room};
use bardo_sys::signals::SignalReader;
use rustix::process::Signal;

/// The longest pause; one that has run for so long begins anew with none.
const LONGEST: Duration = Duration::from_secs(60);

/// How often in a row one is started again at once that had been ready: who was killed a few
/// times, or asked for a restart, does not fail. One that is killed as soon as it is ready, again
/// and again, does.
const FORGIVEN: u64 = 25;

/// In what a file of notes counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Seconds: as the scripts of Upstart do.
    Seconds,
    /// Tenths of a second, which is the shortest pause of systemd.
    Tenths,
}

impl Unit {
    fn per_second(self) -> u64 {
        match self {
            Self::Seconds => 1,
            Self::Tenths => 10,
        }
    }

    /// So many of it.
    #[must_use]
    pub fn time(self, count: u64) -> Duration {
        Duration::from_millis(count.saturating_mul(1000) / self.per_second())
    }

    /// What the clock says.
    #[must_use]
    pub fn now(self) -> u64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX) / (1000 / self.per_second())
    }
}

/// What is noted of a start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Start {
    /// When it is or was, by the clock.
    pub began: u64,
    /// After which pause.
    pub pause: u64,
    /// How many in a row up to this one had no pause because the one before was ready.
    pub forgiven: u64,
}

/// When a service was last started, and after which pause.
#[derive(Debug)]
pub struct Notes {
    path: PathBuf,
    unit: Unit,
}

impl Notes {
    /// Notes in a file.
    #[must_use]
    pub fn new(path: PathBuf, unit: Unit) -> Self {
        Self { path, unit }
    }

    /// Those of a service whose init system has no pauses: in a folder that only root can
    /// write in, because it is root who writes.
    #[must_use]
    pub fn of(name: &str) -> Self {
        Self::new(Path::new("/run").join(format!("{name}.pauses")), Unit::Seconds)
    }

    /// The last start. Upstart's script notes no third number.
    fn read(&self) -> Option<Start> {
        let text = fs::read_to_string(&self.path).ok()?;
        let mut numbers = text.split_whitespace().map(str::parse);
        let (began, pause) = (numbers.next()?.ok()?, numbers.next()?.ok()?);
        Some(Start { began, pause, forgiven: numbers.next().and_then(Result::ok).unwrap_or(0) })
    }

    /// The next start, now or after a pause: none after a minute's run, else twice the last.
    /// It is also none where the last one `was_ready`, unless that has been so many times.
    #[must_use]
    pub fn next(&self, now: u64, was_ready: bool) -> Start {
        let longest = LONGEST.as_secs() * self.unit.per_second();
        // A start that lies further ahead is one before the clock was set.
        let last = self.read().filter(|last| now.abs_diff(last.began) < longest);
        let Some(last) = last else { return Start { began: now, ..Start::default() } };
        if was_ready && last.forgiven < FORGIVEN {
            return Start { began: now, pause: 0, forgiven: last.forgiven + 1 };
        }
        let pause = last.pause.saturating_mul(2).clamp(1, longest);
        Start { began: now + pause, pause, ..last }
    }

    /// Notes a start, which may be one that is still to come. Where that cannot be written,
    /// pauses do not grow.
    pub fn write(&self, Start { began, pause, forgiven }: Start) {
        let _ = fs::write(&self.path, format!("{began} {pause} {forgiven}\n"));
    }

    /// The next start is the first.
    pub fn remove(&self) {
        let _ = fs::remove_file(&self.path);
    }

    /// Whether a service has been started at least three times since it last ran for a minute.
    #[must_use]
    pub fn have_grown(&self) -> bool {
        self.read().is_some_and(|last| last.pause > 1)
    }
}

/// What is told of a pause that begins.
#[must_use]
pub fn told(time: Duration) -> String {
    format!("it has ended again and again: the next start is in {time:?}, or now on a reload (HUP)")
}

/// Signals that end a pause and a service.
pub const STOPS: [Signal; 3] = [Signal::TERM, Signal::INT, Signal::QUIT];

/// What ended a pause.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Waited {
    /// Its time was over.
    ToTheEnd,
    /// Somebody wants the next start now, or, where it has not ended, a reload.
    UntilReload,
    /// Somebody wants no start any more, by this signal.
    UntilStop(Signal),
}

/// Waits for as long; a reload means that the next start is wanted now.
#[must_use]
pub fn wait(reader: &SignalReader, time: Duration) -> Waited {
    let deadline = Instant::now() + time;
    loop {
        while let Some(number) = reader.next() {
            if let Some(stop) = STOPS.into_iter().find(|signal| signal.as_raw() == number) {
                return Waited::UntilStop(stop);
            }
            if number == Signal::HUP.as_raw() {
                return Waited::UntilReload;
            }
        }
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Waited::ToTheEnd;
        }
        let nanoseconds = u64::try_from(left.as_nanos()).unwrap_or(u64::MAX);
        let _ = poll::two(reader.as_fd(), None, Room(false), Some(nanoseconds));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(unit: Unit) -> Vec<u64> {
        let room = tempfile::tempdir().unwrap();
        let notes = Notes::new(room.path().join("notes"), unit);
        let mut seen = Vec::new();
        let mut now = 1000;
        for _ in 0..12 {
            let next = notes.next(now, false);
            assert_eq!(next.began, now + next.pause);
            now = next.began + 1;
            notes.write(next);
            seen.push(next.pause);
        }
        assert!(notes.have_grown());
        assert_eq!(notes.next(now + 60 * unit.per_second(), false).pause, 0);
        notes.remove();
        assert!(!notes.have_grown());
        assert_eq!(notes.next(now, false).pause, 0);
        seen
    }

    #[test]
    fn pauses_double_up_to_a_minute_and_begin_anew_after_a_run() {
        assert_eq!(seen(Unit::Seconds), [0, 1, 2, 4, 8, 16, 32, 60, 60, 60, 60, 60]);
        let tenths = seen(Unit::Tenths);
        assert_eq!(tenths, [0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 600]);
        assert_eq!(Unit::Tenths.time(tenths[11]), LONGEST);
    }

    #[test]
    fn one_that_was_ready_is_started_at_once_unless_that_has_no_end() {
        let room = tempfile::tempdir().unwrap();
        let notes = Notes::new(room.path().join("notes"), Unit::Tenths);
        let start = |was_ready| {
            let next = notes.next(1000, was_ready);
            notes.write(Start { began: 1000, ..next });
            next.pause
        };
        let pauses = |was_ready, count| (0..count).map(|_| start(was_ready)).collect::<Vec<_>>();

        assert_eq!(pauses(false, 3), [0, 1, 2]);
        assert_eq!(pauses(true, 25), [0; 25]);
        assert_eq!(pauses(true, 3), [1, 2, 4]);
        assert_eq!(notes.next(1600, true).pause, 0);
    }

    #[test]
    fn notes_that_make_no_sense_are_none() {
        let room = tempfile::tempdir().unwrap();
        let notes = Notes::new(room.path().join("notes"), Unit::Seconds);
        for text in ["", "x 1", "7", "99999999999999999999 1"] {
            fs::write(&notes.path, text).unwrap();
            assert_eq!(notes.next(8, false).pause, 0, "{text}");
        }
        fs::write(&notes.path, "1000 30").unwrap();
        assert_eq!(notes.next(8, false).pause, 0, "the clock was set");
        fs::write(&notes.path, format!("7 {}", u64::MAX)).unwrap();
        assert_eq!(notes.next(8, false).pause, 60);
    }
}
