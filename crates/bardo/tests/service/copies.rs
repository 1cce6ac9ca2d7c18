//! Programs that are started from memory: rows 40 and 41, and what cannot be (row 18).

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;

use bardo::selftest::home::{copy_executable, write_executable};
use bardo::service::reply::Service;

use super::scene::{Scene, open, open_prepared, send};

/// A program of the file that is started from a copy of this file in the folder.
fn program(name: &str, file: &str, copy: &str) -> String {
    format!(
        "[program:{name}]\ncommand={{here}}/{file} {name}\nautostart=false\nstartsecs=0\n\
         ready=alive\nbinary_copy={copy}\n\n"
    )
}

fn start(scene: &Scene, name: &str) {
    scene.client().about("startProcess", name).unwrap();
}

/// How a service stands, as `show` has it.
fn show(scene: &Scene, label: &str) -> Service {
    let output = scene.service(&["show", label, "--json"]).ends_with(0);
    serde_json::from_str(&output.stdout).unwrap()
}

fn detail(service: &Service, name: &str) -> Option<String> {
    let mut details = service.details.iter();
    details.find(|(detail, _)| detail == name).map(|(_, text)| text.clone())
}

/// The file that a process executes: its device, its number, its bytes.
fn executed(pid: u32) -> (u64, u64, Vec<u8>) {
    let file = format!("/proc/{pid}/exe");
    let there = fs::metadata(&file).unwrap();
    (there.dev(), there.ino(), fs::read(&file).unwrap())
}

/// A program of its own in the folder: a shell that waits.
fn shell(scene: &Scene, name: &str) {
    // It is the one file that every machine has of which we know what it does.
    copy_executable(Path::new("/bin/sleep"), &scene.home.file(name)).unwrap();
}

/// The same, which sleeps for the number of its name.
fn sleeper(name: &str, copy: &str) -> String {
    program(name, "sleeper", copy)
}

#[test]
fn row_40_a_program_is_started_from_its_copy_when_its_file_is_replaced() {
    let scene = open(&sleeper("1000", "yes"));
    shell(&scene, "sleeper");
    let former = fs::read(scene.home.file("sleeper")).unwrap();
    start(&scene, "1000");
    let first = scene.find("1000").unwrap().pid;
    let (device, number, bytes) = executed(first);
    assert_eq!(bytes, former);
    let on_disk = fs::metadata(scene.home.file("sleeper")).unwrap();
    assert_ne!((device, number), (on_disk.dev(), on_disk.ino()), "it is not the file");
    let written = fs::OpenOptions::new().write(true).open(format!("/proc/{first}/exe"));
    let refused = written.and_then(|mut file| std::io::Write::write_all(&mut file, b"x"));
    assert!(refused.is_err(), "nobody can write to it");

    fs::remove_file(scene.home.file("sleeper")).unwrap();
    copy_executable(Path::new("/bin/false"), &scene.home.file("sleeper")).unwrap();
    send(first, 9).unwrap();

    let again = scene.until("1000", "it runs again", |it| it.pid != 0 && it.pid != first);
    scene.wait("it has executed its program", || executed(again.pid).2 == former);
    assert_eq!(executed(again.pid).1, number);
}

#[test]
fn a_copy_outlives_the_supervisor_and_goes_with_its_service() {
    let scene = open(&sleeper("1000", "yes"));
    shell(&scene, "sleeper");
    start(&scene, "1000");
    let first = scene.find("1000").unwrap().pid;
    let (_, number, _) = executed(first);
    fs::remove_file(scene.home.file("sleeper")).unwrap();

    scene.daemon.kill_supervisor().unwrap();
    send(first, 9).unwrap();

    let again = scene.until("1000", "it runs again", |it| it.pid != 0 && it.pid != first);
    scene.wait("it has executed its program", || executed(again.pid).1 == number);
    let told = detail(&show(&scene, "1000"), "copy in memory").unwrap();
    assert!(told.contains(&format!("inode {number}, ")), "{told}");
    scene.client().about("stopProcess", "1000").unwrap();
    scene.client().about("removeProcessGroup", "1000").unwrap();
    let holds = || {
        let files = fs::read_dir(format!("/proc/{}/fd", scene.daemon.keeper())).unwrap();
        files
            .flatten()
            .filter(|file| fs::metadata(file.path()).is_ok_and(|it| it.ino() == number))
            .count()
    };
    scene.wait("the keeper lets go of it", || holds() == 0);
}

