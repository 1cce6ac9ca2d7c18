//! The descriptors of this process, and how one knows them again.

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd, RawFd};

use rustix::fs::OFlags;

/// What an open file is known by, whatever number it has and in whatever process: where it
/// is, and whether it is the end of a pipe that is read or the one that is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct FileId {
    device: u64,
    inode: u64,
    access: u32,
}

impl FileId {
    /// That of an open file. Pidfds share one on kernels before 6.9.
    ///
    /// # Errors
    /// What `fstat` and `fcntl` say.
    pub fn of(file: BorrowedFd<'_>) -> io::Result<Self> {
        let there = rustix::fs::fstat(file)?;
        let access = rustix::fs::fcntl_getfl(file)? & OFlags::RWMODE;
        Ok(Self { device: there.st_dev, inode: there.st_ino, access: access.bits() })
    }
}

/// Calls `each` with every descriptor of this process. Other threads may close and open some
/// meanwhile: only a duplicate stays what it is.
///
/// # Errors
/// When they cannot be listed; what `each` says.
pub fn each_own(mut each: impl FnMut(BorrowedFd<'_>) -> io::Result<()>) -> io::Result<()> {
    let mut numbers = Vec::new();
    for entry in std::fs::read_dir("/proc/self/fd")? {
        let number = entry?.file_name().to_str().and_then(|name| name.parse::<RawFd>().ok());
        numbers.extend(number);
    }
    for number in numbers {
        // SAFETY: it is used for calls only to which a number that is closed by now is an error
        // and no harm.
        each(unsafe { BorrowedFd::borrow_raw(number) })?;
    }
    Ok(())
}

/// Takes over the descriptors that a service manager hands to this process, with their names.
/// To be called once.
#[must_use]
pub fn from_manager() -> Vec<(String, OwnedFd)> {
    let variable = |name: &str| std::env::var(name).ok();
    let pid = variable("LISTEN_PID").and_then(|pid| pid.parse::<u32>().ok());
    let count = variable("LISTEN_FDS").and_then(|count| count.parse::<RawFd>().ok());
    let Some(count) = count.filter(|_| pid == Some(std::process::id())) else { return Vec::new() };
    let names = variable("LISTEN_FDNAMES").unwrap_or_default();
    let numbers = (FIRST_FROM_MANAGER..).take(usize::try_from(count).unwrap_or(0));
    let named = numbers.zip(names.split(':').map(str::to_owned));
    named.filter_map(|(number, name)| Some((name, crate::launch::inherited(number)?))).collect()
}

/// The first of them.
const FIRST_FROM_MANAGER: RawFd = 3;

#[cfg(test)]
mod tests {
    use super::*;

    use std::os::fd::AsFd as _;

    #[test]
    fn both_ends_of_a_pipe_are_found_among_our_descriptors() {
        let (read, write) = crate::pipe::pipe().unwrap();
        let ids = [&read, &write].map(|end| FileId::of(end.as_fd()).unwrap());
        assert_ne!(ids[0], ids[1]);

        let mut found = [0, 0];
        let listed = each_own(|file| {
            // The one with which they are listed is closed by now.
            let Ok(id) = FileId::of(file) else { return Ok(()) };
            found.iter_mut().zip(ids).for_each(|(count, of)| *count += usize::from(of == id));
            Ok(())
        });

        assert!(listed.is_ok() && found == [1, 1], "{found:?}");
    }
}
