//! The lives that programs have noted, compared with each other and with the main log.

use std::time::Duration;

use super::actors::{self, Run};
use super::drivers::{Findings, LATE_MAX};
use super::home::Home;
use super::report::Report;

/// What the main log says of a supervisor that the keeper has found hanging.
const HUNG: &str = "took nothing any more and was killed";

/// Compares all lives.
pub(super) fn settle(home: &Home, findings: &Findings, report: &mut Report) {
    let log = home.main_log();
    report.hangs_found = log.matches(HUNG).count();
    for name in ["crasher", "runner", "failing"] {
        let runs = actors::runs(home.path(), name);
        for pair in runs.windows(2) {
            match pair[0].ended {
                Some((_, at)) if at <= pair[1].began => {}
                // A process that is killed at the end notes no end.
                _ => findings.add(format!("{name}: two lives at once: {pair:?}")),
            }
        }
        report.exits_missing += forgotten(name, &runs, findings);
        let codes: Vec<u8> = runs.iter().filter_map(|run| Some(run.ended?.0)).collect();
        report.exits += codes.len();
        compare_codes(name, &codes, &logged_codes(&log, name), findings, report);
    }
    check_backoff(home, findings, report);
}

/// Exits that did not lead to what must follow: a restart, at once.
fn forgotten(name: &str, runs: &[Run], findings: &Findings) -> usize {
    let restarts = |code| match name {
        "crasher" => true,
        "runner" => code != 0,
        // It waits longer and longer: see `check_backoff`.
        _ => false,
    };
    let late = |pair: &&[Run]| {
        pair[0].ended.is_some_and(|(code, at)| {
            let gap = Duration::from_nanos(pair[1].began.saturating_sub(at));
            restarts(code) && gap > LATE_MAX
        })
    };
    let forgotten: Vec<_> = runs.windows(2).filter(late).collect();
    if let Some(pair) = forgotten.first() {
        findings.add(format!("{name}: not started again: {pair:?}"));
    }
    forgotten.len()
}

/// The codes of a program's exits, as the main log tells them.
fn logged_codes(log: &str, name: &str) -> Vec<u8> {
    let begin = format!("exited: {name} (exit status ");
    let lines = log.lines().filter_map(|line| line.split_once(&begin));
    lines.filter_map(|(_, rest)| rest.split(';').next()?.parse().ok()).collect()
}

/// What is logged must be what was noted, in its order, all of it and nothing twice.
fn compare_codes(
    name: &str,
    codes: &[u8],
    logged: &[u8],
    findings: &Findings,
    report: &mut Report,
) {
    report.statuses += logged.len() as u64;
    report.exits_logged += logged.len();
    let mut rest = codes.iter();
    for code in logged {
        if !rest.any(|noted| noted == code) {
            report.statuses_wrong += 1;
            findings.add(format!("{name}: the main log tells of code {code} out of order"));
            return;
        }
    }
    report.exits_unlogged += codes.len() - logged.len();
}

/// The n-th try must come n seconds after the failure before it.
fn check_backoff(home: &Home, findings: &Findings, report: &mut Report) {
    let runs = actors::runs(home.path(), "failing");
    for (pair, failures) in runs.windows(2).zip(1..) {
        let Some((_, ended)) = pair[0].ended else { continue };
        let gap = Duration::from_nanos(pair[1].began.saturating_sub(ended));
        let due = Duration::from_secs(failures);
        report.deadlines += 1;
        if gap < due || gap > due + LATE_MAX {
            findings.add(format!("failing: try {} came after {gap:?}", failures + 1));
        }
    }
    if runs.len() < 2 {
        findings.add(format!("failing was tried {} times", runs.len()));
    }
}
