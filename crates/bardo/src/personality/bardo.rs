//! Bardo's own command line.
//!
//! The faces of other tools stand in the list too, so that help and completion know them,
//! but their command lines have grammars that others have fixed: they are recognized
//! before anything is parsed by this one, and pay nothing for it.

use clap::builder::{PossibleValuesParser, ValueParser};
use clap::{Arg, ArgAction, Command, ValueHint, value_parser};

use super::service::verbs::VERBS;
use super::shells::Shell;
use super::{DescribedFlag, host, supervisorctl, supervisord};
use crate::init::choice;
use crate::init::sandbox::RESTRICTIONS;

const AFTER: &str = "Called by the name of supervisord, supervisorctl, service, minix-service, \
    bardo_service, pidproxy or echo_supervisord_conf, as a link gives it, bardo is that tool.\n\n\
    With a first word /install, /start, /stop, /status ... (also -start or --start) it makes itself \
    a service of the operating system and steers it: bardo bardo_service --help.";

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
        .subcommand(status())
        .subcommand(why())
        .subcommand(events())
        .subcommand(restart())
        .subcommand(run())
        .subcommand(daemon("supervisord"))
        .subcommand(control("supervisorctl"))
        .subcommand(service())
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

/// The command line of `bardo_service`, for completion.
#[must_use]
pub fn host() -> Command {
    let verbs = host::table::VERBS.iter().map(|verb| verb.name);
    let tool = Command::new(host::NAME)
        .about("Make bardo a service of the operating system, and steer it")
        .disable_help_flag(true)
        .disable_version_flag(true)
        .arg(Arg::new("verb").value_parser(PossibleValuesParser::new(verbs)))
        .arg(Arg::new("name").value_hint(ValueHint::Other));
    tool.args(host::table::OPTIONS.iter().map(|option| {
        let arg = Arg::new(option.name).long(option.name).help(option.help.replace('`', ""));
        let Some(value) = option.value() else { return arg.action(ArgAction::SetTrue) };
        let arg = arg.value_name(value);
        match value {
            "FILE" => arg.value_hint(ValueHint::FilePath),
            "DIR" => arg.value_hint(ValueHint::DirPath),
            "ACCOUNT" => arg.value_hint(ValueHint::Username),
            "KIND" => arg.value_parser(PossibleValuesParser::new(choice::NAMES)),
            _ => {
                let names = RESTRICTIONS.iter().map(|restriction| restriction.name);
                arg.value_parser(PossibleValuesParser::new(names.chain(["all"])))
            }
        }
    }))
}

