//! The text of a unit, section by section.

use std::path::Path;

use super::{START_SECONDS, alias, unit};
use crate::daemon::keeping::KEEPS;
use crate::init::definition::{Definition, Network, Respawn, Scope, USUAL_NAME};
use crate::init::escape::{is_refused_by_systemd, systemd_argument, systemd_executable};
use crate::init::run::PAUSES;
use crate::init::{owned, reload};

/// The page that explains a service, below the prefix of what was installed. A manual page that
/// is not installed would make `systemd-analyze verify` fail.
const DOCUMENTATION: &str = "share/doc/bardo/service-mode.md";

/// What is assumed where nobody can be asked: all that a unit of ours has without a
/// look at the version is known since then.
const ASSUMED_VERSION: u32 = 245;

/// From this version on a reload is waited for by the manager itself.
const NOTIFY_RELOAD: u32 = 253;

/// From this version on descriptors are kept by choice, and it is said how many.
const KEPT_BY_CHOICE: u32 = 254;

pub(super) fn wanted_by(scope: Scope) -> &'static str {
    match scope {
        Scope::Machine => "multi-user.target",
        Scope::User => "default.target",
    }
}

/// The unit.
pub(super) fn unit_text(definition: &Definition) -> String {
    let version = definition.systemd_version.unwrap_or(ASSUMED_VERSION);
    let parts = [
        head(definition),
        running(definition, version),
        restarting(definition),
        keeping(definition, version),
        resources(definition),
        restrictions(definition, version),
        install(definition),
    ];
    parts.concat()
}

/// Where the package and `install.sh` put the page. Of an executable that is in no prefix it is
/// not known, and a path that an URL could not have as it is, is left out.
fn documentation(binary: &Path) -> String {
    let folder =
        binary.parent().filter(|folder| folder.ends_with("bin") || folder.ends_with("sbin"));
    let Some(prefix) = folder.and_then(Path::parent) else { return String::new() };
    let prefix = if prefix == Path::new("/") { Path::new("/usr") } else { prefix };
    let page = prefix.join(DOCUMENTATION).display().to_string();
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "/._-".contains(letter);
    if page.chars().all(is_plain) {
        format!("Documentation=file://{page}\n")
    } else {
        String::new()
    }
}

fn head(definition: &Definition) -> String {
    let mut text = format!(
        "# Change it with: systemctl edit {name}\n[Unit]\nDescription={description}\n{page}",
        page = documentation(&definition.binary),
        name = unit(&definition.name),
        description = definition.description(),
    );
    text += match (definition.scope, definition.network) {
        // A user's manager knows nothing of the network.
        (Scope::User, _) => "",
        (Scope::Machine, Network::Configured) => "After=network.target\n",
        (Scope::Machine, Network::Online) => {
            "Wants=network-online.target\nAfter=network-online.target\n"
        }
    };
    text + "# However often it fails, it is started again.\nStartLimitIntervalSec=0\n\n"
}

fn running(definition: &Definition, version: u32) -> String {
    let waits_for_reload = version >= NOTIFY_RELOAD;
    let kind = if waits_for_reload { "notify-reload" } else { "notify" };
    let mut text = format!(
        "[Service]\nType={kind}\nNotifyAccess=main\n\
         ExecStart={}\n\
         ExecStopPost={}\n",
        command(definition, &arguments(definition)),
        command(definition, &owned(&["--service-reap", &definition.name])),
    );
    if !waits_for_reload {
        let words = owned(&[reload::WORD, &definition.name]);
        text += &format!("ExecReload={}\n", command(definition, &words));
    }
    if let Some(account) =
        definition.account.as_ref().filter(|_| definition.scope == Scope::Machine)
    {
        text += &format!("User={account}\n");
    }
    text + &format!("WatchdogSec=30\nTimeoutStartSec={START_SECONDS}\n")
        + &format!("TimeoutStopSec={}\n", definition.stop_seconds())
}

/// With which words it is started. This manager has the same pause before each start or, with
/// `RestartSteps=`, one that grows and is never forgotten: a service that fails once a month
/// would wait for a minute each time, with nobody to look after its programs.
fn arguments(definition: &Definition) -> Vec<String> {
    let mut words = definition.arguments();
    if definition.respawn == Respawn::Always {
        words.push(PAUSES.to_owned());
    }
    words
}

/// A command line. What systemd does not take as an executable is executed by a shell,
/// which becomes it.
fn command(definition: &Definition, arguments: &[String]) -> String {
    let binary = definition.binary();
    let mut words = if is_refused_by_systemd(&binary) {
        vec!["/bin/sh -c \"exec \\\"$$0\\\" \\\"$$@\\\"\"".to_owned(), systemd_argument(&binary)]
    } else {
        vec![systemd_executable(&binary)]
    };
    words.extend(arguments.iter().map(|word| systemd_argument(word)));
    words.join(" ")
}

fn restarting(definition: &Definition) -> String {
    if definition.respawn == Respawn::Never {
        // Nobody follows who could adopt what is left.
        return "Restart=no\nSuccessExitStatus=1\nKillMode=mixed\n".to_owned();
    }
    "Restart=on-failure\nRestartSec=100ms\n\
            # 1: a restart was asked for, which is no failure.\n\
            RestartForceExitStatus=1\nSuccessExitStatus=1\n\
            # Programs outlive the end of the supervisor; what is to end with it is ended by\n\
            # itself, by ExecStopPost, and by: bardo /stop\n\
            KillMode=process\n"
        .to_owned()
}

/// What survives an end that is followed by another start.
fn keeping(definition: &Definition, version: u32) -> String {
    let name = &definition.name;
    let kept = definition.kept;
    let mut text = format!("FileDescriptorStoreMax={kept}\n");
    text += &match version {
        KEPT_BY_CHOICE.. => "FileDescriptorStorePreserve=restart\n".to_owned(),
        // A later one says it by itself.
        _ => format!("Environment={KEEPS}={kept}\n"),
    };
    // In /run/bardo are the locks of all supervisors, not only of this one.
    let preserve = if name == USUAL_NAME { "yes" } else { "restart" };
    text += &format!(
        "RuntimeDirectory={name}\nRuntimeDirectoryPreserve={preserve}\n\
         StateDirectory={name}\nLogsDirectory={name}\n"
    );
    text
}

fn resources(definition: &Definition) -> String {
    let mut text = "Delegate=yes\nTasksMax=infinity\n".to_owned();
    if definition.scope == Scope::Machine {
        // Programs begin with 0 again, or with what is configured for them.
        text += "LimitNOFILE=1048576\nLimitCORE=infinity\nOOMScoreAdjust=-900\n";
    }
    text + &format!("StandardOutput=journal\nSyslogIdentifier={}\n", definition.name)
}

/// A user's manager has no right to give away.
fn restrictions(definition: &Definition, version: u32) -> String {
    let lines = match definition.scope {
        Scope::Machine => definition.allowed.lines(version),
        Scope::User => Vec::new(),
    };
    lines.into_iter().map(|line| format!("{line}\n")).collect()
}

fn install(definition: &Definition) -> String {
    let wanted_by = wanted_by(definition.scope);
    format!("\n[Install]\nWantedBy={wanted_by}\nAlias={}\n", alias(&definition.name))
}
