//! `env_file`: a file with further variables is read before each start, on a thread beside
//! the control thread: it may lie on a disk that hangs. The start waits for it.
//!
//! What was read counts for one life. The commands that check its health are given the same.

use std::collections::{HashMap, HashSet, VecDeque};
use std::ffi::CStr;
use std::fs::File;
use std::io::{self, Read as _};
use std::sync::Arc;

use bardo_config::ReadError;
use bardo_config::environment_file::{self, ENVIRONMENT_FILE_BYTES_MAX, Variables};
use bardo_core::service::Service;
use bardo_core::{Input, ServiceId, SpawnError};
use bardo_sys::plan::{Plan, Strings};
use rustix::fs::{Mode, OFlags, open};
use rustix::io::Errno;

use super::children::Life;
use super::errands::Done;
use super::main_log::Level;
use super::world::Machine;
use crate::names::namespec;

/// Most files that are read at a time. A dead mount may hold so many threads.
const READERS_MAX: usize = 8;

/// A file that is to be read.
#[derive(Debug, Clone)]
pub(super) struct Wanted {
    life: Life,
    label: Box<str>,
    /// As `env_file` names it.
    file: Arc<str>,
    /// What its variables are added to.
    plan: Arc<Plan>,
}

/// Why a file of variables cannot be used.
#[derive(Debug)]
pub(super) struct Unusable {
    errno: i32,
    text: String,
}

/// The files that are being read, and what was read.
#[derive(Debug, Default)]
pub(super) struct VariableFiles {
    /// Services whose file is being read, or waits for that.
    reading: HashSet<ServiceId>,
    /// Those that no thread reads yet.
    waiting: VecDeque<Wanted>,
    readers: usize,
    /// The plans of present lives with what was read for them.
    plans: HashMap<ServiceId, Arc<Plan>>,
}

impl VariableFiles {
    /// Whether the file of a service is being read.
    pub(super) fn is_reading(&self, service: ServiceId) -> bool {
        self.reading.contains(&service)
    }

    /// The plan of a service with what its file said, if that was read.
    pub(super) fn plan(&self, service: ServiceId) -> Option<&Arc<Plan>> {
        self.plans.get(&service)
    }

    /// Forgets a service.
    pub(super) fn forget(&mut self, service: ServiceId) {
        self.plans.remove(&service);
    }
}

/// The file that a service is to be given variables from.
pub(super) fn file_of(service: &Service) -> Option<&Arc<str>> {
    service.spec.program.care.as_ref()?.environment_file.as_ref()
}

impl Machine {
    /// Has the file read that a start waits for, or a check. What is known of that at once.
    pub(super) fn want_variables(
        &mut self,
        service: &Service,
        life: Life,
        plan: &Arc<Plan>,
    ) -> Option<Input> {
        let file = Arc::clone(file_of(service)?);
        let label = namespec(&service.group, &service.spec.name).into();
        self.queue_reading(Wanted { life, label, file, plan: Arc::clone(plan) });
        let mut inputs = Vec::new();
        self.send_readers(&mut inputs);
        inputs.pop()
    }

    fn queue_reading(&mut self, wanted: Wanted) {
        if self.variable_files.reading.insert(wanted.life.service) {
            self.variable_files.waiting.push_back(wanted);
        }
    }

    fn send_readers(&mut self, inputs: &mut Vec<Input>) {
        while self.variable_files.readers < READERS_MAX
            && let Some(wanted) = self.variable_files.waiting.pop_front()
        {
            let service = wanted.life.service;
            let read = move || {
                let read = read(&wanted.file).and_then(|more| extended(&wanted.plan, &more));
                Done::Read(wanted, read)
            };
            match self.errands.begin("variables", read) {
                Ok(()) => self.variable_files.readers += 1,
                Err(error) => {
                    self.variable_files.reading.remove(&service);
                    let error = SpawnError::Clone(error.raw_os_error().unwrap_or(0));
                    inputs.extend(self.refuse_held(service, error));
                }
            }
        }
    }

    /// A file of variables was read, or cannot be.
    pub(super) fn read(
        &mut self,
        wanted: Wanted,
        read: Result<Plan, Unusable>,
        inputs: &mut Vec<Input>,
    ) {
        self.variable_files.readers -= 1;
        let Life { service, .. } = wanted.life;
        self.variable_files.reading.remove(&service);
        if let Err(Unusable { text, .. }) = &read {
            self.log(Level::Warn, &format!("{}: env_file: {text}", wanted.label));
        }
        match self.trees.held.iter().position(|start| start.life.service == service) {
            Some(place) if self.trees.held[place].life == wanted.life => match read {
                Ok(plan) => {
                    let start = &mut self.trees.held[place];
                    // The copy of its program may have been made meanwhile.
                    let image = start.plan.image.clone();
                    start.plan = Arc::new(Plan { image, ..plan });
                    self.variable_files.plans.insert(service, Arc::clone(&start.plan));
                }
                Err(Unusable { errno, .. }) => {
                    inputs.extend(self.refuse_held(service, SpawnError::Variables(errno)));
                }
            },
            // It was read for a start that was taken back: it may say something else now.
            Some(place) => {
                let start = &self.trees.held[place];
                let (life, plan) = (start.life, Arc::clone(&start.plan));
                self.queue_reading(Wanted { life, plan, ..wanted });
            }
            // A check waits for it, of a life that a predecessor has begun.
            None => {
                let plan = read.map_or(wanted.plan, Arc::new);
                self.variable_files.plans.insert(service, plan);
            }
        }
        self.send_readers(inputs);
        self.let_go();
    }
}

