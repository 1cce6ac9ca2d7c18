//! What `service up` and `service run` ask for, as a group that the core can be told of.
//!
//! The tool has checked the same before; here it is checked again, because whoever can
//! write to the socket can leave that out.

use std::borrow::Cow;
use std::sync::Arc;

use bardo_config::Host;
use bardo_config::system_conf::{Interpreted, Standing};
use bardo_core::GroupSpec;
use bardo_core::spec::care::Script;
use bardo_core::spec::{Care, GroupKind, Origin, ProgramSpec, User, device};

use super::draft::{Draft, MINIX_NAME_BYTES_MAX, Manner, check_label};
use super::refusal::Checked;
pub use super::refusal::Refusal;
use super::request::{Asked, Request, Verb};

/// What is to be brought up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Brought {
    /// The group, with the one service that has its name.
    pub group: Arc<GroupSpec>,
    /// What people should know although it is done.
    pub notes: Vec<String>,
}

/// Makes a group of a request to bring something up. It asks the machine for users and
/// files, and so can block.
///
/// # Errors
///
/// When something in it makes no sense, with MINIX's number.
pub fn bring(host: &dyn Host, request: &Request) -> Result<Brought, Refusal> {
    let manner = Manner::of(request.minix);
    let asked = asked(request)?;
    if asked.binary.is_empty() {
        return Err(Refusal::invalid("nothing is to be brought up: the program is missing"));
    }
    let label = label(request);
    check_label(&label)?;
    let mut draft = Draft::minix(&asked.binary, manner);
    if request.verb == Verb::Run {
        // What MINIX has as /etc/rs.single; another script takes its place.
        draft.care.script = Some(Script { path: None, timeout: None });
    }
    let settings = draft.take(host, &label, asked, manner)?;
    if let Some(settings) = &settings {
        draft.program.user.clone_from(&settings.user);
        draft.notes.extend(not_yet(settings));
    }
    draft.notes.extend(unbound(draft.program.user.as_ref(), &draft.care).map(str::to_owned));
    draft.care.device = asked.device.map(|device| device_of(device, manner));
    let notes = std::mem::take(&mut draft.notes);
    let group = GroupSpec {
        name: label.as_ref().into(),
        priority: ProgramSpec::default().priority,
        kind: GroupKind::Programs,
        origin: Origin::Brought,
        services: vec![Arc::new(draft.finish(&label))],
    };
    Ok(Brought { group: Arc::new(group), notes })
}

/// What there is to say of a service that has a list of whom it may control, and a user who
/// may do everything.
#[must_use]
pub fn unbound(user: Option<&User>, care: &Care) -> Option<&'static str> {
    let own = rustix::process::geteuid().as_raw();
    let uid = user.map_or(own, |user| user.uid);
    if care.confinement.control.is_empty() {
        None
    } else if uid == 0 {
        Some("control restricts nothing: it runs as root, who may do everything")
    } else {
        let text =
            "control restricts nothing: it runs as the supervisor does, who may do everything";
        (uid == own).then_some(text)
    }
}

/// What a request asks for.
pub(super) fn asked(request: &Request) -> Checked<&Asked> {
    request.asked.as_ref().ok_or_else(|| Refusal::invalid("the request does not say what is asked"))
}

/// The label of a request, as its rules have it.
#[must_use]
pub fn label(request: &Request) -> Cow<'_, str> {
    if request.minix { as_minix(&request.label).into() } else { request.label.as_str().into() }
}

/// As much of a label as MINIX knows. One of a group's program is whole: only a configuration
/// has such, and MINIX none.
#[must_use]
pub fn as_minix(label: &str) -> &str {
    if label.len() <= MINIX_NAME_BYTES_MAX || label.contains(':') {
        return label;
    }
    // Bytes that are half a character are none.
    let end = (0..=MINIX_NAME_BYTES_MAX).rev().find(|end| label.is_char_boundary(*end));
    &label[..end.unwrap_or(0)]
}

/// The device, or all of its major number: MINIX looks at nothing else.
pub(super) fn device_of(number: u64, manner: Manner) -> u64 {
    match manner {
        Manner::Ours => number,
        Manner::Minix => device::of_major(device::major(number)),
    }
}

/// The lines that nobody enforces yet, in one sentence.
fn not_yet(settings: &Interpreted) -> Option<String> {
    let lines: Vec<String> = settings
        .standings
        .iter()
        .filter(|(_, standing)| *standing == Standing::NotYet)
        .map(|(line, _)| format!("{} ({})", line.name(), line.at))
        .collect();
    (!lines.is_empty()).then(|| format!("{}: {}", Standing::NotYet.text(), lines.join(", ")))
}

#[cfg(test)]
pub(in crate::service) mod tests;
