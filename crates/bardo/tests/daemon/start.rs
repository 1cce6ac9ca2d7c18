//! The command line of the daemon, and starts that are refused.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::os::unix::net::UnixListener;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;

use bardo::selftest::home::{self, Daemon, Home};
use bardo_sys::accounts;
use rustix::process::{Resource, getrlimit};

use crate::scene::{CAT, TERM, everybodys, executable};

/// Runs the daemon with these arguments to its end: exit code, standard output and
/// standard error.
fn run(arguments: &[&str], directory: &Path) -> (Option<i32>, String, String) {
    let output = Command::new(executable())
        .arg("supervisord")
        .args(arguments)
        .current_dir(directory)
        .output()
        .unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

#[test]
fn every_bad_command_line_has_supervisors_words() {
    let home = Home::new("flags").unwrap();
    home.configure("", CAT).unwrap();
    let cases: [(&[&str], &str); 24] = [
        (&["-Z"], "option -Z not recognized"),
        (&["--frob"], "option --frob not recognized"),
        (&["--min", "5"], "option --min not a unique prefix"),
        (&["-c"], "option -c requires argument"),
        (&["--configuration"], "option --configuration requires argument"),
        (&["--nodaemon=x"], "option --nodaemon must not have an argument"),
        (&["foo", "-Z"], "positional arguments are not supported: ['foo', '-Z']"),
        (&["-n", "it's"], "positional arguments are not supported: [\"it's\"]"),
        (&["-n", "-n"], "conflicting command line option '-n'"),
        (&["-n", "--nodaemon"], "conflicting command line option '--nodaemon'"),
        (&["-u", "nosuchuser"], "Invalid user name nosuchuser"),
        (&["-m", "9"], "invalid value for -m '9': 9 can not be converted to an octal type"),
        (&["-d", "/nope"], "invalid value for -d '/nope': /nope is not an existing directory"),
        (&["-q", "/nope"], "invalid value for -q '/nope': /nope is not an existing directory"),
        (
            &["-l", "/nope/x"],
            "invalid value for -l '/nope/x': The directory named as part of the path /nope/x does \
             not exist",
        ),
        (
            &["-j", "/nope/x"],
            "invalid value for -j '/nope/x': The directory named as part of the path /nope/x does \
             not exist",
        ),
        (
            &["-y", "5XX"],
            "invalid value for -y '5XX': invalid literal for int() with base 10: '5xx'",
        ),
        (&["-z", "x"], "invalid value for -z 'x': invalid literal for int() with base 10: 'x'"),
        (
            &["-a", "1.5"],
            "invalid value for -a '1.5': invalid literal for int() with base 10: '1.5'",
        ),
        (
            &["--minprocs", "x"],
            "invalid value for --minprocs 'x': invalid literal for int() with base 10: 'x'",
        ),
        (&["-e", "shout"], "invalid value for -e 'shout': bad logging level name 'shout'"),
        (&["-c", "/nope.conf"], "could not find config file /nope.conf"),
        (&["-c", "/"], "could not read config file /"),
        (&["-ss"], "conflicting command line option '-s'"),
    ];
    for (arguments, message) in cases {
        let mut all = arguments.to_vec();
        let named =
            arguments.iter().any(|word| word.starts_with("-c") || word.starts_with("--conf"));
        if !named && !message.starts_with("positional") {
            all.extend(["-c", "supervisord.conf"]);
        }
        let expected = format!("Error: {message}\nFor help, use supervisord -h\n");
        assert_eq!(run(&all, home.path()), (Some(2), String::new(), expected), "{all:?}");
    }
}

#[test]
fn help_and_version_act_in_their_order() {
    let home = Home::new("flags").unwrap();
    for version in ["-v", "--version", "--vers", "-vn"] {
        assert_eq!(run(&[version, "-h"], home.path()), (Some(0), "4.3.0\n".into(), String::new()));
    }
    for help in ["-h", "-?", "--help"] {
        let (code, said, wrong) = run(&[help, "-v"], home.path());
        assert_eq!((code, &*wrong), (Some(0), ""));
        assert!(said.contains("--profile_options"), "{said}");
    }
}

/// A refused start: the lines that were to be said are said, and nothing is left.
fn expect_refusal(home: &Home, message: &str) {
    let (code, said, wrong) = run(&["-n", "-c", "supervisord.conf"], home.path());

    assert_eq!(code, Some(2), "{wrong}");
    assert_eq!(wrong, format!("Error: {message}\nFor help, use supervisord -h\n"));
    let hint = "WARN No file matches via include";
    assert!(said.contains(hint) && home.main_log().contains(hint), "{said}");
    let left: Vec<_> = fs::read_dir(home.path()).unwrap().flatten().collect();
    let names: Vec<_> = left.iter().map(fs::DirEntry::file_name).collect();
    assert!(names.iter().all(|name| name != "s.sock" && name != "s.pid"), "{names:?}");
}

#[test]
fn an_address_that_cannot_be_had_is_told() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let other = "Another program is already listening on a port that one of our HTTP servers is \
                 configured to use.  Shut this program down first before starting supervisord.";
    let open = "Cannot open an HTTP server: socket.error reported errno.";
    for (server, message) in [
        (format!("[inet_http_server]\nport=127.0.0.1:{port}\n"), other.to_owned()),
        ("[inet_http_server]\nport=192.0.2.1:9\n".into(), format!("{open}EADDRNOTAVAIL (99)")),
        ("[unix_http_server:b]\nfile=/nope/s.sock\n".into(), format!("{open}ENOENT (2)")),
        (
            "[rpcinterface:supervisor]\nmore=x\n".into(),
            "Could not make supervisor rpc interface".into(),
        ),
    ] {
        let home = Home::new("refused").unwrap();
        let more = format!("{CAT}[include]\nfiles=none*.conf\n{server}");
        home.configure("", &more).unwrap();

        expect_refusal(&home, &message);
    }
}

