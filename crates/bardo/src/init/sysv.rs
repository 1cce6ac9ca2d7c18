//! SysV init: a script `NAME_service` and its links in the folders of runlevels.
//!
//! The script starts at boot and never again by itself. How it works is in `sysv.sh`;
//! here are its head, which tools read, and its settings.

use std::fs;
use std::path::{Path, PathBuf};

use super::definition::{Definition, Start};
use super::escape::shell;
use super::files::{DefinitionFile, Link};
use super::ground::Ground;
use super::{Commands, Ended, InitError, InitSystem, Standing, leftovers, owned, readiness, tools};

/// What the script does.
const BODY: &str = include_str!("sysv.sh");

/// Folders of init scripts. Where Red Hat has the second one, the first is a link to it.
const SCRIPTS: [&str; 2] = ["/etc/init.d", "/etc/rc.d/init.d"];

/// Folders of runlevels: `/etc/rc2.d` or `/etc/rc.d/rc2.d`.
const LEVELS: [&str; 2] = ["/etc", "/etc/rc.d"];

/// The runlevels in which it runs, and those in which it does not.
const STARTED_IN: [char; 4] = ['2', '3', '4', '5'];
const STOPPED_IN: [char; 3] = ['0', '1', '6'];

/// SysV init.
#[derive(Debug, Clone, Copy)]
pub struct Sysv;

/// The tool that makes the links of runlevels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Linker {
    /// Debian's.
    UpdateRc,
    /// Red Hat's.
    Chkconfig,
    /// The one that goes by the head of the script.
    Insserv,
    /// There is none: we make them.
    None,
}

impl Linker {
    fn of(ground: &Ground) -> Self {
        if ground.is_offline() {
            return Self::None;
        }
        let tools = [
            ("update-rc.d", Self::UpdateRc),
            ("chkconfig", Self::Chkconfig),
            ("insserv", Self::Insserv),
        ];
        let found = tools.into_iter().find(|(tool, _)| ground.tool(tool).is_some());
        found.map_or(Self::None, |(_, linker)| linker)
    }
}

/// The folder of init scripts of a machine.
#[must_use]
pub fn scripts(ground: &Ground) -> PathBuf {
    let found = SCRIPTS.into_iter().find(|folder| ground.behind(folder).is_dir());
    PathBuf::from(found.unwrap_or(SCRIPTS[0]))
}

fn script(name: &str) -> String {
    format!("{name}_service")
}

impl Sysv {
    fn path(ground: &Ground, name: &str) -> PathBuf {
        scripts(ground).join(script(name))
    }

    /// Runs an action of the script, whose exit codes are ours.
    fn act(ground: &Ground, name: &str, action: &str) -> Result<(), InitError> {
        let path = Self::path(ground, name);
        let words = owned(&[&path.display().to_string(), action]);
        if !ground.is_live() {
            return tools::must(ground, &words);
        }
        if !ground.at(&path).exists() {
            return Err(InitError::NotInstalled(name.to_owned()));
        }
        let answer = tools::run(ground, &words)?;
        let said = || answer.last_line();
        match answer.code {
            0 => Ok(()),
            4 => Err(InitError::Forbidden(said())),
            5 | 6 => Err(InitError::NotConfigured(said())),
            7 => Err(InitError::NotRunning(name.to_owned())),
            _ => Err(tools::script_failed(&words, &answer)),
        }
    }

    /// The links that we make where no tool does.
    fn own_links(folder: &Path, levels: &str, definition: &Definition) -> Vec<Link> {
        let script = script(&definition.name);
        let target = folder.join(&script);
        let link = |level: char, kind: &str| Link {
            path: PathBuf::from(format!("{levels}/rc{level}.d/{kind}{script}")),
            target: target.clone(),
        };
        let stopped = STOPPED_IN.map(|level| link(level, "K01"));
        let started = STARTED_IN.map(|level| match definition.start {
            Start::AtBoot => link(level, "S99"),
            Start::OnDemand => link(level, "K01"),
        });
        stopped.into_iter().chain(started).collect()
    }
}

/// The folder in which the folders of runlevels are.
fn levels(ground: &Ground, scripts: &Path) -> &'static str {
    let usual = if scripts == Path::new(SCRIPTS[1]) { LEVELS[1] } else { LEVELS[0] };
    let has_levels = |folder: &&str| ground.behind(format!("{folder}/rc3.d")).is_dir();
    LEVELS.into_iter().find(has_levels).unwrap_or(usual)
}

/// Links of a script that are there, in all folders of runlevels.
fn present_links(ground: &Ground, name: &str) -> Vec<PathBuf> {
    let script = script(name);
    let mut found = Vec::new();
    for levels in LEVELS {
        for level in "0123456S".chars() {
            let folder = PathBuf::from(format!("{levels}/rc{level}.d"));
            let entries = fs::read_dir(ground.behind(&folder)).into_iter().flatten().flatten();
            for entry in entries {
                let file = entry.file_name().to_string_lossy().into_owned();
                let is_number = file
                    .get(1..3)
                    .is_some_and(|number| number.bytes().all(|digit| digit.is_ascii_digit()));
                let is_link = file.starts_with(['S', 'K']) && is_number;
                if is_link && file.get(3..) == Some(&script) {
                    found.push(folder.join(file));
                }
            }
        }
    }
    found.sort();
    found
}

