//! A service follows its configuration: what has changed of it is taken up, and nothing else,
//! as `supervisorctl update` does. Programs of which nothing has changed notice nothing.
//!
//! The core is asked for one step after the other. Nothing of that is written down but that
//! it has begun: what is left to do is found by comparing what is there with what was loaded,
//! so a successor that compares again finds exactly what its predecessor has not done.

use std::collections::VecDeque;
use std::sync::Arc;

use bardo_core::id::Ticket;
use bardo_core::job::{Answer, Refusal, Target, Verb, Wait};
use bardo_core::reconcile::{Difference, Scope};
use bardo_core::service::Service;
use bardo_core::spec::Configuration;
use bardo_core::{Command, Input, Supervisor};

use super::journal::Entry;
use super::main_log::Level;
use super::managed::reloads;
use super::renewal::Changes;
use super::world::Machine;

/// What stands in the journal for the number of tries while what was loaded is taken up: it is
/// not loaded again for that.
pub(super) const FOLLOWS: u8 = u8::MAX;

/// The same, where somebody has asked meanwhile for another reload.
pub(super) const FOLLOWS_THEN_AGAIN: u8 = FOLLOWS - 1;

/// How far it has come.
#[derive(Default)]
pub(super) struct Following {
    steps: VecDeque<Step>,
    /// What the core was asked for and has not answered.
    asked: Option<(Ticket, Step)>,
    /// The group whose end is waited for, because somebody else has told it to stop.
    stopping: Option<Arc<str>>,
    /// What could not be done.
    failed: Option<String>,
}

/// What the core is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    Compare(Configuration),
    Stop(Arc<str>),
    Remove(Arc<str>),
    Add(Arc<str>),
}

impl Step {
    fn command(&self) -> Command {
        match self {
            Self::Compare(configuration) => Command::Load(configuration.clone()),
            Self::Stop(group) => {
                let target = Target::Group(Arc::clone(group));
                Command::Act { verb: Verb::Stop, target, wait: Wait::Done }
            }
            Self::Remove(group) => Command::Reconcile(Scope::Remove(Arc::clone(group))),
            Self::Add(group) => Command::Reconcile(Scope::Add(Arc::clone(group))),
        }
    }

    fn group(&self) -> Option<&Arc<str>> {
        match self {
            Self::Compare(_) => None,
            Self::Stop(group) | Self::Remove(group) | Self::Add(group) => Some(group),
        }
    }
}

/// What has to be done for a difference, in the order of `supervisorctl update`.
fn steps(difference: &Difference) -> VecDeque<Step> {
    let stopped =
        |group: &Arc<str>| [Step::Stop(Arc::clone(group)), Step::Remove(Arc::clone(group))];
    let removed = difference.removed.iter().flat_map(stopped);
    let changed = difference
        .changed
        .iter()
        .flat_map(|group| stopped(group).into_iter().chain([Step::Add(Arc::clone(group))]));
    let added = difference.added.iter().map(|group| Step::Add(Arc::clone(group)));
    removed.chain(changed).chain(added).collect()
}

/// A difference in words.
fn words(difference: &Difference) -> String {
    let parts = [
        ("added", &difference.added),
        ("changed", &difference.changed),
        ("removed", &difference.removed),
    ];
    let named = parts.iter().filter(|(_, names)| !names.is_empty());
    let said: Vec<String> =
        named.map(|(what, names)| format!("{what} {}", names.join(", "))).collect();
    if said.is_empty() { "no program has changed".to_owned() } else { said.join("; ") }
}

impl Machine {
    /// Whether a reload takes up what has changed, and not everything anew: where somebody
    /// else begins anew who is asked for it.
    pub(super) fn follows(&self) -> bool {
        self.settings.service.is_some()
    }

    /// Whether something is being taken up.
    pub(super) fn is_following(&self) -> bool {
        let Following { steps, asked, .. } = &self.following;
        asked.is_some() || !steps.is_empty()
    }

    /// Takes up what was loaded.
    pub(super) fn follow(&mut self, changes: Changes) {
        if !changes.for_a_restart.is_empty() {
            let what = changes.for_a_restart.join(", ");
            self.log(Level::Warn, &format!("{}{what}", reloads::FOR_A_RESTART));
        }
        let configuration = self.reread(changes.configuration);
        self.following.steps = [Step::Compare(configuration)].into();
        self.waker.wake();
    }