/// Reads the variables of a file. Blocks for as long as the disk takes.
fn read(named: &str) -> Result<Variables, Unusable> {
    let (path, _) = environment_file::path(named);
    let bytes = bytes(path);
    let (errno, why) = match &bytes {
        Ok(_) => (Errno::INVAL.raw_os_error(), String::new()),
        Err(error) => (error.raw_os_error().unwrap_or(0), format!(": {error}")),
    };
    let bytes = bytes.map_err(|error| match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => ReadError::Missing,
        _ => ReadError::Unreadable,
    });
    let why = if bytes == Err(ReadError::Missing) { String::new() } else { why };
    environment_file::parse(named, bytes)
        .map_err(|error| Unusable { errno, text: format!("{error}{why}") })
}

/// The bytes of a file, one more at most than it may have.
fn bytes(path: &str) -> io::Result<Vec<u8>> {
    // What is no file and has nothing to say is not waited for.
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let file = File::from(open(path, flags, Mode::empty())?);
    let mut bytes = Vec::new();
    let most = u64::try_from(ENVIRONMENT_FILE_BYTES_MAX).unwrap_or(u64::MAX);
    file.take(most.saturating_add(1)).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// A plan with further variables, which count more than those of the same name that it has.
fn extended(plan: &Plan, more: &Variables) -> Result<Plan, Unusable> {
    let names: HashSet<&[u8]> = more.iter().map(|(name, _)| name.as_bytes()).collect();
    let is_kept = |variable: &&CStr| {
        let name: Option<&[u8]> = variable.to_bytes().split(|byte| *byte == b'=').next();
        name.is_some_and(|name| !names.contains(name))
    };
    let kept = plan.variables.iter().filter(is_kept).map(|it| it.to_bytes().to_vec());
    let added = more.iter().map(|(name, value)| format!("{name}={value}").into_bytes());
    let all: Vec<Vec<u8>> = kept.chain(added).collect();
    let strings = |texts: &mut dyn Iterator<Item = &[u8]>| {
        Strings::new(texts).map_err(|holds_nul| Unusable {
            errno: Errno::INVAL.raw_os_error(),
            text: holds_nul.to_string(),
        })
    };
    let variables = strings(&mut all.iter().map(Vec::as_slice))?;
    // What it is not told of the shared ones it is not told now either.
    let mut replaced = Plan::replaced_by(&variables, &plan.base).into_vec();
    replaced.extend(&*plan.replaced);
    replaced.sort_unstable();
    replaced.dedup();
    let path = more.iter().find(|(name, _)| name == "PATH").map(|(_, value)| value.as_bytes());
    let search_path = match path.filter(|_| plan.search_path.iter().next().is_some()) {
        Some(path) => strings(&mut std::iter::once(path))?,
        None => plan.search_path.clone(),
    };
    Ok(Plan { variables, replaced: replaced.into(), search_path, ..plan.clone() })
}

#[cfg(test)]
mod tests {
    use bardo_sys::plan::Environment;

    use super::*;

    fn strings(words: &[&str]) -> Strings {
        Strings::new(words.iter().map(|it| it.as_bytes())).unwrap()
    }

    #[test]
    fn what_a_file_says_counts_more_than_what_is_configured() {
        let shared = strings(&["HOME=/", "LANG=C", "PATH=/bin"]);
        let plan = Plan {
            variables: strings(&["A=1", "AB=2", "HOME=/x"]),
            base: Arc::new(Environment { variables: shared }),
            replaced: [0].into(),
            search_path: strings(&["/bin"]),
            ..Plan::default()
        };
        let more = [("A", "x=y"), ("PATH", "/own"), ("LANG", "")];
        let more = more.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();

        let plan = extended(&plan, &more).unwrap();

        assert_eq!(plan.variables, strings(&["AB=2", "HOME=/x", "A=x=y", "PATH=/own", "LANG="]));
        assert_eq!(*plan.replaced, [0, 1, 2]);
        assert_eq!(plan.search_path, strings(&["/own"]));
    }

    #[test]
    fn a_file_that_cannot_be_used_says_why() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name).display().to_string();
        std::fs::write(at("bad"), "A=1\nnonsense\n").unwrap();
        std::fs::write(at("good"), "A=1\n").unwrap();
        std::fs::write(at("long"), "#".repeat(ENVIRONMENT_FILE_BYTES_MAX + 1)).unwrap();
        let error = |path: &str| {
            let Unusable { errno, text } = read(path).unwrap_err();
            (errno, text.replace(&at(""), ""))
        };

        assert_eq!(read(&at("good")).unwrap().len(), 1);
        assert_eq!(read(&format!("-{}", at("none"))).unwrap(), []);
        assert_eq!(error(&at("none")).0, 2);
        assert_eq!(
            error(&at("bad")),
            (22, "bad:2: neither NAME=value nor a comment, which begins with #".to_owned())
        );
        assert_eq!(error(&at("")).0, 21, "a folder");
        assert_eq!(error(&at("long")).0, 22);
        assert_eq!(error("/dev/zero").0, 22, "it is not read for ever");
    }
}
