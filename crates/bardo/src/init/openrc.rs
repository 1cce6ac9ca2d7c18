//! OpenRC: a script `NAME` that supervise-daemon starts again.
//!
//! supervise-daemon starts what ends with 0 again too, and always after the same pause.
//! So what it starts is not the service itself but one that stands beside it
//! (`attendant.rs`): that keeps a shutdown that was asked for, and makes pauses longer.

use std::fs;
use std::path::PathBuf;

use super::definition::{Definition, Network, Respawn, Start};
use super::escape::{quoted, shell};
use super::files::{DefinitionFile, Link};
use super::ground::Ground;
use super::{
    Commands, Ended, InitError, InitSystem, Standing, attendant, leftovers, owned, readiness, tools,
};

/// OpenRC.
#[derive(Debug, Clone, Copy)]
pub struct OpenRc;

fn script(name: &str) -> PathBuf {
    PathBuf::from(format!("/etc/init.d/{name}"))
}

/// The link that the default runlevel has of it.
fn enabled(name: &str) -> PathBuf {
    PathBuf::from(format!("/etc/runlevels/default/{name}"))
}

impl OpenRc {
    fn control(ground: &Ground, verb: &str, name: &str) -> Result<(), InitError> {
        let words = owned(&["rc-service", name, verb]);
        if ground.is_live() && !ground.at(script(name)).exists() {
            return Err(InitError::NotInstalled(name.to_owned()));
        }
        tools::must(ground, &words)
    }

    /// Whether OpenRC takes for started what does not run, and so neither starts nor stops it.
    fn is_lost(ground: &Ground, name: &str) -> bool {
        ground.is_live()
            && match Told::of(ground, name) {
                Told::Crashed | Told::Unsupervised => true,
                // One that was killed and had no supervisor counts as started for ever.
                Told::Started => !readiness::is_ready(ground, name) && !is_supervised(ground, name),
                Told::Starting
                | Told::Stopped
                | Told::Otherwise(_)
                | Told::Absent
                | Told::Unclear(_) => false,
            }
    }

    /// Has it take a service for stopped. Where that is refused, what comes next is refused as
    /// well, and told.
    fn give_up(ground: &Ground, name: &str) {
        let _ = tools::ask(ground, &["rc-service", name, "zap"]);
    }
}

/// What OpenRC says of a service: it goes by what it has started, and not by what runs.
enum Told {
    Started,
    /// Somebody else starts it just now.
    Starting,
    Stopped,
    Crashed,
    Unsupervised,
    /// Somebody else stops it just now, or it is inactive.
    Otherwise(String),
    Absent,
    Unclear(String),
}

impl Told {
    fn of(ground: &Ground, name: &str) -> Self {
        if !ground.at(script(name)).exists() {
            return Self::Absent;
        }
        match tools::ask(ground, &["rc-service", name, "status"]) {
            Ok(answer) => match answer.code {
                0 => Self::Started,
                8 => Self::Starting,
                3 => Self::Stopped,
                32 => Self::Crashed,
                64 => Self::Unsupervised,
                4 | 16 => Self::Otherwise(answer.last_line()),
                _ => Self::Unclear(answer.last_line()),
            },
            Err(error) => Self::Unclear(error.to_string()),
        }
    }

    fn standing(self) -> Standing {
        match self {
            Self::Started => Standing::Running("started".to_owned()),
            Self::Starting => Standing::Running("starting".to_owned()),
            Self::Stopped => Standing::Down("stopped".to_owned()),
            Self::Crashed => Standing::Down("crashed".to_owned()),
            Self::Unsupervised => Standing::Down("not supervised any more".to_owned()),
            Self::Otherwise(words) => Standing::Down(words),
            Self::Absent => Standing::Absent,
            Self::Unclear(why) => Standing::Unclear(why),
        }
    }
}

/// Whether its supervise-daemon lives, as its pid file tells.
fn is_supervised(ground: &Ground, name: &str) -> bool {
    let text = fs::read_to_string(ground.at(supervisor_pidfile(name))).unwrap_or_default();
    let pid = text.trim().parse::<u32>();
    let known = pid.ok().and_then(|pid| fs::read_to_string(format!("/proc/{pid}/comm")).ok());
    // The kernel keeps fifteen letters of a name.
    known.is_some_and(|known| SUPERVISOR.starts_with(known.trim()))
}

fn supervisor_pidfile(name: &str) -> String {
    format!("/run/{name}.supervise.pid")
}

/// Who starts a service again.
const SUPERVISOR: &str = "supervise-daemon";

