//! One seed: chaos for a while, then the end, in which everything must die.

use std::cell::Cell;
use std::fmt;
use std::panic::{self, AssertUnwindSafe};

use bardo_core::action::Actions;
use bardo_core::input::Mood;
use bardo_core::run::turn;
use bardo_core::{Input, Supervisor, World};

use crate::check;
use crate::random::Random;
use crate::wishes;
use crate::world::Machine;

/// Steps within which everything must have died once the end was asked for. Many
/// more than any seed needs: deaths take a few seconds, a step is one wait.
const ENDING_STEPS: u64 = 5000;

/// What a run is.
#[derive(Debug, Clone, Copy)]
pub struct Run {
    /// What everything depends on.
    pub seed: u64,
    /// Where to stop; `None` is at the end.
    pub steps: Option<u64>,
    /// The only place at which a supervisor is cut off; `None` leaves that to chance. One
    /// beyond all places is nowhere.
    pub cut_at: Option<u64>,
    /// Whether everything is told to the reader.
    pub trace: bool,
}

/// What a run was.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Summary {
    /// Turns of the loop.
    pub steps: u64,
    /// How often a supervisor was cut off.
    pub cuts: u64,
    /// How many places there were at which one could be.
    pub places: u64,
}

/// What was violated, and how to see it again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The seed.
    pub seed: u64,
    /// After how many steps.
    pub steps: u64,
    /// As in [`Run`].
    pub cut_at: Option<u64>,
    /// What was violated.
    pub what: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seed, steps, cut_at, what } = self;
        write!(f, "{what}\ncargo sim --seed {seed:#x} --steps {steps}")?;
        cut_at.map_or(Ok(()), |place| write!(f, " --cut-at {place}"))
    }
}

/// Runs one seed; a panic of the core is a violation like any other.
///
/// # Errors
/// What was violated.
pub fn run(run: Run) -> Result<Summary, Failure> {
    let seed = run.seed;
    let progress = Cell::new(0);
    let simulation = AssertUnwindSafe(|| simulate(run, &progress));
    panic::catch_unwind(simulation).unwrap_or_else(|panic| {
        let text = panic
            .downcast_ref::<String>()
            .map(String::as_str)
            .or_else(|| panic.downcast_ref::<&str>().copied());
        Err(Failure {
            seed,
            steps: progress.get(),
            cut_at: run.cut_at,
            what: format!("the core panics: {}", text.unwrap_or("without words")),
        })
    })
}

fn simulate(run: Run, progress: &Cell<u64>) -> Result<Summary, Failure> {
    let Run { seed, steps, cut_at, trace } = run;
    let mut random = Random::named(seed, "clients");
    let chaos = 30 + random.below(200);
    let busy = random.pick(&[20, 100, 300]);
    let (mut machine, mut supervisor) = Machine::new(seed, cut_at, trace);
    let mut actions = Actions::default();
    let mut inputs = Vec::new();
    let limit = steps.unwrap_or(chaos + ENDING_STEPS);
    for step in 1..=limit {
        progress.set(step);
        if trace {
            println!("step {step}");
        }
        if step > chaos {
            // The end is asked for again when it was asked in vain.
            if supervisor.mood() != Mood::Shutdown {
                machine.mailbox.push(Input::Shutdown);
            }
        } else if random.happens(busy) {
            for _ in 0..=random.below(3) {
                let input = ask(&mut random, &mut machine, &supervisor);
                machine.mailbox.push(input);
            }
        }
        machine.wait(supervisor.deadline(), &mut inputs);
        let began = machine.clock();
        turn(&mut supervisor, &mut machine, &mut inputs, &mut actions);
        if machine.is_cut() {
            actions = Actions::default();
            supervisor = machine.recover();
        } else if machine.fault.is_none() {
            machine.check_helped(&supervisor, began);
            if let Err(wrong) = check::turn(&supervisor, &machine, began) {
                machine.violate(|| wrong);
            }
        }
        if let Some(what) = machine.fault.take() {
            return Err(Failure { seed, steps: step, cut_at, what });
        }
        if supervisor.is_finished() {
            let Machine { cuts, places, .. } = machine;
            return Ok(Summary { steps: step, cuts, places });
        }
    }
    if steps.is_some() {
        let Machine { cuts, places, .. } = machine;
        return Ok(Summary { steps: limit, cuts, places });
    }
    Err(Failure {
        seed,
        steps: limit,
        cut_at,
        what: format!("the end does not come: {:#?}", supervisor.snapshot().places),
    })
}

fn ask(random: &mut Random, machine: &mut Machine, supervisor: &Supervisor) -> Input {
    let needs = machine.needs;
    match random.below(200) {
        0 => Input::Shutdown,
        1..5 => Input::Replace(wishes::configuration(random, needs)),
        _ => Input::Command {
            ticket: machine.clients.ticket(),
            command: wishes::command(random, supervisor, needs),
        },
    }
}
