//! The API thread on a socket file, in front of a control thread that plays one.

use std::io::{Read as _, Write as _};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, RwLock};
use std::time::Duration;

use bardo::api::{self, Api, ApiSettings, Listener, ListenerKind, Shown};
use bardo::daemon::changes::{Changed, Watch};
use bardo::daemon::clients::{
    self, ClearRefusal, Measured, ProcessView, Question, Questions, Reply, Selection, StdinRefusal,
};
use bardo::daemon::decisions::Told;
use bardo::daemon::metrics::Counts;
use bardo::daemon::settings::Namespace;
use bardo::daemon::standing::{Explained, Standing};
use bardo::daemon::troubles::Account;
use bardo_core::job::{Answer, Caller, Outcome};
use bardo_core::service::StateName;
use bardo_core::spec::{GroupKind, LogSpec, Origin};
use bardo_core::time::WallTime;
use bardo_core::{
    Command, Configuration, Difference, GroupSpec, Mood, Pid, Refusal, Scope, ServiceId,
    ServiceSpec, Target, Verb,
};
use bardo_sys::waker::Waker;
use bardo_wire::xmlrpc::{Request, Response, Value};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// How long a test waits for what must happen before it says what it saw.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A running API and what the test can do to it.
pub(crate) struct Scene {
    pub(crate) room: tempfile::TempDir,
    pub(crate) socket: PathBuf,
    pub(crate) play: Arc<Play>,
    pub(crate) overdue: Arc<AtomicUsize>,
    pub(crate) shown: Arc<RwLock<Shown>>,
    pub(crate) api: Api,
}

/// What the control thread plays.
#[derive(Default)]
pub(crate) struct Play {
    pub(crate) world: Mutex<World>,
    changed: Condvar,
    /// While set no question is taken.
    pub(crate) deaf: AtomicBool,
    wake: Mutex<Option<Arc<Waker>>>,
    watch: Mutex<Option<Arc<Watch>>>,
}

/// The table that questions are answered from.
#[derive(Default)]
pub(crate) struct World {
    pub(crate) processes: Vec<ProcessView>,
    pub(crate) loaded: Vec<Arc<GroupSpec>>,
    pub(crate) shutting_down: bool,
    /// What the control thread was asked to do, in words.
    pub(crate) heard: Vec<String>,
    /// How services stand.
    pub(crate) standings: Vec<Standing>,
    /// Decisions that are kept.
    pub(crate) kept: Vec<Told>,
    /// Decisions that were not told yet.
    pub(crate) told: Vec<Told>,
    /// Whether some were lost before they could be told.
    pub(crate) missed: bool,
    /// Processes whose start does not end by itself.
    pub(crate) slow: Vec<String>,
    waiting: Vec<(String, tokio::sync::oneshot::Sender<Reply>)>,
}

impl Play {
    /// Waits until the control thread has heard this.
    pub(crate) fn await_heard(&self, words: &str) {
        let world = self.world.lock().unwrap();
        let (world, waited) = self
            .changed
            .wait_timeout_while(world, PATIENCE, |world| {
                !world.heard.iter().any(|heard| heard == words)
            })
            .unwrap();
        assert!(!waited.timed_out(), "heard only {:?}", world.heard);
    }

    /// Lets a slow start succeed.
    pub(crate) fn finish_start(&self, name: &str) {
        let mut world = self.world.lock().unwrap();
        let place = world.waiting.iter().position(|(waiting, _)| waiting == name);
        let (_, reply) = world.waiting.remove(place.expect("somebody waits for the start"));
        drop(reply.send(Reply::Answer(Answer::Done)));
    }

    /// Changes the table, and tells those who watch it.
    pub(crate) fn change(&self, change: impl FnOnce(&mut World)) {
        change(&mut self.world.lock().unwrap());
        self.watch.lock().unwrap().as_ref().unwrap().wake();
    }

    /// Takes questions again.
    pub(crate) fn listen(&self) {
        self.deaf.store(false, Ordering::SeqCst);
        self.wake.lock().unwrap().as_ref().unwrap().wake();
    }
}

/// A scene without a password.
pub(crate) fn scene() -> Scene {
    open(None)
}

