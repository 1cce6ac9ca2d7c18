//! Clients: what they ask, and what has come of it.

use std::sync::Arc;

use super::Supervisor;
use crate::action::{Action, Actions, Notice};
use crate::group::start_order;
use crate::id::{Generation, ServiceId, Ticket};
use crate::input::Mood;
use crate::job::{self, Answer, Command, Job, Outcome, Refusal, Target, Verb, Wait};
use crate::mutant::{self, Mutant};
use crate::service::{Service, StateName, Stimulus};
use crate::signal::Signal;
use crate::spec::Reach;
use crate::time::Now;

impl Supervisor {
    pub(super) fn command(
        &mut self,
        now: Now,
        ticket: Ticket,
        command: Command,
        actions: &mut Actions,
    ) {
        let answer = match command {
            Command::Bring { group, wait, by } => {
                self.bring(now, ticket, (group, wait, by), actions)
            }
            Command::Manage { deed, label, wait, by } => {
                self.manage(now, ticket, (deed, &label, wait, by), actions)
            }
            Command::Rest { by } => Some(self.rest(now, by, actions)),
            _ if self.is_ending() => Some(Answer::Refused(Refusal::ShuttingDown)),
            Command::Act { verb: Verb::Start, .. }
            | Command::Load(_)
            | Command::Reconcile(_)
            | Command::Join { .. }
            | Command::Leave { .. }
                if self.mood == Mood::Resting =>
            {
                Some(Answer::Refused(Refusal::ShuttingDown))
            }
            Command::Act { verb, target, wait } => {
                self.act(now, ticket, verb, &target, wait, actions)
            }
            Command::Load(configuration) => Some(Answer::Difference(self.load(configuration))),
            Command::Reconcile(scope) => Some(self.reconcile(now, &scope, actions)),
            Command::Join { group, services } => Some(self.join(now, &group, services, actions)),
            Command::Leave { group, process } => Some(self.leave(&group, &process, actions)),
            Command::Look => Some(Answer::Table),
            Command::Shutdown => {
                self.shut_down(now, actions);
                Some(Answer::Done)
            }
            Command::Restart => Some(Answer::Done),
        };
        if let Some(answer) = answer {
            actions.push(Action::Answer { ticket, answer });
        }
    }

    pub(super) fn act(
        &mut self,
        now: Now,
        ticket: Ticket,
        verb: Verb,
        target: &Target,
        wait: Wait,
        actions: &mut Actions,
    ) -> Option<Answer> {
        let Some(candidates) = self.select(target) else {
            return Some(Answer::Refused(Refusal::NoSuchName));
        };
        let candidates = if verb == Verb::Stop {
            // Who depends on one of them stops before it.
            let all = candidates.clone();
            self.in_stop_order(candidates, |_, user| all.contains(&user))
        } else {
            candidates
        };
        let single = matches!(target, Target::Process(..));
        let mut job = Job { ticket, verb, wait, single, waiting: Vec::new(), outcomes: Vec::new() };
        for id in candidates {
            let Some(service) = self.service(id) else {
                continue;
            };
            match job::refusal(service, verb) {
                // Supervisor passes over those that are up or down already, and finds out
                // that nothing is known of another one only when it tries.
                Some(result @ Refusal::UnknownState) if !single => {
                    let (group, name) =
                        (Arc::clone(&service.group), Arc::clone(&service.spec.name));
                    job.outcomes.push(Outcome { group, name, result: Err(result) });
                }
                Some(_) if !single => {}
                Some(refusal) => return Some(Answer::Refused(refusal)),
                None => {
                    job.waiting.push((id, job::meant(service, verb)));
                    self.apply(now, id, verb, wait, actions);
                }
            }
        }
        if job.waiting.is_empty() {
            return Some(job.answer());
        }
        let touched = job.waiting.clone();
        self.jobs.push(job);
        for (id, _) in touched {
            self.settle_jobs(id, actions);
        }
        None
    }

    pub(super) fn apply(
        &mut self,
        now: Now,
        id: ServiceId,
        verb: Verb,
        wait: Wait,
        actions: &mut Actions,
    ) {
        match verb {
            Verb::Start => self.stir(now, id, Stimulus::Start, actions),
            Verb::Stop => {
                self.tell_to_stop(now, id, Stimulus::Stop, actions);
                if wait == Wait::Done
                    && let Some(Some(service)) = self.services.get_mut(id.0 as usize)
                    && service.state_name() == StateName::Stopping
                {
                    service.report_stop(now, actions);
                    self.timers.set(id.0, self.deadline_of(id));
                }
            }
            Verb::Signal(signal) => self.signal(id, signal, actions),
        }
    }

