//! Restarts on the control thread: when the configuration is loaded again, and what
//! takes effect when it begins.
//!
//! The settings are attached to the configuration, so the record of the one is the
//! record of the other, and there is no instant at which a successor would find new
//! programs with old settings. Whatever else follows is done again by a successor that
//! finds it undone: a socket that the keeper holds and no settings name is closed.

use std::collections::BTreeMap;
use std::fs;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, PoisonError};
use std::thread::JoinHandle;

use bardo_core::spec::Configuration;
use bardo_core::{Input, Mood, Supervisor};
use bardo_keeper::protocol::{Key, Roles, ToKeeper};
use rustix::net::Shutdown;

use super::cache::Change;
use super::following::{FOLLOWS, FOLLOWS_THEN_AGAIN};
use super::journal::Entry;
use super::link::Link;
use super::main_log::Level;
use super::plans::Planner;
use super::renewal::{self, Changes, Present, Renewal};
use super::settings::{Address, Server, Settings};
use super::sockets;
use super::supervisor::{listener, main_log, shown};
use super::world::Machine;

/// How many supervisors may begin to load the configuration for one restart. One may be
/// killed by whatever else; two at the same work are no accident.
const RELOAD_TRIES_MAX: u8 = 2;

/// A configuration that was loaded again, or why not.
pub(super) type Outcome = Result<Loaded, String>;

/// A configuration that was loaded again.
pub(super) enum Loaded {
    /// Everything stops, and this begins.
    Anew(Box<Renewal>),
    /// What has changed is taken up.
    Changes(Changes),
}

/// How far a restart has come, and what it needs.
#[derive(Default)]
pub(super) struct Restart {
    loading: Loading,
    early: Early,
    /// All listening sockets that the keeper holds, by place.
    listeners: BTreeMap<u32, OwnedFd>,
    /// The settings that begin when everything has stopped.
    next: Option<Settings>,
    /// Those before, while not all of what follows from the new ones is done.
    before: Option<Settings>,
    /// Automatic logs to remove then.
    leftovers: Vec<Arc<str>>,
    /// Who removes what the last settings have left.
    tidying: Option<JoinHandle<()>>,
}

/// Whether the configuration is being loaded.
#[derive(Default, Clone, Copy, PartialEq, Eq)]
enum Loading {
    #[default]
    No,
    Yes,
    /// And somebody has asked since.
    Again,
}

/// Whether somebody has asked before what a predecessor has begun is gone on with: both may be
/// about the same, and one that a predecessor takes up comes first.
#[derive(Default, Clone, Copy, PartialEq, Eq)]
enum Early {
    #[default]
    Nobody,
    Somebody,
    /// It is not early any more.
    Over,
}

/// The key under which the keeper holds a listening socket.
fn listener_key(place: u32) -> Key {
    Key { owner: Key::HOUSE, life: place }
}

impl Restart {
    /// What a supervisor has taken over: the sockets, and the settings of a restart that
    /// is under way.
    pub(super) fn new(listeners: BTreeMap<u32, OwnedFd>, next: Option<Settings>) -> Self {
        Self { listeners, next, ..Self::default() }
    }

    /// Lets nobody come any more, so that somebody else may listen in the same places although
    /// the keeper holds these sockets for some milliseconds more.
    pub(super) fn close_listeners(&self) {
        for socket in self.listeners.values() {
            // One that was never connected says so, and listens no more all the same.
            let _ = rustix::net::shutdown(socket, Shutdown::Both);
        }
    }

    /// The files that listening sockets have which no server of `settings` has, and the
    /// pid file that is not theirs.
    pub(super) fn stray_files(&self, settings: &Settings) -> Vec<String> {
        let named = |path: &String| {
            settings.servers.iter().any(|server| server.address.file() == Some(path))
        };
        let sockets =
            self.listeners.values().filter_map(|socket| match sockets::address(socket.as_fd())? {
                Address::File(path) => Some(path),
                Address::Port(..) => None,
            });
        let next = self.next.as_ref().filter(|next| next.has_pidfile);
        let pidfile = next.map(|next| next.pidfile.clone());
        let mut files: Vec<String> = sockets.filter(|path| !named(path)).collect();
        files.extend(pidfile.filter(|path| *path != settings.pidfile));
        files
    }
}

