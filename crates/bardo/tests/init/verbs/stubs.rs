//! A machine for tests: files below a folder, and tools that write down how they are
//! called and play what they are told to.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use bardo::init::definition::{Definition, Network, Respawn, Scope, Start};
use bardo::init::ground::Ground;
use bardo::init::sandbox::Allowed;
use bardo::selftest::home::write_executable;
use tempfile::TempDir;

/// Says that a test is not tried here, past whoever keeps what tests that pass have said.
pub(crate) fn skipped(why: &str) {
    let _ = writeln!(std::io::stderr(), "skipped: {why}");
}

/// Makes another file of an executable, which can be executed at once: see
/// [`write_executable`].
pub(crate) fn copy_executable(from: &Path, to: &Path) {
    let status = Command::new("cp").arg("-p").args([from, to]).status();
    assert!(status.unwrap().success(), "{} is not copied", from.display());
}

/// A machine.
pub(crate) struct Machine {
    room: TempDir,
}

impl Machine {
    /// One without any tool.
    pub(crate) fn new() -> Self {
        let room = tempfile::tempdir().unwrap();
        for folder in ["root", "tools", "state"] {
            fs::create_dir(room.path().join(folder)).unwrap();
        }
        Self { room }
    }

    /// One with systemd.
    pub(crate) fn with_systemd() -> Self {
        let machine = Self::new();
        machine.tool("systemctl", SYSTEMCTL);
        machine.folder("/etc/systemd/system");
        machine.folder("/run/systemd/system");
        machine
    }

    pub(crate) fn ground(&self) -> Ground {
        Ground::of(&self.room.path().join("root"), &self.room.path().join("tools"))
    }

    /// A tool that notes its arguments, then does what the script says. In that, `$S` is
    /// the folder of states and `$R` the root of the machine.
    pub(crate) fn tool(&self, name: &str, script: &str) {
        let room = self.room.path().display();
        let text = format!(
            "#!/bin/sh\nS='{room}/state'\nR='{room}/root'\nPATH=/usr/bin:/bin\n\
             echo \"{name} $*\" >>\"$S/log\"\n\
             if [ -f \"$S/fails\" ] && echo \"{name} $*\" | grep -qf \"$S/fails\"; then\n\
             \tif [ -f \"$S/once\" ]; then mv \"$S/fails\" \"$S/once\"; fi\n\
             \techo \"{name}: it was told to fail\" >&2\n\texit \"$(cat \"$S/code\")\"\nfi\n{script}\n"
        );
        write_executable(&self.room.path().join("tools").join(name), text.as_bytes()).unwrap();
    }

    /// From now on calls that match a pattern end with that code.
    pub(crate) fn fails(&self, pattern: &str, code: i32) {
        self.state("fails", &format!("{pattern}\n"));
        self.state("code", &code.to_string());
    }

    /// Nothing fails any more.
    pub(crate) fn fails_no_more(&self) {
        fs::remove_file(self.room.path().join("state/fails")).unwrap();
    }

    pub(crate) fn state(&self, name: &str, value: &str) {
        fs::write(self.room.path().join("state").join(name), value).unwrap();
    }

    /// What was called since the last look, questions left out.
    pub(crate) fn calls(&self) -> Vec<String> {
        let path = self.room.path().join("state/log");
        let text = fs::read_to_string(&path).unwrap_or_default();
        let _ = fs::remove_file(path);
        let questions = ["show", "status", "print", "--version", "version", "-n"];
        let is_question =
            |line: &&str| line.split(' ').skip(1).take(2).any(|word| questions.contains(&word));
        text.lines().filter(|line| !is_question(line)).map(str::to_owned).collect()
    }

    /// A process that is, as far as can be seen, the service of that name, and ready.
    pub(crate) fn runs(&self, name: &str) -> Running {
        let mut process = Command::new("sh")
            .args(["-c", "read line", "--service-run", name])
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        let path = format!("/proc/{}/cmdline", process.id());
        // Until then it is a copy of this one.
        while !fs::read(&path).is_ok_and(|line| line.starts_with(b"sh\0")) {
            assert!(process.try_wait().unwrap().is_none());
            std::thread::yield_now();
        }
        self.write(&format!("/run/{name}.pid"), &format!("{}\n", process.id()));
        Running(process)
    }

