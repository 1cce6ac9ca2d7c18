//! The end: everything stops, one group after the other, and then it is over or
//! begins anew.

use std::time::Duration;

use super::Supervisor;
use crate::action::{Action, Actions, Notice};
use crate::event::Event;
use crate::group::start_order;
use crate::id::ServiceId;
use crate::input::Mood;
use crate::mutant::{self, Mutant};
use crate::record::Record;
use crate::service::Stimulus;
use crate::spec::Configuration;
use crate::time::Now;

/// How often the main log says whom the end waits for.
const DEATH_REPORT_EVERY: Duration = Duration::from_secs(3);

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
        if self.mood == Mood::Running {
            actions.push(Action::Event(Event::SupervisorStopping));
            self.death_report_at = Some(now.instant);
        }
        self.change_mood(Mood::Shutdown);
        self.change_replacement(None);
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
        if self.mood == Mood::Running {
            actions.push(Action::Event(Event::SupervisorStopping));
            self.death_report_at = Some(now.instant);
        }
        // First what follows the end, then that it has begun: see `take_records`.
        self.change_replacement(Some(configuration));
        self.change_mood(Mood::Restarting);
    }

    fn change_mood(&mut self, mood: Mood) {
        if self.mood != mood {
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
        if mutant::on(Mutant::StopsInStartOrder) {
            groups.reverse();
        }
        Winding { groups, told: false, member: 0 }
    }

    fn tell_group(&mut self, now: Now, group: usize, actions: &mut Actions) {
        for id in self.groups[group].by_priority().into_iter().rev() {
            if self.service(id).is_some_and(|service| service.state_name().is_up()) {
                self.stir(now, id, Stimulus::ShutDown, actions);
            }
        }
    }

    fn report_deaths(&mut self, now: Now, actions: &mut Actions) {
        let names: Vec<ServiceId> =
            self.groups.iter().flat_map(|group| self.unstopped(group)).collect();
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
                    self.take_out_group(index, actions);
                }
                // Recorded at the end of `begin`: until then the end can come again.
                self.mood = Mood::Running;
                self.begin(now, configuration, actions);
                self.change_replacement(None);
            }
            _ if !self.finished => {
                self.finished = true;
                actions.push(Action::Finish);
            }
            _ => {}
        }
    }
}