impl InitSystem for Sysv {
    fn name(&self) -> &'static str {
        "sysv"
    }

    fn knows_no_network(&self) -> Option<&'static str> {
        Some("it has no word for a network that can be reached")
    }

    fn files(&self, definition: &Definition) -> Result<Vec<DefinitionFile>, InitError> {
        let path = definition.scripts.join(script(&definition.name));
        Ok(vec![DefinitionFile::script(definition, path, &script_text(definition))])
    }

    fn links(&self, ground: &Ground, definition: &Definition) -> Vec<Link> {
        if Linker::of(ground) != Linker::None {
            return Vec::new();
        }
        Self::own_links(&definition.scripts, levels(ground, &definition.scripts), definition)
    }

    fn paths(&self, ground: &Ground, name: &str) -> Vec<PathBuf> {
        let mut paths = vec![Self::path(ground, name)];
        // What a tool has made is taken away by it.
        if Linker::of(ground) == Linker::None {
            paths.extend(present_links(ground, name));
        }
        paths
    }

    fn settings(&self, _: &Ground, name: &str) -> Vec<PathBuf> {
        ["/etc/default", "/etc/sysconfig"].map(|folder| Path::new(folder).join(name)).into()
    }

    fn register(&self, ground: &Ground, name: &str, start: Start) -> Commands {
        let script = script(name);
        let is_boot = start == Start::AtBoot;
        let (defaults, state) =
            if is_boot { ("defaults", "enable") } else { ("defaults-disabled", "disable") };
        match Linker::of(ground) {
            Linker::UpdateRc => vec![
                owned(&["update-rc.d", &script, defaults]),
                // The first one leaves links alone that are there already.
                owned(&["update-rc.d", &script, state]),
            ],
            Linker::Chkconfig => vec![
                owned(&["chkconfig", "--add", &script]),
                owned(&["chkconfig", &script, if is_boot { "on" } else { "off" }]),
            ],
            Linker::Insserv if is_boot => vec![owned(&["insserv", &script])],
            Linker::Insserv => vec![owned(&["insserv", "-r", &script])],
            Linker::None => Vec::new(),
        }
    }

    fn unregister(&self, ground: &Ground, name: &str) -> (Commands, Commands) {
        let script = script(name);
        match Linker::of(ground) {
            // It refuses while the script is there.
            Linker::UpdateRc => (Vec::new(), vec![owned(&["update-rc.d", &script, "remove"])]),
            Linker::Chkconfig => (vec![owned(&["chkconfig", "--del", &script])], Vec::new()),
            Linker::Insserv => (vec![owned(&["insserv", "-r", &script])], Vec::new()),
            Linker::None => (Vec::new(), Vec::new()),
        }
    }

    fn starts_at_boot(&self, ground: &Ground, name: &str) -> Option<bool> {
        let links = present_links(ground, name);
        let is_start = |path: &PathBuf| {
            path.file_name().is_some_and(|file| file.to_string_lossy().starts_with('S'))
        };
        if links.is_empty() { None } else { Some(links.iter().any(is_start)) }
    }

    fn standing(&self, ground: &Ground, name: &str) -> Standing {
        let path = Self::path(ground, name);
        if !ground.at(&path).exists() {
            return Standing::Absent;
        }
        match tools::run(ground, &owned(&[&path.display().to_string(), "status"])) {
            Ok(answer) => {
                let line = answer.last_line();
                let line = line.strip_prefix(&format!("{name}: ")).unwrap_or(&line).to_owned();
                match answer.code {
                    0 => Standing::Running(line),
                    3 => Standing::Down(line),
                    _ => Standing::Unclear(line),
                }
            }
            Err(error) => Standing::Unclear(error.to_string()),
        }
    }

    fn start(&self, ground: &Ground, name: &str) -> Result<(), InitError> {
        Self::act(ground, name, "start")
    }

    fn stop(&self, ground: &Ground, name: &str) -> Result<Ended, InitError> {
        let stop = |ground: &Ground| Self::act(ground, name, "stop");
        stop(ground)?;
        leftovers::take_over(self, ground, name, stop)
    }

    fn reload(&self, ground: &Ground, name: &str) -> Result<(), InitError> {
        Self::act(ground, name, "reload")
    }
}

/// The script.
fn script_text(definition: &Definition) -> String {
    format!("{}{}{BODY}", head(definition), settings(definition))
}

/// What insserv, update-rc.d and chkconfig read.
fn head(definition: &Definition) -> String {
    let script = script(&definition.name);
    format!(
        "#!/bin/sh\n\
         # chkconfig: 2345 99 01\n\
         # description: {description}: keeps programs running, starts them again \\\n\
         #              when they end and keeps their logs.\n\
         ### BEGIN INIT INFO\n\
         # Provides:          {script}\n\
         # Required-Start:    $local_fs $remote_fs $syslog\n\
         # Required-Stop:     $local_fs $remote_fs $syslog\n\
         # Should-Start:      $network $named $time\n\
         # Should-Stop:       $network $named $time\n\
         # Default-Start:     2 3 4 5\n\
         # Default-Stop:      0 1 6\n\
         # Short-Description: {description}\n\
         # Description:       Keeps programs running, starts them again when they end and\n\
         #                    keeps their logs.\n\
         ### END INIT INFO\n",
        description = definition.description()
    )
}

fn settings(definition: &Definition) -> String {
    let name = &definition.name;
    let configuration = definition.configuration.as_ref();
    let configuration = configuration.map(|file| file.display().to_string()).unwrap_or_default();
    let account = definition.account.as_deref().unwrap_or_default();
    let pidfile = readiness::pidfile(definition).display().to_string();
    let value = |text: &str| if text.is_empty() { String::new() } else { shell(text) };
    format!(
        "\nNAME={}\nSCRIPT={}\nBINARY={}\nCONFIG={}\nACCOUNT={}\nPIDFILE={}\nSTOP_SECONDS={}\n\n",
        value(name),
        value(&script(name)),
        value(&definition.binary()),
        value(&configuration),
        value(account),
        value(&pidfile),
        definition.stop_seconds(),
    )
}