/// The command line of `service`, for help and completion.
fn service() -> Command {
    let names = VERBS.iter().map(|verb| verb.name);
    Command::new("service")
        .about("Bring services up that are watched and reborn, as MINIX 3 does")
        .disable_help_flag(true)
        .disable_version_flag(true)
        .arg(Arg::new("verb").value_parser(PossibleValuesParser::new(names)))
        .arg(path("arguments", ValueHint::FilePath).num_args(0..))
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

fn run() -> Command {
    Command::new("run")
        .about("Supervise what service(8) brings up, in the foreground")
        .long_about(
            "Starts a supervisor in the foreground that needs no configuration: nothing runs in \
             it until `service up` brings something up. Its socket and its files are in \
             /run/bardo for root, and in $XDG_RUNTIME_DIR/bardo for others; where that cannot be \
             had, in /run/bardo-UID and then in /tmp/bardo-UID. With a configuration \
             it is supervisord in the foreground. It ends with 0 when it was told to shut down, \
             and with 1 when it was told to restart (`bardo restart --self`): whoever has \
             started it starts it again then. SIGHUP begins anew without an end. With 70 a \
             critical service could not be kept running, or the supervisor could not do its \
             work; with 2 it did not start. Where `exit_on` of the configuration names a program, \
             it ends with the exit code of that, whatever it is.",
        )
        .arg(
            Arg::new("configuration")
                .short('c')
                .long("configuration")
                .value_name("FILE")
                .value_hint(ValueHint::FilePath)
                .help("Read this configuration rather than none"),
        )
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
        .arg(json())
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
        .args(of_the_daemon())
        .arg(json())
}

/// Which daemon is meant.
fn of_the_daemon() -> [Arg; 2] {
    [
        Arg::new("configuration")
            .long("configuration")
            .short('c')
            .value_name("FILE")
            .value_hint(ValueHint::FilePath)
            .help("The configuration of the daemon; searched for otherwise"),
        Arg::new("socket")
            .long("socket")
            .value_name("PATH")
            .value_hint(ValueHint::FilePath)
            .conflicts_with("configuration")
            .help("The socket file of the daemon, in place of a configuration"),
    ]
}

fn json() -> Arg {
    let json = Arg::new("json").long("json").action(ArgAction::SetTrue);
    json.help("One JSON document instead of text")
}

fn status() -> Command {
    Command::new("status")
        .about("Say how services are, and why")
        .long_about(
            "Says of each service what state it is in and the reason for it: since when it runs \
             and how long it took to be ready, for how long it waits after which crash, what it \
             depends on, who has stopped it. It ends with 0 when that is told; with 1 when \
             nothing is known of a name; with 2 when the command line or the configuration makes \
             no sense; with 3 when no supervisor answers.",
        )
        .after_help(
            "Examples:\n  bardo status\n  bardo status web 'worker:*'\n  bardo status --json",
        )
        .arg(
            Arg::new("name")
                .num_args(0..)
                .value_name("NAME")
                .help("GROUP:NAME, NAME where that is enough, or GROUP:*; all when left out"),
        )
        .args(of_the_daemon())
        .arg(json())
}

fn why() -> Command {
    Command::new("why")
        .about("Say why a service is as it is: its last twenty decisions")
        .long_about(
            "Says what state a service is in, the reason for it, and the last twenty decisions \
             about it with their time and cause. They outlive the supervisor; those of a service \
             that is gone are told until its name is used again. It ends with 0 when that is \
             told; with 1 when nothing is known of the name; with 2 when the command line or the \
             configuration makes no sense; with 3 when no supervisor answers.",
        )
        .after_help("Examples:\n  bardo why web\n  bardo why worker:a --json")
        .arg(
            Arg::new("name")
                .required(true)
                .value_name("NAME")
                .help("GROUP:NAME, or NAME where that is enough"),
        )
        .args(of_the_daemon())
        .arg(json())
}

fn events() -> Command {
    Command::new("events")
        .about("Say what was decided about all services, and what happens to them")
        .long_about(
            "Says what was decided about all services, in its order: the last twenty decisions of \
             each. With --follow it goes on with each decision and each change of a state, until \
             Ctrl-C (130) or the end of the supervisor (0); the death of a supervisor that is \
             replaced is not noticed. Otherwise it ends with 0; with 2 when the command line or \
             the configuration makes no sense; with 3 when no supervisor answers.",
        )
        .after_help("Examples:\n  bardo events\n  bardo events --follow --json | jq .text")
        .arg(
            Arg::new("follow")
                .long("follow")
                .short('f')
                .action(ArgAction::SetTrue)
                .help("Go on with what happens"),
        )
        .args(of_the_daemon())
        .arg(json().help("One JSON document in each line instead of text"))
}

fn restart() -> Command {
    Command::new("restart")
        .about("Have the supervisor itself begin anew")
        .long_about(
            "Asks the supervisor itself for a restart, with all that only a restart takes up of \
             its configuration. One that was started by `bardo run` or as a service stops all \
             programs and ends with 1: its manager starts it again, where it starts anything \
             again (a script of SysV init and a service with --no-respawn stay down). One that \
             was started as supervisord stops all programs and begins anew without an end, as \
             with `supervisorctl reload`. It ends with 0 when that is under way; with 2 when the \
             command line or the configuration makes no sense; with 3 when no supervisor answers, \
             or it refuses. Programs are restarted by `supervisorctl restart`, services of the \
             operating system by `bardo /restart`.",
        )
        .after_help(
            "Examples:\n  bardo restart --self\n  bardo restart --self -c /etc/bardo/web.conf",
        )
        .arg(
            Arg::new("self")
                .long("self")
                .required(true)
                .action(ArgAction::SetTrue)
                .help("The supervisor itself is meant, and no program"),
        )
        .args(of_the_daemon())
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
        .subcommand(service_test().arg(keep()))
}

fn service_test() -> Command {
    Command::new("service")
        .about("Let services hang and crash, and measure how soon they are there again")
        .long_about(
            "Stops a program with a heartbeat of 100 ms again and again and measures how soon the \
             next one is there; kills a plain program and a service in turns and compares how \
             long they are away; and measures what the heartbeats of many programs cost, one a \
             second each.",
        )
        .arg(number("hangs", "N").default_value("50").help("How often a program hangs"))
        .arg(
            number("replaced-within", "MS")
                .default_value("210")
                .help("What the median time from its last answer to the next one may be at most"),
        )
        .arg(number("kills", "N").default_value("200").help("How often each of the two is killed"))
        .arg(
            number("slower-percent", "P")
                .default_value("10")
                .help("How much longer than a program a service may be away"),
        )
        .arg(number("hearts", "N").default_value("1000").help("Programs that have a heartbeat"))
        .arg(number("seconds", "S").default_value("20").help("How long they are watched"))
        .arg(
            number("percent", "P")
                .default_value("2")
                .help("What keeper and supervisor may use of one processor meanwhile"),
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