#[test]
fn a_stale_socket_file_is_replaced_and_a_live_one_is_not() {
    let home = Home::new("stale").unwrap();
    home.configure("", CAT).unwrap();
    let path = home.file("s.sock");
    let live = UnixListener::bind(&path).unwrap();
    let (code, _, wrong) = run(&["-n", "-c", "supervisord.conf"], home.path());
    assert_eq!(code, Some(2), "{wrong}");
    assert!(path.exists(), "it is somebody else's");
    drop(live);

    let mut daemon = Daemon::start(executable(), &home).unwrap();

    let said = fs::read_to_string(home.file("console")).unwrap();
    let unlinking = format!("Unlinking stale socket {}\n", path.display());
    assert!(said.contains(&unlinking), "{said}");
    daemon.signal_keeper(TERM).unwrap();
    assert_eq!(daemon.wait().unwrap().code(), Some(0));
    assert!(!path.exists());
}

#[test]
fn a_pid_file_that_cannot_be_written_is_told_and_not_removed() {
    let home = Home::new("pidfile").unwrap();
    home.configure("", CAT).unwrap();
    let path = home.file("s.pid");
    fs::create_dir(&path).unwrap();

    let mut daemon = Daemon::start(executable(), &home).unwrap();

    let words = format!("CRIT could not write pidfile {}\n", path.display());
    home::wait_until("the line", || home.main_log().contains(&words)).unwrap();
    assert!(!home.main_log().contains("supervisord started"), "{}", home.main_log());
    daemon.signal_keeper(TERM).unwrap();
    assert_eq!(daemon.wait().unwrap().code(), Some(0));
    assert!(path.exists());
}

#[test]
fn the_lines_of_a_start_stand_in_supervisors_order() {
    let home = Home::new("lines").unwrap();
    let more = home.file("more.conf");
    fs::write(&more, "[program:more]\ncommand=/bin/cat\n").unwrap();
    let include = format!("[include]\nfiles=none*.conf {}\n", more.display());
    home.configure("", &(include + CAT)).unwrap();

    let daemon = Daemon::start(executable(), &home).unwrap();

    let started = format!("INFO supervisord started with pid {}", daemon.keeper());
    home::wait_until("the last line", || home.main_log().contains(&started)).unwrap();
    let log = home.main_log();
    let expected = [
        "WARN No file matches via include",
        "INFO Included extra file",
        "INFO RPC interface 'supervisor' initialized",
        "CRIT Server 'unix_http_server' running without any HTTP authentication checking",
        &started,
    ];
    let places: Vec<_> = expected.iter().map(|words| log.find(words)).collect();
    assert!(places.iter().all(Option::is_some) && places.is_sorted(), "{places:?}\n{log}");
}

