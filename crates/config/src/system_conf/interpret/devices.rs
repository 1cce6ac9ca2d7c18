//! Which hardware a service may touch: `io`, `irq`, `pci`.

use super::super::value::{hexadecimal, natural};
use super::super::{Line, Mode, Place, Refusal, Standing};
use super::calls::alone;
use super::identity::too_many;
use super::{Draft, Reading};

/// How many of each MINIX has room for, over all lines.
const MINIX_RANGES_MAX: usize = 16;
const MINIX_INTERRUPTS_MAX: usize = 16;
const MINIX_PCI_DEVICES_MAX: usize = 32;
const MINIX_PCI_CLASSES_MAX: usize = 4;

/// How many of each there are so far.
#[derive(Debug, Default)]
pub(super) struct Counts {
    ranges: usize,
    interrupts: usize,
    pci_devices: usize,
    pci_classes: usize,
}

pub(in super::super) fn io(draft: &mut Draft<'_>, line: &Line) -> Result<Standing, Refusal> {
    let reading = Reading::of(line);
    let words = reading.words()?;
    if alone(&reading, &words, &["ALL", "NONE"])?.is_some() {
        return Ok(Standing::NotYet);
    }
    for (text, place) in &words {
        let (base, length) = text.split_once(':').unwrap_or((text, "1"));
        if hexadecimal(base).is_none() || hexadecimal(length).is_none() {
            return Err(reading.bad(place, text, "a range of ports in hexadecimal digits"));
        }
        count(draft.mode, &mut draft.counts.ranges, MINIX_RANGES_MAX)
            .map_err(|most| too_many(&reading, place, most, "ranges"))?;
    }
    Ok(Standing::NotYet)
}

pub(in super::super) fn irq(draft: &mut Draft<'_>, line: &Line) -> Result<Standing, Refusal> {
    let reading = Reading::of(line);
    let words = reading.words()?;
    if alone(&reading, &words, &["ALL", "NONE"])?.is_some() {
        return Ok(Standing::NotYet);
    }
    for (text, place) in &words {
        if natural(text).is_none() {
            return Err(reading.bad(place, text, "the number of an interrupt"));
        }
        count(draft.mode, &mut draft.counts.interrupts, MINIX_INTERRUPTS_MAX)
            .map_err(|most| too_many(&reading, place, most, "interrupts"))?;
    }
    Ok(Standing::NotYet)
}

pub(in super::super) fn pci(draft: &mut Draft<'_>, line: &Line) -> Result<Standing, Refusal> {
    let reading = Reading::of(line);
    let words = reading.words()?;
    let Some(((what, place), ids)) = words.split_first() else {
        // MINIX takes an empty one.
        return Ok(Standing::NotYet);
    };
    for (text, place) in ids {
        pci_id(draft, &reading, what, text, place)?;
    }
    match *what {
        "device" | "class" => Ok(Standing::NotYet),
        other => Err(reading.bad(place, other, "`device` or `class`")),
    }
}

fn pci_id(
    draft: &mut Draft<'_>,
    reading: &Reading<'_>,
    what: &str,
    text: &str,
    place: &Place,
) -> Result<(), Refusal> {
    let counts = &mut draft.counts;
    let (fits, number, most, name) = match what {
        "device" => {
            let fits = is_pci_device(text);
            (fits, &mut counts.pci_devices, MINIX_PCI_DEVICES_MAX, "devices")
        }
        "class" => (is_pci_class(text), &mut counts.pci_classes, MINIX_PCI_CLASSES_MAX, "classes"),
        _ => return Ok(()),
    };
    if !fits {
        return Err(reading.bad(place, text, &format!("one of the {name} in hexadecimal digits")));
    }
    count(draft.mode, number, most).map_err(|most| too_many(reading, place, most, name))
}

/// `vendor:device`, and perhaps `/vendor:device` of the board. The first colon may be a
/// slash, as older files have it.
fn is_pci_device(text: &str) -> bool {
    let id = |text: &str| hexadecimal(text).is_some_and(|id| id <= 0xffff);
    let Some((vendor, rest)) = text.split_once([':', '/']) else { return false };
    let (device, board) = match rest.split_once('/') {
        Some((device, board)) => (device, Some(board)),
        None => (rest, None),
    };
    let fits = |board: &str| board.split_once(':').is_some_and(|(one, two)| id(one) && id(two));
    id(vendor) && id(device) && board.is_none_or(fits)
}

/// `base`, `base/sub` or `base/sub/interface`.
fn is_pci_class(text: &str) -> bool {
    text.split('/').count() <= 3
        && text.split('/').all(|part| hexadecimal(part).is_some_and(|id| id <= 0xff))
}

/// Counts one more, or answers with how many MINIX has room for.
fn count(mode: Mode, number: &mut usize, most: usize) -> Result<(), usize> {
    *number += 1;
    if mode == Mode::Minix && *number > most { Err(most) } else { Ok(()) }
}
