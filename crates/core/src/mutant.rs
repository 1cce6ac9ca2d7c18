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
    /// A service starts before what it depends on is there.
    StartsBeforeDependency,
    /// A service stops before those who depend on it.
    StopsDependencyFirst,
    /// A client that brings down what waits for its restart is not answered.
    ForgetsDownInBackoff,
    /// A reload stops what was brought up.
    ReloadStopsBrought,
    /// Anybody may do anything.
    LetsStrangersIn,
    /// What ends is started again though all rests.
    RestsAndRestarts,
    /// A service is hung two periods after it was asked for a sign of life.
    CountsFromPing,
    /// A service is taken for hung though it was the supervisor that was late.
    KillsWhenLate,
    /// The counter of restarts stays as it is.
    CountsNoRestart,
    /// The counter of restarts never begins anew.
    NeverResets,
    /// A recovery script that was not run before a crash of the supervisor is never run.
    ForgetsScript,
    /// What a former life has said is taken for news of this one.
    HearsFormerLives,
    /// A recovery script that runs is asked for again after a crash of the supervisor.
    AsksTwice,
    /// What is left of a tree lives on beside the next process.
    LeavesTree,
    /// What is left of a tree is looked for again although it is gone.
    SweepsAgain,
    /// What was condemned before a crash of the supervisor lives on.
    ForgetsVerdict,
    /// After a crash there is no wait.
    WaitsForNothing,
    /// A program with which everything ends gives no code.
    ForgetsExitCode,
    /// Everything ends with a program that is started again.
    EndsTooEarly,
    /// A dead process stays up, as long as its exit was not heard of.
    BelievesTheClock,
}

impl Mutant {
    /// All of them.
    pub const ALL: [Self; 32] = [
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
        Self::StartsBeforeDependency,
        Self::StopsDependencyFirst,
        Self::ForgetsDownInBackoff,
        Self::ReloadStopsBrought,
        Self::LetsStrangersIn,
        Self::RestsAndRestarts,
        Self::CountsFromPing,
        Self::KillsWhenLate,
        Self::CountsNoRestart,
        Self::NeverResets,
        Self::ForgetsScript,
        Self::HearsFormerLives,
        Self::AsksTwice,
        Self::LeavesTree,
        Self::SweepsAgain,
        Self::ForgetsVerdict,
        Self::WaitsForNothing,
        Self::ForgetsExitCode,
        Self::EndsTooEarly,
        Self::BelievesTheClock,
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
