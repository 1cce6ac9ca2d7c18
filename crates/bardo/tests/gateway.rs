//! The gateway of `examples/`, with real servers, as its README tells to run it.
//!
//! nginx is looked for on the `PATH` and in `/usr/sbin`; gunicorn in the virtual
//! environment that `BARDO_TEST_VENV` names, and on the `PATH`. Without them the
//! test says that it is skipped.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use bardo::client::Client;
use bardo_wire::xmlrpc::Value;
use rustix::process::{Pid, Signal, getuid, kill_process};
use serde_json::Value as Json;

/// How long anything may take before the test gives up: much longer than it does.
const PATIENCE: Duration = Duration::from_secs(30);

/// The pause between two looks at something that is waited for.
const LOOK_EVERY: Duration = Duration::from_millis(10);

#[test]
fn real_servers_are_started_kept_running_and_stopped_in_order() {
    let Some(path) = search_path() else {
        println!("skipped: nginx or gunicorn is not installed");
        println!("on Debian: apt-get install nginx-light python3-venv");
        println!("then: python3 -m venv V && V/bin/pip install gunicorn");
        println!("and: BARDO_TEST_VENV=V");
        return;
    };
    let mut gateway = Gateway::start(path);
    for program in ["network", "api"] {
        assert_eq!(gateway.state(program), "STOPPED", "autostart=false");
    }

    gateway.call("startProcessGroup", vec![Value::from("server"), Value::from(true)]);

    assert_eq!(gateway.state("network"), "RUNNING");
    assert_eq!(gateway.state("api"), "RUNNING");
    gateway.wait_for("the network server", |gateway| gateway.get("/").is_some());
    assert_eq!(gateway.get("/").as_deref(), Some("The gateway is up.\n"));
    let answer = gateway.wait_for_api("the API", |_| true);
    assert_eq!(answer["program"], "api");
    assert_eq!(answer["group"], "server");
    assert_eq!(answer["path"], "/api/hello");
    assert_eq!(answer["gateway"], gateway.directory.path().to_str().expect("a plain path"));
    assert_eq!(answer["server"], gateway.pid("api"));

    let killed = gateway.pid("network");
    gateway.kill("network");
    gateway.wait_for("another network server", |gateway| {
        let pid = gateway.pid("network");
        pid != 0 && pid != killed && gateway.get("/").is_some()
    });

    let killed = gateway.pid("api");
    gateway.kill("api");
    gateway.wait_for("another API server", |gateway| ![0, killed].contains(&gateway.pid("api")));
    let present = gateway.pid("api");
    // Until they notice, the workers of the killed one answer too.
    gateway.wait_for_api("an answer of its workers", |answer| answer["server"] == present);

    assert_eq!(gateway.stop(), Some(0));
    let log = gateway.read("supervisord.log");
    let position = |text: &str| {
        log.find(text).unwrap_or_else(|| panic!("the main log has no line `{text}`:\n{log}"))
    };
    let told = |program: &str| position(&format!("DEBG killing {program} (pid "));
    assert!(told("api") < told("network"), "the higher number is told first:\n{log}");
    assert!(told("network") < position("stopped: network"), "{log}");
    position("stopped: api");
    assert!(gateway.read("server-network.log").contains("\"GET /api/hello HTTP/1.0\" 200"));
    assert!(gateway.read("server-api.log").contains("Listening at: unix:"));
}

/// Where programs are looked for; `None` when one of the servers is nowhere.
fn search_path() -> Option<OsString> {
    let usual = env::var_os("PATH").unwrap_or_default();
    let environment = env::var_os("BARDO_TEST_VENV").map(|venv| Path::new(&venv).join("bin"));
    let directories: Vec<PathBuf> =
        environment.into_iter().chain(env::split_paths(&usual)).collect();
    let has = |name: &str| directories.iter().any(|directory| directory.join(name).is_file());
    let nginx = has("nginx") || Path::new("/usr/sbin/nginx").is_file();
    (nginx && has("gunicorn")).then(|| env::join_paths(&directories).expect("they were joined"))
}

/// A copy of the example that runs.
struct Gateway {
    directory: tempfile::TempDir,
    port: u16,
    daemon: Child,
}

