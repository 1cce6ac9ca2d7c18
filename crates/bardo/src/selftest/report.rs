//! What a survival test has found, as a table.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::checker::Found;
use super::drivers::Findings;
use super::soak::{Has, Sample};
use super::speakers::Hearing;
use super::survival::Survival;
use super::visitors::Visited;

/// The figures of a survival test.
#[derive(Debug, Default)]
pub struct Report {
    /// What chance began with.
    pub seed: u64,
    /// Supervisors that were killed, and those that were for a look at descriptors and memory.
    pub kills: usize,
    /// See `kills`.
    pub kills_more: usize,
    /// Those that were killed before they had answered anything.
    pub early_kills: usize,
    /// Times from a kill to the next answer.
    pub answers: Vec<Duration>,
    /// Times from a stop for ever to the answer of the next supervisor.
    pub hang_answers: Vec<Duration>,
    /// Stops after which the supervisor was let go on.
    pub hold_ups: usize,
    /// Supervisors that the keeper has found hanging.
    pub hangs_found: usize,
    /// Programs more, which do nothing.
    pub children: usize,
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
    /// What became of visitors of FastCGI programs.
    pub visited: Visited,
    /// How long blows came.
    pub lasted: Duration,
    /// Bytes of logs that were read through the API: asked for, and followed.
    pub tailed: (u64, u64),
    /// What keeper and supervisor had early in a long test, and at its end.
    pub soak: Option<(Sample, Sample)>,
    /// Everything that is not as it should be, in words.
    pub findings: Vec<String>,
    /// What the median time to an answer may be at most.
    pub answer_within: Duration,
}

impl Report {
    /// With what is known before.
    #[must_use]
    pub fn new(survival: &Survival) -> Self {
        let Survival { seed, answer_within, children, .. } = *survival;
        Self { seed, answer_within, children, ..Self::default() }
    }

    /// Takes what clients have found.
    pub(super) fn take(&mut self, findings: &Findings) {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        self.wishes = count(&findings.wishes);
        self.statuses += count(&findings.statuses);
        self.statuses_wrong += count(&findings.statuses_wrong);
        self.deadlines += count(&findings.deadlines);
        self.tailed = (count(&findings.tailed), count(&findings.followed));
        self.findings = findings.take();
    }

    /// How often the supervisor was stopped.
    #[must_use]
    pub fn hangs(&self) -> usize {
        self.hang_answers.len() + self.hold_ups
    }

    /// The median and the longest time to the first answer.
    #[must_use]
    pub fn answer_times(&self) -> (Duration, Duration) {
        median_and_worst(&self.answers)
    }

    /// Whether every bar was met.
    #[must_use]
    pub fn is_good(&self) -> bool {
        self.faults().is_empty()
    }

    /// The bars that were not met, and everything else that is not as it should be.
    fn faults(&self) -> Vec<String> {
        let mut faults = self.findings.clone();
        let mut unless = |is_good: bool, text: &str| {
            if !is_good {
                faults.push(text.to_owned());
            }
        };
        unless(self.logs.lines.is_clean(), "lines were lost, doubled or torn");
        unless(self.children_lost == 0, "children were lost");
        unless(self.exits_missing == 0, "exits were forgotten");
        unless(self.statuses_wrong == 0, "exit statuses were wrong");
        unless(self.exits_unlogged == 0, "lines about exits are missing in the main log");
        unless(self.hearing.is_clean(), "events were not heard as they were told");
        unless(self.tailed.0 > 0 && self.tailed.1 > 0, "clients have read no logs");
        unless(self.visited.is_clean(), "connections were refused or not answered");
        unless(
            self.hangs_found >= self.hang_answers.len(),
            "the keeper does not tell of each supervisor that hung",
        );
        unless(
            self.answer_times().0 <= self.answer_within,
            &format!("the first answer took longer than {}", milliseconds(self.answer_within)),
        );
        if let Some((before, after)) = self.soak {
            unless(after.keeper.is_about(before.keeper), "the keeper has become larger or smaller");
            unless(
                after.supervisor.is_about(before.supervisor),
                "the supervisor has become larger or smaller",
            );
        }
        faults
    }
}

/// The median and the longest of some times.
pub(super) fn median_and_worst(times: &[Duration]) -> (Duration, Duration) {
    let mut times = times.to_vec();
    times.sort_unstable();
    let median = times.get(times.len() / 2).copied().unwrap_or_default();
    (median, times.last().copied().unwrap_or_default())
}

