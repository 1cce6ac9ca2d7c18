//! What becomes of log files.

use super::*;
use tempfile::TempDir;

struct Logs {
    directory: TempDir,
    files: Files,
}

impl Logs {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let files = Files::new(Arc::default());
        Self { directory, files }
    }

    fn path(&self, name: &str) -> Arc<str> {
        self.directory.path().join(name).to_str().unwrap().into()
    }

    fn acquire(&mut self, name: &str) -> FileId {
        let path = self.path(name);
        self.files.acquire(&path)
    }

    fn append(&mut self, id: FileId, bytes: &[u8]) {
        let place = self.files.prepare(id).unwrap();
        assert_eq!(self.files.write(id, place, bytes).unwrap(), bytes.len());
    }

    fn text(&self, name: &str) -> String {
        fs::read_to_string(&*self.path(name)).unwrap()
    }
}

#[test]
fn one_path_is_one_file_until_its_last_user_has_gone() {
    let mut logs = Logs::new();

    let one = logs.acquire("log");
    let two = logs.acquire("log");
    logs.append(one, b"one\n");
    logs.files.release(one);
    logs.append(two, b"two\n");
    logs.files.release(two);

    assert_eq!(one, two);
    assert_eq!(logs.text("log"), "one\ntwo\n");
    assert_eq!((logs.files.ids().len(), logs.files.open), (0, 0));
}

#[test]
fn more_files_than_may_be_open_take_turns() {
    let mut logs = Logs::new();
    logs.files.open_max = 3;
    let names: Vec<String> = (0..10).map(|number| format!("log{number}")).collect();
    let ids: Vec<FileId> = names.iter().map(|name| logs.acquire(name)).collect();

    for _ in 0..2 {
        for id in &ids {
            logs.append(*id, b"x");
        }
    }

    assert_eq!(logs.files.open, 3);
    assert!(names.iter().all(|name| logs.text(name) == "xx"));
}

#[test]
fn a_refusal_is_news_once_and_the_wait_grows_to_its_limit() {
    let mut logs = Logs::new();
    let id = logs.acquire("log");

    let refusals: Vec<(News, u32)> = (0..7)
        .map(|_| {
            let (news, _) = logs.files.refused(id, &io::ErrorKind::StorageFull.into());
            match logs.files.file(id).trouble {
                Trouble::Refused { wait, .. } => (news, wait),
                Trouble::None | Trouble::Full { .. } => (news, 0),
            }
        })
        .collect();

    assert_eq!(refusals[0].0, News::Yes);
    assert!(refusals[1..].iter().all(|(news, _)| *news == News::No));
    let waits: Vec<u32> = refusals.iter().map(|(_, wait)| *wait).collect();
    assert_eq!(waits, [1, 2, 4, 8, 16, 30, 30]);
    assert!(!logs.files.may_try(id));
    assert_eq!(logs.files.took(id), News::Yes);
    assert!(logs.files.may_try(id));
}

fn takes(path: &Arc<str>) -> Report {
    Report::Takes(Arc::clone(path))
}

#[test]
fn the_control_thread_is_told_once_that_a_file_refuses_and_once_that_it_takes() {
    let mut logs = Logs::new();
    let (id, path) = (logs.acquire("log"), logs.path("log"));

    for _ in 0..3 {
        logs.files.refused(id, &io::Error::other("no"));
    }
    let refuses = Report::Refuses { target: Arc::clone(&path), why: "no".into() };
    assert_eq!(logs.files.reports().collect::<Vec<_>>(), [refuses]);
    logs.files.took(id);
    logs.files.took(id);
    assert_eq!(logs.files.reports().collect::<Vec<_>>(), [takes(&path)]);
}

#[test]
fn a_file_that_nobody_uses_any_more_is_no_trouble() {
    let mut logs = Logs::new();
    let (id, path) = (logs.acquire("log"), logs.path("log"));
    logs.files.refused(id, &io::Error::other("no"));

    logs.files.release(id);

    assert_eq!(logs.files.reports().skip(1).collect::<Vec<_>>(), [takes(&path)]);
}

#[test]
fn a_full_target_is_told_of_after_a_while_and_when_it_has_room() {
    let mut logs = Logs::new();
    let (id, path) = (logs.acquire("log"), logs.path("log"));

    let tell = logs.files.full(id);
    logs.files.tell_full();
    assert_eq!((logs.files.reports().count(), logs.files.next_retry()), (0, Some(tell)));
    logs.files.started -= Duration::from_secs((FULL_LONG + 1).into());
    logs.files.tell_full();
    logs.files.tell_full();
    assert_eq!((logs.files.reports().count(), logs.files.next_retry()), (1, None));
    logs.files.took(id);
    assert_eq!(logs.files.reports().collect::<Vec<_>>(), [takes(&path)]);
}

#[test]
fn a_rotation_that_fails_is_said_once_and_the_file_grows() {
    let mut logs = Logs::new();
    let id = logs.acquire("log");
    let rotation = Rotation::new(4, 1, false);
    logs.append(id, b"12345");
    // A directory cannot be replaced by a file.
    fs::create_dir(&*logs.path("log.1")).unwrap();

    let first = logs.files.rotate(id, 5, rotation);
    let second = logs.files.rotate(id, 5, rotation);
    logs.append(id, b"678");

    assert!(first.is_err() && second.is_ok());
    assert_eq!(logs.text("log"), "12345678");
}

#[test]
fn a_rotation_that_was_cut_before_the_new_file_is_finished_by_the_next_chunk() {
    let mut logs = Logs::new();
    fs::write(&*logs.path("log.1"), "old\n").unwrap();
    let id = logs.acquire("log");

    logs.append(id, b"new\n");

    assert_eq!((logs.text("log.1"), logs.text("log")), ("old\n".into(), "new\n".into()));
}

#[test]
fn any_number_of_bytes_fits_where_there_is_no_limit() {
    let rotation = |bytes_max, backups| Rotation::new(bytes_max, backups, false);
    assert_eq!(rotation(0, 3).room(u64::MAX), None);
    assert_eq!(rotation(-1, 3).room(0), None);
    assert_eq!(rotation(10, -1), rotation(10, 0));
    assert_eq!(rotation(10, 0).room(7), Some(3));
    assert_eq!(rotation(10, 0).room(12), Some(0));
}

#[test]
fn a_file_of_an_idle_stream_costs_no_more_than_it_must() {
    assert!(size_of::<Option<LogFile>>() <= 48);
}
