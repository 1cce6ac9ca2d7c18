//! What somebody wants a service to be, made into a definition: what is not named comes from
//! the one that is there, and what cannot be had is refused before anything is changed.

use std::path::{Path, PathBuf};
use std::time::Duration;

use bardo_config::{Host as _, Request};

use super::beforehand::Beforehand;
use super::definition::{Definition, Network, Respawn, Scope, Start, usual_configuration};
use super::files::{self, Ownership};
use super::ground::Ground;
use super::options::Options;
use super::sandbox::Allowed;
use super::{InitError, InitSystem, budget, choice, systemd, sysv};
use crate::launcher;

/// Most bytes of the path of a socket.
const SOCKET_BYTES_MAX: usize = 107;

/// What is wanted.
#[derive(Debug, Clone)]
pub struct Wanted<'a> {
    /// The name of the service.
    pub name: &'a str,
    /// Our own executable, as the machine sees it that the service is for.
    pub binary: PathBuf,
    /// When it starts by itself.
    pub start: Start,
    /// Who keeps it.
    pub scope: Scope,
    /// What else was named.
    pub options: Options,
    /// Whether nothing is taken from the definition that is there.
    pub is_anew: bool,
}

/// The definition, and what is to be said about it.
///
/// # Errors
/// When it cannot be had.
pub fn definition(
    system: &dyn InitSystem,
    ground: &Ground,
    wanted: &Wanted<'_>,
) -> Result<(Definition, Vec<String>), InitError> {
    let former = if wanted.is_anew { None } else { former(system, ground, wanted)? };
    let (options, kept) = wanted.options.clone().or(former.unwrap_or_default());
    let mut notes = Vec::new();
    if !kept.is_empty() {
        notes.push(format!(
            "as it was installed before: {}; --anew takes nothing from that",
            kept.join(" ")
        ));
    }
    let can_be = can_have(system, &options);
    can_be.map_err(|error| if kept.is_empty() { error } else { forgettable(error, &kept) })?;
    let host = Beforehand::new(ground, wanted.name);
    notes.extend(accounted(&host, ground, &options)?);
    let (Needs { stop_budget, kept }, note) = needs(&host, ground, wanted.name, &options);
    notes.extend(note);
    notes.extend(too_long(wanted.name, &options));
    let definition = Definition {
        name: wanted.name.to_owned(),
        binary: wanted.binary.clone(),
        configuration: options.configuration.clone(),
        account: options.account().map(str::to_owned),
        start: wanted.start,
        respawn: if options.no_respawn { Respawn::Never } else { Respawn::Always },
        network: if options.wait_network { Network::Online } else { Network::Configured },
        scope: wanted.scope,
        allowed: options.allowed(),
        stop_budget,
        // A manager that has less room than before drops what it has no room for.
        kept: kept.max(system.room_in_use(ground, wanted.name)),
        systemd_version: system.version(ground),
        scripts: sysv::scripts(ground),
        units_of_user: systemd::units_of_user(),
    };
    Ok((definition, notes))
}

/// What the definition of that name keeps that is there, also one for another init system,
/// which this one replaces.
fn former(
    system: &dyn InitSystem,
    ground: &Ground,
    wanted: &Wanted<'_>,
) -> Result<Option<Options>, InitError> {
    let kept = |system: &dyn InitSystem| -> Result<Option<Options>, InitError> {
        let paths = system.paths(ground, wanted.name);
        let Some(path) = paths.first() else { return Ok(None) };
        Ok(match files::ownership(&ground.at(path))? {
            Ownership::Ours(text) | Ownership::Edited(text) => Some(Options::kept_in(&text)),
            Ownership::Nobody | Ownership::Foreign => None,
        })
    };
    let own = kept(system)?;
    if own.is_some() || wanted.scope == Scope::User {
        return Ok(own);
    }
    let others = choice::NAMES.into_iter().filter(|kind| *kind != system.name());
    for other in others.filter_map(choice::named) {
        if let Some(options) = kept(&*other)? {
            return Ok(Some(options));
        }
    }
    Ok(None)
}

/// What cannot be had may have been asked for long ago.
fn forgettable(error: InitError, kept: &[String]) -> InitError {
    let more = |text: String| {
        let kept = kept.join(" ");
        format!("{text} (it was installed with {kept}; --anew takes nothing from that)")
    };
    match error {
        InitError::Usage(text) => InitError::Usage(more(text)),
        InitError::Unavailable(text) => InitError::Unavailable(more(text)),
        other => other,
    }
}

