//! The API thread: HTTP for people and programs.
//!
//! It answers XML-RPC, log streams and pages over sockets that somebody else has
//! bound, and asks the control thread whatever concerns processes. It never
//! touches a child, and what can wait for a disk is done on a thread beside it.
//!
//! One thing surprises a newcomer: a client that waits for a start is nothing but
//! a future that waits for a channel. Nothing is polled, and no other client
//! notices.

mod access;
mod answer;
mod ask;
pub(crate) mod auth;
mod body;
mod connection;
mod faults;
mod info;
mod logs;
mod logtail;
mod lookup;
mod metrics;
mod page;
mod peer;
mod places;
mod rest;
mod room;
mod rpc;
mod server;
mod spare;
mod tail_file;
#[cfg(test)]
pub(crate) mod test_specs;

use std::ffi::OsString;
use std::fmt;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, PoisonError, RwLock};
use std::thread::JoinHandle;
use std::time::Duration;

use bardo_config::Described;
use bardo_core::{Configuration, Pid, ServiceSpec};
use bardo_sys::clock::LocalTime;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio::sync::watch;

use self::body::Bodies;
use self::rest::feed::Feed;
use self::room::Room;
use self::spare::Spare;
use crate::daemon::clients::Clients;
use crate::daemon::main_log::{self, Level};
use crate::daemon::pump::PumpHandle;
use crate::daemon::settings::Namespace;

/// How long a question may wait before the control thread counts as hung, unless
/// the settings say otherwise.
pub const QUESTION_WAIT: Duration = Duration::from_secs(10);

/// What tools that compare versions are told: the Supervisor that this is one of.
pub const SUPERVISOR_VERSION: &str = "4.3.0";

/// How long the thread for files stays when there is nothing to read: as good as for
/// ever. Where no thread is to be had any more, it is there already.
const FILE_THREAD_KEPT: Duration = Duration::from_secs(10 * 365 * 86400);

/// Reads the configuration file again. What is wrong with it is told in words.
pub type Load = Arc<dyn Fn() -> Result<Configuration, String> + Send + Sync>;

/// Reads a program that a client describes, whose file is filled in. What is wrong with
/// it is told in words.
pub type LoadProgram =
    Arc<dyn Fn(Described) -> Result<Vec<Arc<ServiceSpec>>, String> + Send + Sync>;

/// Is told that the control thread takes no questions any more.
pub type Overdue = Arc<dyn Fn() + Send + Sync>;

/// What the API has to know.
#[derive(Clone)]
pub struct ApiSettings {
    /// What a new configuration may change.
    pub shown: Arc<RwLock<Shown>>,
    /// The process that clients know as the supervisor: the keeper.
    pub keeper: Pid,
    /// What `getSupervisorVersion` says.
    pub supervisor_version: &'static str,
    /// Reads the configuration file again. It may block.
    pub load: Load,
    /// Reads a program that a client describes. It may block.
    pub load_program: LoadProgram,
    /// Called when a question has waited too long, once until one is taken again.
    pub overdue: Overdue,
    /// Who writes the main log: a client that has its answer finds there what led to
    /// it. `None` where nobody does.
    pub pump: Option<PumpHandle>,
}

/// What clients are shown of the supervisor itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    /// The name that `identifier=` gives it.
    pub identifier: Arc<str>,
    /// The file of the main log; `None` when it goes elsewhere.
    pub main_log: Option<Arc<str>>,
    /// The namespaces under which there are methods.
    pub namespaces: Arc<[Namespace]>,
    /// What a program that a client describes may name as `ENV_x`, beside the
    /// environment.
    pub variables: Arc<[(String, String)]>,
    /// How long a question may wait to be taken.
    pub question_wait: Duration,
    /// Whether each request has a line in the main log.
    pub traces: bool,
    /// Why nothing can be changed, where the supervisor only watches.
    pub watching: Option<Arc<str>>,
    /// Whether services are kept by MINIX's rules that are brought up.
    pub is_minix: bool,
    /// Whether a restart is an end with 1, after which whoever has started the daemon starts it
    /// again.
    pub ends_at_restart: bool,
}

/// A socket that is bound and listens.
#[derive(Debug)]
pub struct Listener {
    /// The socket.
    pub fd: OwnedFd,
    /// Of which kind it is.
    pub kind: ListenerKind,
    /// The user and the password that it asks for.
    pub auth: Option<(String, String)>,
    /// Whether only root and our own user may do everything through it. Others may ask what
    /// is decided for each of them where it is done.
    pub owner_only: bool,
}

