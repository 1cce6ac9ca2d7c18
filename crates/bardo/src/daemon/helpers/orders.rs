//! What a process of ours is to become: its words, its variables, its user.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use bardo_core::SpawnError;
use bardo_core::decision::Reason;
use bardo_core::service::Service;
use bardo_sys::plan::{HoldsNul, Plan, Strings};
use bardo_sys::setup::Setup;
use rustix::fs::{Mode, OFlags, open};
use rustix::io::Errno;

use crate::daemon::settings::Server;
use crate::names;

pub(super) const SHELL: &str = "/bin/sh";

/// Where a script looks for programs.
const PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// MINIX's word for why a service is no more, and ours beside them.
fn word(reason: Reason) -> &'static str {
    match reason {
        Reason::NoHeartbeat => "no-heartbeat",
        Reason::Restart => "restart",
        Reason::Health => "health",
        Reason::OutOfMemory => "oom",
        Reason::Terminated | Reason::InitTimeout | Reason::InitFailed(_) | Reason::CannotResume => {
            "terminated"
        }
    }
}

/// The path of a server's socket file.
pub(super) fn socket_path(server: &Server) -> Option<&str> {
    match &server.address {
        crate::daemon::settings::Address::File(path) => Some(path),
        crate::daemon::settings::Address::Port(..) => None,
    }
}

/// `/bin/sh SCRIPT LABEL REASON RESTARTS`, with two variables.
///
/// # Errors
/// When a word holds a NUL.
pub(super) fn script(
    service: &Service,
    path: &str,
    (reason, restarts): (Reason, u32),
    socket: Option<&str>,
) -> Result<Arc<Plan>, SpawnError> {
    let label = names::namespec(&service.group, &service.spec.name);
    let restarts = restarts.to_string();
    let words = [SHELL, path, &label, word(reason), &restarts];
    let socket = socket.map(|path| format!("BARDO_SOCKET={path}"));
    let variables = [Some(PATH), socket.as_deref()];
    Ok(Arc::new(Plan {
        words: strings(&mut words.into_iter())?,
        variables: strings(&mut variables.into_iter().flatten())?,
        directory: strings(&mut ["/"].into_iter())?,
        setup: Some(alone()),
        ..Plan::default()
    }))
}

/// `/bin/sh -c COMMAND`, as the user of a service, with its variables, in its directory and
/// confined as it is.
///
/// # Errors
/// When the command holds a NUL.
pub(super) fn command(command: &str, own: &Plan) -> Result<Arc<Plan>, SpawnError> {
    let setup = own.setup.as_deref().cloned().unwrap_or_default();
    Ok(Arc::new(Plan {
        words: strings(&mut [SHELL, "-c", command].into_iter())?,
        search_path: Strings::default(),
        ignore_sigpipe: false,
        setup: Some(Arc::new(Setup { new_session: true, ..setup })),
        image: None,
        ..own.clone()
    }))
}

/// It leads a session of its own, so that all of it can be ended at once.
fn alone() -> Arc<Setup> {
    Arc::new(Setup { new_session: true, ..Setup::default() })
}

fn strings(texts: &mut dyn Iterator<Item = &str>) -> Result<Strings, SpawnError> {
    Strings::new(texts.map(str::as_bytes)).map_err(|_: HoldsNul| SpawnError::NotFound)
}

/// What is read and written by who has nothing to read or to say.
///
/// # Errors
/// When there is no descriptor.
pub(super) fn null() -> Result<OwnedFd, Errno> {
    open("/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())
}

#[cfg(test)]
mod tests {
    use bardo_sys::plan::Identity;

    use super::*;

    #[test]
    fn the_shell_is_given_a_command_as_it_stands() {
        let plan = command("exit '1 2'", &Plan::default()).unwrap();

        let words: Vec<&str> = plan.words.iter().map(|word| word.to_str().unwrap()).collect();

        assert_eq!(words, ["/bin/sh", "-c", "exit '1 2'"]);
    }

    #[test]
    fn a_command_is_its_services_user_and_is_confined_as_it_is() {
        let identity = Arc::new(Identity { uid: 7, gid: 8, groups: [9].into() });
        let setup = Setup { nice: Some(5), confined: true, ..Setup::default() };
        let own = Plan {
            variables: strings(&mut ["A=1"].into_iter()).unwrap(),
            identity: Some(identity.clone()),
            umask: Some(0o77),
            setup: Some(Arc::new(setup.clone())),
            ..Plan::default()
        };

        let plan = command("true", &own).unwrap();

        assert_eq!(plan.identity, Some(identity));
        assert_eq!((plan.umask, &plan.variables), (Some(0o77), &own.variables));
        assert_eq!(plan.setup.as_deref(), Some(&Setup { new_session: true, ..setup }));
    }

    #[test]
    fn a_script_is_told_minixs_words() {
        let words = [Reason::Terminated, Reason::NoHeartbeat, Reason::Restart].map(word);

        assert_eq!(words, ["terminated", "no-heartbeat", "restart"]);
    }
}
