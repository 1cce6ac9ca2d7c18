//! Clients' questions on the control thread: what is asked of the core, and what is
//! answered from the table as it is.

use std::sync::Arc;

use bardo_core::job::{Answer, Command, Deed, Refusal};
use bardo_core::service::Service;
use bardo_core::{Input, Mood, Pid, Supervisor, Ticket};
use bardo_wire::listener::EventType;
use tokio::sync::oneshot;

use super::cache::Change;
use super::children::Life;
use super::clients::{
    CacheReply, CacheRequest, ClearRefusal, Question, Reply, Request, Selection, StdinRefusal,
};
use super::journal::Entry;
use super::main_log::Level;
use super::pump::{Channel, StreamKey};
use super::settings::RESTART_REQUESTED;
use super::world::Machine;
use super::{logs, views};
use crate::words::payload;

/// A client that waits.
pub(super) struct Pending {
    question: Asked,
    reply: oneshot::Sender<Reply>,
}

/// What the answer is made of.
enum Asked {
    /// What the core says.
    Core,
    /// A look at processes.
    Processes(Selection),
    /// A look at all processes and what was counted.
    Measured,
    /// What has changed in the table, or all of it.
    Changed { whole: bool },
    /// What the supervisor is about.
    Mood,
    /// A look at how services stand.
    Services(Option<Arc<str>>),
    /// A look at what was decided about one.
    Why(Arc<str>),
    /// To which service one of these processes belongs.
    WhoIs(Vec<Pid>),
    /// A look at the loaded groups.
    Groups,
    /// The names of the groups that are there.
    GroupNames,
    /// Bytes for a standard input.
    Stdin { group: Arc<str>, name: Arc<str>, bytes: Vec<u8> },
    /// Logs to empty.
    ClearLog(Selection),
}

impl Machine {
    /// Takes the questions that wait.
    pub(super) fn questions(&mut self, inputs: &mut Vec<Input>) {
        while let Some(Request { question, reply }) = self.questions.take() {
            let (question, command) = match question {
                Question::RemoteEvent { kind, data } => {
                    self.offer(EventType::RemoteCommunication, payload::remote(&kind, &data));
                    let _ = reply.send(Reply::Answer(Answer::Done));
                    continue;
                }
                Question::Log { .. } | Question::Cache { .. } if self.mood == Mood::Shutdown => {
                    let _ = reply.send(Reply::Answer(Answer::Refused(Refusal::ShuttingDown)));
                    continue;
                }
                Question::Log { level, text } => {
                    self.log(level, &text);
                    let _ = reply.send(Reply::Answer(Answer::Done));
                    continue;
                }
                Question::Troubles => {
                    let _ = reply.send(Reply::Troubles(self.account()));
                    continue;
                }
                Question::Decisions(after) => {
                    let _ = reply.send(self.decisions_after(after));
                    continue;
                }
                Question::Cache { namespace, request } => {
                    let _ = reply.send(Reply::Cache(self.cache(namespace, request)));
                    continue;
                }
                Question::Command(ref command)
                    if adds(command) && !self.journal.has_room_to_add() =>
                {
                    let _ = reply.send(Reply::Answer(Answer::Refused(Refusal::TableFull)));
                    continue;
                }
                Question::Command(command) => (Asked::Core, command),
                Question::Processes(which) => (Asked::Processes(which), Command::Look),
                Question::Measure => (Asked::Measured, Command::Look),
                Question::Changed { whole } => (Asked::Changed { whole }, Command::Look),
                Question::Mood => (Asked::Mood, Command::Look),
                Question::Services(label) => (Asked::Services(label), Command::Look),
                Question::Why(label) => (Asked::Why(label), Command::Look),
                Question::WhoIs { pids } => (Asked::WhoIs(pids), Command::Look),
                Question::Groups => (Asked::Groups, Command::Look),
                Question::GroupNames => (Asked::GroupNames, Command::Look),
                Question::Stdin { group, name, bytes } => {
                    (Asked::Stdin { group, name, bytes }, Command::Look)
                }
                Question::ClearLog(which) => (Asked::ClearLog(which), Command::Look),
            };
            let command = match command {
                Command::Load(configuration) => Command::Load(self.reread(configuration)),
                Command::Restart if self.settings.ends_at_restart => {
                    // While everything is being stopped already it is refused.
                    if self.can_begin_anew() {
                        self.note(&Entry::EndsWith(RESTART_REQUESTED));
                    }
                    Command::Shutdown
                }
                other => other,
            };
            let ticket = self.new_ticket();
            // While everything is being stopped it is refused.
            if command == Command::Restart && self.can_begin_anew() {
                self.load_again();
            }
            let adds = adds(&command);
            self.tickets.insert(ticket, Pending { question, reply });
            inputs.push(Input::Command { ticket, command });
            if adds {
                // Whether there is room for more is known when this is in the journal.
                self.waker.wake();
                return;
            }
        }
    }

