//! What an ELF file tells of itself in its program headers: whether a loader is needed, which
//! one, and which libraries.
//!
//! The file may be anybody's and may say anything: what is out of bounds is passed over.

use std::os::fd::BorrowedFd;

use rustix::io::pread;

/// Most program headers that are looked at. The kernel takes no more than 64 KiB of them,
/// and linkers make about a dozen.
const SEGMENTS_MAX: u64 = 256;

/// Most bytes of the list of what is needed. The largest programs have a few KiB.
const DYNAMIC_BYTES_MAX: u64 = 64 << 10;

/// Most libraries that are named.
const LIBRARIES_MAX: usize = 256;

/// Longest name of a library or a loader.
const NAME_BYTES: usize = 256;

/// Kinds of segments.
const PT_LOAD: u64 = 1;
const PT_DYNAMIC: u64 = 2;
const PT_INTERP: u64 = 3;

/// Kinds of entries of the list of what is needed.
const DT_NULL: u64 = 0;
const DT_NEEDED: u64 = 1;
const DT_STRTAB: u64 = 5;

/// What a program needs beside itself.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Needs {
    /// Its loader.
    pub loader: Option<String>,
    /// The libraries that it names itself. Those may name further ones.
    pub libraries: Vec<String>,
}

/// What of the header of an ELF file tells where its program headers are.
#[derive(Debug)]
pub(crate) struct Header {
    is_big_endian: bool,
    is_wide: bool,
    offset: u64,
    size: u64,
    count: u64,
}

/// A program header.
#[derive(Debug, Clone, Copy)]
struct Segment {
    kind: u64,
    offset: u64,
    address: u64,
    length: u64,
}

impl Header {
    /// Reads the first bytes of a file; nothing where it is no ELF file.
    pub(crate) fn read(bytes: &[u8]) -> Option<Self> {
        let rest = bytes.strip_prefix(b"\x7fELF")?;
        let is_wide = *rest.first()? == 2;
        let is_big_endian = rest.get(1) == Some(&2);
        let mut header = Self { is_big_endian, is_wide, offset: 0, size: 0, count: 0 };
        let (offset, size, count) = match rest.first()? {
            1 => (28..32, 42..44, 44..46),
            2 => (32..40, 54..56, 56..58),
            _ => return None,
        };
        header.offset = header.number(bytes.get(offset)?);
        header.size = header.number(bytes.get(size)?);
        header.count = header.number(bytes.get(count)?);
        Some(header)
    }

    /// Whether a loader is needed.
    pub(crate) fn is_dynamic(&self, file: BorrowedFd<'_>) -> bool {
        self.segments(file).any(|segment| segment.kind == PT_INTERP)
    }

    fn number(&self, bytes: &[u8]) -> u64 {
        let fold = |number, byte: &u8| number << 8 | u64::from(*byte);
        if self.is_big_endian {
            bytes.iter().fold(0, fold)
        } else {
            bytes.iter().rev().fold(0, fold)
        }
    }

    fn segments<'a>(&'a self, file: BorrowedFd<'a>) -> impl Iterator<Item = Segment> + 'a {
        (0..self.count.min(SEGMENTS_MAX)).filter_map(move |index| {
            let mut bytes = [0; 40];
            let offset = self.offset.checked_add(index * self.size)?;
            // One that is cut short still tells its kind.
            (pread(file, &mut bytes, offset).ok()? >= 4).then_some(())?;
            let places = match self.is_wide {
                true => [8..16, 16..24, 32..40],
                false => [4..8, 8..12, 16..20],
            };
            let [offset, address, length] = places.map(|place| self.number(&bytes[place]));
            Some(Segment { kind: self.number(&bytes[..4]), offset, address, length })
        })
    }

    /// Where in the file lies what is at this address.
    fn find(&self, file: BorrowedFd<'_>, address: u64) -> Option<u64> {
        let is_there = |segment: &Segment| {
            let place = address.checked_sub(segment.address);
            segment.kind == PT_LOAD && place.is_some_and(|place| place < segment.length)
        };
        let segment = self.segments(file).find(is_there)?;
        segment.offset.checked_add(address - segment.address)
    }

    /// The entries of the list of what is needed.
    fn entries(&self, file: BorrowedFd<'_>) -> Vec<(u64, u64)> {
        let Some(list) = self.segments(file).find(|segment| segment.kind == PT_DYNAMIC) else {
            return Vec::new();
        };
        let mut bytes = vec![0; list.length.min(DYNAMIC_BYTES_MAX) as usize];
        let length = pread(file, &mut *bytes, list.offset).unwrap_or(0);
        let half = if self.is_wide { 8 } else { 4 };
        let entries = bytes[..length].chunks_exact(2 * half);
        let entries =
            entries.map(|entry| (self.number(&entry[..half]), self.number(&entry[half..])));
        entries.take_while(|(kind, _)| *kind != DT_NULL).collect()
    }
}

/// What a program needs beside itself; nothing where it is no ELF file, or all is in it.
#[must_use]
pub fn needs(file: BorrowedFd<'_>) -> Needs {
    let mut start = [0; 64];
    let length = pread(file, &mut start, 0).unwrap_or(0);
    let Some(header) = Header::read(&start[..length]) else { return Needs::default() };
    let loader = header.segments(file).find(|segment| segment.kind == PT_INTERP);
    let loader = loader.and_then(|segment| text_at(file, segment.offset));
    let entries = header.entries(file);
    let names = entries.iter().find(|(kind, _)| *kind == DT_STRTAB);
    let names = names.and_then(|(_, address)| header.find(file, *address));
    let name = |place: u64| text_at(file, names?.checked_add(place)?);
    let needed = entries.iter().filter(|(kind, _)| *kind == DT_NEEDED);
    let libraries = needed.take(LIBRARIES_MAX).filter_map(|(_, place)| name(*place)).collect();
    Needs { loader, libraries }
}

/// The text there, up to its NUL.
fn text_at(file: BorrowedFd<'_>, offset: u64) -> Option<String> {
    let mut bytes = [0; NAME_BYTES];
    let length = pread(file, &mut bytes, offset).ok()?;
    let end = bytes[..length].iter().position(|byte| *byte == 0)?;
    (end > 0).then(|| String::from_utf8_lossy(&bytes[..end]).into_owned())
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::Write as _;
    use std::os::fd::AsFd as _;

    use super::*;

    #[test]
    fn a_shell_names_its_loader_and_its_libraries() {
        let file = File::open("/bin/sh").unwrap();

        let needs = needs(file.as_fd());

        let loader = needs.loader.unwrap();
        assert!(std::path::Path::new(&loader).is_absolute(), "{loader}");
        assert!(
            needs.libraries.iter().any(|name| name.starts_with("lib")),
            "{:?}",
            needs.libraries
        );
    }

    #[test]
    fn nonsense_needs_nothing() {
        let mut wild = vec![0xff; 4096];
        wild[..6].copy_from_slice(b"\x7fELF\x02\x01");
        let mut narrow = wild.clone();
        narrow[4] = 1;
        // Its program headers are the bytes that follow, and all of them list what is needed.
        let mut list = vec![2; 4096];
        list[..6].copy_from_slice(b"\x7fELF\x02\x01");
        list[32..40].copy_from_slice(&64_u64.to_le_bytes());
        for bytes in [&b""[..], b"#!/bin/sh\n", b"\x7fELF", &wild, &narrow, &list] {
            let mut file = tempfile::tempfile().unwrap();
            file.write_all(bytes).unwrap();
            assert_eq!(needs(file.as_fd()), Needs::default());
        }
    }
}
