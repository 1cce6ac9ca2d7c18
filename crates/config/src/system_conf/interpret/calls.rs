//! What a service may ask of others and of the kernel: `ipc`, `system`, `vm`, `domain`,
//! `sigmgr`.

use super::super::value::integer;
use super::super::{Line, Mode, Place, Refusal, Standing};
use super::identity::at_most;
use super::{Draft, Reading};

/// Most bytes of the names behind `ipc` in MINIX, with a blank between two.
const MINIX_IPC_BYTES_MAX: usize = 255;

/// Most families behind `domain` in MINIX.
const MINIX_DOMAINS_MAX: usize = 8;

/// The greatest number of a family of sockets: Linux has less than fifty.
const DOMAIN_MAX: i64 = 255;

/// What MINIX calls the kernel calls.
const SYSTEM_CALLS: &[&str] = &[
    "ABORT",
    "DEVIO",
    "IOPENABLE",
    "IRQCTL",
    "KILL",
    "MEMSET",
    "PADCONF",
    "PHYSCOPY",
    "PRIVCTL",
    "READBIOS",
    "SDEVIO",
    "STIME",
    "TRACE",
    "UMAP",
    "UMAP_REMOTE",
    "VDEVIO",
    "VIRCOPY",
    "VMCTL",
    "VUMAP",
];

/// What MINIX calls the calls to its server of memory.
const MEMORY_CALLS: &[&str] = &[
    "ADDDMA",
    "BRK",
    "CLEARCACHE",
    "DELDMA",
    "EXEC_NEWMEM",
    "EXIT",
    "FORGETCACHEPAGE",
    "FORK",
    "GETDMA",
    "GETPHYS",
    "GETREF",
    "GETRUSAGE",
    "INFO",
    "MAPCACHEPAGE",
    "NOTIFY_SIG",
    "PROCCTL",
    "PUSH_SIG",
    "QUERY_EXIT",
    "REMAP",
    "REMAP_RO",
    "RS_MEMCTL",
    "RS_PREPARE",
    "RS_SET_PRIV",
    "RS_UPDATE",
    "SETCACHEPAGE",
    "SHM_UNMAP",
    "VFS_MMAP",
    "VFS_REPLY",
    "WILLEXIT",
];

/// The families of sockets, as MINIX and Linux call them.
const DOMAINS: &[&str] = &[
    "ALG",
    "APPLETALK",
    "ARP",
    "BLUETOOTH",
    "CAN",
    "CCITT",
    "CHAOS",
    "CNT",
    "COIP",
    "DATAKIT",
    "DECnet",
    "DLI",
    "ECMA",
    "HYLINK",
    "IMPLINK",
    "INET",
    "INET6",
    "IPX",
    "ISDN",
    "ISO",
    "KEY",
    "LAT",
    "LINK",
    "LOCAL",
    "MPLS",
    "NATM",
    "NETLINK",
    "NS",
    "OROUTE",
    "PACKET",
    "PIP",
    "PUP",
    "ROUTE",
    "RTIP",
    "SNA",
    "TIPC",
    "UNIX",
    "VSOCK",
    "XDP",
    "XTP",
];

pub(in super::super) fn ipc(draft: &mut Draft<'_>, line: &Line) -> Result<Standing, Refusal> {
    let reading = Reading::of(line);
    let words = reading.words()?;
    let alone = alone(&reading, &words, &["ALL", "ALL_SYS"])?;
    if draft.mode == Mode::Minix {
        let bytes = words.iter().map(|(word, _)| word.len() + 1).sum::<usize>().saturating_sub(1);
        if bytes > MINIX_IPC_BYTES_MAX {
            let what = format!("names of more than {MINIX_IPC_BYTES_MAX} bytes behind `ipc`");
            let advice = "take some out, or do not ask for the limits of MINIX";
            return Err(Refusal::at(&line.at, what, advice));
        }
    }
    for (word, place) in &words {
        if *word == "NONE" {
            draft.note(place, "`NONE` is a name like others here; `ipc;` is nobody");
        }
    }
    Ok(if alone == Some("ALL") { Standing::Enforced } else { Standing::NotYet })
}

pub(in super::super) fn system(draft: &mut Draft<'_>, line: &Line) -> Result<Standing, Refusal> {
    let reading = Reading::of(line);
    let words = reading.words()?;
    let alone = alone(&reading, &words, &["ALL", "BASIC", "NONE"])?;
    for (word, place) in &words {
        if alone.is_none() && !SYSTEM_CALLS.contains(word) && !looks_like_linux(word) {
            draft.note(place, format!("`{word}` is no call, and is ignored"));
        }
    }
    Ok(if alone == Some("ALL") { Standing::Enforced } else { Standing::NotYet })
}

/// Whether a word looks like a system call of Linux or a group of them.
fn looks_like_linux(word: &str) -> bool {
    let name = word.strip_prefix('@').unwrap_or(word);
    let fits =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-".contains(&byte);
    name.starts_with(|first: char| first.is_ascii_lowercase() || first == '_')
        && name.bytes().all(fits)
}

pub(in super::super) fn vm(draft: &mut Draft<'_>, line: &Line) -> Result<Standing, Refusal> {
    let reading = Reading::of(line);
    let words = reading.words()?;
    match alone(&reading, &words, &["ALL", "BASIC", "NONE"])? {
        Some("NONE") => return Ok(Standing::NotYet),
        Some(_) => return Ok(Standing::Enforced),
        None => {}
    }
    let is_known = |word: &str| MEMORY_CALLS.contains(&word);
    let known: Vec<&str> =
        words.iter().map(|(word, _)| *word).filter(|word| is_known(word)).collect();
    if !known.is_empty() {
        draft.note(&line.at, format!("`vm {}` means nothing on Linux", known.join(" ")));
    }
    for (word, place) in words.iter().filter(|(word, _)| !is_known(word)) {
        draft.note(place, format!("`{word}` is no call, and is ignored"));
    }
    Ok(Standing::Recorded)
}

pub(in super::super) fn domain(draft: &mut Draft<'_>, line: &Line) -> Result<Standing, Refusal> {
    let reading = Reading::of(line);
    let words = reading.words()?;
    for (word, place) in &words {
        let is_number = || integer(word).is_some_and(|number| (1..=DOMAIN_MAX).contains(&number));
        if !DOMAINS.contains(word) && !is_number() {
            return Err(reading.bad(place, word, "a family of sockets"));
        }
    }
    if draft.mode == Mode::Minix {
        at_most(&reading, &words, MINIX_DOMAINS_MAX, "families")?;
    }
    Ok(Standing::NotYet)
}

pub(in super::super) fn signal_manager(
    _: &mut Draft<'_>,
    line: &Line,
) -> Result<Standing, Refusal> {
    let (word, _) = Reading::of(line).word()?;
    // The supervisor is what MINIX calls rs.
    Ok(if word == "rs" { Standing::Enforced } else { Standing::NotYet })
}

/// The word of these that stands alone; it is refused among others.
pub(super) fn alone(
    reading: &Reading<'_>,
    words: &[(&str, Place)],
    of: &[&'static str],
) -> Result<Option<&'static str>, Refusal> {
    let find = |word: &str| of.iter().copied().find(|known| *known == word);
    for (word, place) in words {
        if let Some(known) = find(word) {
            if words.len() == 1 {
                return Ok(Some(known));
            }
            return Err(reading.refuse(place, format!("`{known}` stands among other words")));
        }
    }
    Ok(None)
}
