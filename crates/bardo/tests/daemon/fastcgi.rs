//! Programs that share a listening socket.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command};

use bardo::selftest::client::CallError;
use bardo::selftest::home::{Daemon, Home, PATIENCE, send, write_executable};
use bardo_wire::xmlrpc::Value;

use crate::scene::{HUP, KILL, Scene, executable, open};

const SLEEP: &str = "[fcgi-program:f]\ncommand=/bin/sleep 1000\nstartsecs=0\nprocess_name=%(process_num)d\n\
                     numprocs=2\nsocket=unix://{here}/f.sock\n";

/// What a process has as its standard input.
fn stdin_of(scene: &Scene, name: &str) -> String {
    let process = scene.process(name);
    fs::read_link(format!("/proc/{}/fd/0", process.pid)).unwrap().display().to_string()
}

/// Kills a process and waits for the next one.
fn kill_and_await(scene: &Scene, name: &str) {
    let pid = scene.process(name).pid;
    send(pid, KILL).unwrap();
    scene.wait("another process", || {
        scene.client().info(name).is_ok_and(|info| info.pid != pid && info.pid != 0)
    });
}

fn lines(scene: &Scene, words: &str) -> usize {
    scene.log().lines().filter(|line| line.contains(words)).count()
}

#[test]
fn all_processes_of_a_program_have_the_same_socket() {
    let scene = open("", SLEEP);

    let (one, other) = (stdin_of(&scene, "f:0"), stdin_of(&scene, "f:1"));

    assert!(one.starts_with("socket:"), "{one}");
    assert_eq!(one, other);
    let path = scene.home.file("f.sock");
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
    UnixStream::connect(path).unwrap();
}

#[test]
fn a_program_in_a_group_has_its_socket_too() {
    let scene = open("", &(SLEEP.to_owned() + "[group:g]\nprograms=f\n"));

    assert!(stdin_of(&scene, "g:0").starts_with("socket:"));
    UnixStream::connect(scene.home.file("f.sock")).unwrap();
}

#[test]
fn a_connection_in_the_queue_outlives_processes_and_supervisors() {
    let scene = open("", SLEEP);
    let before = stdin_of(&scene, "f:0");
    let mut waiting = UnixStream::connect(scene.home.file("f.sock")).unwrap();

    for name in ["f:0", "f:1"] {
        kill_and_await(&scene, name);
    }
    scene.daemon.kill_supervisor().unwrap();
    scene.supervisor();
    scene.client().call("supervisor.stopProcess", &["f:0".into()]).unwrap();
    scene.client().call("supervisor.startProcess", &["f:0".into()]).unwrap();

    assert_eq!(stdin_of(&scene, "f:0"), before);
    // Nobody has closed it at the other end.
    waiting.set_nonblocking(true).unwrap();
    assert_eq!(waiting.read(&mut [0]).unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
}

#[test]
fn a_socket_is_closed_with_its_last_process_and_opened_for_the_next() {
    let scene = open("", SLEEP);
    scene.process("f:0");
    let expect_lines = |created, closed| {
        scene.wait(&format!("{created} sockets created, {closed} closed"), || {
            (lines(&scene, "Creating socket"), lines(&scene, "Closing socket")) == (created, closed)
        });
    };
    expect_lines(2, 1);

    scene.client().call("supervisor.stopProcess", &["f:0".into()]).unwrap();
    UnixStream::connect(scene.home.file("f.sock")).unwrap();
    scene.client().call("supervisor.stopProcess", &["f:1".into()]).unwrap();

    expect_lines(2, 2);
    scene.wait("nobody to listen", || UnixStream::connect(scene.home.file("f.sock")).is_err());
    assert!(scene.home.file("f.sock").exists());
    scene.client().call("supervisor.startProcess", &["f:0".into()]).unwrap();
    UnixStream::connect(scene.home.file("f.sock")).unwrap();
    expect_lines(3, 2);
}

#[test]
fn there_is_no_standard_input_to_write_to() {
    let scene = open("", SLEEP);
    scene.process("f:0");

    let refused = scene.client().call("supervisor.sendProcessStdin", &["f:0".into(), "x".into()]);

    let Err(CallError::Fault(code, text)) = refused else { panic!("{refused:?}") };
    assert_eq!((code, text.as_str()), (20, "NO_FILE: f:0"));
}

#[test]
fn a_socket_that_cannot_be_had_is_an_error_of_the_start() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let home = Home::new("test").unwrap();
    let program = format!("[fcgi-program:f]\ncommand=/bin/cat\nsocket=tcp://127.0.0.1:{port}\n");
    let path = home.configure("", &program).unwrap();

    let output =
        Command::new(executable()).args(["supervisord", "-n", "-c"]).arg(path).output().unwrap();

    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    let words = format!(
        "Could not create FastCGI socket tcp://127.0.0.1:{port}: [Errno 98] Address already in use"
    );
    assert_eq!(output.status.code(), Some(2), "{told}");
    assert!(told.contains(&words), "{told}");
    for name in ["s.sock", "s.pid"] {
        assert!(!home.file(name).exists(), "{name} is left");
    }
}

