//! One service, one kind of definition: what an installation for one init system finds that
//! was once written for another one.

use std::path::PathBuf;

use super::definition::Start;
use super::files::{self, Changes, Ownership};
use super::ground::Ground;
use super::{Commands, InitError, InitSystem, choice, readiness, removal, tools, verbs};

/// A definition of ours for another init system.
pub struct Other {
    kind: &'static str,
    paths: Vec<PathBuf>,
    /// The folders that the service has by it.
    pub(super) folders: Vec<PathBuf>,
    /// What is run before its files go, and after that.
    commands: (Commands, Commands),
    /// What registers it again.
    again: Commands,
}

/// Those that are there.
///
/// # Errors
/// When the service runs by one of them: who would stop it then?
pub fn others(
    system: &dyn InitSystem,
    ground: &Ground,
    name: &str,
) -> Result<Vec<Other>, InitError> {
    let mut found = Vec::new();
    let kinds = choice::NAMES.into_iter().filter(|kind| *kind != system.name());
    for other in kinds.filter_map(choice::named) {
        let paths = other.paths(ground, name);
        let Some(first) = paths.first() else { continue };
        if !matches!(
            files::ownership(&ground.at(first))?,
            Ownership::Ours(_) | Ownership::Edited(_)
        ) {
            continue;
        }
        let kind = other.name();
        // A pid file, or what its own init system says: units of systemd have no such file.
        let runs = || readiness::is_ready(ground, name) || verbs::is_running(&*other, ground, name);
        if ground.is_live() && runs() {
            return Err(InitError::Failed(format!(
                "it runs by {}, which {} would replace; stop it first with: bardo /stop {name} \
                 --init {kind}",
                first.display(),
                system.name()
            )));
        }
        let (ours, _) = removal::of_ours(ground, &paths)?;
        let paths = ours.into_iter().map(PathBuf::from).collect();
        let at_boot = if ground.is_live() { other.starts_at_boot(ground, name) } else { None };
        let start = at_boot.map(|boots| if boots { Start::AtBoot } else { Start::OnDemand });
        let again = start.map_or_else(Vec::new, |start| other.register(ground, name, start));
        let (folders, commands) = (other.folders(name), other.unregister(ground, name));
        found.push(Other { kind, paths, folders, commands, again });
    }
    Ok(found)
}

impl Other {
    /// What is to be said of it.
    #[must_use]
    pub fn note(&self) -> String {
        let path = self.paths.first().map(|path| path.display().to_string());
        format!(
            "{}, by which {} kept it, is removed: one kind is enough",
            path.unwrap_or_default(),
            self.kind
        )
    }

    /// Removes it. One that somebody has edited is kept beside; returns what to say of that.
    ///
    /// # Errors
    /// When a file cannot be removed.
    pub fn remove(
        &self,
        ground: &Ground,
        changes: &mut Changes<'_>,
    ) -> Result<Vec<String>, InitError> {
        run_all(ground, &self.commands.0);
        let mut notes = Vec::new();
        for path in &self.paths {
            notes.extend(changes.take_away(path)?);
        }
        run_all(ground, &self.commands.1);
        Ok(notes)
    }

    /// Registers it again, once its files are there as before.
    pub fn put_back(&self, ground: &Ground) {
        run_all(ground, &self.again);
    }
}

/// The tools of an init system that is gone may be gone with it.
fn run_all(ground: &Ground, commands: &Commands) {
    for words in commands {
        if ground.is_told() {
            files::tell_command(words);
        } else if ground.is_live() {
            let _ = tools::run(ground, words);
        }
    }
}
