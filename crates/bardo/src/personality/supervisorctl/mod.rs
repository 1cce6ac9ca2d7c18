//! `supervisorctl`: asks a supervisor and steers it.
//!
//! The words behind the options are one command line, as in Supervisor; without
//! any, lines are read from standard input. Everything is said on standard output,
//! errors too, because scripts read it there; only a command line that makes no
//! sense is told on standard error.

pub(crate) mod colour;
mod completion;
mod configuration;
mod control;
mod history;
mod input;
mod logs;
mod plugins;
mod pretty;
mod processes;
mod report;
mod server;
mod shell;
mod table;

use std::ffi::OsString;
use std::io::{BufWriter, IsTerminal as _};
use std::process::ExitCode;

use bardo_config::control::{self as settings, ControlSettings};

use super::DescribedFlag;
use super::getopt::{self, Flag, Given};
use crate::client::Client;
use crate::host::Machine;
use crate::output::say;
use crate::tool_path;

use self::colour::Colour;
use self::control::{Control, Manner, Next, Questions};
use self::report::Format;

/// Exit code of a command line that makes no sense.
const USAGE: u8 = 2;

/// Exit code of a machine that cannot even start a client.
const BROKEN: u8 = 1;

/// Exit code after Ctrl-C: what a shell says of a program that the signal ended.
const INTERRUPTED: u8 = 130;

/// One option of the command line.
struct ToolFlag {
    short: char,
    long: &'static [&'static str],
    argument: Option<&'static str>,
    /// The option of `[supervisorctl]` that it overrides.
    option: Option<&'static str>,
    help: &'static str,
}

/// The only list of options: parser and help read it. Supervisor's help speaks of
/// `--history-file` and its parser knows `--history_file`; both are taken here.
const FLAGS: &[ToolFlag] = &[
    ToolFlag {
        short: 'c',
        long: &["configuration"],
        argument: Some("FILE"),
        option: None,
        help: "the configuration file; searched for otherwise",
    },
    ToolFlag {
        short: 'h',
        long: &["help"],
        argument: None,
        option: None,
        help: "print this text and exit",
    },
    ToolFlag {
        short: 'i',
        long: &["interactive"],
        argument: None,
        option: None,
        help: "start an interactive shell after the command, and ask before \
               anything grave",
    },
    ToolFlag {
        short: 's',
        long: &["serverurl"],
        argument: Some("URL"),
        option: Some("serverurl"),
        help: "where the supervisor listens, http://host:port or unix:///path",
    },
    ToolFlag {
        short: 'u',
        long: &["username"],
        argument: Some("NAME"),
        option: Some("username"),
        help: "the user to call as",
    },
    ToolFlag {
        short: 'p',
        long: &["password"],
        argument: Some("PASSWORD"),
        option: Some("password"),
        help: "the user's password",
    },
    ToolFlag {
        short: 'r',
        long: &["history_file", "history-file"],
        argument: Some("FILE"),
        option: Some("history_file"),
        help: "where typed lines are kept",
    },
    ToolFlag {
        short: 'o',
        long: &["output"],
        argument: Some("FORMAT"),
        option: None,
        help: "how commands answer: text (for people) or json (for programs)",
    },
];

/// What a command line asks for.
enum Wish {
    Help,
    Run(Box<Errand>),
}

/// What the tool is to do.
struct Errand {
    settings: ControlSettings,
    /// Whether `-i` was given.
    interactive: bool,
    format: Format,
    words: Vec<String>,
}

/// The flags, for manuals and completions.
pub fn flags() -> impl Iterator<Item = DescribedFlag> {
    FLAGS.iter().map(|flag| DescribedFlag {
        short: Some(flag.short),
        long: flag.long[0],
        argument: flag.argument,
        help: flag.help,
    })
}

/// A command, as manuals and completions show it.
#[derive(Debug, Clone)]
pub struct DescribedCommand {
    /// Its name.
    pub name: &'static str,
    /// What it is for, in one line.
    pub about: &'static str,
    /// What a manual says of it beyond that.
    pub detail: &'static str,
    /// The ways to write it.
    pub forms: Vec<&'static str>,
    /// Whether the names of processes may stand behind it.
    pub takes_processes: bool,
    /// Whether the names of groups may stand behind it.
    pub takes_groups: bool,
}

