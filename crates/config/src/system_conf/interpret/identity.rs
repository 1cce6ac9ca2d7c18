//! Who a service is and who steers it: `uid`, `type`, `descr`, `control`.

use std::sync::Arc;

use bardo_core::spec::User;

use super::super::value::integer;
use super::super::{Line, Mode, Place, Refusal, Standing, Value};
use super::{Draft, Reading};
use crate::host::Account;

/// The word for whoever calls the tool.
pub(in super::super) const SELF: &str = "SELF";

/// Most names behind `control` in MINIX.
const MINIX_CONTROL_MAX: usize = 8;

/// A class is in its place already when lines are interpreted.
pub(in super::super) fn class(_: &mut Draft<'_>, line: &Line) -> Result<Standing, Refusal> {
    let advice = "send the lines of an entry with those of its classes in their place";
    Err(Refusal::at(&line.at, "a class whose lines are not here", advice))
}

pub(in super::super) fn uid(draft: &mut Draft<'_>, line: &Line) -> Result<Standing, Refusal> {
    let reading = Reading::of(line);
    let (text, place) = reading.word()?;
    let account = match (draft.host.user_by_name(text), integer(text)) {
        (Some(account), _) => Some(account),
        (None, Some(number)) => {
            let id = u32::try_from(number).ok();
            let account = id.and_then(|id| draft.host.user_by_id(id));
            let is_ours = id == Some(draft.host.user_id());
            if account.is_none() && !is_ours {
                let what = format!("nobody has the user number {text}");
                return Err(Refusal::at(&place, what, "add such a user, or name another one"));
            }
            account
        }
        (None, None) if text == SELF => {
            let advice = "write a name or a number; the tool `service` puts its caller there";
            return Err(Refusal::at(&place, "`SELF` is known to the caller's tool only", advice));
        }
        (None, None) => {
            let what = format!("nobody is called `{text}`");
            return Err(Refusal::at(&place, what, "add such a user, or name another one"));
        }
    };
    draft.has_user = true;
    match account {
        Some(account) => draft.take_user(account),
        // It is ours and has no name: nothing has to be changed.
        None => draft.result.user = None,
    }
    Ok(Standing::Enforced)
}

impl Draft<'_> {
    /// It runs as that user.
    pub(super) fn take_user(&mut self, account: Account) {
        let Account { uid, gid, groups, .. } = account;
        self.result.confinement.gives_up_privileges = uid != 0;
        self.result.user = Some(User { uid, gid, groups });
    }
}

/// Puts the number of the caller where a line says `uid SELF`, as only the caller's tool
/// knows it. A user of that name counts more, as in MINIX.
pub(in super::super) fn resolve_self(lines: &mut [Line], caller: u32, is_name: bool) {
    if is_name {
        return;
    }
    for line in lines.iter_mut().filter(|line| line.name() == "uid") {
        for argument in &mut line.arguments {
            if matches!(&argument.value, Value::Word(word) if word == SELF) {
                argument.value = Value::Word(caller.to_string());
            }
        }
    }
}

pub(in super::super) fn control(draft: &mut Draft<'_>, line: &Line) -> Result<Standing, Refusal> {
    let names = names(draft, line)?;
    if draft.mode == Mode::Minix {
        draft.result.confinement.control.clear();
    }
    draft.result.confinement.control.extend(names);
    Ok(Standing::Enforced)
}

pub(in super::super) fn controlled_by(
    draft: &mut Draft<'_>,
    line: &Line,
) -> Result<Standing, Refusal> {
    let names = names(draft, line)?;
    draft.result.confinement.controlled_by.extend(names);
    Ok(Standing::Enforced)
}

fn names(draft: &Draft<'_>, line: &Line) -> Result<Vec<Arc<str>>, Refusal> {
    let reading = Reading::of(line);
    let words = reading.words()?;
    if draft.mode == Mode::Minix {
        at_most(&reading, &words, MINIX_CONTROL_MAX, "names")?;
    }
    Ok(words.into_iter().map(|(name, _)| Arc::from(name)).collect())
}

/// Refuses more words than MINIX has room for.
pub(super) fn at_most(
    reading: &Reading<'_>,
    words: &[(&str, Place)],
    most: usize,
    of: &str,
) -> Result<(), Refusal> {
    match words.get(most) {
        None => Ok(()),
        Some((_, place)) => Err(too_many(reading, place, most, of)),
    }
}

/// There are more than MINIX has room for.
pub(super) fn too_many(reading: &Reading<'_>, place: &Place, most: usize, of: &str) -> Refusal {
    let what = format!("more than {most} {of} behind `{}`", reading.line.name());
    Refusal::at(place, what, "take some out, or do not ask for the limits of MINIX")
}

pub(in super::super) fn kind(draft: &mut Draft<'_>, line: &Line) -> Result<Standing, Refusal> {
    let net =
        Reading::of(line).value("a type of service", |word| (word == "net").then_some("net"))?;
    draft.result.confinement.kind = Some(net.into());
    Ok(Standing::Recorded)
}

pub(in super::super) fn description(
    draft: &mut Draft<'_>,
    line: &Line,
) -> Result<Standing, Refusal> {
    let reading = Reading::of(line);
    match line.arguments.as_slice() {
        [argument] => match &argument.value {
            Value::Text(text) => {
                draft.result.description = Some(text.as_str().into());
                Ok(Standing::Recorded)
            }
            _ => Err(reading.refuse(&line.at, "`descr` takes a string in quotes")),
        },
        _ => Err(reading.refuse(&line.at, "`descr` takes one string in quotes")),
    }
}