    /// Goes on with what a predecessor has begun to take up.
    pub(super) fn follow_again(&mut self, supervisor: &Supervisor) {
        let loaded = supervisor.loaded().clone();
        self.following.steps = [Step::Compare(loaded)].into();
        self.waker.wake();
    }

    /// Asks the core for the next step.
    pub(super) fn follow_on(&mut self, inputs: &mut Vec<Input>) {
        if self.following.asked.is_some() || self.following.stopping.is_some() {
            return;
        }
        let Some(step) = self.following.steps.pop_front() else { return };
        let ticket = self.new_ticket();
        inputs.push(Input::Command { ticket, command: step.command() });
        self.following.asked = Some((ticket, step));
    }

    /// Takes the core's answer to a step.
    pub(super) fn followed(&mut self, supervisor: &Supervisor, ticket: Ticket, answer: &Answer) {
        let Some((_, step)) = self.following.asked.take_if(|(asked, _)| *asked == ticket) else {
            return;
        };
        match answer {
            Answer::Refused(Refusal::StillRunning) if !is_up(supervisor, step.group()) => {
                self.following.stopping = step.group().cloned();
                self.following.steps.push_front(step);
                return;
            }
            Answer::Difference(difference) => {
                // Its predecessor has said it.
                if ![FOLLOWS, FOLLOWS_THEN_AGAIN].contains(&self.surroundings.reload_tries) {
                    let text = format!("the configuration was read again: {}", words(difference));
                    self.log(Level::Info, &text);
                    let step = if self.is_asked_again() { FOLLOWS_THEN_AGAIN } else { FOLLOWS };
                    self.note(&Entry::Reloading(step));
                }
                self.following.steps = steps(difference);
            }
            // Nothing of it matters any more.
            Answer::Refused(Refusal::ShuttingDown) => self.following.steps.clear(),
            // Somebody has been faster.
            Answer::Refused(Refusal::NoSuchName | Refusal::AlreadyAdded) => {}
            Answer::Refused(refusal) => self.leave_out(&step, refusal, &[]),
            Answer::Outcomes(outcomes) => {
                let mut refusals =
                    outcomes.iter().filter_map(|outcome| outcome.result.as_ref().err());
                if let Some(refusal) = refusals.find(|refusal| **refusal != Refusal::NotRunning) {
                    let stopped = outcomes.iter().filter(|outcome| outcome.result.is_ok());
                    let stopped: Vec<&str> = stopped.map(|outcome| &*outcome.name).collect();
                    self.leave_out(&step, refusal, &stopped);
                }
            }
            Answer::Done | Answer::Table => {}
        }
        if self.following.steps.is_empty() {
            let failed = self.following.failed.take();
            self.has_followed(failed.as_deref());
        } else {
            self.waker.wake();
        }
    }

    /// Goes on when those have stopped that are waited for, or somebody has started one.
    pub(super) fn look_at_stops(&mut self, supervisor: &Supervisor) {
        let Some(group) = &self.following.stopping else { return };
        let has_stopped =
            members(supervisor, group).all(|service| service.state_name().is_stopped());
        if has_stopped || is_up(supervisor, Some(group)) {
            self.following.stopping = None;
            self.waker.wake();
        }
    }

    /// A group is left as it has become, because a step of it cannot be done; these of its
    /// processes have been stopped by this step.
    fn leave_out(&mut self, step: &Step, refusal: &Refusal, stopped: &[&str]) {
        let Some(group) = step.group() else { return };
        let steps = &mut self.following.steps;
        while steps.front().is_some_and(|next| next.group() == Some(group)) {
            steps.pop_front();
        }
        let text = left_out(step, refusal, stopped);
        self.log(Level::Error, &text);
        self.following.failed.get_or_insert(text);
    }
}

/// The services of a group.
fn members<'a>(
    supervisor: &'a Supervisor,
    group: &'a str,
) -> impl Iterator<Item = &'a Service> + use<'a> {
    let there = supervisor.groups().iter().find(|there| *there.spec.name == *group);
    let places = there.map(|group| group.members.as_slice()).unwrap_or_default();
    places.iter().filter_map(|place| supervisor.service(*place))
}