/// The commands, for manuals and completions.
#[must_use]
pub fn commands() -> Vec<DescribedCommand> {
    let described = |command: &table::Command| DescribedCommand {
        name: command.name,
        about: command.about,
        detail: command.detail,
        forms: command.forms(),
        takes_processes: command.completes == table::Completes::Processes,
        takes_groups: command.completes == table::Completes::Groups,
    };
    table::COMMANDS.iter().map(described).collect()
}

/// Runs the face; `program` is `ARGV0`.
#[must_use]
pub fn main(program: &str, words: &[OsString]) -> ExitCode {
    let errand = match read(program, words) {
        Ok(Wish::Help) => {
            say(&help(program));
            return ExitCode::SUCCESS;
        }
        Ok(Wish::Run(errand)) => errand,
        Err(message) => {
            eprintln!("Error: {message}\nFor help, use {program} -h");
            return ExitCode::from(USAGE);
        }
    };
    match run(&errand) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            eprintln!("Error: cannot start a client: {error}");
            ExitCode::from(BROKEN)
        }
    }
}

/// Runs the command that was given, the shell, or both.
fn run(errand: &Errand) -> std::io::Result<u8> {
    let Errand { settings, words, .. } = errand;
    let is_shell = words.is_empty();
    let has_user = std::io::stdin().is_terminal();
    let questions = match errand.interactive || is_shell {
        false => Questions::Nobody,
        true if has_user => Questions::User,
        true => Questions::Script,
    };
    let (no_color, term) = (std::env::var_os("NO_COLOR"), std::env::var_os("TERM"));
    let is_terminal = std::io::stdout().is_terminal();
    let colour = Colour::suiting(is_terminal, no_color.as_deref(), term.as_deref());
    let (username, password) = (settings.username.clone(), settings.password.clone());
    let mut client = Client::new(&settings.server_url, username, password)?;
    if questions != Questions::Nobody {
        client.watch_interrupts()?;
    }
    let mut output = BufWriter::new(std::io::stdout().lock());
    let manner = Manner { questions, format: errand.format, colour };
    let mut control = Control::new(client, &mut output, manner);
    control.plugins.clone_from(&settings.plugins);
    let shell =
        shell::Manner { prompt: &settings.prompt, history_file: settings.history_file.as_deref() };
    if is_shell {
        shell::run(&mut control, &shell, "status");
        return Ok(0);
    }
    let next = control.run_line(&words.join(" "));
    match next {
        Next::Interrupted => {
            control.say("");
            control.flush();
            Ok(INTERRUPTED)
        }
        // Supervisor's help promises a shell after the command, and there is none. A
        // script that gives -i wants the code of its command and no shell.
        Next::Line if questions == Questions::User => {
            shell::follow(&mut control, &shell);
            Ok(0)
        }
        Next::Line | Next::Leave => Ok(control.exit_code()),
    }
}

fn read(program: &str, words: &[OsString]) -> Result<Wish, String> {
    let mut known: Vec<Flag> = Vec::new();
    for flag in FLAGS {
        let takes_argument = flag.argument.is_some();
        for (place, long) in flag.long.iter().enumerate() {
            // A second spelling must not make the beginning of the first ambiguous.
            if place > 0 && !words.iter().any(|word| is_written(word, long)) {
                continue;
            }
            let short = (place == 0).then_some(flag.short);
            known.push(Flag { short, long: Some(long), takes_argument });
        }
    }
    known.push(Flag { short: Some('?'), long: None, takes_argument: false });
    let (given, words) = getopt::parse(&known, words).map_err(|error| error.to_string())?;
    let mut seen: Vec<char> = Vec::new();
    let (mut file, mut interactive, mut format) = (None, false, Format::Text);
    let mut overrides = Vec::new();
    for Given { name, argument } in given {
        let Some(flag) = find(&name) else { return Ok(Wish::Help) };
        if flag.short == 'h' {
            return Ok(Wish::Help);
        }
        settings::check_flag(&name, &argument).map_err(|error| error.to_string())?;
        if seen.contains(&flag.short) {
            return Err(format!("conflicting command line option '{name}'"));
        }
        seen.push(flag.short);
        match (flag.short, flag.option) {
            ('c', _) => file = Some(argument),
            ('o', _) => {
                format = Format::parse(&argument)
                    .map_err(|why| format!("invalid value for {name} '{argument}': {why}"))?;
            }
            (_, Some(option)) => overrides.push((option.to_owned(), argument)),
            _ => interactive = true,
        }
    }
    let file = file.or_else(|| bardo_config::find(&Machine, &tool_path::of_this_tool(program)));
    let settings =
        settings::load(&Machine, file.as_deref(), &overrides).map_err(|error| error.to_string())?;
    Ok(Wish::Run(Box::new(Errand { settings, interactive, format, words })))
}

