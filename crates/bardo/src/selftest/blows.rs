//! What is done to the supervisor: it is killed, it is stopped and goes on, and it is stopped
//! and left like this, until the keeper has had enough.

use std::io;
use std::thread;
use std::time::{Duration, Instant};

use super::cast;
use super::client::Info;
use super::home::{send, wait_until};
use super::interruption;
use super::lines::Random;
use super::report::Report;
use super::soak::{self, Sample};
use super::survival::{Scene, Survival};

/// Of so many kills one comes while the new supervisor takes over.
const EARLY_KILLS: u64 = 6;

/// How soon such a kill comes after the one before, at most.
const EARLY_MAX: Duration = Duration::from_millis(20);

/// The first look at descriptors and memory comes after this time.
const WARM_AFTER: Duration = Duration::from_secs(60);

/// Supervisors that are looked at each time: how much of its journal one touches, and of
/// what it shares with programs, is a matter of the moment.
const TAKE_OVERS: usize = 5;

/// SIGSTOP and SIGCONT.
const STOP: i32 = 19;
const CONTINUE: i32 = 18;

/// All blows of one test.
pub(super) struct Blows<'a> {
    survival: &'a Survival,
    scene: Scene<'a>,
    before: &'a [Info],
    random: Random,
    report: &'a mut Report,
}

impl<'a> Blows<'a> {
    /// For the programs as they were before.
    pub(super) fn new(
        survival: &'a Survival,
        scene: Scene<'a>,
        before: &'a [Info],
        report: &'a mut Report,
    ) -> Self {
        Self { survival, scene, before, random: Random::new(survival.seed), report }
    }

    /// Strikes as often as is wanted, over the time that is wanted.
    ///
    /// # Errors
    /// When there is no supervisor any more, or a signal ends the test.
    pub(super) fn strike_all(&mut self) -> io::Result<()> {
        let began = Instant::now();
        let Survival { kills, hangs, span, soaks, .. } = *self.survival;
        let all = u64::try_from(kills + hangs).unwrap_or(1).max(1);
        let pause = u64::try_from(span.as_micros()).unwrap_or(0) / all;
        let mut first = None;
        while self.report.kills < kills || self.report.hangs() < hangs {
            // One moment of chance in each part of the time. Blows that took long are made up
            // for.
            let done = u64::try_from(self.report.kills + self.report.hangs()).unwrap_or(0);
            let due = Duration::from_micros(pause * done + self.random.below(pause));
            interruption::sleep(due.saturating_sub(began.elapsed()))?;
            if soaks && first.is_none() && began.elapsed() > WARM_AFTER {
                first = Some(self.sample()?);
            }
            let left = (kills - self.report.kills, hangs - self.report.hangs());
            let place = self.random.below((left.0 + left.1) as u64);
            // The first two are stops: the first look is to come after one of each kind.
            let is_stop = self.report.hangs() < hangs.min(2) || place >= left.0 as u64;
            match (is_stop, self.report.hangs() % 2) {
                (false, _) => self.kill()?,
                (true, 0) => self.hang()?,
                (true, _) => self.hold_up()?,
            }
        }
        self.report.lasted = began.elapsed();
        if let Some(first) = first {
            self.report.soak = Some((first, self.sample()?));
        }
        Ok(())
    }

    /// Kills the supervisor, sometimes twice in a row.
    fn kill(&mut self) -> io::Result<()> {
        let daemon = self.scene.daemon;
        let mut killed_at = Instant::now();
        let mut killed = daemon.kill_supervisor()?;
        self.report.kills += 1;
        if self.report.kills < self.survival.kills && self.random.below(EARLY_KILLS) == 0 {
            wait_until("the next supervisor", || daemon.supervisor().is_some())?;
            let moment = u64::try_from(EARLY_MAX.as_micros()).unwrap_or(0);
            thread::sleep(Duration::from_micros(self.random.below(moment)));
            killed_at = Instant::now();
            killed = daemon.kill_supervisor()?;
            self.report.kills += 1;
            self.report.early_kills += 1;
        }
        let took = self.first_answer(killed_at)?;
        self.report.answers.push(took);
        self.compare(&format!("after the death of {killed}"));
        Ok(())
    }

    /// Stops the supervisor and leaves it so. Programs end all the time, so something is
    /// owed soon, and the keeper kills it.
    fn hang(&mut self) -> io::Result<()> {
        let daemon = self.scene.daemon;
        let stopped = self.stop()?;
        let began = Instant::now();
        wait_until("the keeper to replace one that hangs", || {
            daemon.supervisor().is_some_and(|now| now.identity() != stopped)
        })?;
        let took = self.first_answer(began)?;
        self.report.hang_answers.push(took);
        self.compare(&format!("after {} hung", stopped.0));
        Ok(())
    }

    /// Stops the supervisor, and has it go on before the keeper has had enough.
    fn hold_up(&mut self) -> io::Result<()> {
        let (pid, _) = self.stop()?;
        let most = cast::hang_timeout(self.survival) * 1_000_000 / 2;
        thread::sleep(Duration::from_micros(self.random.below(most)));
        // On a machine without time for anybody the keeper may have killed it.
        let _ = send(pid, CONTINUE);
        self.first_answer(Instant::now())?;
        self.report.hold_ups += 1;
        self.compare(&format!("after {pid} was held up"));
        Ok(())
    }

    fn stop(&self) -> io::Result<(u32, u64)> {
        let mut stopped = None;
        wait_until("a supervisor to stop", || {
            stopped = self.scene.daemon.supervisor().filter(|stat| send(stat.pid, STOP).is_ok());
            stopped.is_some()
        })?;
        stopped.map(|stat| stat.identity()).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    /// Asks again and again until somebody answers; how long ago it began then.
    fn first_answer(&self, began: Instant) -> io::Result<Duration> {
        let mut last = None;
        let answered = wait_until("an answer", || match self.scene.daemon.client().state() {
            Ok(_) => true,
            Err(error) => {
                last = Some(error);
                false
            }
        });
        let took = began.elapsed();
        answered.map(|()| took).map_err(|error| match last {
            Some(last) if error.kind() == io::ErrorKind::TimedOut => {
                io::Error::other(format!("{error}: {last}"))
            }
            _ => error,
        })
    }

    fn compare(&mut self, when: &str) {
        let Scene { daemon, findings, .. } = self.scene;
        self.report.children_lost += cast::compare(daemon, when, self.before, findings);
    }

    /// Looks at descriptors and memory, while nothing happens.
    fn sample(&mut self) -> io::Result<Sample> {
        let Scene { board, daemon, .. } = self.scene;
        board.pause(true);
        soak::wait_for_rest(self.scene)?;
        cast::wait_for_no_stranger(daemon)?;
        soak::shorten_journal(daemon)?;
        let samples: io::Result<Vec<Sample>> =
            (0..TAKE_OVERS).map(|_| self.sample_next_one()).collect();
        board.pause(false);
        Ok(soak::median(&samples?))
    }

    /// Looks at a supervisor that has just taken over.
    fn sample_next_one(&mut self) -> io::Result<Sample> {
        let daemon = self.scene.daemon;
        let killed_at = Instant::now();
        daemon.kill_supervisor()?;
        self.report.kills_more += 1;
        self.first_answer(killed_at)?;
        soak::wait_for_rest(self.scene)?;
        self.compare("at rest");
        soak::look(daemon)
    }
}
