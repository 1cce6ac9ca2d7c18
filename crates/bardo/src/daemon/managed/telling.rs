//! What whoever has started the daemon is told of it: that it is ready, how it is, that it
//! loads its configuration again, that it stops.
//!
//! The keeper does the telling, because it is whom a service manager knows. Nobody is told
//! anything where nobody listens.

use std::fs;
use std::io;
use std::path::Path;

use bardo_core::service::StateName;
use bardo_core::{Mood, Supervisor};
use bardo_sys::clock;

use super::folder;
use super::reloads;
use crate::daemon::main_log::Level;
use crate::daemon::world::Machine;
use crate::names::namespec;

/// How long, in nanoseconds, the next line waits that says how all is. Programs that crash
/// all the time are not to keep a service manager busy.
const STATUS_EVERY: u64 = 1_000_000_000;

/// How often, in nanoseconds, more time is asked for while programs stop, and how much it is
/// in microseconds. They stop within times of their own, so it ends.
const EXTEND_EVERY: u64 = 5_000_000_000;
const EXTEND_BY: u64 = 15_000_000;

/// Most names of one kind in a line.
const NAMES_MAX: usize = 5;

/// How it is told that a configuration was refused.
const NOT_RELOADED: &str = "not reloaded: ";

/// Most characters of that in the line, so that all else has room in it.
const REFUSAL_MAX: usize = 240;

/// What has been told.
#[derive(Debug, Default)]
pub(in crate::daemon) struct Telling {
    /// The last line that says how all is.
    status: String,
    /// Whether the table has changed since.
    has_changed: bool,
    status_at: u64,
    /// Whether a configuration is being loaded again because the manager has asked for it.
    is_reloading: bool,
    /// Why the configuration was not taken up that was loaded last.
    refusal: Option<String>,
    is_stopping: bool,
    /// Whether it was said that all is ready, before which nothing else is told.
    is_ready: bool,
    extend_at: Option<u64>,
}

impl Telling {
    /// The table has changed.
    pub(in crate::daemon) fn note(&mut self) {
        self.has_changed = true;
    }

    /// When there is something to tell.
    fn due_at(&self) -> Option<u64> {
        let status_at = (self.has_changed && !self.is_reloading).then_some(self.status_at);
        status_at.into_iter().chain(self.extend_at).min()
    }
}

impl Machine {
    /// Sockets listen, the table is there, and what is to run has been begun.
    pub(in crate::daemon) fn tell_ready(&mut self, supervisor: &Supervisor) {
        let Some(service) = &self.settings.service else { return };
        if let Err(error) = reloads::begin(Path::new(&service.place)) {
            self.log(Level::Warn, &format!("cannot note what comes of reloads: {error}"));
        }
        if let Some(path) = service.pidfile.as_ref().filter(|_| !service.is_awaited) {
            let line = format!("{}\n", self.settings.keeper_pid);
            if let Err(error) = write_pidfile(path, line.as_bytes()) {
                self.log(Level::Critical, &format!("could not write pidfile {path}: {error}"));
            }
        }
        if service.is_told {
            // Whoever is started next sees that this one has not failed to start.
            let ready = folder::told(Path::new(&service.place)).join(folder::READY);
            let _ = folder::write_private(&ready, "");
        }
        // A manager that has started us takes an end before this one for a failure, also where
        // the end is what comes next.
        self.tell_manager("READY=1");
        self.telling.is_ready = true;
        self.telling.note();
        self.tell_how_it_is(supervisor);
    }

    /// The manager has asked for the configuration to be loaded again.
    pub(in crate::daemon) fn tell_of_reload(&mut self) {
        if self.is_told() && !self.telling.is_reloading {
            self.telling.is_reloading = true;
            let now = clock::monotonic() / 1000;
            // Whoever waits for the beginning of a reload looks for its status.
            self.telling.status = "Reloading".to_owned();
            self.tell_manager(&format!("RELOADING=1\nMONOTONIC_USEC={now}\nSTATUS=Reloading"));
        }
    }

    /// What was loaded again is taken up; or not, which `failed` has the reason for.
    pub(in crate::daemon) fn reload_is_over(&mut self, failed: Option<&str>) {
        self.telling.refusal = failed.map(|why| refusal(why).chars().take(REFUSAL_MAX).collect());
        // Who is told that it is over looks for what came of it.
        self.note_reload(failed);
        if std::mem::take(&mut self.telling.is_reloading) {
            self.telling.extend_at = None;
            self.telling.note();
            match &self.telling.refusal {
                None => self.tell_manager("READY=1"),
                Some(refusal) => {
                    self.telling.status.clone_from(refusal);
                    self.tell_manager(&format!("READY=1\nSTATUS={refusal}"));
                }
            }
        }
    }

    /// Notes that a reload begins: who asks for one from now on waits for the next.
    pub(in crate::daemon) fn note_begin_of_reload(&self) {
        let Some(service) = &self.settings.service else { return };
        if let Err(error) = reloads::note_begin(Path::new(&service.place)) {
            self.log(Level::Warn, &format!("cannot note the beginning of a reload: {error}"));
        }
    }

    /// Notes for whoever has asked for it what came of a reload.
    pub(in crate::daemon) fn note_reload(&self, failed: Option<&str>) {
        let Some(service) = &self.settings.service else { return };
        let line = failed.map(refusal).unwrap_or_default();
        // Where all of it was refused, nothing is known of what a restart would take up.
        let for_a_restart = self.settings.for_a_restart.join(", ");
        let for_a_restart = if failed.is_none() { for_a_restart.as_str() } else { "" };
        let noted = reloads::note(Path::new(&service.place), &line, for_a_restart);
        if let Err(error) = noted {
            self.log(Level::Warn, &format!("cannot note what came of a reload: {error}"));
        }
    }

