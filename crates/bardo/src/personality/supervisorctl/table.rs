//! The only list of commands.

use super::control::{Control, Next, Stop};
use super::{configuration, logs, plugins, processes, server};
use bardo_config::PluginKind;

/// A command.
pub(super) struct Command {
    /// Its name.
    pub(super) name: &'static str,
    /// What it is for, in one line.
    pub(super) about: &'static str,
    /// What the manual says of it beyond that.
    pub(super) detail: &'static str,
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

impl Command {
    /// The ways to write it, from the help.
    pub(super) fn forms(&self) -> Vec<&'static str> {
        let lines = self.help.lines().filter(|line| {
            line.split(' ').next() == Some(self.name) || line.split('\t').next() == Some(self.name)
        });
        let mut forms: Vec<&str> = Vec::new();
        for line in lines {
            let form = line.split(['\t', '(']).next().unwrap_or_default().trim();
            if !forms.contains(&form) {
                forms.push(form);
            }
        }
        forms
    }
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
        about: "Take up groups that are new in the configuration",
        detail: "The groups are those of the configuration as it was read last, by `reread` \
                 or at the start. Their programs are started if their autostart says so.",
        takes_nothing: false,
        completes: Completes::Groups,
        answers: Answers::Both,
        help: "add <name> [...]\tActivates any updates in config for process/group",
        run: then_on!(configuration::add),
    },
    Command {
        name: "avail",
        about: "List all processes of the configuration",
        detail: "Each line says whether the process is in use, whether it is started by \
                 itself, and its two priorities: of the group and of the process.",
        takes_nothing: true,
        completes: Completes::Nothing,
        answers: Answers::Both,
        help: "avail\t\t\tDisplay all configured processes",
        run: then_on!(configuration::avail),
    },
    Command {
        name: "clear",
        about: "Empty the logs of processes",
        detail: "Both of them: that of standard output and that of standard error.",
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
        about: "Leave the shell",
        detail: "The end of the input (Ctrl-D) does the same.",
        takes_nothing: false,
        completes: Completes::Nothing,
        answers: Answers::Nothing,
        help: "exit\tExit the supervisor shell.",
        run: server::quit,
    },
    Command {
        name: "fg",
        about: "Follow a process in the foreground, and write to it",
        detail: "What is typed goes to the standard input of the process, what it writes is \
                 shown. Ctrl-C ends that, and the process goes on.",
        takes_nothing: false,
        completes: Completes::Processes,
        answers: Answers::TextOnly,
        help: "fg <process>\tConnect to a process in foreground mode\n\
               \t\tCtrl-C to exit",
        run: then_on!(logs::foreground),
    },
    Command {
        name: "maintail",
        about: "Show the end of the main log",
        detail: "With `-f` it is followed until Ctrl-C.",
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
        about: "Talk to another supervisor from now on",
        detail: "Only the shell has a use for it.",
        takes_nothing: false,
        completes: Completes::Nothing,
        answers: Answers::TextOnly,
        help: "open <url>\tConnect to a remote supervisord process.\n\
               \t\t(for UNIX domain socket, use unix:///socket/path)",
        run: then_on!(server::open),
    },
    Command {
        name: "pid",
        about: "Tell process numbers",
        detail: "Without a name it is the number of the daemon; that of a process that does \
                 not run is 0.",
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
        about: "Leave the shell",
        detail: "The end of the input (Ctrl-D) does the same.",
        takes_nothing: false,
        completes: Completes::Nothing,
        answers: Answers::Nothing,
        help: "quit\tExit the supervisor shell.",
        run: server::quit,
    },
    Command {
        name: "reload",
        about: "Stop all programs and begin anew with the file as it is now",
        detail: "Nothing is stopped when the file cannot be taken up; the reason is told \
                 instead. The shell asks first.",
        takes_nothing: true,
        completes: Completes::Nothing,
        answers: Answers::TextOnly,
        help: "reload \t\tRestart the remote supervisord.",
        run: then_on!(server::reload),
    },
    Command {
        name: "remove",
        about: "Forget groups whose processes have all stopped",
        detail: "The configuration file is not changed: `update` would bring them back.",
        takes_nothing: false,
        completes: Completes::Groups,
        answers: Answers::Both,
        help: "remove <name> [...]\tRemoves process/group from active config",
        run: then_on!(configuration::remove),
    },
    Command {
        name: "reread",
        about: "Read the configuration, and tell what is different",
        detail: "Nothing is changed by it; `update` puts the differences into effect.",
        takes_nothing: true,
        completes: Completes::Nothing,
        answers: Answers::Both,
        help: "reread \t\t\tReload the daemon's configuration files without add/remove",
        run: then_on!(configuration::reread),
    },
    Command {
        name: "restart",
        about: "Stop processes and start them again",
        detail: "The configuration is not read again by it. For that, see `reread` and \
                 `update`.",
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
        about: "Stop all programs and end the daemon",
        detail: "The shell asks first.",
        takes_nothing: true,
        completes: Completes::Nothing,
        answers: Answers::TextOnly,
        help: "shutdown \tShut the remote supervisord down.",
        run: then_on!(server::shutdown),
    },
    Command {
        name: "signal",
        about: "Send a signal to processes",
        detail: "The signal is a name, with or without SIG, or a number.",
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
        about: "Start processes",
        detail: "It waits until they have stayed up for their startsecs, or failed.",
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
        about: "Tell how processes are",
        detail: "State, process number and time since the start; what went wrong where \
                 something did. The exit code is 0 when all named processes are running, 3 \
                 when one is not, and 4 when there is none of that name.",
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
        about: "Stop processes",
        detail: "It waits until they have stopped, at most for their stopwaitsecs before they \
                 are killed.",
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
        about: "Show the end of a process's log",
        detail: "With `-f` the log is followed until Ctrl-C; a number is how many bytes are \
                 shown.",
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
        about: "Read the configuration and put all differences into effect",
        detail: "Groups that are new are started, those that are gone are stopped, and those \
                 that are different are stopped and started again. All others keep their \
                 processes.",
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
        about: "Tell which Supervisor the daemon is",
        detail: "It is the version of Supervisor that the daemon stands in for.",
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
        about: "Leave the shell",
        detail: "",
        takes_nothing: false,
        completes: Completes::Nothing,
        answers: Answers::Nothing,
        help: "",
        run: server::quit,
    },
    Command {
        name: "help",
        about: "List all commands, or tell what one does",
        detail: "",
        takes_nothing: false,
        completes: Completes::Commands,
        answers: Answers::TextOnly,
        help: "help\t\tPrint a list of available actions\n\
               help <action>\tPrint help for <action>",
        run: then_on!(server::help),
    },
];