/// A scene with the usual cast: `p` runs, `q` is stopped, so are `g:g1` and `g:g2`;
/// `bad` names a file that is not there.
pub(crate) fn open(auth: Option<(&str, &str)>) -> Scene {
    allow_descriptors();
    let room = tempfile::tempdir().unwrap();
    let socket = room.path().join("s.sock");
    let listener = UnixListener::bind(&socket).unwrap();
    let wake = Arc::new(Waker::new().unwrap());
    let (clients, questions) = clients::channel(Arc::clone(&wake));
    let play = Arc::new(Play::default());
    *play.world.lock().unwrap() = cast(room.path());
    *play.wake.lock().unwrap() = Some(Arc::clone(&wake));
    *play.watch.lock().unwrap() = Some(questions.watch());
    let player = Arc::clone(&play);
    std::thread::spawn(move || perform(&player, &questions, &wake));

    let overdue = Arc::new(AtomicUsize::new(0));
    let told = Arc::clone(&overdue);
    let loads = Arc::clone(&play);
    let shown = Arc::new(RwLock::new(Shown {
        identifier: "supervisor".into(),
        main_log: Some(path_text(&room.path().join("main.log"))),
        namespaces: [Namespace::supervisor("supervisor")].into(),
        variables: [].into(),
        question_wait: PATIENCE,
        watching: None,
        is_minix: false,
        ends_at_restart: false,
        traces: false,
    }));
    let settings = ApiSettings {
        shown: Arc::clone(&shown),
        keeper: Pid(std::process::id()),
        supervisor_version: api::SUPERVISOR_VERSION,
        load: Arc::new(move || load(&loads)),
        load_program: Arc::new(|_| Err("nobody reads it".to_owned())),
        overdue: Arc::new(move || {
            told.fetch_add(1, Ordering::SeqCst);
        }),
        pump: None,
    };
    std::fs::write(room.path().join("main.log"), "the main log\n").unwrap();
    let door = Listener {
        fd: listener.into(),
        kind: ListenerKind::Unix,
        auth: auth.map(|(user, password)| (user.to_owned(), password.to_owned())),
        owner_only: false,
    };
    let api = api::start(settings, vec![door], clients).unwrap();
    Scene { room, socket, play, overdue, shown, api }
}

/// Hundreds of connections have both their ends in this process, and tests run beside each
/// other: the usual 1024 descriptors are too few.
fn allow_descriptors() {
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }).unwrap();
}

fn load(play: &Play) -> Result<Configuration, String> {
    match play.world.lock().unwrap().loaded.as_slice() {
        [] => Err("nothing to load".to_owned()),
        groups => Ok(Configuration { groups: groups.to_vec(), ..Configuration::default() }),
    }
}

fn path_text(path: &Path) -> Arc<str> {
    path.to_str().unwrap().into()
}

fn cast(room: &Path) -> World {
    let group = |name: &str, members: &[(&str, &str)]| {
        Arc::new(GroupSpec {
            name: name.into(),
            priority: 999,
            kind: GroupKind::Programs,
            origin: Origin::File,
            services: members
                .iter()
                .map(|(name, command)| Arc::new(service(name, command)))
                .collect(),
        })
    };
    let groups = vec![
        group("bad", &[("bad", "/no/such/file")]),
        group("g", &[("g1", "/bin/cat"), ("g2", "/bin/cat")]),
        group("p", &[("p", "/bin/cat")]),
        group("q", &[("q", "/bin/cat")]),
    ];
    let processes = groups
        .iter()
        .flat_map(|group| group.services.iter().map(move |spec| (group, spec)))
        .map(|(group, spec)| ProcessView {
            group: Arc::clone(group),
            spec: Arc::clone(spec),
            state: StateName::Stopped,
            pid: None,
            started: None,
            stopped: None,
            exit: None,
            failure: None,
            stdout_log: Some(path_text(&room.join(format!("{}.out", spec.name)))),
            stderr_log: None,
        })
        .collect();
    let mut world = World { processes, loaded: groups, ..World::default() };
    world.processes[3].start();
    world
}

