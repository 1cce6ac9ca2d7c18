//! What a child is to become, laid out so that nothing is left to do between its
//! birth and its program but system calls.
//!
//! Ten thousand plans must stay small, so strings lie end to end in one block, and
//! the environment that all children share is held once.

use std::ffi::CStr;
use std::sync::Arc;

use crate::image::Image;
use crate::setup::Setup;

/// Strings end to end, each closed by a NUL.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Strings {
    block: Box<[u8]>,
}

/// A string that holds a NUL, which the kernel cannot be given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a string for the kernel holds a NUL")]
pub struct HoldsNul;

impl Strings {
    /// Lays out the strings.
    ///
    /// # Errors
    /// When one of them holds a NUL.
    pub fn new<'a>(strings: impl IntoIterator<Item = &'a [u8]>) -> Result<Self, HoldsNul> {
        let mut block = Vec::new();
        for string in strings {
            if string.contains(&0) {
                return Err(HoldsNul);
            }
            block.extend_from_slice(string);
            block.push(0);
        }
        Ok(Self { block: block.into() })
    }

    /// The strings, in order.
    pub fn iter(&self) -> impl Iterator<Item = &CStr> {
        self.block
            .split_inclusive(|byte| *byte == 0)
            .filter_map(|string| CStr::from_bytes_with_nul(string).ok())
    }
}

/// The variables that all children share.
#[derive(Debug, Default)]
pub struct Environment {
    /// `NAME=value` strings.
    pub variables: Strings,
}

/// The user a child becomes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// User number.
    pub uid: u32,
    /// Group number.
    pub gid: u32,
    /// Supplementary groups.
    pub groups: Box<[u32]>,
}

/// What a child is to become.
#[derive(Debug, Clone, Default)]
pub struct Plan {
    /// Its words; the first one is the name it is found under.
    pub words: Strings,
    /// Its own variables; they stand before the shared ones.
    pub variables: Strings,
    /// The shared variables.
    pub base: Arc<Environment>,
    /// Which of the shared variables its own ones replace, by index, ascending.
    pub replaced: Box<[u32]>,
    /// Where a first word without a slash is looked for: directories separated by
    /// colons.
    pub search_path: Strings,
    /// Its working directory; none keeps ours.
    pub directory: Strings,
    /// The user it becomes; `None` keeps ours.
    pub identity: Option<Arc<Identity>>,
    /// Its file mode mask; `None` keeps ours.
    pub umask: Option<u32>,
    /// Whether it begins with SIGPIPE and SIGXFSZ ignored.
    pub ignore_sigpipe: bool,
    /// What else it does to itself; plain programs of Supervisor have none.
    pub setup: Option<Arc<Setup>>,
    /// The program in memory that is executed instead of the file of its first word.
    pub image: Option<Arc<Image>>,
}

impl Plan {
    /// The shared variables that its own ones replace.
    #[must_use]
    pub fn replaced_by(variables: &Strings, base: &Environment) -> Box<[u32]> {
        let name = |variable: &CStr| {
            let bytes = variable.to_bytes();
            bytes.split(|byte| *byte == b'=').next().unwrap_or(bytes).to_vec()
        };
        let own: Vec<Vec<u8>> = variables.iter().map(name).collect();
        base.variables
            .iter()
            .zip(0..)
            .filter(|(variable, _)| own.contains(&name(variable)))
            .map(|(_, index)| index)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_come_back_in_order() {
        let strings = Strings::new([b"a".as_slice(), b"", b"cd"]).unwrap();

        let back: Vec<&[u8]> = strings.iter().map(CStr::to_bytes).collect();

        assert_eq!(back, [b"a".as_slice(), b"", b"cd"]);
        assert_eq!(Strings::new([b"a\0b".as_slice()]), Err(HoldsNul));
    }

    #[test]
    fn own_variables_replace_shared_ones_of_the_same_name() {
        let shared = Strings::new([b"A=1".as_slice(), b"AB=2", b"C=3"]).unwrap();
        let own = Strings::new([b"C=x".as_slice(), b"A=y", b"D=z"]).unwrap();

        let replaced = Plan::replaced_by(&own, &Environment { variables: shared });

        assert_eq!(*replaced, [0, 2]);
    }
}
