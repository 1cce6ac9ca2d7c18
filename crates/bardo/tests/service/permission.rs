//! Who may ask for what: rows 61 and 62, and what a password and a port have to do with it.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};

use bardo_sys::accounts;

use super::scene::{Output, Scene, everybodys, executable, open, scene};

/// Every verb that needs a supervisor, with something behind it.
const VERBS: [&[&str]; 19] = [
    &["up", "/bin/true"],
    &["run", "/bin/true"],
    &["edit", "self", "-label", "cat"],
    &["update", "/bin/true", "-label", "cat"],
    &["down", "cat"],
    &["refresh", "cat"],
    &["restart", "cat"],
    &["clone", "cat"],
    &["unclone", "cat"],
    &["fi", "cat"],
    &["sysctl", "srv_status"],
    &["sysctl", "upd_run"],
    &["shutdown"],
    &["shutdown", "-stop"],
    &["down", "nobody-has-this-label"],
    &["list"],
    &["show", "cat"],
    &["lookup", "cat"],
    &["show", "nobody-has-this-label"],
];

/// A supervisor with one program whose socket everybody reaches; `None` where there is
/// nobody to be but root, or he may not execute the program that is tested.
fn reached_by_everybody() -> Option<(Scene, accounts::Account)> {
    let nobody = accounts::user_by_name("nobody")?;
    if !rustix::process::geteuid().is_root() {
        return None;
    }
    everybodys()?;
    let scene = open("[program:cat]\ncommand=/bin/cat\nstartsecs=0\n");
    // It is compared afterwards with what it was.
    scene.pid("cat");
    fs::set_permissions(scene.home.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let socket = scene.home.file("s.sock");
    fs::set_permissions(socket, fs::Permissions::from_mode(0o777)).unwrap();
    Some((scene, nobody))
}

#[test]
fn row_61_who_is_nobody_may_do_nothing() {
    let Some((scene, nobody)) = reached_by_everybody() else { return };
    let before = scene.client().info("cat").unwrap();

    for words in VERBS {
        let mut command = scene.command(words);
        let output = Output::of(command.uid(nobody.uid).gid(nobody.gid)).ends_with(1);
        assert!(output.stderr.contains("Operation not permitted (error 1)"), "{output:?}");
    }

    assert_eq!(scene.client().info("cat").unwrap(), before);
}

#[test]
fn row_61_who_may_not_even_connect_is_not_permitted() {
    let Some((scene, nobody)) = reached_by_everybody() else { return };
    let socket = scene.home.file("s.sock");
    fs::set_permissions(socket, fs::Permissions::from_mode(0o700)).unwrap();

    let mut command = scene.command(&["list"]);
    let output = Output::of(command.uid(nobody.uid).gid(nobody.gid)).ends_with(1);

    assert!(output.stderr.contains("s.sock"), "{output:?}");
}

/// A second socket that everybody reaches, at which only the owner may do everything.
const OPEN_DOOR: &str = "[unix_http_server:open]\nfile={here}/open.sock\nchmod=0777\n\
                         open_to=owner\n[program:cat]\ncommand=/bin/cat\nstartsecs=0\n";

#[test]
fn where_only_the_owner_may_do_everything_others_may_ask_for_services_alone() {
    let nobody = accounts::user_by_name("nobody").unwrap();
    if !rustix::process::geteuid().is_root() || everybodys().is_none() {
        return;
    }
    let scene = open(OPEN_DOOR);
    fs::set_permissions(scene.home.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let socket = scene.home.file("open.sock");
    let url = format!("unix://{}", socket.display());
    let supervisorctl = |is_owner: bool| {
        let mut command = Command::new(executable());
        command.args(["supervisorctl", "-s", &url, "pid"]).current_dir("/");
        if !is_owner {
            command.uid(nobody.uid).gid(nobody.gid);
        }
        command.output().unwrap()
    };

    assert!(supervisorctl(true).status.success());
    let refused = supervisorctl(false);
    assert!(!refused.status.success() && !refused.stdout.starts_with(b"1"), "{refused:?}");
    for words in VERBS {
        let mut command = scene.command(words);
        command.env("BARDO_SOCKET", &socket).uid(nobody.uid).gid(nobody.gid);
        let output = Output::of(&mut command).ends_with(1);
        assert!(output.stderr.contains("Operation not permitted (error 1)"), "{output:?}");
    }
}

#[test]
fn where_only_the_owner_may_do_everything_others_do_not_crowd_him_out() {
    let Some(nobody) = accounts::user_by_name("nobody") else { return };
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let scene = open(OPEN_DOOR);
    fs::set_permissions(scene.home.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let socket = scene.home.file("open.sock");
    // They connect and say nothing.
    let line = format!(
        "import socket, sys\nthere = []\nfor _ in range(200):\n    one = socket.socket(socket.AF_UNIX)\n    \
         one.connect('{}')\n    there.append(one)\nprint('in', flush=True)\nsys.stdin.read()\n",
        socket.display()
    );
    let mut crowd = Command::new("python3");
    crowd.args(["-c", &line]).uid(nobody.uid).gid(nobody.gid);
    let mut crowd = crowd.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut said = String::new();
    BufReader::new(crowd.stdout.as_mut().unwrap()).read_line(&mut said).unwrap();
    assert_eq!(said, "in\n");

    let mut command = scene.command(&["list"]);
    Output::of(command.env("BARDO_SOCKET", &socket)).ends_with(0);
    // Nor anybody of another user.
    let mut command = scene.command(&["list"]);
    let output = Output::of(command.env("BARDO_SOCKET", &socket).uid(nobody.uid - 1)).ends_with(1);
    assert!(output.stderr.contains("may look at services"), "{output:?}");

    drop(crowd.stdin.take());
    crowd.wait().unwrap();
}

#[test]
fn row_2_what_sysctl_is_asked_is_looked_at_before_anybody_is_asked() {
    let scene = scene();

    scene.service(&["sysctl", "x"]).ends_with(22);
    for what in ["upd_start", "upd_run", "upd_stop", "upd_status"] {
        let output = scene.service(&["sysctl", what]).ends_with(78);
        assert!(output.stderr.contains("Request 0x717 to RS failed: "), "{output:?}");
    }
}

/// The status of a request, and all that came.
fn asked(stream: &mut (impl std::io::Read + std::io::Write), request: &str) -> (u16, String) {
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    (answer.split(' ').nth(1).unwrap().parse().unwrap(), answer)
}

fn request(body: &str) -> String {
    format!(
        "POST /api/v1/service HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

#[test]
fn nothing_is_done_through_a_port() {
    let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
    let scene = open(&format!("[inet_http_server]\nport=127.0.0.1:{port}\n"));
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();

    let (status, answer) =
        asked(&mut stream, &request(r#"{"verb":"shutdown","label":"","stop":true}"#));

    assert_eq!(status, 403, "{answer}");
    assert!(answer.contains("[unix_http_server]"), "{answer}");
    assert!(scene.client().state().is_ok());
}

#[test]
fn what_makes_no_sense_is_refused_with_what_is_wrong() {
    let scene = scene();
    for (body, wrong) in [
        (r#"{"verb":"fly","label":"x"}"#, "unknown variant"),
        (r#"{"verb":"down"}"#, "missing field"),
        (r#"{"verb":"down","label":"x","more":1}"#, "unknown field"),
        (r#"["down"]"#, "no object"),
        ("{", "EOF"),
    ] {
        let mut stream = UnixStream::connect(scene.home.file("s.sock")).unwrap();
        let (status, answer) = asked(&mut stream, &request(body));
        assert_eq!(status, 400, "{answer}");
        assert!(answer.contains(wrong), "{body}: {answer}");
    }
}

#[test]
fn a_page_elsewhere_cannot_ask() {
    let scene = scene();
    let mut stream = UnixStream::connect(scene.home.file("s.sock")).unwrap();
    let asks = request(r#"{"verb":"shutdown","label":"","stop":true}"#)
        .replace("Host: localhost\r\n", "Host: localhost\r\nOrigin: http://elsewhere\r\n");

    let (status, answer) = asked(&mut stream, &asks);

    assert_eq!(status, 403, "{answer}");
}

#[test]
fn rows_61_and_62_a_service_may_do_what_its_control_list_says() {
    let Some((scene, _)) = reached_by_everybody() else { return };
    a_control_list_is_heeded(&scene, "s.sock");
}

#[test]
fn row_62_a_control_list_is_heeded_where_only_the_owner_may_do_everything() {
    if everybodys().is_some() && rustix::process::geteuid().is_root() {
        a_control_list_is_heeded(&open(OPEN_DOOR), "open.sock");
    }
}

/// Has a service of another user do what it may do and what not.
fn a_control_list_is_heeded(scene: &Scene, socket: &str) {
    fs::set_permissions(scene.home.path(), fs::Permissions::from_mode(0o777)).unwrap();
    let file = scene.home.file("system.conf");
    fs::write(&file, "service filter { uid nobody; control x ghost; };\n").unwrap();
    for label in ["x", "y"] {
        let words = ["up", "/bin/sleep", "-label", label, "-args", "1000", "-alive", "0"];
        scene.service(&words).ends_with(0);
    }
    let before = |label| scene.find(label).unwrap().pid;
    let (x, y) = (before("x"), before("y"));
    // A child of a child asks, in a session of its own process group.
    let tool = executable().display().to_string();
    let here = scene.home.path().display().to_string();
    let lines = format!(
        "for words in 'refresh x -wait' 'refresh y' 'down nobody' 'down ghost' 'list' 'up /bin/true' 'shutdown'; do\n\
         sh -c \"{tool} service $words; echo \\$? >>{here}/codes\"\ndone\n\
         echo done >>{here}/codes; exec sleep 1000"
    );
    let filter = scene.script("filter", &lines).display().to_string();
    let socket = format!("BARDO_SOCKET={}", scene.home.file(socket).display());
    let file = file.display().to_string();

    scene.service(&["-n", "up", &filter, "-config", &file, "-env", &socket]).ends_with(0);

    let codes = || fs::read_to_string(scene.home.file("codes")).unwrap_or_default();
    scene.wait("the answers", || codes().ends_with("done\n"));
    assert_eq!(codes(), "0\n1\n1\n3\n0\n1\n1\ndone\n", "{}", scene.log());
    assert_ne!(before("x"), x);
    assert_eq!(before("y"), y);
}
