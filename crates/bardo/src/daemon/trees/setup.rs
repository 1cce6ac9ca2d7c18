//! What a confinement has a process do to itself at its birth, and what of that is to be had
//! here.
//!
//! What the kernel refuses is left out and said: a service with less than it asks for serves
//! better than none. All of it is tried before the first birth, so that none fails of it.

use std::fs;
use std::sync::Arc;

use bardo_core::spec::care::{Confinement, Scheduler};
use bardo_sys::limits::{self, Limit, Limited};
use bardo_sys::setup::{Policy, Setup, processors};
use bardo_sys::spawn::Step;
use rustix::io::Errno;

use crate::words::errno;
use crate::words::why::span;

/// The bit of the right to go beyond limits.
const CAP_SYS_RESOURCE: u32 = 24;

/// Descriptors of a process that nobody may go beyond, where the kernel does not tell.
const NR_OPEN: u64 = 1 << 20;

/// What a process does to itself, and what of that is so.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(in crate::daemon) struct Prepared {
    /// What it does.
    pub(in crate::daemon) setup: Arc<Setup>,
    /// What is not enforced, and why.
    pub(in crate::daemon) shortcomings: Arc<[String]>,
}

/// What processes of ours can have.
#[derive(Debug)]
struct Host {
    /// The processors that we may run on.
    processors: Vec<u32>,
    /// Our own limits on descriptors and core files.
    descriptors: Limit,
    core: Limit,
    /// Most descriptors that anybody may have.
    descriptors_max: u64,
    /// Whether limits may be raised.
    raises_limits: bool,
}

impl Host {
    /// Ours, where processes are born with this limit on descriptors.
    fn new(descriptors: Limit) -> Self {
        let number = |path| fs::read_to_string(path).ok()?.trim().parse().ok();
        Self {
            processors: own_processors(),
            descriptors,
            core: limits::get(Limited::Core),
            descriptors_max: number("/proc/sys/fs/nr_open").unwrap_or(NR_OPEN),
            raises_limits: has_right(CAP_SYS_RESOURCE),
        }
    }
}

/// Lays out what a process does to itself that would be born with this limit on descriptors.
/// It begins a thread for a moment.
pub(in crate::daemon) fn prepare(confinement: &Confinement, descriptors: Limit) -> Prepared {
    prepare_on(&Host::new(descriptors), confinement, Setup::refused)
}

fn prepare_on(
    host: &Host,
    confinement: &Confinement,
    refused: impl Fn(&Setup) -> Vec<(Step, i32)>,
) -> Prepared {
    let mut short = Vec::new();
    let mut setup = Setup {
        new_session: true,
        nice: confinement.nice.map(|nice| nice.clamp(-20, 19) as i8),
        policy: policy(confinement, &mut short),
        processors: placed(host, confinement, &mut short),
        limits: limited(host, confinement, &mut short).into(),
        confined: confinement.gives_up_privileges,
    };
    let is_tried = setup.nice.is_some() || setup.policy.is_some() || !setup.processors.is_empty();
    for (step, number) in if is_tried { refused(&setup) } else { Vec::new() } {
        let why = errno::name(number);
        match (step, setup.policy) {
            (Step::Scheduling, Some(Policy::Other(_))) if number == Errno::NOSYS.raw_os_error() => {
                setup.policy = None;
                short.push("quantum is not enforced: this kernel has no time slices".to_owned());
            }
            (Step::Scheduling, _) => {
                setup.policy = None;
                short.push(format!("scheduler is not enforced: the kernel refuses it ({why})"));
            }
            (Step::Affinity, _) => {
                setup.processors = [].into();
                short.push(format!("cpu is not enforced: the kernel refuses it ({why})"));
            }
            (_, _) => {
                let nice = setup.nice.take().unwrap_or(0);
                short.push(format!("nice {nice} is not enforced: the kernel refuses it ({why})"));
            }
        }
    }
    Prepared { setup: Arc::new(setup), shortcomings: short.into() }
}