#[test]
fn row_41_services_share_a_copy_by_name_and_content() {
    let many = sleeper("1000", "shared\nnumprocs=3\nprocess_name=%(process_num)d");
    let scene = open(&(many + &sleeper("1003", "yes")));
    shell(&scene, "sleeper");
    ["1000:0", "1000:1", "1003"].iter().for_each(|name| start(&scene, name));
    let inode = |name: &str| executed(scene.find(name).unwrap().pid).1;

    assert_eq!(inode("1000:0"), inode("1000:1"), "one copy, whose pages are there once");
    assert_ne!(inode("1000:0"), inode("1003"), "one of its own");
    assert_eq!(detail(&show(&scene, "1000:0"), "shared with").as_deref(), Some("1000:1"));
    assert_eq!(detail(&show(&scene, "1003"), "shared with"), None);

    let mut other = fs::read("/bin/sleep").unwrap();
    other.extend(b"and more");
    fs::write(scene.home.file("sleeper"), &other).unwrap();
    start(&scene, "1000:2");

    assert_eq!(executed(scene.find("1000:2").unwrap().pid).2, other);
    assert!(scene.log().contains("it is given a copy of its own"), "{}", scene.log());
}

#[test]
fn what_still_comes_from_the_disk_is_told() {
    let scene = open(&(sleeper("1000", "yes") + &program("script", "script.sh", "yes")));
    shell(&scene, "sleeper");
    scene.script("script.sh", "exec sleep 1000");
    ["1000", "script"].iter().for_each(|name| start(&scene, name));

    let service = show(&scene, "1000");
    let hash = detail(&service, "copy in memory").unwrap();
    let bytes = fs::metadata("/bin/sleep").unwrap().len();
    assert!(hash.contains(&format!(" {bytes} bytes, sha256 ")), "{hash}");
    let libraries = detail(&service, "not in memory");
    if let Some(libraries) = libraries {
        assert!(libraries.starts_with("shared libraries come from the disk: /"), "{libraries}");
    }
    let script = detail(&show(&scene, "script"), "not in memory").unwrap();
    assert_eq!(script, "the interpreter of the script comes from the disk");
}

#[test]
fn row_18_what_cannot_be_executed_is_refused_with_its_errno() {
    let kinds = [
        ("text", "cannot be executed: ENOEXEC"),
        ("plain", "is not executable"),
        ("absent", "can't find command"),
    ];
    // From a copy, and from the file itself.
    let names = kinds.map(|(name, _)| [(name.to_owned(), "yes"), (format!("{name}-file"), "no")]);
    let all: String =
        names.as_flattened().iter().map(|(name, copy)| program(name, name, copy)).collect();
    let scene = open_prepared(&all.replace("autostart=false\n", ""), |home| {
        for (name, mode) in [("text", 0o755), ("plain", 0o644)] {
            for file in [home.file(name), home.file(&format!("{name}-file"))] {
                write_executable(&file, b"no program\n").unwrap();
                fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
            }
        }
    });

    for ((_, why), names) in kinds.iter().zip(&names) {
        for (name, _) in names {
            let file = format!("/{name}'");
            let is_it = |line: &str| line.contains(&file) && line.contains(why);
            scene.wait(&format!("{name} {why}"), || scene.log().lines().any(is_it));
        }
    }
}

#[test]
fn row_40_what_service_brings_up_with_c_keeps_its_bytes() {
    let scene = open("");
    shell(&scene, "sleeper");
    let file = scene.home.file("sleeper").display().to_string();
    let words = ["-c", "up", &file, "-args", "1000", "-ready", "alive", "-alive", "0"];
    scene.service(&words).ends_with(0);
    let first = scene.find("sleeper").unwrap();
    assert!(first.flags.contains('C'), "{first:?}");
    let (_, number, former) = executed(first.pid);
    fs::remove_file(&file).unwrap();
    copy_executable(Path::new("/bin/false"), file.as_ref()).unwrap();

    scene.service(&["-c", "edit", &file, "-label", "sleeper"]).ends_with(0);
    scene.service(&["refresh", "sleeper"]).ends_with(0);

    let again = scene.until("sleeper", "it runs", |it| it.pid != 0 && it.pid != first.pid);
    scene.wait("it has executed its program", || executed(again.pid).1 == number);
    assert_eq!(executed(again.pid).2, former);
}
