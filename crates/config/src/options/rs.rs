//! `[rs]`: how services are kept that `service` brings up. The section is Bardo's own, and
//! Supervisor ignores it.

use super::{Expansion, Fallback, OptionEntry, set};
use crate::value::{self, Compatibility};

/// What `[rs]` says.
#[derive(Debug, Default)]
pub struct RsDraft {
    pub(crate) compatibility: Compatibility,
}

/// The options of `[rs]`.
pub const RS_OPTIONS: &[OptionEntry<RsDraft>] = &[OptionEntry {
    name: "compat",
    fallback: Fallback::Text("bardo"),
    expansion: Expansion::Once,
    apply: |draft, _, text| set(&mut draft.compatibility, value::compatibility(text)?),
    help: "Whose rules services are kept by: `bardo`, or `minix` for those of MINIX where they \
           differ, as if each `service` were called with --minix: the counter of restarts never \
           begins anew, labels have 15 bytes, and an edit that says nothing of the heartbeat \
           switches it off.",
}];
