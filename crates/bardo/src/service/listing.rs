//! How a service stands, as `list` and `show` have it.

use std::time::Duration;

use bardo_core::decision::Reason;
use bardo_core::spec::care::{
    Check, Condition, Copying, DELAY_SHORT, Delay, Dependency, EarlyDeath, Initialisation, Ready,
    Recovery, Reset, Script,
};
use bardo_core::spec::{Care, ProgramSpec, RestartOn, device};
use bardo_core::{Generation, ServiceId};

use super::bring::unbound;
use super::reply::Service;
use crate::daemon::channels::Doing;
use crate::daemon::standing::Standing;
use crate::names;
use crate::words::{self, why};

/// Bits of an endpoint that say the place in the table: no table is longer.
const PLACE_BITS: u32 = 20;

/// Nanoseconds in a millisecond.
const NANOSECONDS: u64 = 1_000_000;

/// The number of a life: no other life of any service has it.
#[must_use]
pub fn endpoint(service: ServiceId, generation: Generation) -> u64 {
    u64::from(generation.0) << PLACE_BITS | u64::from(service.0)
}

/// All there is to say of a service.
#[must_use]
pub fn service(standing: &Standing, now: i64) -> Service {
    let care = standing.spec.program.care.as_deref();
    let command = standing.spec.command.to_string();
    let words = bardo_config::command::split(&command).unwrap_or_default();
    let vitals = standing.vitals.as_deref();
    let asked = care.and_then(|care| care.heartbeat).map(|heartbeat| heartbeat.period);
    let period = asked.or(vitals.and_then(|vitals| vitals.life.period));
    let alive_at = vitals.and_then(|vitals| vitals.life.alive_at);
    Service {
        label: standing.label(),
        endpoint: endpoint(standing.service, standing.generation),
        published: standing.is_published,
        pid: standing.pid.map_or(0, |pid| pid.0),
        state: words::state(standing.state).1.to_owned(),
        description: why::reason(standing, now),
        flags: flags(standing, care),
        device: care.and_then(|care| care.device).map_or(0, device::major),
        period: period.map_or(0, milliseconds),
        alive_at: alive_at.map_or(0, |at| at.0 / NANOSECONDS),
        restarts: vitals.map_or(0, |vitals| vitals.restarts),
        crashes: vitals.map_or(0, |vitals| vitals.crashes.into()),
        binary: words.into_iter().next().unwrap_or_default(),
        command,
        details: told(standing)
            .into_iter()
            .chain(care.into_iter().flat_map(|care| details(care, standing)))
            .collect(),
    }
}

/// MINIX's letters for what is so.
fn flags(standing: &Standing, care: Option<&Care>) -> String {
    let verdict = standing.vitals.as_ref().and_then(|vitals| vitals.life.verdict);
    let is_hung = standing.pid.is_some() && verdict == Some(Reason::NoHeartbeat);
    let has_copy = care.is_some_and(|care| care.copy != Copying::No);
    let all = [('A', true), ('E', standing.is_exiting), ('N', is_hung), ('C', has_copy)];
    all.into_iter().filter_map(|(letter, is_set)| is_set.then_some(letter)).collect()
}

fn milliseconds(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

/// What it tells of itself, by name and in order.
fn told(standing: &Standing) -> Vec<(String, String)> {
    let Some(told) = &standing.told else {
        return Vec::new();
    };
    let doing = told.doing.map(|doing| match doing {
        Doing::Reloading => "it takes its configuration again",
        Doing::Stopping => "it is about to end",
    });
    let status = Some(&*told.status).filter(|status| !status.is_empty());
    let main = told.main_pid.map(|pid| pid.to_string());
    let all = [("status", status), ("says", doing), ("main process, as it says", main.as_deref())];
    let there = all.into_iter().filter_map(|(name, text)| Some((name, text?)));
    there.map(|(name, text)| (name.to_owned(), text.to_owned())).collect()
}

/// What was asked for, by name and in order.
fn details(care: &Care, standing: &Standing) -> Vec<(String, String)> {
    let program = &*standing.spec.program;
    let mut details = vec![
        // Each life has an endpoint of its own, as MINIX's word for that is.
        ("policies", "reset".to_owned()),
        ("copy", copy(care.copy).to_owned()),
        ("restart", restart(program, care)),
    ];
    if program.restart.on == RestartOn::Unexpected {
        let codes: Vec<String> = program.exit_codes.iter().map(u8::to_string).collect();
        details.push(("ok-exit", codes.join(",")));
    }
    details.push(("stop-signal", program.stop.signal.to_string()));
    details.push(("grace", why::span(program.stop.wait.duration())));
    details.push(("readiness", readiness(&care.readiness)));
    if let Some(heartbeat) = care.heartbeat {
        let period = why::span(heartbeat.period);
        details.push(("heartbeat", format!("every {period}, hung after twice as long")));
    }
    if let Some(health) = &care.health {
        let (check, every) = (check(&health.check), why::span(health.interval));
        let (timeout, retries) = (why::span(health.timeout), health.retries);
        let text = format!("{check}, every {every}, within {timeout}, at most {retries} failures");
        details.push(("health", text));
    }
    if let Some(script) = &care.script {
        let path = script.path.as_deref().unwrap_or("built in: it is brought down");
        details.push(("script", path.to_owned()));
        if let Some(timeout) = script.timeout {
            details.push(("script-timeout", why::span(timeout)));
        }
    }
    if care.critical {
        details.push(("critical", "everything ends when it cannot be kept running".to_owned()));
    }
    if !care.depends_on.is_empty() {
        let all: Vec<String> = care.depends_on.iter().map(dependency).collect();
        details.push(("depends on", all.join(" ")));
    }
    if !care.description.is_empty() {
        details.push(("descr", care.description.to_string()));
    }
    let confinement = &care.confinement;
    for (name, who) in
        [("controls", &confinement.control), ("controlled by", &confinement.controlled_by)]
    {
        if !who.is_empty() {
            details.push((name, who.join(" ")));
        }
    }
    if let Some(text) = unbound(program.user.as_ref(), care) {
        details.push(("note", text.to_owned()));
    }
    let unenforced = care.confinement.unenforced.iter();
    details.extend(unenforced.map(|line| ("not enforced yet", line.to_string())));
    details.extend(standing.further.iter().cloned());
    details.into_iter().map(|(name, text)| (name.to_owned(), text)).collect()
}

fn copy(copying: Copying) -> &'static str {
    match copying {
        Copying::No => "no",
        Copying::Own => "own",
        Copying::Shared => "shared",
    }
}

