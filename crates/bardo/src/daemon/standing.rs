//! How services stand and what was decided about them: what the control thread hands to
//! those who have words for it.

use std::sync::Arc;
use std::time::Duration;

use bardo_core::decision::What;
use bardo_core::input::Mood;
use bardo_core::service::{Failure, Service, StateName, Vitals};
use bardo_core::time::WallTime;
use bardo_core::{ExitStatus, Generation, Instant, Pid, ServiceId, ServiceSpec, State, Supervisor};
use bardo_sys::clock;

use super::channels::Told;
use super::decisions::{History, KEPT_MAX, Kept};
use super::journal::Surroundings;
use super::views;
use super::world::Machine;
use crate::names;

/// The name of what is not enforced, in [`Standing::further`].
pub const NOT_ENFORCED: &str = "not enforced";

/// The name of what is wrong with its checks.
pub const CHECKS: &str = "checks";

/// Decisions that are looked at for the reason of a state: those of a crash and of the
/// start after it.
const REASON_DECISIONS: usize = 8;

/// How a service stands.
#[derive(Debug, Clone)]
pub struct Standing {
    /// Its place in the table.
    pub service: ServiceId,
    /// Its group.
    pub group: Arc<str>,
    /// What was asked for.
    pub spec: Arc<ServiceSpec>,
    /// What it is doing.
    pub state: StateName,
    /// Whether its end is expected, and no start follows from it: it is being stopped, or
    /// nothing is started any more.
    pub is_exiting: bool,
    /// Whether its process is the one that others are to talk to.
    pub is_published: bool,
    /// Its present or last life.
    pub generation: Generation,
    /// Its process.
    pub pid: Option<Pid>,
    /// When its last start began.
    pub started: Option<WallTime>,
    /// When it last ended.
    pub stopped: Option<WallTime>,
    /// How it last ended.
    pub exit: Option<ExitStatus>,
    /// What went wrong last.
    pub failure: Option<Failure>,
    /// Failed starts in a row.
    pub failures: u32,
    /// What is known of it beyond Supervisor's rules.
    pub vitals: Option<Box<Vitals>>,
    /// What it tells of itself.
    pub told: Option<Told>,
    /// How its recovery script has ended, where that was not with 0.
    pub script: Option<ExitStatus>,
    /// How long it still waits for its next start.
    pub left: Option<Duration>,
    /// In which state that is what its start depends on.
    pub held: Option<StateName>,
    /// What was decided about it last, the latest last.
    pub kept: Vec<Kept>,
    /// What else is so of its processes, by name and in order.
    pub further: Vec<(&'static str, String)>,
}

/// What there is to say about a name.
#[derive(Debug, Clone)]
pub enum Explained {
    /// It is in the table.
    Present(Box<Standing>),
    /// It has left it.
    Gone(History),
}

impl Standing {
    /// What people call it.
    #[must_use]
    pub fn label(&self) -> String {
        names::namespec(&self.group, &self.spec.name)
    }

    fn of(
        supervisor: &Supervisor,
        around: &Surroundings,
        service: &Service,
        (now, most): (Instant, usize),
    ) -> Self {
        let kept = around.decisions.of(service.id);
        let held = match kept.last().map(|kept| &kept.what) {
            Some(What::Holds { on }) => find(supervisor, on).map(Service::state_name),
            _ => None,
        };
        let left = match service.state {
            State::Backoff { until } => Some(Duration::from_nanos(until.0.saturating_sub(now.0))),
            _ => None,
        };
        Self {
            service: service.id,
            group: Arc::clone(&service.group),
            spec: Arc::clone(&service.spec),
            state: service.state_name(),
            is_exiting: service.state_name() == StateName::Stopping
                || supervisor.mood_for(service.id) != Mood::Running,
            is_published: supervisor.is_published(service.id),
            generation: service.generation,
            pid: service.pid,
            started: service.started,
            stopped: service.stopped,
            exit: service.exit,
            failure: service.failure,
            failures: service.failures,
            vitals: service.vitals.clone(),
            told: around.told.get(&service.id).cloned(),
            script: None,
            left,
            held,
            kept: kept[kept.len().saturating_sub(most)..].to_vec(),
            further: Vec::new(),
        }
    }
}

/// How all services stand, or the one of a label, by group and name.
pub(super) fn standings(
    supervisor: &Supervisor,
    around: &Surroundings,
    label: Option<&str>,
    now: Instant,
) -> Vec<Standing> {
    let how = (now, REASON_DECISIONS);
    let of = |service| Standing::of(supervisor, around, service, how);
    let mut all: Vec<Standing> = match label {
        Some(label) => find(supervisor, label).into_iter().map(of).collect(),
        None => supervisor.services().map(of).collect(),
    };
    all.sort_by(|one, other| (&one.group, &one.spec.name).cmp(&(&other.group, &other.spec.name)));
    all
}

impl Machine {
    /// How all services stand, or the one of a label, with what is so of their processes.
    pub(super) fn standings(&self, supervisor: &Supervisor, label: Option<&str>) -> Vec<Standing> {
        let now = Instant(clock::monotonic());
        let mut all = standings(supervisor, &self.surroundings, label, now);
        for standing in &mut all {
            standing.further = self.told_of_tree(standing);
            standing.further.extend(self.told_of_checks(standing.service));
            standing.script = self.failure_of_script(standing.service);
            // It takes a look at the copy, which is too much for all of them.
            if label.is_some() {
                standing.further.extend(self.told_of_copy(supervisor, standing.service));
            }
        }
        all
    }

    /// All that is known about a name, with what is so of its checks.
    pub(super) fn explain(&self, supervisor: &Supervisor, label: &str) -> Option<Explained> {
        let now = Instant(clock::monotonic());
        let mut explained = explain(supervisor, &self.surroundings, label, now)?;
        if let Explained::Present(standing) = &mut explained {
            standing.further.extend(self.told_of_checks(standing.service));
            standing.script = self.failure_of_script(standing.service);
        }
        Some(explained)
    }
}

/// All that is known about a name.
pub(super) fn explain(
    supervisor: &Supervisor,
    around: &Surroundings,
    label: &str,
    now: Instant,
) -> Option<Explained> {
    if let Some(service) = find(supervisor, label) {
        let standing = Standing::of(supervisor, around, service, (now, KEPT_MAX));
        return Some(Explained::Present(Box::new(standing)));
    }
    let gone: Vec<&History> = around.decisions.gone().collect();
    let gone = gone.into_iter().rev().find(|gone| gone.label() == label);
    gone.cloned().map(Explained::Gone)
}

/// The service that a label names: `group:process`, the name of both, or the name of a
/// process that only one group has.
#[must_use]
pub fn find<'a>(supervisor: &'a Supervisor, label: &str) -> Option<&'a Service> {
    let namespec = names::parse(label);
    let exact = namespec.process.and_then(|name| views::find(supervisor, namespec.group, name));
    exact.or_else(|| {
        let mut named = supervisor.services().filter(|service| *service.spec.name == *label);
        let first = named.next();
        first.filter(|_| named.next().is_none())
    })
}