/// Kinds of sockets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ListenerKind {
    /// A socket file.
    Unix,
    /// A port.
    Tcp,
}

/// What all handlers share.
struct Context {
    settings: ApiSettings,
    clients: Clients,
    /// Our own `PATH`: programs that set none are looked for along it.
    path: Option<OsString>,
    overdue_told: AtomicBool,
    /// Turns true when the API is to end.
    ending: watch::Receiver<bool>,
    /// The room for long requests.
    bodies: Bodies,
    spare: Spare,
    /// The room for large answers.
    room: Room,
    /// What those are told who watch the table.
    feed: Feed,
}

impl Context {
    /// Waits until the API is to end.
    async fn ended(&self) {
        let mut ending = self.ending.clone();
        if ending.wait_for(|ending| *ending).await.is_err() {
            // Nobody is left who could say so.
            std::future::pending::<()>().await;
        }
    }

    fn is_ending(&self) -> bool {
        *self.ending.borrow()
    }

    /// Writes a line of level `trace` to the main log.
    fn trace(&self, message: &str) {
        self.say(Level::Trace, message);
    }

    /// Writes a line to the main log.
    fn say(&self, level: Level, message: &str) {
        if let Some(pump) = &self.settings.pump {
            pump.line(main_log::line(LocalTime::now(), level, message));
        }
    }

    fn shown(&self) -> Shown {
        self.settings.shown.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl fmt::Debug for ApiSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiSettings")
            .field("shown", &self.shown)
            .field("keeper", &self.keeper)
            .finish_non_exhaustive()
    }
}

/// The running API thread. Dropping this leaves it running.
#[derive(Debug)]
pub struct Api {
    thread: JoinHandle<()>,
    ending: watch::Sender<bool>,
    doors: Doors,
}

/// Says where the API listens.
#[derive(Debug, Clone)]
pub struct Doors {
    changes: UnboundedSender<Vec<Listener>>,
}

impl Doors {
    /// Listens there from now on, and nowhere else. A socket that is among those that
    /// were there before goes on without a gap, with the password that is given now; who
    /// came through one that is not is shown out.
    pub fn replace(&self, listeners: Vec<Listener>) {
        // An API that has ended listens nowhere.
        let _ = self.changes.send(listeners);
    }
}

impl Api {
    /// A way to say where it listens.
    #[must_use]
    pub fn doors(&self) -> Doors {
        self.doors.clone()
    }

    /// Ends the API: nobody is let in any more, and answers that are under way are
    /// delivered first. The client that asked for the shutdown is among those who
    /// wait. It blocks, for about a second at most.
    pub fn finish(self) {
        let _ = self.ending.send(true);
        let _ = self.thread.join();
    }
}

/// The names of all methods of XML-RPC, sorted.
pub fn method_names() -> impl Iterator<Item = &'static str> {
    rpc::method_names()
}

/// Starts the API thread.
///
/// # Errors
/// When there is no thread, no epoll or no usable socket to be had.
pub fn start(settings: ApiSettings, listeners: Vec<Listener>, clients: Clients) -> io::Result<Api> {
    let (ending, is_ending) = watch::channel(false);
    let (changes, replaced) = unbounded_channel();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .enable_time()
        .max_blocking_threads(1)
        .thread_keep_alive(FILE_THREAD_KEPT)
        .thread_name("files")
        .build()?;
    runtime.spawn_blocking(|| {});
    let context = Arc::new(Context {
        settings,
        clients,
        path: std::env::var_os("PATH"),
        overdue_told: AtomicBool::new(false),
        ending: is_ending,
        bodies: Bodies::new(),
        spare: Spare::new(),
        room: Room::new(),
        feed: Feed::new(),
    });
    let entrances = {
        let _entered = runtime.enter();
        listeners.into_iter().map(server::Entrance::open).collect::<io::Result<Vec<_>>>()?
    };
    let serve = move || {
        runtime.block_on(server::serve(context, entrances, replaced));
        // A read of a disk that hangs must not keep the process.
        runtime.shutdown_background();
    };
    let thread = std::thread::Builder::new().name("api".to_owned()).spawn(serve)?;
    Ok(Api { thread, ending, doors: Doors { changes } })
}
