//! The control tool on a terminal.

use bardo_core::service::StateName;
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::process::{Child, Stdio};
use std::sync::{Arc, Condvar, Mutex};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{Mode, OFlags};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open};
use rustix::pty::OpenptFlags;

use crate::scene::{PATIENCE, Scene, open, scene};

/// The tool, and whoever sits in front of its terminal.
struct Terminal {
    child: Child,
    keyboard: File,
    screen: Arc<Screen>,
    /// How much of the screen was looked at.
    read: usize,
}

/// What the tool wrote.
#[derive(Default)]
struct Screen {
    text: Mutex<String>,
    changed: Condvar,
}

impl Scene {
    /// Starts the tool with these words; variables are set for it.
    fn terminal(&self, words: &str, variables: &[(&str, &str)]) -> Terminal {
        let keyboard =
            rustix::pty::openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)
                .unwrap();
        rustix::pty::grantpt(&keyboard).unwrap();
        rustix::pty::unlockpt(&keyboard).unwrap();
        let path = rustix::pty::ptsname(&keyboard, Vec::new()).unwrap();
        let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
        let side = || Stdio::from(rustix::fs::open(&path, flags, Mode::empty()).unwrap());
        let mut command = self.tool(words);
        command.stdin(side()).stdout(side()).stderr(side());
        command.env_remove("NO_COLOR").env("TERM", "xterm").envs(variables.iter().copied());
        let child = command.spawn().unwrap();
        // The terminal ends with the tool, and so does the reader.
        drop(command);
        let keyboard = File::from(keyboard);
        let screen = Arc::new(Screen::default());
        let (mut source, written) = (keyboard.try_clone().unwrap(), Arc::clone(&screen));
        std::thread::spawn(move || {
            let mut piece = [0; 4096];
            while let Ok(length @ 1..) = source.read(&mut piece) {
                written.text.lock().unwrap().push_str(&String::from_utf8_lossy(&piece[..length]));
                written.changed.notify_all();
            }
        });
        Terminal { child, keyboard, screen, read: 0 }
    }
}

impl Terminal {
    fn press(&mut self, keys: &str) {
        self.keyboard.write_all(keys.as_bytes()).unwrap();
    }

    /// Waits until the screen shows this behind all that was seen before.
    fn sees(&mut self, words: &str) {
        self.read = self.found(self.read, words);
    }

    /// Waits until the screen shows this, wherever.
    fn shows(&self, words: &str) {
        self.found(0, words);
    }

    /// The end of the first such words from there on.
    fn found(&self, from: usize, words: &str) -> usize {
        let text = self.screen.text.lock().unwrap();
        let (text, _) = self
            .screen
            .changed
            .wait_timeout_while(text, PATIENCE, |text| !text[from..].contains(words))
            .unwrap();
        let found = text[from..].find(words);
        let found = found.unwrap_or_else(|| panic!("no {words:?} in {:?}", &text[from..]));
        from + found + words.len()
    }

    fn interrupt(&self) {
        kill_process(Pid::from_child(&self.child), Signal::INT).unwrap();
    }

    /// Waits for the end; the exit code and the whole screen.
    fn ends(mut self) -> (i32, String) {
        let pidfd = pidfd_open(Pid::from_child(&self.child), PidfdFlags::empty()).unwrap();
        let patience = Timespec::try_from(PATIENCE).unwrap();
        let ended = poll(&mut [PollFd::new(&pidfd, PollFlags::IN)], Some(&patience)).unwrap();
        assert_eq!(ended, 1, "it goes on: {:?}", self.screen.text.lock().unwrap());
        let code = self.child.wait().unwrap().code().unwrap();
        (code, self.screen.text.lock().unwrap().clone())
    }
}

const PROMPT: &str = "supervisor> ";

#[test]
fn a_tab_completes_commands_and_names() {
    let scene = scene();
    let mut terminal = scene.terminal("", &[]);
    terminal.sees(PROMPT);

    terminal.press("star\tg:g\t2\r");

    scene.play.await_heard("Start g:g2");
    terminal.sees("g:g2: started");
    terminal.sees(PROMPT);
    terminal.press("sto\tq\t\r");
    terminal.sees("q: ERROR (not running)");
    terminal.sees(PROMPT);
    terminal.press("\x04");
    assert_eq!(terminal.ends().0, 0);
}

#[test]
fn typed_lines_outlive_the_shell() {
    let scene = scene();
    let history = scene.room.path().join("history");
    std::fs::write(&history, "version\n").unwrap();
    let words = format!("--history_file {}", history.display());
    let mut terminal = scene.terminal(&words, &[]);
    terminal.sees(PROMPT);

    terminal.press("\x1b[A\r");
    terminal.sees("4.3.0");
    terminal.press("pid\rexit\r");

    assert_eq!(terminal.ends().0, 0);
    assert_eq!(std::fs::read_to_string(&history).unwrap(), "version\npid\nexit\n");
}

