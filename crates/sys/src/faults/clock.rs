//! A wall clock that can be stepped while others read it.
//!
//! A process that finds [`VARIABLE`] in its environment adds to its wall clock what stands
//! in that file. The monotonic clock is never touched: the kernel does not step it either.

use std::fs::File;
use std::io;
use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::memory::SharedMemory;

/// The variable that names the file.
pub const VARIABLE: &str = "BARDO_FAULTS_CLOCK";

/// The hand that steps the clock of others.
#[derive(Debug)]
pub struct Hand {
    memory: SharedMemory,
}

impl Hand {
    /// A hand on the clock of `command` and all that it starts. The file comes into being.
    ///
    /// # Errors
    /// When the file cannot be made.
    pub fn before(command: &mut Command, file: &Path) -> io::Result<Self> {
        command.env(VARIABLE, file);
        let file = File::options().read(true).write(true).create(true).truncate(true).open(file)?;
        Ok(Self { memory: SharedMemory::map(file.into(), 1)? })
    }

    /// From now on their clock is so many seconds before that of the machine; a negative
    /// number is behind it.
    pub fn set(&self, seconds: i64) {
        word(&self.memory).store(seconds.cast_unsigned(), Ordering::SeqCst);
    }
}

fn word(memory: &SharedMemory) -> &AtomicU64 {
    &memory.words()[0]
}

/// How many seconds this process's wall clock is before that of the machine.
pub(crate) fn ahead() -> i64 {
    static MEMORY: OnceLock<Option<SharedMemory>> = OnceLock::new();
    let open = || {
        let file = File::options().read(true).write(true).open(std::env::var_os(VARIABLE)?).ok()?;
        SharedMemory::map(file.into(), 1).ok()
    };
    let memory = MEMORY.get_or_init(open).as_ref();
    memory.map_or(0, |memory| word(memory).load(Ordering::SeqCst).cast_signed())
}
