//! Many seeds, on all processors.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use bardo_core::mutant::{self, Mutant};

use crate::simulation::{self, Failure, Run, Summary};

/// What came of many seeds.
#[derive(Debug, Clone, Default)]
pub struct Result {
    /// All of them together.
    pub total: Summary,
    /// The failure of the lowest seed.
    pub failure: Option<Failure>,
}

/// Runs the seeds from `base` on, until all are done or one fails. Of the
/// failures the lowest seed's is told, so the answer does not depend on the
/// number of processors.
///
/// # Panics
/// When a seed makes the core panic: the panic has said which.
#[must_use]
pub fn sweep(base: u64, seeds: u64, mutant: Option<Mutant>) -> Result {
    each(base, seeds, mutant, |seed| {
        simulation::run(Run { seed, steps: None, cut_at: None, trace: false })
    })
}

/// Runs each seed from `base` on once without a cut, and then once for every place at
/// which a supervisor can be cut off, with a cut there and nowhere else.
///
/// # Panics
/// As [`sweep`].
#[must_use]
pub fn every_cut(base: u64, seeds: u64) -> Result {
    each(base, seeds, None, |seed| {
        let run =
            |cut_at| simulation::run(Run { seed, steps: None, cut_at: Some(cut_at), trace: false });
        let mut total = run(u64::MAX)?;
        for place in 0..total.places {
            let Summary { steps, cuts, .. } = run(place)?;
            total.steps += steps;
            total.cuts += cuts;
        }
        Ok(total)
    })
}

fn each(
    base: u64,
    seeds: u64,
    mutant: Option<Mutant>,
    run: impl Fn(u64) -> std::result::Result<Summary, Failure> + Sync,
) -> Result {
    let next = AtomicU64::new(0);
    let bound = AtomicU64::new(seeds);
    let result = Mutex::new(Result::default());
    let workers = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                mutant::activate(mutant);
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    if index >= bound.load(Ordering::Relaxed) {
                        break;
                    }
                    let outcome = run(base.wrapping_add(index));
                    let mut result = result.lock().expect("no worker panics with the lock");
                    match outcome {
                        Ok(summary) => {
                            result.total.steps += summary.steps;
                            result.total.cuts += summary.cuts;
                            result.total.places += summary.places;
                        }
                        Err(failure) => {
                            bound.fetch_min(index, Ordering::Relaxed);
                            let known = result.failure.as_ref();
                            if known.is_none_or(|known| failure.seed < known.seed) {
                                result.failure = Some(failure);
                            }
                        }
                    }
                }
            });
        }
    });
    result.into_inner().expect("no worker panics with the lock")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_core_keeps_its_promises() {
        let result = sweep(0, 300, None);

        assert_eq!(result.failure, None);
        assert!(result.total.cuts > 300, "only {} were cut off", result.total.cuts);
    }

    #[test]
    fn a_cut_at_any_place_is_recovered_from() {
        let result = every_cut(0, 3);

        assert_eq!(result.failure, None);
        assert_eq!(result.total.cuts, result.total.places, "each place is cut at once");
        assert!(result.total.places > 1000, "only {} places", result.total.places);
    }

    #[test]
    fn a_seed_is_always_the_same_run() {
        let run = || simulation::run(Run { seed: 0x5eed, steps: None, cut_at: None, trace: false });

        assert_eq!(run(), run());
    }
}
