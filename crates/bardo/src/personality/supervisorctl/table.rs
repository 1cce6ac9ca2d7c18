//! The only list of commands.

use super::control::{Control, Next, Stop};
use super::{configuration, logs, processes, server};

/// A command.
pub(super) struct Command {
    /// Its name.
    pub(super) name: &'static str,
    /// Whether it refuses all arguments.
    pub(super) takes_nothing: bool,
    /// What it does, for people, one line for each way to write it.
    help: &'static str,
    /// Does it.
    pub(super) run: fn(&mut Control<'_>, &str) -> Result<Next, Stop>,
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
        help: "add <name> [...]\tBring up groups that the last reread has found",
        run: then_on!(configuration::add),
    },
    Command {
        name: "avail",
        takes_nothing: true,
        help: "avail\t\t\tList the processes of the configuration",
        run: then_on!(configuration::avail),
    },
    Command {
        name: "clear",
        takes_nothing: false,
        help: "clear <name>\t\tEmpty the logs of a process\n\
               clear <name> <name>\tEmpty the logs of several processes\n\
               clear all\t\tEmpty the logs of every process",
        run: then_on!(logs::clear),
    },
    Command {
        name: "exit",
        takes_nothing: false,
        help: "exit\tLeave the shell",
        run: server::quit,
    },
    Command {
        name: "fg",
        takes_nothing: false,
        help: "fg <process>\tSee what a process writes and write to it\n\t\tCtrl-C ends it",
        run: then_on!(logs::foreground),
    },
    Command {
        name: "maintail",
        takes_nothing: false,
        help: "maintail -f \tFollow the supervisor's own log (Ctrl-C ends it)\n\
               maintail -100\tShow its last 100 bytes\n\
               maintail\tShow its last 1600 bytes\n",
        run: then_on!(logs::maintail),
    },
    Command {
        name: "open",
        takes_nothing: false,
        help: "open <url>\tTalk to another supervisor.\n\
               \t\t(unix:///path/of/socket for a socket file)",
        run: then_on!(server::open),
    },
    Command {
        name: "pid",
        takes_nothing: false,
        help: "pid\t\t\tShow the PID of the supervisor.\n\
               pid <name>\t\tShow the PID of a process.\n\
               pid all\t\t\tShow the PIDs of all processes, one a line.",
        run: then_on!(processes::pid),
    },
    Command {
        name: "quit",
        takes_nothing: false,
        help: "quit\tLeave the shell",
        run: server::quit,
    },
    Command {
        name: "reload",
        takes_nothing: true,
        help: "reload \t\tStop everything and begin anew with the configuration as it is now",
        run: then_on!(server::reload),
    },
    Command {
        name: "remove",
        takes_nothing: false,
        help: "remove <name> [...]\tTake stopped groups away",
        run: then_on!(configuration::remove),
    },
    Command {
        name: "reread",
        takes_nothing: true,
        help: "reread \t\t\tLoad the configuration and tell what differs; nothing starts or stops",
        run: then_on!(configuration::reread),
    },
    Command {
        name: "restart",
        takes_nothing: false,
        help: "restart <name>\t\tStop and start a process\n\
               restart <gname>:*\tStop and start the processes of a group\n\
               restart <name> <name>\tStop and start several processes or groups\n\
               restart all\t\tStop and start every process\n\
               Note: this does not load the configuration; reread and update do.",
        run: then_on!(processes::restart),
    },
    Command {
        name: "shutdown",
        takes_nothing: true,
        help: "shutdown \tStop everything and end the supervisor.",
        run: then_on!(server::shutdown),
    },
    Command {
        name: "signal",
        takes_nothing: false,
        help: "signal <signal name> <name>\t\tSend a process a signal\n\
               signal <signal name> <gname>:*\t\tSend the processes of a group a signal\n\
               signal <signal name> <name> <name>\tSend several processes or groups a signal\n\
               signal <signal name> all\t\tSend every process a signal",
        run: then_on!(processes::signal),
    },
    Command {
        name: "start",
        takes_nothing: false,
        help: "start <name>\t\tStart a process\n\
               start <gname>:*\t\tStart the processes of a group\n\
               start <name> <name>\tStart several processes or groups\n\
               start all\t\tStart every process",
        run: then_on!(processes::start),
    },
    Command {
        name: "status",
        takes_nothing: false,
        help: "status <name>\t\tShow how a process is\n\
               status <gname>:*\tShow how the processes of a group are\n\
               status <name> <name>\tShow how several processes are\n\
               status\t\t\tShow how every process is",
        run: then_on!(processes::status),
    },
    Command {
        name: "stop",
        takes_nothing: false,
        help: "stop <name>\t\tStop a process\n\
               stop <gname>:*\t\tStop the processes of a group\n\
               stop <name> <name>\tStop several processes or groups\n\
               stop all\t\tStop every process",
        run: then_on!(processes::stop),
    },
    Command {
        name: "tail",
        takes_nothing: false,
        help: "tail [-f] <name> [stdout|stderr] (default stdout)\n\
               Ex:\n\
               tail -f <name>\t\tFollow what a process writes\n\
               \t\t\tCtrl-C ends it.\n\
               tail -100 <name>\tShow the last 100 bytes that a process wrote\n\
               tail <name> stderr\tShow the last 1600 bytes of its standard error",
        run: then_on!(logs::tail),
    },
    Command {
        name: "update",
        takes_nothing: false,
        help: "update\t\t\tLoad the configuration and add, remove and restart what it says\n\
               update all\t\tThe same\n\
               update <gname> [...]\tThe same for these groups only",
        run: then_on!(configuration::update),
    },
    Command {
        name: "version",
        takes_nothing: true,
        help: "version\t\t\tShow the version of the supervisor",
        run: then_on!(server::version),
    },
];

/// What is not in the list of topics.
const HIDDEN: &[Command] = &[
    Command { name: "EOF", takes_nothing: false, help: "", run: server::quit },
    Command {
        name: "help",
        takes_nothing: false,
        help: "help\t\tList all commands\nhelp <action>\tTell what a command does",
        run: then_on!(server::help),
    },
];

/// The command of that name.
pub(super) fn find(name: &str) -> Option<&'static Command> {
    COMMANDS.iter().chain(HIDDEN).find(|command| command.name == name)
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
