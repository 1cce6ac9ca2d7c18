//! The control tool against the API.

use std::os::unix::net::{UnixListener, UnixStream};
use std::process::{Command, Output, Stdio};

use bardo::selftest::home::wait_until;

use crate::scene::{Scene, open, scene};

impl Scene {
    pub(crate) fn tool(&self, words: &str) -> Command {
        let file = self.room.path().join("ctl.conf");
        let text = format!("[supervisorctl]\nserverurl=unix://{}\n", self.socket.display());
        // Another tool may be reading it.
        if !file.exists() {
            std::fs::write(&file, text).unwrap();
        }
        let mut command = Command::new(env!("CARGO_BIN_EXE_bardo"));
        command.arg("supervisorctl").arg("-c").arg(file).args(words.split_whitespace());
        command.stdin(Stdio::null()).env("TERM", "xterm");
        command
    }

    /// What the tool prints, and its exit code.
    fn control(&self, words: &str) -> (String, i32) {
        said(self.tool(words).output().unwrap())
    }
}

fn said(output: Output) -> (String, i32) {
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    (String::from_utf8(output.stdout).unwrap(), output.status.code().unwrap())
}

/// The same, put down as a test wants it.
fn prints(text: &str, code: i32) -> (String, i32) {
    (text.to_owned(), code)
}

#[test]
fn status_has_columns_and_says_whether_all_is_well() {
    let scene = scene();
    scene.play.world.lock().unwrap().processes.retain(|view| &*view.group.name != "p");

    let pad = " ".repeat(31);
    assert_eq!(
        scene.control("status q g:*"),
        prints(
            &format!(
                "q{pad} STOPPED   Not started\ng:g1{}STOPPED   Not started\n\
                 g:g2{}STOPPED   Not started\n",
                " ".repeat(29),
                " ".repeat(29)
            ),
            3
        )
    );
    assert_eq!(
        scene.control("status ghost x:*"),
        prints("ghost: ERROR (no such process)\nx: ERROR (no such group)\n", 4)
    );
}

#[test]
fn a_long_name_widens_all() {
    let scene = scene();
    {
        let mut world = scene.play.world.lock().unwrap();
        let mut spec = (*world.processes[1].spec).clone();
        spec.name = "a_name_that_is_longer_than_thirty".into();
        world.processes[1].spec = spec.into();
    }

    let (text, _) = scene.control("status");

    let column = text.lines().next().unwrap().find("STOPPED").unwrap();
    assert_eq!(column, "g:a_name_that_is_longer_than_thirty".len() + 3);
    assert!(text.lines().all(|line| line[column..].starts_with(['S', 'R'])), "{text}");
}

#[test]
fn starts_and_stops_say_what_became_of_each() {
    let scene = scene();

    assert_eq!(
        scene.control("start q g:*"),
        prints("q: started\ng:g1: started\ng:g2: started\n", 0)
    );
    assert_eq!(scene.control("start q"), prints("q: ERROR (already started)\n", 0));
    assert_eq!(scene.control("start bad"), prints("bad: ERROR (no such file)\n", 1));
    assert_eq!(scene.control("start ghost"), prints("ghost: ERROR (no such process)\n", 1));
    assert_eq!(scene.control("start x:*"), prints("x: ERROR (no such group)\n", 2));
    assert_eq!(scene.control("stop q"), prints("q: stopped\n", 0));
    assert_eq!(scene.control("stop q"), prints("q: ERROR (not running)\n", 0));
    assert_eq!(scene.control("stop x:"), prints("x: ERROR (no such group)\n", 1));
    assert_eq!(scene.control("restart q"), prints("q: ERROR (not running)\nq: started\n", 0));
    assert_eq!(scene.control("start p g:*"), prints("p: ERROR (already started)\n", 0));
}

#[test]
fn signals_say_what_became_of_them() {
    let scene = scene();

    assert_eq!(scene.control("signal HUP p"), prints("p: signalled\n", 0));
    assert_eq!(scene.control("signal NO p"), prints("p: ERROR (bad signal name)\n", 1));
    assert_eq!(scene.control("signal HUP q"), prints("q: ERROR (not running)\n", 7));
    assert_eq!(scene.control("signal HUP all"), prints("p: signalled\n", 0));
}

#[test]
fn a_command_without_its_names_says_so_and_helps() {
    let scene = scene();

    let (text, code) = scene.control("start");
    assert!(text.starts_with("Error: start requires a process name\nstart <name>\t\t"), "{text}");
    assert_eq!(code, 2);
    let (text, code) = scene.control("stop");
    assert!(text.starts_with("Error: stop requires a process name\nstop <name>\t\t"), "{text}");
    assert_eq!(code, 1);
    let (text, code) = scene.control("version x");
    assert!(text.starts_with("Error: version accepts no arguments\nversion\t\t\t"), "{text}");
    assert_eq!(code, 1);
    assert_eq!(scene.control("frob x"), prints("*** Unknown syntax: frob x\n", 1));
    assert_eq!(scene.control("help frob"), prints("*** No help on frob\n", 0));
}

