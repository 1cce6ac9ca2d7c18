//! What the user sees: a small live view in a terminal, else a line per change.

use std::collections::VecDeque;
use std::io::{self, IsTerminal, Write};

use bardo_sys::clock::LocalTime;

use super::ask::Process;
use super::daemon::Daemon;
use super::folder::Folder;

/// Lines of what has happened that the live view keeps.
const LINES: usize = 12;

/// Where the view goes.
#[derive(Debug)]
pub(super) struct Screen {
    is_terminal: bool,
    happened: VecDeque<String>,
}

impl Screen {
    pub(super) fn new() -> Self {
        Self { is_terminal: io::stdout().is_terminal(), happened: VecDeque::new() }
    }

    /// Says what is there and what to try.
    pub(super) fn begin(&self, folder: &Folder, daemon: &Daemon) {
        let text = if self.is_terminal {
            "\x1b[2J".to_owned()
        } else {
            let lines = [heading(folder, daemon), advice(folder, daemon)].concat();
            lines.join("\n") + "\n\n"
        };
        put(&text);
    }

    /// Shows how it is and what is new.
    pub(super) fn show(
        &mut self,
        folder: &Folder,
        daemon: &Daemon,
        processes: &[Process],
        news: &[String],
    ) {
        let LocalTime { hour, minute, second, .. } = LocalTime::now();
        let news = news.iter().map(|line| format!("{hour:02}:{minute:02}:{second:02}  {line}"));
        if !self.is_terminal {
            let text: String = news.map(|line| line + "\n").collect();
            if text.contains("has taken over") {
                put(&(text + &format!("next: kill -9 {}\n", daemon.supervisor())));
            } else {
                put(&text);
            }
            return;
        }
        self.happened.extend(news);
        while self.happened.len() > LINES {
            self.happened.pop_front();
        }
        let mut lines = heading(folder, daemon);
        for Process { name, state, description, .. } in processes {
            lines.push(format!("  {name:<10} {state:<10} {description}"));
        }
        lines.push(String::new());
        lines.extend(advice(folder, daemon));
        lines.push(String::new());
        lines.extend(self.happened.iter().map(|line| format!("  {line}")));
        // From the top left: each line over what was there, and nothing below.
        put(&format!("\x1b[H{}\x1b[K\n\x1b[J", lines.join("\x1b[K\n")));
    }

    /// Says that it ends.
    pub(super) fn end(&self, folder: &Folder) {
        put(&format!("stopping; {} is removed\n", folder.path().display()));
    }
}

fn heading(folder: &Folder, daemon: &Daemon) -> Vec<String> {
    vec![
        "Bardo demo: three programs, kept running. Ctrl-C ends it and removes everything."
            .to_owned(),
        String::new(),
        format!("  folder     {}", folder.path().display()),
        format!("  keeper     {}  the parent of all, decides nothing", daemon.keeper()),
        format!("  supervisor {}  decides all, and may die", daemon.supervisor()),
        String::new(),
    ]
}

fn advice(folder: &Folder, daemon: &Daemon) -> Vec<String> {
    let executable = folder.executable().display();
    let configuration = folder.configuration().display();
    vec![
        "Try, in another terminal:".to_owned(),
        format!("  kill -9 {}", daemon.supervisor()),
        format!("  curl {}", folder.url()),
        format!("  {executable} supervisorctl -c {configuration} status"),
        format!("  {executable} supervisorctl -c {configuration} restart ticker"),
        "Then your own file:".to_owned(),
        format!("  {executable} supervisord -n -c /etc/supervisor/supervisord.conf"),
    ]
}

/// Writes; a reader that has gone away does not matter.
fn put(text: &str) {
    let mut out = io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}
