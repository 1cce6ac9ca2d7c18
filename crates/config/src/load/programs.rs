//! The processes of one section.
//!
//! Ten thousand of them must stay small: they share one [`ProgramSpec`], and every
//! text that comes out equal to that of the process before is the same in memory.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bardo_core::ServiceSpec;
use bardo_core::spec::care::Check;
use bardo_core::spec::{
    Backoff, Care, EndsAll, LogSpec, LogTarget, ProgramSpec, Reach, RestartPolicy, Seconds,
    SocketSpec, StopPolicy,
};

use super::{Messages, SectionReader, Source, shared};
use crate::error::ConfigError;
use crate::expand::Value;
use crate::ini::Section;
use crate::options::{
    CARE_OPTIONS, CareDraft, Expansion, LogDraft, PROCESS_OPTIONS, PROGRAM_OPTIONS, ProcessDraft,
    ProgramDraft, StreamDraft,
};
use crate::value::{self, LogFile};

/// The wait after the first failed start, and what each further one adds.
const BACKOFF_STEP: Duration = Duration::from_secs(1);

/// What the processes of a section have from elsewhere.
pub(super) struct Given<'a> {
    /// The variables of `[supervisord]`.
    pub(super) environment: &'a [(Arc<str>, Arc<str>)],
    /// The listening socket that they share.
    pub(super) socket: Option<Arc<SocketSpec>>,
    /// Most bytes of all that is expanded; a file may have as many as it likes.
    pub(super) bytes_max: Option<usize>,
    /// With which of their ends everything ends.
    pub(super) ends_all: EndsAll,
}

/// The processes of a section, in start order. Every error says where it is.
pub(super) fn services(
    source: &Source<'_>,
    section: &Section,
    group: &str,
    given: &Given<'_>,
    messages: &mut Messages,
) -> Result<Vec<Arc<ServiceSpec>>, ConfigError> {
    read(source, section, group, given, messages).map_err(|error| match error {
        error @ ConfigError::OwnOption { .. } => error,
        // A section that an included file repeats still belongs to the first.
        error => ConfigError::Process {
            error: Box::new(error),
            section: section.name().to_owned(),
            file: section.file().to_owned(),
        },
    })
}

fn read(
    source: &Source<'_>,
    section: &Section,
    group: &str,
    given: &Given<'_>,
    messages: &mut Messages,
) -> Result<Vec<Arc<ServiceSpec>>, ConfigError> {
    let program_name = value::name(section.suffix().unwrap_or_default())?;
    let mut reader = reader(source, section, program_name, group);
    let draft = reader.read(PROGRAM_OPTIONS)?;
    draft.check()?;
    warn_of_program(section.name(), &draft, messages);
    let program = Arc::new(ProgramSpec {
        socket: given.socket.clone(),
        ends_all: given.ends_all,
        ..program_spec(&draft)
    });
    let own_name: Arc<str> = program_name.into();
    let mut services: Vec<Arc<ServiceSpec>> = Vec::new();
    let mut bytes = 0;
    for offset in 0..draft.numprocs {
        let number = draft.numprocs_start.saturating_add(offset);
        reader.names.set("process_num", Value::Integer(number));
        reader.names.set("numprocs", Value::Integer(draft.numprocs));
        let process = read_process(&mut reader)?;
        let care = read_care(&reader)?.map(|draft| draft.care(&own_name)).transpose()?;
        warn_of_process(section.name(), &draft, &process, messages);
        let name = reader.expand("process_name", Expansion::Unlabelled, &draft.process_name)?;
        let sibling = services.last().map(Arc::as_ref);
        let streams = (&draft.stdout, &draft.stderr);
        let program = with_care(&program, care, sibling);
        let service = service_spec(&program, &name, &process, streams, given.environment, sibling);
        bytes += expanded_bytes(&service);
        if let Some(most) = given.bytes_max.filter(|most| bytes > *most) {
            return Err(ConfigError::ExpandsToTooMuch(most));
        }
        services.push(Arc::new(service));
    }
    services.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(services)
}

/// A section of processes, with the names that all of them know.
pub(crate) fn reader<'s>(
    source: &'s Source<'_>,
    section: &'s Section,
    program: &str,
    group: &str,
) -> SectionReader<'s> {
    let mut reader = source.section_with_here(section);
    for (name, text) in
        [("program_name", program), ("host_node_name", source.node.as_str()), ("group_name", group)]
    {
        reader.names.set(name, Value::Text(text.to_owned()));
    }
    reader
}

/// Reads what differs between processes. The variables that `environment` sets can
/// be named by the options below it.
fn read_process(reader: &mut SectionReader<'_>) -> Result<ProcessDraft, ConfigError> {
    reader.names.reset();
    let mut process = ProcessDraft::default();
    for entry in PROCESS_OPTIONS {
        reader.read_one(entry, &mut process)?;
        if entry.name == "environment" {
            for (key, text) in &process.environment {
                reader.names.set(&format!("ENV_{key}"), Value::Text(text.clone()));
            }
        }
    }
    Ok(process)
}

