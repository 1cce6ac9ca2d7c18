//! Our own executable, as a service is to find it: what can be wrong with where it is.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use crate::init::InitError;
use crate::init::definition::Scope;
use crate::init::ground::Ground;

/// Folders that are emptied.
const TEMPORARY: [&str; 4] = ["/tmp", "/var/tmp", "/run", "/dev/shm"];

/// The kinds of file systems that come over a network, as statfs(2) tells them.
const NETWORKS: [u64; 7] = [
    0x6969,      // NFS
    0x517B,      // SMB
    0xFF53_4D42, // CIFS
    0xFE53_4D42, // SMB2
    0x0102_1997, // 9P
    0x00C3_6400, // Ceph
    0x5346_414F, // AFS
];

/// The executable as the machine sees it that the service is for, and what is to be said
/// about it.
pub(super) fn own(ground: &Ground, scope: Scope) -> Result<(PathBuf, Vec<String>), InitError> {
    let path = std::env::current_exe()
        .map_err(|error| InitError::Failed(format!("cannot find our own executable: {error}")))?;
    let text = path.display().to_string();
    if text.ends_with(" (deleted)") || !path.exists() {
        let text = format!("our own executable {text} is gone: call the one that replaces it");
        return Err(InitError::Failed(text));
    }
    if path.to_str().is_none() || text.chars().any(char::is_control) {
        let text = "the path of our own executable has bytes that no definition can have";
        return Err(InitError::Failed(format!("{text}: {}", text.escape_debug())));
    }
    if ground.is_offline() {
        // One that lies below the folder is called by what the folder will be: the root.
        let root = fs::canonicalize(ground.root()).unwrap_or_else(|_| ground.root().to_owned());
        let inside = path.strip_prefix(&root).ok().filter(|_| root != Path::new("/"));
        let path = inside.map_or_else(|| path.clone(), |inside| Path::new("/").join(inside));
        let mut notes = Vec::new();
        if !ground.behind(&path).is_file() {
            let (path, root) = (path.display(), root.display());
            notes.push(format!(
                "{path} is not there below {root}: put it there, or it will not start"
            ));
        }
        return Ok((path, notes));
    }
    let owner = match scope {
        Scope::Machine => 0,
        Scope::User => rustix::process::geteuid().as_raw(),
    };
    let notes = doubts(&path, owner);
    Ok((path, notes))
}

/// Why a service may not find it one day, or find another one.
fn doubts(path: &Path, owner: u32) -> Vec<String> {
    let shown = path.display();
    let mut notes = Vec::new();
    if TEMPORARY.iter().any(|folder| path.starts_with(folder)) {
        notes.push(format!("{shown} is in a folder that is emptied: put it into /usr/local/bin"));
    }
    let is_remote = rustix::fs::statfs(path).is_ok_and(|found| {
        let kind = u64::try_from(found.f_type).unwrap_or_default();
        NETWORKS.contains(&(kind & 0xFFFF_FFFF))
    });
    if is_remote {
        notes.push(format!("{shown} comes over the network, which may not be there at a start"));
    }
    let writable = path.ancestors().find(|place| {
        let found = fs::metadata(place);
        found.is_ok_and(|found| {
            // Where only the owner of a file may remove it, others cannot replace it.
            let is_sticky = found.is_dir() && found.mode() & 0o1000 != 0;
            ![0, owner].contains(&found.uid()) || (found.mode() & 0o022 != 0 && !is_sticky)
        })
    });
    if let Some(place) = writable {
        let place = place.display();
        notes.push(format!(
            "{place} can be written by others, who then decide what this service runs"
        ));
    }
    notes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_executable_in_a_temporary_folder_is_doubted() {
        let room = tempfile::tempdir_in("/tmp").unwrap();
        let path = room.path().join("bardo");
        fs::write(&path, "").unwrap();

        let notes = doubts(&path, 0);

        assert!(notes[0].contains("is emptied"), "{notes:?}");
    }

    #[test]
    fn an_executable_of_the_system_is_not() {
        assert_eq!(doubts(Path::new("/usr/bin/env"), 0), [] as [String; 0]);
    }

    #[test]
    fn below_a_folder_it_is_called_as_if_that_were_the_root() {
        let own_path = std::env::current_exe().unwrap();
        let root = own_path.parent().unwrap();

        let (path, notes) = own(&Ground::here().below(root), Scope::Machine).unwrap();

        assert_eq!(path, Path::new("/").join(own_path.file_name().unwrap()));
        assert!(notes.is_empty());

        let room = tempfile::tempdir().unwrap();
        let (path, notes) = own(&Ground::here().below(room.path()), Scope::Machine).unwrap();
        assert_eq!(path, own_path);
        assert!(notes[0].contains("is not there below"), "{notes:?}");
    }

    #[test]
    fn what_a_user_runs_may_be_his_own() {
        let room = tempfile::tempdir_in("/tmp").unwrap();
        let path = room.path().join("bardo");
        fs::write(&path, "").unwrap();
        // Only root can give a file away.
        let _ = std::os::unix::fs::chown(&path, Some(7), None);
        let owner = fs::metadata(&path).unwrap().uid();
        let _ = std::os::unix::fs::chown(room.path(), Some(owner), None);
        let is_doubted = |owner| doubts(&path, owner).iter().any(|note| note.contains("by others"));

        assert!(!is_doubted(owner));
        assert!(is_doubted(owner + 1) || owner == 0);
    }
}
