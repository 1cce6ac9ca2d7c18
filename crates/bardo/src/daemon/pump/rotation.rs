//! Which file takes which name when a log is rotated or a backup is compressed.
//!
//! A log `F` has the backups `F.1` (the newest), `F.2` and so on. Each stands there as it
//! was written, or compressed as `F.1.gz`: one chain with two forms.
//!
//! Supervisor moves `F.(i)` to `F.(i+1)` from the oldest down and then `F` to
//! `F.1` (`doRollover` in its loggers). We move the same files in the same
//! order, but only up to the first number that is free: a process that is killed
//! between two renames leaves exactly one such gap, and the next rotation closes
//! it instead of pushing the oldest backup out. So a cut needs no repair.
//!
//! A number in both forms is what is left when a cut comes between the name of the
//! compressed file and the end of the plain one. They say the same; the plain one is kept.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// How a backup stands on the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Plain,
    Compressed,
}

/// One thing to be done to a name. Each is done at once or not at all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    /// The first becomes the second, whatever that was.
    Rename(PathBuf, PathBuf),
    Remove(PathBuf),
}

/// Which file a name leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Identity {
    device: u64,
    inode: u64,
}

impl Identity {
    pub(super) fn of(metadata: &fs::Metadata) -> Self {
        Self { device: metadata.dev(), inode: metadata.ino() }
    }
}

/// Moves `path` to `path.1` and makes room for it. The file at `path` is gone
/// afterwards; who writes next creates it.
pub(super) fn shift(path: &Path, backups: u32) -> io::Result<()> {
    for step in shifting(path, backups) {
        match perform(&step) {
            // Somebody cleaned up; there is nothing to keep then.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            done => done?,
        }
    }
    Ok(())
}

/// Lets the compressed copy of a backup take its place. Without the copy, the backup stays.
pub(super) fn replace(path: &Path, number: u32) -> io::Result<()> {
    replacing(path, number).iter().try_for_each(perform)
}

/// The newest backup that is not compressed; `None` if all are.
pub(super) fn newest_plain(path: &Path, backups: u32) -> Option<PathBuf> {
    let plain = chain(path, backups).filter(|(_, forms)| forms.contains(&Form::Plain));
    let mut names = plain.map(|(number, _)| backup(path, number, Form::Plain));
    // What somebody else has put there is left alone.
    names.find(|name| fs::symlink_metadata(name).is_ok_and(|metadata| metadata.is_file()))
}

/// The number that a plain backup has now, and how long it is.
pub(super) fn find(path: &Path, backups: u32, wanted: Identity) -> Option<(u32, u64)> {
    chain(path, backups).find_map(|(number, _)| {
        let metadata = fs::symlink_metadata(backup(path, number, Form::Plain)).ok()?;
        (Identity::of(&metadata) == wanted).then_some((number, metadata.len()))
    })
}

/// The name of the newest backup, as it stands when it has just become one.
pub(super) fn newest(path: &Path) -> PathBuf {
    backup(path, 1, Form::Plain)
}

/// The name of a compressed copy that is being made: `.F.gz.part` beside `F`. It does not
/// depend on the backup's number, which changes meanwhile.
pub(super) fn unfinished(path: &Path) -> PathBuf {
    let mut name = std::ffi::OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(".gz.part");
    path.with_file_name(name)
}

/// The steps of one rotation, in order.
pub(super) fn shifting(path: &Path, backups: u32) -> Vec<Step> {
    // The log itself is number 0.
    let mut forms = vec![vec![Form::Plain]];
    forms.extend(chain(path, backups).map(|(_, forms)| forms));
    let mut steps = Vec::new();
    if forms.len() > backups as usize {
        let oldest = forms.pop().unwrap_or_default();
        // What has the same form as its successor is replaced by it.
        let others = oldest.into_iter().filter(|form| forms.last().is_some_and(|n| n[0] != *form));
        steps.extend(others.map(|form| Step::Remove(backup(path, backups, form))));
    }
    for (number, forms) in (0..).zip(&forms).collect::<Vec<_>>().into_iter().rev() {
        let superfluous = forms[1..].iter().map(|form| backup(path, number, *form));
        steps.extend(superfluous.map(Step::Remove));
        let (old, new) = (backup(path, number, forms[0]), backup(path, number + 1, forms[0]));
        steps.push(Step::Rename(old, new));
    }
    steps
}

/// The steps by which a compressed copy takes the place of a backup, in order.
pub(super) fn replacing(path: &Path, number: u32) -> [Step; 2] {
    let (plain, compressed) =
        (backup(path, number, Form::Plain), backup(path, number, Form::Compressed));
    [Step::Rename(unfinished(path), compressed), Step::Remove(plain)]
}

