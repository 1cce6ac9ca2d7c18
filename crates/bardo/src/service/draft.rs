//! A service in the making: what it was, or MINIX's defaults, and over it what is asked for.

use std::sync::Arc;

use bardo_config::system_conf::{self, Interpreted, Mode};
use bardo_config::value::{self, LogFile, ReadyBy};
use bardo_config::{Host, command};
use bardo_core::ServiceSpec;
use bardo_core::spec::care::{
    Check, Copying, Delay, EarlyDeath, HEALTH_INTERVAL, HEALTH_RETRIES, HEALTH_TIMEOUT, Health,
    Heartbeat, Ready, Reset, Script,
};
use bardo_core::spec::{
    Backoff, Care, LogSpec, LogTarget, ProgramSpec, Reach, RestartOn, RestartPolicy, Seconds,
    StopPolicy,
};

use super::errno::Errno;
use super::refusal::{Checked, Refusal, of_option, some_time, time};
use super::request::Asked;

/// Most bytes of a program's path with its arguments. The kernel takes more of them
/// together, and no more than this of one.
const COMMAND_BYTES_MAX: usize = 128 << 10;

/// Most bytes of a path, as Linux has it.
const PATH_BYTES_MAX: usize = 4096;

/// Most bytes of a name, as Linux has it for files: a label is the name of a control group.
const NAME_BYTES_MAX: usize = 255;

/// What `-health` says of a service that is examined by nothing.
const NO_CHECK: &str = "NONE";

/// The word for all programs, as supervisorctl has it.
const ALL: &str = "all";

/// MINIX's limits.
pub(super) const MINIX_NAME_BYTES_MAX: usize = 15;
const MINIX_COMMAND_BYTES_MAX: usize = 511;
const MINIX_SCRIPT_BYTES_MAX: usize = 255;
const MINIX_ARGUMENTS_MAX: usize = 10;

/// How long MINIX waits for a service to stop.
const STOP_WAIT: Seconds = Seconds(2);

/// The wait after a start that has failed, where one is tried again.
const RETRY_WAIT: std::time::Duration = std::time::Duration::from_secs(1);

/// Whose rules what is asked for follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Manner {
    /// Ours.
    Ours,
    /// MINIX's, with its limits.
    Minix,
}

impl Manner {
    pub(super) fn of(is_minix: bool) -> Self {
        if is_minix { Self::Minix } else { Self::Ours }
    }

    /// The first of the two under our rules, the second under MINIX's.
    fn most(self, ours: usize, minix: usize) -> usize {
        match self {
            Self::Ours => ours,
            Self::Minix => minix,
        }
    }

    fn mode(self) -> Mode {
        match self {
            Self::Ours => Mode::Strict,
            Self::Minix => Mode::Minix,
        }
    }
}

/// A service in the making.
#[derive(Debug, Clone)]
pub(super) struct Draft {
    pub(super) program: ProgramSpec,
    pub(super) care: Care,
    /// The program's path and its arguments.
    pub(super) words: Vec<String>,
    directory: Option<Arc<str>>,
    environment: Vec<(Arc<str>, Arc<str>)>,
    stdout: LogSpec,
    stderr: LogSpec,
    /// What people should know although it is taken.
    pub(super) notes: Vec<String>,
}

impl Draft {
    /// What `service up` brings up without a word more.
    pub(super) fn minix(binary: &str, manner: Manner) -> Self {
        let mut care = Care::minix(base_name(binary).into());
        if manner == Manner::Minix {
            care.recovery.reset = Reset::Never;
        }
        let program = ProgramSpec {
            // It starts because it is brought up.
            autostart: false,
            restart: RestartPolicy {
                on: RestartOn::Always,
                start_retries: None,
                backoff: Backoff::Constant(RETRY_WAIT),
            },
            exit_codes: Vec::new(),
            stop: StopPolicy {
                wait: STOP_WAIT,
                kill_reach: Reach::Tree,
                ..ProgramSpec::default().stop
            },
            ..ProgramSpec::default()
        };
        Self {
            program,
            care,
            words: vec![binary.to_owned()],
            directory: None,
            environment: Vec::new(),
            stdout: LogSpec::default(),
            stderr: LogSpec::default(),
            notes: Vec::new(),
        }
    }

