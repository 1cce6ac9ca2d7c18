//! Asking the control thread, and noticing that it does not listen.

use std::sync::atomic::Ordering;
use std::time::Duration;

use bardo_core::Command;
use bardo_core::job::Answer;

use super::Context;
use super::faults::{Code, Fault, refused};
use crate::daemon::clients::{AskError, ProcessView, Question, Reply, Selection};

/// How often the log is looked at before the thread sleeps, and how often and how long
/// it sleeps then. It is written within some ten microseconds.
const LOG_LOOKS: u32 = 50;
const LOG_WAITS: u32 = 20;
const LOG_WAIT: Duration = Duration::from_millis(1);

impl Context {
    /// Asks and waits for the answer, for as long as it takes. Only the time until
    /// the question is taken is limited: a program may need an hour to start.
    pub(super) async fn ask(&self, question: Question) -> Result<Reply, Fault> {
        let reply = self.ask_control(question).await;
        self.log_is_written().await;
        reply
    }

    /// Waits a moment until the main log tells what has led to an answer: whoever has
    /// the answer may look there. A disk that hangs holds nobody up.
    async fn log_is_written(&self) {
        let Some(pump) = &self.settings.pump else { return };
        let mark = pump.mark();
        for _ in 0..LOG_LOOKS {
            if pump.has_written(mark) {
                return;
            }
            tokio::task::yield_now().await;
        }
        for _ in 0..LOG_WAITS {
            if pump.has_written(mark) {
                return;
            }
            tokio::time::sleep(LOG_WAIT).await;
        }
    }

    async fn ask_control(&self, question: Question) -> Result<Reply, Fault> {
        let shown = self.shown();
        if let Some(reason) = shown.watching.filter(|_| !question.is_look()) {
            return Err(Fault::with(Code::Failed, reason));
        }
        let mut pending = self.clients.ask(question).map_err(unanswered)?;
        let wait = shown.question_wait;
        if let Ok(reply) = tokio::time::timeout(wait, pending.answer()).await {
            self.overdue_told.store(false, Ordering::Relaxed);
            return reply.map_err(unanswered);
        }
        if pending.is_taken() {
            self.overdue_told.store(false, Ordering::Relaxed);
        } else if !self.overdue_told.swap(true, Ordering::Relaxed) {
            (self.settings.overdue)();
        }
        pending.answer().await.map_err(unanswered)
    }

    /// Asks the core. `name` is what the client called its target.
    pub(super) async fn command(&self, command: Command, name: &str) -> Result<Answer, Fault> {
        match self.ask(Question::Command(command)).await? {
            Reply::Answer(Answer::Refused(refusal)) => Err(refused(&refusal, name)),
            Reply::Answer(answer) => Ok(answer),
            _ => Err(misanswered()),
        }
    }

    /// Refuses everything while all is being stopped, as Supervisor does even for
    /// questions that could be answered.
    pub(super) async fn working(&self) -> Result<(), Fault> {
        self.command(Command::Look, "").await.map(|_| ())
    }

    /// How processes are. `name` is what the client called them.
    pub(super) async fn processes(
        &self,
        selection: Selection,
        name: &str,
    ) -> Result<Vec<ProcessView>, Fault> {
        let of_group = matches!(selection, Selection::Group(_));
        match self.ask(Question::Processes(selection)).await? {
            // A group has members.
            Reply::Processes(views) if of_group && views.is_empty() => {
                Err(Fault::with(Code::BadName, name))
            }
            Reply::Processes(views) => Ok(views),
            Reply::Answer(Answer::Refused(refusal)) => Err(refused(&refusal, name)),
            _ => Err(misanswered()),
        }
    }

    /// How one process is.
    pub(super) async fn process(
        &self,
        group: &str,
        process: &str,
        name: &str,
    ) -> Result<ProcessView, Fault> {
        let selection = Selection::Process(group.into(), process.into());
        let views = self.processes(selection, name).await?;
        let first = views.into_iter().next();
        first.ok_or_else(|| Fault::with(Code::BadName, name))
    }
}

/// The control thread gave an answer to another question: a mistake of ours, told
/// to the client rather than to everybody.
pub(super) fn misanswered() -> Fault {
    Fault::with(Code::Failed, "the supervisor's answer makes no sense")
}

fn unanswered(error: AskError) -> Fault {
    match error {
        AskError::Busy => Fault::with(Code::Failed, error),
        AskError::Ended => Fault::bare(Code::ShutdownState),
    }
}