#[test]
fn numbers_of_processes_are_shown() {
    let scene = scene();

    assert_eq!(scene.control("pid"), prints(&format!("{}\n", std::process::id()), 0));
    assert_eq!(scene.control("pid p q"), prints("4711\n0\n", 7));
    assert_eq!(scene.control("pid all"), prints("0\n0\n0\n4711\n0\n", 0));
    assert_eq!(scene.control("pid ghost"), prints("No such process ghost\n", 1));
    assert_eq!(scene.control("version"), prints("4.3.0\n", 0));
}

#[test]
fn ends_of_logs_are_shown() {
    let scene = scene();
    std::fs::write(scene.room.path().join("p.out"), "one\ntwo\n").unwrap();

    assert_eq!(scene.control("tail p"), prints("one\ntwo\n\n", 0));
    assert_eq!(scene.control("tail -4 p stdout"), prints("two\n\n", 0));
    assert_eq!(scene.control("tail -0 p"), prints("one\ntwo\n\n", 0));
    let long = "0123456789abcdef".repeat(200);
    std::fs::write(scene.room.path().join("p.out"), &long).unwrap();
    assert_eq!(scene.control("tail p"), prints(&(long[..1600].to_owned() + "\n"), 0));
    assert_eq!(scene.control("tail p stderr"), prints("p: ERROR (no log file)\n", 1));
    assert_eq!(scene.control("tail ghost"), prints("ghost: ERROR (no such process name)\n", 1));
    assert_eq!(scene.control("tail p Other"), prints("Error: bad channel 'other'\n", 1));
    assert_eq!(scene.control("tail -x p"), prints("Error: bad argument -x\n", 1));
    assert_eq!(scene.control("tail -5"), prints("Error: tail requires process name\n", 1));
    assert_eq!(scene.control("maintail -4"), prints("log\n\n", 0));
    assert_eq!(scene.control("maintail 4"), prints("Error: bad argument 4\n", 1));
    assert_eq!(
        scene.control("clear p g:* ghost"),
        prints("p: cleared\ng:g1: cleared\ng:g2: cleared\nghost: ERROR (no such process)\n", 1)
    );
}

#[test]
fn changes_of_the_configuration_are_told_and_carried_out() {
    let scene = scene();

    assert_eq!(scene.control("reread"), prints("No config updates to processes\n", 0));
    assert_eq!(scene.control("update"), prints("", 0));
    assert_eq!(scene.control("update x"), prints("ERROR: no such group: x\n", 1));
    scene.play.world.lock().unwrap().loaded.retain(|group| &*group.name != "q");
    assert_eq!(scene.control("reread"), prints("q: disappeared\n", 0));
    assert_eq!(scene.control("update"), prints("q: stopped\nq: removed process group\n", 0));
    assert_eq!(
        scene.control("add p ghost"),
        prints("ERROR: process group already active\nERROR: no such process/group: ghost\n", 1)
    );
    let active = prints("ERROR: process group already active\n", 0);
    assert_eq!(scene.control("add p"), active);
    assert_eq!(
        scene.control("remove p ghost"),
        prints("ERROR: process/group still running: p\nERROR: no such process/group: ghost\n", 1)
    );
    let (text, code) = scene.control("avail");
    assert!(text.starts_with("bad                              in use    auto      999:999\n"));
    assert_eq!(code, 0);
    scene.play.world.lock().unwrap().loaded.clear();
    let broken = prints("ERROR: CANT_REREAD: nothing to load\n", 1);
    assert_eq!(scene.control("reread"), broken);
    assert_eq!(scene.control("update"), broken);
}

#[test]
fn a_supervisor_that_ends_is_told_apart() {
    let scene = scene();

    assert_eq!(scene.control("shutdown"), prints("Shut down\n", 0));
    assert_eq!(scene.control("shutdown"), prints("ERROR: already shutting down\n", 0));
    assert_eq!(scene.control("reload"), prints("ERROR: already shutting down\n", 1));
    assert_eq!(scene.control("avail"), prints("ERROR: supervisor shutting down\n", 1));
    let (text, code) = scene.control("status");
    assert!(text.starts_with("error: <class 'xmlrpc.client.Fault'>, <Fault 6: 'SHUTDOWN_STATE'>"));
    assert_eq!(code, 1);
}

