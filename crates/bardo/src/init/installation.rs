//! An installation: what is there, what is to be written, and what it has come to.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use super::claim;
use super::definition::{Definition, Scope, Start};
use super::difference;
use super::files::{self, Changes, DefinitionFile, Link, Ownership};
use super::ground::Ground;
use super::kinds::{self, Other};
use super::verbs::{self, Force, Told};
use super::{Commands, InitError, InitSystem, tools};

/// Registers a service, or changes the one that is there. Does not start it.
///
/// # Errors
/// When it cannot be registered; then nothing has changed.
pub fn install(
    system: &dyn InitSystem,
    ground: &Ground,
    definition: &Definition,
    force: Force,
) -> Result<Told, InitError> {
    let mut setting = Setting::of(system, ground, definition, force)?;
    let mut changes = Changes::new(ground);
    match setting.carry_out(&mut changes) {
        Ok(()) => Ok(setting.told()),
        Err(error) => {
            setting.take_back(changes);
            Err(error)
        }
    }
}

/// An installation: what is there, and what is to be done.
struct Setting<'a> {
    system: &'a dyn InitSystem,
    ground: &'a Ground,
    definition: &'a Definition,
    files: Vec<DefinitionFile>,
    /// Those that are to be written, by their places.
    wanted: Vec<usize>,
    /// What a former definition has left.
    surplus: Vec<PathBuf>,
    links: Vec<Link>,
    /// What was written for other init systems.
    others: Vec<Other>,
    /// What it runs by already although it was not started by it.
    at_once: Vec<String>,
    /// Whether it started at boot until now.
    was_at_boot: Option<bool>,
    /// Whether there was nothing of it.
    is_new: bool,
    /// What is different, in words.
    changed: Vec<String>,
    /// Whether something that was asked for is not in a file, because that was edited.
    is_ignored: bool,
    notes: Vec<String>,
}

impl<'a> Setting<'a> {
    fn of(
        system: &'a dyn InitSystem,
        ground: &'a Ground,
        definition: &'a Definition,
        force: Force,
    ) -> Result<Self, InitError> {
        let files = system.files(definition)?;
        let (mut wanted, mut changed, mut notes) = (Vec::new(), Vec::new(), Vec::new());
        let (mut is_new, mut is_ignored) = (true, false);
        system.may_be(ground, &definition.name)?;
        for (place, file) in files.iter().enumerate() {
            match change(system, ground, file, force)? {
                Change::New => wanted.push(place),
                Change::None => is_new = false,
                Change::Kept { note, is_ignored: ignores } => {
                    is_new = false;
                    is_ignored |= ignores;
                    notes.push(note);
                }
                Change::Settings(settings) => {
                    is_new = false;
                    changed.extend(settings);
                    wanted.push(place);
                }
            }
        }
        let at_once = system.counting_at_once(ground, &definition.name, &changed);
        if !at_once.is_empty() && force == Force::No {
            return Err(too_early(definition, &at_once));
        }
        if is_new && let Some(path) = system.hidden(ground, definition) {
            if force == Force::No {
                return Err(InitError::Hidden(path));
            }
            notes.push(format!("it hides {}, which others have written", path.display()));
        }
        if is_new {
            notes.extend(counting_too(system, ground, definition));
        }
        let others = match definition.scope {
            Scope::Machine => kinds::others(system, ground, &definition.name)?,
            Scope::User => Vec::new(),
        };
        notes.extend(others.iter().map(Other::note));
        match claim::free(system, ground, &definition.name, &others) {
            Err(error) if is_new && force == Force::No => return Err(error),
            Err(InitError::Taken(folder)) if is_new => {
                notes.push(format!("{} was there and is its own from now on", folder.display()));
            }
            // A service that is registered has them already.
            Ok(()) | Err(_) => {}
        }
        let links = system.links(ground, definition);
        let surplus = surplus(system, ground, definition, &files, &links)?;
        let links = links_to_make(ground, links);
        let (was_at_boot, overruled) = boot_until_now(system, ground, definition, is_new);
        notes.extend(overruled);
        let boots = definition.start == Start::AtBoot;
        if was_at_boot == Some(!boots) {
            changed.push(format!("start at boot: {}", if boots { "yes" } else { "no" }));
        }
        Ok(Self {
            system,
            ground,
            definition,
            files,
            wanted,
            surplus,
            links,
            others,
            at_once,
            was_at_boot,
            is_new,
            changed,
            is_ignored,
            notes,
        })
    }