pub(super) fn perform(step: &Step) -> io::Result<()> {
    match step {
        Step::Rename(from, to) => fs::rename(from, to),
        Step::Remove(name) => fs::remove_file(name),
    }
}

/// The backups up to the first number that is free, each in the forms that there are,
/// the one to be kept first.
fn chain(path: &Path, backups: u32) -> impl Iterator<Item = (u32, Vec<Form>)> {
    let exists = |number, form| fs::symlink_metadata(backup(path, number, form)).is_ok();
    let forms = move |number| {
        let all = [Form::Plain, Form::Compressed].into_iter();
        (number, all.filter(|form| exists(number, *form)).collect::<Vec<_>>())
    };
    (1..=backups).map(forms).take_while(|(_, forms)| !forms.is_empty())
}

/// The name of a backup; number 0 is the log itself.
fn backup(path: &Path, number: u32, form: Form) -> PathBuf {
    if number == 0 {
        return path.to_owned();
    }
    let ending = match form {
        Form::Plain => "",
        Form::Compressed => ".gz",
    };
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{number}{ending}"));
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use tempfile::TempDir;

    /// A directory with a log `f` that holds "0" and backups that hold their
    /// number. Those that end in `z` have their compressed name.
    fn logs(backups: &[&str]) -> (TempDir, PathBuf) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("f");
        fs::write(&path, "0").unwrap();
        for said in backups {
            let number = said.trim_end_matches('z');
            let form = if number == *said { Form::Plain } else { Form::Compressed };
            fs::write(backup(&path, number.parse().unwrap(), form), said).unwrap();
        }
        (directory, path)
    }

    /// What each number holds: the plain one, a `+`, the compressed one.
    fn contents(path: &Path, numbers: std::ops::RangeInclusive<u32>) -> Vec<String> {
        let read = |number, form| fs::read_to_string(backup(path, number, form)).ok();
        let show = |number| match (read(number, Form::Plain), read(number, Form::Compressed)) {
            (Some(plain), Some(compressed)) if number > 0 => format!("{plain}+{compressed}"),
            (plain, compressed) => plain.or(compressed).unwrap_or("-".into()),
        };
        numbers.map(show).collect()
    }

    #[test]
    fn a_full_chain_loses_its_oldest() {
        let (_directory, path) = logs(&["1", "2", "3"]);

        shift(&path, 3).unwrap();

        assert_eq!(contents(&path, 0..=4), ["-", "0", "1", "2", "-"]);
    }

    #[test]
    fn a_chain_with_room_loses_nothing() {
        let (_directory, path) = logs(&["1", "2"]);

        shift(&path, 3).unwrap();

        assert_eq!(contents(&path, 0..=3), ["-", "0", "1", "2"]);
    }

    #[test]
    fn only_the_files_before_the_first_gap_move() {
        let (_directory, path) = logs(&["1", "3"]);

        shift(&path, 4).unwrap();

        assert_eq!(contents(&path, 0..=4), ["-", "0", "1", "3", "-"]);
    }

    #[test]
    fn a_single_backup_is_replaced() {
        for only in ["1", "1z"] {
            let (_directory, path) = logs(&[only]);

            shift(&path, 1).unwrap();

            assert_eq!(contents(&path, 0..=1), ["-", "0"], "{only}");
            assert!(fs::symlink_metadata(backup(&path, 1, Form::Compressed)).is_err());
        }
    }

    #[test]
    fn a_chain_counts_and_moves_backups_in_either_form() {
        let cases: [(&[&str], [&str; 5]); 6] = [
            (&["1z", "2z", "3z"], ["-", "0", "1z", "2z", "-"]),
            (&["1", "2z", "3z"], ["-", "0", "1", "2z", "-"]),
            (&["1", "2", "3z"], ["-", "0", "1", "2", "-"]),
            (&["1z", "2z", "3"], ["-", "0", "1z", "2z", "-"]),
            (&["1", "2z"], ["-", "0", "1", "2z", "-"]),
            (&["1z", "3"], ["-", "0", "1z", "3", "-"]),
        ];
        for (before, after) in cases {
            let (_directory, path) = logs(before);

            shift(&path, 3).unwrap();

            assert_eq!(contents(&path, 0..=4), after, "{before:?}");
        }
    }

    #[test]
    fn of_a_backup_in_both_forms_the_plain_one_is_kept() {
        for (before, after) in [
            (&["1", "1z", "2z"][..], ["-", "0", "1", "2z", "-"]),
            (&["1z", "2", "2z"], ["-", "0", "1z", "2", "-"]),
            (&["1z", "2", "3", "3z"], ["-", "0", "1z", "2", "-"]),
            (&["1", "2z", "3", "3z"], ["-", "0", "1", "2z", "-"]),
        ] {
            let (_directory, path) = logs(before);

            shift(&path, 3).unwrap();

            assert_eq!(contents(&path, 0..=4), after, "{before:?}");
        }
    }

    #[test]
    fn a_rotation_that_is_cut_anywhere_is_finished_by_the_next_one() {
        for before in [
            &["1", "2", "3"][..],
            &["1z", "2", "3z"],
            &["1", "1z", "2z", "3"],
            &["1", "2", "2z", "3z"],
        ] {
            let steps = {
                let (_directory, path) = logs(before);
                shifting(&path, 4).len()
            };
            for done in 0..=steps {
                let (_directory, path) = logs(before);
                shifting(&path, 4).iter().take(done).for_each(|step| perform(step).unwrap());
                // The last step makes the log itself a backup, and a new one begins.
                let is_whole = done == steps;

                if !is_whole {
                    shift(&path, 4).unwrap();
                }

                let kept = |number: &str| {
                    let is_plain = before.contains(&number);
                    if is_plain { number.to_owned() } else { format!("{number}z") }
                };
                let expected = ["-".to_owned(), "0".to_owned(), kept("1"), kept("2"), kept("3")];
                assert_eq!(contents(&path, 0..=4), expected, "{before:?} cut after {done}");
            }
        }
    }

    #[test]
    fn a_cut_in_a_full_chain_loses_its_oldest_only() {
        for before in [&["1", "2z", "3"][..], &["1z", "2", "3z"], &["1", "2", "3", "3z"]] {
            let steps = {
                let (_directory, path) = logs(before);
                shifting(&path, 3).len()
            };
            for done in 0..steps {
                let (_directory, path) = logs(before);
                shifting(&path, 3).iter().take(done).for_each(|step| perform(step).unwrap());

                shift(&path, 3).unwrap();

                let expected = ["-", "0", before[0], before[1], "-"];
                assert_eq!(contents(&path, 0..=4), expected, "{before:?} cut after {done}");
            }
        }
    }

    #[test]
    fn a_compressed_copy_that_is_cut_anywhere_leaves_the_backup_in_one_form_at_least() {
        for done in 0..=2 {
            let (_directory, path) = logs(&["1", "2"]);
            fs::write(unfinished(&path), "2z").unwrap();

            replacing(&path, 2).iter().take(done).for_each(|step| perform(step).unwrap());

            let expected = ["2", "2+2z", "2z"][done];
            assert_eq!(contents(&path, 0..=3), ["0", "1", expected, "-"], "cut after {done}");
        }
    }

    #[test]
    fn a_backup_stays_where_its_compressed_copy_has_gone() {
        let (_directory, path) = logs(&["1"]);

        assert_eq!(replace(&path, 1).unwrap_err().kind(), io::ErrorKind::NotFound);

        assert_eq!(contents(&path, 0..=1), ["0", "1"]);
    }

    #[test]
    fn a_backup_is_found_by_what_it_is() {
        let (_directory, path) = logs(&["1", "2z"]);
        let identity = Identity::of(&fs::metadata(newest(&path)).unwrap());

        assert_eq!(find(&path, 5, identity), Some((1, 1)));
        shift(&path, 5).unwrap();
        assert_eq!(find(&path, 5, identity), Some((2, 1)));
        fs::remove_file(backup(&path, 2, Form::Plain)).unwrap();
        assert_eq!(find(&path, 5, identity), None);
    }

    #[test]
    fn the_newest_plain_backup_is_the_next_to_be_compressed() {
        let next = |backups: &[&str]| {
            let (_directory, path) = logs(backups);
            newest_plain(&path, 5).map(|name| fs::read_to_string(name).unwrap())
        };

        assert_eq!(next(&["1", "2"]).as_deref(), Some("1"));
        assert_eq!(next(&["1z", "2", "3"]).as_deref(), Some("2"));
        assert_eq!(next(&["1z", "2z"]), None);
        assert_eq!(next(&["2"]), None);
    }

    #[test]
    fn what_is_no_regular_file_is_not_compressed() {
        let (_directory, path) = logs(&["2"]);
        fs::create_dir(backup(&path, 1, Form::Plain)).unwrap();

        assert_eq!(newest_plain(&path, 5), Some(backup(&path, 2, Form::Plain)));
    }
}
