//! The only list of commands.

use super::control::{Control, Next, Stop};
use super::{configuration, logs, processes, server};

/// A command.
pub(super) struct Command {
    /// Its name.
    pub(super) name: &'static str,
    /// Whether it refuses all arguments.
    pub(super) takes_nothing: bool,
    /// What its arguments are, for whoever wants them completed.
    pub(super) completes: Completes,
    /// How it can answer.
    pub(super) answers: Answers,
    /// What it does, one line for each way to write it. The words are Supervisor's,
    /// because scripts read them after a command that was written wrongly.
    help: &'static str,
    /// Does it.
    pub(super) run: fn(&mut Control<'_>, &str) -> Result<Next, Stop>,
}

/// What the arguments of a command are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Completes {
    /// Nothing that is known.
    Nothing,
    /// Commands.
    Commands,
    /// Groups.
    Groups,
    /// Processes, and groups as `group:*`.
    Processes,
}

/// How a command can answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answers {
    /// With lines for people, and with a document.
    Both,
    /// With lines for people.
    TextOnly,
    /// It has no answer.
    Nothing,
}

/// Runs a command after which the next one follows.
macro_rules! then_on {
    ($run:path) => {
        |control, argument| $run(control, argument).map(|()| Next::Line)
    };
}

/// Every command, sorted by name. Tabs stand between the columns of the help, as in
/// Supervisor.
pub(super) const COMMANDS: &[Command] = &[
    Command {
        name: "add",
        takes_nothing: false,
        completes: Completes::Groups,
        answers: Answers::Both,
        help: "add <name> [...]\tActivates any updates in config for process/group",
        run: then_on!(configuration::add),
    },
    Command {
        name: "avail",
        takes_nothing: true,
        completes: Completes::Nothing,
        answers: Answers::Both,
        help: "avail\t\t\tDisplay all configured processes",
        run: then_on!(configuration::avail),
    },
    Command {
        name: "clear",
        takes_nothing: false,
        completes: Completes::Processes,
        answers: Answers::Both,
        help: "clear <name>\t\tClear a process' log files.\n\
               clear <name> <name>\tClear multiple process' log files\n\
               clear all\t\tClear all process' log files",
        run: then_on!(logs::clear),
    },
    Command {
        name: "exit",
        takes_nothing: false,
        completes: Completes::Nothing,
        answers: Answers::Nothing,
        help: "exit\tExit the supervisor shell.",
        run: server::quit,
    },
    Command {
        name: "fg",
        takes_nothing: false,
        completes: Completes::Processes,
        answers: Answers::TextOnly,
        help: "fg <process>\tConnect to a process in foreground mode\n\
               \t\tCtrl-C to exit",
        run: then_on!(logs::foreground),
    },
    Command {
        name: "maintail",
        takes_nothing: false,
        completes: Completes::Nothing,
        answers: Answers::TextOnly,
        help: "maintail -f \tContinuous tail of supervisor main log file (Ctrl-C to exit)\n\
               maintail -100\tlast 100 *bytes* of supervisord main log file\n\
               maintail\tlast 1600 *bytes* of supervisor main log file\n",
        run: then_on!(logs::maintail),
    },
    Command {
        name: "open",
        takes_nothing: false,
        completes: Completes::Nothing,
        answers: Answers::TextOnly,
        help: "open <url>\tConnect to a remote supervisord process.\n\
               \t\t(for UNIX domain socket, use unix:///socket/path)",
        run: then_on!(server::open),
    },
    Command {
        name: "pid",
        takes_nothing: false,
        completes: Completes::Processes,
        answers: Answers::Both,
        help: "pid\t\t\tGet the PID of supervisord.\n\
               pid <name>\t\tGet the PID of a single child process by name.\n\
               pid all\t\t\tGet the PID of every child process, one per line.",
        run: then_on!(processes::pid),
    },
    Command {
        name: "quit",
        takes_nothing: false,
        completes: Completes::Nothing,
        answers: Answers::Nothing,
        help: "quit\tExit the supervisor shell.",
        run: server::quit,
    },
    Command {
        name: "reload",
        takes_nothing: true,
        completes: Completes::Nothing,
        answers: Answers::TextOnly,
        help: "reload \t\tRestart the remote supervisord.",
        run: then_on!(server::reload),
    },
    Command {
        name: "remove",
        takes_nothing: false,
        completes: Completes::Groups,
        answers: Answers::Both,
        help: "remove <name> [...]\tRemoves process/group from active config",
        run: then_on!(configuration::remove),
    },
    Command {
        name: "reread",
        takes_nothing: true,
        completes: Completes::Nothing,
        answers: Answers::Both,
        help: "reread \t\t\tReload the daemon's configuration files without add/remove",
        run: then_on!(configuration::reread),
    },
    Command {
        name: "restart",
        takes_nothing: false,
        completes: Completes::Processes,
        answers: Answers::Both,
        help: "restart <name>\t\tRestart a process\n\
               restart <gname>:*\tRestart all processes in a group\n\
               restart <name> <name>\tRestart multiple processes or groups\n\
               restart all\t\tRestart all processes\n\
               Note: restart does not reread config files. For that, see reread and update.",
        run: then_on!(processes::restart),
    },
    Command {
        name: "shutdown",
        takes_nothing: true,
        completes: Completes::Nothing,
        answers: Answers::TextOnly,
        help: "shutdown \tShut the remote supervisord down.",
        run: then_on!(server::shutdown),
    },
    Command {
        name: "signal",
        takes_nothing: false,
        completes: Completes::Processes,
        answers: Answers::Both,
        help: "signal <signal name> <name>\t\tSignal a process\n\
               signal <signal name> <gname>:*\t\tSignal all processes in a group\n\
               signal <signal name> <name> <name>\tSignal multiple processes or groups\n\
               signal <signal name> all\t\tSignal all processes",
        run: then_on!(processes::signal),
    },
    Command {
        name: "start",
        takes_nothing: false,
        completes: Completes::Processes,
        answers: Answers::Both,
        help: "start <name>\t\tStart a process\n\
               start <gname>:*\t\tStart all processes in a group\n\
               start <name> <name>\tStart multiple processes or groups\n\
               start all\t\tStart all processes",
        run: then_on!(processes::start),
    },
    Command {
        name: "status",
        takes_nothing: false,
        completes: Completes::Processes,
        answers: Answers::Both,
        help: "status <name>\t\tGet status for a single process\n\
               status <gname>:*\tGet status for all processes in a group\n\
               status <name> <name>\tGet status for multiple named processes\n\
               status\t\t\tGet all process status info",
        run: then_on!(processes::status),
    },
    Command {
        name: "stop",
        takes_nothing: false,
        completes: Completes::Processes,
        answers: Answers::Both,
        help: "stop <name>\t\tStop a process\n\
               stop <gname>:*\t\tStop all processes in a group\n\
               stop <name> <name>\tStop multiple processes or groups\n\
               stop all\t\tStop all processes",
        run: then_on!(processes::stop),
    },
    Command {
        name: "tail",
        takes_nothing: false,
        completes: Completes::Processes,
        answers: Answers::TextOnly,
        help: "tail [-f] <name> [stdout|stderr] (default stdout)\n\
               Ex:\n\
               tail -f <name>\t\tContinuous tail of named process stdout\n\
               \t\t\tCtrl-C to exit.\n\
               tail -100 <name>\tlast 100 *bytes* of process stdout\n\
               tail <name> stderr\tlast 1600 *bytes* of process stderr",
        run: then_on!(logs::tail),
    },
    Command {
        name: "update",
        takes_nothing: false,
        completes: Completes::Groups,
        answers: Answers::Both,
        help: "update\t\t\tReload config and add/remove as necessary, and will restart affected programs\n\
               update all\t\tReload config and add/remove as necessary, and will restart affected programs\n\
               update <gname> [...]\tUpdate specific groups",
        run: then_on!(configuration::update),
    },
    Command {
        name: "version",
        takes_nothing: true,
        completes: Completes::Nothing,
        answers: Answers::Both,
        help: "version\t\t\tShow the version of the remote supervisord process",
        run: then_on!(server::version),
    },
];