/// The commands of the plugin of supervisor_cache.
const CACHE: &[Command] = &[
    plugged("cache_clear", "cache_clear\tClear all items from the cache.", plugins::clear),
    plugged("cache_count", "cache_count\tGet a count of all items in the cache.", plugins::count),
    plugged(
        "cache_delete",
        "cache_delete <key>\tDelete the item cached at <key>.",
        plugins::delete,
    ),
    plugged("cache_fetch", "cache_fetch <key>\tFetch the item cached at <key>.", plugins::fetch),
    plugged("cache_keys", "cache_keys\tList the keys of all items in the cache.", plugins::keys),
    plugged(
        "cache_store",
        "cache_store <key> <value>\tStore <value> in the cache at <key>.",
        plugins::store,
    ),
];

/// The command of the plugin of mr.laforge.
const LAFORGE: &[Command] = &[Command {
    completes: Completes::Processes,
    ..plugged(
        "kill",
        "kill <signal> <name>\t\tSend signal to a process\n\
         kill <signal> <gname>:*\t\tSend signal to all processes in a group\n\
         kill <signal> <name> <name>\tSend signal to multiple processes or groups",
        plugins::kill,
    )
}];

/// A command of a plugin. The manual does not speak of it: it is there where the file
/// names its plugin.
const fn plugged(
    name: &'static str,
    help: &'static str,
    run: fn(&mut Control<'_>, &str) -> Result<Next, Stop>,
) -> Command {
    Command {
        name,
        about: "",
        detail: "",
        takes_nothing: false,
        completes: Completes::Nothing,
        answers: Answers::TextOnly,
        help,
        run,
    }
}

/// The plugins of a client, by name.
pub(super) type Plugins = [(String, PluginKind)];

fn commands_of(kind: PluginKind) -> &'static [Command] {
    match kind {
        PluginKind::Cache => CACHE,
        PluginKind::Laforge => LAFORGE,
    }
}

/// The command of that name, where the client has these plugins.
pub(super) fn find(name: &str, plugins: &Plugins) -> Option<&'static Command> {
    let plugged = plugins.iter().flat_map(|(_, kind)| commands_of(*kind));
    COMMANDS.iter().chain(HIDDEN).chain(plugged).find(|command| command.name == name)
}

/// What a first word may be, in the order in which Supervisor offers it.
pub(super) fn names(plugins: &Plugins) -> Vec<&'static str> {
    let plugged = plugins.iter().flat_map(|(_, kind)| commands_of(*kind));
    let names = COMMANDS.iter().chain(plugged).map(|command| command.name);
    std::iter::once("help").chain(names).collect()
}

/// What a command does.
pub(super) fn help(name: &str, plugins: &Plugins) -> Option<&'static str> {
    find(name, plugins).map(|command| command.help).filter(|help| !help.is_empty())
}

/// All commands below their headings, Supervisor's own first.
pub(super) fn topics(plugins: &Plugins) -> String {
    let plugged = plugins.iter().map(|(name, kind)| (name.as_str(), commands_of(*kind)));
    let sections = std::iter::once(("default", COMMANDS)).chain(plugged).map(|(name, commands)| {
        let heading = format!("{name} commands (type help <topic>):");
        let rule = "=".repeat(heading.len());
        format!("\n{heading}\n{rule}\n{}\n", columns(commands))
    });
    sections.collect::<Vec<String>>().join("\n")
}

/// Names in columns: one below the other, as many columns as fit.
fn columns(commands: &[Command]) -> String {
    let names: Vec<&str> = commands.iter().map(|command| command.name).collect();
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
    fn plugins_have_their_own_topics() {
        let plugins =
            [("cache".to_owned(), PluginKind::Cache), ("riker".to_owned(), PluginKind::Laforge)];

        let topics = topics(&plugins);

        let after = topics.split_once("version\n").map(|(_, after)| after);
        let wanted = "\n\ncache commands (type help <topic>):\n\
                      ===================================\n\
                      cache_clear  cache_count  cache_delete  cache_fetch  cache_keys  cache_store\n\
                      \n\nriker commands (type help <topic>):\n\
                      ===================================\nkill\n";
        assert_eq!(after, Some(wanted));
        assert!(find("kill", &plugins).is_some() && find("kill", &[]).is_none());
        assert_eq!(names(&plugins).len(), 1 + 21 + 7);
    }

    #[test]
    fn topics_stand_in_supervisors_columns() {
        assert_eq!(
            columns(COMMANDS),
            "add    exit      open  reload  restart   start   tail   \n\
             avail  fg        pid   remove  shutdown  status  update \n\
             clear  maintail  quit  reread  signal    stop    version"
        );
    }
}
