//! The folder of a service: a keeper takes over what is in it, so nobody else may have a hand
//! in it.

use std::fs::{self, DirBuilder, File, Permissions};
use std::io::{self, ErrorKind, Read as _};
use std::os::unix::fs::{
    DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _, lchown,
};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;

/// The bits with which a group and anybody may pass through.
const SEARCHABLE: u32 = 0o011;

/// The bits with which a group or anybody may write.
const WRITABLE_BY_OTHERS: u32 = 0o022;

/// The file in it of which its keeper has the lock.
pub const LOCK: &str = "keeper.lock";

/// The socket in it where a supervisor whose keeper was killed is asked for what it has.
pub const DOOR: &str = "handover";

/// What that is called while a supervisor has it that is to be ended: it is asked again where the
/// one who comes next is killed before that.
pub const FORMER_DOOR: &str = "handover.former";

/// The file in it with the pauses before the starts of the service.
pub const PAUSES: &str = "pauses";

/// The file that is left in it where it is left itself, so that the next service of that name
/// finds its own again.
pub const MARK: &str = ".bardo-service";

/// The folder of a service: where root has one for each, what its manager has made for it, or
/// one that is private to its user.
#[must_use]
pub fn place(name: &str) -> Option<PathBuf> {
    if rustix::process::geteuid().is_root() {
        return Some(Path::new("/run").join(name));
    }
    let folder = |variable: &str| {
        let path = PathBuf::from(std::env::var_os(variable)?);
        path.is_absolute().then_some(path)
    };
    // Of several that it has made, the first is the service's own.
    let made = std::env::var("RUNTIME_DIRECTORY").ok();
    let made = made.and_then(|made| made.split(':').next().map(PathBuf::from));
    let made = made.filter(|made| made.is_absolute());
    made.or_else(|| folder("XDG_RUNTIME_DIR").map(|path| path.join(name)))
}

/// Makes a folder that only we write to, or sees that it is one.
///
/// # Errors
/// `PermissionDenied`, with whose it is, when it is another one; what the system says.
pub fn make_own(folder: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let there = fs::symlink_metadata(folder)?;
    let own = rustix::process::geteuid().as_raw();
    let refused = |text: String| Err(io::Error::new(ErrorKind::PermissionDenied, text));
    if !there.is_dir() {
        return refused("it is no folder".to_owned());
    }
    if there.uid() != own {
        return refused(format!(
            "it belongs to user {} and not to user {own}, who starts the service: remove it, or \
             give the service another name",
            there.uid()
        ));
    }
    if there.mode() & WRITABLE_BY_OTHERS != 0 {
        return refused(format!(
            "others may write to it (mode {:o}): remove it, or take that right from them",
            there.mode() & 0o7777
        ));
    }
    Ok(())
}

/// Where a supervisor notes what whoever starts or steers its service asks for. It is a folder
/// of its own: that of the service may be root's, and the supervisor somebody else.
#[must_use]
pub fn told(place: &Path) -> PathBuf {
    place.join("told")
}

/// The file in it that is there once a start has become ready.
pub const READY: &str = "ready";

/// The file in it that says what came of the last reload.
pub const RELOAD: &str = "reload";

/// What that file is while it is written.
pub const RELOAD_NEW: &str = "reload.new";

/// Makes that folder, for the account that the supervisor will be where it is another one.
///
/// # Errors
/// What the system says.
pub fn make_told(place: &Path, account: Option<(u32, u32)>) -> io::Result<()> {
    let folder = told(place);
    match DirBuilder::new().mode(0o700).create(&folder) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let Some((uid, gid)) = account else { return Ok(()) };
    // He has to get there, as he does where a manager has made the folder of the service.
    let mode = fs::symlink_metadata(place)?.mode() & 0o7777;
    fs::set_permissions(place, Permissions::from_mode(mode | SEARCHABLE))?;
    lchown(folder, Some(uid), Some(gid))
}

/// Removes it with all that is in it.
fn remove_told(place: &Path) {
    let folder = told(place);
    for file in [READY, RELOAD, RELOAD_NEW] {
        let _ = fs::remove_file(folder.join(file));
    }
    let _ = fs::remove_dir(folder);
}

/// Removes what a service has in its folder that others of its name do not need.
pub fn clear(place: &Path) {
    for file in [DOOR, FORMER_DOOR, LOCK, PAUSES] {
        // Its manager may have removed it.
        let _ = fs::remove_file(place.join(file));
    }
    remove_told(place);
}