    /// Whether everything is as it is wanted.
    fn is_settled(&self) -> bool {
        let boots = self.definition.start == Start::AtBoot;
        self.wanted.is_empty()
            && self.surplus.is_empty()
            && self.links.is_empty()
            && self.others.is_empty()
            && (self.ground.is_offline() || self.was_at_boot == Some(boots))
    }

    fn carry_out(&mut self, changes: &mut Changes<'_>) -> Result<(), InitError> {
        if self.is_settled() {
            return Ok(());
        }
        for place in &self.wanted {
            let file = &self.files[*place];
            let there = files::ownership(&self.ground.at(&file.path))?;
            if matches!(there, Ownership::Foreign | Ownership::Edited(_)) {
                let kept = changes.keep(&file.path)?;
                self.notes.push(format!("what was there is kept as {}", kept.display()));
            }
            changes.write(file)?;
        }
        self.surplus.iter().try_for_each(|path| changes.remove(path))?;
        self.links.iter().try_for_each(|link| changes.link(link))?;
        for other in &self.others {
            self.notes.extend(other.remove(self.ground, changes)?);
        }
        let Definition { name, start, .. } = self.definition;
        let commands = self.system.register(self.ground, name, *start);
        commands.iter().try_for_each(|words| tools::must(self.ground, words))
    }

    /// Makes everything as it was, as far as that can be done.
    fn take_back(&self, changes: Changes<'_>) {
        let run_all = |commands: Commands| {
            for words in commands.iter().filter(|_| self.ground.is_live()) {
                let _ = tools::run(self.ground, words);
            }
        };
        let (before, after) = self.system.unregister(self.ground, &self.definition.name);
        if self.is_new {
            run_all(before);
        }
        changes.undo();
        self.others.iter().for_each(|other| other.put_back(self.ground));
        match self.was_at_boot {
            Some(was) => {
                let start = if was { Start::AtBoot } else { Start::OnDemand };
                run_all(self.system.register(self.ground, &self.definition.name, start));
            }
            None => run_all(after),
        }
    }

    fn told(self) -> Told {
        let line = self.line();
        let is_of_user = self.definition.scope == Scope::User;
        let Definition { name, .. } = self.definition;
        let is_changed = !self.is_new && !self.wanted.is_empty() && self.ground.is_live();
        let mut notes = self.notes;
        let more = more(self.definition);
        if is_changed && !self.at_once.is_empty() {
            notes.push(format!(
                "{} counts at once: if its keeper is killed before a restart, programs may be \
                 lost; restart it with: bardo /restart {name}{more}",
                self.at_once.join(", ")
            ));
        } else if is_changed && verbs::is_running(self.system, self.ground, name) {
            notes.push(format!(
                "it runs as it was started; the change counts after: bardo /restart {name}{more}"
            ));
        }
        if is_of_user && self.definition.start == Start::AtBoot {
            notes.push("without a login it runs only after: loginctl enable-linger".to_owned());
        }
        Told { line, notes }
    }

    fn line(&self) -> String {
        let file = self.files.first().map(|file| file.path.display().to_string());
        let place = format!("{} ({})", file.unwrap_or_default(), self.system.name());
        if self.is_new {
            let start = match self.definition.start {
                Start::AtBoot => "starts at boot",
                Start::OnDemand => "starts on demand only",
            };
            return format!("installed as {place}; it {start}");
        }
        if self.is_settled() && self.is_ignored {
            return format!("left as it was edited: {place}; what was asked for is not in it");
        }
        if self.is_settled() {
            return format!("already installed as {place}; nothing has changed");
        }
        if self.changed.is_empty() {
            return format!("installed again as {place}");
        }
        format!("changed in {place}: {}", self.changed.join(", "))
    }
}

/// Why a service that is up is not changed like that.
fn too_early(definition: &Definition, at_once: &[String]) -> InitError {
    let (name, more) = (&definition.name, more(definition));
    InitError::Failed(format!(
        "it is up, and a change of {} would count at once: if its keeper is killed, the next one \
         may not be able to go on with its programs. Nothing has changed; stop it first with: \
         bardo /stop {name}{more}, or change it with --force and restart it",
        at_once.join(", ")
    ))
}

/// What else the verbs are told that steer it.
fn more(definition: &Definition) -> &'static str {
    if definition.scope == Scope::User { " --user-unit" } else { "" }
}

/// What is to be said of settings of an administrator that count for a new service.
fn counting_too(system: &dyn InitSystem, ground: &Ground, definition: &Definition) -> Vec<String> {
    let there = |path: &PathBuf| fs::symlink_metadata(ground.at(path)).is_ok();
    let settings = system.settings(ground, &definition.name).into_iter().filter(there);
    settings.map(|path| format!("{} counts for it too", path.display())).collect()
}

