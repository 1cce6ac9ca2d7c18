//! The command as somebody types it.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Output};

use super::stubs::{copy_executable, files_below};

/// The user who may do nothing.
const NOBODY: u32 = 65534;

const VERBS: [&str; 12] = [
    "install",
    "install-auto",
    "install-demand",
    "uninstall",
    "start",
    "stop",
    "restart",
    "status",
    "try-restart",
    "condrestart",
    "reload",
    "force-reload",
];

fn bardo() -> Command {
    Command::new(env!("CARGO_BIN_EXE_bardo"))
}

fn run<W: AsRef<OsStr>>(words: &[W]) -> (i32, String, String) {
    told(bardo().args(words).output().unwrap())
}

fn told(output: Output) -> (i32, String, String) {
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

#[test]
fn every_verb_is_known_in_every_form_with_and_without_a_name() {
    for verb in VERBS {
        for form in [format!("/{verb}"), format!("/{}", verb.to_uppercase())]
            .into_iter()
            .chain([format!("-{verb}"), format!("--{verb}")])
        {
            let (name, others) = (form.as_str(), ["--init", "upstart", "--dry-run"]);
            let (code, _, said) = run(&[&[name][..], &others].concat());
            let (named, _, said_named) = run(&[&[name, "web"][..], &others].concat());

            // Where a state is asked for, the tool of Upstart is missed.
            let asks = ["status", "try-restart", "condrestart"].contains(&verb);
            let wanted = i32::from(asks);
            assert_eq!((code, named), (wanted, wanted), "{form}: {said}{said_named}");
        }
    }
}

#[test]
fn what_makes_no_sense_ends_with_two_and_the_usage() {
    for words in [
        &["/frobnicate"][..],
        &["/start", "a", "b"],
        &["/start", "a b"],
        &["/install", "--colour"],
        &["/"],
    ] {
        let (code, said, complaint) = run(words);

        assert_eq!((code, said.as_str()), (2, ""), "{words:?}: {complaint}");
        assert!(complaint.contains("Usage: bardo_service VERB"), "{complaint}");
    }
}

#[test]
fn called_by_its_name_bare_words_are_verbs() {
    let room = tempfile::tempdir().unwrap();
    let link = room.path().join("bardo_service");
    symlink(env!("CARGO_BIN_EXE_bardo"), &link).unwrap();
    let run = |words: &[&str]| told(Command::new(&link).args(words).output().unwrap());

    let (code, said, complaint) = run(&["start", "web", "--init", "sysv", "--dry-run"]);
    assert_eq!(code, 0, "{complaint}");
    assert_eq!(said, "--- run: /etc/init.d/web_service start\n");
    assert_eq!(run(&["begin"]).0, 2);
    assert_eq!(run(&[]).0, 2);
    let (code, help, _) = run(&["--help"]);
    assert_eq!(code, 0);
    assert!(help.contains("install-demand") && help.contains("--wait-network"));
}

#[test]
fn our_own_status_and_options_are_no_verbs() {
    assert!(run(&["status", "--help"]).1.contains("Usage: bardo status"));
    assert!(run(&["--version"]).1.starts_with("bardo "));
    assert!(run(&["--help"]).1.contains("Usage"));
}

/// What `--dry-run` has told of files: their paths, modes and texts.
fn files_of(told: &str) -> Vec<(String, String)> {
    let mut files: Vec<(String, String)> = Vec::new();
    for line in told.lines() {
        if let Some(head) = line.strip_prefix("--- ") {
            if let Some(path) = head.strip_prefix("write: ") {
                files.push((path.to_owned(), String::new()));
            } else if let Some((path, target)) =
                head.strip_prefix("link: ").and_then(|link| link.split_once(" -> "))
            {
                files.push((path.to_owned(), target.to_owned()));
            }
        } else {
            let (_, text) = files.last_mut().unwrap();
            text.push_str(line);
            text.push('\n');
        }
    }
    files.sort();
    files
}

#[test]
fn a_dry_run_tells_what_an_installation_writes_and_writes_nothing() {
    for init in ["systemd", "upstart", "openrc", "sysv", "launchd", "freebsd"] {
        let room = tempfile::tempdir().unwrap();
        let root = room.path().join("a root");
        fs::create_dir(&root).unwrap();
        let root_word = root.display().to_string();
        let words = [
            "/install-demand",
            "web",
            "--root",
            &root_word,
            "--init",
            init,
            "--config",
            "/etc/a b",
        ];

        let (code, told, said) = run(&[&words[..], &["--dry-run"]].concat());
        assert_eq!(code, 0, "{said}");
        assert_eq!(files_below(room.path()), [], "{init}: nothing is written");
        let (code, _, said) = run(&words);
        assert_eq!(code, 0, "{said}");

        let mut written: Vec<(String, String)> = files_below(&root)
            .into_iter()
            .map(|(path, text)| {
                let real = root.join(&path);
                let mode = fs::symlink_metadata(&real).unwrap().permissions().mode() & 0o7777;
                let mode =
                    if real.is_symlink() { String::new() } else { format!(" (mode {mode:04o})") };
                (format!("/{}{mode}", path.display()), text)
            })
            .collect();
        written.sort();
        assert_eq!(files_of(&told), written, "{init}");
        assert_eq!(files_below(room.path()).len(), written.len(), "nothing outside the folder");

        let (code, line, _) = run(&words);
        assert_eq!(code, 0);
        assert!(line.contains("already installed"), "{init}: {line}");
        let (code, _, said) = run(&["/uninstall", "web", "--root", &root_word, "--init", init]);
        assert_eq!(code, 0, "{said}");
        assert_eq!(files_below(room.path()), [], "{init}: nothing is left");
    }
}

#[test]
fn links_below_a_root_make_it_start_at_boot() {
    for (init, link) in [
        ("systemd", "etc/systemd/system/multi-user.target.wants/web.service"),
        ("systemd", "etc/systemd/system/web_service.service"),
        ("sysv", "etc/rc3.d/S99web_service"),
        ("openrc", "etc/runlevels/default/web"),
    ] {
        let room = tempfile::tempdir().unwrap();
        let root = room.path().display().to_string();

        let (code, _, said) = run(&["--install", "web", "--root", &root, "--init", init]);

        assert_eq!(code, 0, "{said}");
        let target = fs::read_link(room.path().join(link)).unwrap();
        assert!(target.is_absolute(), "as it is seen from inside");
        assert!(room.path().join(target.strip_prefix("/").unwrap()).is_file());
    }
}

#[test]
fn an_option_that_an_init_system_has_no_word_for_is_refused() {
    for (init, option, is_refused) in [
        ("systemd", "--wait-network", false),
        ("upstart", "--wait-network", false),
        ("openrc", "--wait-network", false),
        ("freebsd", "--wait-network", false),
        ("sysv", "--wait-network", true),
        ("launchd", "--wait-network", true),
        ("systemd", "--allow=clock", false),
        ("openrc", "--allow=clock", true),
        ("sysv", "--hardened", true),
    ] {
        let words = ["/install", "web", "--init", init, "--user=root", "--dry-run", option];
        let user = if option == "--hardened" { "--user=daemon" } else { "--user=root" };
        let words = words.map(|word| if word == "--user=root" { user } else { word });

        let (code, said, complaint) = run(&words);

        assert_eq!(code, if is_refused { 3 } else { 0 }, "{init} {option}: {complaint}");
        assert_eq!(complaint.contains(&option[..6]), is_refused, "{complaint}");
        assert_eq!(said.is_empty(), is_refused);
    }
}

#[test]
fn a_stop_has_as_long_as_the_configuration_may_need() {
    let room = tempfile::tempdir().unwrap();
    let root = room.path().display().to_string();
    fs::create_dir_all(room.path().join("etc/bardo")).unwrap();
    let programs = "[supervisord]\n[program:a]\ncommand=x\nstopwaitsecs=100\n";
    fs::write(room.path().join("etc/bardo/web.conf"), programs).unwrap();
    let unit = || fs::read_to_string(room.path().join("etc/systemd/system/web.service")).unwrap();

    let words = ["/install", "web", "--root", &root, "--init", "systemd"];
    run(&words);
    assert!(unit().contains("TimeoutStopSec=110\n"));

    fs::write(room.path().join("etc/bardo/web.conf"), "[supervisord]\n[program:a]\n").unwrap();
    let (code, _, notes) = run(&words);
    assert_eq!(code, 0);
    assert!(notes.contains("does not start with that"), "{notes}");
    let (code, _, notes) = run(&[&words[..], &["--config", "/etc/none.conf"]].concat());
    assert_eq!(code, 0);
    assert!(notes.contains("/etc/none.conf is not there"), "{notes}");
}

#[test]
fn what_an_installation_does_not_name_stays_as_it_was() {
    let room = tempfile::tempdir().unwrap();
    let root = room.path().display().to_string();
    let install = |init: &str, more: &[&str]| {
        run(&[&["/install", "mail", "--root", &root, "--init", init], more].concat())
    };
    let unit = || fs::read_to_string(room.path().join("etc/systemd/system/mail.service")).unwrap();
    let wanted = ["--config", "/etc/my mail.conf", "--user", "mail", "--hardened", "--no-respawn"];
    assert_eq!(install("systemd", &wanted).0, 0);
    let before = unit();

    let (code, line, notes) = install("systemd", &[]);
    assert!(code == 0 && line.contains("already installed"), "{line}{notes}");
    assert!(notes.contains("--config /etc/my mail.conf --user mail --no-respawn"), "{notes}");
    assert_eq!(unit(), before);

    let (code, _, notes) = install("systemd", &["--user", "www-data", "--allow", "clock"]);
    assert_eq!(code, 0, "{notes}");
    for line in ["User=www-data", "Restart=no", "NoNewPrivileges=yes"] {
        assert!(unit().contains(&format!("\n{line}\n")), "{line}: {}", unit());
    }
    assert!(unit().contains("--config \"/etc/my mail.conf\"") && !unit().contains("ProtectClock"));

    // Another init system takes them over as well, and says what it cannot have.
    let (code, _, complaint) = install("sysv", &[]);
    assert_eq!(code, 3, "{complaint}");
    assert!(complaint.contains("--hardened") && complaint.contains("--anew"), "{complaint}");
    let (code, _, complaint) = install("systemd", &["--user=root"]);
    assert!(code == 2 && complaint.contains("who is not root"), "{complaint}");

    let (code, line, notes) = install("systemd", &["--anew"]);
    assert!(code == 0 && line.contains("changed in"), "{line}{notes}");
    assert!(!unit().contains("User=") && !unit().contains("mail.conf"), "{}", unit());
    let (code, _, complaint) = install("systemd", &["--hardened"]);
    assert!(code == 2 && complaint.contains("name it with --user ACCOUNT"), "{complaint}");
}

#[test]
fn below_a_root_what_is_included_and_who_is_there_is_read_below_it() {
    let room = tempfile::tempdir().unwrap();
    let root = room.path().display().to_string();
    let write = |path: &str, text: &str| {
        let path = room.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    let main = "[supervisord]\nuser=only-there\n[include]\nfiles=/etc/web.d/*.conf\n";
    write("etc/bardo/web.conf", main);
    write("etc/web.d/a.conf", "[program:a]\ncommand=x\nuser=only-there\nstopwaitsecs=500\n");
    write("etc/passwd", "only-there:x:4711:4711::/:/bin/sh\n");
    let words = ["/install", "web", "--root", &root, "--init", "systemd"];

    let (code, _, notes) = run(&[&words[..], &["--user", "only-there"]].concat());

    assert_eq!(code, 0, "{notes}");
    assert!(!notes.contains("does not start"), "{notes}");
    let unit = fs::read_to_string(room.path().join("etc/systemd/system/web.service")).unwrap();
    assert!(unit.contains("TimeoutStopSec=510\n"), "{unit}");
    let (_, _, notes) = run(&[&words[..], &["--user", "daemon"]].concat());
    assert!(notes.contains("no account daemon in etc/passwd below"), "{notes}");
}

#[test]
fn a_configuration_that_the_account_cannot_read_is_told_of() {
    let room = tempfile::tempdir().unwrap();
    fs::set_permissions(room.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let root = room.path().display().to_string();
    let file = room.path().join("etc/bardo/web.conf");
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(&file, "[supervisord]\n").unwrap();
    fs::write(room.path().join("etc/passwd"), "web:x:4711:4711::/:/bin/sh\n").unwrap();
    let words = ["/install", "web", "--root", &root, "--init", "systemd", "--user", "web"];
    for (mode, is_told) in [(0o600, true), (0o644, false)] {
        fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();

        let (code, _, notes) = run(&words);

        assert_eq!(code, 0, "{notes}");
        let part = "the account web may not read /etc/bardo/web.conf";
        assert_eq!(notes.contains(part), is_told, "{mode:o}: {notes}");
    }
}

/// Runs a copy of the program that everybody may execute, as nobody.
fn as_nobody(words: &[&str]) -> (i32, String, String) {
    if !rustix::process::geteuid().is_root() {
        return run(words);
    }
    let room = tempfile::tempdir_in("/tmp").unwrap();
    fs::set_permissions(room.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let copy = room.path().join("bardo");
    if fs::hard_link(env!("CARGO_BIN_EXE_bardo"), &copy).is_err() {
        copy_executable(Path::new(env!("CARGO_BIN_EXE_bardo")), &copy);
    }
    told(Command::new(&copy).args(words).uid(NOBODY).gid(NOBODY).current_dir("/").output().unwrap())
}

#[test]
fn whoever_is_not_root_is_told_so_before_anything_is_changed() {
    for verb in VERBS.into_iter().filter(|verb| *verb != "status") {
        let (code, said, complaint) = as_nobody(&[&format!("/{verb}"), "web"]);

        assert_eq!((code, said.as_str()), (4, ""), "{verb}: {complaint}");
        let lines: Vec<&str> = complaint.lines().collect();
        let [line] = lines[..] else { panic!("one line: {complaint}") };
        for part in [&format!("{verb} of web"), "only root", "user 65534", "the same with sudo"] {
            let is_told = line.contains(part) || part == "user 65534" && line.contains("user ");
            assert!(is_told, "{part}: {line}");
        }
    }
}

#[test]
fn a_program_of_a_service_does_not_end_itself_by_a_restart() {
    let output = Command::new("sh")
        .args(["-c", "\"$0\" /restart no-such-service --init openrc; exit $?"])
        .args([env!("CARGO_BIN_EXE_bardo"), "--service-run", "no-such-service"])
        .output()
        .unwrap();

    let (code, _, complaint) = told(output);
    let is_root = rustix::process::geteuid().is_root();
    assert_eq!(code, if is_root { 1 } else { 4 }, "{complaint}");
    assert!(!is_root || complaint.contains("one of its own programs"), "{complaint}");
}

#[test]
fn a_name_that_is_too_long_for_a_socket_is_told_of() {
    let long = "n".repeat(200);
    let words = ["/install", &long, "--init", "openrc", "--dry-run"];
    let (code, _, notes) = run(&words);
    assert!(code == 0 && notes.contains("starts only with a configuration"), "{notes}");
    let (_, _, notes) = run(&[&words[..], &["--config", "/etc/x"]].concat());
    assert!(!notes.contains("starts only with"), "{notes}");
}

#[test]
fn a_status_needs_no_rights_and_says_one_where_it_cannot_know() {
    let (code, said, complaint) = as_nobody(&["/status", "no-such-service", "--init", "sysv"]);
    assert_eq!((code, complaint.as_str()), (1, ""));
    assert_eq!(said, "no-such-service: not installed (sysv)\n");

    if !Path::new("/run/systemd/system").exists() {
        let (code, _, complaint) = as_nobody(&["/status", "web", "--init", "upstart"]);
        assert!(code == 1, "{complaint}");
    }
}
