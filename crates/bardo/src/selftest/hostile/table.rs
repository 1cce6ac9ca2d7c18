//! What a hostile test has found, as a table.

use std::fmt;
use std::time::Duration;

use super::crowd::Done;

/// What was measured during one attack.
#[derive(Debug, Default)]
pub struct Row {
    /// What was done.
    pub name: &'static str,
    /// What the attackers have done.
    pub done: Done,
    /// How long it went on.
    pub span: Duration,
    /// How long the program was away, each time.
    pub restarts: Vec<Duration>,
    /// How long each answer through the socket file took.
    pub owner: Vec<Duration>,
    /// How long each answer through the port took.
    pub stranger: Vec<Duration>,
    /// How long the supervisor had a processor.
    pub used: Duration,
    /// The most memory that the supervisor had.
    pub memory: u64,
}

/// The figures of a hostile test.
#[derive(Debug, Default)]
pub struct Report {
    /// The first one is without an attack.
    pub rows: Vec<Row>,
    /// The supervisor's memory in the end.
    pub memory_after: u64,
    /// What its memory must stay below.
    pub memory_within: u64,
    /// What the median time to a restart must stay below.
    pub restart_within: Duration,
    /// Starts in a time that there must be, in percent of those in the first row.
    pub starts_percent: u64,
    /// Everything that is not as it should be, in words.
    pub findings: Vec<String>,
}

impl Row {
    fn starts_per_second(&self) -> f64 {
        self.restarts.len() as f64 / self.span.as_secs_f64().max(0.001)
    }
}

impl Report {
    /// Whether every bar was met.
    #[must_use]
    pub fn is_good(&self) -> bool {
        self.findings.is_empty() && self.rows.iter().all(|row| self.fault(row).is_none())
    }

    /// Starts in a time, in percent of those without an attack.
    fn percent(&self, row: &Row) -> f64 {
        let quiet = self.rows.first().map_or(0.0, Row::starts_per_second);
        if quiet > 0.0 { row.starts_per_second() / quiet * 100.0 } else { 0.0 }
    }

    /// What is wrong with a row.
    fn fault(&self, row: &Row) -> Option<String> {
        let (median, _) = times(&row.restarts);
        if row.restarts.is_empty() {
            Some("the program was not started again".to_owned())
        } else if median > self.restart_within {
            Some(format!("the program was away for {:.1} ms", milliseconds(median)))
        } else if self.percent(row) < self.starts_percent as f64 {
            Some(format!("{:.0} % of the starts without an attack", self.percent(row)))
        } else if row.memory > self.memory_within {
            Some(format!("{} MiB of memory", row.memory >> 20))
        } else {
            None
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_heads(f)?;
        for row in &self.rows {
            writeln!(
                f,
                "{:<28} {:>8} {:>8} {:>8} {:>8} {:>7.1} {:>4.0} {:>12} {:>12} {:>12} {:>4.0} {:>6}",
                row.name,
                row.done.connections,
                row.done.shown_out,
                row.done.requests,
                row.done.sent >> 20,
                row.starts_per_second(),
                self.percent(row),
                shown(&row.restarts),
                shown(&row.owner),
                shown(&row.stranger),
                row.used.as_secs_f64() / row.span.as_secs_f64().max(0.001) * 100.0,
                row.memory >> 20,
            )?;
        }
        writeln!(f, "memory in the end: {} MiB", self.memory_after >> 20)?;
        writeln!(f, "times are the median and the longest")?;
        for row in &self.rows {
            if let Some(fault) = self.fault(row) {
                writeln!(f, "WRONG: {}: {fault}", row.name)?;
            }
        }
        for finding in &self.findings {
            writeln!(f, "WRONG: {finding}")?;
        }
        let verdict = if self.is_good() { "programs did not notice" } else { "FAILED" };
        writeln!(f, "{verdict}")
    }
}

fn write_heads(f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let heads = [
        [
            "attack",
            "came",
            "let go",
            "asked",
            "sent",
            "starts",
            "",
            "away",
            "owner waits",
            "other waits",
            "cpu",
            "memory",
        ],
        ["", "", "", "", "MiB", "per s", "%", "ms", "ms", "ms", "%", "MiB"],
    ];
    for [name, came, gone, asked, sent, starts, percent, away, owner, other, used, memory] in heads
    {
        writeln!(
            f,
            "{name:<28} {came:>8} {gone:>8} {asked:>8} {sent:>8} {starts:>7} {percent:>4} \
             {away:>12} {owner:>12} {other:>12} {used:>4} {memory:>6}"
        )?;
    }
    Ok(())
}

/// The median and the longest.
fn times(spans: &[Duration]) -> (Duration, Duration) {
    let mut spans = spans.to_vec();
    spans.sort_unstable();
    let median = spans.get(spans.len() / 2).copied().unwrap_or_default();
    (median, spans.last().copied().unwrap_or_default())
}

fn shown(spans: &[Duration]) -> String {
    let (median, worst) = times(spans);
    match spans {
        [] => "-".to_owned(),
        _ => format!("{:.1} {:.0}", milliseconds(median), milliseconds(worst)),
    }
}

fn milliseconds(span: Duration) -> f64 {
    span.as_secs_f64() * 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(row: Row) -> Report {
        Report {
            rows: vec![row],
            memory_within: 100 << 20,
            restart_within: Duration::from_millis(50),
            ..Report::default()
        }
    }

    #[test]
    fn a_program_that_stays_away_is_found() {
        let quick = vec![Duration::from_millis(2); 3];
        let slow = vec![Duration::from_millis(60); 3];

        assert!(report(Row { restarts: quick.clone(), ..Row::default() }).is_good());
        assert!(!report(Row { restarts: slow, ..Row::default() }).is_good());
        assert!(!report(Row::default()).is_good());
        let much = Row { restarts: quick, memory: 101 << 20, ..Row::default() };
        assert!(report(much).to_string().contains("WRONG: : 101 MiB of memory"));
    }

    #[test]
    fn a_program_that_is_started_less_often_than_without_an_attack_is_found() {
        let starts = |count| Row {
            restarts: vec![Duration::from_millis(2); count],
            span: Duration::from_secs(1),
            ..Row::default()
        };
        let both = |count| Report {
            rows: vec![starts(20), starts(count)],
            starts_percent: 50,
            ..report(Row::default())
        };

        assert!(both(10).is_good());
        assert!(!both(9).is_good());
    }
}