    /// What a service is now; `None` for a program that is nothing of ours.
    pub(super) fn of(service: &ServiceSpec) -> Option<Self> {
        let mut program = ProgramSpec::clone(&service.program);
        let care = Care::clone(program.care.take()?.as_ref());
        Some(Self {
            program,
            care,
            words: command::split(&service.command).ok()?,
            directory: service.directory.clone(),
            environment: service.environment.to_vec(),
            stdout: service.stdout.clone(),
            stderr: service.stderr.clone(),
            notes: Vec::new(),
        })
    }

    /// The service, under a label.
    pub(super) fn finish(self, label: &str) -> ServiceSpec {
        let program = ProgramSpec { care: Some(Arc::new(self.care)), ..self.program };
        ServiceSpec {
            program: Arc::new(program),
            name: label.into(),
            command: command_line(&self.words).into(),
            directory: self.directory,
            environment: self.environment.into(),
            stdout: self.stdout,
            stderr: self.stderr,
        }
    }

    /// Takes in what is asked for; what is absent stays as it is. It may ask the machine for
    /// users and files, and so wait for a disk.
    pub(super) fn take(
        &mut self,
        host: &dyn Host,
        label: &str,
        asked: &Asked,
        manner: Manner,
    ) -> Checked<Option<Interpreted>> {
        self.command(host, asked, manner)?;
        self.surroundings(host, asked)?;
        self.recovery(asked, manner)?;
        if let Some(script) = asked.script.as_deref().filter(|script| !host.exists(script)) {
            self.notes.push(format!("-script: there is no file {script}; it is run after a crash"));
        }
        self.ending(asked)?;
        self.signs_of_life(asked)?;
        let settings = settings(host, asked, manner)?;
        if let Some(settings) = &settings {
            let controls = std::mem::take(&mut Arc::make_mut(&mut self.care.confinement).control);
            settings.apply_to(&mut self.care);
            // A list that is not there leaves the one before, as in MINIX.
            if self.care.confinement.control.is_empty() && !controls.is_empty() {
                Arc::make_mut(&mut self.care.confinement).control = controls;
            }
            self.notes.extend(settings.notes.iter().map(ToString::to_string));
        }
        self.manner_of_checks(asked)?;
        if let Some(critical) = asked.critical {
            self.care.critical = critical;
        }
        self.readiness(asked)?;
        self.dependencies(label, asked)?;
        Ok(settings)
    }

    fn command(&mut self, host: &dyn Host, asked: &Asked, manner: Manner) -> Checked<()> {
        if !asked.binary.is_empty() {
            check_binary(host, &asked.binary)?;
            asked.binary.clone_into(&mut self.words[0]);
            self.care.program_name = base_name(&asked.binary).into();
        }
        if let Some(arguments) = &asked.arguments {
            self.words.truncate(1);
            let most = manner.most(usize::MAX, MINIX_ARGUMENTS_MAX);
            self.words.extend(arguments.iter().take(most).cloned());
            if arguments.len() > most {
                self.notes.push(format!("arguments beyond the first {most} are dropped"));
            }
        }
        if self.words.iter().any(|word| word.contains('\0')) {
            return Err(Refusal::invalid("an argument cannot hold a null character"));
        }
        // One more between each two of them.
        let bytes = self.words.iter().map(|word| word.len() + 1).sum::<usize>() - 1;
        let most = manner.most(COMMAND_BYTES_MAX, MINIX_COMMAND_BYTES_MAX);
        if bytes > most {
            return Err(Refusal::too_long("the program's path with its arguments", most));
        }
        if let Some(name) = &asked.program_name {
            let most = manner.most(NAME_BYTES_MAX, MINIX_NAME_BYTES_MAX);
            check_name("the program's name", name, most)?;
            self.care.program_name = name.as_str().into();
        }
        if asked.shared_copy {
            self.care.copy = Copying::Shared;
        } else if asked.copy && self.care.copy == Copying::No {
            self.care.copy = Copying::Own;
        }
        Ok(())
    }

    /// Where it works, with which variables, and where what it says goes.
    fn surroundings(&mut self, host: &dyn Host, asked: &Asked) -> Checked<()> {
        if let Some(directory) = &asked.directory {
            self.directory = Some(path("dir", directory, PATH_BYTES_MAX)?);
        }
        for (name, text) in &asked.environment {
            if name.is_empty() || name.contains(['=', '\0']) || text.contains('\0') {
                return Err(Refusal::invalid(format!(
                    "-env: a variable has a name without `=`, and no null characters: {name:?}"
                )));
            }
            match self.environment.iter_mut().find(|(known, _)| **known == **name) {
                Some((_, value)) => *value = text.as_str().into(),
                None => self.environment.push((name.as_str().into(), text.as_str().into())),
            }
        }
        if let Some(file) = &asked.stdout_logfile {
            set_log(host, "stdout", &mut self.stdout, file)?;
            // Standard error goes along where nothing else is said of it.
            self.program.redirect_stderr = asked.stderr_logfile.is_none();
        }
        if let Some(file) = &asked.stderr_logfile {
            set_log(host, "stderr", &mut self.stderr, file)?;
            self.program.redirect_stderr = false;
        }
        if self.program.redirect_stderr {
            self.stderr.target = LogTarget::None;
            self.stderr.syslog = false;
        }
        Ok(())
    }

