//! What `service edit` asks for: what a service is, changed where something is said.
//!
//! Nothing that runs is touched here. What takes effect when follows from who uses it: the
//! core looks at its rules whenever it decides, limits of control groups can be changed in
//! place, and all that a process is born with waits for the next one.

use std::sync::Arc;
use std::time::Duration;

use bardo_config::Host;
use bardo_core::ServiceSpec;
use bardo_core::spec::care::Confinement;
use bardo_core::spec::{Care, ProgramSpec};

use super::bring::{asked, device_of, unbound};
use super::draft::{Draft, Manner};
use super::errno::Errno;
use super::refusal::Refusal;
use super::request::{Asked, Request};

/// What a running process is given by the kernel, which may refuse it.
const OF_THE_KERNEL: [&str; 3] = ["limits", "priority", "resources"];

/// What a service is to be from now on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edited {
    /// All that is asked for.
    pub spec: Arc<ServiceSpec>,
    /// What its counter of restarts is, where that is said.
    pub restarts: Option<u32>,
    /// What takes effect when, and what cannot be changed.
    pub notes: Vec<String>,
}

/// Makes what a service is to be of what it is and what is asked for. It asks the machine for
/// users and files, and so can block.
///
/// # Errors
///
/// When something in it makes no sense, with MINIX's number; or when the service comes from
/// the configuration file, which is the place to change it.
pub fn edit(host: &dyn Host, present: &ServiceSpec, request: &Request) -> Result<Edited, Refusal> {
    let manner = Manner::of(request.minix);
    let asked = asked(request)?;
    let label = &present.name;
    let mut draft = Draft::of(present).ok_or_else(|| Refusal {
        errno: Errno::EPERM,
        text: format!("{label} stands in the configuration file: edit that, and then update"),
    })?;
    let asked = &match manner {
        Manner::Ours => asked.clone(),
        Manner::Minix => as_minix(asked),
    };
    let settings = draft.take(host, label, asked, manner)?;
    // It goes with the user, who stays.
    if let Some(care) = &present.program.care {
        let gives_up = care.confinement.gives_up_privileges;
        Arc::make_mut(&mut draft.care.confinement).gives_up_privileges = gives_up;
    }
    let mut fixed = Vec::new();
    if settings.is_some_and(|settings| settings.user != draft.program.user) {
        fixed.push("user");
    }
    if asked.device.is_some_and(|it| draft.care.device != Some(device_of(it, manner))) {
        fixed.push("device");
    }
    let mut notes = std::mem::take(&mut draft.notes);
    let spec = draft.finish(label);
    let Changes { at_once, at_next_start } = Changes::between(present, &spec);
    for (when, what) in [
        ("at once", at_once.join(", ")),
        ("at next start", at_next_start.join(", ")),
        ("cannot be changed, bring it down and up for that", fixed.join(", ")),
    ] {
        if !what.is_empty() {
            notes.push(format!("{when}: {what}"));
        }
    }
    if at_once.iter().any(|what| OF_THE_KERNEL.contains(what)) {
        notes.push(format!("service show {label} tells what of it the kernel has refused"));
    }
    if let (true, Some(care)) = (at_once.contains(&"control"), &spec.program.care) {
        notes.extend(unbound(spec.program.user.as_ref(), care).map(str::to_owned));
    }
    let restarts = asked.restarts.filter(|restarts| *restarts > 0);
    Ok(Edited { spec: Arc::new(spec), restarts, notes })
}

/// What is absent in MINIX's request stands there as nothing at all: the heartbeat is off,
/// and the program has no arguments.
fn as_minix(asked: &Asked) -> Asked {
    let has_program = !asked.binary.is_empty();
    Asked {
        period: asked.period.or(Some(0)),
        arguments: asked.arguments.clone().or_else(|| has_program.then(Vec::new)),
        ..asked.clone()
    }
}