#[test]
fn a_socket_that_is_lost_later_fails_the_start_and_is_had_again() {
    let scene =
        open("", &SLEEP.replace("numprocs=2", "numprocs=1\nautostart=false\nstartretries=0"));
    let path = scene.home.file("f.sock");
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();

    let refused = scene.client().call("supervisor.startProcess", &["f:0".into()]);

    let Err(CallError::Fault(code, text)) = refused else { panic!("{refused:?}") };
    assert_eq!((code, text.as_str()), (50, "SPAWN_ERROR: f:0"));
    scene.until("f:0", "FATAL");
    scene.await_log("spawnerr: Could not create FastCGI socket unix://");
    fs::remove_dir(&path).unwrap();
    scene.client().call("supervisor.startProcess", &["f:0".into()]).unwrap();
}

#[test]
fn a_group_that_is_added_has_its_socket_tried_first() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let scene = open("", "[program:cat]\ncommand=/bin/cat\n");
    let program =
        format!("[fcgi-program:f]\ncommand=/bin/sleep 99\nsocket=tcp://127.0.0.1:{port}\n");
    scene.home.configure("", &program).unwrap();
    scene.client().call("supervisor.reloadConfig", &[]).unwrap();

    let refused = scene.client().call("supervisor.addProcessGroup", &["f".into()]);
    let Err(CallError::Fault(code, text)) = refused else { panic!("{refused:?}") };
    assert_eq!(code, 30);
    assert!(text.contains("Could not create FastCGI socket"), "{text}");

    drop(taken);
    let added = scene.client().call("supervisor.addProcessGroup", &["f".into()]).unwrap();
    assert_eq!(added, Value::Boolean(true));
    scene.until("f", "RUNNING");
    TcpStream::connect(("127.0.0.1", port)).unwrap();
}

#[test]
fn a_restart_opens_a_socket_as_it_is_described_then() {
    let scene = open("", SLEEP);
    scene.process("f:0");
    let here = scene.home.path().display().to_string();
    let narrower = SLEEP.replace("{here}", &here) + "socket_mode=0600\n";
    scene.home.configure("", &narrower).unwrap();

    scene.daemon.signal_keeper(HUP).unwrap();

    let mode = || {
        let there = fs::metadata(scene.home.file("f.sock"));
        there.map_or(0, |there| there.permissions().mode() & 0o777)
    };
    scene.wait("the new mode", || mode() == 0o600);
    scene.process("f:0");
    UnixStream::connect(scene.home.file("f.sock")).unwrap();
}

/// A web server that is a child of ours.
struct WebServer(Child);

impl Drop for WebServer {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Asks for a page and says what came, header and all.
fn get(port: u16) -> std::io::Result<String> {
    let mut socket = TcpStream::connect(("127.0.0.1", port))?;
    socket.set_read_timeout(Some(PATIENCE))?;
    socket.write_all(b"GET /hello HTTP/1.0\r\n\r\n")?;
    let mut text = String::new();
    socket.read_to_string(&mut text)?;
    Ok(text)
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// A real application (fcgiwrap with a script) behind a real web server (nginx).
#[test]
fn nginx_finds_a_real_application_through_kills() {
    let (nginx, application) = (Path::new("/usr/sbin/nginx"), Path::new("/usr/sbin/fcgiwrap"));
    if !nginx.exists() || !application.exists() {
        println!("skipped: this needs nginx and fcgiwrap");
        return;
    }
    let home = Home::new("test").unwrap();
    let here = home.path().display().to_string();
    let script = home.file("hello.cgi");
    let text = b"#!/bin/sh\nprintf 'Content-Type: text/plain\\n\\nhello from %s\\n' $PPID\n";
    write_executable(&script, text).unwrap();
    let programs = format!(
        "[fcgi-program:app]\ncommand=/usr/sbin/fcgiwrap\nprocess_name=%(process_num)d\nnumprocs=3\n\
         socket=unix://{here}/app.sock\nsocket_mode=0777\nstartsecs=0\nautorestart=true\n"
    );
    home.configure("", &programs).unwrap();
    fs::set_permissions(home.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let daemon = Daemon::start(executable(), &home).unwrap();
    let scene = Scene { daemon, home };
    let port = free_port();
    let settings = scene.home.file("nginx.conf");
    fs::write(
        &settings,
        format!(
            "daemon off; master_process off; pid {here}/nginx.pid; error_log {here}/nginx.log; \n\
             events {{}}\nhttp {{ access_log off; server {{ listen 127.0.0.1:{port};\n\
             location / {{ fastcgi_pass unix:{here}/app.sock;\n\
             fastcgi_param SCRIPT_FILENAME {here}/hello.cgi; fastcgi_param REQUEST_METHOD GET;\n\
             fastcgi_param QUERY_STRING \"\"; fastcgi_param SERVER_PROTOCOL HTTP/1.0; }} }} }}\n"
        ),
    )
    .unwrap();
    let started =
        Command::new(nginx).arg("-c").arg(&settings).arg("-p").arg(&here).spawn().unwrap();
    let _web_server = WebServer(started);
    scene.wait("the page", || get(port).is_ok_and(|page| page.contains("hello from")));

    for round in 0..30 {
        if round % 3 == 0 {
            scene.daemon.kill_supervisor().unwrap();
        }
        if round % 5 == 0 {
            // One that dies with a request in its hands is the web server's to tell of.
            kill_and_await(&scene, "app:1");
        }
        let page = get(port).unwrap();
        assert!(page.starts_with("HTTP/1.1 200") && page.contains("hello from"), "{page}");
    }
}
