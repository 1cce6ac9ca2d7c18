//! Pipes, and moving what is in them without looking at it.
//!
//! Nothing here waits: a move from an empty pipe, or into a full one, is
//! [`io::ErrorKind::WouldBlock`]. A move of zero bytes is the end: the pipe is
//! empty and nobody can write to it any more.
//!
//! What makes these calls worth having is that each is all or nothing where it
//! counts: bytes that a killed process was moving are at one end or at the
//! other, never at both and never at neither.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::fs::{FileType, Mode, OFlags, SeekFrom};
use rustix::io::{Errno, retry_on_intr};
use rustix::net::SendFlags;
use rustix::pipe::{PipeFlags, SpliceFlags};

/// Most bytes that a write to a pipe takes without waiting once a poll has
/// called the pipe writable: one page, which is also what POSIX keeps whole.
const POLLED_WRITE_MAX: usize = 4096;

/// The same for a terminal, which calls itself writable although it may have little room.
/// Where it has less than this, the write waits for whoever reads the terminal.
const TERMINAL_WRITE_MAX: usize = 128;

/// Makes a pipe: its read end and its write end, both closed on exec.
///
/// # Errors
/// What `pipe2` says.
pub fn pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    Ok(rustix::pipe::pipe_with(PipeFlags::CLOEXEC)?)
}

/// How many bytes wait in a pipe.
///
/// # Errors
/// What `FIONREAD` says.
pub fn waiting(pipe: impl AsFd) -> io::Result<usize> {
    let bytes = rustix::io::ioctl_fionread(pipe)?;
    Ok(usize::try_from(bytes).unwrap_or(usize::MAX))
}

/// How many bytes a pipe holds, if its pages are full.
///
/// # Errors
/// What `F_GETPIPE_SZ` says.
pub fn capacity(pipe: impl AsFd) -> io::Result<usize> {
    Ok(rustix::pipe::fcntl_getpipe_size(pipe)?)
}

/// Makes a pipe larger or smaller; the kernel rounds up to a power of two of
/// pages, and returns what it has become.
///
/// # Errors
/// What `F_SETPIPE_SZ` says: `EPERM` beyond what the machine or the user may
/// have, `EBUSY` where more is waiting in the pipe than would fit.
pub fn set_capacity(pipe: impl AsFd, bytes: usize) -> io::Result<usize> {
    Ok(rustix::pipe::fcntl_setpipe_size(pipe, bytes)?)
}

/// Whether a pipe takes nothing more at this moment, to be asked of its write end.
///
/// # Errors
/// What `poll` says.
pub fn is_full(write: impl AsFd) -> io::Result<bool> {
    let mut poll = [PollFd::new(&write, PollFlags::OUT)];
    let ready = retry_on_intr(|| rustix::event::poll(&mut poll, Some(&Timespec::default())))?;
    Ok(ready == 0)
}

/// Makes reads and writes of an open file fail rather than wait, or wait again.
/// It concerns everybody who holds a duplicate of the descriptor.
///
/// # Errors
/// What `F_SETFL` says.
pub fn set_nonblocking(descriptor: impl AsFd, nonblocking: bool) -> io::Result<()> {
    let flags = rustix::fs::fcntl_getfl(&descriptor)?;
    let mut wanted = flags;
    wanted.set(OFlags::NONBLOCK, nonblocking);
    if wanted != flags {
        rustix::fs::fcntl_setfl(&descriptor, wanted)?;
    }
    Ok(())
}

/// Moves bytes from a pipe to another pipe, a socket, a device or a file that
/// was not opened to append, at the target's own position.
///
/// A target that is not a pipe may still wait, unless it was opened not to.
///
/// # Errors
/// What `splice` says: `EINVAL` where the target cannot take part in it.
pub fn splice(pipe: impl AsFd, target: impl AsFd, bytes: usize) -> io::Result<usize> {
    let flags = SpliceFlags::NONBLOCK | SpliceFlags::MOVE;
    let moved = retry_on_intr(|| {
        rustix::pipe::splice(pipe.as_fd(), None, target.as_fd(), None, bytes, flags)
    });
    Ok(moved?)
}

/// Moves bytes from a pipe to a regular file, at `offset`. Only the pipe's end
/// is never waited for; the disk is.
///
/// # Errors
/// What `splice` says: `EINVAL` where the file was opened to append or its file
/// system cannot take part.
pub fn splice_at(pipe: impl AsFd, file: impl AsFd, offset: u64, bytes: usize) -> io::Result<usize> {
    let flags = SpliceFlags::NONBLOCK | SpliceFlags::MOVE;
    let moved = retry_on_intr(|| {
        let mut offset = offset;
        let offset = Some(&mut offset);
        rustix::pipe::splice(pipe.as_fd(), None, file.as_fd(), offset, bytes, flags)
    });
    Ok(moved?)
}