fn restart(program: &ProgramSpec, care: &Care) -> String {
    let retry = "tried again when it ends before it is ready";
    let Care { recovery, copy, .. } = care;
    if program.restart.on == RestartOn::Never {
        // Only a file has a number of retries.
        let why = match (&care.script, program.restart.start_retries) {
            (_, Some(_)) => "autorestart=false",
            (Some(Script { path: None, .. }), None) => "run",
            (_, None) => "-f",
        };
        return match recovery.early_death {
            EarlyDeath::Down => format!("never ({why})"),
            EarlyDeath::Retry => format!("never ({why}); {retry}"),
        };
    }
    let Recovery { delay, reset, early_death, .. } = *recovery;
    let delay = match delay {
        Some(Delay::Binary { .. }) if *copy != Copying::No => {
            format!("back-off constant, {}, from the copy in memory", why::span(DELAY_SHORT))
        }
        None => "as autorestart has it".to_owned(),
        Some(Delay::Binary { max }) => format!("back-off binary up to {}", why::span(max)),
        Some(Delay::Constant(wait)) => format!("back-off constant, {}", why::span(wait)),
    };
    let reset = match reset {
        Reset::Never => "counted for ever".to_owned(),
        Reset::Healthy(span) => format!("counted anew after {} of health", why::span(span)),
    };
    let early = match early_death {
        EarlyDeath::Down => "down when it ends before it is ready",
        EarlyDeath::Retry => retry,
    };
    format!("{delay}; {reset}; {early}")
}

fn readiness(initialisation: &Initialisation) -> String {
    let by = match &initialisation.by {
        Ready::Auto => "when it says so, or stays up where it says nothing".to_owned(),
        Ready::Says { descriptor: None } => "when it says so".to_owned(),
        Ready::Says { descriptor: Some(number) } => {
            format!("when it writes a newline to descriptor {number}")
        }
        Ready::Alive => "when it stays up".to_owned(),
        Ready::Checks(tried) => format!("when this succeeds: {}", check(tried)),
    };
    format!("{by}, within {}", why::span(initialisation.within))
}

fn check(check: &Check) -> String {
    match check {
        Check::Command(command) => format!("command {command}"),
        Check::Http(url) => format!("http {url}"),
        Check::Connect(address) => format!("connection to {address}"),
        Check::Listening => "a socket on which it listens".to_owned(),
    }
}

fn dependency(dependency: &Dependency) -> String {
    let Dependency { group, name, condition } = dependency;
    let label = match (&**group, &**name) {
        ("", name) => name.to_owned(),
        (group, "") => format!("{group}:*"),
        (group, name) => names::namespec(group, name),
    };
    let condition = match condition {
        Condition::Started => "started",
        Condition::Ready => "ready",
    };
    format!("{label}:{condition}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_started_from_memory_waits_a_second() {
        let mut care = Care::minix("x".into());
        care.recovery.reset = Reset::Never;
        let program = ProgramSpec::default();

        let binary = restart(&program, &care);
        care.copy = Copying::Own;
        let copied = restart(&program, &care);

        assert!(binary.starts_with("back-off binary up to 30 s"), "{binary}");
        assert!(copied.starts_with("back-off constant, 1 s, from the copy in memory"), "{copied}");
    }

    #[test]
    fn what_is_never_restarted_says_who_said_so() {
        let mut care = Care::minix("x".into());
        let mut program = ProgramSpec::default();
        program.restart.on = RestartOn::Never;

        let configured = restart(&program, &care);
        program.restart.start_retries = None;
        let brought = restart(&program, &care);
        care.recovery.early_death = EarlyDeath::Retry;
        let tried = restart(&program, &care);
        care.recovery.early_death = EarlyDeath::Down;
        care.script = Some(Script { path: None, timeout: None });
        let run = restart(&program, &care);

        assert_eq!(configured, "never (autorestart=false)");
        assert_eq!(brought, "never (-f)");
        assert_eq!(tried, "never (-f); tried again when it ends before it is ready");
        assert_eq!(run, "never (run)");
    }

    #[test]
    fn no_two_lives_have_the_same_endpoint() {
        let endpoint = |service, generation| endpoint(ServiceId(service), Generation(generation));
        let last = (1 << PLACE_BITS) - 1;

        assert_eq!(endpoint(3, 1), (1 << 20) + 3);
        assert_ne!(endpoint(last, 1), endpoint(0, 2));
        assert_eq!(endpoint(0, u32::MAX), u64::from(u32::MAX) << 20);
    }
}
