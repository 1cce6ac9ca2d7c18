//! Bardo's own command line.
//!
//! The faces of other tools stand in the list too, so that help and completion know them,
//! but their command lines have grammars that others have fixed: they are recognized
//! before anything is parsed by this one, and pay nothing for it.

use clap::builder::{PossibleValuesParser, ValueParser};
use clap::{Arg, ArgAction, Command, ValueHint, value_parser};

use super::shells::Shell;
use super::{DescribedFlag, supervisorctl, supervisord};

const AFTER: &str = "Called by the name of supervisord, supervisorctl, pidproxy or \
    echo_supervisord_conf, as a link gives it, bardo is that tool.";

/// The whole command line.
#[must_use]
pub fn command() -> Command {
    let own = |name: &'static str, about: &'static str| Command::new(name).about(about);
    Command::new("bardo")
        .about("Keeps programs running, and may itself die at any moment.")
        .version(env!("CARGO_PKG_VERSION"))
        .after_help(AFTER)
        .disable_help_subcommand(true)
        .arg_required_else_help(true)
        .subcommand_required(true)
        .subcommand(
            own("demo", "See it work; needs no file and no root")
                .long_about(
                    "Shows three programs that are kept running while they, and the supervisor \
                     itself, are killed. Needs no file and no root; writes below one temporary \
                     folder, which it names and removes at its end: Ctrl-C, or when the seconds \
                     are over.",
                )
                .arg(number("for", "SECONDS").help("End after so many seconds")),
        )
        .subcommand(check())
        .subcommand(doctor())
        .subcommand(daemon("supervisord"))
        .subcommand(control("supervisorctl"))
        .subcommand(
            own("pidproxy", "Run a command, and pass signals on to the process in a file")
                .arg(path("pidfile", ValueHint::FilePath).required(true))
                .arg(path("command", ValueHint::CommandName).required(true))
                .arg(path("arguments", ValueHint::FilePath).num_args(0..)),
        )
        .subcommand(own("echo_supervisord_conf", "Print a configuration to begin with"))
        .subcommand(selftest())
        .subcommand(
            own("completions", "Print what makes a shell complete the words of all tools").arg(
                Arg::new("shell")
                    .required(true)
                    .value_parser(PossibleValuesParser::new(Shell::ALL.map(Shell::name))),
            ),
        )
        .subcommand(
            own("manual", "Write manual pages and completions into a folder like /usr/local/share")
                .arg(path("folder", ValueHint::DirPath).required(true)),
        )
        .subcommand(own("version", "Print the version"))
        .subcommand(own("help", "Print this text"))
}

/// The daemon's command line, for help and completion.
#[must_use]
pub fn daemon(name: &'static str) -> Command {
    face(name, "Keep the programs of a configuration running", supervisord::flags())
}

/// The control tool's command line, for help and completion.
#[must_use]
pub fn control(name: &'static str) -> Command {
    let tool = face(name, "Ask a supervisor and steer it", supervisorctl::flags());
    let names = supervisorctl::commands().into_iter().map(|command| command.name);
    tool.arg(Arg::new("command").value_parser(PossibleValuesParser::new(names)))
        .arg(path("arguments", ValueHint::Other).num_args(0..))
}

fn face(
    name: &'static str,
    about: &'static str,
    flags: impl Iterator<Item = DescribedFlag>,
) -> Command {
    let tool = Command::new(name).about(about).disable_help_flag(true).disable_version_flag(true);
    tool.args(flags.map(|flag| {
        let arg = Arg::new(flag.long).long(flag.long).help(flag.help);
        let arg = match flag.short {
            Some(short) => arg.short(short),
            None => arg,
        };
        match flag.argument {
            Some(argument) => arg.value_name(argument).value_hint(match argument {
                "FILE" | "FILENAME" => ValueHint::FilePath,
                "DIRECTORY" => ValueHint::DirPath,
                "USER" | "NAME" => ValueHint::Username,
                "URL" => ValueHint::Url,
                _ => ValueHint::Other,
            }),
            None => arg.action(ArgAction::SetTrue),
        }
    }))
}

fn check() -> Command {
    Command::new("check")
        .about("Say what in a configuration deserves attention, with file and line")
        .long_about(
            "Reads a Supervisor configuration and says what would be refused, what is ignored \
             and what hardly means what it says, with file and line and what to do. Without a \
             file it reads the one that supervisord would find. It ends with 0 when there is \
             nothing to say, or remarks only; with 1 when something deserves attention; with 2 \
             when the file would be refused.",
        )
        .arg(Arg::new("file").value_hint(ValueHint::FilePath))
        .arg(
            Arg::new("json")
                .long("json")
                .action(ArgAction::SetTrue)
                .help("One JSON document instead of text"),
        )
}