    fn recovery(&mut self, asked: &Asked, manner: Manner) -> Checked<()> {
        if asked.constant_delay {
            self.care.recovery.delay = Some(Delay::Constant(RETRY_WAIT));
            self.care.recovery.early_death = EarlyDeath::Retry;
        }
        if let Some(restarts) = asked.restarts.filter(|restarts| *restarts > 0) {
            self.care.recovery.restarts = restarts;
        }
        let timeout = match asked.script_timeout {
            Some(milliseconds) => {
                Some(time("script-timeout", milliseconds)?).filter(|time| !time.is_zero())
            }
            None => self.care.script.as_ref().and_then(|script| script.timeout),
        };
        if let Some(script) = &asked.script {
            let most = manner.most(PATH_BYTES_MAX, MINIX_SCRIPT_BYTES_MAX);
            let path = Some(path("script", script, most)?);
            self.care.script = Some(Script { path, timeout });
        } else if let Some(script) = &mut self.care.script {
            script.timeout = timeout;
        } else if timeout.is_some() {
            return Err(Refusal::invalid("-script-timeout is of no use without -script"));
        }
        Ok(())
    }

    /// How it is stopped, and which of its ends are followed by a new start.
    fn ending(&mut self, asked: &Asked) -> Checked<()> {
        if let Some(signal) = &asked.stop_signal {
            let signal = of_option("stop-signal", value::signal(signal))?;
            if signal.number() == 0 {
                return Err(Refusal::invalid("-stop-signal: signal 0 asks nothing of a program"));
            }
            self.program.stop.signal = signal;
        }
        if let Some(milliseconds) = asked.grace {
            self.program.stop.wait = self.whole_seconds("grace", milliseconds)?;
        }
        if let Some(codes) = &asked.ok_exit {
            self.program.exit_codes.clone_from(codes);
        }
        let is_single = self.care.script.as_ref().is_some_and(|script| script.path.is_none());
        self.program.restart.on = match self.program.exit_codes[..] {
            _ if is_single || asked.no_restart => RestartOn::Never,
            [] => RestartOn::Always,
            [..] => RestartOn::Unexpected,
        };
        Ok(())
    }