#[test]
fn a_server_that_is_not_there_is_told() {
    let scene = scene();
    let url = format!("unix://{}", scene.socket.display());
    std::fs::remove_file(&scene.socket).unwrap();

    assert_eq!(scene.control("status"), prints(&format!("{url} no such file\n"), 4));
    assert_eq!(scene.control("start p"), prints(&format!("{url} no such file\n"), 7));
    assert_eq!(
        scene.control("shutdown"),
        prints(&format!("ERROR: {url} no such file (already shut down?)\n"), 1)
    );
    let (text, code) = scene.control("avail");
    assert!(text.starts_with("error: <class 'FileNotFoundError'>, [Errno 2] No such file"));
    assert_eq!(code, 1);

    drop(UnixListener::bind(&scene.socket).unwrap());
    // What another test clones listens too, until it executes its program.
    wait_until("nobody to listen", || UnixStream::connect(&scene.socket).is_err()).unwrap();
    assert_eq!(scene.control("status"), prints(&format!("{url} refused connection\n"), 4));
}

#[test]
fn a_server_with_a_password_wants_it() {
    let scene = open(Some(("user", "123")));

    let (text, code) = scene.control("status");
    assert!(
        text.starts_with(
            "Server requires authentication\nerror: <class 'xmlrpc.client.ProtocolError'>, \
             <ProtocolError for 127.0.0.1/RPC2: 401 Unauthorized>"
        ),
        "{text}"
    );
    assert_eq!(code, 1);
    assert_eq!(scene.control("-u user -p 123 version"), prints("4.3.0\n", 0));
}

#[test]
fn commands_are_read_from_standard_input() {
    use std::io::Write as _;
    let scene = scene();
    let mut child = scene
        .tool("")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    input.write_all(b"stop p\n\n!x\nshutdown\nn\n").unwrap();
    drop(input);

    let (text, code) = said(child.wait_with_output().unwrap());

    let after_status = text.split_once("supervisor> ").unwrap().1;
    assert_eq!(
        after_status,
        "p: stopped\nsupervisor> supervisor> *** Unknown syntax: !x\n\
         supervisor> Really shut the remote supervisord process down y/N? supervisor> \n"
    );
    assert_eq!(code, 0);
}

