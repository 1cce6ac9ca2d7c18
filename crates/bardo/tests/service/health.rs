//! Checks of a service's health: as whom they are made, and what they leave behind.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use bardo_sys::accounts;
use bardo_sys::stat::Stat;

use super::scene::{Scene, executable, open, open_prepared};

/// Lines that a command has written, without what it has not finished.
fn lines(scene: &Scene, name: &str) -> Vec<String> {
    let text = fs::read_to_string(scene.home.file(name)).unwrap_or_default();
    text.split_inclusive('\n')
        .filter_map(|line| Some(line.strip_suffix('\n')?.to_owned()))
        .collect()
}

#[test]
fn a_health_command_is_what_its_service_is_after_a_takeover_too() {
    let nobody = accounts::user_by_name("nobody");
    let nobody = nobody.filter(|_| rustix::process::geteuid().is_root());
    let uid = nobody.as_ref().map_or(rustix::process::geteuid().as_raw(), |nobody| nobody.uid);
    let user = if nobody.is_some() { "user=nobody\n" } else { "" };
    let program = format!(
        "[program:web]\ncommand=/bin/sleep 1000\nstartsecs=0\n{user}environment=MARK=7\n\
         directory=/usr\nhealth_interval=0.05\n\
         health_command=echo \"$(id -u) $MARK $(pwd)\" >> {{here}}/seen\n"
    );
    let scene = open_prepared(&program, |home| {
        let everybody = |path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode));
        fs::write(home.file("seen"), "").unwrap();
        everybody(home.file("seen"), 0o666).unwrap();
        everybody(home.path().to_owned(), 0o755).unwrap();
    });
    scene.wait("checks are made", || lines(&scene, "seen").len() >= 2);

    scene.daemon.kill_supervisor().unwrap();

    let before = lines(&scene, "seen").len();
    scene.wait("checks go on", || lines(&scene, "seen").len() >= before + 3);
    for line in lines(&scene, "seen") {
        assert_eq!(line, format!("{uid} 7 /usr"));
    }
}

#[test]
fn what_a_health_command_leaves_behind_is_ended() {
    let scene = open(
        "[program:web]\ncommand=/bin/sleep 1000\nstartsecs=0\nhealth_interval=0.05\n\
         health_command=/bin/sleep 1000 & echo $! >> {here}/seen\n",
    );
    let pids = || -> Vec<u32> {
        lines(&scene, "seen").iter().filter_map(|line| line.parse().ok()).collect()
    };

    scene.wait("checks are made", || pids().len() >= 3);

    let first = pids()[0];
    let is_there = || Stat::of(first).is_some_and(|stat| !stat.is_dead);
    scene.wait("what the first one has left is gone", || !is_there());
    let web = scene.find("web").unwrap();
    assert!(Stat::of(web.pid).is_some_and(|stat| !stat.is_dead), "its service is left alone");
}

#[test]
fn checks_leave_no_cgroups_behind() {
    let scene = open(
        "[program:web]\ncommand=/bin/sleep 1000\nstartsecs=0\nhealth_interval=0.05\n\
         health_command=cat /proc/self/cgroup >> {here}/seen; echo >> {here}/times\n",
    );
    scene.wait("checks are made", || lines(&scene, "times").len() >= 3);
    let web = scene.find("web").unwrap();
    let tree = web.details.iter().find(|(name, _)| name == "tree");
    let Some(leaf) = tree.and_then(|(_, text)| text.strip_prefix("cgroup ")) else { return };
    let label = std::path::Path::new(leaf).parent().unwrap();

    let seen = lines(&scene, "seen");
    let own = |line: &&String| line.starts_with("0::") && line.contains("/web/");
    assert!(seen.iter().filter(own).count() >= 3, "each is born in one of its own: {seen:?}");
    scene.service(&["down", "web"]).ends_with(0);
    scene.wait("they are removed", || {
        fs::read_dir(label)
            .map_or(true, |entries| entries.flatten().all(|entry| !entry.path().is_dir()))
    });
}

#[test]
fn a_health_command_that_is_not_there_is_told_of_once() {
    let scene = open(
        "[program:web]\ncommand=/bin/sleep 1000\nstartsecs=0\nhealth_interval=0.05\n\
         health_retries=1000\nhealth_command=echo >> {here}/times; [ -e {here}/code ] && \
         exit $(cat {here}/code); /nowhere/probe\n",
    );
    let text = "the command that checks it ended with 127, by which a shell says that it cannot \
                find the command";
    let why = || {
        let mut command = std::process::Command::new(executable());
        command.args(["why", "web", "--socket"]).arg(scene.home.file("s.sock"));
        String::from_utf8(command.output().unwrap().stdout).unwrap()
    };

    scene.wait("it is told", || why().contains(text));

    let line = format!("WARN web: {text}\n");
    scene.wait("a line", || scene.home.main_log().contains(&line));
    let ends_with = |code: &str| {
        fs::write(scene.home.file("next"), code).unwrap();
        fs::rename(scene.home.file("next"), scene.home.file("code")).unwrap();
        let before = lines(&scene, "times").len();
        scene.wait("it ends like that", || lines(&scene, "times").len() >= before + 3);
    };
    // That it is found now and fails says nothing of the next time.
    ends_with("1");
    assert!(why().contains(text));
    ends_with("127");
    ends_with("0");
    scene.wait("it has succeeded", || !why().contains(text));
    assert_eq!(scene.home.main_log().matches(&line).count(), 1, "{}", scene.home.main_log());
}
