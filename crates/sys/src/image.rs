//! A program kept in memory: its file may be replaced or removed, its disk may be gone, and
//! it starts all the same.
//!
//! The bytes lie in a sealed memfd, which nobody can write to any more, not even we. Where
//! the machine forbids to execute those, they lie in a nameless file of a file system in
//! memory, which nobody can find.
//!
//! What surprises a newcomer: only the program's own file is kept. Unless it is linked
//! statically, its loader and libraries still come from the disk, and so does a script's
//! interpreter. And a set-user bit or a capability of the file is not its content.

use std::ffi::{CStr, CString};
use std::fmt;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::fs::{
    FileType, MemfdFlags, Mode, OFlags, SealFlags, StatVfsMountFlags, fchmod, fcntl_add_seals,
    fcntl_get_seals, fstat, fstatfs, fstatvfs, memfd_create, open, sendfile,
};
use rustix::io::{Errno, pread};
use sha2::{Digest as _, Sha256};

use crate::elf::{self, Header, Needs};

/// Most bytes of a memfd's name: the kernel's own limit is 249.
const NAME_BYTES_MAX: usize = 200;

/// Bytes that are copied or read in one call.
const CHUNK_BYTES: usize = 64 << 10;

/// The magic number of a file system in memory.
const TMPFS_MAGIC: i128 = 0x0102_1994;

/// Where a file system in memory is looked for.
const IN_MEMORY: [&str; 3] = ["/run", "/dev/shm", "/tmp"];

/// Nobody may write, not even to the length, and that is for good.
const SEALS: SealFlags =
    SealFlags::WRITE.union(SealFlags::GROW).union(SealFlags::SHRINK).union(SealFlags::SEAL);

/// What kind of program it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// All of it is in the image.
    Static,
    /// A loader and libraries are needed beside.
    Dynamic,
    /// An interpreter reads it, which keeps it open.
    Script,
}

/// The SHA-256 of a content: what `sha256sum` says of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Hash(
    /// Its bytes.
    pub [u8; 32],
);

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// Why there is no image.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// The file cannot be read.
    #[error("it cannot be read")]
    Read(#[source] io::Error),
    /// It is a directory, a device or the like.
    #[error("it is not a file")]
    NotFile,
    /// Nobody may execute it.
    #[error("nobody may execute it")]
    NotExecutable,
    /// It is shorter than any program.
    #[error("it is shorter than a program")]
    TooShort,
    /// It is neither a program nor a script.
    #[error("it is neither a program nor a script that begins with #!")]
    NotProgram,
    /// There is no memory that may be executed.
    #[error("no memory may be executed here")]
    Forbidden,
    /// It cannot be copied.
    #[error("it cannot be copied into memory")]
    Copy(#[source] io::Error),
}

impl ImageError {
    /// The errno that says it in the words of the kernel.
    #[must_use]
    pub fn errno(&self) -> i32 {
        match self {
            Self::Read(error) | Self::Copy(error) => error.raw_os_error().unwrap_or(libc::EIO),
            Self::NotFile | Self::NotExecutable => libc::EACCES,
            Self::TooShort | Self::NotProgram => libc::ENOEXEC,
            Self::Forbidden => libc::EPERM,
        }
    }
}

/// A program in memory.
#[derive(Debug)]
pub struct Image {
    file: OwnedFd,
    kind: Kind,
    hash: Hash,
    is_sealed: bool,
}

impl Image {
    /// Takes a program into memory. Blocks while its file is read.
    ///
    /// # Errors
    /// When the file is no program, cannot be read, or there is no memory for it.
    pub fn load(path: &Path) -> Result<Self, ImageError> {
        let source = open_program(path)?;
        // What is no program is refused before it is copied, however large it is.
        kind_of(source.as_fd())?;
        let name = path.file_name().map_or(&b"program"[..], |name| name.as_bytes());
        let name = CString::new(&name[..name.len().min(NAME_BYTES_MAX)])
            .map_err(|_| ImageError::Read(io::ErrorKind::InvalidInput.into()))?;
        match sealable(&name) {
            Ok(file) => Self::fill_sealed(&source, file),
            Err(Errno::ACCESS | Errno::PERM | Errno::NOSYS) => Self::fill_nameless(&source),
            Err(errno) => Err(ImageError::Copy(errno.into())),
        }
    }

    /// Takes back an image that was kept elsewhere, with what was known of it.
    ///
    /// # Errors
    /// When it is no image.
    pub fn from_kept(file: OwnedFd, hash: Hash) -> Result<Self, ImageError> {
        let kind = kind_of(file.as_fd())?;
        let is_sealed = fcntl_get_seals(&file).is_ok_and(|seals| seals.contains(SEALS));
        Ok(Self { file, kind, hash, is_sealed })
    }

    fn fill_sealed(source: &OwnedFd, file: OwnedFd) -> Result<Self, ImageError> {
        copy(source, &file).map_err(ImageError::Copy)?;
        fcntl_add_seals(&file, SEALS).map_err(|errno| ImageError::Copy(errno.into()))?;
        Self::of_copy(file, true)
    }

    /// The same where memory without a file system may not be executed.
    fn fill_nameless(source: &OwnedFd) -> Result<Self, ImageError> {
        let written = IN_MEMORY.iter().find_map(|folder| nameless(folder).ok());
        let written = written.ok_or(ImageError::Forbidden)?;
        copy(source, &written).map_err(ImageError::Copy)?;
        // Nothing can be executed that somebody may write to, so this end is given up.
        let path = format!("/proc/self/fd/{}", written.as_raw_fd());
        let file = open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty());
        Self::of_copy(file.map_err(|errno| ImageError::Copy(errno.into()))?, false)
    }

    /// Once more, what it is: the file may have been changed while it was copied.
    fn of_copy(file: OwnedFd, is_sealed: bool) -> Result<Self, ImageError> {
        let kind = kind_of(file.as_fd())?;
        let hash = hash_of(file.as_fd()).map_err(ImageError::Copy)?;
        Ok(Self { file, kind, hash, is_sealed })
    }

    /// What kind of program it is.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The hash of its content.
    #[must_use]
    pub fn hash(&self) -> Hash {
        self.hash
    }

    /// Whether nobody at all can write to it; false where it lies in a nameless file.
    #[must_use]
    pub fn is_sealed(&self) -> bool {
        self.is_sealed
    }

    /// What it needs beside itself, which is not in memory. Blocks for as long as it takes to
    /// read a few pages.
    #[must_use]
    pub fn needs(&self) -> Needs {
        elf::needs(self.file.as_fd())
    }

    /// The number by which the kernel knows it.
    #[must_use]
    pub fn inode(&self) -> u64 {
        fstat(&self.file).map_or(0, |status| status.st_ino)
    }

    /// Its length in bytes.
    #[must_use]
    pub fn length(&self) -> u64 {
        fstat(&self.file).map_or(0, |status| status.st_size.cast_unsigned())
    }
}