    /// Tells how all is, if that is due.
    pub(in crate::daemon) fn tell_how_it_is(&mut self, supervisor: &Supervisor) {
        if !self.is_told() || !self.telling.is_ready {
            return;
        }
        let now = clock::monotonic();
        if self.mood == Mood::Shutdown && !self.telling.is_stopping {
            self.telling.is_stopping = true;
            self.telling.note();
            self.telling.status_at = now;
            self.tell_manager("STOPPING=1");
        }
        let takes_time = match self.mood {
            Mood::Shutdown => true,
            Mood::Running | Mood::Resting => self.telling.is_reloading && self.is_following(),
            Mood::Restarting => false,
        };
        if !takes_time {
            self.telling.extend_at = None;
        } else if self.telling.extend_at.is_none_or(|at| at <= now) {
            self.telling.extend_at = Some(now + EXTEND_EVERY);
            self.tell_manager(&format!("EXTEND_TIMEOUT_USEC={EXTEND_BY}"));
        }
        let is_due = self.telling.has_changed && self.telling.status_at <= now;
        if is_due && !self.telling.is_reloading {
            self.telling.has_changed = false;
            self.telling.status_at = now + STATUS_EVERY;
            let all = supervisor.services();
            let all = all.map(|one| (one.state_name(), (&*one.group, &*one.spec.name)));
            let refusal = self.telling.refusal.as_deref();
            let status = status(self.mood, all, refusal);
            if status != self.telling.status {
                self.tell_manager(&format!("STATUS={status}"));
                self.telling.status = status;
            }
        }
    }

    /// In how many nanoseconds there is something to tell.
    pub(in crate::daemon) fn tell_in(&self, now: u64) -> Option<u64> {
        let due_at = self.telling.due_at().filter(|_| self.is_told());
        due_at.map(|at| at.saturating_sub(now))
    }

    fn is_told(&self) -> bool {
        self.settings.service.as_ref().is_some_and(|service| service.is_told)
    }

    /// A keeper that is gone tells nobody, which is noticed when it is listened to.
    fn tell_manager(&self, text: &str) {
        let _ = self.link.tell(text);
    }
}

/// Writes a pid file, of which nobody ever sees half.
///
/// # Errors
/// When it cannot be written.
pub fn write_pidfile(path: &str, line: &[u8]) -> io::Result<()> {
    let fresh = format!("{path}.{}", std::process::id());
    fs::write(&fresh, line)?;
    fs::rename(&fresh, path).inspect_err(|_| {
        // It is of no use to anybody.
        let _ = fs::remove_file(&fresh);
    })
}

/// How all is, in one line.
fn status<'a>(
    mood: Mood,
    services: impl Iterator<Item = (StateName, (&'a str, &'a str))>,
    refusal: Option<&str>,
) -> String {
    let (mut count, mut running, mut left) = (0, 0, 0);
    let (mut failed, mut waiting) = (Vec::new(), Vec::new());
    for (state, name) in services {
        count += 1;
        left += usize::from(!state.is_stopped());
        match state {
            StateName::Running => running += 1,
            StateName::Fatal => failed.push(name),
            StateName::Backoff => waiting.push(name),
            StateName::Stopped
            | StateName::Starting
            | StateName::Stopping
            | StateName::Exited
            | StateName::Unknown => {}
        }
    }
    if mood == Mood::Shutdown {
        return format!("stopping: {left} of {count} are left");
    }
    let mut text = format!("{running} of {count} run");
    for (what, names) in [("failed", failed), ("to be tried again", waiting)] {
        if names.is_empty() {
            continue;
        }
        let named: Vec<String> =
            names.iter().take(NAMES_MAX).map(|(group, name)| namespec(group, name)).collect();
        text += &format!("; {what}: {}", named.join(", "));
        if names.len() > NAMES_MAX {
            text += &format!(" and {} more", names.len() - NAMES_MAX);
        }
    }
    match refusal {
        Some(refusal) => format!("{text}; {refusal}"),
        None => text,
    }
}

/// That a configuration was refused, in one line whatever the reason holds.
fn refusal(why: &str) -> String {
    let line: Vec<&str> = why.split_whitespace().collect();
    format!("{NOT_RELOADED}{}", line.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_how_many_run_and_which_have_failed() {
        use StateName::{Backoff, Fatal, Running, Stopped};
        let web = ("web", "web");
        let seven = (0..7).map(|_| (Fatal, ("g", "a")));
        for (all, expected) in [
            (vec![], "0 of 0 run"),
            (vec![(Running, web), (Stopped, web)], "1 of 2 run"),
            (
                vec![(Running, web), (Fatal, ("g", "a")), (Backoff, web)],
                "1 of 3 run; failed: g:a; to be tried again: web",
            ),
            (seven.collect(), "0 of 7 run; failed: g:a, g:a, g:a, g:a, g:a and 2 more"),
        ] {
            assert_eq!(status(Mood::Running, all.into_iter(), None), expected);
        }
        let all = [(Running, web), (Stopped, web)].into_iter();
        assert_eq!(status(Mood::Shutdown, all, None), "stopping: 1 of 2 are left");
    }
}
