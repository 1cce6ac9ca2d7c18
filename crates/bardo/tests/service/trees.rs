//! What belongs to a service beside its process: row 30, and what is left of a life when the
//! next one begins.

use std::fs;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use bardo::selftest::home::{Daemon, Home};
use bardo_sys::accounts;
use bardo_sys::stat::Stat;

use super::scene::{Scene, everybodys, executable, open, send};

/// A service that does not mind SIGTERM, with a child that does not either and one that has
/// left its session. It writes down which of those of the life before live when it begins.
const PARENT: &str = r#"
cd "$(dirname "$0")"
trap '' TERM
for pid in $(cat family 2>/dev/null); do
    read -r _ _ state _ < "/proc/$pid/stat" && [ "$state" != Z ] && echo "$pid lives" || echo "$pid is gone"
done >> seen 2>/dev/null
sleep 1000 & echo $! > new
setsid sleep 1000 & echo $! >> new
mv new family
wait
"#;

/// The section of that service, which asks for more than Supervisor knows.
const PROGRAM: &str = "[program:parent]\ncommand={here}/parent.sh\nautostart=false\n\
                       startsecs=0\nready=alive\nstopwaitsecs=1\n";

/// A supervisor with that service, which runs and has its children.
fn family(scene: &Scene) -> Vec<u32> {
    scene.script("parent.sh", PARENT);
    scene.client().about("startProcess", "parent").unwrap();
    children(scene, &[])
}

/// The children of a life that comes after the one with these.
fn children(scene: &Scene, former: &[u32]) -> Vec<u32> {
    let file = scene.home.file("family");
    let read = || -> Vec<u32> {
        let text = fs::read_to_string(&file).unwrap_or_default();
        text.lines().map(|line| line.parse().unwrap()).collect()
    };
    scene.wait("the children are there", || read().len() == 2 && read() != former);
    read()
}

/// Whether what has left the session of a service is found too.
fn is_in_cgroup(scene: &Scene) -> bool {
    let service = scene.find("parent").unwrap();
    service.details.iter().any(|(name, text)| name == "tree" && text.starts_with("cgroup "))
}

fn lives(pid: u32) -> bool {
    Stat::of(pid).is_some_and(|stat| !stat.is_dead)
}

/// What the second life saw of the first one's children.
fn seen(scene: &Scene) -> Vec<String> {
    let file = scene.home.file("seen");
    let read = || fs::read_to_string(&file).unwrap_or_default();
    scene.wait("the next life has looked", || read().lines().count() == 2);
    read().lines().map(|line| line.split_once(' ').unwrap().1.to_owned()).collect()
}

#[test]
fn row_30_down_ends_a_service_that_ignores_it_with_all_that_it_has_started() {
    let scene = open(PROGRAM);
    let children = family(&scene);
    let in_cgroup = is_in_cgroup(&scene);

    scene.service(&["down", "parent"]).ends_with(0);

    scene.wait("its child is gone", || !lives(children[0]));
    if in_cgroup {
        scene.wait("the one that has left its session is gone", || !lives(children[1]));
    } else {
        send(children[1], 9).unwrap();
    }
}

#[test]
fn a_life_begins_when_nothing_of_the_one_before_is_left() {
    let scene = open(PROGRAM);
    let children = family(&scene);
    let in_cgroup = is_in_cgroup(&scene);

    send(scene.find("parent").unwrap().pid, 9).unwrap();

    assert_eq!(seen(&scene)[0], "is gone");
    if in_cgroup {
        assert_eq!(seen(&scene)[1], "is gone");
    } else {
        send(children[1], 9).unwrap();
    }
}

#[test]
fn what_a_life_has_left_is_found_by_the_next_supervisor() {
    let scene = open(PROGRAM);
    let children = family(&scene);
    let in_cgroup = is_in_cgroup(&scene);
    let parent = scene.find("parent").unwrap().pid;

    scene.daemon.kill_supervisor().unwrap();
    send(parent, 9).unwrap();

    assert_eq!(seen(&scene)[0], "is gone");
    if in_cgroup {
        assert_eq!(seen(&scene)[1], "is gone");
    } else {
        send(children[1], 9).unwrap();
    }
}

#[test]
fn when_all_ends_nothing_is_left_of_services_and_their_cgroups() {
    let mut scene = open(PROGRAM);
    let children = family(&scene);
    let service = scene.find("parent").unwrap();
    let tree = service.details.iter().find(|(name, _)| name == "tree").unwrap();

    scene.daemon.signal_keeper(15).unwrap();
    scene.daemon.wait().unwrap();

    assert!(!lives(children[0]));
    match tree.1.strip_prefix("cgroup ") {
        Some(leaf) => {
            assert!(!lives(children[1]));
            let of_daemon = Path::new(leaf).ancestors().nth(2).unwrap();
            assert!(!of_daemon.exists(), "{}", of_daemon.display());
        }
        None => send(children[1], 9).unwrap(),
    }
}

#[test]
fn plain_programs_keep_what_they_have_started() {
    let scene = open(&PROGRAM.replace("ready=alive\n", ""));
    let children = family(&scene);
    assert!(scene.find("parent").unwrap().details.is_empty());

    scene.service(&["down", "parent"]).ends_with(0);

    assert!(children.iter().all(|child| lives(*child)), "as Supervisor leaves them");
    children.iter().for_each(|child| send(*child, 9).unwrap());
}

