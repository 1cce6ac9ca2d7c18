//! What the control thread counts for whoever watches: starts, restarts and how long
//! they took, events.
//!
//! All of it is plain additions to memory of this process, so a successor begins anew
//! and says since when it counts. One thing surprises a newcomer: a restart that waits on
//! purpose, as in `BACKOFF`, is counted and not timed.

use bardo_core::ServiceId;
use bardo_core::service::Service;
use bardo_wire::listener::EventType;

/// Upper bounds of the restart latencies that are told apart, in nanoseconds: from what
/// one clone takes to what nobody would call a restart at once.
pub const LATENCY_BOUNDS: [u64; 14] = [
    100_000,
    250_000,
    500_000,
    1_000_000,
    2_500_000,
    5_000_000,
    10_000_000,
    25_000_000,
    50_000_000,
    100_000_000,
    250_000_000,
    500_000_000,
    1_000_000_000,
    2_500_000_000,
];

/// What is counted of the supervisor as a whole.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counted {
    /// Since when, in seconds since 1970: when this supervisor took over.
    pub since: i64,
    /// How many restarts took at most so long, each bound by itself; the last ones took
    /// longer than all bounds.
    pub latencies: [u64; LATENCY_BOUNDS.len() + 1],
    /// How long all of them took together, in nanoseconds.
    pub latency_sum: u64,
    /// Events of each type, in the order of [`EventType::ALL`].
    pub events: [u64; EventType::ALL.len()],
}

/// What is counted of one process.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Since when, in seconds since 1970: when it was added, or when this supervisor took
    /// over.
    pub since: i64,
    /// Processes that were made, also those that could not execute their program.
    pub starts: u64,
    /// How many of them because the one before had ended or failed.
    pub restarts: u64,
}

/// Why a process is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// Somebody wants it.
    Wanted,
    /// The one before ended; the moment says when that was learnt, where this start was
    /// decided at once.
    Ended(Option<u64>),
}

/// Counts.
#[derive(Debug, Default)]
pub(super) struct Metrics {
    counted: Counted,
    places: Vec<Place>,
    /// How often the loop has gone round.
    turn: u64,
}

/// A place of the table.
#[derive(Debug, Clone, Copy, Default)]
struct Place {
    counts: Counts,
    /// In which turn an exit was learnt last, and when.
    exit: (u64, u64),
}

impl Metrics {
    /// Begins to count.
    pub(super) fn new(now: i64) -> Self {
        let counted = Counted { since: now, ..Counted::default() };
        // The turn 0 is that of exits that there have not been.
        Self { counted, turn: 1, ..Self::default() }
    }

    /// The loop goes round.
    pub(super) fn turn(&mut self) {
        self.turn += 1;
    }

    /// A process is new in the table: nothing of its place's past is its own.
    pub(super) fn added(&mut self, service: ServiceId, now: i64) {
        let place = self.place(service);
        *place = Place { counts: Counts { since: now, ..Counts::default() }, exit: (0, 0) };
    }

    /// An exit was learnt of, at a moment of the steady clock.
    pub(super) fn exited(&mut self, service: ServiceId, moment: u64) {
        let turn = self.turn;
        self.place(service).exit = (turn, moment);
    }

    /// Why a process is made that the core has asked for in this turn.
    pub(super) fn cause(&self, service: &Service) -> Cause {
        let place = self.places.get(service.id.0 as usize).copied().unwrap_or_default();
        match place.exit {
            (turn, moment) if turn == self.turn => Cause::Ended(Some(moment)),
            _ if service.failures > 0 => Cause::Ended(None),
            _ => Cause::Wanted,
        }
    }

    /// A process was made.
    pub(super) fn started(&mut self, service: ServiceId, cause: Cause, now: u64) {
        let counts = &mut self.place(service).counts;
        counts.starts += 1;
        let Cause::Ended(moment) = cause else { return };
        counts.restarts += 1;
        if let Some(moment) = moment {
            let took = now.saturating_sub(moment);
            let bucket = LATENCY_BOUNDS.partition_point(|bound| *bound < took);
            self.counted.latencies[bucket] += 1;
            self.counted.latency_sum += took;
        }
    }

    /// There is an event.
    pub(super) fn told(&mut self, event: EventType) {
        self.counted.events[usize::from(event.number())] += 1;
    }

