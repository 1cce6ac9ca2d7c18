//! Wrong decisions, on purpose: the simulator must notice each of them.
//!
//! They exist only with the feature `mutants`. In every other build `on` is a
//! constant, and the sites that ask it cost nothing.

/// One wrong decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mutant {
    /// The end of a process that was told to stop is taken for a crash.
    TakesStopForCrash,
    /// The news of a former life is taken for news of this one.
    ForgetsGeneration,
    /// SIGKILL is never sent.
    NeverKills,
    /// The time of the next SIGKILL stays in the past.
    KeepsPastDeadline,
    /// The end stops the groups that were started first before the others.
    StopsInStartOrder,
    /// One retry more than was asked for.
    RetriesOnceMore,
    /// Failures are forgotten when the next try begins.
    ForgetsFailures,
    /// A stop signal that was decided and not sent before a crash is never sent.
    ForgetsUnsentStop,
    /// A birth that a crash prevented is repeated under the name of the first.
    ReusesGeneration,
    /// A client that waits for a stop is not answered.
    LosesAnswer,
    /// What the machine has not to give counts against the program.
    CountsShortages,
    /// A process ends when its supervisor hears of it.
    ForgetsWhenItEnded,
}

impl Mutant {
    /// All of them.
    pub const ALL: [Self; 12] = [
        Self::TakesStopForCrash,
        Self::ForgetsGeneration,
        Self::NeverKills,
        Self::KeepsPastDeadline,
        Self::StopsInStartOrder,
        Self::RetriesOnceMore,
        Self::ForgetsFailures,
        Self::ForgetsUnsentStop,
        Self::ReusesGeneration,
        Self::LosesAnswer,
        Self::CountsShortages,
        Self::ForgetsWhenItEnded,
    ];
}

#[cfg(feature = "mutants")]
mod switch {
    use super::Mutant;
    use std::cell::Cell;

    thread_local! {
        static ACTIVE: Cell<Option<Mutant>> = const { Cell::new(None) };
    }

    /// Makes this thread's supervisors decide wrongly in one way, or in none.
    pub fn activate(mutant: Option<Mutant>) {
        ACTIVE.set(mutant);
    }

    pub(crate) fn on(mutant: Mutant) -> bool {
        ACTIVE.get() == Some(mutant)
    }
}

#[cfg(not(feature = "mutants"))]
mod switch {
    use super::Mutant;

    pub(crate) const fn on(_: Mutant) -> bool {
        false
    }
}

#[cfg(feature = "mutants")]
pub use switch::activate;
pub(crate) use switch::on;
