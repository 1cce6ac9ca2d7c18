//! `bardo doctor`: what this machine offers and refuses, what follows from it, and what is
//! wrong now.
//!
//! Everything is tried rather than guessed ([`facility`], [`limits`]); the daemon is asked
//! and, where it does not answer, looked at ([`patient`]). Here stand the words around it,
//! the JSON document and the exit code.

mod cgroup;
mod facility;
mod limits;
mod patient;

use std::fmt;
use std::io::IsTerminal as _;
use std::process::ExitCode;

use bardo_sys::clock::LocalTime;
use serde::Serialize;

use self::facility::{Facility, Need, Verdict};
use self::patient::{Patient, Presence};
use crate::check::Form;
use crate::output::say;
use crate::personality::supervisorctl::colour::Colour;
use bardo_sys::cgroup::Places;

pub use self::patient::Wanted;
pub(crate) use self::patient::whereabouts;

/// Exit code when something is wrong now.
const WRONG: u8 = 1;

/// Exit code of a command line or a configuration that makes no sense.
const USAGE: u8 = 2;

/// Exit code of a machine on which no program could be run.
const REFUSED: u8 = 3;

/// The version of the JSON document. Keys may be added without a new one.
const VERSION: u32 = 1;

/// Looks at the machine and at the daemon.
#[must_use]
pub fn main(wanted: &Wanted, form: Form) -> ExitCode {
    let patient = match patient::examine(wanted) {
        Ok(patient) => patient,
        Err(error) => {
            eprintln!("bardo: doctor: {error}");
            return ExitCode::from(USAGE);
        }
    };
    let places = Places::of_this_process();
    let mut facilities = facility::all(&places);
    facilities.extend(limits::all(&places));
    let report = Report { kernel: facility::release(), facilities, patient };
    say(&match form {
        Form::Text => {
            let (no_color, term) = (std::env::var_os("NO_COLOR"), std::env::var_os("TERM"));
            let is_terminal = std::io::stdout().is_terminal();
            report.text(Colour::suiting(is_terminal, no_color.as_deref(), term.as_deref()))
        }
        Form::Json => report.to_json(),
    });
    ExitCode::from(report.code())
}

/// All that was found.
#[derive(Debug)]
struct Report {
    kernel: String,
    facilities: Vec<Facility>,
    patient: Patient,
}

impl Report {
    fn code(&self) -> u8 {
        if self.facilities.iter().any(Facility::is_missed) {
            REFUSED
        } else if self.patient.findings.is_empty() {
            0
        } else {
            WRONG
        }
    }

    /// For people: what is wrong comes last, where a terminal shows it.
    fn text(&self, colour: Colour) -> String {
        let version = env!("CARGO_PKG_VERSION");
        let mut text = format!("Bardo {version} on Linux {}\n\n", self.kernel);
        let width = self.facilities.iter().map(|it| it.name.len()).max().unwrap_or(0);
        for facility in &self.facilities {
            text += &row(facility, width, colour);
        }
        text.push('\n');
        text += &format!("{}\n", Presented(&self.patient));
        if self.facilities.iter().any(Facility::is_missed) {
            text += "\nNo program can be run here: something is refused that is needed.\n";
        }
        if self.patient.findings.is_empty() {
            return text;
        }
        text += "\nWrong now\n";
        for finding in &self.patient.findings {
            let since = finding.since.map(|since| format!(", since {}", moment(since)));
            let head = format!("{} {}", finding.kind, finding.subject);
            text += &format!("  {}{}\n", colour.alarm(&head), since.unwrap_or_default());
            text += &format!("      {}\n", finding.text);
            if !finding.advice.is_empty() {
                text += &format!("      {}\n", finding.advice);
            }
        }
        text
    }

    /// One document on one line.
    fn to_json(&self) -> String {
        let patient = &self.patient;
        let document = Document {
            version: VERSION,
            bardo: env!("CARGO_PKG_VERSION"),
            kernel: &self.kernel,
            code: self.code(),
            facilities: self.facilities.iter().map(FacilityItem::from).collect(),
            daemon: DaemonItem { url: &patient.url, state: patient.state.name(), pid: patient.pid },
            wrong: patient.findings.iter().map(WrongItem::from).collect(),
        };
        let mut text = serde_json::to_string(&document).expect("texts and numbers are JSON");
        text.push('\n');
        text
    }
}

fn row(facility: &Facility, width: usize, colour: Colour) -> String {
    let Facility { name, verdict, reason, follows, .. } = facility;
    let word = match (verdict, facility.need) {
        (Verdict::Offered, _) => verdict.name().to_owned(),
        (Verdict::Refused, Need::Needed) => colour.alarm(verdict.name()),
        (Verdict::Limited | Verdict::Refused, _) => colour.warning(verdict.name()),
    };
    let reason = if reason.is_empty() { String::new() } else { format!("{reason}. ") };
    format!("{name:width$}  {word}  {reason}{follows}\n")
}

/// A moment as a clock on the wall shows it.
fn moment(seconds: i64) -> String {
    let LocalTime { year, month, day, hour, minute, second, .. } = LocalTime::at(seconds);
    format!("{year}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}")
}