    /// A number for the next question that the core is asked.
    pub(super) fn new_ticket(&mut self) -> Ticket {
        let ticket = Ticket(self.next_ticket);
        self.next_ticket += 1;
        ticket
    }

    /// Whether a restart is not refused.
    fn can_begin_anew(&self) -> bool {
        matches!(self.mood, Mood::Running | Mood::Resting)
    }

    /// The next question that waits.
    pub(super) fn next_question(&self) -> Option<Request> {
        self.questions.take()
    }

    /// Answers a question for which it is enough to look; others are not answered.
    pub(super) fn look(
        &mut self,
        supervisor: &Supervisor,
        question: Question,
        reply: oneshot::Sender<Reply>,
    ) {
        let asked = match question {
            Question::Processes(which) => Asked::Processes(which),
            Question::Measure => Asked::Measured,
            Question::Changed { whole } => Asked::Changed { whole },
            Question::Mood => Asked::Mood,
            Question::Services(label) => Asked::Services(label),
            Question::Why(label) => Asked::Why(label),
            Question::WhoIs { pids } => Asked::WhoIs(pids),
            Question::Groups => Asked::Groups,
            Question::GroupNames => Asked::GroupNames,
            Question::Troubles => {
                let _ = reply.send(Reply::Troubles(self.account()));
                return;
            }
            Question::Decisions(after) => {
                let _ = reply.send(self.decisions_after(after));
                return;
            }
            Question::Command(_)
            | Question::Stdin { .. }
            | Question::Log { .. }
            | Question::Cache { .. }
            | Question::ClearLog(_)
            | Question::RemoteEvent { .. } => return,
        };
        let ticket = self.new_ticket();
        self.tickets.insert(ticket, Pending { question: asked, reply });
        self.answer(supervisor, ticket, Answer::Table);
    }

    /// Hands an answer to whoever asked.
    pub(super) fn answer(&mut self, supervisor: &Supervisor, ticket: Ticket, answer: Answer) {
        if let Answer::Difference(_) = answer {
            let before = self.settings.strip_ansi;
            self.take_up(&supervisor.loaded().attachment);
            self.welcome();
            if self.settings.strip_ansi != before {
                self.strip_running(supervisor);
            }
        }
        self.followed(supervisor, ticket, &answer);
        let Some(Pending { question, reply }) = self.tickets.remove(&ticket) else { return };
        let said = match (question, answer) {
            (Asked::Core, answer) => Reply::Answer(answer),
            (Asked::Stdin { group, name, bytes }, Answer::Table) => {
                Reply::Stdin(self.write_stdin(supervisor, &group, &name, &bytes))
            }
            (Asked::Stdin { .. }, _) => Reply::Stdin(Err(StdinRefusal::ShuttingDown)),
            (Asked::Processes(which), Answer::Table) => {
                views::processes(supervisor, &self.surroundings, &which)
            }
            (Asked::Measured, _) => {
                let troubles = self.account().counts;
                views::measured(supervisor, &self.surroundings, &self.metrics, troubles)
            }
            (Asked::Changed { whole }, _) => {
                let mut changed = self.changes.take(supervisor, &self.surroundings, whole);
                if self.changes.tells_troubles() || changed.whole {
                    changed.troubles = Some(self.account());
                }
                Reply::Changed(changed)
            }
            (Asked::Mood, _) => Reply::Mood(supervisor.mood()),
            (Asked::Services(label), _) => {
                Reply::Services(self.standings(supervisor, label.as_deref()))
            }
            (Asked::Why(label), _) => Reply::Why(self.explain(supervisor, &label)),
            (Asked::WhoIs(pids), _) => {
                let caller = views::caller(supervisor, &pids);
                Reply::WhoIs { caller, controls: supervisor.controls_any(caller) }
            }
            (Asked::Groups, Answer::Table) => views::groups(supervisor),
            (Asked::GroupNames, Answer::Table) => {
                let groups = supervisor.groups().iter();
                Reply::Names(groups.map(|group| Arc::clone(&group.spec.name)).collect())
            }
            (Asked::ClearLog(which), Answer::Table) => {
                Reply::ClearLog(self.clear_logs(supervisor, &which))
            }
            (Asked::ClearLog(_), _) => Reply::ClearLog(Err(ClearRefusal::ShuttingDown)),
            (_, answer) => Reply::Answer(answer),
        };
        // A client that has gone away does not matter.
        let _ = reply.send(said);
    }