    /// What was counted of the whole.
    pub(super) fn counted(&self) -> &Counted {
        &self.counted
    }

    /// What was counted of a process.
    pub(super) fn counts(&self, service: ServiceId) -> Counts {
        let fresh = Counts { since: self.counted.since, ..Counts::default() };
        let place = self.places.get(service.0 as usize);
        place.map_or(fresh, |place| place.counts)
    }

    fn place(&mut self, service: ServiceId) -> &mut Place {
        let (index, since) = (service.0 as usize, self.counted.since);
        if index >= self.places.len() {
            let counts = Counts { since, ..Counts::default() };
            self.places.resize(index + 1, Place { counts, exit: (0, 0) });
        }
        &mut self.places[index]
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use bardo_core::Generation;

    use super::*;
    use crate::api::test_specs;

    const MILLISECOND: u64 = 1_000_000;

    fn service() -> Service {
        let spec = Arc::new(test_specs::service("p", "/bin/cat"));
        Service::new(ServiceId(3), Generation(1), "g".into(), spec)
    }

    fn started(metrics: &mut Metrics, service: &Service, now: u64) {
        let cause = metrics.cause(service);
        metrics.started(service.id, cause, now);
    }

    #[test]
    fn a_restart_in_the_turn_of_the_exit_is_timed() {
        let (mut metrics, service) = (Metrics::new(7), service());

        metrics.turn();
        started(&mut metrics, &service, 0);
        metrics.turn();
        metrics.exited(service.id, 10 * MILLISECOND);
        started(&mut metrics, &service, 11 * MILLISECOND);

        assert_eq!(metrics.counts(service.id), Counts { since: 7, starts: 2, restarts: 1 });
        assert_eq!(metrics.counted().latency_sum, MILLISECOND);
        let bucket = LATENCY_BOUNDS.iter().position(|bound| *bound == MILLISECOND).unwrap();
        assert_eq!(metrics.counted().latencies[bucket], 1, "a bound includes itself");
    }

    #[test]
    fn the_first_start_of_all_is_no_restart() {
        let (mut metrics, service) = (Metrics::new(7), service());

        metrics.added(service.id, 7);
        started(&mut metrics, &service, 0);

        assert_eq!(metrics.counts(service.id), Counts { since: 7, starts: 1, restarts: 0 });
    }

    #[test]
    fn a_start_that_somebody_wants_later_is_no_restart() {
        let (mut metrics, service) = (Metrics::new(7), service());

        metrics.turn();
        metrics.exited(service.id, 0);
        metrics.turn();
        started(&mut metrics, &service, 5_000 * MILLISECOND);

        assert_eq!(metrics.counts(service.id).restarts, 0);
    }

    #[test]
    fn a_try_after_a_wait_is_counted_and_not_timed() {
        let (mut metrics, mut service) = (Metrics::new(7), service());
        service.failures = 1;

        metrics.turn();
        started(&mut metrics, &service, 5_000 * MILLISECOND);

        assert_eq!(metrics.counts(service.id).restarts, 1);
        assert_eq!(metrics.counted().latencies.iter().sum::<u64>(), 0);
    }

    #[test]
    fn a_new_process_has_nothing_of_its_places_past() {
        let (mut metrics, service) = (Metrics::new(7), service());
        metrics.turn();
        started(&mut metrics, &service, 0);

        metrics.added(service.id, 9);

        assert_eq!(metrics.counts(service.id), Counts { since: 9, starts: 0, restarts: 0 });
    }

    #[test]
    fn what_takes_longer_than_all_bounds_is_counted_too() {
        let mut metrics = Metrics::new(0);

        metrics.started(ServiceId(0), Cause::Ended(Some(0)), u64::MAX / 2);

        assert_eq!(metrics.counted().latencies[LATENCY_BOUNDS.len()], 1);
    }

    #[test]
    fn each_type_of_event_is_counted_by_itself() {
        for event in EventType::ALL {
            assert!(bardo_config::options::EVENT_TYPES.contains(&event.name()), "{event:?}");
        }
        let mut metrics = Metrics::new(7);

        metrics.told(EventType::ProcessGroupRemoved);
        metrics.told(EventType::ProcessGroupRemoved);

        assert_eq!(metrics.counted().events.iter().sum::<u64>(), 2);
        assert_eq!(metrics.counted().events[19], 2);
    }
}