fn doctor() -> Command {
    Command::new("doctor")
        .about("Say what this machine offers and refuses, and what is wrong now")
        .long_about(
            "Tries what Bardo needs of the kernel and of the container around it, and says what \
             follows from what is refused or limited. Then it asks the daemon that supervisorctl \
             would find what is wrong now, and looks at one that does not answer. It ends with 0 \
             when nothing is wrong, also where there is no daemon; with 1 when something is; with \
             2 when the command line or the configuration makes no sense; with 3 where no program \
             could be run.",
        )
        .arg(
            Arg::new("configuration")
                .long("configuration")
                .short('c')
                .value_name("FILE")
                .value_hint(ValueHint::FilePath)
                .help("The configuration of the daemon; searched for otherwise"),
        )
        .arg(
            Arg::new("socket")
                .long("socket")
                .value_name("PATH")
                .value_hint(ValueHint::FilePath)
                .conflicts_with("configuration")
                .help("The socket file of the daemon, in place of a configuration"),
        )
        .arg(
            Arg::new("json")
                .long("json")
                .action(ArgAction::SetTrue)
                .help("One JSON document instead of text"),
        )
}

fn selftest() -> Command {
    let keep = || {
        let keep = Arg::new("keep").long("keep").action(ArgAction::SetTrue);
        keep.help("Leave the folder with all logs there")
    };
    Command::new("selftest")
        .about("Try on this machine what is promised; needs no root")
        .arg_required_else_help(true)
        .subcommand_required(true)
        .disable_help_subcommand(true)
        .subcommand(
            Command::new("survival")
                .about("Kill the supervisor again and again, and check that nothing is lost")
                .long_about(
                    "Kills and stops a real supervisor, with real programs, logs, clients and \
                     event listeners, again and again, and checks that nothing is lost: no line, \
                     no exit, no event, no connection, no process. It happens in a private \
                     folder, which is removed.",
                )
                .arg(number("kills", "N").default_value("60").help("How often it is killed"))
                .arg(number("hangs", "N").default_value("6").help(
                    "How often it is stopped: every second time until the keeper replaces it",
                ))
                .arg(
                    number("children", "N")
                        .default_value("0")
                        .help("Programs more, which do nothing"),
                )
                .arg(number("seconds", "S").default_value("60").help("Spread over this time"))
                .arg(Arg::new("soak").long("soak").action(ArgAction::SetTrue).help(
                    "Go on for --minutes, with a kill every three seconds and a stop in each \
                     minute, and compare descriptors and memory at the end with those after one \
                     minute",
                ))
                .arg(number("minutes", "M").default_value("30").help("How long --soak goes on"))
                .arg(number("seed", "X").default_value("1").help("What chance begins with"))
                .arg(
                    number("answer-within", "MS")
                        .default_value("50")
                        .help("What the median time to the first answer may be at most"),
                )
                .arg(keep()),
        )
        .subcommand(
            Command::new("hostile")
                .about("Attack the HTTP server, and check that programs do not notice")
                .long_about(
                    "Attacks the HTTP server of a real supervisor through a port on this machine, \
                     and checks that it stays there, that its memory is bounded, and that \
                     programs are restarted as before.",
                )
                .arg(
                    number("connections", "N")
                        .default_value("10000")
                        .help("Clients of the largest crowds"),
                )
                .arg(number("seconds", "S").default_value("5").help("How long each attack goes on"))
                .arg(
                    number("memory-within", "MIB")
                        .default_value("512")
                        .help("What the supervisor's memory must stay below"),
                )
                .arg(
                    number("restart-within", "MS")
                        .default_value("50")
                        .help("What the median time to a restart must stay below"),
                )
                .arg(
                    number("starts-percent", "P")
                        .default_value("50")
                        .help("Starts in a time that there must be, of those without an attack"),
                )
                .arg(keep()),
        )
        .subcommand(
            Command::new("events")
                .about("Have much to tell, and check that event listeners hear it")
                .long_about(
                    "Runs twenty programs that write a thousand lines a second each, one event \
                     listener that answers at once and one that hangs, and checks that the first \
                     one hears every line, that memory is bounded, and that the API answers.",
                )
                .arg(number("seconds", "S").default_value("60").help("How long programs write"))
                .arg(
                    number("memory-within", "MIB")
                        .default_value("128")
                        .help("What the memory of keeper and supervisor must stay below"),
                )
                .arg(
                    number("answer-within", "MS")
                        .default_value("5")
                        .help("What the median time to an answer of the API must stay below"),
                )
                .arg(keep()),
        )
}

fn number(name: &'static str, value: &'static str) -> Arg {
    Arg::new(name).long(name).value_name(value).value_parser(value_parser!(u64))
}

fn path(name: &'static str, hint: ValueHint) -> Arg {
    Arg::new(name).value_parser(ValueParser::path_buf()).value_hint(hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_well_made() {
        command().debug_assert();
    }

    #[test]
    fn what_is_none_is_told_with_exit_code_two() {
        for (words, said) in [
            (&["bardo", "selftset"][..], "'selftest'"),
            (&["bardo", "selftest", "survival", "--kills", "many"], "invalid value 'many'"),
            (&["bardo", "completions", "csh"], "[possible values: bash, zsh, fish]"),
        ] {
            let error = command().try_get_matches_from(words).unwrap_err();

            assert_eq!(error.exit_code(), 2);
            assert!(error.to_string().contains(said), "{error}");
        }
    }
}
