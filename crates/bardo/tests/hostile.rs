//! Hostile clients, in a short form: what users are promised is tried at every change.

use std::process::Command;

#[test]
fn programs_run_on_whatever_strangers_send() {
    // A debug build on a busy machine is not measured: that all are answered, that
    // programs are started at all, and how much memory it takes is checked.
    let arguments = "selftest hostile --connections 300 --seconds 1 --memory-within 512 \
                     --restart-within 60000 --starts-percent 0";

    let output = Command::new(env!("CARGO_BIN_EXE_bardo"))
        .args(arguments.split_ascii_whitespace())
        .output()
        .expect("the program can be started");

    let said = String::from_utf8_lossy(&output.stdout);
    let complained = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}{complained}");
    println!("{said}");
}