/// Somebody who is not root: how a command is made theirs. None where root finds nobody
/// who may execute the program.
fn not_root() -> Option<impl Fn(&mut Command)> {
    let is_root = rustix::process::geteuid().is_root();
    let nobody = is_root.then(|| everybodys().and_then(|()| accounts::user_by_name("nobody")));
    let account = match nobody {
        Some(account) => Some(account?),
        None => None,
    };
    Some(move |command: &mut Command| {
        if let Some(account) = &account {
            command.uid(account.uid).gid(account.gid);
        }
    })
}

#[test]
fn what_only_root_may_do_is_refused_to_others() {
    let Some(become_other) = not_root() else {
        return eprintln!("skipped: nobody may not execute the program");
    };
    let refused = |more: &str, message: &str| {
        let home = Home::new("other").unwrap();
        let path = home.configure(more, CAT).unwrap();
        fs::set_permissions(home.path(), fs::Permissions::from_mode(0o777)).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        let mut command = Command::new(executable());
        command.args(["supervisord", "-n", "-c"]).arg(path);
        become_other(&mut command);

        let output = command.output().unwrap();

        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.starts_with(&format!("Error: {message}")), "{said}");
        assert!(!home.file("s.pid").exists() && !home.file("s.sock").exists());
    };
    refused("user=root\nminfds=4000000000", "Can't drop privilege as nonroot user");
    for (what, option, noun) in [
        (Resource::Nofile, "minfds", "file descriptors"),
        (Resource::Nproc, "minprocs", "processes"),
    ] {
        let Some(hard) = getrlimit(what).maximum else { continue };
        let more = hard + 1;
        let message = format!(
            "{more} {noun} are required as per the \"{option}\" command-line argument or config \
             file setting, and the current environment allows {hard} at most"
        );
        refused(&format!("{option}={more}"), &message);
    }
}

#[test]
fn a_file_is_looked_for_beside_the_tool_then_here() {
    let home = Home::new("search").unwrap();
    fs::create_dir_all(home.file("bin")).unwrap();
    fs::create_dir_all(home.file("etc")).unwrap();
    fs::create_dir_all(home.file("here/etc")).unwrap();
    symlink(executable(), home.file("bin/supervisord")).unwrap();
    // Refused, so that the daemon need not be ended: which file it was is told.
    let put = |name: &str| {
        fs::write(home.file(name), format!("[supervisord]\nloglevel={name}\n")).unwrap();
    };
    let found = || {
        let output = Command::new("/bin/sh")
            .args(["-c", "exec supervisord -n"])
            .env("PATH", home.file("bin"))
            .current_dir(home.file("here"))
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(2));
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    let own = home.path().display();

    let nothing = found();
    let paths = format!(
        "Error: No config file found at default paths ({own}/etc/supervisord.conf, \
         {own}/supervisord.conf, supervisord.conf, etc/supervisord.conf, \
         /etc/supervisord.conf, /etc/supervisor/supervisord.conf); use the -c option"
    );
    let is_elsewhere = ["/etc/supervisord.conf", "/etc/supervisor/supervisord.conf"]
        .iter()
        .any(|path| Path::new(path).exists());
    assert!(is_elsewhere || nothing.contains(&paths), "{nothing}");
    for name in [
        "here/etc/supervisord.conf",
        "here/supervisord.conf",
        "supervisord.conf",
        "etc/supervisord.conf",
    ] {
        put(name);
        let said = found();
        assert!(said.contains(&format!("bad logging level name '{name}'")), "{said}");
    }
}

#[test]
fn silent_says_nothing_on_standard_output() {
    for (more, is_silent) in [("", false), ("silent=true", true), ("nodaemon=true", false)] {
        let home = Home::new("silent").unwrap();
        home.configure(more, CAT).unwrap();
        let mut daemon = Daemon::start(executable(), &home).unwrap();
        daemon.signal_keeper(TERM).unwrap();
        daemon.wait().unwrap();

        let said = fs::read_to_string(home.file("console")).unwrap();

        assert_eq!(said.is_empty(), is_silent, "{said}");
        assert!(is_silent || said == home.main_log(), "{said}");
    }
}