/// What of a confinement concerns the set-up: the word that says what is not enforced of it
/// begins with, and all of it.
pub(super) fn described(confinement: &Confinement) -> Vec<(&'static str, String)> {
    let scheduler = confinement.scheduler.map(|scheduler| match scheduler {
        Scheduler::Other => "KERNEL".to_owned(),
        Scheduler::Batch => "batch".to_owned(),
        Scheduler::Idle => "idle".to_owned(),
        Scheduler::Fifo(priority) => format!("fifo:{priority}"),
        Scheduler::RoundRobin(priority) => format!("rr:{priority}"),
        Scheduler::Deadline { runtime, deadline, period } => {
            let [runtime, deadline, period] = [runtime, deadline, period].map(span);
            format!("deadline:{runtime}/{deadline}/{period}")
        }
    });
    let given_up = confinement.gives_up_privileges;
    let all = [
        ("nice", confinement.nice.map(|nice| nice.to_string())),
        ("scheduler", scheduler),
        ("quantum", confinement.slice.map(span)),
        ("cpu", confinement.cpus.as_deref().map(list)),
        ("nofile", confinement.descriptors_max.map(|number| number.to_string())),
        ("core", confinement.core_max.map(|number| number.to_string())),
        ("privileges", given_up.then(|| "are given up with the user".to_owned())),
    ];
    let some =
        |(name, text): (&'static str, Option<String>)| Some((name, format!("{name} {}", text?)));
    all.into_iter().filter_map(some).collect()
}

/// The words of `system.conf` for what a step does.
pub(super) fn words_of(setup: &Setup, step: Step) -> Vec<&'static str> {
    match step {
        Step::Priority => vec!["nice"],
        Step::Scheduling if matches!(setup.policy, Some(Policy::Other(Some(_)))) => {
            vec!["quantum"]
        }
        Step::Scheduling => vec!["scheduler"],
        Step::Affinity => vec!["cpu"],
        _ => {
            let words = setup.limits.iter().filter_map(|(what, _)| match what {
                Limited::Descriptors => Some("nofile"),
                Limited::Core => Some("core"),
                _ => None,
            });
            words.collect()
        }
    }
}

/// The words of `system.conf` for all that is asked for.
pub(super) fn words(setup: &Setup) -> Vec<&'static str> {
    let steps = [
        (setup.nice.is_some(), Step::Priority),
        (setup.policy.is_some(), Step::Scheduling),
        (!setup.processors.is_empty(), Step::Affinity),
        (!setup.limits.is_empty(), Step::Limits),
    ];
    let asked = steps.into_iter().filter(|(is_asked, _)| *is_asked);
    asked.flat_map(|(_, step)| words_of(setup, step)).collect()
}

fn list(numbers: &[u32]) -> String {
    let all: Vec<String> = numbers.iter().map(u32::to_string).collect();
    all.join(" ")
}

/// What is different after an edit: what was there and is not asked for any more becomes
/// ours again, and what is as it was is left alone.
pub(super) fn changed(before: &Confinement, now: &Confinement, descriptors: Limit) -> Prepared {
    changed_on(&Host::new(descriptors), before, now, Setup::refused)
}

fn changed_on(
    host: &Host,
    before: &Confinement,
    now: &Confinement,
    refused: impl Fn(&Setup) -> Vec<(Step, i32)>,
) -> Prepared {
    let same_policy = (before.scheduler, before.slice) == (now.scheduler, now.slice);
    let same_processors = before.cpus == now.cpus;
    let different = Confinement {
        nice: (before.nice != now.nice).then(|| now.nice.unwrap_or(0)),
        scheduler: now.scheduler.filter(|_| !same_policy),
        slice: now.slice.filter(|_| !same_policy),
        cpus: now.cpus.clone().filter(|_| !same_processors),
        descriptors_max: now
            .descriptors_max
            .filter(|_| before.descriptors_max != now.descriptors_max),
        core_max: now.core_max.filter(|_| before.core_max != now.core_max),
        ..Confinement::default()
    };
    let mut prepared = prepare_on(host, &different, refused);
    let mut setup = Setup::clone(&prepared.setup);
    if !same_policy && now.scheduler.is_none() && now.slice.is_none() {
        setup.policy = Some(Policy::Other(None));
    }
    if !same_processors && now.cpus.is_none() {
        setup.processors = processors(&host.processors);
    }
    let back = [
        (before.descriptors_max, now.descriptors_max, Limited::Descriptors, host.descriptors),
        (before.core_max, now.core_max, Limited::Core, host.core),
    ];
    let back = back.into_iter().filter(|(before, now, ..)| before.is_some() && now.is_none());
    let limits = setup.limits.iter().copied();
    setup.limits = limits.chain(back.map(|(_, _, what, limit)| (what, limit))).collect();
    prepared.setup = Arc::new(setup);
    prepared
}

