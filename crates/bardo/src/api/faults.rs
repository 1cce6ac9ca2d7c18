//! What clients are told when something is not done: Supervisor's numbers and
//! texts.

use std::fmt;

use bardo_core::{Refusal, SpawnError};
use bardo_wire::xmlrpc::FaultText;

use crate::names;
use crate::words;

/// A fault number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Code {
    UnknownMethod = 1,
    IncorrectParameters = 2,
    BadArguments = 3,
    SignatureUnsupported = 4,
    ShutdownState = 6,
    BadName = 10,
    BadSignal = 11,
    NoFile = 20,
    NotExecutable = 21,
    Failed = 30,
    AbnormalTermination = 40,
    SpawnError = 50,
    AlreadyStarted = 60,
    NotRunning = 70,
    Success = 80,
    AlreadyAdded = 90,
    StillRunning = 91,
    CantReread = 92,
    NotAllowed = 230,
}

impl Code {
    /// Its name, with which its text begins.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::UnknownMethod => "UNKNOWN_METHOD",
            Self::IncorrectParameters => "INCORRECT_PARAMETERS",
            Self::BadArguments => "BAD_ARGUMENTS",
            Self::SignatureUnsupported => "SIGNATURE_UNSUPPORTED",
            Self::ShutdownState => "SHUTDOWN_STATE",
            Self::BadName => "BAD_NAME",
            Self::BadSignal => "BAD_SIGNAL",
            Self::NoFile => "NO_FILE",
            Self::NotExecutable => "NOT_EXECUTABLE",
            Self::Failed => "FAILED",
            Self::AbnormalTermination => "ABNORMAL_TERMINATION",
            Self::SpawnError => "SPAWN_ERROR",
            Self::AlreadyStarted => "ALREADY_STARTED",
            Self::NotRunning => "NOT_RUNNING",
            Self::Success => "SUCCESS",
            Self::AlreadyAdded => "ALREADY_ADDED",
            Self::StillRunning => "STILL_RUNNING",
            Self::CantReread => "CANT_REREAD",
            // Supervisor does not know the name of this number of the twiddler's.
            Self::NotAllowed => "UNKNOWN",
        }
    }
}

/// A refusal on its way to a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) code: Code,
    pub(super) text: String,
}

impl Fault {
    /// A fault whose text is its name.
    pub(super) fn bare(code: Code) -> Self {
        Self { code, text: code.name().to_owned() }
    }

    /// A fault that says more.
    pub(super) fn with(code: Code, extra: impl fmt::Display) -> Self {
        Self { code, text: format!("{}: {extra}", code.name()) }
    }
}

impl From<Fault> for FaultText {
    fn from(fault: Fault) -> Self {
        Self { code: fault.code as i32, text: fault.text }
    }
}

/// The fault for what the core refuses; `name` is what the client called it.
pub(super) fn refused(refusal: &Refusal, name: &str) -> Fault {
    match refusal {
        Refusal::NoSuchName => Fault::with(Code::BadName, name),
        Refusal::NoSuchGroup => Fault::with(Code::BadName, format_args!("group: {name}")),
        Refusal::NameTaken(taken) => Fault::with(Code::BadName, taken),
        Refusal::TakesNoPrograms => Fault::with(
            Code::IncorrectParameters,
            format_args!("the group {name} takes no ordinary programs"),
        ),
        Refusal::TableFull => Fault::with(
            Code::Failed,
            "no more programs can be added than there is room for; remove some first",
        ),
        Refusal::AlreadyStarted => Fault::with(Code::AlreadyStarted, name),
        Refusal::NotRunning => Fault::with(Code::NotRunning, name),
        Refusal::UnknownState => {
            Fault::with(Code::Failed, format_args!("{name} is in an unknown process state"))
        }
        Refusal::SignalFailed { pid, errand, errno } => {
            let process = names::parse(name).process.unwrap_or(name);
            Fault::with(Code::Failed, words::signal_problem(process, *pid, *errand, *errno))
        }
        Refusal::SpawnFailed(_) => Fault::with(Code::SpawnError, name),
        Refusal::EndedEarly => Fault::with(Code::AbnormalTermination, name),
        Refusal::AlreadyAdded => Fault::with(Code::AlreadyAdded, name),
        Refusal::StillRunning => Fault::with(Code::StillRunning, name),
        Refusal::ShuttingDown | Refusal::Resting => Fault::bare(Code::ShutdownState),
        // Only `service` is refused for these reasons: it has numbers and words of its own.
        Refusal::NotPermitted
        | Refusal::NoSuchLabel
        | Refusal::LabelTaken
        | Refusal::DeviceTaken
        | Refusal::Busy
        | Refusal::Terminated
        | Refusal::StillUp
        | Refusal::Critical
        | Refusal::FromFile
        | Refusal::Died
        | Refusal::NotYet => Fault::with(Code::Failed, name),
    }
}

/// The fault for a program that cannot be started, found out before the start;
/// `text` says why.
pub(super) fn not_startable(error: SpawnError, text: &str) -> Fault {
    match error {
        SpawnError::NotFound => Fault::with(Code::NoFile, text),
        SpawnError::NoClosingQuotation
        | SpawnError::NoEscapedCharacter
        | SpawnError::Empty
        | SpawnError::IsDirectory
        | SpawnError::NotExecutable
        | SpawnError::NotPermitted => Fault::with(Code::NotExecutable, text),
        SpawnError::Pipes(_)
        | SpawnError::Clone(_)
        | SpawnError::Socket(_)
        | SpawnError::Exec(_)
        | SpawnError::Variables(_)
        | SpawnError::Prepare(..) => Fault::with(Code::SpawnError, text),
    }
}

#[cfg(test)]
mod tests {
    use bardo_core::{Errand, Pid};

    use super::*;

    #[test]
    fn a_refusal_names_its_target() {
        let fault = refused(&Refusal::NotRunning, "g:p");

        assert_eq!((fault.code as i32, &*fault.text), (70, "NOT_RUNNING: g:p"));
    }

    #[test]
    fn a_signal_that_failed_names_the_process_alone() {
        let refusal = Refusal::SignalFailed { pid: Some(Pid(9)), errand: Errand::Stop, errno: 1 };

        let fault = refused(&refusal, "g:p");

        let text = "FAILED: unknown problem killing p (9): [Errno 1] Operation not permitted";
        assert_eq!((fault.code as i32, &*fault.text), (30, text));
    }

    #[test]
    fn a_shutdown_says_nothing_more() {
        let fault = refused(&Refusal::ShuttingDown, "p");

        assert_eq!((fault.code as i32, &*fault.text), (6, "SHUTDOWN_STATE"));
    }

    #[test]
    fn only_a_missing_file_is_a_missing_file() {
        assert_eq!(not_startable(SpawnError::NotFound, "x").code, Code::NoFile);
        assert_eq!(
            not_startable(SpawnError::Empty, "command is empty").text,
            "NOT_EXECUTABLE: command is empty"
        );
    }
}