impl InitSystem for OpenRc {
    fn name(&self) -> &'static str {
        "openrc"
    }

    fn files(&self, definition: &Definition) -> Result<Vec<DefinitionFile>, InitError> {
        let path = script(&definition.name);
        Ok(vec![DefinitionFile::script(definition, path, &script_text(definition))])
    }

    fn links(&self, ground: &Ground, definition: &Definition) -> Vec<Link> {
        if !ground.is_offline() || definition.start == Start::OnDemand {
            return Vec::new();
        }
        vec![Link { path: enabled(&definition.name), target: script(&definition.name) }]
    }

    fn paths(&self, ground: &Ground, name: &str) -> Vec<PathBuf> {
        let links = ground.is_offline().then(|| enabled(name));
        [script(name)].into_iter().chain(links).collect()
    }

    fn settings(&self, _: &Ground, name: &str) -> Vec<PathBuf> {
        vec![PathBuf::from(format!("/etc/conf.d/{name}"))]
    }

    fn register(&self, ground: &Ground, name: &str, start: Start) -> Commands {
        let add = ["rc-update", "add", name, "default"];
        let delete = ["rc-update", "del", name, "default"];
        match start {
            Start::AtBoot => vec![owned(&add)],
            // It complains of what is not there.
            Start::OnDemand if ground.at(enabled(name)).is_symlink() => vec![owned(&delete)],
            Start::OnDemand => Vec::new(),
        }
    }

    fn unregister(&self, ground: &Ground, name: &str) -> (Commands, Commands) {
        let is_enabled = ground.at(enabled(name)).is_symlink();
        let delete = owned(&["rc-update", "del", name, "default"]);
        (if is_enabled { vec![delete] } else { Vec::new() }, Vec::new())
    }

    fn starts_at_boot(&self, ground: &Ground, name: &str) -> Option<bool> {
        Some(ground.at(enabled(name)).is_symlink())
    }

    fn standing(&self, ground: &Ground, name: &str) -> Standing {
        readiness::seen(ground, name, Told::of(ground, name).standing())
    }

    fn start(&self, ground: &Ground, name: &str) -> Result<(), InitError> {
        if Self::is_lost(ground, name) {
            Self::give_up(ground, name);
        }
        Self::control(ground, "start", name)?;
        readiness::wait(ground, name, || Told::of(ground, name).standing())
    }

    fn stop(&self, ground: &Ground, name: &str) -> Result<Ended, InitError> {
        let is_lost = Self::is_lost(ground, name);
        match Self::control(ground, "stop", name) {
            Err(_) if is_lost => Self::give_up(ground, name),
            told => told?,
        }
        leftovers::take_over(self, ground, name, |ground| Self::control(ground, "stop", name))
    }

    fn reload(&self, ground: &Ground, name: &str) -> Result<(), InitError> {
        Self::control(ground, "reload", name)
    }
}

/// The script.
fn script_text(definition: &Definition) -> String {
    let name = &definition.name;
    let kept = match definition.respawn {
        Respawn::Always => by_supervisor(definition),
        Respawn::Never => by_pidfile(definition),
    };
    let network = match definition.network {
        Network::Configured => "use net logger",
        Network::Online => "need net\n\tuse logger",
    };
    // Debian's OpenRC has no such service: what is needed there cannot be had.
    let mounts = "if [ -e /etc/init.d/localmount ]; then need localmount; fi";
    let folder = definition.account.as_ref().map_or_else(String::new, |account| {
        format!("start_pre() {{\n\tcheckpath --directory --mode 0755 --owner {account} /run/{name}\n}}\n\n")
    });
    format!(
        "#!/sbin/openrc-run\n# Settings of the administrator: /etc/conf.d/{name}\n\n\
         name={name}\ndescription={description}\ncommand={binary}\n\
         retry=TERM/{seconds}/KILL/5\nrc_ulimit='-n 1048576'\nextra_started_commands=reload\n\
         {kept}\
         depend() {{\n\t{mounts}\n\t{network}\n\tafter firewall\n}}\n\n{folder}\
         reload() {{\n\tebegin \"Reloading $RC_SVCNAME\"\n\t{reload}\n\teend $?\n}}\n",
        description = quoted(&definition.description()),
        // Like the arguments, it is read a second time as words of a shell.
        binary = shell(&shell(&definition.binary())),
        seconds = definition.stop_seconds(),
        reload = match definition.respawn {
            Respawn::Always => {
                "supervise-daemon \"$RC_SVCNAME\" --signal HUP --pidfile \"$pidfile\""
            }
            Respawn::Never => "start-stop-daemon --stop --signal HUP --pidfile \"$pidfile\"",
        },
    )
}

/// What has it started again.
fn by_supervisor(definition: &Definition) -> String {
    let name = &definition.name;
    let account = definition.account.as_ref().map_or_else(String::new, |_| {
        format!("supervise_daemon_args='--env RUNTIME_DIRECTORY=/run/{name}'\n")
    });
    let mut arguments = definition.arguments_of(attendant::WORD);
    if let Some(account) = &definition.account {
        // Behind the name.
        arguments.splice(2..2, owned(&[attendant::ACCOUNT, account]));
    }
    let pidfile = readiness::pidfile(definition).display().to_string();
    arguments.extend(owned(&["--pidfile", &pidfile]));
    format!(
        "supervisor={SUPERVISOR}\n{account}command_args={}\n\
         pidfile={}\nrespawn_delay=1\nrespawn_max=0\n\n",
        quoted(&words(&arguments)),
        supervisor_pidfile(name),
    )
}

/// What has it started once. With an account it is started by `su`: the tool that OpenRC
/// uses for that is another one on Debian, and means something else by the same option.
fn by_pidfile(definition: &Definition) -> String {
    let name = &definition.name;
    let pidfile = readiness::pidfile(definition).display().to_string();
    let mut arguments = definition.arguments();
    arguments.extend(owned(&["--background", "--pidfile", &pidfile]));
    let own_start = definition.account.as_ref().map_or_else(String::new, |account| {
        let variable = format!("RUNTIME_DIRECTORY=/run/{name}");
        let line = format!("{variable} exec {} {}", shell(&definition.binary()), words(&arguments));
        format!(
            "start() {{\n\tebegin \"Starting $RC_SVCNAME\"\n\t\
             su -s /bin/sh {account} -c {}\n\teend $?\n}}\n\n",
            quoted(&line)
        )
    });
    let arguments = quoted(&words(&arguments));
    format!("command_args={arguments}\npidfile={pidfile}\n\n{own_start}")
}

fn words(words: &[String]) -> String {
    words.iter().map(|word| shell(word)).collect::<Vec<_>>().join(" ")
}
