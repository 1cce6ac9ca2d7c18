//! systemd: a unit `NAME.service`, also called `NAME_service.service`.
//!
//! The unit leaves processes alone when the keeper ends (`KillMode=process`), because the
//! next one adopts them. So whoever stops it for good sees to it that nothing is left:
//! the reaper in `ExecStopPost=`, and after that the verbs here.

mod unit;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use self::unit::{unit_text, wanted_by};
use super::definition::{Definition, Scope, Start};
use super::files::{self, Comment, DefinitionFile, Link, Ownership};
use super::ground::Ground;
use super::sandbox::RESTRICTIONS;
use super::{Commands, Ended, InitError, InitSystem, Standing, inside, leftovers, owned, tools};

/// Where units of the machine are.
const UNITS: &str = "/etc/systemd/system";

/// Where others have units of the machine, and of users. What generators make counts too:
/// they stand for scripts of the same name.
const UNITS_OF_OTHERS: [&str; 7] = [
    "/run/systemd/system",
    "/run/systemd/transient",
    "/run/systemd/generator",
    "/usr/local/lib/systemd/system",
    "/usr/lib/systemd/system",
    "/lib/systemd/system",
    "/run/systemd/generator.late",
];
const UNITS_FOR_USERS: [&str; 4] = [
    "/etc/systemd/user",
    "/run/systemd/user",
    "/usr/local/lib/systemd/user",
    "/usr/lib/systemd/user",
];

/// How long a start may take, in seconds.
pub(super) const START_SECONDS: u64 = 90;

/// What decides, beside what is forbidden to it, whether the next keeper can go on with programs
/// of a killed one. systemd goes by it once it has read the unit, also for what runs.
const OF_KEEPERS: [&str; 3] = ["User", "Restart", "KillMode"];

/// The manager of a machine or of a user.
#[derive(Debug, Clone, Copy)]
pub struct Systemd {
    scope: Scope,
}

impl Systemd {
    /// The manager of the machine.
    #[must_use]
    pub fn machine() -> Self {
        Self { scope: Scope::Machine }
    }

    /// The manager of the user who calls.
    #[must_use]
    pub fn user() -> Self {
        Self { scope: Scope::User }
    }

    fn unit_path(self, units_of_user: &Path, name: &str) -> PathBuf {
        let folder = if self.scope == Scope::User { units_of_user } else { Path::new(UNITS) };
        folder.join(unit(name))
    }

    fn words(self, words: &[&str]) -> Vec<String> {
        let mut all = vec!["systemctl"];
        if self.scope == Scope::User {
            all.push("--user");
        }
        all.extend(words);
        owned(&all)
    }

    /// What the manager knows of a unit.
    fn show(self, ground: &Ground, name: &str, keys: &str) -> Result<Shown, InitError> {
        let words = self.words(&["show", &unit(name), &format!("--property={keys}")]);
        let answer = tools::run(ground, &words)?;
        if !answer.is_good() {
            return Err(tools::failed(&words, &answer));
        }
        let pairs = answer.said.lines().filter_map(|line| line.split_once('='));
        Ok(Shown(pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).collect()))
    }

    fn load_state(self, ground: &Ground, name: &str) -> Result<Shown, InitError> {
        let shown = self.show(ground, name, "LoadState,ActiveState,SubState,ControlGroup")?;
        match shown.get("LoadState") {
            "not-found" => Err(InitError::NotInstalled(name.to_owned())),
            // In a chroot systemctl does nothing and ends with 0.
            "" => Err(InitError::Failed(
                "systemctl tells nothing of it, as where systemd does not run: nothing can be \
                 started or stopped here; for files alone add --root / --init systemd"
                    .to_owned(),
            )),
            _ => Ok(shown),
        }
    }

    /// What is known of a unit of which there may be processes: it runs, or is on its way.
    fn up(self, ground: &Ground, name: &str) -> Option<Shown> {
        if ground.is_offline() {
            return None;
        }
        let shown = self.show(ground, name, "ActiveState,FileDescriptorStoreMax").ok()?;
        (!matches!(shown.get("ActiveState"), "inactive" | "failed" | "")).then_some(shown)
    }

    /// Runs `systemctl VERB UNIT`, whose codes 4 and 5 are ours.
    fn control(self, ground: &Ground, verb: &str, name: &str) -> Result<(), InitError> {
        let words = self.words(&[verb, &unit(name)]);
        if !ground.is_live() {
            return tools::must(ground, &words);
        }
        let answer = tools::run(ground, &words)?;
        match answer.code {
            0 => Ok(()),
            4 => Err(InitError::Forbidden(tools::failed(&words, &answer).to_string())),
            5 => Err(InitError::NotInstalled(name.to_owned())),
            _ => Err(tools::failed(&words, &answer)),
        }
    }
}