/// Whether an init system has what is asked for: nothing is left out in silence.
fn can_have(system: &dyn InitSystem, options: &Options) -> Result<(), InitError> {
    let kind = system.name();
    let refused = |option: &str, why: &str| {
        Err(InitError::Unavailable(format!("`{option}` cannot be had with {kind}: {why}")))
    };
    if options.hardened && options.account().is_none() {
        let text = match options.account {
            Some(_) => ", who is not root: name another one",
            None => ": name it",
        };
        let text = format!("`--hardened` is for programs of one user{text} with --user ACCOUNT");
        return Err(InitError::Usage(text));
    }
    if !system.forbids() && options.hardened {
        return refused("--hardened", "only systemd, for the machine, forbids programs anything");
    }
    if !system.forbids() && options.allowed() != Allowed::usual() {
        return refused("--allow", "nothing is forbidden to programs there; leave it out");
    }
    match system.knows_no_network().filter(|_| options.wait_network) {
        Some(why) => refused("--wait-network", why),
        None => Ok(()),
    }
}

/// Whether there is the account. Below a folder it may be made later, by a package.
fn accounted(
    host: &Beforehand<'_>,
    ground: &Ground,
    options: &Options,
) -> Result<Option<String>, InitError> {
    let Some(account) = options.account().filter(|account| host.user_by_name(account).is_none())
    else {
        return Ok(None);
    };
    if ground.is_offline() {
        let root = ground.root().display();
        let text = format!("there is no account {account} in etc/passwd below {root}");
        return Ok(Some(format!("{text}: it does not start before there is one")));
    }
    let text = format!("there is no account {account}; make it first, or name another one");
    Err(InitError::NotConfigured(text))
}

/// Why a service that is installed does not start, as far as its definition and its configuration
/// tell.
#[must_use]
pub fn hindrance(system: &dyn InitSystem, ground: &Ground, name: &str) -> Option<String> {
    let path = system.definition(ground, name)?;
    let options = match files::ownership(&ground.at(&path)).ok()? {
        Ownership::Ours(text) | Ownership::Edited(text) => Options::kept_in(&text),
        Ownership::Nobody | Ownership::Foreign => return None,
    };
    let host = Beforehand::new(ground, name);
    match accounted(&host, ground, &options) {
        Err(error) => Some(error.to_string()),
        Ok(note) => note
            .or_else(|| needs(&host, ground, name, &options).1)
            .or_else(|| too_long(name, &options)),
    }
}

/// What a configuration needs of the init system: see [`budget`].
struct Needs {
    stop_budget: Duration,
    kept: usize,
}

/// What it needs, and what is wrong with the configuration that says it.
fn needs(
    host: &Beforehand<'_>,
    ground: &Ground,
    name: &str,
    options: &Options,
) -> (Needs, Option<String>) {
    let untold = |stop_budget| Needs { stop_budget, kept: budget::KEPT_LEAST };
    let usual = usual_configuration(name);
    let path = options.configuration.as_ref().unwrap_or(&usual);
    let shown = ground.at(path).display().to_string();
    let is_named = options.configuration.is_some();
    match ground.behind(path).try_exists() {
        Ok(true) => {}
        Ok(false) if is_named => {
            let note = format!("{shown} is not there; it does not start without it");
            return (untold(budget::UNKNOWN), Some(note));
        }
        Ok(false) => return (untold(budget::LEAST), None),
        Err(error) => {
            let note = format!("whether {shown} is there cannot be known: {error}");
            return (untold(budget::UNKNOWN), Some(note));
        }
    }
    let request = Request { file: path.display().to_string(), overrides: Vec::new() };
    match bardo_config::load(host, &request) {
        Ok(loaded) => {
            let configuration = &loaded.configuration;
            let stop_budget = budget::of(configuration);
            let needs = Needs { stop_budget, kept: budget::kept(configuration) };
            (needs, unreadable(host, options, path))
        }
        Err(error) => {
            let note = format!("{error}; it does not start with that. More: bardo check");
            (untold(budget::UNKNOWN), Some(note))
        }
    }
}

/// That the account may not read the configuration that root has just read.
fn unreadable(host: &Beforehand<'_>, options: &Options, path: &Path) -> Option<String> {
    let name = options.account()?;
    let account = host.user_by_name(name)?;
    let path_shown = path.display();
    (!host.may_read(&account, path)).then(|| {
        format!(
            "the account {name} may not read {path_shown}, as the modes on the way to it say: it \
             does not start like that; let it, as by: chgrp {name} FILE; chmod g+r FILE"
        )
    })
}

fn too_long(name: &str, options: &Options) -> Option<String> {
    let socket = Path::new("/run").join(name).join(launcher::SOCKET);
    let is_too_long =
        options.configuration.is_none() && socket.as_os_str().len() > SOCKET_BYTES_MAX;
    is_too_long.then(|| {
        format!(
            "a socket cannot have a name as long as {}: it starts only with a configuration that \
             names another one, by --config or as {}",
            socket.display(),
            usual_configuration(name).display()
        )
    })
}
