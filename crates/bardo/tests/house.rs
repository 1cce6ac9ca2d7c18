//! The rules of the house that no compiler checks: who imports whom, and where
//! `unsafe` may stand.
//!
//! The import table is the one in `ARCHITECTURE.md`. It stands nowhere else.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// The crate that may ask anything of the operating system.
const UNSAFE_CRATE: &str = "bardo-sys";

/// The directory of that crate, and that of the library with the C interface.
const UNSAFE_DIRECTORIES: [&str; 2] = ["crates/sys", "crates/client"];

#[test]
fn crates_import_only_what_the_table_allows() {
    let allowed = import_table();
    let packages = packages();
    let names: BTreeSet<&str> = packages.iter().map(|package| text(package, "name")).collect();
    let listed: BTreeSet<&str> = allowed.keys().map(String::as_str).collect();
    assert_eq!(listed, names, "the table lists the crates that there are");

    let mut refused = Vec::new();
    for package in &packages {
        let name = text(package, "name");
        for dependency in list(package, "dependencies") {
            let dependency = text(dependency, "name");
            if names.contains(dependency) && !allowed[name].contains(dependency) {
                refused.push(format!("{name} -> {dependency}"));
            }
        }
    }

    assert!(refused.is_empty(), "not in the table of ARCHITECTURE.md: {refused:?}");
}

#[test]
fn the_core_depends_on_nothing() {
    let packages = packages();
    let core = packages.iter().find(|package| text(package, "name") == "bardo-core");
    let core = core.expect("there is a core");

    assert_eq!(list(core, "dependencies"), &[] as &[Value], "of whatever kind");
}

#[test]
fn every_crate_but_one_forbids_unsafe_code() {
    for package in packages() {
        if text(&package, "name") == UNSAFE_CRATE {
            continue;
        }
        for target in list(&package, "targets") {
            let kinds = list(target, "kind");
            if kinds.iter().any(|kind| kind == "lib" || kind == "bin") {
                let root = text(target, "src_path");
                let source = fs::read_to_string(root).expect("a root can be read");
                assert!(source.contains("#![forbid(unsafe_code)]"), "{root} does not");
            }
        }
    }
}

#[test]
fn unsafe_stands_only_where_the_system_is_asked() {
    let mut places = Vec::new();
    for file in sources(&workspace().join("crates")) {
        let relative = file.strip_prefix(workspace()).expect("it lies in the workspace");
        if UNSAFE_DIRECTORIES.iter().any(|directory| relative.starts_with(directory)) {
            continue;
        }
        let source = fs::read_to_string(&file).expect("a source can be read");
        for (line, number) in source.lines().zip(1..) {
            if uses_unsafe(line) {
                places.push(format!("{}:{number}", relative.display()));
            }
        }
    }

    assert!(places.is_empty(), "not the operating system's crate: {places:?}");
}

#[test]
fn the_map_names_files_that_are_there() {
    let document = fs::read_to_string(workspace().join("ARCHITECTURE.md")).expect("it is there");
    let mut directory = None;
    let mut named = 0;
    for line in document.lines() {
        if line.starts_with('#') {
            directory = line.strip_prefix("### ").and_then(|title| quoted(title).next());
        }
        let Some(directory) = directory.as_ref().filter(|_| line.starts_with("| `")) else {
            continue;
        };
        for name in quoted(line.split('|').nth(1).unwrap_or_default()) {
            let path = workspace().join(directory).join(name);
            assert!(path.exists(), "{} is not there", path.display());
            named += 1;
        }
    }

    assert!(named > 0, "the map names files");
}

#[test]
fn the_word_is_found_in_code_and_not_in_prose() {
    let word = "unsafe";
    for code in ["let x = W { f() };", "W fn f() {}", "W impl Send for T {}", "#[W(no_mangle)]"] {
        assert!(uses_unsafe(&code.replace('W', word)), "{code}");
    }
    for prose in ["// W { }", "#![forbid(W_code)]", "let word = \"W\";", "/// W fn"] {
        assert!(!uses_unsafe(&prose.replace('W', word)), "{prose}");
    }
}

/// Whether a line of code uses the keyword: it is followed by a block, an item or,
/// in an attribute, a parenthesis.
fn uses_unsafe(line: &str) -> bool {
    let code = line.split("//").next().unwrap_or_default();
    code.match_indices("unsafe").any(|(at, word)| {
        let before = code[..at].chars().next_back();
        let after = code[at + word.len()..].trim_start();
        !before.is_some_and(|letter| letter.is_alphanumeric() || letter == '_')
            && ["{", "fn ", "impl", "trait ", "extern ", "("]
                .iter()
                .any(|start| after.starts_with(start))
    })
}

/// What each crate may import: first and last column of the table.
fn import_table() -> BTreeMap<String, BTreeSet<String>> {
    let document = fs::read_to_string(workspace().join("ARCHITECTURE.md")).expect("it is there");
    let mut table = BTreeMap::new();
    let rows = document.lines().skip_while(|line| !line.starts_with("| crate |")).skip(2);
    for row in rows.take_while(|line| line.starts_with('|')) {
        let cells: Vec<&str> = row.trim_matches('|').split('|').collect();
        let [name, _, known] = cells[..] else { panic!("three columns: {row}") };
        let known: BTreeSet<String> = quoted(known).collect();
        assert!(!known.is_empty() || row.contains("nobody"), "a row says whom it knows: {row}");
        table.extend(quoted(name).map(|name| (name, known.clone())));
    }
    assert!(!table.is_empty(), "ARCHITECTURE.md has a table of imports");
    table
}

/// The words between backquotes.
fn quoted(cell: &str) -> impl Iterator<Item = String> {
    cell.split('`').skip(1).step_by(2).map(str::to_owned)
}

/// The crates of this workspace, as cargo knows them.
fn packages() -> Vec<Value> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--format-version", "1", "--offline"])
        .current_dir(workspace())
        .output()
        .expect("cargo can be run");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("cargo writes JSON");
    list(&metadata, "packages").to_vec()
}

fn workspace() -> &'static Path {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    manifest.ancestors().nth(2).expect("the crate lies two levels below the workspace")
}

fn sources(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).expect("a directory can be read") {
        let path = entry.expect("an entry can be read").path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_else(|| panic!("{key} is a text"))
}

fn list<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value[key].as_array().unwrap_or_else(|| panic!("{key} is a list"))
}
