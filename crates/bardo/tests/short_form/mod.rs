//! A self-test in a short form: what users are promised is tried at every change. Each has
//! a test program of its own, so that they run one after the other.

use std::process::Command;

/// Runs `bardo selftest` with these arguments. A debug build on a busy machine is not
/// measured: limits of time and memory are to be generous.
pub(crate) fn must_pass(arguments: &str) {
    let output = Command::new(env!("CARGO_BIN_EXE_bardo"))
        .arg("selftest")
        .args(arguments.split_ascii_whitespace())
        .output()
        .expect("the program can be started");

    let said = String::from_utf8_lossy(&output.stdout);
    let complained = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}{complained}");
    println!("{said}");
}
