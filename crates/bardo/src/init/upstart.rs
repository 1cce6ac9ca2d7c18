//! Upstart: a job `NAME`.
//!
//! Upstart has no pause between one start and the next, so the job has one of its own:
//! a script that runs after each end counts how often that happened in a row. The job
//! runs in the foreground and nothing is expected to fork: a wrong count hangs Upstart.

use std::fs;
use std::path::{Path, PathBuf};

use super::definition::{Definition, Network, Respawn, Start};
use super::escape::shell;
use super::files::{self, Comment, DefinitionFile, Link, Ownership};
use super::ground::Ground;
use super::{Commands, Ended, InitError, InitSystem, Standing, leftovers, owned, readiness, tools};

/// The pause between an end and the next start: 1 second, doubled each time, 60 at most;
/// nothing to begin with for one that has run for a minute. A stop meanwhile ends it.
const PAUSE: &str = "\
post-stop script
    case $(initctl status \"$UPSTART_JOB\") in
    *start/*) ;;
    *) rm -f \"$PAUSES\"; exit 0 ;;
    esac
    began=0 pause=0
    if [ -r \"$PAUSES\" ]; then read -r began pause <\"$PAUSES\" || :; fi
    now=$(date +%s)
    if [ $((now - began)) -ge 60 ] || [ \"$pause\" -lt 1 ]; then pause=1; else pause=$((pause * 2)); fi
    if [ \"$pause\" -gt 60 ]; then pause=60; fi
    echo \"$began $pause\" >\"$PAUSES\"
    left=$pause
    while [ \"$left\" -gt 0 ]; do
        case $(initctl status \"$UPSTART_JOB\") in
        *start/*) ;;
        *) rm -f \"$PAUSES\"; exit 0 ;;
        esac
        sleep 1
        left=$((left - 1))
    done
end script
";

/// Notes when it is started, for the pause that may follow.
const NOTE: &str = "    began=0 pause=0
    if [ -r \"$PAUSES\" ]; then read -r began pause <\"$PAUSES\" || :; fi
    echo \"$(date +%s) $pause\" >\"$PAUSES\"
";

/// Upstart.
#[derive(Debug, Clone, Copy)]
pub struct Upstart;

fn job(name: &str) -> PathBuf {
    PathBuf::from(format!("/etc/init/{name}.conf"))
}

fn override_of(name: &str) -> PathBuf {
    PathBuf::from(format!("/etc/init/{name}.override"))
}

/// Whether an override keeps a job from starting by itself.
fn is_manual(path: &Path) -> bool {
    let text = fs::read_to_string(path).unwrap_or_default();
    text.lines().any(|line| line.trim() == "manual")
}

/// What initctl has said of a job.
enum Said {
    Running(String),
    Down(String),
    Unknown,
}

impl Upstart {
    fn ask(ground: &Ground, name: &str) -> Result<Said, InitError> {
        let words = owned(&["initctl", "status", name]);
        let answer = tools::run(ground, &words)?;
        let line = answer.last_line();
        if line.contains("Unknown job") {
            return Ok(Said::Unknown);
        }
        // A stopped job is told with 0 as well.
        if !answer.is_good() {
            return Err(tools::failed(&words, &answer));
        }
        let is_running = line.split([' ', ',']).any(|word| word == "start/running");
        Ok(if is_running { Said::Running(line) } else { Said::Down(line) })
    }

    /// What it says of a job: it goes by what it has executed, and not by what works.
    fn told(ground: &Ground, name: &str) -> Standing {
        match Self::ask(ground, name) {
            Ok(Said::Running(line)) => Standing::Running(line),
            Ok(Said::Down(line)) => Standing::Down(line),
            Ok(Said::Unknown) => Standing::Absent,
            Err(error) => Standing::Unclear(error.to_string()),
        }
    }

    /// Runs a verb of initctl; what it refuses because it is so already is no failure.
    fn control(ground: &Ground, verb: &str, name: &str, already: &str) -> Result<(), InitError> {
        let words = owned(&["initctl", verb, name]);
        if !ground.is_live() {
            return tools::must(ground, &words);
        }
        let answer = tools::run(ground, &words)?;
        let line = answer.last_line();
        if answer.is_good() || (!already.is_empty() && line.contains(already)) {
            return Ok(());
        }
        if line.contains("Unknown job") {
            return Err(InitError::NotInstalled(name.to_owned()));
        }
        Err(tools::failed(&words, &answer))
    }
}

impl InitSystem for Upstart {
    fn name(&self) -> &'static str {
        "upstart"
    }

    fn files(&self, definition: &Definition) -> Result<Vec<DefinitionFile>, InitError> {
        let name = &definition.name;
        let text = job_text(definition);
        let mut files =
            vec![DefinitionFile::of(definition, job(name), 0o644, Comment::Hash, &text)];
        if definition.start == Start::OnDemand {
            let path = override_of(name);
            files.push(DefinitionFile::new(path, 0o644, Comment::Hash, "manual\n"));
        }
        Ok(files)
    }

    fn links(&self, _: &Ground, _: &Definition) -> Vec<Link> {
        Vec::new()
    }

    fn paths(&self, _: &Ground, name: &str) -> Vec<PathBuf> {
        vec![job(name), override_of(name)]
    }

    fn is_served(&self, ground: &Ground, file: &DefinitionFile) -> bool {
        file.path.extension().is_some_and(|kind| kind == "override")
            && is_manual(&ground.behind(&file.path))
    }

    fn overruled(&self, ground: &Ground, definition: &Definition) -> Option<String> {
        let path = override_of(&definition.name);
        let is_theirs = matches!(files::ownership(&ground.at(&path)), Ok(Ownership::Foreign));
        let is_overruled =
            is_theirs && definition.start == Start::AtBoot && is_manual(&ground.behind(&path));
        is_overruled.then(|| {
            let path = path.display();
            format!("{path}, which others have written, says `manual`: it does not start at boot")
        })
    }

    fn register(&self, _: &Ground, _: &str, _: Start) -> Commands {
        // It watches its folder, but says nothing of when it has looked.
        vec![owned(&["initctl", "reload-configuration"])]
    }

    fn unregister(&self, _: &Ground, _: &str) -> (Commands, Commands) {
        (Vec::new(), vec![owned(&["initctl", "reload-configuration"])])
    }

    fn starts_at_boot(&self, ground: &Ground, name: &str) -> Option<bool> {
        let is_manual = || is_manual(&ground.behind(override_of(name)));
        ground.behind(job(name)).exists().then(|| !is_manual())
    }

    fn standing(&self, ground: &Ground, name: &str) -> Standing {
        readiness::seen(ground, name, Self::told(ground, name))
    }

    fn start(&self, ground: &Ground, name: &str) -> Result<(), InitError> {
        Self::control(ground, "start", name, "already running")?;
        // It knows that the process was executed, and no more.
        readiness::wait(ground, name, || Self::told(ground, name))
    }

    fn stop(&self, ground: &Ground, name: &str) -> Result<Ended, InitError> {
        let stop = |ground: &Ground| Self::control(ground, "stop", name, "Unknown instance");
        stop(ground)?;
        leftovers::take_over(self, ground, name, stop)
    }

    fn reload(&self, ground: &Ground, name: &str) -> Result<(), InitError> {
        Self::control(ground, "reload", name, "")
    }
}

/// The job.
fn job_text(definition: &Definition) -> String {
    let start = match definition.network {
        Network::Configured => "runlevel [2345]",
        Network::Online => "started networking",
    };
    let mut text = format!(
        "description \"{}\"\nauthor \"Bardo\"\n\nstart on {start}\nstop on runlevel [!2345]\n\n",
        definition.description()
    );
    if definition.respawn == Respawn::Always {
        // Zero is no limit, also for those that do not know the word for it.
        text += "respawn\nrespawn limit 0 0\n# A shutdown that was asked for.\nnormal exit 0\n\n";
    }
    text += &format!(
        "kill signal TERM\nkill timeout {}\nconsole log\nlimit nofile 1048576 1048576\n\
         oom score -900\numask 022\nchdir /\n",
        definition.stop_seconds()
    );
    let name = &definition.name;
    let mut before = String::new();
    if let Some(account) = &definition.account {
        // With `setuid` the scripts would run as that account too.
        text += &format!("env RUNTIME_DIRECTORY=/run/{name}\n");
        before += &format!(
            "    mkdir -p \"$RUNTIME_DIRECTORY\"\n    chown {account} \"$RUNTIME_DIRECTORY\"\n"
        );
    }
    if definition.respawn == Respawn::Always {
        text += &format!("env PAUSES=/run/{name}.pauses\n\n{PAUSE}");
        before += NOTE;
    }
    if !before.is_empty() {
        text += &format!("\npre-start script\n{before}end script\n");
    }
    text + &format!("\nexec {}\n", command(definition))
}

/// The command line. start-stop-daemon becomes the service; it goes by a pid file that
/// nobody writes, because by its executable it would take any other service for this one.
fn command(definition: &Definition) -> String {
    let binary = definition.binary();
    let words = match &definition.account {
        None => vec![binary],
        Some(account) => {
            let nobodys = format!("/run/{}/none.pid", definition.name);
            let words = ["start-stop-daemon", "--start", "--pidfile", &nobodys, "--chuid", account];
            [owned(&words), owned(&["--startas", &binary, "--"])].concat()
        }
    };
    let pidfile = readiness::pidfile(definition).display().to_string();
    let words = words.into_iter().chain(definition.arguments());
    let words = words.chain(["--pidfile".to_owned(), pidfile]);
    words.map(|word| shell(&word)).collect::<Vec<_>>().join(" ")
}
