//! The end: everything stops, one group after the other, and then it is over or
//! begins anew.

use std::sync::Arc;
use std::time::Duration;

use super::Supervisor;
use crate::action::{Action, Actions, Notice};
use crate::decision::What;
use crate::event::Event;
use crate::group::{Group, start_order};
use crate::id::ServiceId;
use crate::input::Mood;
use crate::mutant::{self, Mutant};
use crate::record::Record;
use crate::service::Stimulus;
use crate::spec::Configuration;
use crate::status::ExitStatus;
use crate::time::Now;

/// How often the main log says whom the end waits for.
const DEATH_REPORT_EVERY: Duration = Duration::from_secs(3);

/// What the daemon ends with when a critical service cannot be kept running, or a program with
/// which everything ends has no exit code of its own. Not 1: that would ask whoever keeps the
/// daemon to start it again.
const EXIT_LOST: u8 = 70;

/// How far the end has come. It can be found out from the table at any time, and
/// is kept only so that it need not be at every exit.
#[derive(Debug)]
pub(super) struct Winding {
    /// The places of the groups that are left, the next one last.
    groups: Vec<usize>,
    /// Whether the next one has been told.
    told: bool,
    /// Its first member that was not yet seen stopped.
    member: usize,
}

impl Supervisor {
    pub(super) fn shut_down(&mut self, now: Now, actions: &mut Actions) {
        self.begin_to_end(now, actions);
        self.change_mood(Mood::Shutdown);
        self.change_replacement(None);
    }

    /// Everything ends because of a service that nothing follows.
    pub(super) fn end_for_lost(&mut self, now: Now, exit_code: u8, actions: &mut Actions) {
        self.begin_to_end(now, actions);
        // In one record: half of it would be another end.
        self.mood = Mood::Shutdown;
        self.winding = None;
        self.exit_code = exit_code;
        self.changes.table.push(Record::Ends(self.exit_code));
        self.change_replacement(None);
    }

    /// Finds out whether everything ends with a service: one that was named for it is down for
    /// good, or a critical one has failed for good. `ended` is how its process has ended just
    /// now. Where there are several the first one gives the code.
    pub(super) fn consider_end(
        &mut self,
        now: Now,
        id: ServiceId,
        ended: Option<ExitStatus>,
        actions: &mut Actions,
    ) {
        let Some(service) = self.service(id) else {
            return;
        };
        let ends_all = service.is_end_of_all();
        if self.lost.is_some()
            || !(ends_all || service.is_lost())
            || self.mood_for(id) != Mood::Running
        {
            return;
        }
        let mut exit_code = EXIT_LOST;
        if ends_all {
            let status = service.exit.or(ended).filter(|_| !mutant::on(Mutant::ForgetsExitCode));
            exit_code = status.and_then(ExitStatus::shell_code).unwrap_or(EXIT_LOST);
            actions.push(Action::Notice(Notice::EndsAll { service: id, exit_code }));
            service.decide(now, What::EndsAll(exit_code), actions);
        } else if let Some(failure) = service.failure {
            // What was decided stands with its end: see `Service::lose`.
            let name = Arc::clone(&service.spec.name);
            actions.push(Action::Notice(Notice::Lost { name, failure, ended, exit_code }));
        }
        self.lost = Some(exit_code);
    }

    fn begin_to_end(&mut self, now: Now, actions: &mut Actions) {
        // Whoever waits for it is answered before the end.
        self.part_at_last(now, actions);
        if !self.is_ending() {
            actions.push(Action::Event(Event::SupervisorStopping));
            self.death_report_at = Some(now.instant);
        }
    }

    /// Everything stops, then `configuration` begins. A shutdown wins over it.
    pub(super) fn replace(
        &mut self,
        now: Now,
        configuration: Configuration,
        actions: &mut Actions,
    ) {
        if self.mood == Mood::Shutdown {
            return;
        }
        if !self.is_ending() {
            actions.push(Action::Event(Event::SupervisorStopping));
            self.death_report_at = Some(now.instant);
        }
        // First what follows the end, then that it has begun: see `take_records`.
        self.change_replacement(Some(configuration));
        self.change_mood(Mood::Restarting);
        // Those that a rest has kept.
        self.consider_all_parting(now, actions);
    }