pub(crate) trait Start {
    fn start(&mut self);
    fn stop(&mut self);
}

impl Start for ProcessView {
    fn start(&mut self) {
        self.state = StateName::Running;
        self.pid = Some(Pid(4711));
        self.started = Some(WallTime(1));
    }

    fn stop(&mut self) {
        self.state = StateName::Stopped;
        self.pid = None;
        self.stopped = Some(WallTime(2));
    }
}

fn service(name: &str, command: &str) -> ServiceSpec {
    ServiceSpec {
        program: Arc::default(),
        name: name.into(),
        command: command.into(),
        directory: None,
        environment: Arc::new([]),
        stdout: LogSpec::default(),
        stderr: LogSpec::default(),
    }
}

/// The control thread.
fn perform(play: &Play, questions: &Questions, wake: &Waker) {
    loop {
        let mut poll = [rustix::event::PollFd::new(wake, rustix::event::PollFlags::IN)];
        rustix::event::poll(&mut poll, None).unwrap();
        wake.clear();
        if play.deaf.load(Ordering::SeqCst) {
            continue;
        }
        while let Some(request) = questions.take() {
            let mut world = play.world.lock().unwrap();
            let reply = world.hear(&request.question);
            match (reply, request.question) {
                (Some(reply), _) => drop(request.reply.send(reply)),
                (None, Question::Command(Command::Act { target, .. })) => {
                    world.waiting.push((said(&target), request.reply));
                }
                (None, _) => {}
            }
            play.changed.notify_all();
        }
    }
}

fn said(target: &Target) -> String {
    match target {
        Target::Process(group, name) if group == name => name.to_string(),
        Target::Process(group, name) => format!("{group}:{name}"),
        Target::Group(group) => format!("{group}:*"),
        Target::All => "all".to_owned(),
    }
}

impl World {
    /// Answers; `None` when the answer has to wait.
    fn hear(&mut self, question: &Question) -> Option<Reply> {
        let refusal = |refusal| Some(Reply::Answer(Answer::Refused(refusal)));
        match question {
            Question::RemoteEvent { kind, data } => {
                self.heard.push(format!("event {kind} {data}"));
                Some(Reply::Answer(Answer::Done))
            }
            Question::Stdin { group, name, bytes } => {
                Some(Reply::Stdin(self.stdin(group, name, bytes)))
            }
            Question::ClearLog(selection) => {
                self.heard.push(format!("clear {selection:?}"));
                Some(Reply::ClearLog(self.clear(selection)))
            }
            Question::Measure => {
                let number = |place: usize| ServiceId(u32::try_from(place).unwrap());
                let views = self.processes.iter().cloned().enumerate();
                let processes =
                    views.map(|(place, view)| (number(place), view, Counts::default())).collect();
                Some(Reply::Measured(Box::new(Measured { processes, ..Measured::default() })))
            }
            Question::Mood => Some(Reply::Mood(self.mood())),
            Question::WhoIs { .. } => {
                Some(Reply::WhoIs { caller: Caller::Nobody, controls: false })
            }
            Question::Changed { .. } => Some(Reply::Changed(Changed {
                whole: true,
                mood: self.mood(),
                removed: Vec::new(),
                processes: self.processes.clone(),
                troubles: None,
                decisions: std::mem::take(&mut self.told),
                missed: std::mem::take(&mut self.missed),
            })),
            Question::Troubles => Some(Reply::Troubles(Account::default())),
            Question::Services(label) => {
                let wanted = |standing: &&Standing| {
                    label.as_ref().is_none_or(|label| standing.label() == **label)
                };
                Some(Reply::Services(self.standings.iter().filter(wanted).cloned().collect()))
            }
            Question::Why(label) => {
                let mut all = self.standings.iter();
                let found = all.find(|standing| standing.label() == **label);
                Some(Reply::Why(found.cloned().map(Box::new).map(Explained::Present)))
            }
            Question::Decisions(after) => {
                let last = self.kept.iter().map(|told| told.kept.number).max().unwrap_or(0);
                let later = self.kept.iter().filter(|told| told.kept.number > *after);
                Some(Reply::Decisions(later.cloned().collect(), last))
            }
            _ if self.shutting_down => refusal(Refusal::ShuttingDown),
            Question::Processes(selection) => {
                let views: Vec<_> = self
                    .processes
                    .iter()
                    .filter(|view| selects(selection, view))
                    .cloned()
                    .collect();
                match views.is_empty() && *selection != Selection::All {
                    true => refusal(Refusal::NoSuchName),
                    false => Some(Reply::Processes(views)),
                }
            }
            Question::Groups => {
                let groups = self.loaded.iter().map(|group| {
                    let in_use = self.has_group(&group.name);
                    (Arc::clone(group), in_use)
                });
                Some(Reply::Groups(groups.collect()))
            }
            Question::GroupNames => {
                let names = self.loaded.iter().map(|group| Arc::clone(&group.name));
                Some(Reply::Names(names.collect()))
            }
            Question::Log { .. } | Question::Cache { .. } => Some(Reply::Answer(Answer::Done)),
            Question::Command(command) => self.command(command).map(Reply::Answer),
        }
    }

