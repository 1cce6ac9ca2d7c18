//! What services may use: rows 18, 55, 57, 70 and 71, with real processes.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use bardo::selftest::home::write_executable;
use bardo::service::reply::Service;
use bardo_sys::limits::{self, Limit, Limited};

use super::scene::{Output, Scene, scene, send};

impl Scene {
    /// `service` about `/bin/sleep`, with this entry of `system.conf`.
    fn sleep(&self, verb: &str, entry: &str) -> Output {
        let file = self.home.file("system.conf");
        fs::write(&file, format!("service sleep {{ {entry} }};\n")).unwrap();
        let file = file.display().to_string();
        let words = ["/bin/sleep", "-label", "sleep", "-config", &file, "-args", "1000"];
        let alive = ["-ready", "alive", "-alive", "0"];
        self.service(&[&[verb][..], &words, &alive].concat()).ends_with(0)
    }

    fn show(&self, label: &str) -> Service {
        let output = self.service(&["show", label, "--json"]).ends_with(0);
        serde_json::from_str(&output.stdout).unwrap()
    }
}

/// A field of a process's line in `/proc`, counted as `proc(5)` does.
fn stat(pid: u32, field: usize) -> i64 {
    let line = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let behind = &line[line.rfind(')').unwrap() + 2..];
    behind.split(' ').nth(field - 3).unwrap().parse().unwrap()
}

/// What stands behind a word in a file of a process.
fn told(pid: u32, file: &str, word: &str) -> String {
    let text = fs::read_to_string(format!("/proc/{pid}/{file}")).unwrap();
    let mut lines = text.lines().filter_map(|line| line.strip_prefix(word));
    lines.next().unwrap().split_whitespace().next().unwrap().to_owned()
}

fn nice(pid: u32) -> i64 {
    stat(pid, 19)
}

fn descriptors(pid: u32) -> String {
    told(pid, "limits", "Max open files")
}

fn details<'a>(service: &'a Service, name: &str) -> Vec<&'a str> {
    let named = service.details.iter().filter(|(detail, _)| detail == name);
    named.map(|(_, text)| &**text).collect()
}

/// The service when it has executed its program again: what it may use was set before that, and
/// not at the moment when it was cloned.
fn next_life(scene: &Scene, former: u32) -> Service {
    let is_next = |it: &Service| it.state == "RUNNING" && ![0, former].contains(&it.pid);
    scene.until("sleep", "it runs again", is_next)
}

/// The first processor that we may run on.
fn processor() -> String {
    let list = told(std::process::id(), "status", "Cpus_allowed_list:");
    list.split(['-', ',']).next().unwrap().to_owned()
}

#[test]
fn row_70_priority_processors_and_limits_are_there_before_the_program() {
    let scene = scene();
    let cpu = processor();

    let output =
        scene.sleep("up", &format!("uid SELF; priority 9; quantum 5; cpu {cpu}; nofile 77;"));

    let service = scene.show("sleep");
    let pid = service.pid;
    assert_eq!(nice(pid), 5, "two eighths of twenty");
    assert_eq!(told(pid, "status", "Cpus_allowed_list:"), cpu);
    assert_eq!(descriptors(pid), "77");
    assert_eq!(stat(pid, 6), i64::from(pid), "it leads a session");
    let enforced = details(&service, "enforced");
    assert!(enforced.contains(&"nice 5") && enforced.contains(&"nofile 77"), "{service:?}");
    // Not every kernel has slices, and then that is said.
    let is_short = output.stderr.contains("not enforced: quantum");
    assert_ne!(is_short, enforced.contains(&"quantum 5 ms"), "{output:?} {service:?}");
}

#[test]
fn row_55_what_is_kept_and_not_enforced_is_shown_line_for_line() {
    let scene = scene();

    let output = scene.sleep(
        "up",
        "uid SELF; ipc SYSTEM pm; irq 5; vm NONE; control resize web; controlled-by boss;",
    );

    assert!(output.stderr.contains("not enforced yet: ipc ("), "{output:?}");
    assert!(output.stderr.contains("system.conf:1), irq ("), "{output:?}");
    let service = scene.show("sleep");
    assert_eq!(details(&service, "not enforced yet"), ["ipc SYSTEM pm", "irq 5", "vm NONE"]);
    assert_eq!(details(&service, "controls"), ["resize web"]);
    assert_eq!(details(&service, "controlled by"), ["boss"]);
}

#[test]
fn row_70_what_the_machine_has_not_is_said_and_the_service_runs() {
    let scene = scene();

    let output = scene.sleep("up", "uid SELF; cpu 4000;");

    let service = scene.show("sleep");
    let line = "cpu 4000: it is not there, so it runs on ";
    assert!(output.stderr.contains(&format!("not enforced: {line}")), "{output:?}");
    assert!(details(&service, "not enforced")[0].starts_with(line), "{service:?}");
    assert_eq!(told(service.pid, "status", "Cpus_allowed_list:"), processor());
    assert!(scene.log().contains("sleep: cpu 4000 is not enforced"), "{}", scene.log());
    // It is told again when it is asked for anew, and not with everything else that is edited.
    let other = scene.service(&["edit", "self", "-label", "sleep", "-stop-signal", "INT"]);
    assert_eq!(other.ends_with(0).stderr, "service: note: at once: stop\n");
    let again = scene.sleep("edit", "uid SELF; cpu 4001;");
    assert!(again.stderr.contains("not enforced: cpu 4001: "), "{again:?}");
}

