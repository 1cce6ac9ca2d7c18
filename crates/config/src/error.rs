//! Why a configuration was refused.
//!
//! The texts are Supervisor's, because scripts and people search for them: a face
//! prints `Error: ` before them, XML-RPC `CANT_REREAD: `.

use std::fmt;

use crate::expand::ExpandError;
use crate::python::Repr;
use crate::value::ValueError;

/// Why a configuration was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// No file was named, and none is where one is looked for.
    #[error(
        "No config file found at default paths ({}); use the -c option to specify a config file \
         at a different path",
        .0.join(", ")
    )]
    NotFound(Vec<String>),
    /// The file is not there.
    #[error("could not find config file {0}")]
    Missing(String),
    /// The file is there and cannot be read.
    #[error("could not read config file {0}")]
    Unreadable(String),
    /// The file is not UTF-8.
    #[error("{reason}")]
    NotUtf8 {
        /// Python's words for it.
        reason: String,
    },
    /// A line before the first section.
    #[error("File contains no section headers.\nfile: {}, line: {line}\n{}", Repr(.file), Repr(.text))]
    NoSectionHeaders {
        /// The file.
        file: String,
        /// The line, counted from 1.
        line: usize,
        /// What stands there.
        text: String,
    },
    /// Lines that are neither a section nor a key.
    #[error("Source contains parsing errors: {}{}", Repr(.file), Lines(.lines))]
    BadLines {
        /// The file.
        file: String,
        /// All of them.
        lines: Vec<BadLine>,
    },
    /// The section that every server's file has is not there.
    #[error(".ini file does not include supervisord section")]
    NoServerSection,
    /// The section that every client's file has is not there.
    #[error(".ini file does not include supervisorctl section")]
    NoControlSection,
    /// `[include]` without `files`.
    #[error(".ini file has [include] section, but no files setting")]
    IncludesNothing,
    /// A bad value.
    #[error(transparent)]
    Value(#[from] ValueError),
    /// A text with `%(name)s` that cannot be expanded.
    #[error(transparent)]
    Expand(#[from] ExpandError),
    /// Something is wrong with the value of a command line flag.
    #[error("invalid value for {flag} {}: {error}", Repr(.text))]
    Flag {
        /// The flag as it was written.
        flag: String,
        /// Its value.
        text: String,
        /// What is wrong.
        error: Box<ConfigError>,
    },
    /// Something is wrong with a process of a section.
    #[error("{error} in section {} (file: {})", Repr(.section), Repr(.file))]
    Process {
        /// What is wrong.
        error: Box<ConfigError>,
        /// The section.
        section: String,
        /// The file in which it first appeared.
        file: String,
    },
    /// Something is wrong with an option of it that Supervisor does not have.
    #[error("{error} in section {} (file: {}, line: {line})", Repr(.section), Repr(.file))]
    OwnOption {
        /// What is wrong.
        error: Box<ConfigError>,
        /// The section.
        section: String,
        /// The file in which the option stands.
        file: String,
        /// The line, counted from 1.
        line: usize,
    },
    /// A program without a command.
    #[error("program section {0} does not specify a command")]
    NoCommand(String),
    /// A program that a client describes and that would take too much memory.
    #[error(
        "numprocs is too great for options of this length: their product must stay below {most} \
         bytes, with {each} bytes more for each process"
    )]
    TooMuch {
        /// The most.
        most: u64,
        /// What a process costs beside its options.
        each: u64,
    },
    /// The same, when its values have been expanded.
    #[error("what the options of all processes expand to must stay below {0} bytes")]
    ExpandsToTooMuch(usize),
    /// Several processes of one name.
    #[error("%(process_num) must be present within process_name when numprocs > 1")]
    NoProcessNumber,
    /// A signal for the group and SIGKILL for one process would leave orphans.
    #[error("Cannot set stopasgroup=true and killasgroup=false")]
    StopsGroupKillsProcess,
    /// A program that is ready when its health is good, and nothing says what that is.
    #[error("ready=health needs one of health_command, health_http and health_tcp")]
    NoHealthCheck,
    /// A program that is examined in two ways.
    #[error("{first} and {second} cannot both be set: a program has one check of its health")]
    TwoHealthChecks {
        /// One of them.
        first: &'static str,
        /// The other.
        second: &'static str,
    },
    /// A dependency on something that is not there.
    #[error("{place}: [{section}] depends on {dependency}, and no program is called that")]
    UnknownDependency {
        /// `file:line`.
        place: String,
        /// The section.
        section: String,
        /// What it depends on.
        dependency: String,
    },
    /// A dependency on what a group has not: a process, or a condition that there is not.
    #[error(
        "{place}: [{section}] depends on {group}:{name}, and {group} has no process {name}; \
         a condition is ready or started"
    )]
    UnknownMember {
        /// `file:line`.
        place: String,
        /// The section.
        section: String,
        /// The group.
        group: String,
        /// What stands behind it.
        name: String,
    },
    /// A dependency that could be several things.
    #[error(
        "{place}: [{section}] depends on {dependency}, and several groups have a process of that \
         name: {}",
        .candidates.join(", ")
    )]
    AmbiguousDependency {
        /// `file:line`.
        place: String,
        /// The section.
        section: String,
        /// What it depends on.
        dependency: String,
        /// What could be meant.
        candidates: Vec<String>,
    },
    /// Programs of which each waits for the next.
    #[error("{place}: depends_on goes in a circle: {}", .circle.join(" -> "))]
    CircularDependency {
        /// `file:line`.
        place: String,
        /// The section.
        section: String,
        /// Those in the circle, the first one at its end again.
        circle: Vec<String>,
    },
    /// Everything is to end with a program that is not there.
    #[error("{place}: exit_on names {program}, and no program is called that")]
    UnknownEnd {
        /// `file:line`.
        place: String,
        /// The name.
        program: String,
    },
    /// A group of a program that is not there.
    #[error("[{section}] names unknown program or fcgi-program {program}")]
    UnknownProgram {
        /// The section.
        section: String,
        /// The program.
        program: String,
    },
    /// A group of a program that is there twice.
    #[error("[{section}] name {program} is ambiguous (exists as program and fcgi-program)")]
    AmbiguousProgram {
        /// The section.
        section: String,
        /// The program.
        program: String,
    },
    /// A listener's buffer that holds nothing.
    #[error("[{section}] section sets invalid buffer_size ({size})")]
    BufferSize {
        /// The section.
        section: String,
        /// The size.
        size: i64,
    },
    /// A unit that no event is measured in.
    #[error("[{section}] section sets invalid event_length ({text}): characters or bytes")]
    EventLength {
        /// The section.
        section: String,
        /// What it says.
        text: String,
    },
    /// A listener without events.
    #[error("[{0}] section requires an \"events\" line")]
    NoEvents(String),
    /// An event that is never sent.
    #[error("Unknown event type {event} in [{section}] events")]
    UnknownEvent {
        /// The section.
        section: String,
        /// The event, upper case.
        event: String,
    },
    /// A listener's standard error must not disturb the protocol.
    #[error(
        "[{0}] section sets redirect_stderr=true but this is not allowed because it will \
         interfere with the eventlistener protocol"
    )]
    ListenerRedirects(String),
    /// A FastCGI program without a socket.
    #[error("[{0}] section requires a \"socket\" line")]
    NoSocket(String),
    /// Something is wrong with the socket of a FastCGI program.
    #[error("{error} in [{section}] socket")]
    Socket {
        /// What is wrong.
        error: ValueError,
        /// The section.
        section: String,
    },
    /// An interface or plugin that does not say what makes it.
    #[error("section [{section}] does not specify a {key}")]
    NoFactory {
        /// The section.
        section: String,
        /// The key that is missing.
        key: &'static str,
    },
    /// A Python object that only Python could load.
    #[error("{object} cannot be resolved within [{section}]")]
    Unresolved {
        /// Its import path.
        object: String,
        /// The section.
        section: String,
    },
    /// An inet server without a port.
    #[error("section [{0}] has no port value")]
    NoPort(String),
    /// A server on a socket file without the file.
    #[error("section [{0}] has no file value")]
    NoFile(String),
    /// A user name without a password, or the reverse.
    #[error(
        "Section [{0}] contains incomplete authentication: If a username or a password is \
         specified, both the username and password must be specified"
    )]
    IncompleteAuthentication(String),
    /// A port without a password where `[supervisord]` wants one.
    #[error(
        "section [{0}] has no user name and password, and [supervisord] says require_password=true"
    )]
    NoPassword(String),
}

