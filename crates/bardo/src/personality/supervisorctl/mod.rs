//! `supervisorctl`: asks a supervisor and steers it.
//!
//! The words behind the options are one command line, as in Supervisor; without
//! any, lines are read from standard input. Everything is said on standard output,
//! errors too, because scripts read it there; only a command line that makes no
//! sense is told on standard error.

mod configuration;
mod control;
mod logs;
mod processes;
mod server;
mod shell;
mod table;

use std::ffi::OsString;
use std::io::Write as _;
use std::process::ExitCode;

use bardo_config::control::{self as settings, ControlSettings};

use super::getopt::{self, Flag, Given};
use crate::client::Client;
use crate::host::Machine;

use self::control::Control;

/// Exit code of a command line that makes no sense.
const USAGE: u8 = 2;

/// Exit code of a machine that cannot even start a client.
const BROKEN: u8 = 1;

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
        help: "ask before a supervisor is shut down or restarted",
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
];

/// What a command line asks for.
enum Wish {
    Help,
    Run { settings: ControlSettings, interactive: bool, words: Vec<String> },
}

/// Runs the face; `program` is `ARGV0`.
#[must_use]
pub fn main(program: &str, words: &[OsString]) -> ExitCode {
    let (settings, interactive, words) = match read(program, words) {
        Ok(Wish::Help) => {
            print!("{}", help(program));
            return ExitCode::SUCCESS;
        }
        Ok(Wish::Run { settings, interactive, words }) => (settings, interactive, words),
        Err(message) => {
            eprintln!("Error: {message}\nFor help, use {program} -h");
            return ExitCode::from(USAGE);
        }
    };
    let client = Client::new(&settings.server_url, settings.username, settings.password);
    let client = match client {
        Ok(client) => client,
        Err(error) => {
            eprintln!("Error: cannot start a client: {error}");
            return ExitCode::from(BROKEN);
        }
    };
    let mut output = std::io::stdout().lock();
    let mut control = Control::new(client, &mut output, interactive || words.is_empty());
    let code = if words.is_empty() {
        shell::run(&mut control, &settings.prompt);
        0
    } else {
        control.run_line(&words.join(" "));
        control.exit_code()
    };
    let _ = output.flush();
    ExitCode::from(code)
}

fn read(program: &str, words: &[OsString]) -> Result<Wish, String> {
    let mut known: Vec<Flag> = Vec::new();
    for flag in FLAGS {
        let takes_argument = flag.argument.is_some();
        for (place, long) in flag.long.iter().enumerate() {
            let short = (place == 0).then_some(flag.short);
            known.push(Flag { short, long: Some(long), takes_argument });
        }
    }
    known.push(Flag { short: Some('?'), long: None, takes_argument: false });
    let (given, words) = getopt::parse(&known, words).map_err(|error| error.to_string())?;
    let mut seen: Vec<char> = Vec::new();
    let (mut file, mut interactive) = (None, false);
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
            (_, Some(option)) => overrides.push((option.to_owned(), argument)),
            _ => interactive = true,
        }
    }
    let file = file.or_else(|| bardo_config::find(&Machine, program));
    let settings =
        settings::load(&Machine, file.as_deref(), &overrides).map_err(|error| error.to_string())?;
    Ok(Wish::Run { settings, interactive, words })
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
        "supervisorctl asks a supervisor and steers it.\n\nUsage: {program} [options] [command \
         [arguments]]\n\nOptions:\n"
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

        let Ok(Wish::Run { settings, interactive, words }) = read("ctl", &words) else {
            panic!("a good command line is refused");
        };

        assert_eq!(settings.server_url, "unix:///b");
        assert!(!interactive);
        assert_eq!(words, ["start", "-x"]);
    }
}
