//! What a confinement says of the cgroup of a life, and what of that is to be had.

use std::error::Error as _;
use std::io;

use bardo_core::spec::care::Confinement;
use bardo_sys::cgroup::{Absent, Knob, Leaf, Root, Value};

/// Microseconds of the period in which a share of the processors is counted: the kernel's
/// own choice.
const PERIOD: u64 = 100_000;

/// The weight of whoever asks for none.
const WEIGHT: u64 = 100;

/// Something of a cgroup that is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Limit {
    /// Its name in `system.conf`.
    pub(super) name: &'static str,
    pub(super) knob: Knob,
    pub(super) value: Value,
}

/// All that is asked for. A nice value is one too, where processors are divided at all.
pub(super) fn asked(confinement: &Confinement) -> Vec<Limit> {
    let Confinement { memory_max, memory_high, swap_max, pids_max, .. } = *confinement;
    let number = |number: Option<u64>| number.map(Value::Number);
    let share = |percent: u32| Value::Share(u64::from(percent) * PERIOD / 100, PERIOD);
    let all = [
        ("memory max", Knob::MemoryMax, number(memory_max)),
        ("memory high", Knob::MemoryHigh, number(memory_high)),
        ("memory swap", Knob::SwapMax, number(swap_max)),
        ("pids", Knob::PidsMax, number(pids_max)),
        ("cpu-max", Knob::CpuMax, confinement.cpu_max.map(share)),
        ("io-weight", Knob::IoWeight, number(confinement.io_weight.map(u64::from))),
    ];
    let some =
        |(name, knob, value): (_, _, Option<Value>)| Some(Limit { name, knob, value: value? });
    all.into_iter().filter_map(some).collect()
}

/// What becomes of those that were asked for and are not any more.
pub(super) fn lifted(before: &Confinement, now: &Confinement) -> Vec<Limit> {
    let kept = asked(now);
    let is_lifted = |limit: &Limit| kept.iter().all(|other| other.knob != limit.knob);
    let lift = |limit: Limit| Limit { value: unlimited(limit.knob), ..limit };
    asked(before).into_iter().filter(is_lifted).map(lift).collect()
}

/// The value of whoever asks for none.
fn unlimited(knob: Knob) -> Value {
    match knob {
        Knob::MemoryMax | Knob::MemoryHigh | Knob::SwapMax | Knob::PidsMax | Knob::CpuMax => {
            Value::Max
        }
        Knob::CpuWeight | Knob::IoWeight => Value::Number(WEIGHT),
        Knob::CpuNice => Value::Nice(0),
    }
}

/// Sets limits of a leaf. What cannot be enforced is said.
///
/// # Errors
/// For want of descriptors or memory.
pub(super) fn set(root: &Root, leaf: &Leaf, limits: &[Limit]) -> io::Result<Vec<String>> {
    let mut refused = Vec::new();
    for limit in limits {
        let Err(refusal) = root.set(leaf, limit.knob, limit.value) else { continue };
        match refusal.shortage().and_then(io::Error::raw_os_error) {
            Some(number) => return Err(io::Error::from_raw_os_error(number)),
            None => refused.push(unenforced(limit, &refusal)),
        }
    }
    Ok(refused)
}

/// Sets as many as can be set: those that cannot be, and why.
pub(super) fn set_all(root: &Root, leaf: &Leaf, limits: &[Limit]) -> Vec<(Limit, Absent)> {
    let refused = |limit: &Limit| {
        let refusal = root.set(leaf, limit.knob, limit.value).err()?;
        Some((*limit, refusal))
    };
    limits.iter().filter_map(refused).collect()
}

/// What limits a cgroup as the first says, and processes as the second.
pub(super) fn mixed(of_cgroup: &Confinement, of_processes: &Confinement) -> Confinement {
    Confinement {
        memory_max: of_cgroup.memory_max,
        memory_high: of_cgroup.memory_high,
        swap_max: of_cgroup.swap_max,
        pids_max: of_cgroup.pids_max,
        cpu_max: of_cgroup.cpu_max,
        io_weight: of_cgroup.io_weight,
        ..of_processes.clone()
    }
}

/// Has processors divided as the nice value says, where they are divided at all: where they
/// are not, that value does all there is to do.
pub(super) fn weigh(root: &Root, leaf: &Leaf, nice: Option<i32>) {
    if let Some(nice) = nice.and_then(|nice| i8::try_from(nice).ok()) {
        let _ = root.set(leaf, Knob::CpuNice, Value::Nice(nice));
    }
}

/// The words for a limit that is not enforced.
pub(super) fn unenforced(limit: &Limit, refusal: &Absent) -> String {
    let source = refusal.source().map(|source| format!(": {source}")).unwrap_or_default();
    format!("{} {} is not enforced: {refusal}{source}", limit.name, limit.value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_for_is_what_the_kernel_is_told() {
        let confinement = Confinement {
            memory_max: Some(64 << 20),
            swap_max: Some(0),
            pids_max: Some(7),
            cpu_max: Some(150),
            io_weight: Some(30),
            ..Confinement::default()
        };

        let told: Vec<String> = asked(&confinement)
            .iter()
            .map(|limit| format!("{}={}", limit.knob.file(), limit.value))
            .collect();

        assert_eq!(
            told,
            [
                "memory.max=67108864",
                "memory.swap.max=0",
                "pids.max=7",
                "cpu.max=150000 100000",
                "io.weight=30"
            ]
        );
        assert_eq!(asked(&Confinement::default()), []);
    }

    #[test]
    fn a_limit_that_is_not_asked_for_any_more_is_lifted() {
        let before = Confinement {
            memory_max: Some(1),
            io_weight: Some(30),
            pids_max: Some(7),
            ..Confinement::default()
        };
        let now = Confinement { pids_max: Some(8), ..Confinement::default() };

        let lifted: Vec<(&str, Value)> =
            lifted(&before, &now).iter().map(|limit| (limit.name, limit.value)).collect();

        assert_eq!(lifted, [("memory max", Value::Max), ("io-weight", Value::Number(100))]);
    }

    #[test]
    fn what_is_mixed_has_all_limits_of_the_one() {
        let one = Confinement {
            memory_max: Some(1),
            memory_high: Some(2),
            swap_max: Some(3),
            pids_max: Some(4),
            cpu_max: Some(5),
            io_weight: Some(6),
            nice: Some(7),
            ..Confinement::default()
        };
        let other = Confinement { pids_max: Some(8), nice: Some(9), ..Confinement::default() };

        let mixed = mixed(&one, &other);

        assert_eq!((asked(&mixed), mixed.nice), (asked(&one), Some(9)));
    }

    #[test]
    fn a_limit_that_is_not_enforced_is_named_with_its_reason() {
        let limit = Limit { name: "pids", knob: Knob::PidsMax, value: Value::Number(7) };

        assert_eq!(
            unenforced(&limit, &Absent::HeldByVersion1("pids")),
            "pids 7 is not enforced: the cgroup controller pids belongs to version 1 on this \
             machine"
        );
    }
}
