//! docs/compatibility.md has a row for everything that the tables have.

#![expect(clippy::unwrap_used, reason = "all of this is a test, its helpers too")]

use std::fs;
use std::path::Path;

use bardo::personality::{DescribedFlag, supervisorctl, supervisord};
use bardo_config::options::descriptions;

/// What the second cell of a row begins with.
const MARKS: [&str; 5] = ["same", "better", "different", "not yet", "ours"];

/// A row, and the heading above its table.
struct Row {
    heading: String,
    /// What stands between ticks in the first cell.
    names: Vec<String>,
    verdict: String,
}

fn rows() -> Vec<Row> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/compatibility.md");
    let text = fs::read_to_string(path).unwrap();
    let (mut heading, mut rows) = (String::new(), Vec::new());
    for line in text.lines() {
        if let Some(title) = line.strip_prefix("## ") {
            title.clone_into(&mut heading);
        }
        let mut cells = line.split(" | ").map(|cell| cell.trim_matches(['|', ' ']));
        let (Some(first), Some(verdict), true) =
            (cells.next(), cells.next(), line.starts_with("| "))
        else {
            continue;
        };
        let names = first.split('`').skip(1).step_by(2).map(str::to_owned).collect();
        rows.push(Row { heading: heading.clone(), names, verdict: verdict.to_owned() });
    }
    rows
}

/// Whether some row below a heading names all of these, and says what becomes of them.
fn has_row(rows: &[Row], heading: &str, names: &[&str]) -> bool {
    rows.iter().any(|row| {
        row.heading == heading
            && names.iter().all(|name| row.names.iter().any(|there| there == name))
            && MARKS.iter().any(|mark| row.verdict.starts_with(mark))
    })
}

#[test]
fn every_option_has_its_row() {
    let rows = rows();
    for option in descriptions() {
        let own = format!("`{}`", option.section);
        let (heading, names) = match option.section {
            "[supervisord]" | "[program:x]" => (own.as_str(), vec![option.name]),
            section => ("Groups and other sections", vec![section, option.name]),
        };

        assert!(has_row(&rows, heading, &names), "{heading}: {names:?}");
    }
}

#[test]
fn every_method_has_its_row() {
    let rows = rows();
    for name in bardo::api::method_names() {
        let short = name.strip_prefix("supervisor.").unwrap_or(name);

        assert!(has_row(&rows, "XML-RPC", &[short]), "{name}");
    }
}

fn has_flag_row(rows: &[Row], heading: &str, flag: DescribedFlag) -> bool {
    let short = flag.short.map(|letter| format!("-{letter}"));
    let long = format!("--{}", flag.long);
    has_row(rows, heading, &[&short.unwrap_or(long)])
}

#[test]
fn every_flag_and_command_has_its_row() {
    let rows = rows();
    for flag in supervisord::flags() {
        assert!(has_flag_row(&rows, "`supervisord`", flag), "{flag:?}");
    }
    for flag in supervisorctl::flags() {
        assert!(has_flag_row(&rows, "`supervisorctl`", flag), "{flag:?}");
    }
    for command in supervisorctl::commands() {
        assert!(has_row(&rows, "`supervisorctl`", &[command.name]), "{command:?}");
    }
    for tool in ["echo_supervisord_conf", "pidproxy"] {
        assert!(has_row(&rows, "Helper programs", &[tool]), "{tool}");
    }
}

#[test]
fn a_row_that_is_missing_is_missed() {
    let rows = rows();

    assert!(!has_row(&rows, "XML-RPC", &["noSuchMethod"]));
    assert!(!has_row(&rows, "`supervisord`", &["-x"]));
    assert!(rows.len() > 100, "{}", rows.len());
}
