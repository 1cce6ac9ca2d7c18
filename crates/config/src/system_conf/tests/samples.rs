//! Whole files in the manner of a MINIX tree, with every keyword in every shape.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use super::*;
use crate::host::Host as _;

/// The sample files, seen as if they lay in `/etc`.
fn samples() -> (FakeHost, Vec<String>) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/system.conf");
    let mut host = FakeHost::new().user("service", 999, "/");
    let mut paths = Vec::new();
    for folder in [root.clone(), root.join("system.conf.d")] {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_file() {
                let name = path.strip_prefix(&root).unwrap().display();
                paths.push(format!("/etc/{name}"));
                host = host.file(paths.last().unwrap(), fs::read(&path).unwrap());
            }
        }
    }
    (host, paths)
}

/// Every entry of every file, interpreted.
fn all(mode: Mode) -> Vec<(String, Interpreted)> {
    let (host, paths) = samples();
    let mut all = Vec::new();
    for path in paths {
        let document = Document::parse(&host, &path, &host.read(&path).unwrap()).unwrap();
        for service in &document.services {
            let wanted = Wanted { file: Some(&path), ..wanted(&service.name, mode) };
            let entry = find(&host, &wanted).unwrap().entry.unwrap();
            let interpreted =
                interpret(&entry.lines, &host, mode).unwrap_or_else(|refusal| panic!("{refusal}"));
            all.push((service.name.clone(), interpreted));
        }
    }
    all
}

#[test]
fn row_66_every_sample_is_taken_in_both_modes() {
    assert!(all(Mode::Strict).len() > 15);
    assert_eq!(all(Mode::Strict).len(), all(Mode::Minix).len());
}

#[test]
fn the_samples_have_every_keyword() {
    let used: BTreeSet<String> = all(Mode::Strict)
        .iter()
        .flat_map(|(_, interpreted)| &interpreted.standings)
        .map(|(line, _)| line.name().to_owned())
        .collect();

    for keyword in KEYWORDS.iter().filter(|keyword| keyword.name != "class") {
        assert!(used.contains(keyword.name), "no sample has `{}`", keyword.name);
    }
}

#[test]
fn the_samples_mean_what_they_say() {
    let all = all(Mode::Strict);
    let of = |name: &str| &all.iter().find(|(known, _)| known == name).expect("it is there").1;

    let names = of("names");
    assert_eq!(names.user.as_ref().map(|user| user.uid), Some(0));
    assert_eq!(names.description.as_deref(), Some("Who listens where"));
    assert_eq!(names.confinement.nice, Some(-8));
    let files = of("files");
    assert_eq!(files.confinement.nice, Some(-5));
    assert_eq!(files.confinement.slice, Some(std::time::Duration::from_millis(500)));
    assert_eq!(files.confinement.cpus, Some(vec![0]));
    let filter = of("filter");
    assert_eq!(filter.confinement.control, ["disk.drv".into(), "diskette".into()]);
    let inet = of("inet");
    assert_eq!(inet.user.as_ref().map(|user| user.uid), Some(1000));
    assert_eq!(inet.confinement.kind.as_deref(), Some("net"));
    let lamps = of("lamps");
    assert_eq!(lamps.confinement.cpus, Some(vec![0, 2, 3, 5]));
    assert_eq!(lamps.confinement.memory_max, Some(256 << 20));
    assert!(lamps.critical && lamps.health.is_some());
}
