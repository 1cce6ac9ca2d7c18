//! `[program:x]`, and what `[eventlistener:x]` and `[fcgi-program:x]` share with it:
//! the options that are the same for all processes of a program.

use bardo_core::Signal;
use bardo_core::spec::{RestartOn, User};

use super::{Expansion, Fallback, OptionEntry, set};
use crate::error::ConfigError;
use crate::python::trim;
use crate::value::{self, ValueError};

/// Most processes of one program. Ten thousand are in use; a hundred times that
/// is a slip of the finger, and would fill the memory.
const NUMPROCS_MAX: i64 = 1_000_000;

/// What a section says of all its processes.
#[derive(Debug)]
pub struct ProgramDraft {
    pub(crate) priority: i64,
    pub(crate) autostart: bool,
    pub(crate) restart_on: RestartOn,
    pub(crate) startsecs: i64,
    pub(crate) startretries: i64,
    pub(crate) stopsignal: Signal,
    pub(crate) stopwaitsecs: i64,
    pub(crate) stopasgroup: bool,
    pub(crate) killasgroup: bool,
    pub(crate) exitcodes: Vec<u8>,
    pub(crate) redirect_stderr: bool,
    pub(crate) numprocs: i64,
    pub(crate) numprocs_start: i64,
    pub(crate) stdout: StreamDraft,
    pub(crate) stderr: StreamDraft,
    pub(crate) serverurl: Option<String>,
    pub(crate) user: Option<User>,
    pub(crate) umask: Option<u32>,
    pub(crate) strip_ansi: Option<bool>,
    pub(crate) ignore_sigpipe: bool,
    /// Not expanded, because its value differs between processes.
    pub(crate) process_name: String,
}

/// What a section says of a stream of all its processes.
#[derive(Debug, Default)]
pub struct StreamDraft {
    pub(crate) capture_bytes_max: i64,
    pub(crate) events: bool,
}

impl Default for ProgramDraft {
    fn default() -> Self {
        Self {
            priority: 0,
            autostart: false,
            restart_on: RestartOn::Unexpected,
            startsecs: 0,
            startretries: 0,
            stopsignal: Signal::TERM,
            stopwaitsecs: 0,
            stopasgroup: false,
            killasgroup: false,
            exitcodes: Vec::new(),
            redirect_stderr: false,
            numprocs: 0,
            numprocs_start: 0,
            stdout: StreamDraft::default(),
            stderr: StreamDraft::default(),
            serverurl: None,
            user: None,
            umask: None,
            strip_ansi: None,
            ignore_sigpipe: false,
            process_name: String::new(),
        }
    }
}

impl ProgramDraft {
    /// Checks what two options say together.
    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        if self.numprocs > 1 && !self.process_name.contains("%(process_num)") {
            return Err(ConfigError::NoProcessNumber);
        }
        if self.stopasgroup && !self.killasgroup {
            return Err(ConfigError::StopsGroupKillsProcess);
        }
        if self.numprocs > NUMPROCS_MAX {
            let (value, bound) = (self.numprocs, NUMPROCS_MAX);
            return Err(ValueError::AboveBound { value, bound }.into());
        }
        Ok(())
    }
}