#[test]
fn row_55_limits_are_changed_at_once() {
    let scene = scene();
    scene.sleep("up", "uid SELF; priority 9; nofile 77;");
    let pid = scene.show("sleep").pid;

    scene.sleep("edit", "uid SELF; priority 11; nofile 66;");

    scene.wait("it is nicer", || nice(pid) == 10);
    scene.wait("it has fewer descriptors", || descriptors(pid) == "66");

    scene.sleep("edit", "uid SELF; priority 11;");

    // To raise a hard limit is a right that not every root has.
    let is_later = || scene.log().contains("sleep: nofile takes effect at the next start");
    let is_raised = || descriptors(pid) != "66";
    scene.wait("it has as many as anybody, or will have", || is_later() || is_raised());
    let service = scene.show("sleep");
    assert_eq!((nice(pid), service.pid), (10, pid));
    assert!(!details(&service, "enforced").iter().any(|it| it.starts_with("nofile")));
    scene.service(&["refresh", "sleep"]).ends_with(0);
    let again = next_life(&scene, pid).pid;
    assert_ne!(descriptors(again), "66", "it has as many as anybody");
    assert_eq!(nice(again), 10);
    assert!(details(&scene.show("sleep"), "not enforced").is_empty());
}

#[test]
fn what_an_edit_has_no_descriptor_for_the_same_edit_does_later() {
    let scene = scene();
    scene.sleep("up", "uid SELF; priority 9;");
    let pid = scene.show("sleep").pid;
    let supervisor = scene.daemon.supervisor().unwrap().pid;
    let all = limits::get(Limited::Descriptors);
    let open = fs::read_dir(format!("/proc/{supervisor}/fd")).unwrap().count() as u64;
    // Whoever asks is let in all the same.
    let few = Limit { soft: open, ..all };

    limits::set_of(supervisor, Limited::Descriptors, few).unwrap();
    scene.sleep("edit", "uid SELF; priority 11;");

    let said = "sleep: nice takes effect at the next start, because its processes cannot be held";
    // Where it has a cgroup, the client may have given its own back by then.
    scene.wait("it is said", || scene.log().contains(said) || nice(pid) == 10);
    limits::set_of(supervisor, Limited::Descriptors, all).unwrap();
    scene.sleep("edit", "uid SELF; priority 11;");
    scene.wait("it is nicer", || nice(pid) == 10);
    assert_eq!(details(&scene.show("sleep"), "not enforced"), [""; 0]);
}

#[test]
fn rows_55_and_71_memory_is_limited_or_it_is_said_why_not() {
    let scene = scene();
    let first = scene.sleep("up", "uid SELF; memory max 64M; pids 9;");
    let service = scene.show("sleep");

    let second = scene.sleep("edit", "uid SELF; memory max 96M; pids 9;");

    let again = scene.show("sleep");
    assert_eq!(again.pid, service.pid);
    for (limit, file, values) in
        [("memory max", "memory.max", ["67108864", "100663296"]), ("pids", "pids.max", ["9", "9"])]
    {
        let leaf = details(&service, "tree")[0].strip_prefix("cgroup ");
        let file = leaf.map(|leaf| format!("{leaf}/{file}"));
        match file.filter(|file| fs::metadata(file).is_ok()) {
            Some(file) => {
                scene.wait(limit, || fs::read_to_string(&file).unwrap().trim() == values[1]);
            }
            None => {
                let says = |output: &Output, value: &str| {
                    output.stderr.contains(&format!("not enforced: {limit} {value}: "))
                };
                assert!(says(&first, values[0]), "{first:?}");
                // What an edit leaves as it is has been told.
                assert_eq!(says(&second, values[1]), values[0] != values[1], "{second:?}");
            }
        }
    }
    send(again.pid, 9).unwrap();
    scene.wait("its next life", || ![0, again.pid].contains(&scene.show("sleep").pid));
    let next = scene.show("sleep");
    let file = details(&next, "tree")[0].strip_prefix("cgroup ").map(|it| format!("{it}/pids.max"));
    match file.filter(|file| fs::metadata(file).is_ok()) {
        Some(_) => {
            let leaf = details(&next, "tree")[0].strip_prefix("cgroup ").unwrap();
            let memory = fs::read_to_string(format!("{leaf}/memory.max")).unwrap();
            assert_eq!(memory.trim(), "100663296", "not what was asked for before");
        }
        None => {
            let said = details(&next, "not enforced").join("\n");
            assert!(said.contains("memory max 100663296"), "{said}");
            assert!(!said.contains("memory max 67108864"), "{said}");
        }
    }
}

#[test]
fn row_57_an_edit_leaves_the_user_as_it_is() {
    let scene = scene();
    scene.sleep("up", "uid SELF;");
    let first = scene.show("sleep").pid;
    let user = told(first, "status", "Uid:");

    scene.sleep("edit", "uid nobody;");
    scene.service(&["refresh", "sleep"]).ends_with(0);

    let again = next_life(&scene, first);
    assert_eq!(told(again.pid, "status", "Uid:"), user);
}

#[test]
fn row_18_up_ends_with_the_errno_of_what_cannot_be_executed() {
    let scene = scene();
    for (name, mode, errno) in [("text", 0o755, 8), ("plain", 0o644, 13)] {
        let file = scene.home.file(name);
        write_executable(&file, b"no program\n").unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
        let file = file.display().to_string();

        // From the file, from a copy of its own, and from one that is shared.
        for switches in [&[][..], &["-c"], &["-r"]] {
            let words = [switches, &["up", &file][..]].concat();
            let output = scene.service(&words).ends_with(errno);
            assert!(output.stderr.contains(&format!("(error {errno})")), "{output:?}");
        }
    }
    assert_eq!(scene.services(), []);
}
