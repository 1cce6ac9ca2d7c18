//! What people are told of what the core says, and of births that failed.

use std::io::Write as _;
use std::os::fd::OwnedFd;

use bardo_core::{Notice, Preparation, ServiceId, SpawnError, Supervisor};
use bardo_sys::spawn::{ChildError, PathEntry, Step};

use super::main_log::Level;
use super::world::Machine;
use crate::words;

impl Machine {
    /// Puts a notice into words.
    pub(super) fn notice(&mut self, supervisor: &Supervisor, notice: &Notice) {
        if notice.is_owed() {
            return self.say_promised(supervisor, notice);
        }
        if let Notice::Spawned { service, .. } = notice {
            self.was_started(supervisor, *service);
        }
        if let Notice::SpawnFailed { service, error } = notice
            && self.falls_short(supervisor, *service, *error) == Some(false)
        {
            // It is tried again and again, and people know.
            return;
        }
        if let Notice::SpawnFailed { service, error } = notice
            && let (Some(file), Some(there)) =
                (self.in_the_way.remove(service), supervisor.service(*service))
        {
            self.log(Level::Info, &words::start_failed(&there.spec, *error, &file));
        } else if let Some((level, mut text)) = words::notice(supervisor, notice) {
            if let Notice::ScriptSilent(service) = notice
                && let Some(status) = self.failure_of_script(*service)
            {
                text = format!("{text} ({})", words::ending(status));
            }
            if let Notice::Stuck { service, .. } = notice {
                self.is_stuck(supervisor, *service, &text);
            }
            self.log(level, &text);
        }
    }

    /// Keeps which file was in the way of a start: the core does not ask, people do.
    pub(super) fn note_file(&mut self, service: ServiceId, PathEntry(entry): PathEntry) {
        let plan = self.plans.get(service.0 as usize).and_then(Option::as_deref);
        if let (Some(entry), Some(plan)) = (entry, plan)
            && let Some(file) = words::file_at(plan, entry)
        {
            self.in_the_way.insert(service, file);
        }
    }

    /// Says on a child's standard error why it has not become its program, as
    /// Supervisor's child does itself.
    pub(super) fn say_for_child(
        &self,
        service: ServiceId,
        stderr: OwnedFd,
        step: Step,
        errno: i32,
    ) {
        let Some(Some(plan)) = self.plans.get(service.0 as usize) else { return };
        let text = words::child_failure(plan, step, errno);
        // The pipe is empty, so there is room; whatever goes wrong, the exit code
        // still tells that the program was not executed.
        let _ = std::fs::File::from(stderr).write_all(text.as_bytes());
    }
}

/// Whether a birth that failed is an error of the start, in the core's terms. A step
/// that failed is none: Supervisor's child leaves with code 127 then.
pub(super) fn spawn_error(error: ChildError) -> Option<(SpawnError, PathEntry)> {
    match error {
        ChildError::NotFound => Some((SpawnError::NotFound, PathEntry(None))),
        ChildError::IsDirectory(entry) => Some((SpawnError::IsDirectory, entry)),
        ChildError::NotExecutable(entry) => Some((SpawnError::NotExecutable, entry)),
        ChildError::NotPermitted(entry) => Some((SpawnError::NotPermitted, entry)),
        ChildError::Failed(..) => None,
    }
}

/// The same of a service that is cared for: whoever brings it up is told every errno.
pub(super) fn start_error(error: ChildError) -> (SpawnError, PathEntry) {
    let (step, errno) = match error {
        ChildError::Failed(step, errno) => (step, errno),
        ChildError::NotFound
        | ChildError::IsDirectory(_)
        | ChildError::NotExecutable(_)
        | ChildError::NotPermitted(_) => (Step::Exec, 0),
    };
    let failed = match preparation(step) {
        Some(what) => SpawnError::Prepare(what, errno),
        None => SpawnError::Exec(errno),
    };
    spawn_error(error).unwrap_or((failed, PathEntry(None)))
}

/// What a step is, where it is not the program itself.
fn preparation(step: Step) -> Option<Preparation> {
    Some(match step {
        Step::Descriptors => Preparation::Descriptors,
        Step::ProcessGroup | Step::Session => Preparation::Group,
        Step::Limits => Preparation::Limits,
        Step::Groups | Step::Gid | Step::Uid => Preparation::User,
        Step::Directory => Preparation::Directory,
        Step::Exec => return None,
        Step::Cgroup => Preparation::Cgroup,
        Step::Priority => Preparation::Priority,
        Step::Scheduling => Preparation::Scheduling,
        Step::Affinity => Preparation::Processors,
        Step::Capabilities | Step::NoNewPrivileges => Preparation::Privileges,
    })
}
