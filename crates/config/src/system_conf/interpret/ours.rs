//! What only Linux and Bardo have: `health`, `critical`, and what is not enforced yet.

use bardo_core::spec::care::{Check, HEALTH_INTERVAL, HEALTH_RETRIES, HEALTH_TIMEOUT, Health};

use super::super::value::{duration, natural};
use super::super::{Line, Place, Refusal, Standing, Value};
use super::{Draft, Reading};

/// The namespaces that a service can have of its own.
const NAMESPACES: &[&str] = &["mount", "pid", "net", "ipc", "uts", "user"];

/// The capabilities of Linux, without the `cap_` before each.
const CAPABILITIES: &[&str] = &[
    "audit_control",
    "audit_read",
    "audit_write",
    "block_suspend",
    "bpf",
    "checkpoint_restore",
    "chown",
    "dac_override",
    "dac_read_search",
    "fowner",
    "fsetid",
    "ipc_lock",
    "ipc_owner",
    "kill",
    "lease",
    "linux_immutable",
    "mac_admin",
    "mac_override",
    "mknod",
    "net_admin",
    "net_bind_service",
    "net_broadcast",
    "net_raw",
    "perfmon",
    "setfcap",
    "setgid",
    "setpcap",
    "setuid",
    "sys_admin",
    "sys_boot",
    "sys_chroot",
    "sys_module",
    "sys_nice",
    "sys_pacct",
    "sys_ptrace",
    "sys_rawio",
    "sys_resource",
    "sys_time",
    "sys_tty_config",
    "syslog",
    "wake_alarm",
];

pub(in super::super) fn health(draft: &mut Draft<'_>, line: &Line) -> Result<Standing, Refusal> {
    let reading = Reading::of(line);
    let texts = reading.texts()?;
    let Some(((command, place), options)) = texts.split_first() else {
        return Err(reading.nothing());
    };
    if !matches!(line.arguments[0].value, Value::Text(_)) || command.trim().is_empty() {
        return Err(reading.bad(place, command, "a command line in quotes"));
    }
    let mut health = Health {
        check: Check::Command((*command).into()),
        interval: HEALTH_INTERVAL,
        timeout: HEALTH_TIMEOUT,
        retries: HEALTH_RETRIES,
    };
    for pair in options.chunks(2) {
        let (name, place) = &pair[0];
        if !["every", "timeout", "fails"].contains(name) {
            return Err(reading.bad(place, name, "`every`, `timeout` or `fails`"));
        }
        let Some((text, place)) = pair.get(1) else {
            return Err(reading.refuse(place, format!("nothing stands behind `{name}`")));
        };
        let time = || {
            let time = duration(text).filter(|time| !time.is_zero());
            time.ok_or_else(|| reading.bad(place, text, "a time like 5s or 500ms"))
        };
        match *name {
            "every" => health.interval = time()?,
            "timeout" => health.timeout = time()?,
            _ => {
                let number = natural(text).filter(|number| *number > 0);
                health.retries = number
                    .and_then(|number| u32::try_from(number).ok())
                    .ok_or_else(|| reading.bad(place, text, "a number above 0"))?;
            }
        }
    }
    draft.result.health = Some(health);
    Ok(Standing::Enforced)
}

pub(in super::super) fn critical(draft: &mut Draft<'_>, line: &Line) -> Result<Standing, Refusal> {
    let reading = Reading::of(line);
    let (word, place) = reading.word()?;
    let standing = match word {
        "exit" => Standing::Enforced,
        "reboot" | "panic-script" => {
            draft.note(&place, format!("`{word}` is not done yet; the supervisor ends with 70"));
            Standing::NotYet
        }
        _ => return Err(reading.bad(&place, word, "`exit`, `reboot` or `panic-script`")),
    };
    draft.result.critical = true;
    Ok(standing)
}

pub(in super::super) fn paths(_: &mut Draft<'_>, line: &Line) -> Result<Standing, Refusal> {
    let reading = Reading::of(line);
    sections(&reading, &["ro", "rw", "exec"], "an absolute path", |path| path.starts_with('/'))
}

pub(in super::super) fn net(_: &mut Draft<'_>, line: &Line) -> Result<Standing, Refusal> {
    sections(&Reading::of(line), &["bind", "connect"], "a port from 1 to 65535", is_port)
}

pub(in super::super) fn capabilities(_: &mut Draft<'_>, line: &Line) -> Result<Standing, Refusal> {
    let reading = Reading::of(line);
    for (word, place) in reading.some_words()? {
        let name = word.to_ascii_lowercase();
        if !CAPABILITIES.contains(&name.strip_prefix("cap_").unwrap_or(&name)) {
            return Err(reading.bad(&place, word, "a capability"));
        }
    }
    Ok(Standing::NotYet)
}

pub(in super::super) fn namespaces(_: &mut Draft<'_>, line: &Line) -> Result<Standing, Refusal> {
    let reading = Reading::of(line);
    for (word, place) in reading.some_words()? {
        if !NAMESPACES.contains(&word) {
            return Err(reading.bad(&place, word, "a namespace"));
        }
    }
    Ok(Standing::NotYet)
}

pub(in super::super) fn descriptor_store(
    _: &mut Draft<'_>,
    line: &Line,
) -> Result<Standing, Refusal> {
    Reading::of(line).value("a number", natural)?;
    Ok(Standing::NotYet)
}

pub(in super::super) fn listen(_: &mut Draft<'_>, line: &Line) -> Result<Standing, Refusal> {
    let reading = Reading::of(line);
    let texts = reading.texts()?;
    let [(_, _), (address, place)] = texts.as_slice() else {
        return Err(reading.refuse(&line.at, "`listen` takes a name and an address"));
    };
    let is_named = address.starts_with('/') || address.len() > 1 && address.starts_with('@');
    let port = address.rsplit_once(':').map_or(*address, |(_, port)| port);
    if is_named || is_port(port) {
        Ok(Standing::NotYet)
    } else {
        Err(reading.bad(place, address, "an address"))
    }
}

fn is_port(text: &str) -> bool {
    natural(text).is_some_and(|port| (1..=0xffff).contains(&port))
}

/// Words that each begin a section, with at least one value in it.
fn sections(
    reading: &Reading<'_>,
    names: &[&str],
    what: &str,
    fits: impl Fn(&str) -> bool,
) -> Result<Standing, Refusal> {
    let mut open: Option<(&str, Place, usize)> = None;
    let texts = reading.texts()?;
    let end = |open: Option<(&str, Place, usize)>| match open {
        Some((name, place, 0)) => {
            Err(reading.refuse(&place, format!("nothing stands behind `{name}`")))
        }
        _ => Ok(()),
    };
    if texts.is_empty() {
        return Err(reading.nothing());
    }
    for (text, place) in texts {
        if names.contains(&text) {
            end(open.replace((text, place, 0)))?;
            continue;
        }
        match &mut open {
            None => return Err(reading.bad(&place, text, &format!("one of: {}", names.join(" ")))),
            Some(_) if !fits(text) => return Err(reading.bad(&place, text, what)),
            Some((_, _, count)) => *count += 1,
        }
    }
    end(open)?;
    Ok(Standing::NotYet)
}