/// Whether a word is this long option, with or without its argument.
fn is_written(word: &OsString, long: &str) -> bool {
    let word = word.to_string_lossy();
    word.split('=').next().and_then(|name| name.strip_prefix("--")) == Some(long)
}

/// The option that was written so; `-?` is none of the list, and asks for help.
fn find(name: &str) -> Option<&'static ToolFlag> {
    FLAGS.iter().find(|flag| match name.strip_prefix("--") {
        Some(long) => flag.long.contains(&long),
        None => name.strip_prefix('-') == Some(flag.short.encode_utf8(&mut [0; 4])),
    })
}

fn help(program: &str) -> String {
    let mut text = format!(
        "supervisorctl -- control applications that a supervisor runs\n\nUsage: {program} [options] \
         [command [arguments]]\n\nOptions:\n"
    );
    for flag in FLAGS {
        let argument = flag.argument.map(|name| format!(" {name}")).unwrap_or_default();
        text.push_str(&format!("-{}/--{}{argument} -- {}\n", flag.short, flag.long[0], flag.help));
    }
    text.push_str(
        "\nWithout a command, commands are read from standard input, after `status`.\nThe command \
         `help` lists all commands, `help COMMAND` tells what one does.\n",
    );
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(words: &[&str]) -> String {
        let words: Vec<OsString> = words.iter().map(Into::into).collect();
        match read("ctl", &words) {
            Err(message) => message,
            Ok(_) => panic!("{words:?} is not refused"),
        }
    }

    fn errand(words: &[OsString]) -> Errand {
        match read("ctl", words) {
            Ok(Wish::Run(errand)) => *errand,
            _ => panic!("{words:?} is refused"),
        }
    }

    #[test]
    fn the_history_file_is_named_in_any_spelling() {
        for word in ["-r", "--history_file", "--history-file", "--hist"] {
            let words = ["-s", "http://a:1", word, "/tmp/h", "status"].map(OsString::from);
            assert_eq!(errand(&words).settings.history_file.as_deref(), Some("/tmp/h"), "{word}");
        }
        let words = ["--history-file=/tmp/h".into()];
        assert_eq!(errand(&words).settings.history_file.as_deref(), Some("/tmp/h"));
    }

    #[test]
    fn what_makes_no_sense_is_told_as_supervisor_tells_it() {
        assert_eq!(refusal(&["--frob"]), "option --frob not recognized");
        assert_eq!(refusal(&["-c"]), "option -c requires argument");
        assert_eq!(refusal(&["-i", "-i"]), "conflicting command line option '-i'");
        assert_eq!(
            refusal(&["-s", "nonsense", "status"]),
            "invalid value for -s 'nonsense': value 'nonsense' is not a URL"
        );
        assert_eq!(
            refusal(&["-c", "/no/such.conf", "status"]),
            "could not find config file /no/such.conf"
        );
        assert_eq!(
            refusal(&["-o", "xml", "status"]),
            "invalid value for -o 'xml': value 'xml' is none of: text, json"
        );
    }

    #[test]
    fn help_is_asked_for_in_three_ways() {
        for word in ["-h", "-?", "--help", "--hel"] {
            assert!(matches!(read("ctl", &[word.into()]), Ok(Wish::Help)), "{word}");
        }
        let text = help("ctl");
        for flag in FLAGS {
            assert!(text.contains(&format!("-{}/--{}", flag.short, flag.long[0])));
        }
    }

    #[test]
    fn the_command_line_overrides_the_file() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "[supervisorctl]\nserverurl=http://a:1\n").unwrap();
        let words = [
            "-c".into(),
            file.path().into(),
            "-s".into(),
            "unix:///b".into(),
            "start".into(),
            "-x".into(),
        ];

        let errand = errand(&words);

        assert_eq!(errand.settings.server_url, "unix:///b");
        assert!(!errand.interactive);
        assert_eq!(errand.words, ["start", "-x"]);
    }
}
