//! How much a service may take: `memory`, `pids`, `cpu-max`, `io-weight`, `nofile`, `core`.

use super::super::value::{natural, size};
use super::super::{Line, Refusal, Standing};
use super::{Draft, Reading};

/// The greatest weight of a control group.
const IO_WEIGHT_MAX: u64 = 10_000;

/// The kernel's word for no limit on a resource.
const UNLIMITED: u64 = u64::MAX;

pub(in super::super) fn memory(draft: &mut Draft<'_>, line: &Line) -> Result<Standing, Refusal> {
    let reading = Reading::of(line);
    let words = reading.some_words()?;
    let (mut max, mut high, mut swap) = (None, None, None);
    for pair in words.chunks(2) {
        let (name, place) = &pair[0];
        let part = match *name {
            "max" => &mut max,
            "high" => &mut high,
            "swap" => &mut swap,
            other => return Err(reading.bad(place, other, "`max`, `high` or `swap`")),
        };
        let Some((text, place)) = pair.get(1) else {
            return Err(reading.refuse(place, format!("no size stands behind `{name}`")));
        };
        let bytes = size(text).ok_or_else(|| reading.bad(place, text, "a size like 256M"))?;
        if bytes == 0 && *name != "swap" {
            let what = format!("`{name} {text}` leaves no memory to run in");
            return Err(reading.refuse(place, what));
        }
        if part.replace(bytes).is_some() {
            return Err(reading.refuse(place, format!("`{name}` stands twice")));
        }
    }
    let confinement = &mut draft.result.confinement;
    confinement.memory_max = max.or(confinement.memory_max);
    confinement.memory_high = high.or(confinement.memory_high);
    confinement.swap_max = swap.or(confinement.swap_max);
    if let (Some(max), Some(high)) = (confinement.memory_max, confinement.memory_high)
        && high >= max
    {
        draft.note(&line.at, "`high` is not below `max`, so it slows nothing down");
    }
    Ok(Standing::Enforced)
}

pub(in super::super) fn pids(draft: &mut Draft<'_>, line: &Line) -> Result<Standing, Refusal> {
    let most = Reading::of(line).value("a number above 0", above_nothing)?;
    draft.result.confinement.pids_max = Some(most);
    Ok(Standing::Enforced)
}

pub(in super::super) fn cpu_max(draft: &mut Draft<'_>, line: &Line) -> Result<Standing, Refusal> {
    let percent = Reading::of(line).value("a per cent number above 0, like 50%", |text| {
        let number = text.strip_suffix('%').and_then(above_nothing)?;
        u32::try_from(number).ok()
    })?;
    draft.result.confinement.cpu_max = Some(percent);
    Ok(Standing::Enforced)
}

pub(in super::super) fn io_weight(draft: &mut Draft<'_>, line: &Line) -> Result<Standing, Refusal> {
    let weight = Reading::of(line).value("a number from 1 to 10000", |text| {
        let number = natural(text).filter(|number| (1..=IO_WEIGHT_MAX).contains(number))?;
        u32::try_from(number).ok()
    })?;
    draft.result.confinement.io_weight = Some(weight);
    Ok(Standing::Enforced)
}

pub(in super::super) fn descriptors(
    draft: &mut Draft<'_>,
    line: &Line,
) -> Result<Standing, Refusal> {
    let most = Reading::of(line).value("a number above 0", above_nothing)?;
    draft.result.confinement.descriptors_max = Some(most);
    Ok(Standing::Enforced)
}

pub(in super::super) fn core(draft: &mut Draft<'_>, line: &Line) -> Result<Standing, Refusal> {
    let most = Reading::of(line).value("a size like 256M, or `unlimited`", |text| {
        if text == "unlimited" { Some(UNLIMITED) } else { size(text) }
    })?;
    draft.result.confinement.core_max = Some(most);
    Ok(Standing::Enforced)
}

fn above_nothing(text: &str) -> Option<u64> {
    natural(text).filter(|number| *number > 0)
}
