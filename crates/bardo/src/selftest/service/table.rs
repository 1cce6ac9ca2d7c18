//! What the test of services has found, as a table.

use std::fmt;
use std::time::Duration;

use super::super::report::{median_and_worst, milliseconds};
use super::{PROGRAM, SERVICE, Services};

/// The figures of the test.
#[derive(Debug)]
pub struct Report {
    /// From the signal that stopped a program to the first instruction of the next one.
    pub after_stop: Vec<Duration>,
    /// The same from its last sign of life.
    pub after_sign: Vec<Duration>,
    /// From the signal that killed it to the first instruction of the next one: of the
    /// program, and of the service.
    pub away: [Vec<Duration>; 2],
    /// How many programs had a heartbeat.
    pub hearts: usize,
    /// How long they were watched.
    pub watched: Duration,
    /// How often they said meanwhile that they live.
    pub signs: u64,
    /// How long the keeper and the supervisor had a processor meanwhile.
    pub used: [Duration; 2],
    /// Everything that is not as it should be, in words.
    pub findings: Vec<String>,
    replaced_within: Duration,
    percent: u64,
    slower_percent: u64,
}

impl Report {
    /// One without figures.
    #[must_use]
    pub fn new(services: &Services) -> Self {
        Self {
            after_stop: Vec::new(),
            after_sign: Vec::new(),
            away: [Vec::new(), Vec::new()],
            hearts: services.hearts,
            watched: Duration::ZERO,
            signs: 0,
            used: [Duration::ZERO; 2],
            findings: Vec::new(),
            replaced_within: services.replaced_within,
            percent: services.percent,
            slower_percent: services.slower_percent,
        }
    }

    /// Whether every bar was met.
    #[must_use]
    pub fn is_good(&self) -> bool {
        self.faults().is_empty()
    }

    /// What both used of one processor, in percent.
    fn used_percent(&self) -> f64 {
        let used: Duration = self.used.iter().sum();
        used.as_secs_f64() / self.watched.as_secs_f64().max(0.001) * 100.0
    }

    /// How much longer than a program a service is away, in percent.
    fn slower(&self) -> f64 {
        let [program, service] =
            [PROGRAM, SERVICE].map(|place| median_and_worst(&self.away[place]).0.as_secs_f64());
        if program > 0.0 { (service / program - 1.0) * 100.0 } else { 0.0 }
    }

    fn faults(&self) -> Vec<String> {
        let mut faults = self.findings.clone();
        let mut unless = |is_good: bool, text: &str| {
            if !is_good {
                faults.push(text.to_owned());
            }
        };
        let (replaced, _) = median_and_worst(&self.after_sign);
        unless(replaced <= self.replaced_within, "a program that hangs is replaced too late");
        unless(self.slower() <= self.slower_percent as f64, "a service is away for too long");
        unless(self.used_percent() <= self.percent as f64, "heartbeats cost too much");
        faults
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let times = |times: &[Duration]| {
            let (median, worst) = median_and_worst(times);
            let times = (milliseconds(median), milliseconds(worst), times.len());
            format!("{}, {} at most, of {}", times.0, times.1, times.2)
        };
        let away = |place: usize| {
            let (median, worst) = median_and_worst(&self.away[place]);
            let microseconds = median.as_micros();
            let count = self.away[place].len();
            format!("{microseconds} us, {} at most, of {count}", milliseconds(worst))
        };
        let seconds = self.watched.as_secs_f64().max(0.001);
        let used =
            |place: usize| format!("{:.2} %", self.used[place].as_secs_f64() / seconds * 100.0);
        let rows = [
            ("replaced, after its stop", times(&self.after_stop)),
            ("replaced, after its last answer", times(&self.after_sign)),
            ("a program is away", away(PROGRAM)),
            ("a service is away", away(SERVICE)),
            ("longer than a program", format!("{:.1} %", self.slower())),
            ("programs with a heartbeat", self.hearts.to_string()),
            ("answers a second", format!("{:.0}", self.signs as f64 / seconds)),
            ("processor, keeper", used(0)),
            ("processor, supervisor", used(1)),
            ("processor, both", format!("{:.2} %", self.used_percent())),
        ];
        for (name, value) in rows {
            writeln!(f, "{name:<32} {value}")?;
        }
        for fault in self.faults() {
            writeln!(f, "WRONG: {fault}")?;
        }
        let verdict = if self.is_good() { "every bar was met" } else { "FAILED" };
        writeln!(f, "{verdict}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    fn report() -> Report {
        Report::new(&Services {
            executable: PathBuf::new(),
            hangs: 1,
            kills: 1,
            hearts: 1,
            span: Duration::from_secs(1),
            replaced_within: Duration::from_millis(210),
            percent: 2,
            slower_percent: 10,
            keep: false,
        })
    }

    #[test]
    fn each_bar_is_looked_at() {
        let mut good = report();
        good.watched = Duration::from_secs(1);
        good.used = [Duration::from_millis(5), Duration::from_millis(15)];
        good.away = [vec![Duration::from_micros(100)], vec![Duration::from_micros(109)]];
        good.after_sign = vec![Duration::from_millis(210)];
        assert_eq!(good.faults(), Vec::<String>::new());

        good.used[0] = Duration::from_millis(6);
        good.away[1] = vec![Duration::from_micros(111)];
        good.after_sign = vec![Duration::from_millis(211)];
        assert_eq!(good.faults().len(), 3);
    }
}
