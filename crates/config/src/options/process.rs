//! `[program:x]`, and what `[eventlistener:x]` and `[fcgi-program:x]` share with it:
//! the options that may differ between the processes of a program.

use bardo_core::spec::LogTarget;

use super::{Expansion, Fallback, OptionEntry, Reading, set};
use crate::error::ConfigError;
use crate::value::{self, LogFile};

/// What a section says of one of its processes.
#[derive(Debug, Default)]
pub struct ProcessDraft {
    pub(crate) environment: Vec<(String, String)>,
    pub(crate) directory: Option<String>,
    pub(crate) stdout: LogDraft,
    pub(crate) stderr: LogDraft,
    pub(crate) command: String,
}

/// What a section says of a stream of one of its processes.
#[derive(Debug)]
pub struct LogDraft {
    pub(crate) file: LogFile,
    pub(crate) bytes_max: i64,
    pub(crate) backups: i64,
    pub(crate) compress: bool,
    pub(crate) syslog: bool,
    pub(crate) prefix: String,
}

impl Default for LogDraft {
    fn default() -> Self {
        Self {
            file: LogFile::Target(LogTarget::Auto),
            bytes_max: 0,
            backups: 0,
            compress: false,
            syslog: false,
            prefix: String::new(),
        }
    }
}

impl LogDraft {
    fn set_file(&mut self, reading: &Reading<'_>, text: &str) -> Result<(), ConfigError> {
        self.file = value::log_file(reading.host, text)?;
        Ok(())
    }
}

/// The options that may differ between the processes of a program, because
/// `%(process_num)d` may stand in them.
pub const PROCESS_OPTIONS: &[OptionEntry<ProcessDraft>] = &[
    OptionEntry {
        name: "environment",
        fallback: Fallback::Text(""),
        expansion: Expansion::Unlabelled,
        apply: |draft, _, text| set(&mut draft.environment, value::environment(text)?),
        help: "Variables over those of [supervisord], as KEY=\"value\" between commas.",
    },
    OptionEntry {
        name: "directory",
        fallback: Fallback::Nothing,
        expansion: Expansion::Once,
        apply: |draft, _, text| set(&mut draft.directory, Some(text.to_owned())),
        help: "Working directory of the program.",
    },
    OptionEntry {
        name: "stdout_logfile",
        fallback: Fallback::Text("AUTO"),
        expansion: Expansion::Twice,
        apply: |draft, reading, text| draft.stdout.set_file(reading, text),
        help: "File of standard output; AUTO is one that the supervisor names, NONE is none.",
    },
    OptionEntry {
        name: "stdout_logfile_backups",
        fallback: Fallback::Text("10"),
        expansion: Expansion::Once,
        apply: |draft, _, text| set(&mut draft.stdout.backups, value::integer(text)?),
        help: "How many rotated files of standard output are kept; 0 empties the file instead.",
    },
    OptionEntry {
        name: "stdout_logfile_compress",
        fallback: Fallback::Text("false"),
        expansion: Expansion::Once,
        apply: |draft, _, text| set(&mut draft.stdout.compress, value::boolean(text)?),
        help: "Compress rotated files of standard output (gzip); Bardo's own.",
    },
    OptionEntry {
        name: "stdout_logfile_maxbytes",
        fallback: Fallback::Text("50MB"),
        expansion: Expansion::Once,
        apply: |draft, _, text| set(&mut draft.stdout.bytes_max, value::byte_size(text)?),
        help: "Size at which the file of standard output is rotated; 0 is never.",
    },
    OptionEntry {
        name: "stdout_logfile_prefix",
        fallback: Fallback::Server,
        expansion: Expansion::Once,
        apply: |draft, _, text| set(&mut draft.stdout.prefix, value::line_prefix(text)?),
        help: "What stands before each line of standard output in an output that programs share, \
               as /dev/stdout is; in double quotes, where blanks are at its end. Files with a \
               name of their own and syslog have no prefix. Bardo's own.",
    },
    OptionEntry {
        name: "stdout_syslog",
        fallback: Fallback::Text("false"),
        expansion: Expansion::Once,
        apply: |draft, _, text| set(&mut draft.stdout.syslog, value::boolean(text)?),
        help: "Send standard output to syslog too.",
    },
    OptionEntry {
        name: "stderr_logfile",
        fallback: Fallback::Text("AUTO"),
        expansion: Expansion::Twice,
        apply: |draft, reading, text| draft.stderr.set_file(reading, text),
        help: "File of standard error; AUTO is one that the supervisor names, NONE is none.",
    },
    OptionEntry {
        name: "stderr_logfile_backups",
        fallback: Fallback::Text("10"),
        expansion: Expansion::Once,
        apply: |draft, _, text| set(&mut draft.stderr.backups, value::integer(text)?),
        help: "How many rotated files of standard error are kept; 0 empties the file instead.",
    },
    OptionEntry {
        name: "stderr_logfile_compress",
        fallback: Fallback::Text("false"),
        expansion: Expansion::Once,
        apply: |draft, _, text| set(&mut draft.stderr.compress, value::boolean(text)?),
        help: "Compress rotated files of standard error (gzip); Bardo's own.",
    },
    OptionEntry {
        name: "stderr_logfile_maxbytes",
        fallback: Fallback::Text("50MB"),
        expansion: Expansion::Once,
        apply: |draft, _, text| set(&mut draft.stderr.bytes_max, value::byte_size(text)?),
        help: "Size at which the file of standard error is rotated; 0 is never.",
    },
    OptionEntry {
        name: "stderr_logfile_prefix",
        fallback: Fallback::Server,
        expansion: Expansion::Once,
        apply: |draft, _, text| set(&mut draft.stderr.prefix, value::line_prefix(text)?),
        help: "What stands before each line of standard error in an output that programs share, \
               as /dev/stdout is; in double quotes, where blanks are at its end. Files with a \
               name of their own and syslog have no prefix. Bardo's own.",
    },
    OptionEntry {
        name: "stderr_syslog",
        fallback: Fallback::Text("false"),
        expansion: Expansion::Once,
        apply: |draft, _, text| set(&mut draft.stderr.syslog, value::boolean(text)?),
        help: "Send standard error to syslog too.",
    },
    OptionEntry {
        name: "command",
        fallback: Fallback::Missing("required", |_, reading| {
            Err(ConfigError::NoCommand(reading.section.to_owned()))
        }),
        expansion: Expansion::Once,
        apply: |draft, _, text| set(&mut draft.command, text.to_owned()),
        help: "Command line of the program, quoted as in a shell; no shell runs it.",
    },
];
