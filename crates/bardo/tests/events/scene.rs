//! A daemon with event listeners in a folder of its own.

use std::fs;
use std::path::Path;

use bardo::selftest::actors::WORD;
use bardo::selftest::client::{Client, Info};
use bardo::selftest::home::{self, Daemon, Home, escaped};
use bardo::selftest::listener::{self, Heard};
use bardo_wire::xmlrpc::Value;

/// The daemon and its folder. The daemon goes first when they are dropped.
pub(crate) struct Scene {
    pub(crate) daemon: Daemon,
    pub(crate) home: Home,
}

/// A program that does nothing until its standard input ends, and is not started yet.
pub(crate) const CAT: &str = "[program:cat]\ncommand=/bin/cat\nautostart=false\nstartsecs=0\n";

fn executable() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_bardo"))
}

/// A section with a listener that is in state RUNNING at once; see `listener::Manner`.
pub(crate) fn ears(name: &str, events: &str, manner: &str, more: &str) -> String {
    let (words, executable) = (format!("listener {name} {manner}"), escaped(executable()));
    format!(
        "[eventlistener:{name}]\ncommand=\"{executable}\" {WORD} \"{{here}}\" 1 {words}\n\
         events={events}\nstartsecs=0\n{more}\n\n"
    )
}

/// A section with a script that runs once, when it is told to.
pub(crate) fn script(name: &str, text: &str, more: &str) -> String {
    format!(
        "[program:{name}]\ncommand=/bin/sh \"{{here}}/{name}.sh\"\nautostart=false\n\
         autorestart=false\nstartsecs=0\nstdout_logfile={{here}}/{name}.log\n{more}\n\n\
         ;script {name} {}\n\n",
        text.replace('\n', "\n;")
    )
}

/// A daemon at level `debug` with these sections. `{here}` is its folder.
pub(crate) fn open(sections: &[&str]) -> Scene {
    let home = Home::new("events").unwrap();
    let here = home.path().display().to_string();
    let sections = sections.concat().replace("{here}", &here);
    home.configure("loglevel=debug\nidentifier=house\n", &sections).unwrap();
    write_scripts(&home, &sections);
    let daemon = Daemon::start(executable(), &home).unwrap();
    Scene { daemon, home }
}

/// Puts the scripts that stand in comments into their files.
fn write_scripts(home: &Home, sections: &str) {
    for text in sections.split(";script ").skip(1) {
        let (name, text) = text.split_once(' ').unwrap();
        let text = text.split("\n\n").next().unwrap_or_default().replace("\n;", "\n");
        fs::write(home.file(&format!("{name}.sh")), text + "\n").unwrap();
    }
}

impl Scene {
    pub(crate) fn client(&self) -> &Client {
        self.daemon.client()
    }

    /// Waits until something is so, and says what is in the main log if it is not.
    pub(crate) fn wait(&self, what: &str, condition: impl FnMut() -> bool) {
        if let Err(error) = home::wait_until(what, condition) {
            panic!("{error}\n{:?}\n{}", self.client().infos(), self.log());
        }
    }

    pub(crate) fn log(&self) -> String {
        self.home.main_log()
    }

    /// Waits until the main log has a line with these words.
    pub(crate) fn await_log(&self, words: &str) {
        self.wait(&format!("the words {words:?}"), || self.log().contains(words));
    }

    /// Waits until a process is in a state.
    pub(crate) fn until(&self, name: &str, state: &str) -> Info {
        let mut seen = None;
        self.wait(&format!("{name} {state}"), || {
            seen = self.client().info(name).ok();
            seen.as_ref().is_some_and(|info| info.state == state)
        });
        seen.unwrap()
    }

    /// Starts a program without waiting for it.
    pub(crate) fn start(&self, name: &str) {
        let parameters = [Value::from(name), Value::from(false)];
        self.client().call("supervisor.startProcess", &parameters).unwrap();
    }

    /// Runs a script to its end.
    pub(crate) fn run(&self, name: &str) {
        self.start(name);
        self.until(name, "EXITED");
    }

    pub(crate) fn call(&self, method: &str, about: &str) {
        self.client().about(method, about).unwrap();
    }

    /// Sends a REMOTE_COMMUNICATION.
    pub(crate) fn send(&self, data: &str) {
        let parameters = [Value::from("test"), Value::from(data)];
        self.client().call("supervisor.sendRemoteCommEvent", &parameters).unwrap();
    }

    /// What a listener has heard so far.
    pub(crate) fn heard(&self, listener: &str) -> Vec<Heard> {
        listener::heard(self.home.path(), listener)
    }

    /// What a listener has heard, once that is what was waited for.
    pub(crate) fn heard_until(
        &self,
        listener: &str,
        what: &str,
        mut condition: impl FnMut(&[Heard]) -> bool,
    ) -> Vec<Heard> {
        let mut seen = Vec::new();
        if let Err(error) = home::wait_until(what, || {
            seen = self.heard(listener);
            condition(&seen)
        }) {
            panic!("{error}\n{seen:?}\n{}", self.log());
        }
        seen
    }

    /// What a listener has heard, once it is so much.
    pub(crate) fn heard_of(&self, listener: &str, count: usize) -> Vec<Heard> {
        self.heard_until(listener, &format!("{count} events"), |heard| heard.len() >= count)
    }

    /// A file of the folder as text.
    pub(crate) fn file(&self, name: &str) -> String {
        String::from_utf8_lossy(&fs::read(self.home.file(name)).unwrap_or_default()).into_owned()
    }

    /// Lets a listener go on that waits for that.
    pub(crate) fn let_go(&self, listener: &str) {
        fs::write(self.home.file(&format!("{listener}.go")), "").unwrap();
    }

    /// Adds lines to the configuration, reads it again and adds the groups.
    pub(crate) fn add_groups(&self, sections: &str, names: &[&str]) {
        let path = self.home.file("supervisord.conf");
        let here = self.home.path().display().to_string();
        let text = fs::read_to_string(&path).unwrap() + "\n" + &sections.replace("{here}", &here);
        fs::write(&path, text).unwrap();
        self.client().call("supervisor.reloadConfig", &[]).unwrap();
        for name in names {
            self.call("addProcessGroup", name);
        }
    }
}

/// The payloads of events, in their order.
pub(crate) fn payloads(heard: &[Heard]) -> Vec<&str> {
    heard.iter().map(|event| event.payload.as_str()).collect()
}

/// What stands behind the first lines.
pub(crate) fn data(heard: &[Heard]) -> Vec<&str> {
    heard.iter().map(Heard::data).collect()
}
