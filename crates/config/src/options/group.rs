//! `[group:x]`, and what a program says of the group that it is alone in.

use super::{Expansion, Fallback, OptionEntry, set};
use crate::value;

/// What a section says of a group.
#[derive(Debug, Default)]
pub struct GroupDraft {
    pub(crate) programs: Vec<String>,
    pub(crate) priority: i64,
}

/// The options of `[group:x]`.
pub const GROUP_OPTIONS: &[OptionEntry<GroupDraft>] = &[
    OptionEntry {
        name: "programs",
        fallback: Fallback::Nothing,
        expansion: Expansion::Once,
        apply: |draft, _, text| {
            let names = value::list(text);
            set(&mut draft.programs, names.into_iter().map(str::to_owned).collect())
        },
        help: "Programs of the group, between commas, in start order.",
    },
    PRIORITY,
];

/// What `[program:x]` says of the group of that name.
pub const PROGRAM_GROUP_OPTIONS: &[OptionEntry<GroupDraft>] = &[PRIORITY];

const PRIORITY: OptionEntry<GroupDraft> = OptionEntry {
    name: "priority",
    fallback: Fallback::Text("999"),
    expansion: Expansion::Once,
    apply: |draft, _, text| set(&mut draft.priority, value::integer(text)?),
    help: "Lower starts first and stops last, among groups.",
};