    fn mood(&self) -> Mood {
        if self.shutting_down { Mood::Shutdown } else { Mood::Running }
    }

    fn has_group(&self, name: &str) -> bool {
        self.processes.iter().any(|view| *view.group.name == *name)
    }

    fn command(&mut self, command: &Command) -> Option<Answer> {
        match command {
            Command::Look => Some(Answer::Table),
            Command::Shutdown | Command::Restart => {
                self.heard.push(format!("{command:?}"));
                self.shutting_down = true;
                Some(Answer::Done)
            }
            Command::Load(configuration) => {
                let present: Vec<_> = self.processes.iter().map(|view| &view.group).collect();
                let difference = Difference::between(present.into_iter(), configuration);
                Some(Answer::Difference(difference))
            }
            Command::Reconcile(scope) => Some(self.reconcile(scope)),
            Command::Join { .. }
            | Command::Leave { .. }
            | Command::Bring { .. }
            | Command::Manage { .. }
            | Command::Rest { .. } => {
                self.heard.push(format!("{command:?}"));
                Some(Answer::Done)
            }
            Command::Act { verb, target, .. } => {
                self.heard.push(format!("{verb:?} {}", said(target)));
                match self.slow.contains(&said(target)) {
                    true => None,
                    false => Some(self.act(*verb, target)),
                }
            }
        }
    }

    fn reconcile(&mut self, scope: &Scope) -> Answer {
        match scope {
            Scope::Add(name) if self.has_group(name) => Answer::Refused(Refusal::AlreadyAdded),
            Scope::Add(_) => Answer::Refused(Refusal::NoSuchName),
            Scope::Remove(name) if !self.has_group(name) => Answer::Refused(Refusal::NoSuchName),
            Scope::Remove(name) => {
                let up = self
                    .processes
                    .iter()
                    .any(|view| view.group.name == *name && view.state.is_up());
                match up {
                    true => Answer::Refused(Refusal::StillRunning),
                    false => {
                        self.processes.retain(|view| view.group.name != *name);
                        Answer::Done
                    }
                }
            }
        }
    }

    fn act(&mut self, verb: Verb, target: &Target) -> Answer {
        let mut outcomes = Vec::new();
        let single = matches!(target, Target::Process(..));
        let mut named = false;
        for view in &mut self.processes {
            let meant = match target {
                Target::Process(group, name) => {
                    view.group.name == *group && view.spec.name == *name
                }
                Target::Group(group) => view.group.name == *group,
                Target::All => true,
            };
            if !meant {
                continue;
            }
            named = true;
            let refusal = match verb {
                Verb::Start if view.state.is_up() => Some(Refusal::AlreadyStarted),
                Verb::Stop if !view.state.is_up() => Some(Refusal::NotRunning),
                Verb::Signal(_) if !view.state.is_signallable() => Some(Refusal::NotRunning),
                Verb::Start | Verb::Stop | Verb::Signal(_) => None,
            };
            match (refusal, single) {
                (Some(refusal), true) => return Answer::Refused(refusal),
                (Some(_), false) => continue,
                (None, _) => {}
            }
            match verb {
                Verb::Start => view.start(),
                Verb::Stop => view.stop(),
                Verb::Signal(_) => {}
            }
            outcomes.push(Outcome {
                group: Arc::clone(&view.group.name),
                name: Arc::clone(&view.spec.name),
                result: Ok(()),
            });
        }
        match (named || *target == Target::All, single) {
            (false, _) => Answer::Refused(Refusal::NoSuchName),
            (true, true) => Answer::Done,
            (true, false) => Answer::Outcomes(outcomes),
        }
    }

