//! Where the supervisor of this machine or this user is to be found.

use std::io;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use bardo_config::Listen;

use super::Client;
use crate::daemon::runtime;
use crate::host::Machine;
use crate::launcher;
use crate::tool_path;

/// The environment variable that says it.
const VARIABLE: &str = "BARDO_SOCKET";

/// Why there is nobody to ask.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SearchError {
    /// Nobody listens anywhere.
    #[error("no supervisor listens on {}; start one with: bardo run", listed(.0))]
    Nobody(Vec<PathBuf>),
    /// Somebody may listen there, and we may not ask.
    #[error("{} may not be used by this user", .0.display())]
    Forbidden(PathBuf),
    /// What was named is no socket file.
    #[error("{0} is no socket file: give a path, or a URL that begins with unix://")]
    NoFile(String),
    /// There is nothing to ask with.
    #[error("cannot make a client: {0}")]
    Client(#[source] io::Error),
}

fn listed(paths: &[PathBuf]) -> String {
    let paths: Vec<String> = paths.iter().map(|path| path.display().to_string()).collect();
    if paths.is_empty() { "any socket".to_owned() } else { paths.join(" or ") }
}

/// Finds the supervisor: where `BARDO_SOCKET` says, else where `socket` does, else where
/// `bardo run` listens, else where the configuration file says that `supervisord` does.
/// It connects, so that a socket on which nobody listens any more is passed over.
///
/// # Errors
/// When there is none.
pub fn find(socket: Option<&str>) -> Result<Client, SearchError> {
    let told = std::env::var(VARIABLE).ok().filter(|told| !told.is_empty());
    let candidates = match told.as_deref().or(socket) {
        Some(named) => vec![(file(named)?, None)],
        None => usual(),
    };
    let mut forbidden = None;
    for (path, credentials) in &candidates {
        match UnixStream::connect(path) {
            Ok(_) => {
                let (user, password) = credentials.clone().unzip();
                let url = format!("unix://{}", path.display());
                return Client::new(&url, user, password).map_err(SearchError::Client);
            }
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                forbidden.get_or_insert_with(|| path.clone());
            }
            Err(_) => {}
        }
    }
    Err(match forbidden {
        Some(path) => SearchError::Forbidden(path),
        None => SearchError::Nobody(candidates.into_iter().map(|(path, _)| path).collect()),
    })
}

/// The path of a socket that was named.
fn file(named: &str) -> Result<PathBuf, SearchError> {
    match named.split_once("://") {
        None => Ok(PathBuf::from(named)),
        Some(("unix", path)) => Ok(PathBuf::from(path)),
        Some(_) => Err(SearchError::NoFile(named.to_owned())),
    }
}

/// A socket, with the user and the password that it asks for.
type Candidate = (PathBuf, Option<(String, String)>);

/// Where supervisors listen of which nobody has said anything.
fn usual() -> Vec<Candidate> {
    let mut candidates = Vec::new();
    let mut add = |path: PathBuf, credentials| {
        if !candidates.iter().any(|(there, _): &Candidate| *there == path) {
            candidates.push((path, credentials));
        }
    };
    for place in runtime::places().into_iter().filter(|place| runtime::is_safe(place)) {
        add(place.join(launcher::SOCKET), None);
    }
    configured().into_iter().for_each(|(path, credentials)| add(path, credentials));
    // Who is not root may be a service of root's, or is told that he may not.
    add(Path::new(launcher::ROOTS_PLACE).join(launcher::SOCKET), None);
    candidates
}

/// The socket files of the configuration that `supervisord` would find.
fn configured() -> Vec<Candidate> {
    let file = bardo_config::find(&Machine, &tool_path::of_this_tool("supervisord"));
    // One that cannot be read is that of nobody whom we could ask.
    let there = file.and_then(|file| bardo_config::whereabouts(&Machine, &file).ok());
    let servers = there.into_iter().flat_map(|there| there.servers);
    let file = |server: bardo_config::HttpServer| match server.listen {
        Listen::Unix { path, .. } => Some((PathBuf::from(path), server.credentials)),
        _ => None,
    };
    servers.filter_map(file).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_is_named_by_a_path_or_a_url() {
        assert_eq!(file("/a/b").unwrap(), Path::new("/a/b"));
        assert_eq!(file("unix:///a/b").unwrap(), Path::new("/a/b"));
        assert!(file("http://localhost:9001").is_err());
    }

    #[test]
    fn nobody_is_told_of_with_how_to_start_somebody() {
        let room = tempfile::tempdir().unwrap();
        let path = room.path().join("s.sock");

        let error = SearchError::Nobody(vec![path.clone()]).to_string();

        assert!(error.contains(path.to_str().unwrap()) && error.contains("bardo run"), "{error}");
    }
}