impl ConfigError {
    /// What is wrong, without the place that the text of some has: for whoever tells the place
    /// himself.
    #[must_use]
    pub fn without_place(&self) -> String {
        let text = self.to_string();
        match self {
            Self::UnknownDependency { place, .. }
            | Self::UnknownMember { place, .. }
            | Self::AmbiguousDependency { place, .. }
            | Self::CircularDependency { place, .. }
            | Self::UnknownEnd { place, .. } => match text.strip_prefix(&format!("{place}: ")) {
                Some(rest) => rest.to_owned(),
                None => text,
            },
            Self::OwnOption { error, section, file, .. } => {
                let (error, section, file) = (error.clone(), section.clone(), file.clone());
                Self::Process { error, section, file }.to_string()
            }
            _ => text,
        }
    }
}

/// A line that is neither a section nor a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadLine {
    /// Its number, counted from 1.
    pub number: usize,
    /// Its text, with the newline.
    pub text: String,
}

struct Lines<'a>(&'a [BadLine]);

impl fmt::Display for Lines<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let write =
            |line: &BadLine| write!(f, "\n\t[line {:2}]: {}", line.number, Repr(&line.text));
        self.0.iter().try_for_each(write)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_bad_lines_are_told() {
        let line = |number, text: &str| BadLine { number, text: text.to_owned() };
        let lines = vec![line(3, "garbage line\n"), line(124, "more 'bad'")];

        let error = ConfigError::BadLines { file: "FILE".to_owned(), lines };

        assert_eq!(
            error.to_string(),
            "Source contains parsing errors: 'FILE'\n\t[line  3]: 'garbage line\\n'\
             \n\t[line 124]: \"more 'bad'\""
        );
    }

    #[test]
    fn a_line_before_all_sections_is_told_on_three_lines() {
        let error = ConfigError::NoSectionHeaders {
            file: "FILE".to_owned(),
            line: 1,
            text: "foo=bar\n".to_owned(),
        };

        assert_eq!(
            error.to_string(),
            "File contains no section headers.\nfile: 'FILE', line: 1\n'foo=bar\\n'"
        );
    }

    #[test]
    fn an_error_of_a_process_says_where() {
        let error = ConfigError::Process {
            error: Box::new(ValueError::Boolean("maybe".to_owned()).into()),
            section: "program:x".to_owned(),
            file: "/etc/s.conf".to_owned(),
        };

        assert_eq!(
            error.to_string(),
            "not a valid boolean value: 'maybe' in section 'program:x' (file: '/etc/s.conf')"
        );
    }
}