impl Report {
    /// What was done to the supervisor.
    fn rows_of_blows(&self) -> Vec<(&'static str, String)> {
        let (median, worst) = self.answer_times();
        let (hang_median, hang_worst) = median_and_worst(&self.hang_answers);
        let own = self.hangs_found.saturating_sub(self.hang_answers.len());
        vec![
            ("seed", self.seed.to_string()),
            ("seconds", self.lasted.as_secs().to_string()),
            (
                "supervisors killed",
                format!("{} ({} while taking over)", self.kills, self.early_kills),
            ),
            ("first answer, median", milliseconds(median)),
            ("first answer, worst", milliseconds(worst)),
            ("supervisors stopped", format!("{} ({} went on)", self.hangs(), self.hold_ups)),
            (
                "hanging ones replaced",
                format!("{} ({own} that were not stopped)", self.hangs_found),
            ),
            ("stop to answer, median", milliseconds(hang_median)),
            ("stop to answer, worst", milliseconds(hang_worst)),
            ("idle programs", self.children.to_string()),
            ("children lost", self.children_lost.to_string()),
        ]
    }

    /// What became of output and exits.
    fn rows_of_programs(&self) -> Vec<(&'static str, String)> {
        let megabytes = self.logs.bytes >> 20;
        vec![
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
            ("logs read by clients", format!("{} KiB", self.tailed.0 >> 10)),
            ("logs followed", format!("{} KiB", self.tailed.1 >> 10)),
            ("exits", self.exits.to_string()),
            ("exits missing", self.exits_missing.to_string()),
            ("exits logged", format!("{} ({} not)", self.exits_logged, self.exits_unlogged)),
            ("statuses compared", self.statuses.to_string()),
            ("statuses wrong", self.statuses_wrong.to_string()),
            ("starts and stops", self.wishes.to_string()),
            ("deadlines measured", self.deadlines.to_string()),
        ]
    }

    /// What became of events, visitors and descriptors.
    fn rows_of_others(&self) -> Vec<(&'static str, String)> {
        let visited = self.visited;
        let rate = visited.answered as f64 / self.lasted.as_secs_f64().max(0.001);
        vec![
            (
                "events accepted",
                format!("{} ({} rejected before)", self.hearing.events, self.hearing.rejected),
            ),
            ("events missing", self.hearing.missing.to_string()),
            ("events told again", self.hearing.again.to_string()),
            ("messages captured", self.hearing.messages.to_string()),
            ("messages wrong", self.hearing.messages_wrong.to_string()),
            ("state chains broken", self.hearing.chains_broken.to_string()),
            ("connections answered", format!("{} ({rate:.0} a second)", visited.answered)),
            ("connections refused", visited.refused.to_string()),
            ("connections unanswered", visited.unanswered.to_string()),
            ("connections, worst", milliseconds(visited.longest)),
            (
                "keeper's descriptors",
                format!("{} before, {} after", self.descriptors.0, self.descriptors.1),
            ),
        ]
    }

    /// What a long test is for.
    fn rows_of_soak(&self) -> Vec<(&'static str, String)> {
        let Some((before, after)) = self.soak else { return Vec::new() };
        let descriptors =
            |was: Has, is: Has| format!("{} early, {} late", was.descriptors, is.descriptors);
        let memory = |was: Has, is: Has| {
            format!("{} KiB early, {} KiB late", was.bytes >> 10, is.bytes >> 10)
        };
        vec![
            ("keeper, descriptors", descriptors(before.keeper, after.keeper)),
            ("keeper, memory", memory(before.keeper, after.keeper)),
            ("supervisor, descriptors", descriptors(before.supervisor, after.supervisor)),
            ("supervisor, memory", memory(before.supervisor, after.supervisor)),
        ]
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rows = [
            self.rows_of_blows(),
            self.rows_of_programs(),
            self.rows_of_others(),
            self.rows_of_soak(),
        ];
        for (name, value) in rows.concat() {
            writeln!(f, "{name:<23} {value}")?;
        }
        for fault in self.faults() {
            writeln!(f, "WRONG: {fault}")?;
        }
        let verdict = if self.is_good() { "nothing was lost" } else { "FAILED" };
        writeln!(f, "{verdict}")
    }
}

pub(super) fn milliseconds(span: Duration) -> String {
    format!("{:.1} ms", span.as_secs_f64() * 1000.0)
}