impl AsFd for Image {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

fn open_program(path: &Path) -> Result<OwnedFd, ImageError> {
    // Opening a pipe or a device must not wait for anybody.
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let read = |errno: Errno| ImageError::Read(errno.into());
    let file = open(path, flags, Mode::empty()).map_err(read)?;
    let status = fstat(&file).map_err(read)?;
    if FileType::from_raw_mode(status.st_mode) != FileType::RegularFile {
        return Err(ImageError::NotFile);
    }
    if status.st_mode & 0o111 == 0 {
        return Err(ImageError::NotExecutable);
    }
    Ok(file)
}

/// A file in memory that may be executed and sealed. Kernels before 6.3 do not know the
/// flag that says the former, and allow it.
fn sealable(name: &CStr) -> rustix::io::Result<OwnedFd> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    match memfd_create(name, flags | MemfdFlags::EXEC) {
        Err(Errno::INVAL) => memfd_create(name, flags),
        other => other,
    }
}

/// A file without a name in a file system in memory from which one may execute.
fn nameless(folder: &str) -> io::Result<OwnedFd> {
    let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
    let file = open(folder, flags, Mode::RUSR | Mode::WUSR)?;
    let is_in_memory = i128::from(fstatfs(&file)?.f_type) == TMPFS_MAGIC;
    let is_executed = !fstatvfs(&file)?.f_flag.contains(StatVfsMountFlags::NOEXEC);
    if is_in_memory && is_executed { Ok(file) } else { Err(io::ErrorKind::Unsupported.into()) }
}