/// A supervisor that is nobody's, which may make no cgroups; `None` where there is nobody to
/// be but root, or he may not execute the program that is tested.
fn of_nobody() -> Option<Scene> {
    let nobody = accounts::user_by_name("nobody")?;
    if !rustix::process::geteuid().is_root() {
        return None;
    }
    everybodys()?;
    let home = Home::new("nobody").unwrap();
    let here = home.path().display().to_string();
    home.configure("", &PROGRAM.replace("{here}", &here)).unwrap();
    std::os::unix::fs::chown(home.path(), Some(nobody.uid), Some(nobody.gid)).unwrap();
    let become_nobody = |command: &mut Command| {
        command.uid(nobody.uid).gid(nobody.gid);
    };
    let daemon = Daemon::launch_with(executable(), &home, become_nobody).unwrap();
    Some(Scene { daemon, home })
}

#[test]
fn without_cgroups_a_session_is_what_belongs_to_a_service() {
    let Some(scene) = of_nobody() else { return };
    let children = family(&scene);
    assert!(!is_in_cgroup(&scene));
    let service = scene.find("parent").unwrap();
    let tree = service.details.iter().find(|(name, _)| name == "tree").unwrap();
    assert!(tree.1.contains("who leaves it is not found, because "), "{tree:?}");

    send(service.pid, 9).unwrap();

    assert_eq!(seen(&scene), ["is gone", "lives"]);
    send(children[1], 9).unwrap();
    // While the leader is there, whoever has left its session is known by its parent.
    let children = self::children(&scene, &children);
    scene.service(&["down", "parent"]).ends_with(0);
    scene.wait("its child is gone", || !lives(children[0]));
    if lives(children[1]) {
        send(children[1], 9).unwrap();
    }
}

/// A service that is started again whenever it ends.
const AGAIN: &str = "[program:web]\ncommand=/bin/sleep 1000\nautorestart=true\nstartsecs=0\n\
                     ready=alive\n";

/// The process of that service and its leaf, once that of its next life is there too; nothing
/// where there are no cgroups.
fn with_next_leaf(scene: &Scene) -> Option<(u32, PathBuf, PathBuf)> {
    scene.wait("it runs", || scene.find("web").is_some_and(|web| web.pid > 0));
    let web = scene.find("web").unwrap();
    let tree = web.details.iter().find(|(name, _)| name == "tree");
    let leaf = PathBuf::from(tree.and_then(|(_, text)| text.strip_prefix("cgroup "))?);
    let number: u64 = leaf.file_name()?.to_str()?.parse().ok()?;
    let next = leaf.with_file_name((number + 1).to_string());
    scene.wait("the next leaf is there", || next.is_dir());
    Some((web.pid, leaf, next))
}

/// Waits for another life than this one.
fn next_life(scene: &Scene, former: u32) -> u32 {
    let pid = || scene.find("web").map_or(0, |web| web.pid);
    scene.wait("its next life", || ![0, former].contains(&pid()));
    pid()
}

#[test]
fn a_service_that_crashes_is_born_in_the_leaf_that_is_there_and_another_one_is_made() {
    let scene = open(AGAIN);
    let Some((first, leaf, next)) = with_next_leaf(&scene) else { return };

    send(first, 9).unwrap();

    let second = next_life(&scene, first);
    let cgroup = fs::read_to_string(format!("/proc/{second}/cgroup")).unwrap();
    let name = next.file_name().unwrap().to_str().unwrap();
    assert!(cgroup.lines().any(|line| line.ends_with(&format!("/web/{name}"))), "{cgroup}");
    let (_, now, _) = with_next_leaf(&scene).unwrap();
    assert_eq!(now, next);
    scene.wait("that of its first life is removed", || !leaf.exists());
}

#[test]
fn nothing_is_left_of_the_leaf_that_was_made_for_a_life_that_does_not_follow() {
    let scene = open(AGAIN);
    let Some((_, leaf, _)) = with_next_leaf(&scene) else { return };

    scene.service(&["down", "web"]).ends_with(0);

    let label = leaf.parent().unwrap();
    scene.wait("the leaves are gone", || !label.exists());
}

#[test]
fn a_leaf_that_somebody_has_removed_is_made_when_it_is_needed() {
    let scene = open(AGAIN);
    let Some((first, _, next)) = with_next_leaf(&scene) else { return };
    fs::remove_dir(&next).unwrap();

    send(first, 9).unwrap();

    next_life(&scene, first);
    let (_, now, _) = with_next_leaf(&scene).unwrap();
    assert!(now.starts_with(next.parent().unwrap()));
    assert!(!scene.log().contains("can't"), "{}", scene.log());
}

#[test]
fn a_successor_removes_the_leaf_that_was_made_ahead_and_its_lives_have_leaves() {
    let scene = open(AGAIN);
    let Some((first, leaf, next)) = with_next_leaf(&scene) else { return };

    scene.daemon.kill_supervisor().unwrap();

    scene.wait("what nobody owns is gone", || !next.exists());
    assert!(leaf.is_dir());
    send(first, 9).unwrap();
    next_life(&scene, first);
    let (_, now, _) = with_next_leaf(&scene).unwrap();
    assert_eq!(now, next, "made when it was needed");
}