/// The same, with the folder where nothing else is in it. To be done by the last of the
/// processes of the service.
pub fn leave(place: &Path) {
    clear(place);
    let removed = fs::remove_dir(place);
    if removed.is_err_and(|error| error.kind() == ErrorKind::PermissionDenied) {
        // It is in a folder of root's: whoever removes the service knows it by this.
        let _ = write_private(&place.join(MARK), "");
    }
}

/// Opens a file to write to behind its end, and makes it where there is none. A link is not
/// followed, and what is no plain file is not opened: it could be waited for without end.
///
/// # Errors
/// What the system says; `InvalidInput` when it is no plain file.
pub fn open_plain(path: &Path) -> io::Result<File> {
    let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed();
    let mut options = File::options();
    plain(options.create(true).append(true).custom_flags(flags).open(path)?)
}

/// Reads the beginning of a file, so many bytes of it at most. A link is not followed, and
/// what is no plain file is not read: it could be waited for without end.
///
/// # Errors
/// What the system says; `InvalidInput` when it is no plain file, `InvalidData` when it is no
/// text.
pub fn read_plain(path: &Path, bytes_max: u64) -> io::Result<String> {
    let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed();
    let file = plain(File::options().read(true).custom_flags(flags).open(path)?)?;
    let mut text = String::new();
    file.take(bytes_max).read_to_string(&mut text)?;
    Ok(text)
}

fn plain(file: File) -> io::Result<File> {
    if file.metadata()?.is_file() {
        return Ok(file);
    }
    Err(io::Error::new(ErrorKind::InvalidInput, "it is no plain file"))
}

/// Makes a file anew that nobody else may read, whatever was there.
///
/// # Errors
/// What the system says.
pub fn write_private(path: &Path, text: &str) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let mut options = File::options();
    let mut file = options.write(true).create_new(true).mode(0o600).open(path)?;
    io::Write::write_all(&mut file, text.as_bytes())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    fn fifo(path: &Path) {
        let mode = rustix::fs::Mode::from_raw_mode(0o600);
        let kind = rustix::fs::FileType::Fifo;
        rustix::fs::mknodat(rustix::fs::CWD, path, kind, mode, 0).unwrap();
    }

    #[test]
    fn a_folder_that_others_write_to_is_refused() {
        let room = tempfile::tempdir().unwrap();
        let folder = room.path().join("web");
        make_own(&folder).unwrap();
        assert_eq!(fs::metadata(&folder).unwrap().mode() & 0o7777, 0o700);
        for mode in [0o777, 0o720, 0o1777] {
            fs::set_permissions(&folder, Permissions::from_mode(mode)).unwrap();

            let refused = make_own(&folder).unwrap_err();

            assert_eq!(refused.kind(), ErrorKind::PermissionDenied);
            assert!(refused.to_string().contains("others may write to it"), "{refused}");
        }
        fs::set_permissions(&folder, Permissions::from_mode(0o755)).unwrap();
        make_own(&folder).unwrap();
        symlink(&folder, room.path().join("link")).unwrap();
        assert!(make_own(&room.path().join("link")).is_err(), "a link is no folder");
        if rustix::process::geteuid().is_root() {
            std::os::unix::fs::chown(&folder, Some(65534), None).unwrap();
            let refused = make_own(&folder).unwrap_err().to_string();
            assert!(refused.contains("it belongs to user 65534 and not to user 0"), "{refused}");
        }
    }

    #[test]
    fn what_is_no_plain_file_is_neither_waited_for_nor_followed() {
        let room = tempfile::tempdir().unwrap();
        let (pipe, link, plain) =
            (room.path().join("pipe"), room.path().join("link"), room.path().join("plain"));
        fifo(&pipe);
        fs::write(&plain, "text").unwrap();
        symlink(&plain, &link).unwrap();

        assert!(open_plain(&plain).is_ok() && open_plain(&room.path().join("new")).is_ok());
        assert!(open_plain(&pipe).is_err() && open_plain(&link).is_err());
        assert_eq!(read_plain(&plain, 3).unwrap(), "tex");
        assert!(read_plain(&pipe, 3).is_err() && read_plain(&link, 3).is_err());
        // Somebody reads it: it could be opened.
        let _reader = rustix::fs::open(&pipe, OFlags::RDWR, rustix::fs::Mode::empty()).unwrap();
        assert!(open_plain(&pipe).is_err());
        write_private(&pipe, "one").unwrap();
        write_private(&link, "two").unwrap();
        assert_eq!(fs::read_to_string(&pipe).unwrap(), "one");
        assert_eq!(fs::read_to_string(&plain).unwrap(), "text");
    }
}