    /// Tells a service to stop, once those who depend on it and are stopping have stopped.
    pub(super) fn tell_to_stop(
        &mut self,
        now: Now,
        id: ServiceId,
        stimulus: Stimulus,
        actions: &mut Actions,
    ) {
        let has_process = self.service(id).is_some_and(Service::is_stoppable);
        let waits = has_process && self.has_stopping_users(id);
        self.stir(now, id, if waits { Stimulus::HoldStop } else { stimulus }, actions);
    }

    /// A client's signal goes to the process alone, never to its group.
    pub(super) fn signal(&mut self, id: ServiceId, signal: Signal, actions: &mut Actions) {
        if let Some(service) = self.service(id)
            && let Some(pid) = service.pid
        {
            let generation = service.generation;
            actions.push(Action::Notice(Notice::Signalling { service: id, pid, signal }));
            let reach = Reach::Process;
            actions.push(Action::Signal { service: id, generation, signal, reach });
        }
    }

    /// The services a target names, in the order in which a command reaches them.
    pub(super) fn select(&self, target: &Target) -> Option<Vec<ServiceId>> {
        match target {
            Target::Process(group, name) => {
                let group = self.groups.iter().find(|there| there.spec.name == *group)?;
                let member = group.spec.services.iter().position(|there| there.name == *name)?;
                Some(vec![group.members[member]])
            }
            Target::Group(name) => {
                let group = self.groups.iter().find(|group| group.spec.name == *name)?;
                Some(group.by_priority())
            }
            Target::All => Some(
                start_order(&self.groups)
                    .into_iter()
                    .flat_map(|index| self.groups[index].by_priority())
                    .collect(),
            ),
        }
    }

    /// Takes note of what has come of a service for the jobs that wait for it.
    pub(super) fn settle_jobs(&mut self, id: ServiceId, actions: &mut Actions) {
        self.settle(id, actions, |service, job, meant| {
            job::outcome(service, meant, job.verb, job.wait)
        });
    }

    /// The first client who waits for this signal to be sent is answered.
    pub(super) fn signalled(
        &mut self,
        id: ServiceId,
        generation: Generation,
        signal: Signal,
        actions: &mut Actions,
    ) {
        let mut is_first = true;
        self.settle(id, actions, |_, job, meant| {
            let is_meant = job.verb == Verb::Signal(signal) && meant == generation;
            (is_meant && std::mem::take(&mut is_first)).then_some(Ok(()))
        });
    }

    /// Clients who wait for a signal to be sent, or for a stop, are told why it failed.
    pub(super) fn signal_failed(
        &mut self,
        id: ServiceId,
        generation: Generation,
        signal: Signal,
        errno: i32,
        actions: &mut Actions,
    ) {
        self.settle(id, actions, |service, job, meant| {
            let is_meant = service.state_name().is_signallable() && meant == generation;
            let (pid, errand) = (service.pid, service.errand(signal));
            let failed = Err(Refusal::SignalFailed { pid, errand, errno });
            (is_meant && job.verb != Verb::Start).then_some(failed)
        });
    }

    /// Notes the result that `decide` has for the service of each job that waits for it,
    /// and answers the jobs that wait for nothing more.
    pub(super) fn settle(
        &mut self,
        id: ServiceId,
        actions: &mut Actions,
        mut decide: impl FnMut(&Service, &Job, Generation) -> Option<Result<(), Refusal>>,
    ) {
        let mut jobs = std::mem::take(&mut self.jobs);
        jobs.retain_mut(|job| {
            let Some(place) = job.waiting.iter().position(|(waited, _)| *waited == id) else {
                return true;
            };
            let (_, meant) = job.waiting[place];
            if let Some(service) = self.service(id) {
                if mutant::on(Mutant::LosesAnswer) && job.verb == Verb::Stop {
                    return true;
                }
                let Some(result) = decide(service, job, meant) else {
                    return true;
                };
                let (group, name) = (Arc::clone(&service.group), Arc::clone(&service.spec.name));
                job.outcomes.push(Outcome { group, name, result });
            }
            job.waiting.swap_remove(place);
            if job.waiting.is_empty() {
                actions.push(Action::Answer { ticket: job.ticket, answer: job.answer() });
            }
            !job.waiting.is_empty()
        });
        self.jobs = jobs;
    }
}
