//! Devices that only one service may have: their numbers, and when two are the same.
//!
//! A number is what the kernel calls the device (`rdev`), of which Linux uses 32 bits. Above
//! them stands what else tells devices apart: a disk and a terminal may have one number.

/// The largest major number that Linux gives.
pub const MAJOR_MAX: u32 = 0xfff;

/// The device is one of blocks, as a disk is.
const BLOCKS: u64 = 1 << 63;

/// All devices of the major number are meant, whatever they are.
const ALL_OF_MAJOR: u64 = 1 << 62;

/// Where the major number stands in what the kernel calls a device.
const MAJOR_AT: u32 = 8;

/// One device, by its node.
#[must_use]
pub const fn of_node(rdev: u64, is_of_blocks: bool) -> u64 {
    if is_of_blocks { rdev | BLOCKS } else { rdev }
}

/// All devices of a major number.
#[must_use]
pub const fn of_major(major: u32) -> u64 {
    (major as u64) << MAJOR_AT | ALL_OF_MAJOR
}

/// The major number.
#[must_use]
pub const fn major(device: u64) -> u32 {
    (device >> MAJOR_AT) as u32 & MAJOR_MAX
}

/// Whether two services cannot have these at the same time.
#[must_use]
pub const fn collide(one: u64, other: u64) -> bool {
    match (one | other) & ALL_OF_MAJOR {
        0 => one == other,
        _ => major(one) == major(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `/dev/null`.
    const NULL: u64 = 0x103;

    #[test]
    fn a_major_number_stands_for_all_its_devices() {
        assert_eq!((major(NULL), major(of_major(MAJOR_MAX))), (1, MAJOR_MAX));
        assert!(collide(of_major(1), of_node(NULL, false)));
        assert!(collide(of_node(NULL, true), of_major(1)));
        assert!(!collide(of_major(2), of_node(NULL, false)));
    }

    #[test]
    fn a_device_of_blocks_is_not_the_one_of_characters_of_its_number() {
        assert!(collide(of_node(NULL, false), NULL));
        assert!(!collide(of_node(NULL, true), of_node(NULL, false)));
        assert!(!collide(of_node(NULL, false), of_node(NULL + 1, false)));
    }
}