/// Copies bytes from a pipe into another pipe; they stay in the first.
///
/// # Errors
/// What `tee` says.
pub fn tee(pipe: impl AsFd, other: impl AsFd, bytes: usize) -> io::Result<usize> {
    let copied = retry_on_intr(|| {
        rustix::pipe::tee(pipe.as_fd(), other.as_fd(), bytes, SpliceFlags::NONBLOCK)
    });
    Ok(copied?)
}

/// Reads what is there, up to the buffer's length.
///
/// # Errors
/// What `read` says.
pub fn read(descriptor: impl AsFd, buffer: &mut [u8]) -> io::Result<usize> {
    Ok(retry_on_intr(|| rustix::io::read(&descriptor, &mut *buffer))?)
}

/// Opens a place for output by name: a file (made with mode 0666 less the umask
/// where there is none), a FIFO, a device. Nothing is truncated, no position is
/// moved, no terminal becomes ours, and neither the opening nor any later write
/// waits for another process: a FIFO that nobody reads is `ENXIO`.
///
/// # Errors
/// What `open` says.
pub fn open_target(path: &Path) -> io::Result<File> {
    let flags =
        OFlags::WRONLY | OFlags::CREATE | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    let file = retry_on_intr(|| rustix::fs::open(path, flags, Mode::from_raw_mode(0o666)))?;
    Ok(file.into())
}

/// Whether an opening failed because this process, or the machine, has as many
/// descriptors as it may.
#[must_use]
pub fn is_descriptor_limit(error: &io::Error) -> bool {
    matches!(Errno::from_io_error(error), Some(Errno::MFILE | Errno::NFILE))
}

/// Writes what a target that is no regular file takes at this moment, and says how much
/// that is. Its open file, which others may share, is not changed.
///
/// # Errors
/// `WouldBlock` where it takes nothing; else what `write` and `send` say.
pub fn write_now(target: impl AsFd, bytes: &[u8]) -> io::Result<usize> {
    if rustix::fs::fcntl_getfl(&target)?.contains(OFlags::NONBLOCK) {
        return Ok(retry_on_intr(|| rustix::io::write(&target, bytes))?);
    }
    match send_now(&target, bytes) {
        Err(Errno::NOTSOCK) => Ok(write_polled(&target, bytes)?),
        sent => Ok(sent?),
    }
}

fn send_now(socket: impl AsFd, bytes: &[u8]) -> rustix::io::Result<usize> {
    let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
    retry_on_intr(|| rustix::net::send(&socket, bytes, flags))
}

/// Writes a little where there is room for it.
fn write_polled(target: impl AsFd, bytes: &[u8]) -> rustix::io::Result<usize> {
    let mut poll = [PollFd::new(&target, PollFlags::OUT)];
    match rustix::event::poll(&mut poll, Some(&Timespec::default())) {
        Ok(0) => Err(Errno::AGAIN),
        Ok(_) => {
            let is_terminal = rustix::termios::isatty(&target);
            let most = if is_terminal { TERMINAL_WRITE_MAX } else { POLLED_WRITE_MAX };
            rustix::io::write(&target, &bytes[..bytes.len().min(most)])
        }
        Err(error) => Err(error),
    }
}

/// A way to write to an inherited descriptor without ever waiting, although
/// other processes use the same open file and must not find it changed.
#[derive(Debug)]
pub struct PatientWriter {
    target: OwnedFd,
    manner: Manner,
}

/// How a write is kept from waiting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Manner {
    /// It never waits for another process, or the open file is ours alone.
    Plain,
    /// A regular file, whose position others share.
    Append,
    /// A socket: each send says that it does not wait.
    Send,
    /// Somebody else's pipe or terminal that could not be opened anew: a small
    /// write after a poll.
    Poll,
}

impl PatientWriter {
    /// Takes an inherited descriptor, or opens its file anew where that is what
    /// keeps writes from waiting.
    ///
    /// # Errors
    /// What `fstat` says.
    pub fn new(target: OwnedFd) -> io::Result<Self> {
        let manner = match FileType::from_raw_mode(rustix::fs::fstat(&target)?.st_mode) {
            FileType::Socket => Manner::Send,
            FileType::Fifo | FileType::CharacterDevice => {
                let name = format!("/proc/self/fd/{}", target.as_raw_fd());
                return Ok(match open_target(Path::new(&name)) {
                    Ok(own) => Self { target: own.into(), manner: Manner::Plain },
                    Err(_) => Self { target, manner: Manner::Poll },
                });
            }
            FileType::RegularFile => Manner::Append,
            _ => Manner::Plain,
        };
        Ok(Self { target, manner })
    }

    /// Writes as much as there is room for.
    ///
    /// # Errors
    /// What `write` or `send` says; [`io::ErrorKind::WouldBlock`] where there is
    /// no room.
    pub fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        let written = match self.manner {
            Manner::Append => {
                // Others write to the end of the same file by its name.
                let _ = rustix::fs::seek(&self.target, SeekFrom::End(0));
                retry_on_intr(|| rustix::io::write(&self.target, bytes))
            }
            Manner::Plain => retry_on_intr(|| rustix::io::write(&self.target, bytes)),
            Manner::Send => send_now(&self.target, bytes),
            Manner::Poll => write_polled(&self.target, bytes),
        };
        Ok(written?)
    }
}

