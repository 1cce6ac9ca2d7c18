//! The self-test, with few kills: what users are promised is tried at every change.

use std::process::Command;

#[test]
fn a_supervisor_that_is_killed_again_and_again_loses_nothing() {
    // A debug build on a busy machine is not measured; that it answers is checked.
    let arguments = "selftest survival --kills 12 --hangs 2 --seconds 10 --answer-within 5000";

    let output = Command::new(env!("CARGO_BIN_EXE_bardo"))
        .args(arguments.split(' '))
        .output()
        .expect("the program can be started");

    let said = String::from_utf8_lossy(&output.stdout);
    let complained = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}{complained}");
    println!("{said}");
}
