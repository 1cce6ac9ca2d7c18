//! `[supervisorctl]`, and the flags that stand for its options.

use super::{Expansion, Fallback, Flag, Known, OptionEntry, Takes, set};
use crate::path::resolved;
use crate::value;

/// What `[supervisorctl]` and the command line say.
#[derive(Debug, Default)]
pub struct ControlDraft {
    pub(crate) serverurl: String,
    pub(crate) prompt: String,
    pub(crate) username: Option<String>,
    pub(crate) password: Option<String>,
    pub(crate) history_file: Option<String>,
}

/// The options of `[supervisorctl]`. What a URL is, only the command line is asked.
pub const CONTROL_OPTIONS: &[OptionEntry<ControlDraft>] = &[
    OptionEntry {
        name: "serverurl",
        fallback: Fallback::Text("http://localhost:9001"),
        expansion: Expansion::OnceWith(Known::Here),
        apply: |draft, _, text| set(&mut draft.serverurl, text.to_owned()),
        help: "URL of the server: http://host:port or unix:///path.",
    },
    OptionEntry {
        name: "prompt",
        fallback: Fallback::Text("supervisor"),
        expansion: Expansion::Once,
        apply: |draft, _, text| set(&mut draft.prompt, text.to_owned()),
        help: "What the prompt of the shell says before `>`.",
    },
    OptionEntry {
        name: "username",
        fallback: Fallback::Nothing,
        expansion: Expansion::Once,
        apply: |draft, _, text| set(&mut draft.username, Some(text.to_owned())),
        help: "User name for the server.",
    },
    OptionEntry {
        name: "password",
        fallback: Fallback::Nothing,
        expansion: Expansion::Once,
        apply: |draft, _, text| set(&mut draft.password, Some(text.to_owned())),
        help: "Password for the server.",
    },
    OptionEntry {
        name: "history_file",
        fallback: Fallback::Nothing,
        expansion: Expansion::OnceWith(Known::Here),
        apply: |draft, reading, text| {
            let given = !text.is_empty();
            set(&mut draft.history_file, given.then(|| resolved(reading.host, text)))
        },
        help: "File that keeps the lines typed in the shell.",
    },
];

/// The flags of `supervisorctl` that stand for an option.
pub const CONTROL_FLAGS: &[Flag] = &[
    Flag { option: "serverurl", short: Some('s'), takes: Takes::Value },
    Flag { option: "username", short: Some('u'), takes: Takes::Value },
    Flag { option: "password", short: Some('p'), takes: Takes::Value },
    Flag { option: "history_file", short: Some('r'), takes: Takes::Value },
];

/// Checks the value of a flag; only a URL can be wrong.
pub(crate) fn check(option: &str, text: &str) -> Result<(), value::ValueError> {
    match option {
        "serverurl" => value::url(text).map(|_| ()),
        _ => Ok(()),
    }
}
