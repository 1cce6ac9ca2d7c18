//! When and where a service computes: `priority`, `quantum`, `cpu`, `scheduler`.

use std::time::Duration;

use bardo_core::spec::care::Scheduler;

use super::super::value::{cpus, duration, integer, natural, nice};
use super::super::{Line, Refusal, Standing};
use super::{Draft, Reading};

/// MINIX's worst queue.
const PRIORITY_MAX: i64 = 15;

/// The longest slice that the kernel gives.
const SLICE_MAX: Duration = Duration::from_millis(100);

/// The greatest priority in real time.
const REAL_TIME_MAX: u64 = 99;

/// The shortest run time that the kernel takes for a deadline, a little more than a
/// microsecond.
const RUNTIME_MIN: Duration = Duration::from_nanos(1_024);

pub(in super::super) fn priority(draft: &mut Draft<'_>, line: &Line) -> Result<Standing, Refusal> {
    let priority = Reading::of(line).value("a number from 0 to 15", |text| {
        let number = integer(text).filter(|number| (0..=PRIORITY_MAX).contains(number))?;
        u8::try_from(number).ok()
    })?;
    draft.result.confinement.nice = Some(nice(priority).into());
    Ok(Standing::Enforced)
}

pub(in super::super) fn quantum(draft: &mut Draft<'_>, line: &Line) -> Result<Standing, Refusal> {
    let slice = Reading::of(line).value("a number of milliseconds above 0", |text| {
        natural(text).filter(|number| *number > 0).map(Duration::from_millis)
    })?;
    if slice > SLICE_MAX {
        let text = format!("the kernel gives slices of at most {} ms", SLICE_MAX.as_millis());
        draft.note(&line.at, text);
    }
    draft.result.confinement.slice = Some(slice);
    Ok(Standing::Enforced)
}

pub(in super::super) fn cpu(draft: &mut Draft<'_>, line: &Line) -> Result<Standing, Refusal> {
    let reading = Reading::of(line);
    let mut all = Vec::new();
    for (text, place) in reading.some_words()? {
        let some = cpus(text)
            .ok_or_else(|| reading.bad(&place, text, "a processor's number or a range of them"))?;
        all.extend(some);
    }
    all.sort_unstable();
    all.dedup();
    draft.result.confinement.cpus = Some(all);
    Ok(Standing::Enforced)
}

pub(in super::super) fn scheduler(draft: &mut Draft<'_>, line: &Line) -> Result<Standing, Refusal> {
    let reading = Reading::of(line);
    let (text, place) = reading.word()?;
    let (word, value) = match text.split_once(':') {
        Some((word, value)) => (word, Some(value)),
        None => (text, None),
    };
    let real_time = || {
        let number = value.and_then(natural).filter(|number| (1..=REAL_TIME_MAX).contains(number));
        number.and_then(|number| u32::try_from(number).ok())
    };
    let scheduler = match (word, value) {
        ("KERNEL", None) => Scheduler::Other,
        ("batch", None) => Scheduler::Batch,
        ("idle", None) => Scheduler::Idle,
        ("fifo", _) => Scheduler::Fifo(real_time().ok_or_else(|| {
            reading.refuse(&place, format!("`{text}` has no priority from 1 to 99 behind a colon"))
        })?),
        ("rr", _) => Scheduler::RoundRobin(real_time().ok_or_else(|| {
            reading.refuse(&place, format!("`{text}` has no priority from 1 to 99 behind a colon"))
        })?),
        ("deadline", _) => value.and_then(deadline).ok_or_else(|| {
            let what = format!("`{text}` has no run time, deadline and period in rising order");
            reading.refuse(&place, what)
        })?,
        (_, Some(_)) => return Err(reading.bad(&place, text, "a scheduler")),
        (_, None) => {
            let text = format!("`{word}` schedules nothing on Linux; the kernel does");
            draft.note(&place, text);
            draft.result.confinement.scheduler = Some(Scheduler::Other);
            return Ok(Standing::Recorded);
        }
    };
    draft.result.confinement.scheduler = Some(scheduler);
    Ok(Standing::Enforced)
}

/// `10ms/20ms/100ms`, or the same in plain numbers of milliseconds.
fn deadline(text: &str) -> Option<Scheduler> {
    let time = |text: &str| {
        let plain = || natural(text).map(Duration::from_millis);
        duration(text).or_else(plain)
    };
    let parts: Option<Vec<Duration>> = text.split('/').map(time).collect();
    let [runtime, deadline, period] = parts?.try_into().ok()?;
    let rises = runtime >= RUNTIME_MIN && runtime <= deadline && deadline <= period;
    rises.then_some(Scheduler::Deadline { runtime, deadline, period })
}
