//! launchd: a property list for each service.
//!
//! Loading it would start it, so that is left to the next boot or to `start`; a stop
//! unloads it until then.

use std::path::PathBuf;

use super::definition::{Definition, Respawn, Start};
use super::escape::xml;
use super::files::{Comment, DefinitionFile, Link};
use super::ground::Ground;
use super::{Commands, Ended, InitError, InitSystem, Standing, owned, tools};

/// What launchctl ends with where it does not know a service.
const UNKNOWN: i32 = 113;

/// launchd.
#[derive(Debug, Clone, Copy)]
pub struct Launchd;

fn label(name: &str) -> String {
    format!("bardo.{name}")
}

fn target(name: &str) -> String {
    format!("system/{}", label(name))
}

fn plist(name: &str) -> PathBuf {
    PathBuf::from(format!("/Library/LaunchDaemons/{}.plist", label(name)))
}

impl Launchd {
    fn control(ground: &Ground, words: &[&str]) -> Result<(), InitError> {
        tools::must(ground, &owned(words))
    }

    fn is_loaded(ground: &Ground, name: &str) -> Result<bool, InitError> {
        if !ground.is_live() {
            return Ok(false);
        }
        let answer = tools::ask(ground, &["launchctl", "print", &target(name)])?;
        Ok(answer.is_good())
    }

    fn must_be_there(ground: &Ground, name: &str) -> Result<(), InitError> {
        if ground.is_live() && !ground.at(plist(name)).exists() {
            return Err(InitError::NotInstalled(name.to_owned()));
        }
        Ok(())
    }
}

impl InitSystem for Launchd {
    fn name(&self) -> &'static str {
        "launchd"
    }

    fn knows_no_network(&self) -> Option<&'static str> {
        Some("it has no word for a network that can be reached")
    }

    fn files(&self, definition: &Definition) -> Result<Vec<DefinitionFile>, InitError> {
        let (path, text) = (plist(&definition.name), plist_text(definition));
        Ok(vec![DefinitionFile::of(definition, path, 0o644, Comment::Xml, &text)])
    }

    fn links(&self, _: &Ground, _: &Definition) -> Vec<Link> {
        Vec::new()
    }

    fn paths(&self, _: &Ground, name: &str) -> Vec<PathBuf> {
        vec![plist(name)]
    }

    fn register(&self, _: &Ground, name: &str, start: Start) -> Commands {
        // What it notes counts more than what the file says.
        let verb = if start == Start::AtBoot { "enable" } else { "disable" };
        vec![owned(&["launchctl", verb, &target(name)])]
    }

    fn unregister(&self, _: &Ground, _: &str) -> (Commands, Commands) {
        (Vec::new(), Vec::new())
    }

    fn starts_at_boot(&self, ground: &Ground, name: &str) -> Option<bool> {
        let text = std::fs::read_to_string(ground.at(plist(name))).ok()?;
        Some(text.contains("<key>RunAtLoad</key>\n\t<true/>"))
    }

    fn standing(&self, ground: &Ground, name: &str) -> Standing {
        let answer = match tools::ask(ground, &["launchctl", "print", &target(name)]) {
            Ok(answer) => answer,
            Err(error) => return Standing::Unclear(error.to_string()),
        };
        let is_there = ground.at(plist(name)).exists();
        match answer.code {
            0 if answer.said.contains("state = running") => Standing::Running("running".to_owned()),
            0 => Standing::Down("loaded, not running".to_owned()),
            UNKNOWN if is_there => Standing::Down("not loaded".to_owned()),
            UNKNOWN => Standing::Absent,
            _ => Standing::Unclear(answer.last_line()),
        }
    }

    fn start(&self, ground: &Ground, name: &str) -> Result<(), InitError> {
        Self::must_be_there(ground, name)?;
        let is_on_demand = self.starts_at_boot(ground, name) == Some(false);
        if !Self::is_loaded(ground, name)? {
            let file = plist(name).display().to_string();
            if is_on_demand {
                // What is disabled is not loaded.
                Self::control(ground, &["launchctl", "enable", &target(name)])?;
            }
            let loaded = Self::control(ground, &["launchctl", "bootstrap", "system", &file]);
            if is_on_demand {
                // It keeps what runs, and is not started with the machine.
                Self::control(ground, &["launchctl", "disable", &target(name)])?;
            }
            loaded?;
        }
        // It runs already where it starts when it is loaded.
        Self::control(ground, &["launchctl", "kickstart", &target(name)])
    }

    fn stop(&self, ground: &Ground, name: &str) -> Result<Ended, InitError> {
        Self::must_be_there(ground, name)?;
        if ground.is_live() && !Self::is_loaded(ground, name)? {
            return Ok(Ended::Nothing);
        }
        Self::control(ground, &["launchctl", "bootout", &target(name)])?;
        Ok(Ended::Nothing)
    }

    fn reload(&self, ground: &Ground, name: &str) -> Result<(), InitError> {
        Self::control(ground, &["launchctl", "kill", "HUP", &target(name)])
    }
}

fn plist_text(definition: &Definition) -> String {
    let words = [definition.binary()].into_iter().chain(definition.arguments());
    let words: String =
        words.map(|word| format!("\t\t<string>{}</string>\n", xml(&word))).collect();
    let truth = |truth: bool| if truth { "<true/>" } else { "<false/>" };
    let respawn = match definition.respawn {
        Respawn::Always => {
            "\t<key>KeepAlive</key>\n\t<dict>\n\t\t<key>SuccessfulExit</key>\n\t\t<false/>\n\t</dict>\n"
        }
        Respawn::Never => "\t<key>KeepAlive</key>\n\t<false/>\n",
    };
    let account = definition.account.as_ref().map_or_else(String::new, |account| {
        format!("\t<key>UserName</key>\n\t<string>{}</string>\n", xml(account))
    });
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <!DOCTYPE plist PUBLIC \"-//Apple//DTD PLIST 1.0//EN\" \
         \"http://www.apple.com/DTDs/PropertyList-1.0.dtd\">\n\
         <plist version=\"1.0\">\n<dict>\n\
         \t<key>Label</key>\n\t<string>{label}</string>\n\
         \t<key>ProgramArguments</key>\n\t<array>\n{words}\t</array>\n\
         \t<key>RunAtLoad</key>\n\t{at_load}\n{disabled}{respawn}\
         \t<key>ThrottleInterval</key>\n\t<integer>1</integer>\n\
         \t<key>ExitTimeOut</key>\n\t<integer>{seconds}</integer>\n{account}\
         \t<key>SoftResourceLimits</key>\n\t<dict>\n\t\t<key>NumberOfFiles</key>\n\
         \t\t<integer>65536</integer>\n\t</dict>\n</dict>\n</plist>\n",
        label = xml(&label(&definition.name)),
        at_load = truth(definition.start == Start::AtBoot),
        // What is kept alive unless it ended well is started when it is loaded, whatever
        // RunAtLoad says.
        disabled = match definition.start {
            Start::AtBoot => "",
            Start::OnDemand => "\t<key>Disabled</key>\n\t<true/>\n",
        },
        seconds = definition.stop_seconds(),
    )
}
