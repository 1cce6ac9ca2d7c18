//! Programs that are started from memory.

use std::fs;
use std::os::fd::AsFd as _;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;

use bardo_sys::child::{ChildError, Step};
use bardo_sys::image::Image;
use bardo_sys::plan::Plan;
use bardo_sys::spawn::{Extra, Extras, Room};

use crate::scene::{Scene, alone, shell, strings};

fn write(path: &Path, text: &str) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, PermissionsExt::from_mode(0o755)).unwrap();
}

fn load(path: &Path) -> Option<Arc<Image>> {
    Some(Arc::new(Image::load(path).unwrap()))
}

#[test]
fn a_program_runs_as_it_was_when_its_file_is_another_one_or_gone() {
    alone("image::helper_program");
}

#[test]
#[ignore = "it is run by the test above, in a process of its own"]
fn helper_program() {
    let mut scene = Scene::new();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("program");
    fs::copy("/bin/sh", &path).unwrap();
    let plan = || Plan {
        words: strings(&[path.to_str().unwrap(), "-c", "echo old $0; ls /proc/$$/fd"]),
        ..shell("")
    };
    let image = load(&path);
    let run = |scene: &mut Scene| {
        let null = fs::File::open("/dev/null").unwrap();
        let files = [Extra { file: null.as_fd(), number: 3 }];
        let plan = Plan { image: image.clone(), ..plan() };
        scene.run(plan, &Extras { files: &files, ..Extras::default() })
    };
    let expected = format!("old {}\n0\n1\n2\n3\n", path.display());

    fs::remove_file(&path).unwrap();
    write(&path, "#!/bin/sh\necho new\n");
    assert_eq!(run(&mut scene), expected);
    fs::remove_file(&path).unwrap();
    assert_eq!(run(&mut scene), expected);
    scene.spawner.settle(&mut Vec::new());
    scene.fill();
    assert_eq!(scene.spawner.room(), Room::Slow);
    assert_eq!(run(&mut scene), expected, "with a table of its own");
}

#[test]
fn a_script_runs_as_it_was() {
    alone("image::helper_script");
}

#[test]
#[ignore = "it is run by the test above, in a process of its own"]
fn helper_script() {
    let mut scene = Scene::new();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("script");
    write(&path, "#!/bin/sh\necho old $0 $1\n");
    let words = strings(&[path.to_str().unwrap(), "word"]);
    let plan = Plan { words, image: load(&path), ..shell("") };
    fs::remove_file(&path).unwrap();

    assert_eq!(scene.run(plan, &Extras::default()), "old /dev/fd/250 word\n");

    write(&path, "#!/nowhere/at/all\n");
    let plan = Plan { image: load(&path), ..shell("") };
    let settled = scene.fail(plan, &Extras::default());
    assert_eq!(settled.error, Some(ChildError::Failed(Step::Exec, libc::ENOENT)));
}