/// The options that are the same for all processes of a program. `killasgroup`
/// stands below `stopasgroup`, whose value is its default.
pub const PROGRAM_OPTIONS: &[OptionEntry<ProgramDraft>] = &[
    OptionEntry {
        name: "priority",
        fallback: Fallback::Text("999"),
        expansion: Expansion::Once,
        apply: |draft, _, text| set(&mut draft.priority, value::integer(text)?),
        help: "Lower starts first and stops last.",
    },
    OptionEntry {
        name: "autostart",
        fallback: Fallback::Text("true"),
        expansion: Expansion::Once,
        apply: |draft, _, text| set(&mut draft.autostart, value::boolean(text)?),
        help: "Start the program with the supervisor.",
    },
    OptionEntry {
        name: "autorestart",
        fallback: Fallback::Text("unexpected"),
        expansion: Expansion::Once,
        apply: |draft, _, text| set(&mut draft.restart_on, value::restart_on(text)?),
        help: "Start the program again when it exits: true, false, or `unexpected` for exit codes \
               that are not in exitcodes.",
    },
    OptionEntry {
        name: "startsecs",
        fallback: Fallback::Text("1"),
        expansion: Expansion::Once,
        apply: |draft, _, text| set(&mut draft.startsecs, value::integer(text)?),
        help: "Seconds that the program must stay up to count as started.",
    },
    OptionEntry {
        name: "startretries",
        fallback: Fallback::Text("3"),
        expansion: Expansion::Once,
        apply: |draft, _, text| set(&mut draft.startretries, value::integer(text)?),
        help: "How many failed starts in a row are followed by another before the state is FATAL.",
    },
    OptionEntry {
        name: "stopsignal",
        fallback: Fallback::Text("TERM"),
        expansion: Expansion::Once,
        apply: |draft, _, text| set(&mut draft.stopsignal, value::signal(text)?),
        help: "Signal that asks the program to stop, by name or number.",
    },
    OptionEntry {
        name: "stopwaitsecs",
        fallback: Fallback::Text("10"),
        expansion: Expansion::Once,
        apply: |draft, _, text| set(&mut draft.stopwaitsecs, value::integer(text)?),
        help: "Seconds to wait for the program to stop before it is killed.",
    },
    OptionEntry {
        name: "stopasgroup",
        fallback: Fallback::Text("false"),
        expansion: Expansion::Once,
        apply: |draft, _, text| {
            draft.stopasgroup = value::boolean(text)?;
            draft.killasgroup = draft.stopasgroup;
            Ok(())
        },
        help: "Send the stop signal to the whole process group.",
    },
    OptionEntry {
        name: "killasgroup",
        fallback: Fallback::Missing("value of stopasgroup", |_, _| Ok(())),
        expansion: Expansion::Once,
        apply: |draft, _, text| set(&mut draft.killasgroup, value::boolean(text)?),
        help: "Send SIGKILL to the whole process group.",
    },
    OptionEntry {
        name: "exitcodes",
        fallback: Fallback::Text("0"),
        expansion: Expansion::Once,
        apply: |draft, _, text| set(&mut draft.exitcodes, value::exit_codes(text)?),
        help: "Exit codes that are expected, between commas.",
    },
    OptionEntry {
        name: "redirect_stderr",
        fallback: Fallback::Text("false"),
        expansion: Expansion::Once,
        apply: |draft, _, text| set(&mut draft.redirect_stderr, value::boolean(text)?),
        help: "Send standard error where standard output goes.",
    },
    OptionEntry {
        name: "numprocs",
        fallback: Fallback::Text("1"),
        expansion: Expansion::Once,
        apply: |draft, _, text| set(&mut draft.numprocs, value::integer(text)?),
        help: "How many processes of the program to run; process_name must then number them.",
    },
    OptionEntry {
        name: "numprocs_start",
        fallback: Fallback::Text("0"),
        expansion: Expansion::Once,
        apply: |draft, _, text| set(&mut draft.numprocs_start, value::integer(text)?),
        help: "Number of the first process.",
    },
    OptionEntry {
        name: "stdout_capture_maxbytes",
        fallback: Fallback::Text("0"),
        expansion: Expansion::Once,
        apply: |draft, _, text| set(&mut draft.stdout.capture_bytes_max, value::byte_size(text)?),
        help: "Most bytes of a message that is captured from standard output; 0 captures none.",
    },
    OptionEntry {
        name: "stdout_events_enabled",
        fallback: Fallback::Text("false"),
        expansion: Expansion::Once,
        apply: |draft, _, text| set(&mut draft.stdout.events, value::boolean(text)?),
        help: "Tell event listeners what is written to standard output.",
    },
    OptionEntry {
        name: "stderr_capture_maxbytes",
        fallback: Fallback::Text("0"),
        expansion: Expansion::Once,
        apply: |draft, _, text| set(&mut draft.stderr.capture_bytes_max, value::byte_size(text)?),
        help: "Most bytes of a message that is captured from standard error; 0 captures none.",
    },
    OptionEntry {
        name: "stderr_events_enabled",
        fallback: Fallback::Text("false"),
        expansion: Expansion::Once,
        apply: |draft, _, text| set(&mut draft.stderr.events, value::boolean(text)?),
        help: "Tell event listeners what is written to standard error.",
    },
    OptionEntry {
        name: "serverurl",
        fallback: Fallback::Missing("AUTO", |_, _| Ok(())),
        expansion: Expansion::Once,
        apply: |draft, _, text| {
            let automatic = trim(text).to_uppercase() == "AUTO";
            set(&mut draft.serverurl, (!automatic).then(|| text.to_owned()))
        },
        help: "URL of the supervisor that the program is told; AUTO is that of a server section.",
    },
    OptionEntry {
        name: "user",
        fallback: Fallback::Nothing,
        expansion: Expansion::Once,
        apply: |draft, reading, text| {
            let account = value::account(reading.host, text)?;
            let (uid, gid, groups) = (account.uid, account.gid, account.groups);
            set(&mut draft.user, Some(User { uid, gid, groups }))
        },
        help: "User that the program runs as, by name or number.",
    },
    OptionEntry {
        name: "umask",
        fallback: Fallback::Nothing,
        expansion: Expansion::Once,
        apply: |draft, _, text| set(&mut draft.umask, Some(value::octal(text)?)),
        help: "File mode mask of the program, in octal.",
    },
    OptionEntry {
        name: "strip_ansi",
        fallback: Fallback::Nothing,
        expansion: Expansion::Once,
        apply: |draft, _, text| set(&mut draft.strip_ansi, Some(value::boolean(text)?)),
        help: "Take terminal escape sequences out of the program's logs; Bardo's own, the \
               default is what [supervisord] says.",
    },
    OptionEntry {
        name: "ignore_sigpipe",
        fallback: Fallback::Text("false"),
        expansion: Expansion::Once,
        apply: |draft, _, text| set(&mut draft.ignore_sigpipe, value::boolean(text)?),
        help: "Begin with SIGPIPE and SIGXFSZ ignored, as programs do under Supervisor; Bardo's \
               own.",
    },
    OptionEntry {
        name: "process_name",
        fallback: Fallback::Text("%(program_name)s"),
        expansion: Expansion::Later,
        apply: |draft, _, text| set(&mut draft.process_name, value::name(text)?.to_owned()),
        help: "Name of each process.",
    },
];
