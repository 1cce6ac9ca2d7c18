//! The machine as a service will find it: with the folders that are made when it starts.
//!
//! A configuration may have its files there, and is read before any start when somebody
//! wants to know how long an end may take.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use bardo_config::{Account, Host, ReadError};

use super::ground::Ground;
use crate::host::Machine;

/// What makes a part of a path a pattern.
const PATTERN: [char; 3] = ['*', '?', '['];

/// Folders that a machine has which runs, also where a package or an image is still to be made.
const EVERYWHERE: [&str; 8] =
    ["/tmp", "/var/tmp", "/run", "/var/run", "/var/lib", "/var/log", "/dev", "/proc"];

/// The machine that a service is for, with the folders of that service. Where that is not
/// this machine its files are read, and its accounts and groups are those of its files.
#[derive(Debug)]
pub struct Beforehand<'a> {
    ground: &'a Ground,
    folders: [String; 3],
}

impl<'a> Beforehand<'a> {
    /// With those of the service of this name.
    #[must_use]
    pub fn new(ground: &'a Ground, name: &str) -> Self {
        let folders = ["/run", "/var/lib", "/var/log"].map(|above| format!("{above}/{name}"));
        Self { ground, folders }
    }

    /// Whether an account may read a file, as the modes on the way to it say.
    #[must_use]
    pub fn may_read(&self, account: &Account, path: &Path) -> bool {
        let may = |place: &Path, bit: u32| {
            // What cannot be looked at is told of elsewhere.
            let Ok(found) = fs::metadata(self.ground.behind(place)) else { return true };
            let shift = if found.uid() == account.uid {
                6
            } else if account.groups.contains(&found.gid()) {
                3
            } else {
                0
            };
            found.mode() >> shift & bit != 0
        };
        account.uid == 0 || (may(path, 4) && path.ancestors().skip(1).all(|folder| may(folder, 1)))
    }

    fn lines(&self, file: &str) -> Vec<Vec<String>> {
        let text = fs::read_to_string(self.ground.behind(file)).unwrap_or_default();
        let fields = |line: &str| line.split(':').map(str::to_owned).collect();
        text.lines().filter(|line| !line.starts_with('#')).map(fields).collect()
    }

    /// The account whose line in the machine's own list is the wanted one.
    fn account(&self, is_wanted: impl Fn(&[String]) -> bool) -> Option<Account> {
        let line = self.lines("/etc/passwd").into_iter().find(|line| is_wanted(line))?;
        let [name, _, uid, gid, _, home, ..] = line.as_slice() else { return None };
        let gid = gid.parse().ok()?;
        let is_member = |line: &&Vec<String>| {
            line.get(3).is_some_and(|members| members.split(',').any(|member| member == name))
        };
        let lines = self.lines("/etc/group");
        let others = lines.iter().filter(is_member).filter_map(|line| line.get(2)?.parse().ok());
        let groups = std::iter::once(gid).chain(others.filter(|other| *other != gid)).collect();
        Some(Account { uid: uid.parse().ok()?, gid, groups, home: home.clone() })
    }
}

