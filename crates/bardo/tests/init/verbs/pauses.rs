//! A service that cannot start, under a manager that waits equally long before each start.

use std::fs;
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