    pub(super) fn change_mood(&mut self, mood: Mood) {
        if self.mood != mood {
            // Others may be concerned now.
            self.winding = None;
            self.mood = mood;
            self.changes.table.push(Record::Mood(mood));
        }
    }

    fn change_replacement(&mut self, replacement: Option<Configuration>) {
        if self.replacement != replacement {
            let record = Record::Replacement(replacement.clone());
            self.changes.table.push(record);
            self.replacement = replacement;
        }
    }

    /// Stops one group after the other, the highest priority number first; the
    /// next is told when every process of the one before has stopped.
    pub(super) fn wind_down(&mut self, now: Now, actions: &mut Actions) {
        let begun = self.winding.take();
        let mut winding = begun.unwrap_or_else(|| self.winding());
        while let Some(group) = winding.groups.last().copied() {
            if !winding.told {
                winding.told = true;
                self.tell_group(now, group, actions);
            }
            let members = &self.groups[group].members;
            while members.get(winding.member).is_some_and(|id| self.is_stopped(*id)) {
                winding.member += 1;
            }
            if winding.member < members.len() {
                self.winding = Some(winding);
                if self.death_report_at.is_some_and(|at| at <= now.instant) {
                    self.report_deaths(now, actions);
                }
                return;
            }
            winding = Winding { told: false, member: 0, ..winding };
            winding.groups.pop();
        }
        self.end(now, actions);
    }

    fn winding(&self) -> Winding {
        let mut groups = start_order(&self.groups);
        groups.retain(|index| self.is_to_end(&self.groups[*index]));
        if mutant::on(Mutant::StopsInStartOrder) {
            groups.reverse();
        }
        Winding { groups, told: false, member: 0 }
    }

    fn tell_group(&mut self, now: Now, group: usize, actions: &mut Actions) {
        let members = self.groups[group].by_priority().into_iter().rev().collect();
        let is_up = |supervisor: &Self, id| {
            supervisor.service(id).is_some_and(|service| service.state_name().is_up())
        };
        // Who depends on one of them stops before it, whatever group that is in.
        let order = self.in_stop_order(members, |supervisor, user| {
            let ends = supervisor.mood == Mood::Shutdown || !supervisor.brought.has(user);
            ends && is_up(supervisor, user)
        });
        for id in order {
            if is_up(self, id) {
                self.tell_to_stop(now, id, Stimulus::ShutDown, actions);
            }
        }
    }

    /// Whether a group stops now: a reload passes over those that were brought up.
    fn is_to_end(&self, group: &Group) -> bool {
        self.mood == Mood::Shutdown || group.is_of_file() || mutant::on(Mutant::ReloadStopsBrought)
    }

    fn report_deaths(&mut self, now: Now, actions: &mut Actions) {
        let ending = self.groups.iter().filter(|group| self.is_to_end(group));
        let names: Vec<ServiceId> = ending.flat_map(|group| self.unstopped(group)).collect();
        self.death_report_at = None;
        if !names.is_empty() {
            actions.push(Action::Notice(Notice::WaitingToDie(names)));
            self.death_report_at = Some(now.instant + DEATH_REPORT_EVERY);
        }
    }

    /// Nothing runs any more.
    fn end(&mut self, now: Now, actions: &mut Actions) {
        self.death_report_at = None;
        match &self.replacement {
            Some(configuration) if self.mood == Mood::Restarting => {
                let configuration = configuration.clone();
                actions.push(Action::Event(Event::Cleared));
                for index in (0..self.groups.len()).rev() {
                    if self.groups[index].is_of_file() {
                        self.take_out_group(index, actions);
                    }
                }
                // Recorded at the end of `begin`: until then the end can come again.
                self.mood = Mood::Running;
                self.begin(now, configuration, actions);
                self.change_replacement(None);
            }
            _ if self.finished => {}
            // News of a birth that is being taken back may still come in this turn.
            _ if actions.takes_back() => {
                self.death_report_at = Some(now.instant + Duration::from_nanos(1));
            }
            _ => {
                self.finished = true;
                actions.push(Action::Finish);
            }
        }
    }
}