/// Whether a section asks for anything beyond Supervisor's rules.
pub(crate) fn has_care(source: &Source<'_>, section: &Section) -> bool {
    CARE_OPTIONS.iter().any(|entry| source.ini.get(section, entry.name).is_some())
}

/// Reads what a process is to have beyond Supervisor's rules; none where the section asks
/// for nothing.
fn read_care(reader: &SectionReader<'_>) -> Result<Option<CareDraft>, ConfigError> {
    if !has_care(reader.source, reader.section) {
        return Ok(None);
    }
    let mut draft = CareDraft::default();
    for entry in CARE_OPTIONS {
        reader.read_one(entry, &mut draft).map_err(|error| at_line(reader, entry.name, error))?;
    }
    Ok(Some(draft))
}

/// The error of an option with its line, where that stands in the file of its section.
fn at_line(reader: &SectionReader<'_>, option: &str, error: ConfigError) -> ConfigError {
    match reader.source.ini.get(reader.section, option) {
        Some(entry) if entry.line > 0 && *entry.file == *reader.section.file() => {
            ConfigError::OwnOption {
                error: Box::new(error),
                section: reader.section.name().to_owned(),
                file: entry.file.to_string(),
                line: entry.line,
            }
        }
        _ => error,
    }
}

/// The program with what one of its processes asks for: that of the process before, if it
/// asks for the same.
fn with_care(
    program: &Arc<ProgramSpec>,
    care: Option<Care>,
    sibling: Option<&ServiceSpec>,
) -> Arc<ProgramSpec> {
    let Some(care) = care else { return Arc::clone(program) };
    match sibling {
        Some(sibling) if sibling.program.care.as_deref() == Some(&care) => {
            Arc::clone(&sibling.program)
        }
        _ => Arc::new(ProgramSpec { care: Some(Arc::new(care)), ..ProgramSpec::clone(program) }),
    }
}

/// Bytes of the texts that expansion has made for a process.
fn expanded_bytes(service: &ServiceSpec) -> usize {
    let variables = service.environment.iter().map(|(key, text)| key.len() + text.len());
    let logs = [&service.stdout, &service.stderr].into_iter().map(|log| {
        let path = match &log.target {
            LogTarget::File(path) => path.len(),
            LogTarget::None | LogTarget::Auto => 0,
        };
        path + log.prefix.len()
    });
    let directory = service.directory.as_ref().map_or(0, |path| path.len());
    let care = service.program.care.as_deref().map_or(0, care_bytes);
    service.command.len()
        + care
        + service.name.len()
        + directory
        + variables.sum::<usize>()
        + logs.sum::<usize>()
}

/// Bytes of the texts of what a process asks for beyond Supervisor's rules.
fn care_bytes(care: &Care) -> usize {
    let check = match care.health.as_ref().map(|health| &health.check) {
        Some(Check::Command(text) | Check::Http(text) | Check::Connect(text)) => text.len(),
        Some(Check::Listening) | None => 0,
    };
    let script = care.script.as_ref().and_then(|script| script.path.as_ref());
    let paths = [script, care.environment_file.as_ref()].into_iter().flatten();
    let names = care.depends_on.iter().flat_map(|it| [&it.group, &it.name]);
    // The check stands there twice when it also says when the program is ready.
    size_of::<Care>() + 2 * check + paths.chain(names).map(|text| text.len()).sum::<usize>()
}

fn program_spec(draft: &ProgramDraft) -> ProgramSpec {
    let reach = |group| if group { Reach::Group } else { Reach::Process };
    ProgramSpec {
        priority: draft.priority,
        autostart: draft.autostart,
        restart: RestartPolicy {
            on: draft.restart_on,
            start_retries: Some(draft.startretries),
            backoff: Backoff::Linear { step: BACKOFF_STEP },
        },
        exit_codes: draft.exitcodes.clone(),
        startsecs: Seconds(draft.startsecs),
        stop: StopPolicy {
            signal: draft.stopsignal,
            wait: Seconds(draft.stopwaitsecs),
            stop_reach: reach(draft.stopasgroup),
            kill_reach: reach(draft.killasgroup),
        },
        user: draft.user.clone(),
        umask: draft.umask,
        redirect_stderr: draft.redirect_stderr,
        strip_ansi: draft.strip_ansi,
        ignore_sigpipe: draft.ignore_sigpipe,
        server_url: draft.serverurl.as_deref().map(Into::into),
        socket: None,
        care: None,
        ends_all: EndsAll::Never,
    }
}