#[test]
fn a_history_that_cannot_be_kept_is_no_hindrance() {
    let scene = scene();
    let mut terminal = scene.terminal("-r /no/such/directory/history", &[]);
    terminal.sees(PROMPT);

    terminal.press("version\r");

    terminal.sees("4.3.0");
    terminal.sees(PROMPT);
    terminal.press("\x03");
    let (code, screen) = terminal.ends();
    assert_eq!(code, 0);
    assert!(!screen.contains("error"), "{screen}");
}

#[test]
fn a_password_is_asked_for_and_not_shown() {
    let scene = open(Some(("user", "open sesame")));
    let mut terminal = scene.terminal("", &[]);

    terminal.sees("Server requires authentication\r\nUsername:");
    terminal.press("user\r");
    terminal.sees("Password:");
    terminal.press("wrong\r");
    terminal.sees("Server requires authentication\r\nUsername:");
    terminal.press("user\r");
    terminal.sees("Password:");
    terminal.press("open sesame\r");
    terminal.sees("RUNNING");
    terminal.sees(PROMPT);
    terminal.press("exit\r");

    let (code, screen) = terminal.ends();
    assert_eq!(code, 0);
    assert!(!screen.contains("sesame") && !screen.contains("wrong"), "{screen}");
}

#[test]
fn grave_commands_want_a_yes() {
    let scene = scene();
    let mut terminal = scene.terminal("", &[]);
    terminal.sees(PROMPT);

    // The answer is typed ahead.
    terminal.press("shutdown\rn\rversion\r");
    terminal.sees("4.3.0");
    assert!(!scene.play.world.lock().unwrap().shutting_down);
    terminal.press("shutdown\rYes\r");

    terminal.sees("Shut down");
    terminal.sees(PROMPT);
    terminal.press("\x04");
    assert_eq!(terminal.ends().0, 0);
}

#[test]
fn a_shell_follows_a_command_with_i() {
    let scene = scene();
    let mut terminal = scene.terminal("-i stop ghost", &[]);

    terminal.sees("ghost: ERROR (no such process)");
    terminal.sees(PROMPT);
    terminal.press("version\r");
    terminal.sees("4.3.0");
    terminal.press("quit\r");

    assert_eq!(terminal.ends().0, 0);
}

#[test]
fn what_needs_attention_is_coloured_for_eyes_that_want_it() {
    let scene = scene();
    scene.play.change(|world| {
        for view in &mut world.processes {
            view.state = StateName::Fatal;
        }
    });
    let mut coloured = scene.terminal("status p", &[]);
    let mut plain = scene.terminal("status p", &[("NO_COLOR", "1")]);
    let mut dumb = scene.terminal("status p", &[("TERM", "dumb")]);

    coloured.sees(&format!("\x1b[31mp{}FATAL", " ".repeat(32)));
    for terminal in [&mut plain, &mut dumb] {
        terminal.sees(&format!("p{}FATAL", " ".repeat(32)));
        assert!(!terminal.screen.text.lock().unwrap().contains('\x1b'));
    }
    for terminal in [coloured, plain, dumb] {
        assert_eq!(terminal.ends().0, 3);
    }
}

#[test]
fn the_foreground_gives_the_terminal_back() {
    let scene = scene();
    std::fs::write(scene.room.path().join("p.out"), "a word of p\n").unwrap();
    let mut terminal = scene.terminal("", &[]);
    terminal.sees(PROMPT);

    terminal.press("fg p\r");
    terminal.sees("==> Press Ctrl-C to exit <==");
    terminal.shows("a word of p");
    terminal.shows("/logtail/p/stderr Cannot read, status code 404");
    terminal.press("hello\r");
    scene.play.await_heard("stdin p hello\n");
    terminal.interrupt();
    terminal.sees("Exiting foreground");
    terminal.sees(PROMPT);
    terminal.press("version\r");
    terminal.sees("4.3.0");

    terminal.press("fg p\r");
    terminal.sees("==> Press Ctrl-C to exit <==");
    scene.play.world.lock().unwrap().processes[3].state = StateName::Exited;
    terminal.press("hello\r");
    terminal.sees("Process got killed\r\nExiting foreground");
    terminal.press("exit\r");
    assert_eq!(terminal.ends().0, 0);
}

#[test]
fn ctrl_c_leaves_the_shell_while_a_command_waits() {
    let scene = scene();
    scene.play.world.lock().unwrap().slow.push("q".to_owned());
    let mut terminal = scene.terminal("", &[]);
    terminal.sees(PROMPT);
    terminal.press("start q\r");
    scene.play.await_heard("Start q");

    terminal.interrupt();

    assert_eq!(terminal.ends().0, 0);
}
