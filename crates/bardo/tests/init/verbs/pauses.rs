//! A service that cannot start, under a manager that waits equally long before each start.

use std::fs;
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use super::stubs::configuration;

/// The folder of a service, which goes with this.
struct Place(PathBuf);

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn the_pauses_before_its_starts_grow() {
    let room = tempfile::tempdir().unwrap();
    let name = format!("bardo-test-pauses-{}", std::process::id());
    let place = match rustix::process::geteuid().is_root() {
        true => PathBuf::from("/run").join(&name),
        false => room.path().join("place"),
    };
    fs::create_dir_all(&place).unwrap();
    let place = Place(place);
    let file = room.path().join("c.conf");
    fs::write(&file, configuration(room.path()) + "[program:a]\n").unwrap();
    let start = |options: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_bardo"))
            .args(["--service-run", &name, "--config"])
            .arg(&file)
            .args(options)
            .env("RUNTIME_DIRECTORY", &place.0)
            .stdin(Stdio::null())
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(78), "{output:?}");
        let notes = fs::read_to_string(place.0.join("pauses")).unwrap_or_default();
        notes.split_whitespace().nth(1).map(str::to_owned)
    };

    assert_eq!(start(&[]), None);
    let pauses = [start(&["--pauses"]), start(&["--pauses"]), start(&["--pauses"])];
    assert_eq!(pauses.map(Option::unwrap), ["0", "1", "2"]);
}

#[test]
fn its_manager_is_asked_for_the_time_of_a_pause() {
    let room = tempfile::tempdir().unwrap();
    let name = format!("bardo-test-longer-{}", std::process::id());
    let place = match rustix::process::geteuid().is_root() {
        true => PathBuf::from("/run").join(&name),
        false => room.path().join("place"),
    };
    fs::create_dir_all(&place).unwrap();
    let place = Place(place);
    let file = room.path().join("c.conf");
    fs::write(&file, configuration(room.path()) + "[program:a]\n").unwrap();
    let manager = UnixDatagram::bind(room.path().join("notify")).unwrap();
    manager.set_nonblocking(true).unwrap();
    let start = || {
        let status = Command::new(env!("CARGO_BIN_EXE_bardo"))
            .args(["--service-run", &name, "--pauses", "--config"])
            .arg(&file)
            .env("RUNTIME_DIRECTORY", &place.0)
            .env("NOTIFY_SOCKET", room.path().join("notify"))
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .status();
        assert_eq!(status.unwrap().code(), Some(78));
        let mut bytes = [0; 4096];
        let length = manager.recv(&mut bytes).ok()?;
        Some(String::from_utf8_lossy(&bytes[..length]).into_owned())
    };

    assert_eq!(start(), None, "the first start has no pause");

    // Its tenth of a second, and what it has to become ready.
    let told = start().unwrap();
    assert!(told.starts_with("STATUS=it has ended again and again: "), "{told}");
    assert!(told.ends_with("\nEXTEND_TIMEOUT_USEC=90100000"), "{told}");
}
