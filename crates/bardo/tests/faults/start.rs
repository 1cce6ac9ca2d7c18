//! A start for which something is missing says what, and leaves nothing behind.

use std::fs;
use std::path::Path;

use bardo::selftest::home::{Daemon, Home};
use bardo_sys::faults::{Call, Gate};
use rustix::io::Errno;

use crate::others::OTHER;
use crate::scene::executable;

/// Starts a daemon that is refused such a call, and returns what it said. `None` where there
/// is no filter.
fn refused(call: Call, errno: Errno) -> Option<String> {
    let home = Home::new("faults").unwrap();
    home.configure("", OTHER).unwrap();
    let mut gate = None;
    let daemon = Daemon::spawn_with(executable(), &home, |command| {
        gate = Some(Gate::before(command, &[call]).unwrap());
    });
    let mut daemon = match daemon {
        Ok(daemon) => daemon,
        Err(error) => {
            eprintln!("skipped: there is no filter of system calls here: {error}");
            return None;
        }
    };
    let gate = gate.unwrap();
    gate.refuse(daemon.keeper(), call, errno.raw_os_error());
    let _gate = gate.open().unwrap();

    let status = daemon.wait().unwrap();

    let said = fs::read_to_string(home.file("console")).unwrap();
    assert!(status.code().is_some_and(|code| code != 0), "{status}: {said}");
    for name in ["s.sock", "s.pid"] {
        assert!(!home.file(name).exists(), "{name} is left: {said}");
    }
    Some(said)
}

#[test]
fn a_start_says_what_is_missing() {
    for (call, errno, what) in [
        (Call::Memory, Errno::NOMEM, "Cannot allocate memory"),
        (Call::Memory, Errno::NOSPC, "No space left on device"),
        (Call::Pipe, Errno::NFILE, "Too many open files in system"),
        (Call::Bind, Errno::NOSPC, "No space left on device"),
        (Call::Directory, Errno::NOSPC, "No space left on device"),
    ] {
        let Some(said) = refused(call, errno) else { return };

        assert!(said.contains(what), "{call:?}: {said}");
        assert!(!said.contains("panicked"), "{call:?}: {said}");
        let lock = said.split_once("cannot take the lock ").map(|(_, rest)| rest);
        if let Some((lock, _)) = lock.and_then(|rest| rest.split_once(": ")) {
            assert!(!Path::new(lock).parent().unwrap().exists(), "its directory is left: {said}");
        }
    }
}