fn policy(confinement: &Confinement, short: &mut Vec<String>) -> Option<Policy> {
    let slice = confinement.slice;
    let priority = |priority: u32| u8::try_from(priority).unwrap_or(u8::MAX);
    let policy = match confinement.scheduler {
        None | Some(Scheduler::Other) => {
            let is_asked = confinement.scheduler.is_some() || slice.is_some();
            return is_asked.then_some(Policy::Other(slice));
        }
        Some(Scheduler::Batch) => Policy::Batch,
        Some(Scheduler::Idle) => Policy::Idle,
        Some(Scheduler::Fifo(number)) => Policy::Fifo(priority(number)),
        Some(Scheduler::RoundRobin(number)) => Policy::RoundRobin(priority(number)),
        Some(Scheduler::Deadline { runtime, deadline, period }) => {
            Policy::Deadline { runtime, deadline, period }
        }
    };
    if slice.is_some() {
        let text = "quantum is not enforced: only the ordinary scheduler has time slices";
        short.push(text.to_owned());
    }
    Some(policy)
}

/// The processors that are there of those that are asked for. Where there is none, it is the
/// first one, as in MINIX.
fn placed(host: &Host, confinement: &Confinement, short: &mut Vec<String>) -> Box<[u64]> {
    let Some(asked) = &confinement.cpus else { return [].into() };
    let (there, absent): (Vec<u32>, Vec<u32>) =
        asked.iter().partition(|number| host.processors.contains(number));
    if absent.is_empty() {
        return processors(&there);
    }
    let first = host.processors.first().copied();
    let instead = match (&there[..], first) {
        ([], Some(first)) => vec![first],
        ([], None) => Vec::new(),
        _ => there,
    };
    let on = if instead.is_empty() { "all".to_owned() } else { list(&instead) };
    let absent = list(&absent);
    short.push(format!("cpu {absent} is not enforced: it is not there, so it runs on {on}"));
    processors(&instead)
}

fn limited(
    host: &Host,
    confinement: &Confinement,
    short: &mut Vec<String>,
) -> Vec<(Limited, Limit)> {
    let own = [
        ("nofile", confinement.descriptors_max, Limited::Descriptors, host.descriptors),
        ("core", confinement.core_max, Limited::Core, host.core),
    ];
    let mut limits = Vec::new();
    for (name, asked, what, own) in own {
        let Some(asked) = asked else { continue };
        let most = match (what, host.raises_limits) {
            (Limited::Descriptors, true) => host.descriptors_max,
            (_, true) => u64::MAX,
            (_, false) => own.hard,
        };
        if asked > most {
            short.push(format!("{name} {asked} is not enforced: at most {most} can be had here"));
        }
        let number = asked.min(most);
        limits.push((what, Limit { soft: number, hard: number }));
    }
    limits
}

/// The processors that we may run on.
fn own_processors() -> Vec<u32> {
    let Ok(set) = rustix::thread::sched_getaffinity(None) else { return Vec::new() };
    let most = u32::try_from(rustix::thread::CpuSet::MAX_CPU).unwrap_or(0);
    (0..most).filter(|number| set.is_set(*number as usize)).collect()
}

