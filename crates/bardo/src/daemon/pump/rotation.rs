//! Which file takes which name when a log is rotated.
//!
//! Supervisor moves `F.(i)` to `F.(i+1)` from the oldest down and then `F` to
//! `F.1` (`doRollover` in its loggers). We move the same files in the same
//! order, but only up to the first name that is free: a process that is killed
//! between two renames leaves exactly one such gap, and the next rotation closes
//! it instead of pushing the oldest backup out. So a cut needs no repair.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Moves `path` to `path.1` and makes room for it. The file at `path` is gone
/// afterwards; who writes next creates it.
pub(super) fn shift(path: &Path, backups: u32) -> io::Result<()> {
    for (from, to) in renames(path, backups) {
        match fs::rename(&from, &to) {
            Ok(()) => {}
            // Somebody cleaned up; there is nothing to keep then.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// The renames of one rotation, in order. Each is atomic and replaces its target.
fn renames(path: &Path, backups: u32) -> Vec<(PathBuf, PathBuf)> {
    let free = (1..backups).find(|number| fs::symlink_metadata(backup(path, *number)).is_err());
    let last = free.unwrap_or(backups);
    (0..last).rev().map(|number| (backup(path, number), backup(path, number + 1))).collect()
}

/// The name of a backup; number 0 is the log itself.
fn backup(path: &Path, number: u32) -> PathBuf {
    if number == 0 {
        return path.to_owned();
    }
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{number}"));
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use tempfile::TempDir;

    /// A directory with a log `f` that holds "0" and backups that hold their
    /// number.
    fn logs(backups: &[u32]) -> (TempDir, PathBuf) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("f");
        fs::write(&path, "0").unwrap();
        for number in backups {
            fs::write(backup(&path, *number), number.to_string()).unwrap();
        }
        (directory, path)
    }

    fn contents(path: &Path, numbers: std::ops::RangeInclusive<u32>) -> Vec<String> {
        numbers
            .map(|number| fs::read_to_string(backup(path, number)).unwrap_or("-".into()))
            .collect()
    }

    #[test]
    fn a_full_chain_loses_its_oldest() {
        let (_directory, path) = logs(&[1, 2, 3]);

        shift(&path, 3).unwrap();

        assert_eq!(contents(&path, 0..=4), ["-", "0", "1", "2", "-"]);
    }

    #[test]
    fn a_chain_with_room_loses_nothing() {
        let (_directory, path) = logs(&[1, 2]);

        shift(&path, 3).unwrap();

        assert_eq!(contents(&path, 0..=3), ["-", "0", "1", "2"]);
    }

    #[test]
    fn only_the_files_before_the_first_gap_move() {
        let (_directory, path) = logs(&[1, 3]);

        shift(&path, 4).unwrap();

        assert_eq!(contents(&path, 0..=4), ["-", "0", "1", "3", "-"]);
    }

    #[test]
    fn a_single_backup_is_replaced() {
        let (_directory, path) = logs(&[1]);

        shift(&path, 1).unwrap();

        assert_eq!(contents(&path, 0..=1), ["-", "0"]);
    }

    #[test]
    fn a_rotation_that_is_cut_anywhere_is_finished_by_the_next_one() {
        let steps = {
            let (_directory, path) = logs(&[1, 2, 3]);
            renames(&path, 4).len()
        };
        for done in 0..steps {
            let (_directory, path) = logs(&[1, 2, 3]);
            for (from, to) in renames(&path, 4).into_iter().take(done) {
                fs::rename(from, to).unwrap();
            }

            shift(&path, 4).unwrap();

            let found = contents(&path, 0..=4);
            assert_eq!(found, ["-", "0", "1", "2", "3"], "cut after {done}");
        }
    }
}
