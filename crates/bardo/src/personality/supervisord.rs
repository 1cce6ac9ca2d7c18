//! `supervisord`: its command line, and what it says when it cannot start.

use std::ffi::OsString;
use std::process::ExitCode;

use bardo_config::{Loaded, Request};

use super::DescribedFlag;
use super::getopt::{self, Flag, Given};
use crate::daemon::boot::{self, BootError};
use crate::host::Machine;
use crate::output::say;
use crate::tool_path;

/// What `-v` prints: the Supervisor that this is one of. Tools compare it.
pub const SUPERVISOR_VERSION: &str = "4.3.0";

/// Exit code of everything that the user can mend.
const USAGE: u8 = 2;

/// One flag of the command line.
struct ServerFlag {
    short: Option<char>,
    long: &'static str,
    /// What stands for its argument in the help; `None` where it takes none.
    argument: Option<&'static str>,
    /// The option of `[supervisord]` that it overrides.
    option: Option<&'static str>,
    help: &'static str,
}

const fn flag(
    short: char,
    long: &'static str,
    argument: Option<&'static str>,
    option: Option<&'static str>,
    help: &'static str,
) -> ServerFlag {
    ServerFlag { short: Some(short), long, argument, option, help }
}

/// The only list of flags: parser and help read it.
const FLAGS: &[ServerFlag] = &[
    flag(
        'c',
        "configuration",
        Some("FILE"),
        None,
        "the configuration file; searched for otherwise",
    ),
    flag('n', "nodaemon", None, Some("nodaemon"), "stay in the foreground (same as nodaemon=true)"),
    flag('s', "silent", None, Some("silent"), "do not copy the log to standard output"),
    flag('h', "help", None, None, "print this text and exit"),
    flag('v', "version", None, None, "print the version and exit"),
    flag('u', "user", Some("USER"), Some("user"), "run as this user (name or number)"),
    flag(
        'm',
        "umask",
        Some("UMASK"),
        Some("umask"),
        "file mode mask in the background (default 022)",
    ),
    flag(
        'd',
        "directory",
        Some("DIRECTORY"),
        Some("directory"),
        "change to this directory in the background",
    ),
    flag('l', "logfile", Some("FILENAME"), Some("logfile"), "use FILENAME as the main log"),
    flag(
        'y',
        "logfile_maxbytes",
        Some("BYTES"),
        Some("logfile_maxbytes"),
        "size at which the main log is rotated",
    ),
    flag(
        'z',
        "logfile_backups",
        Some("NUM"),
        Some("logfile_backups"),
        "how many rotated main logs are kept",
    ),
    flag(
        'e',
        "loglevel",
        Some("LEVEL"),
        Some("loglevel"),
        "how much is logged: critical, error, warn, info, debug, trace or blather",
    ),
    flag(
        'j',
        "pidfile",
        Some("FILENAME"),
        Some("pidfile"),
        "the file that holds the process number",
    ),
    flag('i', "identifier", Some("STR"), Some("identifier"), "the name of this instance"),
    flag(
        'q',
        "childlogdir",
        Some("DIRECTORY"),
        Some("childlogdir"),
        "where automatic logs of programs are put",
    ),
    flag('k', "nocleanup", None, Some("nocleanup"), "keep automatic logs of former runs"),
    flag('a', "minfds", Some("NUM"), Some("minfds"), "least number of descriptors to start with"),
    flag(
        't',
        "strip_ansi",
        None,
        Some("strip_ansi"),
        "take terminal escape sequences out of programs' logs",
    ),
    ServerFlag {
        short: None,
        long: "minprocs",
        argument: Some("NUM"),
        option: Some("minprocs"),
        help: "least number of processes to start with",
    },
    ServerFlag {
        short: None,
        long: "profile_options",
        argument: Some("LIST"),
        option: None,
        help: "accepted and ignored: it steers Python's profiler",
    },
];

/// The flags, for manuals and completions.
pub fn flags() -> impl Iterator<Item = DescribedFlag> {
    FLAGS.iter().map(|flag| DescribedFlag {
        short: flag.short,
        long: flag.long,
        argument: flag.argument,
        help: flag.help,
    })
}