/// Properties of a unit.
struct Shown(BTreeMap<String, String>);

impl Shown {
    fn get(&self, key: &str) -> &str {
        self.0.get(key).map(String::as_str).unwrap_or_default()
    }
}

fn unit(name: &str) -> String {
    format!("{name}.service")
}

/// What the other name of a service has behind it.
const ALIASED: &str = "_service";

/// The other name of a unit.
fn alias(name: &str) -> String {
    format!("{name}{ALIASED}.service")
}

impl InitSystem for Systemd {
    fn name(&self) -> &'static str {
        "systemd"
    }

    fn version(&self, ground: &Ground) -> Option<u32> {
        version(ground)
    }

    fn forbids(&self) -> bool {
        self.scope == Scope::Machine
    }

    fn knows_no_network(&self) -> Option<&'static str> {
        let text = "a user's manager knows nothing of the network";
        (self.scope == Scope::User).then_some(text)
    }

    fn files(&self, definition: &Definition) -> Result<Vec<DefinitionFile>, InitError> {
        let path = self.unit_path(&definition.units_of_user, &definition.name);
        Ok(vec![DefinitionFile::of(definition, path, 0o644, Comment::Hash, &unit_text(definition))])
    }

    fn links(&self, ground: &Ground, definition: &Definition) -> Vec<Link> {
        let target = self.unit_path(&definition.units_of_user, &definition.name);
        let folder = target.parent().unwrap_or(Path::new(UNITS)).to_owned();
        let wanted_by = format!("{}.wants", wanted_by(self.scope));
        if !ground.is_offline() || definition.start == Start::OnDemand {
            return Vec::new();
        }
        vec![
            Link { path: folder.join(alias(&definition.name)), target: target.clone() },
            Link { path: folder.join(wanted_by).join(unit(&definition.name)), target },
        ]
    }

    fn paths(&self, ground: &Ground, name: &str) -> Vec<PathBuf> {
        let path = self.unit_path(&units_of_user(), name);
        if !ground.is_offline() {
            return vec![path];
        }
        let folder = path.parent().unwrap_or(Path::new(UNITS));
        let wanted_by = format!("{}.wants", wanted_by(self.scope));
        let links = [folder.join(alias(name)), folder.join(wanted_by).join(unit(name))];
        [vec![path.clone()], links.to_vec()].concat()
    }

    fn definition(&self, ground: &Ground, name: &str) -> Option<PathBuf> {
        let path = self.unit_path(&units_of_user(), name);
        if ground.is_offline() || fs::symlink_metadata(ground.at(&path)).is_ok() {
            return Some(path);
        }
        let shown = self.show(ground, name, "FragmentPath").ok()?;
        let path = PathBuf::from(shown.get("FragmentPath"));
        (!path.as_os_str().is_empty()).then_some(path)
    }

    fn folders(&self, name: &str) -> Vec<PathBuf> {
        match self.scope {
            Scope::Machine => {
                ["/run", "/var/lib", "/var/log"].map(|above| Path::new(above).join(name)).into()
            }
            // The manager of a user cannot give away what is not the user's.
            Scope::User => {
                let above = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
                above.into_iter().map(|above| above.join(name)).collect()
            }
        }
    }

    fn settings(&self, _: &Ground, name: &str) -> Vec<PathBuf> {
        let path = self.unit_path(&units_of_user(), name);
        [unit(name), alias(name)].map(|unit| path.with_file_name(format!("{unit}.d"))).into()
    }

    fn may_be(&self, ground: &Ground, name: &str) -> Result<(), InitError> {
        let Some(of) = name.strip_suffix(ALIASED) else { return Ok(()) };
        let path = self.unit_path(&units_of_user(), of);
        match files::ownership(&ground.at(path))? {
            Ownership::Ours(_) | Ownership::Edited(_) => Err(InitError::OtherName(of.to_owned())),
            Ownership::Nobody | Ownership::Foreign => Ok(()),
        }
    }

    fn hidden(&self, ground: &Ground, definition: &Definition) -> Option<PathBuf> {
        let folders = match self.scope {
            Scope::Machine => UNITS_OF_OTHERS.as_slice(),
            Scope::User => UNITS_FOR_USERS.as_slice(),
        };
        let unit = unit(&definition.name);
        let found = folders.iter().map(|folder| Path::new(folder).join(&unit));
        let is_there = |path: &PathBuf| fs::symlink_metadata(ground.at(path)).is_ok();
        if let Some(path) = found.into_iter().find(is_there) {
            return Some(path);
        }
        if ground.is_offline() {
            return None;
        }
        // It may be known by that name although no file has it.
        let shown = self.show(ground, &definition.name, "FragmentPath").ok()?;
        let path = PathBuf::from(shown.get("FragmentPath"));
        let own = self.unit_path(&definition.units_of_user, &definition.name);
        (!path.as_os_str().is_empty() && path != own).then_some(path)
    }

    fn register(&self, _: &Ground, name: &str, start: Start) -> Commands {
        let unit = unit(name);
        let reload = self.words(&["daemon-reload"]);
        let verb = match start {
            Start::AtBoot => "enable",
            Start::OnDemand => "disable",
        };
        vec![reload, self.words(&[verb, &unit])]
    }

    fn unregister(&self, _: &Ground, name: &str) -> (Commands, Commands) {
        let before = vec![self.words(&["disable", &unit(name)])];
        let after =
            vec![self.words(&["daemon-reload"]), self.words(&["reset-failed", &unit(name)])];
        (before, after)
    }

    fn starts_at_boot(&self, ground: &Ground, name: &str) -> Option<bool> {
        let shown = self.show(ground, name, "UnitFileState,NeedDaemonReload").ok()?;
        match (shown.get("NeedDaemonReload"), shown.get("UnitFileState")) {
            ("no", "enabled") => Some(true),
            ("no", "disabled") => Some(false),
            _ => None,
        }
    }

    fn standing(&self, ground: &Ground, name: &str) -> Standing {
        let shown = match self.show(ground, name, "LoadState,ActiveState,SubState") {
            Ok(shown) => shown,
            Err(error) => return Standing::Unclear(error.to_string()),
        };
        let (load, active, sub) =
            (shown.get("LoadState"), shown.get("ActiveState"), shown.get("SubState"));
        let words = if load == "loaded" || load.is_empty() {
            format!("{active} ({sub})")
        } else {
            format!("{active} ({sub}, unit {load})")
        };
        match (load, active) {
            (_, "") => Standing::Unclear("systemctl has told no state".to_owned()),
            ("not-found", _) => Standing::Absent,
            (_, "active" | "reloading" | "refreshing") => Standing::Running(words),
            _ => Standing::Down(words),
        }
    }

    fn start(&self, ground: &Ground, name: &str) -> Result<(), InitError> {
        if ground.is_live() {
            let shown = self.load_state(ground, name)?;
            if shown.get("LoadState") == "masked" {
                return Err(InitError::Masked(unit(name)));
            }
        }
        self.control(ground, "start", name).map_err(|error| match error {
            InitError::Tool { command, how, said } => {
                let said = format!("{said} What it has said is told by: journalctl -u {name}");
                InitError::Tool { command, how, said }
            }
            other => other,
        })
    }

    fn stop(&self, ground: &Ground, name: &str) -> Result<Ended, InitError> {
        if !ground.is_live() {
            return self.control(ground, "stop", name).map(|()| Ended::Nothing);
        }
        let before = self.load_state(ground, name)?;
        let usual = format!("/system.slice/{}", unit(name));
        let usual = if self.scope == Scope::Machine { usual.as_str() } else { "" };
        // A guardian may be quicker, so this is seen beforehand.
        let had_left = [before.get("ControlGroup"), usual]
            .into_iter()
            .any(|cgroup| leftovers::are_there(ground, cgroup, name));
        self.control(ground, "stop", name)?;
        let after = self.show(ground, name, "ControlGroup,ActiveState")?;
        // Somebody may have started it again meanwhile.
        if !matches!(after.get("ActiveState"), "inactive" | "failed") {
            return Ok(Ended::Run);
        }
        let told = [before.get("ControlGroup"), after.get("ControlGroup")];
        told.into_iter().chain([usual]).try_for_each(|cgroup| leftovers::end(ground, cgroup))?;
        Ok(match (before.get("ActiveState"), before.get("SubState")) {
            ("active" | "reloading" | "refreshing" | "deactivating", _) => Ended::Run,
            // In the pause before a restart nobody is there who could be starting.
            ("activating", sub) if !sub.starts_with("auto-restart") => Ended::Start,
            _ if had_left => Ended::Leftovers,
            _ => Ended::Nothing,
        })
    }

    fn restart(&self, ground: &Ground, name: &str) -> Result<(), InitError> {
        if ground.is_live() && inside::is_in_unit(ground, &unit(name)) {
            // We end with its programs; the manager goes on.
            return self.control(ground, "restart", name);
        }
        self.stop(ground, name)?;
        self.start(ground, name)
    }

    fn counting_at_once(&self, ground: &Ground, name: &str, settings: &[String]) -> Vec<String> {
        let forbids = |key: &str| RESTRICTIONS.iter().any(|each| each.has(key));
        let is_meant = |key: &&String| OF_KEEPERS.contains(&key.as_str()) || forbids(key);
        let meant: Vec<String> = settings.iter().filter(is_meant).cloned().collect();
        if meant.is_empty() || self.up(ground, name).is_none() { Vec::new() } else { meant }
    }

    fn room_in_use(&self, ground: &Ground, name: &str) -> usize {
        let room = self.up(ground, name).map(|shown| shown.get("FileDescriptorStoreMax").parse());
        room.and_then(Result::ok).unwrap_or_default()
    }

    fn reload(&self, ground: &Ground, name: &str) -> Result<(), InitError> {
        self.control(ground, "reload", name)
    }
}