/// Whether one of the services of a group runs, or is to.
fn is_up(supervisor: &Supervisor, group: Option<&Arc<str>>) -> bool {
    group
        .is_some_and(|group| members(supervisor, group).any(|service| service.state_name().is_up()))
}

/// What has become of a group of which a step cannot be done.
fn left_out(step: &Step, refusal: &Refusal, stopped: &[&str]) -> String {
    let why = why(refusal);
    match step {
        Step::Compare(_) => format!("what was read is not taken up: {why}"),
        Step::Stop(group) if stopped.is_empty() => format!("{group} is left as it is: {why}"),
        Step::Stop(group) => {
            let stopped = stopped.join(", ");
            format!(
                "{group} is not what is configured now: {why}; stopped for it, and still down: \
                 {stopped}"
            )
        }
        Step::Remove(group) => format!(
            "{group} is not what is configured now: {why}; what else of it was stopped for that \
             is down"
        ),
        Step::Add(group) => format!("{group} cannot be added, and nothing of it runs: {why}"),
    }
}

/// Why a step cannot be done.
fn why(refusal: &Refusal) -> String {
    match refusal {
        Refusal::StillRunning => "one of its processes was started meanwhile".to_owned(),
        Refusal::SignalFailed { errno, .. } => {
            let error = std::io::Error::from_raw_os_error(*errno);
            format!("one of its processes cannot be signalled: {error}")
        }
        Refusal::UnknownState => "one of its processes could not be signalled before".to_owned(),
        Refusal::TableFull => "there is no room for more programs".to_owned(),
        Refusal::Resting => "nothing is started any more".to_owned(),
        Refusal::ShuttingDown => "everything is being stopped".to_owned(),
        Refusal::AlreadyAdded | Refusal::NameTaken(_) | Refusal::LabelTaken => {
            "there is one of that name already".to_owned()
        }
        Refusal::NoSuchName | Refusal::NoSuchGroup | Refusal::NoSuchLabel => {
            "it is not there any more".to_owned()
        }
        Refusal::NotRunning | Refusal::Terminated | Refusal::Died | Refusal::EndedEarly => {
            "one of its processes has ended meanwhile".to_owned()
        }
        Refusal::AlreadyStarted | Refusal::StillUp => "one of its processes runs".to_owned(),
        Refusal::SpawnFailed(_) => "one of its processes could not be started".to_owned(),
        Refusal::Busy => "somebody else waits for it".to_owned(),
        Refusal::NotPermitted => "that is not permitted".to_owned(),
        Refusal::Critical => "it is critical, and not to be stopped".to_owned(),
        Refusal::DeviceTaken => "another one has its device".to_owned(),
        Refusal::TakesNoPrograms => "it has event listeners and takes no programs".to_owned(),
        Refusal::FromFile => "it comes from the configuration file".to_owned(),
        Refusal::NotYet => "that cannot be done yet".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_said_what_has_become_of_a_group_that_cannot_be_taken_up() {
        let web: Arc<str> = "web".into();
        let (stop, add) = (Step::Stop(Arc::clone(&web)), Step::Add(Arc::clone(&web)));
        let remove = Step::Remove(web);
        let why = "one of its processes could not be signalled before";
        let unknown = Refusal::UnknownState;
        for (step, refusal, stopped, expected) in [
            (&stop, &unknown, &[][..], format!("web is left as it is: {why}")),
            (
                &stop,
                &unknown,
                &["a", "b"],
                format!(
                    "web is not what is configured now: {why}; stopped for it, and still down: a, b"
                ),
            ),
            (
                &remove,
                &Refusal::StillRunning,
                &[],
                "web is not what is configured now: one of its processes was started meanwhile; \
                 what else of it was stopped for that is down"
                    .to_owned(),
            ),
            (
                &add,
                &Refusal::TableFull,
                &[],
                "web cannot be added, and nothing of it runs: there is no room for more programs"
                    .to_owned(),
            ),
        ] {
            assert_eq!(left_out(step, refusal, stopped), expected);
        }
    }
}
