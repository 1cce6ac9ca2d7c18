//! Whether a service is ready, where its init system does not know: it writes its pid file
//! when it is.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use super::definition::Definition;
use super::ground::Ground;
use super::pauses::Notes;
use super::{InitError, Standing};
use crate::daemon::stage::RUN;

/// How long a start may take: as long as under systemd.
const PATIENCE: Duration = Duration::from_secs(90);

/// How often the pid file is looked at, and after how many looks the init system is asked.
const LOOK_EVERY: Duration = Duration::from_millis(20);
const ASK_EVERY: u32 = 25;

/// Where a service writes its pid file. Only its owner can write there, and /run is root's.
#[must_use]
pub fn pidfile(definition: &Definition) -> PathBuf {
    let [of_root, of_account] = pidfiles(&definition.name);
    if definition.account.is_none() { of_root } else { of_account }
}

fn pidfiles(name: &str) -> [PathBuf; 2] {
    let run = Path::new("/run");
    [run.join(format!("{name}.pid")), run.join(name).join(format!("{name}.pid"))]
}

/// Waits until a service that was started is ready.
///
/// # Errors
/// When it has ended instead, or takes too long.
pub fn wait(ground: &Ground, name: &str, told: impl Fn() -> Standing) -> Result<(), InitError> {
    if !ground.is_live() {
        return Ok(());
    }
    let deadline = Instant::now() + PATIENCE;
    let failed = |why: &str| {
        let text = format!("it was started, and {why}; its log says more, or: bardo check FILE");
        Err(InitError::Failed(text))
    };
    for look in 1_u32.. {
        if is_ready(ground, name) {
            break;
        }
        if look.is_multiple_of(ASK_EVERY) {
            if let Standing::Down(words) = told() {
                return failed(&format!("has ended before it was ready ({words})"));
            }
            if ground.is_this_machine() && Notes::of(name).have_grown() {
                return failed("ends again and again before it is ready");
            }
        }
        if Instant::now() >= deadline {
            return failed("is not ready after 90 seconds");
        }
        thread::sleep(LOOK_EVERY);
    }
    Ok(())
}

/// What an init system says of a service, and what is seen of it: one that was started runs
/// when it is ready, and not in the pauses between its starts.
#[must_use]
pub fn seen(ground: &Ground, name: &str, told: Standing) -> Standing {
    match told {
        Standing::Running(words) if !is_ready(ground, name) => {
            Standing::Down(format!("{words}, and not ready"))
        }
        told => told,
    }
}

/// What the command line of every process has in it that was started for a service.
pub(super) fn words(name: &str) -> String {
    format!("\0{RUN}\0{name}\0")
}

/// Whether a pid file names a process that lives and was started for this service. One that
/// may not be looked at is believed to be what the init system says of it.
#[must_use]
pub fn is_ready(ground: &Ground, name: &str) -> bool {
    let words = words(name);
    let is_it = |text: &String| {
        let pid: Option<u32> = text.trim().parse().ok();
        let line = pid.and_then(|pid| fs::read(format!("/proc/{pid}/cmdline")).ok());
        line.is_some_and(|line| String::from_utf8_lossy(&line).contains(&words))
    };
    let texts = pidfiles(name).map(|path| fs::read_to_string(ground.at(path)));
    if texts.iter().any(Result::is_ok) {
        return texts.iter().flatten().any(is_it);
    }
    let is_secret = |error: io::Error| error.kind() == ErrorKind::PermissionDenied;
    texts.into_iter().filter_map(Result::err).any(is_secret)
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn ready_is_what_lives_and_was_started_for_this_service() {
        let room = tempfile::tempdir().unwrap();
        let ground = Ground::of(room.path(), room.path());
        fs::create_dir_all(ground.at("/run/mail")).unwrap();
        let mut service = Command::new("sh")
            .args(["-c", "read line", "--service-run", "web"])
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        let pid = format!("{}\n", service.id());

        assert!(!is_ready(&ground, "web"), "there is no pid file");
        fs::write(ground.at("/run/web.pid"), &pid).unwrap();
        fs::write(ground.at("/run/mail/mail.pid"), &pid).unwrap();
        // Until then the process is still a copy of this one.
        while !is_ready(&ground, "web") {
            thread::yield_now();
        }
        assert!(!is_ready(&ground, "mail"), "it is another one's process");
        service.kill().unwrap();
        service.wait().unwrap();
        assert!(!is_ready(&ground, "web"));
    }
}
