//! Whether the checkers see: each mutant of the core must be caught.

use bardo_core::mutant::Mutant;

use crate::simulation::Failure;
use crate::sweep;

/// Seeds within which every mutant must be caught.
pub const SEEDS_MAX: u64 = 10_000;

/// How a mutant was caught; `None` when it was not.
#[must_use]
pub fn hunt(mutant: Mutant, base: u64) -> Option<Failure> {
    sweep::sweep(base, SEEDS_MAX, Some(mutant)).failure
}

#[cfg(test)]
mod tests {
    use bardo_core::mutant;

    use super::*;
    use crate::simulation::{self, Run};

    #[test]
    fn every_mutant_is_caught() {
        let escaped: Vec<Mutant> =
            Mutant::ALL.into_iter().filter(|mutant| hunt(*mutant, 0).is_none()).collect();

        assert_eq!(escaped, []);
    }

    #[test]
    fn a_failure_is_seen_again_with_its_two_numbers() {
        let failure = hunt(Mutant::ForgetsUnsentStop, 0).expect("it is caught");

        mutant::activate(Some(Mutant::ForgetsUnsentStop));
        let run =
            Run { seed: failure.seed, steps: Some(failure.steps), cut_at: None, trace: false };
        let again = simulation::run(run);
        mutant::activate(None);

        assert_eq!(again, Err(failure));
    }
}
