//! FreeBSD's rc.d: a script `NAME`, and a variable in rc.conf that switches it on.
//!
//! daemon(8) starts again whatever ends, also with 0: a shutdown that was asked for stays
//! one only by `service NAME stop`.

use std::fs;
use std::path::PathBuf;

use super::definition::{Definition, Network, Respawn, Start};
use super::escape::{quoted, shell};
use super::files::{DefinitionFile, Link};
use super::ground::Ground;
use super::{Commands, Ended, InitError, InitSystem, Standing, owned, tools};

/// FreeBSD's rc.d.
#[derive(Debug, Clone, Copy)]
pub struct FreeBsd;

/// The folder of scripts that are not of the base system.
const SCRIPTS: &str = "/usr/local/etc/rc.d";

fn script(name: &str) -> PathBuf {
    PathBuf::from(format!("{SCRIPTS}/{name}"))
}

/// The name as a variable of a shell can have it.
fn variable(name: &str) -> String {
    let letters = name.chars();
    let word: String = letters.map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
    // No variable begins with a digit.
    if word.starts_with(|first: char| first.is_ascii_digit()) { format!("_{word}") } else { word }
}

impl FreeBsd {
    /// Also where it does not start at boot.
    fn control(ground: &Ground, verb: &str, name: &str) -> Result<(), InitError> {
        if ground.is_live() && !ground.at(script(name)).exists() {
            return Err(InitError::NotInstalled(name.to_owned()));
        }
        tools::must(ground, &owned(&["service", name, verb]))
    }
}

impl InitSystem for FreeBsd {
    fn name(&self) -> &'static str {
        "freebsd"
    }

    fn files(&self, definition: &Definition) -> Result<Vec<DefinitionFile>, InitError> {
        let (path, text) = (script(&definition.name), script_text(definition));
        Ok(vec![DefinitionFile::script(definition, path, &text)])
    }

    fn links(&self, _: &Ground, _: &Definition) -> Vec<Link> {
        Vec::new()
    }

    fn paths(&self, _: &Ground, name: &str) -> Vec<PathBuf> {
        vec![script(name)]
    }

    fn settings(&self, _: &Ground, name: &str) -> Vec<PathBuf> {
        vec![PathBuf::from(format!("/etc/rc.conf.d/{}", variable(name)))]
    }

    fn may_be(&self, ground: &Ground, name: &str) -> Result<(), InitError> {
        let folder = ground.behind(SCRIPTS);
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let other = entry.file_name().to_string_lossy().into_owned();
            if other != name && !other.starts_with('.') && variable(&other) == variable(name) {
                return Err(InitError::Failed(format!(
                    "{SCRIPTS}/{other} is switched on by the same variable {}_enable: choose \
                     another name",
                    variable(name)
                )));
            }
        }
        Ok(())
    }

    fn register(&self, _: &Ground, name: &str, start: Start) -> Commands {
        let key = format!("{}_enable", variable(name));
        match start {
            Start::AtBoot => {
                let set = format!("{key}=YES");
                vec![owned(&["sysrc", &set])]
            }
            Start::OnDemand => vec![owned(&["sysrc", &format!("{key}=NO")])],
        }
    }

    fn unregister(&self, _: &Ground, name: &str) -> (Commands, Commands) {
        (Vec::new(), vec![owned(&["sysrc", "-x", &format!("{}_enable", variable(name))])])
    }

    fn starts_at_boot(&self, ground: &Ground, name: &str) -> Option<bool> {
        let key = format!("{}_enable", variable(name));
        let answer = tools::ask(ground, &["sysrc", "-n", "-i", &key]).ok()?;
        match answer.said.trim() {
            "YES" => Some(true),
            "NO" => Some(false),
            _ => None,
        }
    }

    fn standing(&self, ground: &Ground, name: &str) -> Standing {
        if !ground.at(script(name)).exists() {
            return Standing::Absent;
        }
        match tools::ask(ground, &["service", name, "onestatus"]) {
            Ok(answer) if answer.is_good() => Standing::Running(answer.last_line()),
            Ok(answer) if answer.code == 1 => Standing::Down(answer.last_line()),
            Ok(answer) => Standing::Unclear(answer.last_line()),
            Err(error) => Standing::Unclear(error.to_string()),
        }
    }

    fn start(&self, ground: &Ground, name: &str) -> Result<(), InitError> {
        if ground.is_live() && matches!(self.standing(ground, name), Standing::Running(_)) {
            return Ok(());
        }
        Self::control(ground, "onestart", name)
    }

    fn stop(&self, ground: &Ground, name: &str) -> Result<Ended, InitError> {
        if ground.is_live() && matches!(self.standing(ground, name), Standing::Down(_)) {
            return Ok(Ended::Nothing);
        }
        Self::control(ground, "onestop", name)?;
        Ok(Ended::Nothing)
    }

    fn reload(&self, ground: &Ground, name: &str) -> Result<(), InitError> {
        Self::control(ground, "onereload", name)
    }
}

fn script_text(definition: &Definition) -> String {
    let name = variable(&definition.name);
    let require = match definition.network {
        Network::Configured => "LOGIN",
        Network::Online => "LOGIN NETWORKING",
    };
    // The file of daemon(8) is signalled for a stop, that of its child for a reload.
    let pidfile = format!("/var/run/{}.pid", definition.name);
    let child = format!("/var/run/{}.child.pid", definition.name);
    let mut words = owned(&["-f", "-P", &pidfile, "-p", &child]);
    if definition.respawn == Respawn::Always {
        words.extend(owned(&["-R", "1"]));
    }
    if let Some(account) = &definition.account {
        words.extend(owned(&["-u", account]));
    }
    words.push(definition.binary());
    words.extend(definition.arguments());
    let words: Vec<String> = words.iter().map(|word| shell(word)).collect();
    format!(
        "#!/bin/sh\n\
         # PROVIDE: {provide}\n# REQUIRE: {require}\n# KEYWORD: shutdown\n\n\
         . /etc/rc.subr\n\n\
         name={name}\nrcvar={name}_enable\ndesc={description}\n\
         load_rc_config \"$name\"\n: \"${{{name}_enable:=NO}}\"\n\n\
         pidfile={pidfile}\ncommand=/usr/sbin/daemon\ncommand_args={arguments}\n\
         extra_commands=reload\nreload_cmd='kill -HUP \"$(cat {child})\"'\n\n\
         run_rc_command \"$1\"\n",
        provide = definition.name,
        description = quoted(&definition.description()),
        arguments = quoted(&words.join(" ")),
    )
}
