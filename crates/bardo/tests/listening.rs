//! Much to tell, in a short form: one event listener hears it all while another one hangs.

use std::process::Command;

#[test]
fn one_that_hangs_costs_the_others_nothing() {
    // A debug build on a busy machine is not measured; that everything is heard is checked.
    let arguments = "selftest events --seconds 1 --answer-within 5000 --memory-within 512";

    let output = Command::new(env!("CARGO_BIN_EXE_bardo"))
        .args(arguments.split(' '))
        .output()
        .expect("the program can be started");

    let said = String::from_utf8_lossy(&output.stdout);
    let complained = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}{complained}");
    println!("{said}");
}
