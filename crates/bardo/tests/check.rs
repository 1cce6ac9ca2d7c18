//! `bardo check`, as its document tells it: every code with its example, the exit
//! codes, the words and the JSON.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use bardo_config::check::Code;
use serde_json::{Value, json};
use tempfile::TempDir;

/// A code as the document has it.
#[derive(Default)]
struct Documented {
    severity: String,
    meaning: String,
    example: String,
}

#[test]
fn every_code_is_documented_with_what_it_means() {
    let documented = documented();

    let names: Vec<&str> = Code::ALL.iter().map(|code| code.name()).collect();
    for code in Code::ALL {
        let entry = documented.get(code.name());
        let entry = entry.unwrap_or_else(|| panic!("{} is not in docs/check.md", code.name()));
        assert_eq!(entry.meaning, code.meaning(), "{}", code.name());
        assert_eq!(entry.severity, code.severity().to_string(), "{}", code.name());
    }
    for name in documented.keys() {
        assert!(names.contains(&name.as_str()), "docs/check.md knows {name}, and nothing finds it");
    }
}

#[test]
fn every_example_has_what_it_is_an_example_of() {
    let mut tried = 0;
    for (name, Documented { example, .. }) in documented() {
        if example.is_empty() || (name == "limit-too-low" && rustix::process::getuid().is_root()) {
            continue;
        }
        let is_whole = name == "missing-section" || example.contains("[supervisord]");
        let head = if is_whole { "" } else { "[supervisord]\n" };
        let home = home(&format!("{head}{example}"));

        let document = document(&check(home.path(), &["--json", "s.conf"]));

        let codes: Vec<&str> = list(&document).iter().map(|it| text(&it["code"])).collect();
        assert!(codes.contains(&name.as_str()), "{name}: {document}");
        tried += 1;
    }

    assert!(tried > 0, "the document has examples");
}

#[test]
fn the_exit_code_says_how_bad_it_is() {
    let cases = [
        ("[supervisord]\n", 0),
        ("[supervisord]\nhang_timeout=3\n", 0),
        ("[supervisord]\nno_demon=true\n", 1),
        ("[supervisord]\nnodaemon=perhaps\nno_demon=true\n", 2),
    ];

    for (configuration, code) in cases {
        for form in [&["s.conf"][..], &["--json", "s.conf"]] {
            let output = check(home(configuration).path(), form);
            assert_eq!(output.status.code(), Some(code), "{configuration}");
        }
    }
    let home = home("");
    assert_eq!(check(home.path(), &["not-there.conf"]).status.code(), Some(2));
    assert_eq!(check(home.path(), &["--nonsense"]).status.code(), Some(2));
}

#[test]
fn people_are_told_file_and_line_and_what_to_do() {
    let home = home(
        "[supervisord]\nnodaemon=perhaps\n\n[program:a]\ncommnad=/bin/true\ncommand=/bin/true\n\
         autorestart=false\n",
    );

    let output = check(home.path(), &["s.conf"]);

    let said = String::from_utf8(output.stdout).expect("it is text");
    assert_eq!(
        said,
        "s.conf:2: error: not a valid boolean value: 'perhaps' (bad-value)\n    \
         true or false\n\
         s.conf:5: warning: [program:a] has no option `commnad`; it is ignored (unknown-option)\n    \
         perhaps `command` is meant\n\
         s.conf:7: remark: a start counts after 1 s (startsecs); a program that ends sooner is \
         started again whatever autorestart says, and is FATAL in the end (start-counts-first)\n    \
         for a program that does its work and ends: startsecs=0\n\
         s.conf: 1 error, 1 warning, 1 remark\n"
    );
}

#[test]
fn programs_are_told_in_one_json_document() {
    let home = home("[supervisord]\n[program:a]\ncommand=/bin/true\ncommnad=x\n");

    let output = check(home.path(), &["s.conf", "--json"]);

    assert_eq!(output.stdout.iter().filter(|byte| **byte == b'\n').count(), 1);
    assert_eq!(
        document(&output),
        json!({
            "version": 1,
            "file": "s.conf",
            "errors": 0,
            "warnings": 1,
            "remarks": 0,
            "findings": [{
                "file": "s.conf",
                "line": 4,
                "section": "program:a",
                "option": "commnad",
                "severity": "warning",
                "code": "unknown-option",
                "message": "[program:a] has no option `commnad`; it is ignored",
                "advice": "perhaps `command` is meant",
            }],
        })
    );
}