    fn decisions_after(&self, number: u64) -> Reply {
        let decisions = &self.surroundings.decisions;
        Reply::Decisions(decisions.after(number), decisions.last())
    }

    /// Looks into what clients have stored, or changes it. It is written down before
    /// the client hears of it.
    fn cache(&mut self, namespace: Arc<str>, request: CacheRequest) -> CacheReply {
        let change = match request {
            CacheRequest::Keys => {
                return CacheReply::Keys(self.surroundings.cache.keys(&namespace));
            }
            CacheRequest::Fetch(key) => {
                let value = self.surroundings.cache.value(&namespace, &key);
                return CacheReply::Value(value.cloned());
            }
            CacheRequest::Store(key, value) => {
                if !self.surroundings.cache.has_room(&namespace, &key, &value) {
                    return CacheReply::Full;
                }
                Change::Store(namespace, key, value)
            }
            CacheRequest::Delete(key) => Change::Delete(namespace, key),
            CacheRequest::Clear => Change::Clear(namespace),
        };
        self.note(&Entry::Cache(change));
        CacheReply::Done
    }

    /// What is done with escape sequences is done at once, also to programs that run.
    fn strip_running(&self, supervisor: &Supervisor) {
        let strip_ansi = self.settings.strip_ansi;
        let undecided = |service: &&Service| service.spec.program.strip_ansi.is_none();
        for service in supervisor.services().filter(undecided) {
            for channel in Channel::BOTH {
                let (service, generation) = (service.id, service.generation);
                self.pump.strip(StreamKey { service, generation, channel }, strip_ansi);
            }
        }
    }

    pub(super) fn write_stdin(
        &mut self,
        supervisor: &Supervisor,
        group: &str,
        name: &str,
        bytes: &[u8],
    ) -> Result<(), StdinRefusal> {
        let service = views::find(supervisor, group, name).ok_or(StdinRefusal::NoSuchName)?;
        let up = service.state_name().is_up() && service.pid.is_some();
        let life = Life { service: service.id, generation: service.generation };
        let (pid, child) =
            self.children.get(life).filter(|_| up).ok_or(StdinRefusal::NotRunning)?;
        let stdin = child.stdin.as_ref().ok_or(StdinRefusal::Closed)?;
        // An event is not interrupted.
        let pools = &self.surroundings.audience.pools;
        if pools.outgoing(life.service, life.generation).is_some() {
            return Err(StdinRefusal::Full);
        }
        self.backlog.write(pid, stdin, bytes)
    }

    fn clear_logs(&self, supervisor: &Supervisor, which: &Selection) -> Result<(), ClearRefusal> {
        let services: Vec<&Service> = match which {
            Selection::Main => {
                let path = self.settings.main_log.path.as_deref();
                let path = path.ok_or(ClearRefusal::NoSuchName)?;
                self.log(Level::Info, "reopening log file");
                self.pump.clear(path.into());
                return Ok(());
            }
            Selection::Process(group, name) => {
                vec![views::find(supervisor, group, name).ok_or(ClearRefusal::NoSuchName)?]
            }
            Selection::Group(group) => {
                supervisor.services().filter(|service| service.group == *group).collect()
            }
            Selection::All => supervisor.services().collect(),
        };
        // Supervisor clears the logs of what runs, and of nothing else.
        for service in services.into_iter().filter(|service| service.pid.is_some()) {
            for channel in Channel::BOTH {
                if let Some(path) = logs::path(&self.surroundings, service, channel) {
                    self.pump.clear(path);
                }
            }
        }
        Ok(())
    }
}

/// Whether a command may add to the table, and so to the journal.
fn adds(command: &Command) -> bool {
    matches!(
        command,
        Command::Join { .. }
            | Command::Bring { .. }
            | Command::Manage { deed: Deed::Edit { .. }, .. }
    )
}
