//! `[supervisord]`, and the flags that stand for its options.

use super::{Expansion, Fallback, Flag, Known, OptionEntry, Takes, set};
use crate::value::{self, ExitOn, LogLevel, ValueError};

/// What `[supervisord]` and the command line say.
#[derive(Debug, Default)]
pub struct ServerDraft {
    pub(crate) minfds: i64,
    pub(crate) minprocs: i64,
    pub(crate) directory: Option<String>,
    pub(crate) user: Option<String>,
    pub(crate) umask: u32,
    pub(crate) logfile: String,
    pub(crate) logfile_bytes_max: i64,
    pub(crate) logfile_backups: i64,
    pub(crate) logfile_compress: bool,
    pub(crate) loglevel: LogLevel,
    pub(crate) pidfile: String,
    pub(crate) identifier: String,
    pub(crate) nodaemon: bool,
    pub(crate) silent: bool,
    pub(crate) childlogdir: String,
    pub(crate) nocleanup: bool,
    pub(crate) strip_ansi: bool,
    pub(crate) environment: Vec<(String, String)>,
    pub(crate) hang_timeout: i64,
    pub(crate) keeper_stop_wait: i64,
    pub(crate) require_password: bool,
    pub(crate) exit_on: ExitOn,
}

/// The only list of options of `[supervisord]`.
pub const SERVER_OPTIONS: &[OptionEntry<ServerDraft>] = &[
    OptionEntry {
        name: "minfds",
        fallback: Fallback::Text("1024"),
        expansion: Expansion::Once,
        apply: |draft, _, text| set(&mut draft.minfds, value::integer(text)?),
        help: "Descriptors the supervisor must be allowed to open; the limit is raised if need be.",
    },
    OptionEntry {
        name: "minprocs",
        fallback: Fallback::Text("200"),
        expansion: Expansion::Once,
        apply: |draft, _, text| set(&mut draft.minprocs, value::integer(text)?),
        help: "Processes the user must be allowed to have; the limit is raised if need be.",
    },
    OptionEntry {
        name: "directory",
        fallback: Fallback::Nothing,
        expansion: Expansion::Once,
        apply: |draft, reading, text| {
            set(&mut draft.directory, Some(value::directory(reading.host, text)?))
        },
        help: "Directory to change to when the supervisor goes into the background.",
    },
    OptionEntry {
        name: "user",
        fallback: Fallback::Nothing,
        expansion: Expansion::Once,
        apply: |draft, _, text| set(&mut draft.user, Some(text.to_owned())),
        help: "User to become after the start, by name or number.",
    },
    OptionEntry {
        name: "umask",
        fallback: Fallback::Text("022"),
        expansion: Expansion::Once,
        apply: |draft, _, text| set(&mut draft.umask, value::octal(text)?),
        help: "File mode mask of the supervisor in the background, in octal.",
    },
    OptionEntry {
        name: "logfile",
        fallback: Fallback::Text("supervisord.log"),
        expansion: Expansion::Once,
        apply: |draft, reading, text| {
            set(&mut draft.logfile, value::file_in_directory(reading.host, text)?)
        },
        help: "The main log; `syslog` sends it there.",
    },
    OptionEntry {
        name: "logfile_maxbytes",
        fallback: Fallback::Text("50MB"),
        expansion: Expansion::Once,
        apply: |draft, _, text| set(&mut draft.logfile_bytes_max, value::byte_size(text)?),
        help: "Size at which the main log is rotated; 0 is never.",
    },
    OptionEntry {
        name: "logfile_backups",
        fallback: Fallback::Text("10"),
        expansion: Expansion::Once,
        apply: |draft, _, text| set(&mut draft.logfile_backups, value::integer(text)?),
        help: "How many rotated main logs are kept; 0 empties the log instead.",
    },
    OptionEntry {
        name: "logfile_compress",
        fallback: Fallback::Text("false"),
        expansion: Expansion::Once,
        apply: |draft, _, text| set(&mut draft.logfile_compress, value::boolean(text)?),
        help: "Compress rotated main logs (gzip); Bardo's own.",
    },
    OptionEntry {
        name: "loglevel",
        fallback: Fallback::Text("info"),
        expansion: Expansion::Once,
        apply: |draft, _, text| set(&mut draft.loglevel, value::log_level(text)?),
        help: "How much is logged: critical, error, warn, info, debug, trace or blather.",
    },
    OptionEntry {
        name: "pidfile",
        fallback: Fallback::Text("supervisord.pid"),
        expansion: Expansion::Once,
        apply: |draft, reading, text| {
            set(&mut draft.pidfile, value::file_in_directory(reading.host, text)?)
        },
        help: "File that holds the process number of the supervisor.",
    },
    OptionEntry {
        name: "identifier",
        fallback: Fallback::Text("supervisor"),
        expansion: Expansion::Once,
        apply: |draft, _, text| set(&mut draft.identifier, text.to_owned()),
        help: "Name of this supervisor, shown to clients and part of automatic log names.",
    },
    OptionEntry {
        name: "nodaemon",
        fallback: Fallback::Text("false"),
        expansion: Expansion::Once,
        apply: |draft, _, text| set(&mut draft.nodaemon, value::boolean(text)?),
        help: "Stay in the foreground.",
    },
    OptionEntry {
        name: "silent",
        fallback: Fallback::Text("false"),
        expansion: Expansion::Once,
        apply: |draft, _, text| set(&mut draft.silent, value::boolean(text)?),
        help: "Do not copy the main log to standard output in the foreground.",
    },
    OptionEntry {
        name: "childlogdir",
        fallback: Fallback::Missing("directory for temporary files", |draft, reading| {
            let directory = reading.host.temporary_directory();
            set(&mut draft.childlogdir, value::directory(reading.host, &directory)?)
        }),
        expansion: Expansion::Once,
        apply: |draft, reading, text| {
            set(&mut draft.childlogdir, value::directory(reading.host, text)?)
        },
        help: "Directory of automatic log files.",
    },
    OptionEntry {
        name: "nocleanup",
        fallback: Fallback::Text("false"),
        expansion: Expansion::Once,
        apply: |draft, _, text| set(&mut draft.nocleanup, value::boolean(text)?),
        help: "Keep the automatic log files of former runs.",
    },
    OptionEntry {
        name: "strip_ansi",
        fallback: Fallback::Text("false"),
        expansion: Expansion::Once,
        apply: |draft, _, text| set(&mut draft.strip_ansi, value::boolean(text)?),
        help: "Take terminal escape sequences out of what programs write.",
    },
    OptionEntry {
        name: "environment",
        fallback: Fallback::Text(""),
        expansion: Expansion::OnceWith(Known::Node),
        apply: |draft, _, text| set(&mut draft.environment, value::environment(text)?),
        help: "Variables for every program, as KEY=\"value\" between commas.",
    },
    OptionEntry {
        name: "hang_timeout",
        fallback: Fallback::Text("10"),
        expansion: Expansion::Once,
        apply: |draft, _, text| {
            draft.hang_timeout = value::integer(text)?;
            match draft.hang_timeout {
                1.. => Ok(()),
                seconds => Err(ValueError::HangTimeout(seconds).into()),
            }
        },
        help: "Seconds that the supervisor may leave work untaken before it is restarted. \
               Not an option of Supervisor.",
    },
    OptionEntry {
        name: "keeper_stopwaitsecs",
        fallback: Fallback::Text("10"),
        expansion: Expansion::Once,
        apply: |draft, _, text| {
            draft.keeper_stop_wait = value::integer(text)?;
            match draft.keeper_stop_wait {
                0.. => Ok(()),
                seconds => Err(ValueError::KeeperStopWait(seconds).into()),
            }
        },
        help: "Seconds that programs have to end before they are killed, when all is to end and \
               no supervisor can be started that would stop them in order. \
               Not an option of Supervisor.",
    },
    OptionEntry {
        name: "require_password",
        fallback: Fallback::Text("false"),
        expansion: Expansion::Once,
        apply: |draft, _, text| set(&mut draft.require_password, value::boolean(text)?),
        help: "Refuse a configuration in which a port has no password. \
               Not an option of Supervisor.",
    },
    OptionEntry {
        name: "stdout_logfile_prefix",
        fallback: Fallback::Text(""),
        expansion: Expansion::Later,
        apply: |_, _, text| value::line_prefix(text).map(drop).map_err(Into::into),
        help: "`stdout_logfile_prefix` of every program that has none of its own; it is expanded \
               there, so that %(program_name)s is the program. Not an option of Supervisor.",
    },
    OptionEntry {
        name: "stderr_logfile_prefix",
        fallback: Fallback::Text(""),
        expansion: Expansion::Later,
        apply: |_, _, text| value::line_prefix(text).map(drop).map_err(Into::into),
        help: "`stderr_logfile_prefix` of every program that has none of its own; it is expanded \
               there, so that %(program_name)s is the program. Not an option of Supervisor.",
    },
    OptionEntry {
        name: "exit_on",
        fallback: Fallback::Text("none"),
        expansion: Expansion::Once,
        apply: |draft, _, text| set(&mut draft.exit_on, value::exit_on(text)),
        help: "With whose end everything ends: `none`; names of programs, between commas or \
               blanks; `any_fatal` for every one that becomes FATAL. When one of them is EXITED or \
               FATAL for good by its own policy (autorestart comes first), all others are stopped \
               in order and the daemon ends with its exit code: 128 and the number for a signal, \
               70 where there is none. A program's 1 is passed on as well. One that a client stops \
               ends nothing. Not an option of Supervisor.",
    },
];