impl Host for Beforehand<'_> {
    fn read(&self, path: &str) -> Result<Vec<u8>, ReadError> {
        fs::read(self.ground.behind(path)).map_err(|error| match error.kind() {
            ErrorKind::NotFound | ErrorKind::NotADirectory => ReadError::Missing,
            _ => ReadError::Unreadable,
        })
    }

    fn exists(&self, path: &str) -> bool {
        self.is_directory(path) || self.ground.behind(path).exists()
    }

    fn is_directory(&self, path: &str) -> bool {
        let folder = path.trim_end_matches('/');
        self.folders.iter().any(|own| own == folder)
            || (!self.ground.is_this_machine() && EVERYWHERE.contains(&folder))
            || self.ground.behind(path).is_dir()
    }

    fn glob(&self, pattern: &str) -> Vec<String> {
        if self.ground.is_this_machine() {
            return Machine.glob(pattern);
        }
        // Links before the first pattern are followed as that machine does.
        let parts: Vec<&str> = pattern.split('/').collect();
        let plain = parts.iter().take_while(|part| !part.contains(PATTERN)).count();
        let (above, below) = parts.split_at(plain.min(parts.len().saturating_sub(1)));
        let inside = PathBuf::from(format!("{}/", above.join("/")));
        let folder = self.ground.behind(&inside);
        let escaped = glob::Pattern::escape(&folder.display().to_string());
        let found = Machine.glob(&format!("{escaped}/{}", below.join("/")));
        let found = found.iter().filter_map(|path| Path::new(path).strip_prefix(&folder).ok());
        found.map(|path| inside.join(path).display().to_string()).collect()
    }

    fn user_by_name(&self, name: &str) -> Option<Account> {
        if self.ground.is_this_machine() {
            return Machine.user_by_name(name);
        }
        self.account(|line| line[0] == name)
    }

    fn user_by_id(&self, id: u32) -> Option<Account> {
        if self.ground.is_this_machine() {
            return Machine.user_by_id(id);
        }
        self.account(|line| line.get(2).is_some_and(|uid| *uid == id.to_string()))
    }

    fn group_by_name(&self, name: &str) -> Option<u32> {
        if self.ground.is_this_machine() {
            return Machine.group_by_name(name);
        }
        let lines = self.lines("/etc/group");
        lines.iter().find(|line| line[0] == name)?.get(2)?.parse().ok()
    }

    fn has_group(&self, id: u32) -> bool {
        if self.ground.is_this_machine() {
            return Machine.has_group(id);
        }
        let id = id.to_string();
        self.lines("/etc/group").iter().any(|line| line.get(2) == Some(&id))
    }

    fn environment(&self) -> Vec<(String, String)> {
        Machine.environment()
    }

    fn name(&self) -> String {
        Machine.name()
    }

    fn current_directory(&self) -> String {
        Machine.current_directory()
    }

    fn temporary_directory(&self) -> String {
        if self.ground.is_this_machine() {
            return Machine.temporary_directory();
        }
        EVERYWHERE[0].to_owned()
    }

    fn user_id(&self) -> u32 {
        // Whoever writes the files is not who will run it there.
        if self.ground.is_this_machine() { Machine.user_id() } else { 0 }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    #[test]
    fn folders_that_a_start_makes_are_there_and_others_are_not() {
        let ground = Ground::here();
        let host = Beforehand::new(&ground, "no-service-of-this-machine");

        for above in ["/run", "/var/lib", "/var/log"] {
            assert!(host.is_directory(&format!("{above}/no-service-of-this-machine")));
            assert!(host.exists(&format!("{above}/no-service-of-this-machine/")));
            assert!(!host.is_directory(&format!("{above}/no-service-of-this-machine/more")));
            assert!(!host.is_directory(&format!("{above}/no-other-service-of-this-machine")));
        }
    }

    #[test]
    fn below_a_folder_files_accounts_and_groups_are_those_below_it() {
        let room = tempfile::tempdir().unwrap();
        let root = room.path().join("a[0] root");
        for folder in ["etc", "data/conf.d/more"] {
            fs::create_dir_all(root.join(folder)).unwrap();
        }
        symlink("/data/conf.d", root.join("etc/conf.d")).unwrap();
        for (path, text) in [
            ("etc/passwd", "# all\nroot:x:0:0::/root:/bin/sh\nimage:x:4711:12:,:/srv:/bin/sh\n"),
            ("etc/group", "root:x:0:\nprimary:x:12:image\nsecond:x:13:other,image\n"),
            ("data/conf.d/b.conf", "b"),
            ("data/conf.d/a.conf", "a"),
        ] {
            fs::write(root.join(path), text).unwrap();
        }
        let ground = Ground::here().below(&root);
        let host = Beforehand::new(&ground, "web");

        let account = host.user_by_name("image").unwrap();
        assert_eq!((account.uid, account.groups.as_slice()), (4711, &[12, 13][..]));
        assert_eq!(host.user_by_id(4711), Some(account));
        assert_eq!(host.user_by_name("daemon"), None, "it is this machine's");
        assert_eq!((host.group_by_name("second"), host.group_by_name("daemon")), (Some(13), None));
        assert!(host.has_group(13) && !host.has_group(1));
        assert_eq!(host.user_id(), 0);
        assert_eq!(host.read("/etc/conf.d/a.conf").unwrap(), b"a");
        assert!(host.exists("/etc/conf.d/b.conf") && host.is_directory("/etc/conf.d/more"));
        assert!(host.is_directory(&host.temporary_directory()), "it is made with the machine");
        assert!(!host.exists("/etc/hostname") && host.read("/etc/hostname").is_err());
        let mut found = host.glob("/etc/conf.d/*.conf");
        found.sort();
        assert_eq!(found, ["/etc/conf.d/a.conf", "/etc/conf.d/b.conf"]);
        assert_eq!(host.glob("/etc/conf.d/a.conf"), ["/etc/conf.d/a.conf"]);
        assert_eq!(host.glob("/et?/pass*"), ["/etc/passwd"]);
    }

    #[test]
    fn an_account_reads_what_the_modes_let_it_read() {
        let room = tempfile::tempdir().unwrap();
        fs::set_permissions(room.path(), fs::Permissions::from_mode(0o755)).unwrap();
        fs::create_dir(room.path().join("etc")).unwrap();
        let path = room.path().join("etc/c.conf");
        fs::write(&path, "").unwrap();
        let owner = fs::metadata(&path).unwrap();
        let ground = Ground::of(room.path(), room.path());
        let host = Beforehand::new(&ground, "web");
        let account =
            |uid, group| Account { uid, gid: group, groups: vec![group], home: "/".into() };
        let stranger = account(owner.uid() + 1, owner.gid() + 1);
        let member = account(owner.uid() + 1, owner.gid());
        let root = account(0, 0);

        for (folder, file, members, strangers) in [
            (0o755, 0o644, true, true),
            (0o755, 0o640, true, false),
            (0o755, 0o600, false, false),
            (0o750, 0o644, true, false),
            (0o700, 0o644, false, false),
        ] {
            fs::set_permissions(&path, fs::Permissions::from_mode(file)).unwrap();
            let etc = room.path().join("etc");
            fs::set_permissions(&etc, fs::Permissions::from_mode(folder)).unwrap();
            let path = Path::new("/etc/c.conf");
            let told = [&member, &stranger, &root].map(|account| host.may_read(account, path));
            assert_eq!(told, [members, strangers, true], "{folder:o} {file:o}");
        }
    }
}
