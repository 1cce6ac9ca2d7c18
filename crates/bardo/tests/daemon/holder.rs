//! Somebody who keeps a file from everybody: whoever executes it waits, as for a file system
//! that is dead. It needs no root.

use std::process::{Child, Command};

use bardo::selftest::actors;
use bardo::selftest::home::Home;

/// Somebody who keeps a file from everybody.
pub(crate) struct Holder(Child);

impl Holder {
    pub(crate) fn of(home: &Home, name: &str) -> Self {
        let child = Command::new(env!("CARGO_BIN_EXE_bardo"))
            .arg(actors::WORD)
            .arg(home.path())
            .args(["0", "holder"])
            .arg(home.file(name))
            .spawn()
            .unwrap();
        let mut holder = Self(child);
        bardo::selftest::home::wait_until("the lease", || {
            assert!(matches!(holder.0.try_wait(), Ok(None)), "the lease was refused");
            !actors::runs(home.path(), "holder").is_empty()
        })
        .unwrap();
        holder
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
