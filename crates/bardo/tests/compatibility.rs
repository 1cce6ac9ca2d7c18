//! docs/compatibility.md has a row for everything that the tables have, and
//! docs/quirks.md names a test that is there for every oddity.

#![expect(clippy::unwrap_used, reason = "all of this is a test, its helpers too")]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use bardo::personality::{DescribedFlag, supervisorctl, supervisord};
use bardo_config::options::descriptions;

/// What the second cell of a row begins with.
const MARKS: [&str; 4] = ["same", "better", "different", "ours"];

/// A row, and the heading above its table.
struct Row {
    heading: String,
    /// What stands between ticks in the first cell.
    names: Vec<String>,
    verdict: String,
}

fn document(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs").join(name);
    fs::read_to_string(path).unwrap()
}

fn rows() -> Vec<Row> {
    let text = document("compatibility.md");
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

/// How many oddities are kept, decided and mended.
const QUIRKS: [usize; 3] = [22, 7, 30];

/// The tests of every crate, by name.
fn tests() -> BTreeSet<String> {
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("..")];
    let mut names = BTreeSet::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                names.extend(tests_of(&fs::read_to_string(path).unwrap()));
            }
        }
    }
    names
}

/// The functions that a test attribute stands above.
fn tests_of(code: &str) -> Vec<String> {
    let (mut names, mut is_test) = (Vec::new(), false);
    for line in code.lines().map(str::trim) {
        if let Some(rest) = line.strip_prefix("fn ").filter(|_| is_test) {
            names.push(rest.split(['(', '<']).next().unwrap_or_default().to_owned());
        }
        is_test = line == "#[test]" || (is_test && line.starts_with("#["));
    }
    names
}

/// The rows of docs/quirks.md: a number, and the tests that it names.
fn quirks() -> Vec<(String, Vec<String>)> {
    let text = document("quirks.md");
    let numbered = text.lines().filter_map(|line| {
        let cells: Vec<&str> = line.strip_prefix("| ")?.split(" | ").collect();
        let number = cells[0].to_owned();
        let tests = cells.last()?.split('`').skip(1).step_by(2).map(str::to_owned).collect();
        number.starts_with(|first: char| first.is_ascii_digit()).then_some((number, tests))
    });
    numbered.collect()
}

#[test]
fn every_oddity_has_its_row_in_its_place() {
    let numbers: Vec<String> = quirks().into_iter().map(|(number, _)| number).collect();

    let all = (1..)
        .zip(QUIRKS)
        .flat_map(|(part, count)| (1..=count).map(move |number| format!("{part}.{number}")));
    assert_eq!(numbers, all.collect::<Vec<_>>());
}

#[test]
fn every_oddity_names_tests_that_there_are() {
    let there = tests();

    for (number, named) in quirks() {
        assert!(!named.is_empty(), "{number} names no test");
        for name in named {
            assert!(there.contains(&name), "{number} names {name}, and there is no such test");
        }
    }
}

#[test]
fn no_row_says_that_something_is_missing() {
    for row in rows() {
        let is_there = !["not yet", "missing"].iter().any(|word| row.verdict.starts_with(word));
        assert!(is_there, "{}: {:?}", row.heading, row.names);
    }
}

#[test]
fn a_test_is_told_from_another_function() {
    let code = "fn plain() {}\n#[test]\n#[ignore]\nfn first() {}\n  #[test]\n  fn second() {}\n";

    assert_eq!(tests_of(code), ["first", "second"]);
    assert!(!tests().contains("tests_of"));
}
