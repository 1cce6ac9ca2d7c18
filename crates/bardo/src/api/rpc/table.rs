//! The only list of XML-RPC methods.

use std::sync::Arc;

use super::parameters::Parameters;
use super::{Running, configuration, process_logs, processes, supervisor, system};
use crate::api::Context;

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

/// The namespace under which the table has Supervisor's methods.
const SUPERVISOR: &str = "supervisor";

/// The method of that name, where these namespaces offer Supervisor's methods: each
/// `[rpcinterface:x]` gives them the name `x`, which is mostly `supervisor`.
pub(super) fn find(name: &str, namespaces: &[String]) -> Option<&'static Method> {
    let (namespace, rest) = name.split_once('.')?;
    let wanted = match namespace {
        "system" => name.to_owned(),
        _ if namespaces.iter().any(|there| there == namespace) => format!("{SUPERVISOR}.{rest}"),
        _ => return None,
    };
    // The table is sorted.
    let place = METHODS.binary_search_by(|method| method.name.cmp(&wanted));
    place.ok().map(|place| &METHODS[place])
}

/// The names of all methods, where these namespaces offer Supervisor's.
pub(super) fn names(namespaces: &[String]) -> Vec<String> {
    let mut names: Vec<String> = METHODS
        .iter()
        .filter_map(|method| method.name.split_once('.'))
        .flat_map(|(namespace, rest)| {
            let offered = if namespace == SUPERVISOR { namespaces } else { &[] };
            let own = (namespace != SUPERVISOR).then(|| format!("{namespace}.{rest}"));
            own.into_iter().chain(offered.iter().map(move |name| format!("{name}.{rest}")))
        })
        .collect();
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
];

#[cfg(test)]
mod tests {
    use super::*;

    fn known(name: &str) -> Option<&'static Method> {
        find(name, &["supervisor".to_owned()])
    }

    #[test]
    fn methods_are_offered_under_the_names_of_the_interfaces() {
        let named =
            |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();

        assert_eq!(names(&[]).len(), 4, "those of `system` are always there");
        assert!(find("supervisor.getPID", &[]).is_none());
        assert!(find("system.listMethods", &[]).is_some());
        let other = named(&["other"]);
        assert!(
            find("other.getPID", &other).is_some() && find("supervisor.getPID", &other).is_none()
        );
        assert_eq!(names(&named(&["other", "supervisor"])).len(), 4 + 2 * 37);
        assert!(find("system.getPID", &named(&["system"])).is_none());
    }

    #[test]
    fn the_table_is_sorted_and_complete() {
        assert!(METHODS.is_sorted_by(|one, other| one.name < other.name));
        assert_eq!(METHODS.len(), 41);
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