/// What is not in the list of topics.
const HIDDEN: &[Command] = &[
    Command {
        name: "EOF",
        takes_nothing: false,
        completes: Completes::Nothing,
        answers: Answers::Nothing,
        help: "",
        run: server::quit,
    },
    Command {
        name: "help",
        takes_nothing: false,
        completes: Completes::Commands,
        answers: Answers::TextOnly,
        help: "help\t\tPrint a list of available actions\n\
               help <action>\tPrint help for <action>",
        run: then_on!(server::help),
    },
];

/// The command of that name.
pub(super) fn find(name: &str) -> Option<&'static Command> {
    COMMANDS.iter().chain(HIDDEN).find(|command| command.name == name)
}

/// What a first word may be, in the order in which Supervisor offers it.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    std::iter::once("help").chain(COMMANDS.iter().map(|command| command.name))
}

/// What a command does.
pub(super) fn help(name: &str) -> Option<&'static str> {
    find(name).map(|command| command.help).filter(|help| !help.is_empty())
}

/// All names in columns: one below the other, as many columns as fit.
pub(super) fn topics() -> String {
    let names: Vec<&str> = COMMANDS.iter().map(|command| command.name).collect();
    let (rows, widths) = (1..=names.len())
        .map(|rows| {
            let columns = names.chunks(rows);
            let widths = columns.map(|column| column.iter().map(|name| name.len()).max());
            (rows, widths.map(Option::unwrap_or_default).collect::<Vec<usize>>())
        })
        .find(|(_, widths)| widths.iter().sum::<usize>() + 2 * (widths.len() - 1) <= WIDTH)
        .unwrap_or((names.len(), Vec::new()));
    let line = |row: usize| {
        let cells = widths.iter().enumerate().filter_map(|(column, width)| {
            let name = names.get(column * rows + row)?;
            Some(format!("{name:width$}"))
        });
        cells.collect::<Vec<String>>().join("  ")
    };
    (0..rows).map(line).collect::<Vec<String>>().join("\n")
}

/// The width that Supervisor lists its commands in.
const WIDTH: usize = 79;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_and_complete() {
        assert!(COMMANDS.is_sorted_by(|one, other| one.name < other.name));
        assert_eq!(COMMANDS.len(), 21);
        for command in COMMANDS {
            assert!(command.help.starts_with(command.name), "{}", command.name);
        }
    }

    #[test]
    fn topics_stand_in_supervisors_columns() {
        assert_eq!(
            topics(),
            "add    exit      open  reload  restart   start   tail   \n\
             avail  fg        pid   remove  shutdown  status  update \n\
             clear  maintail  quit  reread  signal    stop    version"
        );
    }
}
