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

/// The option that says it, where that is not set.
const OPTION: &str = "--socket";

/// Why there is nobody to ask.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SearchError {
    /// Nobody listens anywhere.
    #[error("no supervisor listens on {}; start one with: bardo run", listed(.0))]
    Nobody(Vec<PathBuf>),
    /// Nobody listens where somebody is said to, and where `bardo run` alone does not listen.
    #[error(
        "no supervisor listens on {path}, which {by} names; bardo run -c FILE starts one that does, \
         where FILE has file={path} in [unix_http_server]; bardo run alone listens where it is \
         looked for without {by}", path = .path.display()
    )]
    NobodyThere {
        /// Where.
        path: PathBuf,
        /// Who says so: the variable or the option.
        by: &'static str,
    },
    /// Somebody may listen there, and we may not ask.
    #[error("{} may not be used by this user", .0.display())]
    Forbidden(PathBuf),
    /// The same, where nobody has said that it is the one.
    #[error("{} may not be used by this user; start one of your own with: bardo run", .0.display())]
    OthersOnly(PathBuf),
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
    let named = told.as_deref().map(|told| (told, VARIABLE));
    let named = named.or_else(|| socket.map(|socket| (socket, OPTION)));
    let candidates = match named {
        Some((named, _)) => vec![(file(named)?, None)],
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
    let places = candidates.into_iter().map(|(path, _)| path).collect();
    Err(match (forbidden, named) {
        (Some(path), Some(_)) => SearchError::Forbidden(path),
        (Some(path), None) => SearchError::OthersOnly(path),
        (None, Some((_, by))) => nobody_there(places, by, &own_place()),
        (None, None) => SearchError::Nobody(places),
    })
}

/// Nobody listens on a socket that was named. It may be the one of `bardo run`.
fn nobody_there(named: Vec<PathBuf>, by: &'static str, own: &Path) -> SearchError {
    match &named[..] {
        [path] if path != own => SearchError::NobodyThere { path: path.clone(), by },
        _ => SearchError::Nobody(named),
    }
}

/// Where a `bardo run` of ours listens; nowhere when there is no place for it.
fn own_place() -> PathBuf {
    let place = runtime::places().into_iter().find(|place| runtime::is_safe(place));
    place.unwrap_or_default().join(launcher::SOCKET)
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

    #[test]
    fn a_place_where_bardo_run_does_not_listen_is_not_said_to_be_its() {
        let (own, other) = (Path::new("/run/bardo/bardo.sock"), Path::new("/nonex"));

        let at = |path: &Path| nobody_there(vec![path.to_owned()], VARIABLE, own).to_string();

        assert!(at(own).ends_with("start one with: bardo run"), "{}", at(own));
        assert!(at(other).contains("file=/nonex in [unix_http_server]"), "{}", at(other));
        assert!(at(other).contains("without BARDO_SOCKET"), "{}", at(other));
    }

    #[test]
    fn who_may_not_ask_roots_supervisor_may_have_one_of_his_own() {
        let path = PathBuf::from("/run/bardo/bardo.sock");

        let named = SearchError::Forbidden(path.clone()).to_string();
        let found = SearchError::OthersOnly(path).to_string();

        assert!(!named.contains("bardo run"), "{named}");
        assert!(found.contains("start one of your own with: bardo run"), "{found}");
    }
}