/// Runs the face; `program` is `ARGV0`.
#[must_use]
pub fn main(program: &str, words: &[OsString]) -> ExitCode {
    boot::hold_back_what_is_dropped();
    match read(program, words) {
        Ok(Wish::Say(text)) => {
            say(&text);
            ExitCode::SUCCESS
        }
        Ok(Wish::Start(request, loaded)) => start(program, request, *loaded),
        Err(message) => usage(program, &message),
    }
}

/// What a command line asks for.
enum Wish {
    Say(String),
    Start(Request, Box<Loaded>),
}

fn read(program: &str, words: &[OsString]) -> Result<Wish, String> {
    let mut known: Vec<Flag> = FLAGS
        .iter()
        .map(|flag| Flag {
            short: flag.short,
            long: Some(flag.long),
            takes_argument: flag.argument.is_some(),
        })
        .collect();
    known.push(Flag { short: Some('?'), long: None, takes_argument: false });
    let (given, rest) = getopt::parse(&known, words).map_err(|error| error.to_string())?;
    let mut file = None;
    let mut seen: Vec<&str> = Vec::new();
    let mut overrides = Vec::new();
    for Given { name, argument } in &given {
        let Some(flag) = find(name) else { return Ok(Wish::Say(help(program))) };
        match flag.long {
            "help" => return Ok(Wish::Say(help(program))),
            "version" => return Ok(Wish::Say(format!("{SUPERVISOR_VERSION}\n"))),
            _ => {}
        }
        if seen.contains(&flag.long) {
            return Err(format!("conflicting command line option '{name}'"));
        }
        seen.push(flag.long);
        if let Some(option) = flag.option {
            let text = if flag.argument.is_some() { argument.as_str() } else { "true" };
            if flag.argument.is_some() {
                bardo_config::check_flag(&Machine, name, text)
                    .map_err(|error| error.to_string())?;
            }
            overrides.push((option.to_owned(), text.to_owned()));
        } else if flag.long == "configuration" {
            file = Some(argument.clone());
        }
    }
    if !rest.is_empty() {
        let words: Vec<String> = rest.iter().map(|word| crate::words::quoted(word)).collect();
        return Err(format!("positional arguments are not supported: [{}]", words.join(", ")));
    }
    let file = match file {
        Some(file) => file,
        None => search(program)?,
    };
    let request = Request { file, overrides };
    let loaded = bardo_config::load(&Machine, &request).map_err(|error| error.to_string())?;
    Ok(Wish::Start(request, Box::new(loaded)))
}

fn find(name: &str) -> Option<&'static ServerFlag> {
    match name.strip_prefix("--") {
        Some(long) => FLAGS.iter().find(|flag| flag.long == long),
        None => FLAGS.iter().find(|flag| flag.short == name.chars().nth(1)),
    }
}

fn search(program: &str) -> Result<String, String> {
    if rustix::process::getuid().is_root() {
        eprintln!("{}", bardo_config::ROOT_SEARCH_WARNING);
    }
    let place = tool_path::of_this_tool(program);
    bardo_config::find(&Machine, &place).ok_or_else(|| {
        bardo_config::ConfigError::NotFound(bardo_config::candidates(&place)).to_string()
    })
}

fn start(program: &str, request: Request, loaded: Loaded) -> ExitCode {
    match boot::boot(boot::Start {
        program,
        request,
        loaded,
        ends_at_restart: false,
        service: None,
    }) {
        Ok(()) => ExitCode::SUCCESS,
        Err(BootError::Refused(message)) => usage(program, &message),
        Err(error @ BootError::Broken { .. }) => {
            eprintln!("Error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Every usage error of Supervisor's tools: two lines, exit code 2.
fn usage(program: &str, message: &str) -> ExitCode {
    eprintln!("Error: {message}\nFor help, use {program} -h");
    ExitCode::from(USAGE)
}

fn help(program: &str) -> String {
    let mut text = format!(
        "{program} -- run a set of applications, and keep them running\n\nUsage: {program} \
         [options]\n\nOptions:\n"
    );
    for flag in FLAGS {
        let argument = flag.argument.map(|name| format!(" {name}")).unwrap_or_default();
        let short = flag.short.map(|letter| format!("-{letter}/")).unwrap_or_default();
        // The shape of each line is Supervisor's: its own tests look for it.
        text.push_str(&format!("{short}--{}{argument} -- {}\n", flag.long, flag.help));
    }
    text
}
