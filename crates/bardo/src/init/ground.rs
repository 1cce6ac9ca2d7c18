//! Where a verb works: on this machine, below a folder, or only in words.

use std::ffi::OsString;
use std::fs;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{Access, access};

/// Where the tools of an administrator are, also when the environment does not say so.
const MORE_TOOLS: [&str; 5] = ["/usr/local/sbin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"];

/// Most links that are followed on the way to a file: as many as the kernel follows.
const LINKS_MAX: u32 = 40;

/// Where a verb works.
#[derive(Debug, Clone)]
pub struct Ground {
    root: PathBuf,
    search: Vec<PathBuf>,
    is_privileged: bool,
    is_offline: bool,
    is_told: bool,
}

impl Ground {
    /// This machine, with the tools that the environment names.
    #[must_use]
    pub fn here() -> Self {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let mut search: Vec<PathBuf> = std::env::split_paths(&path).collect();
        search.extend(MORE_TOOLS.map(PathBuf::from));
        let is_privileged = rustix::process::geteuid().is_root();
        Self { root: PathBuf::from("/"), search, is_privileged, is_offline: false, is_told: false }
    }

    /// A machine whose files are below a folder and whose tools are in another one.
    #[must_use]
    pub fn of(root: &Path, tools: &Path) -> Self {
        let search = vec![tools.to_owned()];
        let root = root.to_owned();
        Self { root, search, is_privileged: true, is_offline: false, is_told: false }
    }

    /// The same, where files are written below a folder and nothing is run.
    #[must_use]
    pub fn below(self, root: &Path) -> Self {
        Self { root: root.to_owned(), is_offline: true, ..self }
    }

    /// The same, where nothing is done.
    #[must_use]
    pub fn only_told(self) -> Self {
        Self { is_told: true, ..self }
    }

    /// The same for somebody who is not root.
    #[must_use]
    pub fn without_rights(self) -> Self {
        Self { is_privileged: false, ..self }
    }

    /// Whether files are written and tools of the system are run.
    #[must_use]
    pub fn is_live(&self) -> bool {
        !self.is_offline && !self.is_told
    }

    /// Whether it is a machine that does not run: its tools are neither run nor asked.
    #[must_use]
    pub fn is_offline(&self) -> bool {
        self.is_offline
    }

    /// Whether everything is told and nothing done.
    #[must_use]
    pub fn is_told(&self) -> bool {
        self.is_told
    }

    /// Whether files are those of this machine.
    #[must_use]
    pub fn is_this_machine(&self) -> bool {
        !self.is_offline && self.root == Path::new("/")
    }

    /// Whether the files of the machine may be written.
    #[must_use]
    pub fn is_privileged(&self) -> bool {
        self.is_privileged
    }

    /// The folder below which its files are.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Where a file of the machine is. Links on the way to it are followed as that machine
    /// follows them: none leads out of the folder below which its files are.
    #[must_use]
    pub fn at(&self, path: impl AsRef<Path>) -> PathBuf {
        self.resolved(path.as_ref(), LastLink::Kept)
    }

    /// Where that is which a path of the machine leads to, also when it is a link itself.
    #[must_use]
    pub fn behind(&self, path: impl AsRef<Path>) -> PathBuf {
        self.resolved(path.as_ref(), LastLink::Followed)
    }

    fn resolved(&self, path: &Path, last: LastLink) -> PathBuf {
        let inside = path.strip_prefix("/").unwrap_or(path);
        if self.root == Path::new("/") {
            return self.root.join(inside);
        }
        let reversed = |path: &Path| path.components().rev().map(owned).collect::<Vec<_>>();
        let mut left = reversed(inside);
        let (mut found, mut links) = (PathBuf::new(), 0);
        while let Some(part) = left.pop() {
            let name = match part {
                Part::Root => {
                    found.clear();
                    continue;
                }
                Part::Parent => {
                    found.pop();
                    continue;
                }
                Part::Name(name) => name,
            };
            found.push(&name);
            if left.is_empty() && last == LastLink::Kept {
                break;
            }
            let Ok(target) = fs::read_link(self.root.join(&found)) else { continue };
            links += 1;
            if links > LINKS_MAX {
                // Nothing is there, and nothing can be written there.
                return Path::new("/dev/null").join(name);
            }
            found.pop();
            left.extend(reversed(&target));
        }
        self.root.join(found)
    }

    /// Where a tool is.
    #[must_use]
    pub fn tool(&self, name: &str) -> Option<PathBuf> {
        let found = self.search.iter().map(|folder| folder.join(name));
        found.filter(|path| path.is_file()).find(|path| access(path, Access::EXEC_OK).is_ok())
    }

    /// Where tools find others.
    #[must_use]
    pub fn search(&self) -> OsString {
        std::env::join_paths(&self.search).unwrap_or_default()
    }
}

/// What becomes of a path that is a link itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum LastLink {
    Kept,
    Followed,
}

/// A part of a path.
enum Part {
    Root,
    Parent,
    Name(OsString),
}

fn owned(component: Component<'_>) -> Part {
    match component {
        Component::RootDir | Component::Prefix(_) => Part::Root,
        Component::ParentDir => Part::Parent,
        Component::CurDir => Part::Name(OsString::from(".")),
        Component::Normal(name) => Part::Name(name.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_path_of_the_machine_is_below_the_folder() {
        let ground = Ground::here().below(Path::new("/tmp/r"));

        assert_eq!(ground.at("/etc/x"), Path::new("/tmp/r/etc/x"));
        assert_eq!(Ground::here().at("/etc/x"), Path::new("/etc/x"));
    }

    #[test]
    fn no_link_leads_out_of_the_folder() {
        let room = tempfile::tempdir().unwrap();
        let root = room.path().join("r");
        fs::create_dir_all(root.join("usr/lib")).unwrap();
        let ground = Ground::here().below(&root);
        for (link, target) in [
            ("etc", "/private/etc"),
            ("lib", "usr/lib"),
            ("up", "../../.."),
            ("round", "about"),
            ("about", "/round"),
            ("file", "/usr/lib/x"),
        ] {
            symlink(target, root.join(link)).unwrap();
        }

        for (path, wanted) in [
            ("/etc/init/web", "private/etc/init/web"),
            ("/lib/x", "usr/lib/x"),
            ("/up/etc/x", "private/etc/x"),
            ("/../../x", "x"),
            ("/file", "file"),
        ] {
            assert_eq!(ground.at(path), root.join(wanted), "{path}");
        }
        assert_eq!(ground.behind("/file"), root.join("usr/lib/x"));
        assert!(ground.at("/round/x").starts_with("/dev/null"));
    }

    #[test]
    fn a_tool_is_what_can_be_executed() {
        assert!(Ground::here().tool("sh").is_some());
        assert!(Ground::here().tool("no-such-tool-anywhere").is_none());
    }
}
