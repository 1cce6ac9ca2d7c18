//! The short form of `bardo selftest hostile`.

use std::path::PathBuf;
use std::time::Duration;

use bardo::selftest::hostile::{self, Hostile};

#[test]
fn strangers_who_do_their_worst_are_not_noticed_by_programs() {
    let report = hostile::run(&Hostile {
        executable: PathBuf::from(env!("CARGO_BIN_EXE_bardo")),
        connections: 400,
        span: Duration::from_millis(500),
        memory_within: 512 << 20,
        // How long it takes is not a question for a machine that does something else too.
        restart_within: Duration::MAX,
        keep: false,
    });

    let report = report.unwrap();
    assert!(report.is_good(), "{report}");
}