#[test]
fn a_log_is_followed_until_ctrl_c() {
    use std::io::{BufRead as _, BufReader};
    let scene = scene();
    std::fs::write(scene.room.path().join("p.out"), "old\n").unwrap();
    let mut child = scene.tool("tail -f p").stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut next = || lines.next().unwrap().unwrap();
    assert_eq!(next(), "==> Press Ctrl-C to exit <==");
    assert_eq!(next(), "old");

    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();

    assert_eq!(next(), "");
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn a_log_that_cannot_be_followed_is_told_on_standard_error() {
    let scene = scene();

    let output = scene.tool("tail -f ghost").output().unwrap();

    assert_eq!(output.status.code(), Some(0));
    assert_eq!(
        String::from_utf8_lossy(&output.stderr),
        format!(
            "unix://{}/logtail/ghost/stdout Cannot read, status code 404\n",
            scene.socket.display()
        )
    );
}

#[test]
fn programs_are_answered_in_json() {
    let scene = scene();
    let json = |words: &str| {
        let (text, code) = scene.control(words);
        assert!(text.ends_with('\n') && text.lines().count() == 1, "{text}");
        (serde_json::from_str::<serde_json::Value>(&text).unwrap(), code)
    };
    let deed = |action: &str, group: &str, name: &str, status: i32, description: &str| {
        serde_json::json!({
            "action": action, "group": group, "name": name, "status": status,
            "description": description,
        })
    };

    let (all, code) = json("-o json status");
    assert_eq!(code, 3);
    assert_eq!(all.as_array().unwrap().len(), 5);
    assert_eq!(all[3]["statename"], "RUNNING");
    assert_eq!(all[3]["pid"], 4711);
    let (one, _) = json("status --json p");
    assert_eq!((&one[0]["name"], &one[1]), (&all[3]["name"], &serde_json::Value::Null));
    assert_eq!(
        json("--output=json start q p"),
        (
            serde_json::json!([
                deed("start", "q", "q", 80, "OK"),
                deed("start", "p", "p", 60, "ALREADY_STARTED: p"),
            ]),
            0
        )
    );
    assert_eq!(
        json("start --json x:*"),
        (
            serde_json::json!([{
                "action": "start", "group": "x", "name": null, "status": 10,
                "description": "BAD_NAME: x",
            }]),
            2
        )
    );
    assert_eq!(json("stop --json g:*"), (serde_json::json!([]), 0));
    assert_eq!(
        json("-o json clear g:g1").0,
        serde_json::json!([deed("clear", "g", "g1", 80, "OK")])
    );
    assert_eq!(json("-o json pid").0, serde_json::json!({ "pid": std::process::id() }));
    assert_eq!(
        json("-o json pid p"),
        (serde_json::json!([{ "group": "p", "name": "p", "pid": 4711 }]), 0)
    );
    assert_eq!(json("-o json version").0, serde_json::json!({ "version": "4.3.0" }));
    assert_eq!(json("-o json avail").0[0]["group_prio"], 999);
    scene.play.world.lock().unwrap().loaded.retain(|group| &*group.name != "q");
    let gone = serde_json::json!({ "added": [], "changed": [], "removed": ["q"] });
    assert_eq!(json("-o json reread"), (gone.clone(), 0));
    assert_eq!(json("-o json update"), (gone, 0));
}

#[test]
fn what_is_no_document_is_told_on_standard_error() {
    let scene = scene();
    let told = |words: &str| {
        let output = scene.tool(words).output().unwrap();
        let [out, err] =
            [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap());
        (out, err, output.status.code().unwrap())
    };

    let (out, err, code) = told("-o json status ghost p");
    assert!(out.starts_with("[{") && code == 4, "{out} {code}");
    assert_eq!(err, "ghost: ERROR (no such process)\n");
    assert_eq!(
        told("-o json tail p"),
        (String::new(), "Error: tail has no JSON output; leave -o json away\n".to_owned(), 2)
    );
    let (out, err, code) = told("-o yaml status");
    assert!(
        out.is_empty()
            && err.starts_with(
                "Error: invalid value for -o 'yaml': value 'yaml' is none of: text, json\n"
            ),
        "{err}"
    );
    assert_eq!(code, 2);
    let (out, err, code) = told("-s unix:///no/such status --json");
    assert_eq!((&*out, &*err, code), ("", "unix:///no/such no such file\n", 4));
    assert_eq!(told("status --jso"), ("--jso: ERROR (no such process)\n".into(), "".into(), 4));
}

#[test]
fn addresses_that_lead_nowhere_are_told() {
    let scene = scene();
    let begins = |words: &str, text: &str| {
        let (said, code) = scene.control(words);
        assert!(said.starts_with(text), "{said}");
        assert_eq!(code, 1);
    };

    begins("-s foo://x status", "error: <class 'ValueError'>, Unknown protocol for serverurl foo:");
    begins("-s http://h:x avail", "error: <class 'ValueError'>, Port could not be cast to integer");
    begins("-s http://no.invalid:1 avail", "error: <class 'socket.gaierror'>, Name or service not");
}

#[test]
fn the_foreground_ends_with_its_input() {
    use std::io::Write as _;
    let scene = scene();
    let output = scene.tool("fg p").output().unwrap();
    assert_eq!(output.stdout, b"==> Press Ctrl-C to exit <==\nExiting foreground\n");
    assert_eq!(output.status.code(), Some(0), "there is no input");
    let mut child = scene
        .tool("")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    input.write_all(b"fg p\nhello\n").unwrap();
    scene.play.await_heard("stdin p hello\n");
    drop(input);

    let output = child.wait_with_output().unwrap();

    let text = String::from_utf8(output.stdout).unwrap();
    let ending = "==> Press Ctrl-C to exit <==\nExiting foreground\nsupervisor> \n";
    assert!(text.ends_with(ending), "{text}");
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn a_log_that_nobody_reads_is_not_followed() {
    use std::io::{BufRead as _, BufReader, Write as _};
    let scene = scene();
    let log = scene.room.path().join("p.out");
    std::fs::write(&log, "old\n").unwrap();
    let mut child = scene.tool("tail -f p").stdout(Stdio::piped()).spawn().unwrap();
    let mut reader = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    while line != "old\n" {
        line.clear();
        reader.read_line(&mut line).unwrap();
    }

    drop(reader);

    // What another test clones reads too, until it executes its program.
    let mut file = std::fs::OpenOptions::new().append(true).open(&log).unwrap();
    let mut status = None;
    wait_until("the tool to end", || {
        file.write_all(b"new\n").unwrap();
        status = child.try_wait().unwrap();
        status.is_some()
    })
    .unwrap();
    assert_eq!(status.unwrap().code(), Some(0));
}

#[test]
fn a_script_that_asks_for_questions_gets_no_shell() {
    let scene = scene();

    assert_eq!(scene.control("-i stop ghost"), prints("ghost: ERROR (no such process)\n", 1));
    let question = "Really shut the remote supervisord process down y/N? ";
    assert_eq!(scene.control("-i shutdown"), prints(question, 0));
}
