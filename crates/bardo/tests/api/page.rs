//! The pages, as a browser without scripts meets them.

use crate::scene::{Scene, open, scene};

/// What the control thread was asked to do.
fn told(scene: &Scene) -> Vec<String> {
    scene.play.world.lock().unwrap().heard.clone()
}

/// Follows an action's link and says where the browser is sent.
fn message(scene: &Scene, query: &str) -> String {
    let answer = scene.http("GET", &format!("/index.html?{query}"), "", "");
    assert_eq!(answer.status, 301, "{query}");
    let location = answer.header("Location").expect("a place to go to").to_owned();
    location.split_once("/?message=").expect("a message").1.to_owned()
}

#[test]
fn the_first_page_has_a_row_for_every_process() {
    let scene = scene();

    let page = scene.http("GET", "/", "", "").body;

    for name in ["p", "q", "g%3Ag1", "g%3Ag2", "bad"] {
        assert!(page.contains(&format!("tail.html?processname={name}\"")), "{name}: {page}");
    }
    assert!(page.contains("index.html?processname=p&amp;action=stop\""));
    assert!(page.contains("index.html?processname=q&amp;action=start\""));
    assert!(page.contains("logtail/g%3Ag1/stderr\""));
    assert!(page.contains("<title>Supervisor Status</title>"));
}

#[test]
fn pages_are_not_kept_by_browsers() {
    let scene = scene();

    for path in ["/", "/index.html", "/tail.html", "/ok.html", "/?message=x"] {
        let answer = scene.http("GET", path, "", "");
        assert_eq!(answer.status, 200, "{path}");
        assert_eq!(answer.header("Cache-Control"), Some("no-cache"), "{path}");
        assert_eq!(answer.header("Pragma"), Some("no-cache"), "{path}");
        assert_eq!(answer.header("Expires"), Some("Thu, 01 Jan 1970 00:00:00 GMT"), "{path}");
    }
}

#[test]
fn an_action_takes_effect_and_says_so() {
    let scene = scene();

    assert_eq!(message(&scene, "processname=q&action=start"), "Process%20q%20started");
    assert!(told(&scene).iter().any(|words| words.contains("Start") && words.contains('q')));
    assert_eq!(message(&scene, "processname=p&action=stop"), "Process%20p%20stopped");
    assert_eq!(
        message(&scene, "processname=g%3Ag1&action=clearlog"),
        "Log%20for%20g%3Ag1%20cleared"
    );
    assert!(message(&scene, "action=refresh").starts_with("Page%20refreshed%20at%20"));
}

#[test]
fn a_form_may_be_posted_too() {
    let scene = scene();
    let kind = "Content-Type: application/x-www-form-urlencoded\r\n";

    let answer = scene.http("POST", "/index.html", kind, "processname=q&action=start");

    assert_eq!(answer.status, 301);
    let location = answer.header("Location").unwrap();
    assert!(location.ends_with("/?message=Process%20q%20started"), "{location}");
}

#[test]
fn what_cannot_be_done_is_told_in_the_message() {
    let scene = scene();

    assert_eq!(
        message(&scene, "processname=ghost&action=stop"),
        "No%20such%20process%20named%20ghost"
    );
    assert_eq!(
        message(&scene, "processname=bad&action=start"),
        "ERROR%3A%20Process%20bad%3A%20no%20such%20file"
    );
    assert_eq!(
        message(&scene, "processname=p&action=start"),
        "ERROR%3A%20Process%20p%3A%20already%20started"
    );
    assert_eq!(
        message(&scene, "processname=q&action=stop"),
        "unexpected%20rpc%20fault%20%5B70%5D%20NOT_RUNNING%3A%20q"
    );
    assert_eq!(scene.http("GET", "/?action=dance", "", "").status, 500);
}

#[test]
fn a_page_of_another_server_can_do_nothing() {
    let scene = scene();

    let stolen = "Origin: http://evil.example\r\n";
    let answer = scene.http("POST", "/index.html?action=stopall", stolen, "");

    assert_eq!(answer.status, 403);
    assert!(answer.body.contains("nothing was done"), "{}", answer.body);
    assert!(told(&scene).is_empty(), "{:?}", told(&scene));
}

#[test]
fn a_message_is_shown_and_is_no_markup() {
    let scene = scene();

    let page = scene.http("GET", "/?message=Done%3Cscript%3E", "", "").body;

    assert!(page.contains("class=\"status_msg\">Done&"), "{page}");
    assert!(!page.contains("Done<") && page.matches("<script").count() == 1, "{page}");
}

#[test]
fn the_tail_page_says_what_it_cannot_show() {
    let scene = scene();
    let page = |query: &str| scene.http("GET", &format!("/tail.html{query}"), "", "").body;

    assert!(page("").contains("No process name found"));
    assert!(
        page("?processname=ghost").contains("ERROR: unexpected rpc fault [10] BAD_NAME: ghost")
    );
    assert!(
        page("?processname=g%3Ag1&limit=2000")
            .contains("tail.html?processname=g%3Ag1&amp;limit=2000")
    );
}

#[test]
fn during_the_end_the_page_says_so() {
    let scene = scene();
    scene.play.world.lock().unwrap().shutting_down = true;

    let answer = scene.http("GET", "/", "", "");

    assert_eq!(answer.status, 503);
    assert!(answer.body.contains("The supervisor is ending"));
}

#[test]
fn files_are_sent_once() {
    let scene = scene();

    let first = scene.http("GET", "/stylesheets/supervisor.css", "", "");
    let date = first.header("Last-Modified").expect("a date").to_owned();
    let again = scene.http(
        "GET",
        "/stylesheets/supervisor.css",
        &format!("If-Modified-Since: {date}\r\n"),
        "",
    );

    assert_eq!((first.status, first.header("Content-Type")), (200, Some("text/css")));
    assert_eq!((again.status, &*again.body), (304, ""));
    assert_eq!(scene.http("GET", "/images", "", "").header("Location"), Some("/images/"));
    assert_eq!(scene.http("GET", "/images/", "", "").status, 404);
    assert_eq!(scene.http("GET", "/images/../../etc/passwd", "", "").status, 404);
    assert_eq!(scene.http("POST", "/images/icon.png", "", "").status, 400);
}

#[test]
fn pages_and_files_ask_for_the_password() {
    let scene = open(Some(("user", "123")));

    for path in ["/index.html?action=stopall", "/tail.html", "/images/icon.png"] {
        assert_eq!(scene.http("GET", path, "", "").status, 401, "{path}");
    }
    assert!(told(&scene).is_empty());
}