impl Machine {
    /// Loads the configuration on a thread of its own: files may be slow. Until what
    /// follows from it is recorded, a successor begins it again, but not for ever: it may
    /// be what its predecessors have died of.
    pub(super) fn load_again(&mut self) {
        if self.restart.loading != Loading::No {
            self.restart.loading = Loading::Again;
            if self.surroundings.reload_tries == FOLLOWS {
                self.note(&Entry::Reloading(FOLLOWS_THEN_AGAIN));
            }
            return;
        }
        self.note_begin_of_reload();
        let tries = self.surroundings.reload_tries;
        if tries >= RELOAD_TRIES_MAX {
            let why = format!(
                "{tries} supervisors have ended while they loaded the configuration; ask again \
                 when that is mended"
            );
            self.log_refusal(Level::Critical, &why);
            self.note(&Entry::Reloading(0));
            self.retire_strays();
            self.reload_is_over(Some(&why));
            return;
        }
        self.note(&Entry::Reloading(tries + 1));
        if let Err(error) = self.start_loading() {
            let why = format!("cannot load the configuration now: {error}");
            self.log(Level::Error, &why);
            self.reload_is_over(Some(&why));
            self.taken.reload = true;
        }
    }

    fn start_loading(&mut self) -> std::io::Result<()> {
        let listeners = self.restart.listeners.iter();
        let listeners = listeners.map(|(place, socket)| Ok((*place, socket.try_clone()?)));
        let present = Present {
            settings: self.settings.clone(),
            listeners: listeners.collect::<std::io::Result<_>>()?,
            sockets: self.surroundings.sockets.values().cloned().collect(),
        };
        let tidying = self.restart.tidying.take();
        let sender = self.loaded_again.0.clone();
        let follows = self.follows();
        let waker = Arc::clone(&self.waker);
        std::thread::Builder::new().name("load".into()).spawn(move || {
            // What is still to be removed must not be taken for what is to be opened.
            tidying.map(JoinHandle::join);
            // The receiver lives as long as the process.
            let _ = sender.send(if follows {
                renewal::changes(&present).map(Loaded::Changes)
            } else {
                renewal::restart(&present).map(|renewal| Loaded::Anew(Box::new(renewal)))
            });
            waker.wake();
        })?;
        self.restart.loading = Loading::Yes;
        Ok(())
    }

    /// Of the settings that were loaded with a configuration, attaches what a reread takes
    /// up.
    pub(super) fn reread(&self, configuration: Configuration) -> Configuration {
        let settings = match Settings::parse(&configuration.attachment) {
            Ok(fresh) => self.settings.reread(&fresh),
            Err(error) => {
                self.log(Level::Critical, &format!("the new settings cannot be read: {error}"));
                self.settings.clone()
            }
        };
        Configuration { attachment: settings.to_text().into(), ..configuration }
    }

    /// Takes what was loaded again, if it has come.
    pub(super) fn renewals(&mut self, inputs: &mut Vec<Input>) {
        while let Ok(outcome) = self.loaded_again.1.try_recv() {
            let renewed = match outcome {
                // It is over when all is taken up.
                Ok(Loaded::Changes(changes)) => {
                    self.follow(changes);
                    continue;
                }
                Ok(Loaded::Anew(renewal)) => self.renewed(*renewal),
                Err(message) => Err(message),
            };
            let again = self.restart.loading == Loading::Again;
            self.restart.loading = Loading::No;
            let failed = renewed.as_ref().err().cloned();
            match renewed {
                Ok(configuration) => inputs.push(Input::Replace(configuration)),
                Err(message) => self.log_refusal(Level::Error, &message),
            }
            self.retire_strays();
            if again {
                self.load_once_more(failed.as_deref());
            } else {
                if failed.is_some() {
                    self.reload_is_over(failed.as_deref());
                }
                self.taken.reload = true;
            }
        }
    }

    /// Whether somebody has asked for another reload while one is under way.
    pub(super) fn is_asked_again(&self) -> bool {
        self.restart.loading == Loading::Again
    }

    /// What was loaded is taken up, as far as `failed` does not say otherwise.
    pub(super) fn has_followed(&mut self, failed: Option<&str>) {
        let again = self.restart.loading == Loading::Again;
        self.restart.loading = Loading::No;
        if again {
            self.load_once_more(failed);
        } else {
            self.note(&Entry::Reloading(0));
            self.reload_is_over(failed);
        }
    }

