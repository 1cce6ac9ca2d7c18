//! The only list of XML-RPC methods.

use std::sync::Arc;

use super::parameters::Parameters;
use super::{
    Running, cache, configuration, laforge, process_logs, processes, supervisor, system, twiddler,
};
use crate::api::Context;
use crate::daemon::settings::{Methods, Namespace};

/// A method.
pub(super) struct Method {
    /// Namespace and name.
    pub(super) name: &'static str,
    /// The type of its result, as `system.methodSignature` tells it.
    pub(super) result: &'static str,
    /// The types of its parameters.
    pub(super) parameters: &'static [&'static str],
    /// How many of the last parameters may be left out.
    pub(super) optional: usize,
    /// What it does, for people.
    pub(super) help: &'static str,
    /// Does it.
    pub(super) run: fn(Arc<Context>, Parameters) -> Running,
}

impl Method {
    /// Whether it can be called with so many parameters.
    pub(super) fn takes(&self, given: usize) -> bool {
        let most = self.parameters.len();
        (most - self.optional..=most).contains(&given)
    }
}

/// The namespace under which the table has the methods of a kind.
fn listed(methods: Methods) -> &'static str {
    match methods {
        Methods::Supervisor => "supervisor",
        Methods::Twiddler => "twiddler",
        Methods::Cache => "cache",
        Methods::Laforge => "laforge",
    }
}

/// The namespace that is always there.
const SYSTEM: &str = "system";

/// The method of that name, and the namespace that offers it: each `[rpcinterface:x]`
/// offers the methods of its kind under the name `x`; of two with the same name the last
/// one counts.
pub(super) fn find<'n>(
    name: &str,
    namespaces: &'n [Namespace],
) -> Option<(&'static Method, Option<&'n Namespace>)> {
    let (prefix, rest) = name.split_once('.')?;
    let (wanted, namespace) = if prefix == SYSTEM {
        (name.to_owned(), None)
    } else {
        let namespace = namespaces.iter().rfind(|there| there.name == prefix)?;
        (format!("{}.{rest}", listed(namespace.methods)), Some(namespace))
    };
    // The table is sorted.
    let place = METHODS.binary_search_by(|method| method.name.cmp(&wanted));
    place.ok().map(|place| (&METHODS[place], namespace))
}

/// The names of all methods that these namespaces offer.
pub(super) fn names(namespaces: &[Namespace]) -> Vec<String> {
    let offered = |prefix: &str, name: &str| {
        let of_kind = METHODS.iter().filter_map(|method| method.name.split_once('.'));
        let rests = of_kind.filter(|(kind, _)| *kind == prefix);
        rests.map(|(_, rest)| format!("{name}.{rest}")).collect::<Vec<String>>()
    };
    let mut names: Vec<String> = offered(SYSTEM, SYSTEM);
    for (place, namespace) in namespaces.iter().enumerate() {
        let is_hidden = |there: &Namespace| there.name == namespace.name;
        if namespace.name != SYSTEM && !namespaces[place + 1..].iter().any(is_hidden) {
            names.extend(offered(listed(namespace.methods), &namespace.name));
        }
    }
    names.sort_unstable();
    names
}

macro_rules! method {
    ($name:literal, $run:path, $result:literal [$($parameter:literal),*] $(optional $optional:literal)?, $help:expr) => {
        Method {
            name: $name,
            result: $result,
            parameters: &[$($parameter),*],
            optional: 0 $(+ $optional)?,
            help: $help,
            run: |context, parameters| Box::pin($run(context, parameters)),
        }
    };
}

const VERSION_HELP: &str = "Tells the version of this interface.";
const READ_MAIN_HELP: &str = "Reads `length` bytes of the main log from `offset`. A negative offset \
     with length 0 reads that many bytes from the end.";
const CLEAR_HELP: &str = "Empties both logs of a process.";
const READ_HELP: &str = "Reads `length` bytes of a process's log from `offset`. A negative offset \
     with length 0 reads that many bytes from the end.";
const TAIL_HELP: &str = "Follows a process's log: answers with up to `length` bytes from its end, \
     the offset to ask for next, and whether bytes between were passed over.";