/// Copies all of a file, and lets everybody execute the copy.
fn copy(from: &OwnedFd, to: &OwnedFd) -> io::Result<()> {
    let mut offset = 0;
    loop {
        match sendfile(to, from, Some(&mut offset), CHUNK_BYTES << 4) {
            Ok(0) => break,
            Ok(_) | Err(Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
    Ok(fchmod(to, Mode::from_raw_mode(0o555))?)
}

fn hash_of(file: BorrowedFd<'_>) -> io::Result<Hash> {
    let mut hasher = Sha256::new();
    let mut chunk = vec![0; CHUNK_BYTES];
    let mut offset = 0;
    loop {
        match pread(file, &mut *chunk, offset) {
            Ok(0) => return Ok(Hash(hasher.finalize().into())),
            Ok(length) => {
                hasher.update(&chunk[..length]);
                offset += length as u64;
            }
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
}

/// What a file is, by its first bytes, as the kernel would see it.
fn kind_of(file: BorrowedFd<'_>) -> Result<Kind, ImageError> {
    let read = |bytes: &mut [u8], offset| {
        pread(file, bytes, offset).map_err(|errno| ImageError::Read(errno.into()))
    };
    let mut start = [0; 64];
    let length = read(&mut start, 0)?;
    let start = &start[..length];
    if start.starts_with(b"#!") {
        return Ok(Kind::Script);
    }
    let Some(header) = Header::read(start) else {
        let is_cut = b"\x7fELF".starts_with(&start[..length.min(4)]) && length < 64;
        return Err(if is_cut { ImageError::TooShort } else { ImageError::NotProgram });
    };
    Ok(if header.is_dynamic(file) { Kind::Dynamic } else { Kind::Static })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;
    use tempfile::TempDir;

    fn write(folder: &TempDir, name: &str, bytes: &[u8]) -> std::path::PathBuf {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o700)).unwrap();
        path
    }

    /// A header of 64 bytes and one program header of this kind.
    fn program(kind: u8) -> Vec<u8> {
        let mut bytes = vec![0; 120];
        bytes[..6].copy_from_slice(b"\x7fELF\x02\x01");
        (bytes[32], bytes[54], bytes[56], bytes[64]) = (64, 56, 1, kind);
        bytes
    }

    #[test]
    fn nobody_can_write_to_an_image() {
        let folder = tempfile::tempdir().unwrap();
        let path = write(&folder, "script", b"#!/bin/sh\n");

        let image = Image::load(&path).unwrap();

        let is_allowed = crate::probe::exec_from_memory().is_ok();
        assert_eq!(image.is_sealed(), is_allowed);
        if !is_allowed {
            return;
        }
        let written = rustix::io::write(&image, b"x");
        assert_eq!(written.unwrap_err(), Errno::PERM);
        assert_eq!(rustix::fs::ftruncate(&image, 0).unwrap_err(), Errno::PERM);
        assert_eq!(fcntl_add_seals(&image, SealFlags::WRITE).unwrap_err(), Errno::PERM);
        assert_eq!(fstat(&image).unwrap().st_mode & 0o777, 0o555);
    }

    #[test]
    fn equal_contents_have_equal_hashes_and_others_others() {
        let folder = tempfile::tempdir().unwrap();
        let long = [b"#!/bin/sh\n".as_slice(), &[b'x'; 3 * CHUNK_BYTES + 7]].concat();
        let [one, other, third] = [("one", &long[..]), ("other", &long), ("third", b"#!/bin/sh")]
            .map(|(name, bytes)| Image::load(&write(&folder, name, bytes)).unwrap());

        assert_eq!(one.hash(), other.hash());
        assert_eq!(one.length(), long.len() as u64);
        assert_ne!(one.hash(), third.hash());
        // What `sha256sum` says.
        let expected = "3af71adb278ad4af33c144b78fa1ae708da03b773d98324ae991a7daedb53ca2";
        assert_eq!(third.hash().to_string(), expected);
    }

    #[test]
    fn what_is_a_program_is_told_by_its_first_bytes() {
        let folder = tempfile::tempdir().unwrap();
        let kind = |name: &str, bytes: &[u8]| {
            Image::load(&write(&folder, name, bytes)).map(|image| image.kind())
        };

        assert_eq!(kind("a", b"#!/bin/sh\necho").unwrap(), Kind::Script);
        assert_eq!(kind("b", &program(1)).unwrap(), Kind::Static);
        assert_eq!(kind("c", &program(3)).unwrap(), Kind::Dynamic);
        for (bytes, expected) in [
            (&b""[..], "TooShort"),
            (b"\x7fEL", "TooShort"),
            (&program(1)[..40], "TooShort"),
            (b"echo hello", "NotProgram"),
            (&[0; 200], "NotProgram"),
        ] {
            let error = kind("d", bytes).unwrap_err();
            assert_eq!(format!("{error:?}"), expected);
            assert_eq!(error.errno(), libc::ENOEXEC);
        }
        assert!(matches!(Image::load(Path::new("/bin/sh")).unwrap().kind(), Kind::Dynamic));
    }

    #[test]
    fn what_cannot_be_executed_is_refused_with_its_reason() {
        let folder = tempfile::tempdir().unwrap();
        let plain = write(&folder, "plain", b"#!/bin/sh");
        std::fs::set_permissions(&plain, PermissionsExt::from_mode(0o644)).unwrap();

        for (path, errno) in [
            (plain.as_path(), libc::EACCES),
            (folder.path(), libc::EACCES),
            (Path::new("/dev/null"), libc::EACCES),
            (Path::new("/nowhere/at/all"), libc::ENOENT),
        ] {
            assert_eq!(Image::load(path).unwrap_err().errno(), errno, "{}", path.display());
        }
    }

    #[test]
    fn an_image_that_was_kept_is_the_same() {
        let image = Image::load(Path::new("/bin/sh")).unwrap();
        let file = image.as_fd().try_clone_to_owned().unwrap();

        let back = Image::from_kept(file, image.hash()).unwrap();

        assert_eq!(
            (back.kind(), back.hash(), back.is_sealed()),
            (Kind::Dynamic, image.hash(), image.is_sealed())
        );
    }

    #[test]
    fn a_nameless_file_serves_where_a_memfd_may_not_be_executed() {
        let source = open_program(Path::new("/bin/sh")).unwrap();

        match Image::fill_nameless(&source) {
            Ok(image) => {
                assert!(!image.is_sealed());
                assert_eq!(image.hash(), Image::load(Path::new("/bin/sh")).unwrap().hash());
                assert!(rustix::io::write(&image, b"x").is_err());
            }
            // No file system in memory allows it here.
            Err(error) => assert!(matches!(error, ImageError::Forbidden), "{error:?}"),
        }
    }
}