    /// One has come to its end, and somebody has asked for another one meanwhile.
    fn load_once_more(&mut self, failed: Option<&str>) {
        self.note_reload(failed);
        self.surroundings.reload_tries = 0;
        self.load_again();
    }

    /// Goes on with what a predecessor has begun, if it has, and does what was asked for
    /// meanwhile.
    pub(super) fn resume_reload(&mut self, supervisor: &Supervisor) {
        let is_asked = std::mem::replace(&mut self.restart.early, Early::Over) == Early::Somebody;
        match self.surroundings.reload_tries {
            0 => {
                self.retire_strays();
                if is_asked {
                    self.tell_of_reload();
                    self.load_again();
                }
            }
            tries @ (FOLLOWS | FOLLOWS_THEN_AGAIN) => {
                let is_asked_again = tries == FOLLOWS_THEN_AGAIN;
                self.restart.loading = if is_asked_again { Loading::Again } else { Loading::Yes };
                self.tell_of_reload();
                self.follow_again(supervisor);
                if is_asked {
                    self.load_again();
                }
            }
            // What is loaded now is what whoever has asked meanwhile wants as well, and it may
            // have been asked for only once.
            _ => {
                self.tell_of_reload();
                self.load_again();
            }
        }
    }

    fn log_refusal(&self, level: Level, why: &str) {
        let what = if self.follows() { "reloaded" } else { "restarted" };
        self.log(level, &format!("not {what}, everything goes on as it was: {why}"));
    }

    /// Gives the keeper the sockets of a renewal, and attaches its settings.
    fn renewed(&mut self, renewal: Renewal) -> Result<Configuration, String> {
        let Renewal { configuration, mut settings, opened, leftovers } = renewal;
        for (place, socket) in opened {
            let held = self.link.hold(listener_key(place), Roles::LISTENER, &[socket.as_fd()]);
            self.restart.listeners.insert(place, socket);
            held.map_err(|error| format!("cannot keep a socket: {error}"))?;
        }
        settings.beginning = self.settings.beginning + 1;
        let attachment = settings.to_text().into();
        self.restart.next = Some(settings);
        self.restart.leftovers = leftovers;
        Ok(Configuration { attachment, ..configuration })
    }

    /// The settings that are attached to the loaded configuration take effect for
    /// programs. The rest follows when all that was said before is in the main log:
    /// [`Self::welcome`].
    pub(super) fn take_up(&mut self, attachment: &str) {
        let settings = match Settings::parse(attachment).map(Settings::of_this_keeper) {
            Ok(settings) if settings != self.settings => settings,
            Ok(_) => return,
            Err(error) => {
                let text = format!("the new settings cannot be read: {error}");
                return self.log(Level::Critical, &text);
            }
        };
        let before = std::mem::replace(&mut self.settings, settings);
        if self.settings.server_url != before.server_url {
            self.planner = Planner::new(&self.settings);
        }
        if self.settings.beginning != before.beginning {
            // As under Supervisor, which makes its interfaces anew.
            if !self.surroundings.cache.is_empty() {
                self.note(&Entry::Cache(Change::ClearAll));
            }
            self.restart.next = None;
            for path in std::mem::take(&mut self.restart.leftovers) {
                self.pump.remove(path);
            }
        }
        self.restart.before = Some(before);
    }

    /// What is left to do when settings have been taken up, as far as they have changed:
    /// the main log, what clients see, and where.
    pub(super) fn welcome(&mut self) {
        let Some(before) = self.restart.before.take() else { return };
        let settings = &self.settings;
        self.log_level = settings.main_log.level;
        if settings.main_log != before.main_log {
            self.pump.replace_main_log(main_log(&settings.main_log));
        }
        *self.shown.write().unwrap_or_else(PoisonError::into_inner) = shown(settings);
        if settings.servers != before.servers {
            self.open_doors();
        }
        if settings.patience() != before.patience() {
            self.tell(settings.patience());
        }
        if settings.beginning != before.beginning {
            self.retire_strays();
        }
        self.greet();
    }

    /// Writes the lines of a beginning into the main log, once.
    pub(super) fn greet(&mut self) {
        self.remove_former_pidfile();
        let beginning = self.settings.beginning;
        if self.surroundings.greeted == beginning {
            return;
        }
        for (level, text) in &self.settings.greeting {
            self.log(*level, text);
        }
        self.note(&Entry::Greeted(beginning));
    }