/// Whether we have a right, by its bit.
fn has_right(bit: u32) -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mut lines = status.lines().filter_map(|line| line.strip_prefix("CapEff:"));
    let rights = lines.next().and_then(|text| u64::from_str_radix(text.trim(), 16).ok());
    rights.unwrap_or(0) >> bit & 1 == 1
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn host() -> Host {
        Host {
            processors: vec![0, 1],
            descriptors: Limit { soft: 1024, hard: 4096 },
            core: Limit { soft: 0, hard: u64::MAX },
            descriptors_max: 1 << 20,
            raises_limits: false,
        }
    }

    fn all(_: &Setup) -> Vec<(Step, i32)> {
        Vec::new()
    }

    #[test]
    fn a_service_that_asks_for_nothing_leads_a_session_and_that_is_all() {
        let prepared = prepare_on(&host(), &Confinement::default(), |_| panic!("nothing is tried"));

        assert_eq!(*prepared.setup, Setup { new_session: true, ..Setup::default() });
        assert!(prepared.shortcomings.is_empty());
    }

    #[test]
    fn what_is_asked_for_is_done() {
        let confinement = Confinement {
            nice: Some(5),
            slice: Some(Duration::from_millis(3)),
            cpus: Some(vec![1]),
            descriptors_max: Some(100),
            gives_up_privileges: true,
            ..Confinement::default()
        };

        let Prepared { setup, shortcomings } = prepare_on(&host(), &confinement, all);

        assert_eq!((setup.nice, setup.confined), (Some(5), true));
        assert_eq!(setup.policy, Some(Policy::Other(Some(Duration::from_millis(3)))));
        assert_eq!(*setup.processors, [2]);
        assert_eq!(*setup.limits, [(Limited::Descriptors, Limit { soft: 100, hard: 100 })]);
        assert_eq!(*shortcomings, [""; 0]);
    }

    #[test]
    fn what_is_refused_is_left_out_and_said() {
        let confinement = Confinement {
            nice: Some(-5),
            scheduler: Some(Scheduler::Fifo(3)),
            slice: Some(Duration::from_millis(3)),
            cpus: Some(vec![7]),
            descriptors_max: Some(1 << 30),
            ..Confinement::default()
        };

        let refuse = |_: &Setup| vec![(Step::Priority, 13), (Step::Scheduling, 1)];
        let Prepared { setup, shortcomings } = prepare_on(&host(), &confinement, refuse);

        assert_eq!((setup.nice, setup.policy), (None, None));
        assert_eq!(*setup.processors, [1], "the first one");
        assert_eq!(setup.limits[0].1, Limit { soft: 4096, hard: 4096 });
        assert_eq!(
            *shortcomings,
            [
                "quantum is not enforced: only the ordinary scheduler has time slices",
                "cpu 7 is not enforced: it is not there, so it runs on 0",
                "nofile 1073741824 is not enforced: at most 4096 can be had here",
                "nice -5 is not enforced: the kernel refuses it (EACCES)",
                "scheduler is not enforced: the kernel refuses it (EPERM)",
            ]
        );
    }

    #[test]
    fn an_edit_changes_what_is_different_and_gives_back_what_is_not_asked_for() {
        let before = Confinement {
            nice: Some(5),
            cpus: Some(vec![1]),
            descriptors_max: Some(100),
            core_max: Some(0),
            slice: Some(Duration::from_millis(3)),
            ..Confinement::default()
        };
        let now = Confinement { core_max: Some(7), slice: before.slice, ..Confinement::default() };

        let setup = changed_on(&host(), &before, &now, all).setup;

        assert_eq!((setup.nice, setup.policy), (Some(0), None));
        assert_eq!(*setup.processors, [3]);
        let limit = |number| Limit { soft: number, hard: number };
        assert_eq!(
            *setup.limits,
            [(Limited::Core, limit(7)), (Limited::Descriptors, Limit { soft: 1024, hard: 4096 })]
        );
        assert_eq!(*changed_on(&host(), &now, &now, all).setup.limits, []);
    }
}
