//! What a survival test has found, as a table.

use std::fmt;
use std::time::Duration;

use super::checker::Found;
use super::speakers::Hearing;

/// The figures of a survival test.
#[derive(Debug, Default)]
pub struct Report {
    /// What chance began with.
    pub seed: u64,
    /// Supervisors that were killed.
    pub kills: usize,
    /// Those that were killed before they had answered anything.
    pub early_kills: usize,
    /// Times from a kill to the next answer.
    pub answers: Vec<Duration>,
    /// Programs whose process had changed after a kill.
    pub children_lost: usize,
    /// What was found in the logs of writers.
    pub logs: Found,
    /// Lives of programs that end by themselves.
    pub exits: usize,
    /// Exits that led to no restart, or to more than one.
    pub exits_missing: usize,
    /// Exits that the main log tells of, and those that it does not.
    pub exits_logged: usize,
    /// See `exits_logged`. The line that a supervisor was about to write when it was
    /// killed is never written; its exit is known all the same.
    pub exits_unlogged: usize,
    /// Statuses that were compared.
    pub statuses: u64,
    /// Those that were wrong, in an answer or in the main log.
    pub statuses_wrong: u64,
    /// Starts and stops by clients.
    pub wishes: u64,
    /// Deadlines that were measured.
    pub deadlines: u64,
    /// Descriptors of the keeper before the first kill and after the last one.
    pub descriptors: (usize, usize),
    /// What became of events.
    pub hearing: Hearing,
    /// Everything that is not as it should be, in words.
    pub findings: Vec<String>,
    /// What the median time to an answer must stay below.
    pub answer_within: Duration,
}

impl Report {
    /// The median and the longest time to the first answer.
    #[must_use]
    pub fn answer_times(&self) -> (Duration, Duration) {
        let mut times = self.answers.clone();
        times.sort_unstable();
        let median = times.get(times.len() / 2).copied().unwrap_or_default();
        (median, times.last().copied().unwrap_or_default())
    }

    /// Whether every bar was met.
    #[must_use]
    pub fn is_good(&self) -> bool {
        self.findings.is_empty()
            && self.logs.lines.is_clean()
            && self.children_lost == 0
            && self.exits_missing == 0
            && self.hearing.is_clean()
            && self.exits_unlogged <= self.kills
            && self.statuses_wrong == 0
            && self.answer_times().0 < self.answer_within
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (median, worst) = self.answer_times();
        let megabytes = self.logs.bytes >> 20;
        let rows = [
            ("seed", self.seed.to_string()),
            (
                "supervisors killed",
                format!("{} ({} while taking over)", self.kills, self.early_kills),
            ),
            ("first answer, median", format!("{:.1} ms", milliseconds(median))),
            ("first answer, worst", format!("{:.1} ms", milliseconds(worst))),
            ("children lost", self.children_lost.to_string()),
            (
                "lines written",
                format!(
                    "{} ({megabytes} MiB in {} files)",
                    self.logs.lines.written, self.logs.files
                ),
            ),
            ("lines lost", self.logs.lines.lost.to_string()),
            ("lines doubled", self.logs.lines.doubled.to_string()),
            ("lines torn", self.logs.lines.torn.to_string()),
            ("exits", self.exits.to_string()),
            ("exits missing", self.exits_missing.to_string()),
            ("exits logged", format!("{} ({} not)", self.exits_logged, self.exits_unlogged)),
            ("statuses compared", self.statuses.to_string()),
            ("statuses wrong", self.statuses_wrong.to_string()),
            ("starts and stops", self.wishes.to_string()),
            ("deadlines measured", self.deadlines.to_string()),
            (
                "events accepted",
                format!("{} ({} rejected before)", self.hearing.events, self.hearing.rejected),
            ),
            ("events missing", self.hearing.missing.to_string()),
            ("events told again", self.hearing.again.to_string()),
            ("messages captured", self.hearing.messages.to_string()),
            ("messages wrong", self.hearing.messages_wrong.to_string()),
            ("state chains broken", self.hearing.chains_broken.to_string()),
            (
                "keeper's descriptors",
                format!("{} before, {} after", self.descriptors.0, self.descriptors.1),
            ),
        ];
        for (name, value) in rows {
            writeln!(f, "{name:<22} {value}")?;
        }
        for finding in &self.findings {
            writeln!(f, "WRONG: {finding}")?;
        }
        let verdict = if self.is_good() { "nothing was lost" } else { "FAILED" };
        writeln!(f, "{verdict}")
    }
}

fn milliseconds(span: Duration) -> f64 {
    span.as_secs_f64() * 1000.0
}
