//! `/metrics`, seen through the API's socket.

use bardo_core::Pid;

use crate::scene::{open, scene};

const OPEN_METRICS: &str = "Accept: application/openmetrics-text;version=1.0.0\r\n";

#[test]
fn the_client_says_which_format_it_likes() {
    let scene = scene();

    let text = scene.http("GET", "/metrics", "", "");
    let open = scene.http("GET", "/metrics", OPEN_METRICS, "");

    let kind = "text/plain; version=0.0.4; charset=utf-8";
    assert_eq!(text.header("Content-Type"), Some(kind));
    assert!(text.body.contains("# TYPE bardo_process_starts_total counter\n"), "{}", text.body);
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    assert_eq!(open.header("Content-Type"), Some(kind));
    assert!(open.body.contains("# TYPE bardo_process_starts counter\n"), "{}", open.body);
    assert!(open.body.ends_with("\n# EOF\n"), "{}", open.body);
}

#[test]
fn states_are_those_of_the_table() {
    let scene = scene();

    let text = scene.http("GET", "/metrics", "", "").body;

    assert!(text.contains("bardo_process_state{group=\"p\",name=\"p\"} 20\n"), "{text}");
    assert!(text.contains("bardo_process_state{group=\"g\",name=\"g1\"} 0\n"), "{text}");
    assert!(text.contains("bardo_processes{state=\"RUNNING\"} 1\n"), "{text}");
}

#[test]
fn the_password_is_asked_for() {
    let scene = open(Some(("user", "secret")));

    let stranger = scene.http("GET", "/metrics", "", "");
    let header = "Authorization: Basic dXNlcjpzZWNyZXQ=\r\n";
    let friend = scene.http("GET", "/metrics", header, "");

    assert_eq!(stranger.status, 401);
    assert!(!stranger.body.contains("bardo_"), "{}", stranger.body);
    assert_eq!(friend.status, 200);
}

#[test]
fn it_can_be_read_and_nothing_else() {
    let scene = scene();

    let post = scene.http("POST", "/metrics", "", "");
    let below = scene.http("GET", "/metrics/x", "", "");

    assert_eq!((post.status, below.status), (400, 404));
}

#[test]
fn it_is_there_while_everything_is_being_stopped() {
    let scene = scene();
    scene.play.world.lock().unwrap().shutting_down = true;

    assert_eq!(scene.http("GET", "/metrics", "", "").status, 200);
}

#[test]
fn ten_thousand_processes_are_told_in_one_answer() {
    let scene = scene();
    {
        let mut world = scene.play.world.lock().unwrap();
        let mut one = world.processes[0].clone();
        one.pid = Some(Pid(std::process::id()));
        world.processes = vec![one; 10_000];
    }

    let answer = scene.http("GET", "/metrics", OPEN_METRICS, "");

    let lines = answer.body.lines().filter(|line| line.starts_with("bardo_process_up{")).count();
    assert_eq!(lines, 10_000);
    let bytes = answer.body.len();
    assert!(bytes < 16 << 20, "{bytes} bytes");
    assert!(answer.body.contains("bardo_process_resident_memory_bytes{"), "of this process");
}
