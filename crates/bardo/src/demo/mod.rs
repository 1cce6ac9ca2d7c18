//! `bardo demo`: three programs, kept alive before one's eyes.
//!
//! It writes an ordinary Supervisor configuration into a folder of its own and runs
//! the ordinary daemon on it; the programs are hidden faces of this same binary. It
//! watches from outside, through the daemon's socket, as any client would.

mod ask;
mod daemon;
mod folder;
mod programs;
mod screen;
mod story;

use std::ffi::OsString;
use std::io;
use std::os::fd::AsFd;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use bardo_sys::poll::{self, Room};
use bardo_sys::signals::SignalReader;

use self::ask::Process;
use self::daemon::Daemon;
use self::folder::Folder;
use self::screen::Screen;
use self::story::Story;
use crate::client::Client;

/// Signals that end the demo: a lost terminal, Ctrl-C, a polite end.
const ENDING: [i32; 3] = [1, 2, 15];

/// How often the daemon is asked how its programs are. A person sees no more.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// How long the daemon may take to answer for the first time, and after the death of
/// a supervisor.
const ANSWER_WITHIN: Duration = Duration::from_secs(20);

/// How soon an answer is asked for again that has not come.
const ASK_AGAIN: Duration = Duration::from_millis(2);

/// Runs one of the demo's programs, if the words name one.
#[must_use]
pub fn act(words: &[OsString]) -> Option<ExitCode> {
    let words: Vec<&str> = words.iter().filter_map(|word| word.to_str()).collect();
    let (name, words) = words.split_first()?;
    programs::main(name, words)
}

/// Shows three programs that are kept running while they, and the supervisor itself, are
/// killed, for this time or until Ctrl-C.
#[must_use]
pub fn main(span: Option<Duration>) -> ExitCode {
    match show(span) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bardo demo: {error}");
            ExitCode::FAILURE
        }
    }
}

/// What ended a wait.
enum Woken {
    /// The user has seen enough.
    Ended,
    /// The supervisor has died.
    SupervisorDied,
    /// The time is over.
    Time,
}

/// The demo, from its folder to its end.
fn show(span: Option<Duration>) -> io::Result<()> {
    // Before anything is made that would have to be removed.
    let signals = SignalReader::new(&ENDING)?;
    let folder = Folder::make()?;
    let shown = run(&folder, &signals, span);
    folder.remove().and(shown)
}

fn run(folder: &Folder, signals: &SignalReader, span: Option<Duration>) -> io::Result<()> {
    let client = ask::client(folder.socket())?;
    let mut watch = Watch { folder, signals, client, daemon: Daemon::start(folder)? };
    let watched = watch.watch(span);
    watch.daemon.stop().and(watched)
}

/// What is needed to watch.
struct Watch<'a> {
    folder: &'a Folder,
    signals: &'a SignalReader,
    client: Client,
    daemon: Daemon,
}

impl Watch<'_> {
    /// Shows what happens until the user has seen enough or the time is over.
    fn watch(&mut self, span: Option<Duration>) -> io::Result<()> {
        let until = span.map(|span| Instant::now() + span);
        let all_run = |processes: &[Process]| processes.iter().all(|process| process.pid != 0);
        let Some((processes, _)) = self.answer(all_run)? else { return Ok(()) };
        let (mut screen, mut story) = (Screen::new(), Story::new());
        screen.begin(self.folder, &self.daemon);
        let news = story.saw(&processes);
        screen.show(self.folder, &self.daemon, &processes, &news);
        loop {
            let look_at = Instant::now() + LOOK_EVERY;
            let (processes, news) = match self.wait(until.map_or(look_at, |at| at.min(look_at))) {
                Woken::Ended => break,
                Woken::Time if until.is_some_and(|until| until <= Instant::now()) => break,
                Woken::Time => {
                    self.daemon.check()?;
                    // A supervisor that is just dying gives none; the next wait finds out.
                    let Ok(processes) = ask::processes(&mut self.client) else { continue };
                    self.daemon.keep(&processes);
                    let news = story.saw(&processes);
                    (processes, news)
                }
                Woken::SupervisorDied => {
                    let (former, died) = (self.daemon.supervisor(), Instant::now());
                    let Some((processes, answered)) = self.answer(|_| true)? else { break };
                    let (present, gap) = (self.daemon.supervisor(), answered - died);
                    let news = story.taken_over(former, present, gap, &processes);
                    (processes, news)
                }
            };
            screen.show(self.folder, &self.daemon, &processes, &news);
        }
        screen.end(self.folder);
        Ok(())
    }

    /// Waits for a signal, for the supervisor's death, or until a moment.
    fn wait(&self, until: Instant) -> Woken {
        let left = nanoseconds(until.saturating_duration_since(Instant::now()));
        let supervisor = self.daemon.supervisor_fd();
        let ready = poll::two(self.signals.as_fd(), supervisor, Room(false), Some(left));
        if ready.first && self.signals.next().is_some() {
            Woken::Ended
        } else if ready.second {
            Woken::SupervisorDied
        } else {
            Woken::Time
        }
    }

    /// Asks until there is an answer that will do and a supervisor that may have
    /// given it, and says when it came; `None` when the user has seen enough.
    fn answer(
        &mut self,
        will_do: impl Fn(&[Process]) -> bool,
    ) -> io::Result<Option<(Vec<Process>, Instant)>> {
        let give_up_at = Instant::now() + ANSWER_WITHIN;
        loop {
            self.daemon.check()?;
            let asked = ask::processes(&mut self.client).map_err(io::Error::other);
            let answered = Instant::now();
            let there = asked.and_then(|there| self.daemon.find_supervisor().map(|()| there));
            match there {
                Ok(processes) if will_do(&processes) => {
                    self.daemon.keep(&processes);
                    return Ok(Some((processes, answered)));
                }
                Err(error) if answered > give_up_at => return Err(error),
                Ok(_) if answered > give_up_at => {
                    return Err(io::Error::other("the programs do not start"));
                }
                Ok(_) | Err(_) => {}
            }
            let pause = Some(nanoseconds(ASK_AGAIN));
            let ready = poll::two(self.signals.as_fd(), None, Room(false), pause);
            if ready.first && self.signals.next().is_some() {
                return Ok(None);
            }
        }
    }
}

fn nanoseconds(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}
