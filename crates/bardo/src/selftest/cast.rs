//! Who takes part in a test of survival, and who of them must stay as it is.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io;
use std::path::PathBuf;

use super::actors::WORD;
use super::client::{Client, Info};
use super::drivers::{Findings, PATIENT_STARTS, STUBBORN_STOPS};
use super::home::{Daemon, Home, escaped, wait_until};
use super::procfs;
use super::speakers;
use super::survival::Survival;
use super::visitors::Doors;
use super::writers;

/// Descriptors that are reserved for each program that does nothing: what the keeper holds
/// for it.
const DESCRIPTORS_EACH: usize = 3;

/// Descriptors that are reserved besides: Supervisor's number.
const DESCRIPTORS: usize = 1024;

/// For so many programs that do nothing a supervisor is given one second more: a new one
/// has to look at all of them first.
const CHILDREN_PER_SECOND: usize = 1000;

/// Where clients may store something.
const CACHE: &str = "[rpcinterface:cache]\n\
    supervisor.rpcinterface_factory=supervisor_cache.rpcinterface:make_cache_rpcinterface\n";

/// How the programs that do nothing are called.
const MANY: &str = "many_";

/// How long a supervisor may take nothing, in seconds.
pub(super) fn hang_timeout(survival: &Survival) -> u64 {
    1 + (survival.children / CHILDREN_PER_SECOND) as u64
}

/// Writes the configuration.
pub(super) fn configure(survival: &Survival, home: &Home, doors: &Doors) -> io::Result<PathBuf> {
    let more = format!(
        "hang_timeout={}\nminfds={}\n",
        hang_timeout(survival),
        DESCRIPTORS + DESCRIPTORS_EACH * survival.children
    );
    let programs = programs(survival, home, doors);
    home.configure(&more, &format!("{CACHE}\n{programs}"))
}

/// The sections of all programs.
fn programs(survival: &Survival, home: &Home, doors: &Doors) -> String {
    let executable = escaped(&survival.executable);
    let folder = escaped(home.path());
    let seed = survival.seed;
    let mut text = speakers::sections(&executable, &folder, seed, survival.span);
    text += &doors.sections(&executable, &folder, seed);
    let mut add = |name: &str, role: &str, options: &str| {
        let command = format!("\"{executable}\" {WORD} \"{folder}\" {seed} {role}");
        // Writing into memory cannot fail.
        let _ = writeln!(text, "[program:{name}]\ncommand={command}\n{options}\n");
    };
    for (number, writer) in writers::all().iter().enumerate() {
        add(&writer.name, &format!("writer {number}"), &writer.options(&folder));
    }
    add("crasher", "crasher", "autorestart=true\nstartsecs=0");
    add("failing", "failing", "startsecs=30\nstartretries=1000000");
    add("toggled", "idle", "startsecs=0");
    add("sitter", "idle", "");
    add("runner", "runner", "autostart=false\nstartsecs=0\nautorestart=unexpected");
    let patient = format!("autostart=false\nstartsecs={}", PATIENT_STARTS.as_secs());
    add("patient", "idle", &patient);
    let wait = STUBBORN_STOPS.as_secs();
    add("stubborn", "stubborn", &format!("autostart=false\nstartsecs=0\nstopwaitsecs={wait}"));
    if survival.children > 0 {
        let names = format!("process_name={MANY}%(process_num)05d");
        add("many", "idle", &format!("numprocs={}\n{names}", survival.children));
    }
    text
}

/// The programs that live as long as the test, and that nobody touches.
fn is_long_lived(info: &Info) -> bool {
    info.name == "sitter"
        || info.name.starts_with(MANY)
        || speakers::is_one(&info.name)
        || writers::all().iter().any(|writer| writer.name == info.name)
}

/// How many they are.
fn long_lived_count(survival: &Survival) -> usize {
    writers::all().len() + 1 + speakers::SPEAKERS + speakers::POOLS.len() + survival.children
}

/// Waits until all of them run, and says how they are.
pub(super) fn all_running(client: &Client, survival: &Survival) -> io::Result<Vec<Info>> {
    let mut infos = Vec::new();
    wait_until("all programs to run", || {
        infos = client.infos().unwrap_or_default();
        infos.retain(is_long_lived);
        infos.len() == long_lived_count(survival)
            && infos.iter().all(|info| info.state == "RUNNING")
    })?;
    Ok(infos)
}

/// Compares what is with what was; how many are not the same. `when` says when it is.
pub(super) fn compare(daemon: &Daemon, when: &str, before: &[Info], findings: &Findings) -> usize {
    let after = match daemon.client().infos() {
        Ok(mut infos) => {
            infos.retain(is_long_lived);
            infos
        }
        Err(error) => {
            findings.add(format!("getAllProcessInfo {when}: {error}"));
            return 0;
        }
    };
    if after.len() != before.len() {
        findings.add(format!("{when}: {} programs, not {}", after.len(), before.len()));
    }
    let mut lost = 0;
    for (was, is) in before.iter().zip(&after) {
        let there = procfs::stat(was.pid);
        let is_there =
            there.as_ref().is_some_and(|stat| stat.is_alive() && stat.parent == daemon.keeper());
        if was != is || !is_there {
            lost += 1;
            findings.add(format!("{when}: {was:?} became {is:?}, its process is {there:?}"));
        }
    }
    lost
}

/// Waits until each process of the keeper is one that the supervisor knows, or the
/// supervisor itself: while programs begin and end there are others for a moment.
pub(super) fn wait_for_no_stranger(daemon: &Daemon) -> io::Result<()> {
    let mut strangers = Vec::new();
    let alone = wait_until("processes that nobody knows to end", || {
        let Some(supervisor) = daemon.supervisor() else { return false };
        let Ok(infos) = daemon.client().infos() else { return false };
        let known: BTreeSet<u32> = infos.iter().map(|info| info.pid).collect();
        strangers = daemon.children();
        strangers.retain(|child| {
            child.is_alive() && child.pid != supervisor.pid && !known.contains(&child.pid)
        });
        strangers.is_empty()
    });
    alone.map_err(|error| io::Error::other(format!("{error}: {strangers:?}")))
}