#[test]
fn a_refusal_has_the_words_of_the_daemon() {
    let home = home("[supervisord]\n[program:a]\ncommand=/bin/true\nstartsecs=soon\n");

    let document = document(&check(home.path(), &["--json", "s.conf"]));
    let daemon = bardo(home.path(), &["supervisord", "-n", "-c", "s.conf"]);

    let said = String::from_utf8(daemon.stderr).expect("it is text");
    let finding = &list(&document)[0];
    assert!(said.starts_with(&format!("Error: {}\n", text(&finding["message"]))), "{said}");
    assert_eq!((text(&finding["code"]), &finding["line"]), ("bad-value", &json!(4)));
}

#[test]
fn without_a_file_the_one_of_the_daemon_is_read() {
    let home = home("");
    fs::write(home.path().join("supervisord.conf"), "[supervisord]\nno_demon=1\n").expect("room");

    let found = document(&check(home.path(), &["--json"]));

    // The search begins beside the executable, so that a file there comes first.
    let file = text(&found["file"]);
    assert!(file.ends_with("supervisord.conf"), "{found}");
    if file == "supervisord.conf" {
        assert_eq!(text(&list(&found)[0]["code"]), "unknown-option");
    }
}

#[test]
fn the_sample_has_nothing_to_say() {
    let home = home("");
    let sample = bardo(home.path(), &["echo_supervisord_conf"]).stdout;
    fs::write(home.path().join("s.conf"), sample).expect("room");

    let output = check(home.path(), &["s.conf"]);

    assert_eq!(String::from_utf8_lossy(&output.stdout), "s.conf: nothing to say\n");
}

#[test]
fn the_gateway_lacks_at_most_its_servers() {
    let example = workspace().join("examples/gateway");

    let output = Command::new(env!("CARGO_BIN_EXE_bardo"))
        .args(["check", "--json", "supervisord.conf"])
        .current_dir(example)
        .env("USER", "root")
        .output()
        .expect("bardo can be run");

    let document = document(&output);
    for finding in list(&document) {
        assert_eq!(text(&finding["code"]), "command-not-found", "{finding}");
    }
}

/// What docs/check.md says of every code.
fn documented() -> BTreeMap<String, Documented> {
    let path = workspace().join("docs/check.md");
    let document = fs::read_to_string(path).expect("the document is there");
    let mut all = BTreeMap::new();
    let mut severity = String::new();
    for part in document.split("\n##") {
        if let Some(rest) = part.strip_prefix("# ") {
            let word = rest.split(['s', ':']).next().unwrap_or_default();
            severity = word.to_lowercase();
        } else if let Some(rest) = part.strip_prefix("## `") {
            let (name, rest) = rest.split_once("`\n").expect("a name ends");
            let meaning = rest.trim_start().lines().next().unwrap_or_default().to_owned();
            let example = rest.split_once("```ini\n").and_then(|(_, rest)| rest.split_once("```"));
            let example = example.map(|(example, _)| example.to_owned()).unwrap_or_default();
            all.insert(
                name.to_owned(),
                Documented { severity: severity.clone(), meaning, example },
            );
        }
    }
    all
}

fn home(configuration: &str) -> TempDir {
    let home = tempfile::tempdir().expect("a directory can be made");
    fs::write(home.path().join("s.conf"), configuration).expect("a file can be written");
    home
}

fn check(directory: &Path, words: &[&str]) -> Output {
    bardo(directory, &[&["check"], words].concat())
}

fn bardo(directory: &Path, words: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bardo"));
    command.args(words).current_dir(directory).output().expect("bardo can be run")
}

fn document(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).expect("it is JSON")
}

fn list(document: &Value) -> &[Value] {
    document["findings"].as_array().expect("a list")
}

fn text(value: &Value) -> &str {
    value.as_str().expect("a text")
}

fn workspace() -> &'static Path {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    manifest.ancestors().nth(2).expect("the crate lies two levels below the workspace")
}
