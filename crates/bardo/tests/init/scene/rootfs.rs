//! Root file systems of Debian, one for each init system: made once, kept, never changed.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Init systems that machines are booted with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Init {
    Systemd,
    Sysvinit,
    Openrc,
}

/// What nobody reads in a test.
const LEFT_OUT: [&str; 3] = ["/usr/share/doc/*", "/usr/share/man/*", "/usr/share/locale/*"];

impl Init {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Systemd => "systemd",
            Self::Sysvinit => "sysvinit",
            Self::Openrc => "openrc",
        }
    }

    /// The name of its first process.
    pub(crate) fn comm(self) -> &'static str {
        match self {
            Self::Systemd => "systemd",
            Self::Sysvinit | Self::Openrc => "init",
        }
    }

    fn packages(self) -> &'static str {
        match self {
            Self::Systemd => "systemd-sysv,dbus,procps",
            Self::Sysvinit => "sysvinit-core,initscripts,insserv,procps,lsb-base,util-linux",
            Self::Openrc => "openrc,procps,sysvinit-core",
        }
    }
}

/// The folder with the root file system of this init system, which is made when it is not
/// there: a minute, and some 50 MB from Debian's mirror. Or why it cannot be had.
pub(super) fn of(init: Init) -> Result<PathBuf, String> {
    let cache = std::env::var_os("BARDO_ROOTFS_CACHE")
        .map_or_else(|| Path::new(env!("CARGO_TARGET_TMPDIR")).join("rootfs"), PathBuf::from);
    let root = cache.join(init.name());
    let finished = cache.join(format!("{}.finished", init.name()));
    let wanted = format!("{} {}\n", suite()?, init.packages());
    if fs::read_to_string(&finished).is_ok_and(|text| text == wanted) && root.is_dir() {
        return Ok(root);
    }
    let failed = |error: io::Error| format!("{}: {error}", cache.display());
    fs::create_dir_all(&cache).map_err(failed)?;
    // The mark goes first and comes last, so what was not finished is made anew.
    for old in [fs::remove_file(&finished), fs::remove_dir_all(&root)] {
        match old {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
            _ => {}
        }
    }
    make(init, &root, &cache.join(format!("{}.log", init.name())))?;
    fs::write(&finished, wanted).map_err(failed)?;
    Ok(root)
}

fn make(init: Init, root: &Path, log: &Path) -> Result<(), String> {
    let said = File::create(log).map_err(|error| format!("{}: {error}", log.display()))?;
    let status = Command::new("mmdebstrap")
        .args(["--variant=minbase", "--mode=root", "--aptopt=Acquire::Languages \"none\""])
        .args(LEFT_OUT.map(|path| format!("--dpkgopt=path-exclude={path}")))
        .arg(format!("--include={}", init.packages()))
        .arg(suite()?)
        .arg(root)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(said)
        .status();
    match status {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("mmdebstrap ended with {status}, see {}", log.display())),
        Err(error) => Err(format!("mmdebstrap: {error}")),
    }
}

/// The release of Debian that this machine runs, so that what was built here has its
/// libraries there.
fn suite() -> Result<String, String> {
    let text = fs::read_to_string("/etc/os-release").unwrap_or_default();
    let name = text.lines().find_map(|line| line.strip_prefix("VERSION_CODENAME="));
    name.map(str::to_owned).ok_or_else(|| "this is no release of Debian with a name".to_owned())
}
