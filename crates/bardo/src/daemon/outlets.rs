//! The outputs that programs share, each with the pipe before it, which the keeper holds.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use bardo_keeper::protocol::{Key, Roles};
use bardo_sys::pipe;

use super::link::Link;
use super::pump::OutletSettings;

/// Both ends of such a pipe, as far as the keeper holds them.
pub(super) type Ends = (Option<OwnedFd>, Option<OwnedFd>);

/// Standard output and standard error, where anybody sees them; one of them where both are
/// the same.
///
/// # Errors
/// What making a pipe says, or giving it to the keeper.
pub(super) fn outlets(
    mut inherited: BTreeMap<u32, Ends>,
    link: &Link,
) -> io::Result<[Option<OutletSettings>; 2]> {
    let (stdout, stderr) = (io::stdout(), io::stderr());
    let mut outlet = |output: BorrowedFd<'_>, life| {
        let seen = OutletSettings::is_seen(output);
        seen.then(|| outlet(output, inherited.remove(&life), life, link)).transpose()
    };
    let first = outlet(stdout.as_fd(), 1)?;
    let second = match OutletSettings::is_same(&stdout, &stderr) {
        true => None,
        false => outlet(stderr.as_fd(), 2)?,
    };
    Ok([first, second])
}

fn outlet(
    output: BorrowedFd<'_>,
    inherited: Option<Ends>,
    life: u32,
    link: &Link,
) -> io::Result<OutletSettings> {
    let output = output.try_clone_to_owned()?;
    if let Some((Some(read), Some(write))) = inherited {
        return Ok(OutletSettings { output, outbox: (read, write) });
    }
    let outbox = pipe::pipe()?;
    let key = Key { owner: Key::HOUSE, life };
    let roles = Roles::SHARED_READ.and(Roles::SHARED_WRITE);
    link.hold(key, roles, &[outbox.0.as_fd(), outbox.1.as_fd()])?;
    Ok(OutletSettings { output, outbox })
}