    fn signs_of_life(&mut self, asked: &Asked) -> Checked<()> {
        if let Some(milliseconds) = asked.period {
            let period = time("period", milliseconds)?;
            self.care.heartbeat = (!period.is_zero()).then_some(Heartbeat { period });
        }
        let checks = [
            ("health", asked.health_command.as_deref(), value::health_command as Reader),
            ("health-http", asked.health_http.as_deref(), value::health_http),
            ("health-tcp", asked.health_tcp.as_deref(), value::health_tcp),
        ];
        let mut said =
            checks.into_iter().filter_map(|(option, text, read)| Some((option, text?, read)));
        match (said.next(), said.next()) {
            (Some((first, ..)), Some((second, ..))) => {
                return Err(Refusal::invalid(format!(
                    "-{first} and -{second} cannot both be given: a service has one check of its \
                     health"
                )));
            }
            (Some(("health", NO_CHECK, _)), None) => self.care.health = None,
            (Some((option, text, read)), None) => {
                let check = of_option(option, read(text))?;
                match &mut self.care.health {
                    Some(health) => health.check = check,
                    none => {
                        *none = Some(Health {
                            check,
                            interval: HEALTH_INTERVAL,
                            timeout: HEALTH_TIMEOUT,
                            retries: HEALTH_RETRIES,
                        });
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// How its health is examined. What examines it may stand in its settings, which have
    /// been read by now.
    fn manner_of_checks(&mut self, asked: &Asked) -> Checked<()> {
        let said = [
            ("health-interval", asked.health_interval.is_some()),
            ("health-timeout", asked.health_timeout.is_some()),
            ("health-retries", asked.health_retries.is_some()),
        ];
        let Some(health) = &mut self.care.health else {
            return match said.iter().find(|(_, is_said)| *is_said) {
                Some((option, _)) => Err(Refusal::invalid(format!(
                    "-{option} is of no use without -health, -health-http or -health-tcp"
                ))),
                None => Ok(()),
            };
        };
        if let Some(milliseconds) = asked.health_interval {
            health.interval = some_time("health-interval", milliseconds)?;
        }
        if let Some(milliseconds) = asked.health_timeout {
            health.timeout = some_time("health-timeout", milliseconds)?;
        }
        match asked.health_retries {
            Some(0) => return Err(Refusal::invalid("-health-retries must be 1 or more")),
            Some(retries) => health.retries = retries,
            None => {}
        }
        Ok(())
    }

    /// By what it counts as initialised.
    fn readiness(&mut self, asked: &Asked) -> Checked<()> {
        if let Some(milliseconds) = asked.alive {
            self.program.startsecs = self.whole_seconds("alive", milliseconds)?;
        }
        if let Some(milliseconds) = asked.ready_timeout {
            self.care.readiness.within = some_time("ready-timeout", milliseconds)?;
        }
        let health = self.care.health.as_ref().map(|health| &health.check);
        let is_by_health = !matches!(self.care.readiness.by, Ready::Checks(Check::Listening));
        if let Some(text) = &asked.ready {
            self.care.readiness.by = match of_option("ready", value::ready(text))? {
                ReadyBy::Auto => Ready::Auto,
                ReadyBy::Says => Ready::Says { descriptor: None },
                ReadyBy::Descriptor(number) => Ready::Says { descriptor: Some(number) },
                ReadyBy::Listen => Ready::Checks(Check::Listening),
                ReadyBy::Alive => Ready::Alive,
                ReadyBy::Health => Ready::Checks(health.cloned().ok_or_else(|| {
                    Refusal::invalid(
                        "-ready health needs one of -health, -health-http and -health-tcp",
                    )
                })?),
            };
        } else if let (Ready::Checks(check), true, Some(health)) =
            (&mut self.care.readiness.by, is_by_health, health)
        {
            // It goes on being ready when its health is good, whatever examines that now.
            check.clone_from(health);
        }
        Ok(())
    }

    fn dependencies(&mut self, label: &str, asked: &Asked) -> Checked<()> {
        let Some(text) = &asked.depends_on else { return Ok(()) };
        let mut dependencies = of_option("depends", value::dependencies(text))?;
        for dependency in &mut dependencies {
            // One name does for both, and the core looks for it so.
            if dependency.group == dependency.name {
                dependency.group = "".into();
            }
            let is_group = *dependency.group == *label;
            if is_group || (dependency.group.is_empty() && *dependency.name == *label) {
                return Err(Refusal::invalid(format!("-depends: {label} would wait for itself")));
            }
        }
        self.care.depends_on = dependencies;
        Ok(())
    }

    /// A time that Supervisor has in whole seconds.
    fn whole_seconds(&mut self, option: &str, milliseconds: u64) -> Checked<Seconds> {
        let seconds = time(option, milliseconds)?.as_millis().div_ceil(1000);
        if u128::from(milliseconds) != seconds * 1000 {
            self.notes.push(format!("-{option} is taken in whole seconds: {seconds}"));
        }
        Ok(Seconds(i64::try_from(seconds).expect("no time is as long")))
    }
}

/// Reads what examines the health of a service.
type Reader = fn(&str) -> Result<Check, value::ValueError>;

/// What the lines of `system.conf` say; none where there is no entry.
fn settings(host: &dyn Host, asked: &Asked, manner: Manner) -> Checked<Option<Interpreted>> {
    let Some(lines) = &asked.settings else {
        // MINIX brings up nothing without an entry. The tool says so too where it is called
        // with --minix; it does not know what the supervisor's file says.
        if manner == Manner::Minix && !asked.binary.is_empty() {
            let program = asked.program_name.as_deref().unwrap_or(base_name(&asked.binary));
            let files = system_conf::candidates(program).join(", ");
            let text = format!("there is no entry `service {program}` in {files}");
            return Err(Refusal { errno: Errno::EPERM, text });
        }
        return Ok(None);
    };
    let lines: Vec<system_conf::Line> = lines.iter().map(system_conf::Line::from).collect();
    system_conf::interpret(&lines, host, manner.mode())
        .map(Some)
        .map_err(|refusal| Refusal::invalid(refusal.to_string()))
}

/// What a log can be beside a file.
const LOG_WORDS: [&str; 4] = ["AUTO", "NONE", "OFF", "syslog"];

fn set_log(host: &dyn Host, option: &str, log: &mut LogSpec, file: &str) -> Checked<()> {
    let is_word = LOG_WORDS.iter().any(|word| file.eq_ignore_ascii_case(word));
    if !is_word && !file.starts_with('/') {
        return Err(Refusal::invalid(format!("-{option} is not an absolute path: {file}")));
    }
    (log.target, log.syslog) = match of_option(option, value::log_file(host, file))? {
        LogFile::Syslog => (LogTarget::None, true),
        LogFile::Target(target) => (target, false),
    };
    Ok(())
}

fn check_binary(host: &dyn Host, binary: &str) -> Checked<()> {
    if !binary.starts_with('/') {
        return Err(Refusal::invalid(format!("binary should be absolute path: {binary}")));
    }
    if binary.len() > PATH_BYTES_MAX {
        return Err(Refusal::too_long("the program's path", PATH_BYTES_MAX));
    }
    if host.is_directory(binary) || base_name(binary).is_empty() {
        return Err(Refusal::invalid(format!("binary is not a regular file: {binary}")));
    }
    if !host.exists(binary) {
        let errno = Errno::ENOENT;
        return Err(Refusal { errno, text: format!("there is no file {binary}") });
    }
    Ok(())
}

/// An absolute path.
fn path(option: &str, text: &str, most: usize) -> Checked<Arc<str>> {
    if text.len() > most {
        return Err(Refusal::too_long(&format!("-{option}"), most));
    }
    if text.contains('\0') {
        return Err(Refusal::invalid(format!("-{option}: a path holds no null character")));
    }
    of_option(option, value::absolute_path(text))
}

/// A name that can be told from a command, a path and a dependency.
fn check_name(what: &str, name: &str, most: usize) -> Checked<()> {
    let is_odd =
        |letter: char| letter.is_whitespace() || letter.is_control() || "/:*".contains(letter);
    if name.is_empty() || name.contains(is_odd) || matches!(name, "." | "..") {
        return Err(Refusal::invalid(format!(
            "{what} is one word without blanks, colons, slashes and stars: {name:?}"
        )));
    }
    if name.len() > most { Err(Refusal::too_long(what, most)) } else { Ok(()) }
}

/// A label is a name that is none of the words which mean something else where it is typed.
pub(super) fn check_label(label: &str) -> Checked<()> {
    check_name("a label", label, NAME_BYTES_MAX)?;
    if label == ALL || label.starts_with('-') {
        return Err(Refusal::invalid(format!(
            "a label is not `{ALL}` and does not begin with `-`, as no tool could name it: {label}; \
             give another -label"
        )));
    }
    Ok(())
}

/// The last part of a path.
fn base_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// Words as a command line that is split into just these.
fn command_line(words: &[String]) -> String {
    words.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" ")
}

fn quoted(word: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_@%+=:,./-".contains(&byte);
    if !word.is_empty() && word.bytes().all(is_plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_command_line_is_split_into_the_words_that_made_it(
            words in prop::collection::vec("[^\0]{0,8}", 1..6),
        ) {
            prop_assert_eq!(command::split(&command_line(&words)), Ok(words));
        }
    }

    #[test]
    fn plain_words_are_written_as_they_are() {
        let words = ["/bin/x", "--port=80", "two words", "it's", ""].map(str::to_owned);

        assert_eq!(command_line(&words), "/bin/x --port=80 'two words' 'it'\\''s' ''");
    }

    #[test]
    fn a_name_is_one_word() {
        for name in ["a", "a-b_c.d", "ä", "..."] {
            assert_eq!(check_name("it", name, 255), Ok(()), "{name}");
        }
        for name in ["", "a b", "a:b", "a/b", "*", ".", "..", "a\n", "\0"] {
            let refusal = check_name("it", name, 255).unwrap_err();
            assert_eq!(refusal.errno.0, 22, "{name}");
        }
        assert_eq!(check_name("it", "abc", 2).unwrap_err().errno.0, 7);
    }

    #[test]
    fn a_label_is_no_word_that_tools_take_for_something_else() {
        for label in ["a", "all-of-it", "a-", "All"] {
            assert_eq!(check_label(label), Ok(()), "{label}");
        }
        for label in ["-a", "-", "--json", "all", ""] {
            assert_eq!(check_label(label).unwrap_err().errno.0, 22, "{label}");
        }
    }
}