/// The line about the daemon.
struct Presented<'a>(&'a Patient);

impl fmt::Display for Presented<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Patient { url, state, pid, findings } = self.0;
        let process = pid.map(|pid| format!(" (process {pid})")).unwrap_or_default();
        let well = if findings.is_empty() { "; nothing is wrong" } else { "" };
        match state {
            Presence::Absent => write!(f, "No daemon: none found at {url}"),
            Presence::Silent => write!(f, "The daemon at {url}{process} does not answer"),
            Presence::Answers => write!(f, "The daemon at {url}{process} answers{well}"),
            Presence::Other => {
                write!(f, "Who answers at {url}{process} does not say how a Bardo is")
            }
        }
    }
}

/// The JSON document.
#[derive(Serialize)]
struct Document<'a> {
    version: u32,
    bardo: &'static str,
    kernel: &'a str,
    code: u8,
    facilities: Vec<FacilityItem<'a>>,
    daemon: DaemonItem<'a>,
    wrong: Vec<WrongItem<'a>>,
}

/// A facility in it.
#[derive(Serialize)]
struct FacilityItem<'a> {
    name: &'a str,
    verdict: &'static str,
    needed: bool,
    reason: &'a str,
    follows: &'a str,
}

/// The daemon in it.
#[derive(Serialize)]
struct DaemonItem<'a> {
    url: &'a str,
    state: &'static str,
    pid: Option<u32>,
}

/// Something that is wrong in it.
#[derive(Serialize)]
struct WrongItem<'a> {
    kind: &'a str,
    subject: &'a str,
    text: &'a str,
    advice: &'a str,
    since: Option<i64>,
}

impl<'a> From<&'a Facility> for FacilityItem<'a> {
    fn from(facility: &'a Facility) -> Self {
        Self {
            name: facility.name,
            verdict: facility.verdict.name(),
            needed: facility.need == Need::Needed,
            reason: &facility.reason,
            follows: &facility.follows,
        }
    }
}

impl<'a> From<&'a patient::Finding> for WrongItem<'a> {
    fn from(finding: &'a patient::Finding) -> Self {
        Self {
            kind: &finding.kind,
            subject: &finding.subject,
            text: &finding.text,
            advice: finding.advice,
            since: finding.since,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::patient::Finding;
    use super::*;

    fn report(verdict: Verdict, need: Need, findings: Vec<Finding>) -> Report {
        let (reason, follows) = ("EPERM".to_owned(), "Nothing runs.".to_owned());
        let facility = Facility { name: "clone", verdict, need, reason, follows };
        let url = "unix:///s.sock".to_owned();
        let patient = Patient { url, state: Presence::Answers, pid: Some(7), findings };
        Report { kernel: "6.1".into(), facilities: vec![facility], patient }
    }

    fn finding() -> Finding {
        let (kind, subject) = ("log-target".to_owned(), "/log".to_owned());
        Finding { kind, subject, text: "full".into(), advice: "Make room.", since: Some(0) }
    }

    #[test]
    fn the_code_says_the_gravest_thing() {
        let code = |verdict, need, findings| report(verdict, need, findings).code();

        assert_eq!(code(Verdict::Offered, Need::Needed, vec![]), 0);
        assert_eq!(code(Verdict::Refused, Need::Useful, vec![]), 0);
        assert_eq!(code(Verdict::Limited, Need::Needed, vec![]), 0);
        assert_eq!(code(Verdict::Offered, Need::Needed, vec![finding()]), WRONG);
        assert_eq!(code(Verdict::Refused, Need::Needed, vec![finding()]), REFUSED);
    }

    #[test]
    fn people_read_what_was_tried_then_the_daemon_then_what_is_wrong() {
        let text = report(Verdict::Refused, Need::Needed, vec![finding()]).text(Colour::Plain);

        let parts = [
            "clone  refused  EPERM. Nothing runs.\n",
            "The daemon at unix:///s.sock (process 7) answers\n",
            "No program can be run here",
            "Wrong now\n  log-target /log, since 19",
            "      full\n      Make room.\n",
        ];
        let places: Vec<_> = parts.iter().map(|part| text.find(part)).collect();
        assert!(places.is_sorted() && places[0].is_some(), "{places:?}\n{text}");
    }

    #[test]
    fn a_terminal_is_shown_colours_and_nobody_else() {
        let report = report(Verdict::Refused, Need::Needed, vec![]);

        assert!(report.text(Colour::Shown).contains("\x1b[31mrefused\x1b[0m"));
        assert!(!report.text(Colour::Plain).contains('\x1b'));
    }

    #[test]
    fn programs_read_the_same() {
        let json = report(Verdict::Limited, Need::Useful, vec![finding()]).to_json();

        let value: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(value["facilities"][0]["verdict"], "limited");
        assert_eq!(value["facilities"][0]["needed"], false);
        assert_eq!(value["daemon"]["state"], "answers");
        assert_eq!(
            (&value["wrong"][0]["kind"], &value["wrong"][0]["since"]),
            (&"log-target".into(), &0.into())
        );
        assert_eq!(value["code"], WRONG);
    }
}