impl Gateway {
    fn start(path: OsString) -> Self {
        let directory = tempfile::tempdir().expect("a directory can be made");
        let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/gateway");
        copy(&example, directory.path());
        let port = free_port();
        let file = directory.path().join("network/nginx.conf");
        let text = fs::read_to_string(&file).expect("it was copied");
        assert!(text.contains("listen 127.0.0.1:8080;"), "the example has its port there");
        fs::write(&file, text.replace(":8080;", &format!(":{port};"))).expect("it is ours");
        let user = bardo_sys::accounts::user_by_id(getuid().as_raw()).expect("we are somebody");
        let daemon = Command::new(env!("CARGO_BIN_EXE_bardo"))
            .args(["supervisord", "-n", "-s", "-e", "debug", "-c"])
            .arg(directory.path().join("supervisord.conf"))
            .env("PATH", path)
            .env("USER", user.name)
            .stdin(Stdio::null())
            .spawn()
            .expect("the binary can be run");
        let mut gateway = Self { directory, port, daemon };
        let socket = gateway.file("supervisor.sock");
        gateway.wait_for("the daemon", |_| UnixStream::connect(&socket).is_ok());
        gateway
    }

    /// A request to the network server; `None` while there is no good answer.
    fn get(&self, path: &str) -> Option<String> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, self.port));
        let mut stream = TcpStream::connect(address).ok()?;
        stream.set_read_timeout(Some(PATIENCE)).expect("a time is given");
        write!(stream, "GET {path} HTTP/1.0\r\n\r\n").ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        let (head, body) = answer.split_once("\r\n\r\n")?;
        head.starts_with("HTTP/1.1 200 ").then(|| body.to_owned())
    }

    fn wait_for_api(&mut self, what: &str, is_it: impl Fn(&Json) -> bool) -> Json {
        let mut found = Json::Null;
        self.wait_for(what, |gateway| {
            let answer = gateway.get("/api/hello");
            let answer = answer.and_then(|body| serde_json::from_str(&body).ok());
            found = answer.unwrap_or_default();
            !found.is_null() && is_it(&found)
        });
        found
    }

    /// Looks until something is true.
    fn wait_for(&mut self, what: &str, mut is_there: impl FnMut(&Self) -> bool) {
        let give_up_at = Instant::now() + PATIENCE;
        while !is_there(self) {
            let ended = !self.daemon.try_wait().is_ok_and(|end| end.is_none());
            if ended || Instant::now() > give_up_at {
                let log = fs::read_to_string(self.file("supervisord.log")).unwrap_or_default();
                panic!("waited in vain for {what}; the main log:\n{log}");
            }
            thread::park_timeout(LOOK_EVERY);
        }
    }

    fn call(&self, method: &str, parameters: Vec<Value>) -> Value {
        let url = format!("unix://{}", self.file("supervisor.sock").display());
        let mut client = Client::new(&url, None, None).expect("a client can be made");
        let answer = client.call(&format!("supervisor.{method}"), parameters);
        answer.unwrap_or_else(|error| panic!("{method}: {error}"))
    }

    fn information(&self, program: &str) -> Value {
        self.call("getProcessInfo", vec![Value::from(format!("server:{program}").as_str())])
    }

    fn state(&self, program: &str) -> String {
        let information = self.information(program);
        let state = information.member("statename").and_then(Value::as_str);
        state.expect("a state").to_owned()
    }

    fn pid(&self, program: &str) -> i64 {
        let information = self.information(program);
        information.member("pid").and_then(Value::as_int).expect("a number")
    }

    fn kill(&self, program: &str) {
        let pid = i32::try_from(self.pid(program)).ok().and_then(Pid::from_raw);
        kill_process(pid.expect("it runs"), Signal::KILL).expect("it is there");
    }

    /// Stops everything as an init system does; returns the exit code.
    fn stop(&mut self) -> Option<i32> {
        kill_process(pid_of(&self.daemon), Signal::TERM).expect("the daemon is there");
        self.daemon.wait().expect("it is our child").code()
    }

    fn file(&self, name: &str) -> PathBuf {
        self.directory.path().join("run").join(name)
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.file(name)).expect("the file is there")
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        // A test that failed leaves no server behind.
        if let Ok(None) = self.daemon.try_wait() {
            let _ = kill_process(pid_of(&self.daemon), Signal::TERM);
            let _ = self.daemon.wait();
        }
    }
}

fn pid_of(child: &Child) -> Pid {
    i32::try_from(child.id()).ok().and_then(Pid::from_raw).expect("a process number")
}

/// A port that nobody listens on just now.
fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("there is a free port");
    listener.local_addr().expect("it is bound").port()
}

fn copy(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).expect("the example is there") {
        let entry = entry.expect("an entry can be read");
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            fs::create_dir_all(&target).expect("a directory can be made");
            // What somebody has tried out there is not part of the example.
            if entry.file_name() != "run" {
                copy(&entry.path(), &target);
            }
        } else {
            fs::copy(entry.path(), target).expect("a file can be copied");
        }
    }
}