/// The flags of `supervisord` that stand for an option.
pub const SERVER_FLAGS: &[Flag] = &[
    Flag { option: "nodaemon", short: Some('n'), takes: Takes::Nothing },
    Flag { option: "silent", short: Some('s'), takes: Takes::Nothing },
    Flag { option: "user", short: Some('u'), takes: Takes::Value },
    Flag { option: "umask", short: Some('m'), takes: Takes::Value },
    Flag { option: "directory", short: Some('d'), takes: Takes::Value },
    Flag { option: "logfile", short: Some('l'), takes: Takes::Value },
    Flag { option: "logfile_maxbytes", short: Some('y'), takes: Takes::Value },
    Flag { option: "logfile_backups", short: Some('z'), takes: Takes::Value },
    Flag { option: "loglevel", short: Some('e'), takes: Takes::Value },
    Flag { option: "pidfile", short: Some('j'), takes: Takes::Value },
    Flag { option: "identifier", short: Some('i'), takes: Takes::Value },
    Flag { option: "childlogdir", short: Some('q'), takes: Takes::Value },
    Flag { option: "nocleanup", short: Some('k'), takes: Takes::Nothing },
    Flag { option: "minfds", short: Some('a'), takes: Takes::Value },
    Flag { option: "strip_ansi", short: Some('t'), takes: Takes::Nothing },
    Flag { option: "minprocs", short: None, takes: Takes::Value },
];