    pub(crate) fn folder(&self, path: &str) {
        fs::create_dir_all(self.at(path)).unwrap();
    }

    pub(crate) fn write(&self, path: &str, text: &str) {
        fs::create_dir_all(self.at(path).parent().unwrap()).unwrap();
        fs::write(self.at(path), text).unwrap();
    }

    pub(crate) fn read(&self, path: &str) -> String {
        fs::read_to_string(self.at(path)).unwrap()
    }

    pub(crate) fn at(&self, path: &str) -> PathBuf {
        self.ground().at(path)
    }

    /// All files and links, with what is in them.
    pub(crate) fn files(&self) -> Vec<(PathBuf, String)> {
        files_below(self.ground().root())
    }
}

/// A process that ends with this.
pub(crate) struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// All files and links below a folder, with what is in them.
pub(crate) fn files_below(root: &Path) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(root).unwrap().to_owned();
            if path.is_symlink() {
                found.push((name, fs::read_link(&path).unwrap().display().to_string()));
            } else if path.is_dir() {
                folders.push(path);
            } else {
                let bytes = fs::read(&path).unwrap();
                found.push((name, String::from_utf8_lossy(&bytes).into_owned()));
            }
        }
    }
    found.sort();
    found
}

/// A configuration of no program, whose files are in a folder.
pub(crate) fn configuration(folder: &Path) -> String {
    let here = folder.display();
    format!(
        "[supervisord]\nlogfile={here}/main.log\npidfile={here}/main.pid\nchildlogdir={here}\n\
         [unix_http_server]\nfile={here}/s.sock\n\
         [rpcinterface:supervisor]\n\
         supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface\n"
    )
}

/// A service of that name, as `install` without options makes it.
pub(crate) fn service(name: &str) -> Definition {
    Definition {
        name: name.to_owned(),
        binary: "/usr/local/bin/bardo".into(),
        configuration: None,
        account: None,
        start: Start::AtBoot,
        respawn: Respawn::Always,
        network: Network::Configured,
        scope: Scope::Machine,
        allowed: Allowed::usual(),
        stop_budget: Duration::from_secs(20),
        kept: 4096,
        systemd_version: Some(252),
        scripts: "/etc/init.d".into(),
        units_of_user: "/home/u/.config/systemd/user".into(),
    }
}

/// Plays a manager that knows units below the root, of which one at most is active.
const SYSTEMCTL: &str = r#"
if [ "$1" = --user ]; then shift; fi
name=${2%.service}
unit="$R/etc/systemd/system/$2"
case $1 in
show)
    load=not-found
    if [ -e "$unit" ]; then load=loaded; fi
    if [ -f "$S/load" ]; then load=$(cat "$S/load"); fi
    active=inactive sub=dead
    if [ -f "$S/$name.active" ]; then read -r active sub <"$S/$name.active"; fi
    file=disabled
    if [ -f "$S/$name.enabled" ]; then file=enabled; fi
    fragment=
    if [ -e "$unit" ]; then fragment=/etc/systemd/system/$2; fi
    if [ -f "$S/fragment" ]; then fragment=$(cat "$S/fragment"); fi
    cgroup=
    if [ -f "$S/cgroup" ]; then cgroup=$(cat "$S/cgroup"); fi
    printf 'LoadState=%s\nActiveState=%s\nSubState=%s\nUnitFileState=%s\n' "$load" "$active" "$sub" "$file"
    printf 'NeedDaemonReload=no\nFragmentPath=%s\nControlGroup=%s\n' "$fragment" "$cgroup"
    ;;
enable) : >"$S/$name.enabled" ;;
disable) rm -f "$S/$name.enabled" ;;
start|restart) [ -f "$S/deaf" ] || echo active running >"$S/$name.active" ;;
stop) rm -f "$S/$name.active" ;;
esac
"#;