impl AsFd for PatientWriter {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.target.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::poll::wait_for_hang_up;

    fn put(pipe: &OwnedFd, bytes: &[u8]) {
        assert_eq!(rustix::io::write(pipe, bytes).unwrap(), bytes.len());
    }

    fn take(pipe: &OwnedFd) -> Vec<u8> {
        let mut buffer = [0; 64];
        let length = read(pipe, &mut buffer).unwrap();
        buffer[..length].to_vec()
    }

    #[test]
    fn a_move_from_an_empty_pipe_would_block_and_after_the_last_writer_is_the_end() {
        let (read, write) = pipe().unwrap();
        let (_other_read, other_write) = pipe().unwrap();

        let empty = splice(&read, &other_write, 10).unwrap_err();
        drop(write);
        wait_for_hang_up(&read);
        let ended = splice(&read, &other_write, 10).unwrap();

        assert_eq!(empty.kind(), io::ErrorKind::WouldBlock);
        assert_eq!(ended, 0);
    }

    #[test]
    fn a_copy_leaves_the_bytes_where_they_are() {
        let (read, write) = pipe().unwrap();
        let (copy_read, copy_write) = pipe().unwrap();
        put(&write, b"hello");

        assert_eq!(tee(&read, &copy_write, 100).unwrap(), 5);

        assert_eq!(waiting(&read).unwrap(), 5);
        assert_eq!(take(&copy_read), b"hello");
        assert_eq!(take(&read), b"hello");
    }

    #[test]
    fn bytes_go_into_a_file_at_the_offset_that_is_asked_for() {
        let room = tempfile::tempdir().unwrap();
        let path = room.path().join("file");
        let file = open_target(&path).unwrap();
        let (read, write) = pipe().unwrap();
        put(&write, b"onetwo");

        splice_at(&read, &file, 3, 3).unwrap();
        splice_at(&read, &file, 0, 3).unwrap();

        assert_eq!(std::fs::read(&path).unwrap(), b"twoone");
    }

    #[test]
    fn a_pipe_can_be_made_smaller_and_says_how_large_it_is() {
        let (read, _write) = pipe().unwrap();

        let now = set_capacity(&read, 4096).unwrap();

        assert_eq!(now, 4096);
        assert_eq!(capacity(&read).unwrap(), 4096);
    }

    #[test]
    fn a_copy_of_a_full_pipe_fills_a_pipe_of_its_size_however_little_is_in_it() {
        let (read, write) = pipe().unwrap();
        let (one_read, one_write) = pipe().unwrap();
        let (_copy_read, copy_write) = pipe().unwrap();
        set_nonblocking(&write, true).unwrap();
        let mut moved = 0;
        // A byte that is moved takes a place of its own.
        while !is_full(&write).unwrap() {
            put(&one_write, b"x");
            moved += splice(&one_read, &write, 1).unwrap();
        }

        assert_eq!(tee(&read, &copy_write, 1 << 16).unwrap(), moved);

        assert!(moved < 4096 && is_full(&copy_write).unwrap());
    }

    #[test]
    fn a_patient_writer_neither_waits_nor_changes_the_open_file_of_others() {
        let (_read, write) = pipe().unwrap();
        let patient = PatientWriter::new(write.try_clone().unwrap()).unwrap();

        let error = loop {
            match patient.write(&[0; 4096]) {
                Ok(_) => {}
                Err(error) => break error,
            }
        };

        assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
        let flags = rustix::fs::fcntl_getfl(&write).unwrap();
        assert!(!flags.contains(OFlags::NONBLOCK));
    }

    #[test]
    fn a_patient_writer_does_not_wait_for_a_socket() {
        let (one, _other) = std::os::unix::net::UnixStream::pair().unwrap();
        let patient = PatientWriter::new(one.into()).unwrap();

        let error = loop {
            match patient.write(&[0; 4096]) {
                Ok(_) => {}
                Err(error) => break error,
            }
        };

        assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
    }

    #[test]
    fn a_fifo_that_nobody_reads_is_not_waited_for() {
        let room = tempfile::tempdir().unwrap();
        let path = room.path().join("fifo");
        rustix::fs::mkfifoat(rustix::fs::CWD, &path, Mode::from_raw_mode(0o600)).unwrap();

        let error = open_target(&path).unwrap_err();

        assert_eq!(error.raw_os_error(), Some(Errno::NXIO.raw_os_error()));
    }

    #[test]
    fn nonblocking_is_set_and_taken_back() {
        let (read, _write) = pipe().unwrap();

        set_nonblocking(&read, true).unwrap();
        assert!(rustix::fs::fcntl_getfl(&read).unwrap().contains(OFlags::NONBLOCK));
        set_nonblocking(&read, false).unwrap();

        assert!(!rustix::fs::fcntl_getfl(&read).unwrap().contains(OFlags::NONBLOCK));
    }
}