/// What is different, by when it takes effect.
#[derive(Debug, Default, PartialEq, Eq)]
struct Changes {
    at_once: Vec<&'static str>,
    at_next_start: Vec<String>,
}

impl Changes {
    fn between(old: &ServiceSpec, new: &ServiceSpec) -> Self {
        let mut changes = Self::default();
        let (old_program, new_program) = (&*old.program, &*new.program);
        let (Some(old_care), Some(new_care)) = (&old_program.care, &new_program.care) else {
            return changes;
        };
        changes.rules((old_program, old_care), (new_program, new_care));
        changes.limits(&old_care.confinement, &new_care.confinement);
        let same_logs = old.stdout == new.stdout
            && old.stderr == new.stderr
            && old_program.redirect_stderr == new_program.redirect_stderr;
        for (name, is_same) in [
            ("program and arguments", old.command == new.command),
            ("copy in memory", old_care.copy == new_care.copy),
            ("directory", old.directory == new.directory),
            ("variables", old.environment == new.environment),
            ("logs", same_logs),
            (
                "how it is initialised",
                old_care.readiness == new_care.readiness
                    && old_program.startsecs == new_program.startsecs,
            ),
            ("dependencies", old_care.depends_on == new_care.depends_on),
        ] {
            if !is_same {
                changes.at_next_start.push(name.to_owned());
            }
        }
        changes
    }

    /// What the core looks at whenever it decides.
    fn rules(&mut self, old: (&ProgramSpec, &Care), new: (&ProgramSpec, &Care)) {
        let ((old_program, old), (new_program, new)) = (old, new);
        let delay = |care: &Care| (care.recovery.delay, care.recovery.early_death);
        let counter = |care: &Care| care.recovery.restarts;
        if old.heartbeat != new.heartbeat {
            // Whatever is brought up has the channels to answer on.
            self.at_once.push("period");
        }
        for (name, is_same) in [
            ("health", old.health == new.health),
            ("script", old.script == new.script),
            (
                "what is a crash",
                old_program.restart.on == new_program.restart.on
                    && old_program.exit_codes == new_program.exit_codes,
            ),
            ("back-off", delay(old) == delay(new)),
            ("restarts", counter(old) == counter(new)),
            ("stop", old_program.stop == new_program.stop),
            ("critical", old.critical == new.critical),
            ("program name", old.program_name == new.program_name),
            ("description", old.description == new.description),
        ] {
            if !is_same {
                self.at_once.push(name);
            }
        }
    }

    /// What a running process can be given and what it is born with.
    fn limits(&mut self, old: &Confinement, new: &Confinement) {
        let group = |it: &Confinement| [it.memory_max, it.memory_high, it.swap_max, it.pids_max];
        let shares = |it: &Confinement| (it.cpu_max, it.io_weight);
        let turns = |it: &Confinement| -> (Option<i32>, Option<Duration>, _, Option<Vec<u32>>) {
            (it.nice, it.slice, it.scheduler, it.cpus.clone())
        };
        let resources = |it: &Confinement| (it.descriptors_max, it.core_max);
        let lists = |it: &Confinement| (it.control.clone(), it.controlled_by.clone());
        for (name, is_same) in [
            ("limits", group(old) == group(new) && shares(old) == shares(new)),
            ("priority", turns(old) == turns(new)),
            ("resources", resources(old) == resources(new)),
            ("control", lists(old) == lists(new)),
        ] {
            if !is_same {
                self.at_once.push(name);
            }
        }
        let lines = |one: &Confinement, other: &Confinement| {
            let is_new = |line: &&Arc<str>| !other.unenforced.contains(line);
            one.unenforced.iter().filter(is_new).cloned().collect::<Vec<_>>()
        };
        for line in lines(old, new).iter().chain(&lines(new, old)) {
            let keyword = line.split_whitespace().next().unwrap_or_default();
            if !self.at_next_start.iter().any(|known| known == keyword) {
                self.at_next_start.push(keyword.to_owned());
            }
        }
    }
}

#[cfg(test)]
mod tests;
