//! Whether one of a service's processes listens on a socket, as /proc shows it.

use std::collections::HashSet;
use std::fs;

use bardo_sys::tree::Tree;

/// The state of a TCP socket that listens.
const TCP_LISTENS: &str = "0A";

/// The flag of a Unix socket that listens.
const UNIX_LISTENS: u64 = 0x1_0000;

/// Whether a process, or one that belongs to it, has a socket that takes connections.
pub(super) fn is_listening(leader: u32) -> bool {
    let Ok(members) = Tree::of(leader).and_then(|tree| tree.members()) else { return false };
    let sockets: HashSet<u64> = members.iter().flat_map(|it| sockets_of(it.pid)).collect();
    if sockets.is_empty() {
        return false;
    }
    let table = |name: &str| fs::read_to_string(format!("/proc/{leader}/net/{name}"));
    let has = |text: &str, inode: fn(&str) -> Option<u64>| {
        text.lines().filter_map(inode).any(|inode| sockets.contains(&inode))
    };
    ["tcp", "tcp6"].into_iter().any(|name| table(name).is_ok_and(|text| has(&text, of_tcp)))
        || table("unix").is_ok_and(|text| has(&text, of_unix))
}

/// The inodes of the sockets that a process has open.
fn sockets_of(pid: u32) -> Vec<u64> {
    let Ok(entries) = fs::read_dir(format!("/proc/{pid}/fd")) else { return Vec::new() };
    let links = entries.flatten().filter_map(|entry| fs::read_link(entry.path()).ok());
    links
        .filter_map(|link| link.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok())
        .collect()
}

/// The inode of a line of `/proc/net/tcp` that tells of a socket that listens.
fn of_tcp(line: &str) -> Option<u64> {
    let fields: Vec<&str> = line.split_ascii_whitespace().collect();
    (*fields.get(3)? == TCP_LISTENS).then(|| fields.get(9)?.parse().ok())?
}

/// The same of `/proc/net/unix`.
fn of_unix(line: &str) -> Option<u64> {
    let fields: Vec<&str> = line.split_ascii_whitespace().collect();
    let flags = u64::from_str_radix(fields.get(3)?, 16).ok()?;
    (flags & UNIX_LISTENS != 0).then(|| fields.get(6)?.parse().ok())?
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn who_listens_is_seen_in_the_table() {
        let tcp = "   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000 \
                   1000 0 4711 1 0000000000000000 100 0 0 10 0";
        let unix = "0000000000000000: 00000002 00000000 00010000 0001 01 815 /run/s";

        assert_eq!(of_tcp(tcp), Some(4711));
        assert_eq!(of_tcp(&tcp.replace(" 0A ", " 01 ")), None);
        assert_eq!(of_unix(unix), Some(815));
        assert_eq!(of_unix(&unix.replace("00010000", "00000000")), None);
    }

    #[test]
    fn this_process_listens_when_it_does() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();

        assert!(is_listening(std::process::id()));
        drop(listener);
    }
}