fn service_spec(
    program: &Arc<ProgramSpec>,
    name: &str,
    process: &ProcessDraft,
    (stdout, stderr): (&StreamDraft, &StreamDraft),
    base: &[(Arc<str>, Arc<str>)],
    sibling: Option<&ServiceSpec>,
) -> ServiceSpec {
    let mut stderr = log_spec(&process.stderr, stderr, sibling.map(|sibling| &sibling.stderr));
    if program.redirect_stderr {
        stderr.target = LogTarget::None;
    }
    let same_directory = sibling.and_then(|sibling| sibling.directory.as_ref());
    ServiceSpec {
        program: Arc::clone(program),
        name: shared(name, sibling.map(|sibling| &sibling.name)),
        command: shared(&process.command, sibling.map(|sibling| &sibling.command)),
        directory: process.directory.as_deref().map(|path| shared(path, same_directory)),
        environment: environment(base, &process.environment, sibling),
        stdout: log_spec(&process.stdout, stdout, sibling.map(|sibling| &sibling.stdout)),
        stderr,
    }
}

/// The variables of `[supervisord]` with those of the program over them.
fn environment(
    base: &[(Arc<str>, Arc<str>)],
    own: &[(String, String)],
    sibling: Option<&ServiceSpec>,
) -> Arc<[(Arc<str>, Arc<str>)]> {
    let old: &[_] = sibling.map_or(&[], |sibling| &sibling.environment);
    let mut variables = base.to_vec();
    for (key, text) in own {
        match variables.iter_mut().find(|(known, _)| **known == **key) {
            Some((_, value)) => *value = shared(text, Some(value)),
            None => variables.push((key.as_str().into(), text.as_str().into())),
        }
    }
    for ((key, value), (old_key, old_value)) in variables.iter_mut().zip(old) {
        *key = shared(key, Some(old_key));
        *value = shared(value, Some(old_value));
    }
    match sibling {
        Some(sibling) if *sibling.environment == *variables => Arc::clone(&sibling.environment),
        _ => variables.into(),
    }
}

fn log_spec(draft: &LogDraft, stream: &StreamDraft, sibling: Option<&LogSpec>) -> LogSpec {
    let (target, syslog) = match &draft.file {
        LogFile::Syslog => (LogTarget::None, true),
        LogFile::Target(target) => (target.clone(), draft.syslog),
    };
    let target = match sibling {
        Some(sibling) if sibling.target == target => sibling.target.clone(),
        _ => target,
    };
    LogSpec {
        target,
        bytes_max: draft.bytes_max,
        backups: draft.backups,
        compress: draft.compress,
        capture_bytes_max: stream.capture_bytes_max,
        events: stream.events,
        syslog,
        prefix: shared(&draft.prefix, sibling.map(|sibling| &sibling.prefix)),
    }
}

/// Supervisor accepts the signal 0 without a word.
fn warn_of_program(section: &str, draft: &ProgramDraft, messages: &mut Messages) {
    if draft.stopsignal.number() == 0 {
        messages.warnings.push(format!(
            "For [{section}], stopsignal=0 asks nothing of the program, so every stop waits for \
             stopwaitsecs and ends in SIGKILL"
        ));
    }
}

fn warn_of_process(
    section: &str,
    draft: &ProgramDraft,
    process: &ProcessDraft,
    messages: &mut Messages,
) {
    let mut warn = |text: String| messages.warnings.push(format!("For [{section}], {text}"));
    for (stream, log) in [("stdout", &process.stdout), ("stderr", &process.stderr)] {
        match &log.file {
            LogFile::Syslog => warn(format!(
                "{stream}_logfile=syslog but this is deprecated and will be removed.  Use \
                 {stream}_syslog=true to enable syslog instead."
            )),
            LogFile::Target(LogTarget::Auto) if log.bytes_max == 0 => warn(format!(
                "AUTO logging used for {stream}_logfile without rollover, set maxbytes > 0 to \
                 avoid filling up filesystem unintentionally"
            )),
            LogFile::Target(_) => {}
        }
    }
    if draft.redirect_stderr && matches!(process.stderr.file, LogFile::Target(LogTarget::File(_))) {
        warn(
            "redirect_stderr=true but stderr_logfile has also been set to a filename, the \
              filename has been ignored"
                .to_owned(),
        );
    }
}

/// Leaves one process of each name: the last one, in the place of the first, as
/// Supervisor's table of processes does.
pub(super) fn without_doubles(
    group: &str,
    services: Vec<Arc<ServiceSpec>>,
    messages: &mut Messages,
) -> Vec<Arc<ServiceSpec>> {
    let mut places: HashMap<Arc<str>, usize> = HashMap::with_capacity(services.len());
    let mut unique: Vec<Arc<ServiceSpec>> = Vec::with_capacity(services.len());
    for service in services {
        match places.get(&service.name) {
            None => {
                places.insert(Arc::clone(&service.name), unique.len());
                unique.push(service);
            }
            Some(place) => {
                messages.warnings.push(format!(
                    "In group {group}, more than one process is named {}; only the last one is used",
                    service.name
                ));
                unique[*place] = service;
            }
        }
    }
    unique
}
