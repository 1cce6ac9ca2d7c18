//! Memory that outlives the process that writes it.
//!
//! A mapped file without a name: a store into it is kept by the kernel
//! whatever happens to the process afterwards, and costs no system call. It is
//! seen as atomic words only, because another process may hold it too.

use std::io;
use std::ops::Range;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::ptr::NonNull;
use std::sync::atomic::AtomicU64;

use rustix::fs::{FallocateFlags, MemfdFlags, fallocate, ftruncate};
use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};

/// Gives memory that was freed back to the system. The C library keeps it otherwise,
/// which is right for a while and not for ever.
pub fn give_back() {
    trim();
}

#[cfg(target_env = "gnu")]
fn trim() {
    // SAFETY: it takes a number and touches free memory only.
    unsafe { libc::malloc_trim(0) };
}

/// Other C libraries give it back by themselves.
#[cfg(not(target_env = "gnu"))]
fn trim() {}

/// A shared mapping of a whole file, seen as 64-bit words.
#[derive(Debug)]
pub struct SharedMemory {
    file: OwnedFd,
    start: NonNull<AtomicU64>,
    words: usize,
}

// SAFETY: the memory is only ever reached as atomics, which threads may share.
unsafe impl Send for SharedMemory {}
// SAFETY: as above.
unsafe impl Sync for SharedMemory {}

impl SharedMemory {
    /// Maps `words` words of `file`, growing it where it is shorter. Pages that
    /// are never touched cost nothing.
    ///
    /// # Errors
    /// What `ftruncate` or `mmap` says.
    pub fn map(file: OwnedFd, words: usize) -> io::Result<Self> {
        let bytes = words * size_of::<AtomicU64>();
        if length(&file)? < bytes {
            ftruncate(&file, bytes as u64)?;
        }
        Self::map_first(file, words)
    }

    /// Maps all the words that `file` has: whoever made it knew how many are wanted.
    ///
    /// # Errors
    /// What `fstat` or `mmap` says; an empty file cannot be mapped.
    pub fn map_whole(file: OwnedFd) -> io::Result<Self> {
        let words = length(&file)? / size_of::<AtomicU64>();
        Self::map_first(file, words)
    }

    fn map_first(file: OwnedFd, words: usize) -> io::Result<Self> {
        let bytes = words * size_of::<AtomicU64>();
        let protection = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: a fresh mapping at an address of the kernel's choice aliases
        // nothing, and lives until `drop`.
        let start =
            unsafe { mmap(std::ptr::null_mut(), bytes, protection, MapFlags::SHARED, &file, 0) }?;
        let start = NonNull::new(start.cast()).ok_or(io::ErrorKind::InvalidData)?;
        Ok(Self { file, start, words })
    }

    /// Makes anonymous memory with a descriptor. No file system can be too full for
    /// it. `name` is what /proc shows.
    ///
    /// # Errors
    /// What `memfd_create` says.
    pub fn anonymous(name: &str) -> io::Result<OwnedFd> {
        Ok(rustix::fs::memfd_create(name, MemfdFlags::CLOEXEC)?)
    }

    /// The words.
    #[must_use]
    pub fn words(&self) -> &[AtomicU64] {
        // SAFETY: the mapping is `words` long, aligned to a page, and lives as
        // long as `self`; any bytes are a valid word.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.words) }
    }

    /// The file that is mapped.
    #[must_use]
    pub fn file(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }

    /// Makes these words zero and gives their pages back to the system.
    ///
    /// # Errors
    /// When the file system cannot do that.
    pub fn punch(&self, words: Range<usize>) -> io::Result<()> {
        let size = size_of::<AtomicU64>();
        let (offset, length) = (words.start * size, words.len() * size);
        let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        Ok(fallocate(&self.file, flags, offset as u64, length as u64)?)
    }
}

fn length(file: &OwnedFd) -> io::Result<usize> {
    let length = rustix::fs::fstat(file)?.st_size;
    usize::try_from(length).map_err(|_| io::ErrorKind::InvalidData.into())
}

impl AsFd for SharedMemory {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

impl Drop for SharedMemory {
    fn drop(&mut self) {
        let bytes = self.words * size_of::<AtomicU64>();
        // SAFETY: the mapping was made with this length, and every reference into
        // it borrowed `self`. A failure leaves a mapping behind, which is harmless.
        let _ = unsafe { munmap(self.start.as_ptr().cast(), bytes) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::Ordering;

    #[test]
    fn what_one_mapping_stores_another_one_reads() {
        let file = SharedMemory::anonymous("test").unwrap();
        let one = SharedMemory::map(file.try_clone().unwrap(), 1024).unwrap();
        one.words()[1023].store(42, Ordering::Relaxed);
        drop(one);

        let other = SharedMemory::map(file, 1024).unwrap();

        assert_eq!(other.words()[1023].load(Ordering::Relaxed), 42);
    }

    #[test]
    fn a_file_is_mapped_as_long_as_it_is() {
        let file = SharedMemory::anonymous("test").unwrap();
        let empty = SharedMemory::map_whole(file.try_clone().unwrap());
        drop(SharedMemory::map(file.try_clone().unwrap(), 700).unwrap());

        let whole = SharedMemory::map_whole(file).unwrap();

        assert!(empty.is_err());
        assert_eq!(whole.words().len(), 700);
    }
}
