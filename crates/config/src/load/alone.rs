//! The processes of one program that no file names: a client describes it while the
//! daemon runs.

use std::sync::Arc;

use bardo_core::ServiceSpec;
use bardo_core::spec::EndsAll;

use super::{Messages, Source, programs, variable};
use crate::error::ConfigError;
use crate::host::Host;
use crate::ini::{Ini, Section};
use crate::options::PROGRAM_OPTIONS;
use crate::path::{absolute, parent};

/// Most bytes that a client may describe at once: sixteen thousand processes of the usual
/// kind.
const DESCRIBED_BYTES_MAX: u64 = 16 << 20;

/// What a process costs beside its options.
const PROCESS_BYTES: u64 = 1 << 10;

/// A program as a client describes it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Described {
    /// The configuration file that it could stand in: values may name its directory.
    pub file: String,
    /// The group whose member it is to be.
    pub group: String,
    /// What would follow `program:` in its section's name.
    pub name: String,
    /// Its options.
    pub options: Vec<(String, String)>,
    /// What `environment=` of `[supervisord]` sets. It may be named, and is not handed
    /// down: Supervisor leaves it out here.
    pub variables: Vec<(String, String)>,
}

/// The processes of a program that a client describes, in start order.
///
/// # Errors
///
/// Everything that Supervisor refuses, in its words.
pub fn load_program(
    host: &dyn Host,
    described: &Described,
) -> Result<Vec<Arc<ServiceSpec>>, ConfigError> {
    let mut ini = Ini::default();
    let title = format!("program:{}", described.name);
    ini.add(&described.file, &title, &described.options);
    let variables = host.environment().into_iter().chain(described.variables.iter().cloned());
    let source = Source {
        host,
        here: absolute(host, parent(&described.file)),
        node: host.name(),
        ini,
        variables: variables.map(|(name, text)| variable(&name, text)).collect(),
    };
    let section = source.ini.section(&title).expect("the section was added just now");
    check_size(&source, section, described)?;
    let bytes_max = usize::try_from(DESCRIBED_BYTES_MAX).ok();
    let ends_all = EndsAll::Never;
    let given = programs::Given { environment: &[], socket: None, bytes_max, ends_all };
    programs::services(&source, section, &described.group, &given, &mut Messages::default())
}

/// Most bytes of the options of one process: a width makes them some thousand times as
/// long when they are expanded.
const EACH_BYTES_MAX: u64 = 32 << 10;

/// Refuses what would fill the memory before it fills it: whoever writes the file may ask
/// for as much, a client may not.
fn check_size(
    source: &Source<'_>,
    section: &Section,
    described: &Described,
) -> Result<(), ConfigError> {
    let draft = source.section_with_here(section).read(PROGRAM_OPTIONS);
    // What is wrong with an option is told by whoever reads all of them.
    let processes = draft.map_or(1, |draft| u64::try_from(draft.numprocs).unwrap_or(0));
    let lengths = described.options.iter().map(|(key, text)| key.len() + text.len());
    let each = lengths.sum::<usize>() as u64 + PROCESS_BYTES;
    if processes.saturating_mul(each) < DESCRIBED_BYTES_MAX && each < EACH_BYTES_MAX {
        return Ok(());
    }
    let error = ConfigError::TooMuch { most: DESCRIBED_BYTES_MAX, each: PROCESS_BYTES };
    Err(ConfigError::Process {
        error: Box::new(error),
        section: section.name().to_owned(),
        file: section.file().to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake::FakeHost;

    fn described(options: &[(&str, &str)]) -> Described {
        let text = |text: &str| text.to_owned();
        Described {
            file: text("/etc/s.conf"),
            group: text("web"),
            name: text("cat"),
            options: options.iter().map(|(key, value)| (text(key), text(value))).collect(),
            variables: vec![(text("COLOUR"), text("red"))],
        }
    }

    #[test]
    fn a_described_program_is_read_like_a_section() {
        let options = [
            ("COMMAND", "/bin/cat %(group_name)s %(here)s %(ENV_COLOUR)s"),
            ("numprocs", "2"),
            ("process_name", "%(program_name)s_%(process_num)d"),
            ("nonsense", "is passed over"),
        ];

        let services = load_program(&FakeHost::new(), &described(&options)).unwrap();

        let names: Vec<&str> = services.iter().map(|service| &*service.name).collect();
        assert_eq!(names, ["cat_0", "cat_1"]);
        assert_eq!(&*services[0].command, "/bin/cat web /etc red");
        assert!(services[0].environment.is_empty(), "that of [supervisord] is left out");
    }

    #[test]
    fn a_client_may_not_ask_for_more_than_memory_can_hold() {
        let many =
            |number| [("command", "x"), ("numprocs", number), ("process_name", "%(process_num)d")];

        assert_eq!(
            load_program(&FakeHost::new(), &described(&many("10000"))).unwrap().len(),
            10_000
        );
        let error = load_program(&FakeHost::new(), &described(&many("1000000000"))).unwrap_err();
        assert!(error.to_string().starts_with("numprocs is too great for options of this length"));
    }

    #[test]
    fn what_is_wrong_with_a_described_program_is_told_as_of_a_file() {
        let error = load_program(&FakeHost::new(), &described(&[])).unwrap_err();

        assert_eq!(
            error.to_string(),
            "program section program:cat does not specify a command in section 'program:cat' \
             (file: '/etc/s.conf')"
        );
    }
}
