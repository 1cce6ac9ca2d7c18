//! Reads all logs of writers while they are written, and tells the writers how far it is.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use super::board::Board;
use super::chain::Chain;
use super::drivers::Findings;
use super::home::Home;
use super::lines::{Ear, Tally};
use super::writers::{self, BACKUPS};

/// How often one looks for files that are complete, when there was none.
const LOOK_EVERY: Duration = Duration::from_millis(2);

/// What was found in all logs.
#[derive(Debug, Default, Clone, Copy)]
pub struct Found {
    /// What became of the lines.
    pub lines: Tally,
    /// Bytes of logs.
    pub bytes: u64,
    /// Files that they were in.
    pub files: usize,
}

/// The logs of all writers.
#[derive(Debug)]
pub struct Checker {
    chains: Vec<Chain>,
    /// Those that could not be read, in words.
    failures: Vec<String>,
}

impl Checker {
    /// For the writers whose logs are in this folder.
    #[must_use]
    pub fn new(home: &Home) -> Self {
        let mut logs: Vec<(String, Vec<Ear>)> = Vec::new();
        for (number, writer) in writers::all().iter().enumerate() {
            for (voice, log) in writer.voices(number) {
                match logs.iter_mut().find(|(name, _)| *name == log) {
                    Some((_, ears)) => ears.push(Ear::new(voice)),
                    None => logs.push((log, vec![Ear::new(voice)])),
                }
            }
        }
        let chains = logs.into_iter().map(|(log, ears)| Chain::new(home.file(&log), BACKUPS, ears));
        Self { chains: chains.collect(), failures: Vec::new() }
    }

    /// Reads what is complete until it is time to end.
    pub fn watch(&mut self, board: &Board, ending: &AtomicBool) {
        while !ending.load(Ordering::Relaxed) {
            if !self.advance(board) {
                thread::sleep(LOOK_EVERY);
            }
        }
    }

    /// Reads what is complete. Whether there was anything.
    fn advance(&mut self, board: &Board) -> bool {
        let mut advanced = false;
        let failures = &mut self.failures;
        self.chains.retain_mut(|chain| match chain.advance() {
            Ok(more) => {
                advanced |= more;
                for ear in chain.ears().iter().filter(|_| more) {
                    board.set_checked(ear.voice(), ear.bytes());
                }
                true
            }
            Err(error) => {
                failures.push(format!("{}: {error}", chain.path().display()));
                false
            }
        });
        advanced
    }

    /// Reads the rest, when nobody writes any more, and says what was found.
    pub(super) fn finish(mut self, board: &Board, findings: &Findings) -> Found {
        let mut found = Found::default();
        for chain in &mut self.chains {
            if let Err(error) = chain.finish() {
                findings.add(format!("{}: {error}", chain.path().display()));
            }
            for ear in chain.ears() {
                let tally = ear.tally(board.lines(ear.voice()));
                if !tally.is_clean() || tally.written == 0 {
                    findings.add(format!("{}: {tally:?}", chain.path().display()));
                }
                found.lines = found.lines.and(tally);
            }
            let (files, bytes) = chain.read();
            found.files += files;
            found.bytes += bytes;
        }
        self.failures.into_iter().for_each(|failure| findings.add(failure));
        found
    }
}