    /// Each supervisor does it, because the one before may not have come so far. A file that
    /// names another process is somebody else's by now.
    fn remove_former_pidfile(&mut self) {
        // Who loads may just have written it anew.
        if self.restart.loading != Loading::No {
            return;
        }
        let next = self.restart.next.as_ref();
        let is_kept = |path: &String| next.is_some_and(|next| next.pidfile == *path);
        let Some(path) = self.settings.former_pidfile.clone().filter(|path| !is_kept(path)) else {
            return;
        };
        let text = format!("{}\n", self.settings.keeper_pid);
        let before = self.restart.tidying.take();
        let remove = move || {
            before.map(JoinHandle::join);
            if fs::read(&path).is_ok_and(|there| there == text.as_bytes()) {
                // Somebody else may have tidied up.
                let _ = fs::remove_file(path);
            }
        };
        // Without a thread it stays until the next supervisor.
        self.restart.tidying = std::thread::Builder::new().name("tidy".into()).spawn(remove).ok();
    }

    fn open_doors(&self) {
        let listeners = self.settings.servers.iter().filter_map(|server| {
            let socket = self.restart.listeners.get(&server.place)?;
            Some(listener(server, socket.try_clone().ok()?))
        });
        self.doors.replace(listeners.collect());
    }

    /// Closes every listening socket that neither the settings name nor those that come
    /// after them.
    pub(super) fn retire_strays(&mut self) {
        // What is being loaded may want one of them.
        if self.restart.loading != Loading::No {
            return;
        }
        let next = self.restart.next.as_ref();
        let servers = || {
            let next = next.into_iter().flat_map(|next| &next.servers);
            self.settings.servers.iter().chain(next)
        };
        let is_named = |place: &u32| servers().any(|server: &Server| server.place == *place);
        let strays: Vec<u32> =
            self.restart.listeners.keys().copied().filter(|place| !is_named(place)).collect();
        let addresses = strays
            .iter()
            .filter_map(|place| sockets::address(self.restart.listeners.get(place)?.as_fd()));
        let mut files: Vec<String> = addresses
            .filter_map(|address| match address {
                Address::File(path) => Some(path),
                Address::Port(..) => None,
            })
            .collect();
        files.retain(|path| !servers().any(|server| server.address.file() == Some(path)));
        if !strays.is_empty() {
            self.tidy(files, strays);
        }
    }

    /// Removes files and closes listening sockets: on a thread, because a directory may be
    /// slow. First the file, then the socket: what a successor finds is what is still to
    /// be done.
    fn tidy(&mut self, files: Vec<String>, strays: Vec<u32>) {
        let (link, before, places) =
            (self.link.clone(), self.restart.tidying.take(), strays.clone());
        let tidy = move || {
            before.map(JoinHandle::join);
            remove(&link, &files, &places);
        };
        match std::thread::Builder::new().name("tidy".into()).spawn(tidy) {
            Ok(thread) => {
                self.restart.tidying = Some(thread);
                for place in &strays {
                    self.restart.listeners.remove(place);
                }
            }
            // The next restart tries again.
            Err(error) => {
                let text = format!("cannot close what the last settings have left: {error}");
                self.log(Level::Warn, &text);
            }
        }
    }

    /// Whether automatic logs are kept when their owners leave the table. A restart that
    /// is under way follows the settings that come.
    pub(super) fn keeps_automatic_logs(&self) -> bool {
        self.restart.next.as_ref().unwrap_or(&self.settings).nocleanup
    }

    /// Somebody asks for a restart by a signal, or a service for a reload; a shutdown wins over
    /// it.
    pub(super) fn hang_up(&mut self) {
        let wish = if self.follows() { "reload" } else { "restart" };
        if self.mood == Mood::Shutdown {
            let text = format!("ignored SIGHUP indicating {wish} request (shutdown in progress)");
            return self.log(Level::Warn, &text);
        }
        self.log(Level::Warn, &format!("received SIGHUP indicating {wish} request"));
        if self.restart.early != Early::Over {
            self.restart.early = Early::Somebody;
            return;
        }
        self.tell_of_reload();
        self.load_again();
    }
}

fn remove(link: &Link, files: &[String], places: &[u32]) {
    for file in files {
        // Somebody else may have tidied up.
        let _ = fs::remove_file(file);
    }
    for place in places {
        // A keeper that is gone holds nothing.
        let _ = link.say(ToKeeper::Drop(listener_key(*place), Roles::LISTENER));
    }
}
