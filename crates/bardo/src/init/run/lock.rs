//! The lock of a service: of one name there is one keeper.

use std::fs::{self, Permissions};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;
use std::time::Duration;

use bardo_sys::clock;
use rustix::fs::FlockOperation;
use rustix::io::Errno;

use super::{ServiceError, failed};
use crate::daemon::managed::folder::{self, LOCK};

/// How long, in nanoseconds, the lock may take to be let go by what a killed keeper has left: a
/// child of its has it until it executes its program.
const LET_GO_WITHIN: u64 = 2_000_000_000;

/// How long one rests who waits for that.
const REST: Duration = Duration::from_millis(5);

/// Takes the lock of a service, which its keeper has for as long as it lives.
///
/// # Errors
/// When somebody has it and keeps it, or the folder is not ours.
pub(in crate::init) fn lock(place: &Path) -> Result<OwnedFd, ServiceError> {
    let path = place.join(LOCK);
    let give_up_at = clock::monotonic().saturating_add(LET_GO_WITHIN);
    loop {
        folder::make_own(place).map_err(|source| match source.kind() {
            io::ErrorKind::PermissionDenied => ServiceError::Place(place.to_owned(), source),
            _ => failed(&format!("make {}", place.display()))(source),
        })?;
        let file = folder::open_plain(&path);
        if file.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::NotFound) {
            // Who has just ended has removed the empty folder.
            continue;
        }
        let file = file.map_err(failed(&format!("open {}", path.display())))?;
        // Who may open it can lock it, and nobody could start the service any more.
        let _ = file.set_permissions(Permissions::from_mode(0o600));
        match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) if clock::monotonic() < give_up_at => {
                std::thread::sleep(REST);
                continue;
            }
            Err(Errno::WOULDBLOCK) => return Err(ServiceError::Taken(path)),
            Err(errno) => return Err(failed(&format!("lock {}", path.display()))(errno.into())),
        }
        // One that ended meanwhile may have removed the file that we have locked.
        let own = file.metadata().map(|own| (own.dev(), own.ino())).ok();
        if own.is_some() && own == fs::metadata(&path).map(|there| (there.dev(), there.ino())).ok()
        {
            return Ok(file.into());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::TAKEN;
    use super::*;

    #[test]
    fn of_one_name_there_is_one_keeper() {
        let room = tempfile::tempdir().unwrap();
        let place = room.path().join("web");

        let first = lock(&place).unwrap();

        let second = lock(&place);
        assert!(matches!(second, Err(error @ ServiceError::Taken(_)) if error.code() == TAKEN));
        drop(first);
        lock(&place).unwrap();
    }

    #[test]
    fn one_that_is_let_go_in_a_moment_is_waited_for() {
        let room = tempfile::tempdir().unwrap();
        let place = room.path().join("web");
        let first = lock(&place).unwrap();
        let line = format!("/proc/self/task/{}/stat", rustix::thread::gettid().as_raw_nonzero());
        let rests = || fs::read_to_string(&line).is_ok_and(|line| line.contains(") S "));

        let second = std::thread::scope(|scope| {
            scope.spawn(|| {
                while !rests() {
                    std::thread::yield_now();
                }
                drop(first);
            });
            lock(&place)
        });

        second.unwrap();
    }
}