    fn stdin(&mut self, group: &str, name: &str, bytes: &[u8]) -> Result<(), StdinRefusal> {
        let view = self
            .processes
            .iter()
            .find(|view| *view.group.name == *group && *view.spec.name == *name)
            .ok_or(StdinRefusal::NoSuchName)?;
        if view.pid.is_none() {
            return Err(StdinRefusal::NotRunning);
        }
        let text = String::from_utf8_lossy(bytes);
        self.heard.push(format!("stdin {name} {text}"));
        Ok(())
    }

    fn clear(&self, selection: &Selection) -> Result<(), ClearRefusal> {
        let known = matches!(selection, Selection::Main)
            || self.processes.iter().any(|view| selects(selection, view));
        known.then_some(()).ok_or(ClearRefusal::NoSuchName)
    }
}

fn selects(selection: &Selection, view: &ProcessView) -> bool {
    match selection {
        Selection::Main => false,
        Selection::Process(group, name) => view.group.name == *group && view.spec.name == *name,
        Selection::Group(group) => view.group.name == *group,
        Selection::All => true,
    }
}

/// An answer over HTTP.
#[derive(Debug)]
pub(crate) struct Heard {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Heard {
    /// The value of a header.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head
            .lines()
            .skip(1)
            .filter_map(|line| line.split_once(": "))
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
    }
}

impl Scene {
    /// How long a question that is asked from now on may wait before it is overdue.
    pub(crate) fn let_questions_wait(&self, wait: Duration) {
        self.shown.write().unwrap().question_wait = wait;
    }

    /// A connection that gives up in time.
    pub(crate) fn connect(&self) -> UnixStream {
        let stream = UnixStream::connect(&self.socket).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    /// Sends bytes on a connection of their own and reads to the end.
    pub(crate) fn raw(&self, bytes: &[u8]) -> Heard {
        let mut stream = self.connect();
        stream.write_all(bytes).unwrap();
        let mut text = Vec::new();
        stream.read_to_end(&mut text).unwrap();
        let _ = stream.shutdown(Shutdown::Both);
        heard(&String::from_utf8_lossy(&text))
    }

    /// One request of its own connection.
    pub(crate) fn http(&self, method: &str, path: &str, headers: &str, body: &str) -> Heard {
        let length = body.len();
        self.raw(
            format!(
                "{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
                 Content-Length: {length}\r\n{headers}\r\n{body}"
            )
            .as_bytes(),
        )
    }

    /// Calls a method; a fault is its number and text.
    pub(crate) fn call(&self, method: &str, parameters: &[Value]) -> Result<Value, (i32, String)> {
        let request = Request { method: method.to_owned(), parameters: parameters.to_vec() };
        let answer = self.http("POST", "/RPC2", "", &request.to_xml());
        assert_eq!(answer.status, 200, "{answer:?}");
        match Response::parse(answer.body.as_bytes()).unwrap() {
            Response::Result(value) => Ok(value),
            Response::Fault(fault) => Err((fault.code, fault.text)),
        }
    }

    /// Calls a method of the supervisor with names.
    pub(crate) fn supervisor(&self, method: &str, names: &[&str]) -> Result<Value, (i32, String)> {
        let parameters: Vec<Value> = names.iter().map(|name| Value::from(*name)).collect();
        self.call(&format!("supervisor.{method}"), &parameters)
    }
}

/// Takes an answer apart.
pub(crate) fn heard(text: &str) -> Heard {
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((text, ""));
    let status = head.split(' ').nth(1).and_then(|code| code.parse().ok());
    Heard { status: status.unwrap_or(0), head: head.to_owned(), body: body.to_owned() }
}