/// Every method, sorted by name.
pub(super) const METHODS: &[Method] = &[
    method!("cache.clear", cache::clear, "boolean" [], "Deletes everything that is stored."),
    method!(
        "cache.delete",
        cache::delete,
        "boolean"["string"],
        "Deletes what is stored under a key; nothing need be stored there."
    ),
    method!("cache.fetch", cache::fetch, "string"["string"], "Tells what is stored under a key."),
    method!("cache.getAPIVersion", cache::api_version, "string" [], VERSION_HELP),
    method!("cache.getCount", cache::count, "integer" [], "Tells how many keys there are."),
    method!("cache.getKeys", cache::keys, "array" [], "Lists all keys."),
    method!("cache.store", cache::store, "boolean" ["string", "string"],
        "Stores a value of any type under a key that is not empty. It outlives the supervisor, \
         and ends with a restart of everything."),
    method!("laforge.getAPIVersion", laforge::api_version, "string" [], VERSION_HELP),
    method!("laforge.getMrLaForgeVersion", laforge::package_version, "string" [],
        "Tells the version of mr.laforge that this is compatible with."),
    method!("laforge.killProcess", laforge::kill, "boolean" ["string", "string"],
        "Sends a signal, by name or number, to a process that is up, or to all of `group:*`."),
    method!("laforge.killProcessGroup", laforge::kill_group, "struct" ["string", "string"],
        "Sends a signal, by name or number, to all processes of a group that are up; answers with \
         the result of each."),
    method!(
        "supervisor.addProcessGroup",
        configuration::add,
        "boolean"["string"],
        "Adds a group of the configuration that was loaded last, and starts what starts by itself."
    ),
    method!("supervisor.clearAllProcessLogs", process_logs::clear_all, "array" [],
        "Empties the logs of all processes; answers with the result of each."),
    method!("supervisor.clearLog", supervisor::clear_log, "boolean" [], "Empties the main log."),
    method!("supervisor.clearProcessLog", process_logs::clear, "boolean"["string"], CLEAR_HELP),
    method!("supervisor.clearProcessLogs", process_logs::clear, "boolean"["string"], CLEAR_HELP),
    method!("supervisor.getAPIVersion", supervisor::api_version, "string" [], VERSION_HELP),
    method!("supervisor.getAllConfigInfo", configuration::info, "array" [],
        "Tells the options of all processes of the configuration that was loaded last."),
    method!("supervisor.getAllProcessInfo", processes::all_info, "array" [],
        "Tells how all processes are."),
    method!("supervisor.getIdentification", supervisor::identification, "string" [],
        "Tells the identifier that the configuration gives the supervisor."),
    method!("supervisor.getPID", supervisor::pid, "int" [], "Tells the supervisor's process number."),
    method!(
        "supervisor.getProcessInfo",
        processes::info,
        "struct"["string"],
        "Tells how a process is."
    ),
    method!("supervisor.getState", supervisor::state, "struct" [],
        "Tells whether the supervisor works or ends."),
    method!("supervisor.getSupervisorVersion", supervisor::supervisor_version, "string" [],
        "Tells the version of Supervisor that this is compatible with."),
    method!("supervisor.getVersion", supervisor::api_version, "string" [], VERSION_HELP),
    method!("supervisor.readLog", supervisor::read_log, "string" ["int", "int"], READ_MAIN_HELP),
    method!("supervisor.readMainLog", supervisor::read_log, "string" ["int", "int"], READ_MAIN_HELP),
    method!("supervisor.readProcessLog", process_logs::read_stdout, "string" ["string", "int", "int"],
        READ_HELP),
    method!("supervisor.readProcessStderrLog", process_logs::read_stderr, "string" ["string", "int", "int"],
        READ_HELP),
    method!("supervisor.readProcessStdoutLog", process_logs::read_stdout, "string" ["string", "int", "int"],
        READ_HELP),
    method!("supervisor.reloadConfig", configuration::reload, "array" [],
        "Loads the configuration again and answers with one array of three: the groups that are new, \
         changed and gone. Nothing starts or stops."),
    method!(
        "supervisor.removeProcessGroup",
        configuration::remove,
        "boolean"["string"],
        "Removes a group whose processes have all stopped."
    ),
    method!("supervisor.restart", supervisor::restart, "boolean" [],
        "Stops everything, loads the configuration again and begins anew. Answers at once."),
    method!("supervisor.sendProcessStdin", processes::send_stdin, "boolean" ["string", "string"],
        "Writes text to a process's standard input."),
    method!("supervisor.sendRemoteCommEvent", supervisor::send_event, "boolean" ["string", "string"],
        "Tells the event listeners that have subscribed to REMOTE_COMMUNICATION."),
    method!("supervisor.shutdown", supervisor::shutdown, "boolean" [],
        "Stops everything and ends. Answers at once."),
    method!(
        "supervisor.signalAllProcesses",
        processes::signal_all,
        "array"["string"],
        "Sends a signal, by name or number, to all processes; answers with the result of each."
    ),
    method!("supervisor.signalProcess", processes::signal, "boolean" ["string", "string"],
        "Sends a signal, by name or number, to a process."),
    method!("supervisor.signalProcessGroup", processes::signal_group, "array" ["string", "string"],
        "Sends a signal, by name or number, to all processes of a group; answers with the result of each."),
    method!("supervisor.startAllProcesses", processes::start_all, "array" ["boolean"] optional 1,
        "Starts all processes; answers with the result of each."),
    method!("supervisor.startProcess", processes::start, "boolean" ["string", "boolean"] optional 1,
        "Starts a process and, unless told otherwise, waits until the start has succeeded. The name is \
         `name`, `group:name` or, for all of a group, `group:*`."),
    method!("supervisor.startProcessGroup", processes::start_group, "array" ["string", "boolean"] optional 1,
        "Starts all processes of a group; answers with the result of each."),
    method!("supervisor.stopAllProcesses", processes::stop_all, "array" ["boolean"] optional 1,
        "Stops all processes; answers with the result of each."),
    method!("supervisor.stopProcess", processes::stop, "boolean" ["string", "boolean"] optional 1,
        "Stops a process and, unless told otherwise, waits until it is gone."),
    method!("supervisor.stopProcessGroup", processes::stop_group, "array" ["string", "boolean"] optional 1,
        "Stops all processes of a group; answers with the result of each."),
    method!("supervisor.tailProcessLog", process_logs::tail_stdout, "array" ["string", "int", "int"], TAIL_HELP),
    method!("supervisor.tailProcessStderrLog", process_logs::tail_stderr, "array" ["string", "int", "int"],
        TAIL_HELP),
    method!("supervisor.tailProcessStdoutLog", process_logs::tail_stdout, "array" ["string", "int", "int"],
        TAIL_HELP),
    method!("system.listMethods", system::list_methods, "array" [], "Lists all methods."),
    method!(
        "system.methodHelp",
        system::method_help,
        "string"["string"],
        "Tells what a method does."
    ),
    method!(
        "system.methodSignature",
        system::method_signature,
        "array"["string"],
        "Tells the types of a method's result and parameters."
    ),
    method!(
        "system.multicall",
        system::multicall,
        "array"["array"],
        "Makes several calls, each a struct of methodName and params, one after the other. Each result is \
         the bare value or a struct of faultCode and faultString."
    ),
    method!("twiddler.addProgramToGroup", twiddler::add_program, "boolean" ["string", "string", "struct"],
        "Adds the processes of a program to a group: its name, the program's, and its options as in \
         the configuration file. They start if autostart says so."),
    method!("twiddler.getAPIVersion", twiddler::api_version, "int" [], VERSION_HELP),
    method!("twiddler.getGroupNames", twiddler::group_names, "array" [],
        "Lists the names of all groups."),
    method!("twiddler.log", twiddler::log, "boolean" ["string", "string|int"] optional 1,
        "Writes a line into the main log, at a level that is told by name or number."),
    method!("twiddler.removeProcessFromGroup", twiddler::remove_process, "boolean" ["string", "string"],
        "Removes a process that does not run from its group."),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn known(name: &str) -> Option<&'static Method> {
        let kinds = [Methods::Supervisor, Methods::Twiddler, Methods::Cache, Methods::Laforge];
        let namespaces = kinds.map(|methods| Namespace {
            name: listed(methods).to_owned(),
            methods,
            allowed: Vec::new(),
        });
        find(name, &namespaces).map(|(method, _)| method)
    }

    #[test]
    fn methods_are_offered_under_the_names_of_the_interfaces() {
        let named = |names: &[&str]| {
            names.iter().map(|name| Namespace::supervisor(name)).collect::<Vec<_>>()
        };

        assert_eq!(names(&[]).len(), 4, "those of `system` are always there");
        assert!(find("supervisor.getPID", &[]).is_none());
        assert!(find("system.listMethods", &[]).is_some());
        let other = named(&["other"]);
        assert!(
            find("other.getPID", &other).is_some() && find("supervisor.getPID", &other).is_none()
        );
        assert_eq!(names(&named(&["other", "supervisor"])).len(), 4 + 2 * 37);
        assert!(find("system.getPID", &named(&["system"])).is_none());
        assert_eq!(names(&named(&["system"])).len(), 4);
    }

    #[test]
    fn of_two_interfaces_with_one_name_the_last_counts() {
        let mut both = vec![Namespace::supervisor("x"), Namespace::supervisor("x")];
        both[1].methods = Methods::Cache;

        assert!(find("x.getPID", &both).is_none() && find("x.fetch", &both).is_some());
        assert_eq!(names(&both).len(), 4 + 7);
    }

    #[test]
    fn the_table_is_sorted_and_complete() {
        assert!(METHODS.is_sorted_by(|one, other| one.name < other.name));
        assert_eq!(METHODS.len(), 41 + 7 + 4 + 5);
        for method in METHODS {
            assert!(known(method.name).is_some(), "{}", method.name);
        }
    }

    #[test]
    fn only_what_is_optional_may_be_left_out() {
        let start = known("supervisor.startProcess").unwrap();
        let taken: Vec<usize> = (0..5).filter(|given| start.takes(*given)).collect();
        assert_eq!(taken, [1, 2]);

        let pid = known("supervisor.getPID").unwrap();
        assert!(pid.takes(0) && !pid.takes(1));
    }

    #[test]
    fn what_is_not_in_the_table_is_not_found() {
        for name in [
            "",
            "getState",
            "supervisor",
            "supervisor._update",
            "supervisor.nope",
            "other.getState",
            "supervisor.getState.x",
        ] {
            assert!(known(name).is_none(), "{name}");
        }
    }
}