/// Where the units of the user are who calls.
#[must_use]
pub fn units_of_user() -> PathBuf {
    let absolute =
        |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let home = || absolute("HOME").map(|home| home.join(".config"));
    let configuration = absolute("XDG_CONFIG_HOME").or_else(home);
    configuration.unwrap_or_else(|| PathBuf::from("/root/.config")).join("systemd/user")
}

/// The version of systemd, as its tool or, below a folder, its library tells it.
#[must_use]
pub fn version(ground: &Ground) -> Option<u32> {
    if ground.is_offline() || !ground.is_this_machine() {
        return version_of_library(ground);
    }
    let answer = tools::ask(ground, &["systemctl", "--version"]).ok()?;
    number(answer.said.split_whitespace().nth(1)?)
}

/// The number that a version begins with.
fn number(version: &str) -> Option<u32> {
    version.split(['.', '~', '-']).next()?.parse().ok()
}

fn version_of_library(ground: &Ground) -> Option<u32> {
    let folders = ["/usr/lib", "/lib"].map(|folder| ground.behind(folder));
    let inner = folders.iter().flat_map(|folder| {
        let entries = fs::read_dir(folder).into_iter().flatten().flatten();
        entries.map(|entry| entry.path().join("systemd"))
    });
    let all = folders.iter().map(|folder| folder.join("systemd")).chain(inner);
    let names = all.flat_map(|folder| fs::read_dir(folder).into_iter().flatten().flatten());
    let numbers = names.filter_map(|entry| {
        let name = entry.file_name();
        let rest = name.to_str()?.strip_prefix("libsystemd-shared-")?.strip_suffix(".so")?;
        number(rest)
    });
    numbers.max()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_told_in_many_ways() {
        for (told, version) in [("252", 252), ("257~rc1", 257), ("256.7", 256), ("255-1.el9", 255)]
        {
            assert_eq!(number(told), Some(version), "{told}");
        }
        assert_eq!(number("v1"), None);
    }

    #[test]
    fn below_a_folder_the_version_is_that_of_its_library() {
        let room = tempfile::tempdir().unwrap();
        let ground = Ground::here().below(room.path());
        assert_eq!(version(&ground), None);

        for folder in ["usr/lib/systemd", "usr/lib/x86_64-linux-gnu/systemd", "lib/systemd"] {
            let room = tempfile::tempdir().unwrap();
            let folder = room.path().join(folder);
            fs::create_dir_all(&folder).unwrap();
            fs::write(folder.join("libsystemd-shared-254.22-1.so"), "").unwrap();
            fs::write(folder.join("libsystemd-core-300.so"), "").unwrap();

            assert_eq!(version(&Ground::here().below(room.path())), Some(254));
        }
    }
}
