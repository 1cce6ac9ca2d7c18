//! `cargo sim`: runs seeds, shows one again, or hunts mutants.

#![forbid(unsafe_code)]

use std::process::ExitCode;

use bardo_core::mutant::Mutant;
use bardo_sim::mutants;
use bardo_sim::simulation::{self, Run};
use bardo_sim::sweep;

const USAGE: &str = "\
usage: cargo sim [--seeds N] [--base SEED] [--every-cut]
       cargo sim --seed SEED [--steps N] [--cut-at PLACE] [--trace]
       cargo sim --mutants [--base SEED]";

/// Seeds that are run when nobody says how many.
const SEEDS: u64 = 1000;

/// The same where each of them is run once for every place of a cut.
const EVERY_CUT_SEEDS: u64 = 20;

#[derive(Debug, Default)]
struct Options {
    seeds: Option<u64>,
    base: u64,
    seed: Option<u64>,
    steps: Option<u64>,
    cut_at: Option<u64>,
    every_cut: bool,
    trace: bool,
    mutants: bool,
}

fn main() -> ExitCode {
    let Some(options) = parse(std::env::args().skip(1)) else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    // A panic is a failure like any other, and is told as one.
    std::panic::set_hook(Box::new(|_| {}));
    let well = match options.seed {
        _ if options.mutants => hunt(options.base),
        Some(seed) => {
            let Options { steps, cut_at, trace, .. } = options;
            show(Run { seed, steps, cut_at, trace })
        }
        None if options.every_cut => {
            let seeds = options.seeds.unwrap_or(EVERY_CUT_SEEDS);
            tell(seeds, sweep::every_cut(options.base, seeds))
        }
        None => {
            let seeds = options.seeds.unwrap_or(SEEDS);
            tell(seeds, sweep::sweep(options.base, seeds, None))
        }
    };
    if well { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn parse(mut words: impl Iterator<Item = String>) -> Option<Options> {
    let mut options = Options::default();
    while let Some(word) = words.next() {
        match word.as_str() {
            "--seeds" => options.seeds = Some(number(&words.next()?)?),
            "--base" => options.base = number(&words.next()?)?,
            "--seed" => options.seed = Some(number(&words.next()?)?),
            "--steps" => options.steps = Some(number(&words.next()?)?),
            "--cut-at" => options.cut_at = Some(number(&words.next()?)?),
            "--every-cut" => options.every_cut = true,
            "--trace" => options.trace = true,
            "--mutants" => options.mutants = true,
            _ => return None,
        }
    }
    Some(options)
}

fn number(text: &str) -> Option<u64> {
    match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}

fn tell(seeds: u64, result: sweep::Result) -> bool {
    let (steps, cuts) = (result.total.steps, result.total.cuts);
    match result.failure {
        Some(failure) => {
            println!("{failure}");
            false
        }
        None => {
            println!("{seeds} seeds, {steps} steps, {cuts} supervisors cut off: all well");
            true
        }
    }
}

fn show(run: Run) -> bool {
    match simulation::run(run) {
        Ok(summary) => {
            let (steps, cuts) = (summary.steps, summary.cuts);
            println!("{steps} steps, {cuts} supervisors cut off: all well");
            true
        }
        Err(failure) => {
            println!("{failure}");
            false
        }
    }
}

fn hunt(base: u64) -> bool {
    let mut all = true;
    for mutant in Mutant::ALL {
        match mutants::hunt(mutant, base) {
            Some(failure) => {
                let seeds = failure.seed.wrapping_sub(base) + 1;
                println!("{mutant:?}: caught at seed number {seeds}");
            }
            None => {
                println!("{mutant:?}: not caught");
                all = false;
            }
        }
    }
    all
}
