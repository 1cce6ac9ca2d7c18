//! Supervisor's own end-to-end tests. They start `python -m supervisor.supervisord`, which
//! a program of ours stands for.

use std::env;
use std::path::Path;
use std::process::Command;

use crate::scene::{found, said};

#[test]
fn supervisors_own_tests_pass() {
    let Some(python) = found(&["supervisor", "bin", "python"]) else { return };
    let place = tempfile::tempdir().unwrap();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients/supervisor");
    // Some programs of the tests are started as `python`.
    let first = python.parent().unwrap().to_owned();
    let others = env::var_os("PATH").unwrap_or_default();
    let path = env::join_paths([first].into_iter().chain(env::split_paths(&others))).unwrap();

    let (text, code) = said(
        Command::new(&python)
            // A daemon of theirs that names no log writes it here.
            .current_dir(place.path())
            .arg(folder.join("run.py"))
            .arg(folder.join("python"))
            .env("BARDO", env!("CARGO_BIN_EXE_bardo"))
            .env("END_TO_END", "1")
            .env("PATH", path),
    );

    assert_eq!(code, 0, "{text}");
    assert!(text.contains("Ran 27 tests"), "{text}");
}