/// Those links that do not lead yet to where they are to lead.
fn links_to_make(ground: &Ground, links: Vec<Link>) -> Vec<Link> {
    let is_right = |link: &Link| {
        fs::read_link(ground.at(&link.path)).is_ok_and(|target| target == link.target)
    };
    links.into_iter().filter(|link| !is_right(link)).collect()
}

/// Whether it started at boot until now, and what is to be said where an administrator's
/// setting of that wins: there it counts as what is wanted.
fn boot_until_now(
    system: &dyn InitSystem,
    ground: &Ground,
    definition: &Definition,
    is_new: bool,
) -> (Option<bool>, Option<String>) {
    let is_asked = !ground.is_offline() && !is_new;
    let overruled = system.overruled(ground, definition);
    let was_at_boot = if overruled.is_some() {
        Some(definition.start == Start::AtBoot)
    } else if is_asked {
        system.starts_at_boot(ground, &definition.name)
    } else {
        None
    };
    (was_at_boot, overruled)
}

/// What is different about a file that is there.
#[derive(Debug, PartialEq, Eq)]
enum Change {
    /// It is not there yet.
    New,
    /// Nothing.
    None,
    /// It is left as it is.
    Kept {
        /// Why.
        note: String,
        /// Whether something that was asked for is not in it.
        is_ignored: bool,
    },
    /// These settings.
    Settings(Vec<String>),
}

/// What changes about a file.
fn change(
    system: &dyn InitSystem,
    ground: &Ground,
    file: &DefinitionFile,
    force: Force,
) -> Result<Change, InitError> {
    let path = file.path.display();
    Ok(match files::ownership(&ground.at(&file.path))? {
        Ownership::Nobody => Change::New,
        Ownership::Ours(text) if text == file.text => match mode(&ground.at(&file.path)) {
            Some(mode) if mode != file.mode => Change::Settings(vec!["mode".to_owned()]),
            _ => Change::None,
        },
        Ownership::Ours(text) => Change::Settings(difference::between(&text, &file.text)),
        Ownership::Edited(text) if force == Force::Yes => {
            Change::Settings(difference::between(&text, &file.text))
        }
        Ownership::Edited(text) => {
            let missing = difference::missing(&text, &file.text);
            let asked = match missing.as_slice() {
                [] => String::new(),
                missing => format!(" (otherwise than asked for: {})", missing.join(", ")),
            };
            let note = format!(
                "{path} was edited and is left as it is{asked}; --force replaces it. What is to \
                 stay beside a new version belongs into a file of its own: a drop-in (systemctl \
                 edit), /etc/default/NAME, /etc/conf.d/NAME or NAME.override"
            );
            Change::Kept { note, is_ignored: !missing.is_empty() }
        }
        Ownership::Foreign if system.is_served(ground, file) => {
            let note = format!("{path} was written by others, does the same and is left");
            Change::Kept { note, is_ignored: false }
        }
        Ownership::Foreign => {
            files::no_link(ground, &file.path)?;
            return match force {
                Force::Yes => Ok(Change::Settings(vec!["all of it".to_owned()])),
                Force::No => Err(InitError::Foreign(file.path.clone())),
            };
        }
    })
}

fn mode(path: &Path) -> Option<u32> {
    fs::metadata(path).ok().map(|found| found.mode() & 0o7777)
}

/// Files of ours of a former definition that this one has not.
fn surplus(
    system: &dyn InitSystem,
    ground: &Ground,
    definition: &Definition,
    files: &[DefinitionFile],
    links: &[Link],
) -> Result<Vec<PathBuf>, InitError> {
    let is_wanted = |path: &PathBuf| {
        files.iter().any(|file| file.path == *path) || links.iter().any(|link| link.path == *path)
    };
    let mut surplus = Vec::new();
    for path in system.paths(ground, &definition.name) {
        let real = ground.at(&path);
        let is_ours = match files::ownership(&real)? {
            Ownership::Ours(_) => true,
            // Links are made by us where no tool makes them.
            Ownership::Foreign => real.is_symlink() && leads_to(&real, files),
            Ownership::Nobody | Ownership::Edited(_) => false,
        };
        if is_ours && !is_wanted(&path) {
            surplus.push(path);
        }
    }
    Ok(surplus)
}

fn leads_to(link: &Path, files: &[DefinitionFile]) -> bool {
    fs::read_link(link).is_ok_and(|target| files.iter().any(|file| file.path == target))
}
