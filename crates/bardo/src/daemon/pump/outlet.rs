//! The outputs that we have inherited, which programs share: standard output and standard error.
//!
//! Each has an *outbox*, a pipe that outlives us, of which the pump is the only reader and
//! writer. What programs say goes into it in whole lines, with whatever stands before them, and
//! leaves it by `splice`: a byte is in the outbox or has gone, wherever a kill comes. Nothing
//! goes in before all that was in it is out. So an output that takes a part of a line has the
//! rest of it before anybody else's.
//!
//! Beside the outbox stands whose line the output ends in, if it does: [`super::record`].
//!
//! An output that is a regular file needs no outbox; its size says what has been written.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use bardo_sys::pipe;
use rustix::fs::fstat;

use super::lines::Standing;
use super::record::Record;
use super::{Channel, StreamKey};

/// How many there can be: the descriptors 1 and 2.
pub(super) const OUTLETS: usize = 2;

/// What an outbox is asked to hold: the longest line that a pipe of the usual size holds, and
/// what is put before it. With less, a line that long goes out in parts.
const OUTBOX_BYTES: usize = 128 << 10;

/// Who says what the supervisor itself says.
pub(super) const HOUSE: StreamKey = StreamKey {
    service: bardo_core::ServiceId(u32::MAX),
    generation: bardo_core::Generation(0),
    channel: Channel::Stdout,
};

/// Which of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OutletId {
    /// Standard output, and standard error where that is the same.
    Output,
    /// Standard error.
    Error,
}

impl OutletId {
    /// Both, in order.
    pub(super) const ALL: [Self; OUTLETS] = [Self::Output, Self::Error];

    /// 0 or 1.
    pub(super) fn index(self) -> usize {
        match self {
            Self::Output => 0,
            Self::Error => 1,
        }
    }

    /// Which of the standard outputs it is.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Output => "output",
            Self::Error => "error",
        }
    }
}

/// What an open file is known by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Identity {
    device: u64,
    inode: u64,
}

impl Identity {
    /// # Errors
    /// What `fstat` says.
    pub(super) fn of(file: impl AsFd) -> io::Result<Self> {
        let found = fstat(file)?;
        Ok(Self { device: found.st_dev, inode: found.st_ino })
    }
}

/// An output and the pipe before it, for the pump.
#[derive(Debug)]
pub struct OutletSettings {
    /// The output itself, whatever its name is.
    pub output: OwnedFd,
    /// The read end and the write end of its outbox. The keeper holds duplicates; nobody else
    /// reads or writes it.
    pub outbox: (OwnedFd, OwnedFd),
}

impl OutletSettings {
    /// Whether two descriptors are one output.
    #[must_use]
    pub fn is_same(one: impl AsFd, other: impl AsFd) -> bool {
        Identity::of(one).ok().is_some_and(|one| Identity::of(other).is_ok_and(|it| it == one))
    }

    /// Whether anybody may see what is written there.
    #[must_use]
    pub fn is_seen(output: impl AsFd) -> bool {
        let null = pipe::open_target(Path::new("/dev/null")).and_then(Identity::of);
        match (Identity::of(output), null) {
            (Ok(output), Ok(null)) => output != null,
            (found, _) => found.is_ok(),
        }
    }
}

/// One of them.
#[derive(Debug)]
struct Outlet {
    identity: Identity,
    read: OwnedFd,
    write: OwnedFd,
    room: usize,
    /// Whose line it ends in.
    open: Option<StreamKey>,
}

/// How far bytes came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Emptied {
    /// All are out.
    All,
    /// There is no room for the rest.
    Full,
}

/// All of them.
#[derive(Debug, Default)]
pub(super) struct Outlets {
    all: [Option<Outlet>; OUTLETS],
}

impl Outlets {
    /// Takes over outputs and what the last pump knew of them.
    pub(super) fn new(
        settings: [Option<OutletSettings>; OUTLETS],
        record: &Record,
    ) -> io::Result<Self> {
        let mut all = Self::default();
        for (id, settings) in OutletId::ALL.into_iter().zip(settings) {
            let Some(OutletSettings { output, outbox: (read, write) }) = settings else { continue };
            let _ = pipe::set_capacity(&write, OUTBOX_BYTES);
            pipe::set_nonblocking(&write, true)?;
            all.all[id.index()] = Some(Outlet {
                identity: Identity::of(output)?,
                room: pipe::capacity(&write)?,
                read,
                write,
                open: record.open_line(id),
            });
        }
        Ok(all)
    }

    /// What the outputs are known by.
    pub(super) fn identities(&self) -> Vec<(Identity, OutletId)> {
        let all = OutletId::ALL.into_iter().zip(&self.all);
        all.filter_map(|(id, outlet)| Some((outlet.as_ref()?.identity, id))).collect()
    }

    /// Whether there is one of that number. A predecessor may have had it, and we have not.
    pub(super) fn has(&self, id: OutletId) -> bool {
        self.all[id.index()].is_some()
    }

    /// How the output's last line stands to a stream.
    pub(super) fn standing(&self, id: OutletId, key: StreamKey) -> Standing {
        match self.outlet(id).open {
            None => Standing::Whole,
            Some(owner) if owner == key => Standing::Own,
            Some(_) => Standing::Foreign,
        }
    }

    /// Whether the output ends in the midst of a line.
    pub(super) fn is_open(&self, id: OutletId) -> bool {
        self.outlet(id).open.is_some()
    }

    /// Notes whose line the output ends in.
    pub(super) fn ends_in(&mut self, id: OutletId, owner: Option<StreamKey>, record: &Record) {
        if let Some(outlet) = &mut self.all[id.index()]
            && outlet.open != owner
        {
            outlet.open = owner;
            record.keep_open_line(id, owner);
        }
    }

    /// Most bytes that can be packed at once.
    pub(super) fn room(&self, id: OutletId) -> usize {
        self.outlet(id).room
    }

    /// How many bytes have not gone yet.
    pub(super) fn left(&self, id: OutletId) -> usize {
        pipe::waiting(&self.outlet(id).read).unwrap_or(0)
    }

    /// Puts bytes into an outbox, which must be empty: all of them, or none.
    pub(super) fn pack(&self, id: OutletId, bytes: &[u8], null: &File) -> io::Result<()> {
        let outlet = self.outlet(id);
        let mut rest = bytes;
        while !rest.is_empty() {
            match pipe::write_now(&outlet.write, rest) {
                Ok(written) => rest = &rest[written..],
                Err(error) => {
                    self.drop_all(id, null);
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    /// Drops what has not gone.
    pub(super) fn drop_all(&self, id: OutletId, null: &File) {
        let outlet = self.outlet(id);
        while pipe::splice(&outlet.read, null, outlet.room).is_ok_and(|dropped| dropped > 0) {}
    }

    /// Moves what is in an outbox into its output, as far as there is room.
    ///
    /// # Errors
    /// What the output says: `EINVAL` where nothing can be moved there.
    pub(super) fn splice(&self, id: OutletId, target: &File) -> io::Result<Emptied> {
        let outlet = self.outlet(id);
        loop {
            match pipe::splice(&outlet.read, target, outlet.room) {
                Ok(0) => return Ok(Emptied::All),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    return Ok(if self.left(id) == 0 { Emptied::All } else { Emptied::Full });
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Writes what is in an outbox to an output into which nothing can be moved. What it took
    /// is dropped from the outbox afterwards: a kill right between the two repeats it.
    ///
    /// # Errors
    /// What the output says.
    pub(super) fn write(
        &self,
        id: OutletId,
        target: &File,
        copy: &mut dyn FnMut(&OwnedFd, usize) -> io::Result<Vec<u8>>,
        null: &File,
    ) -> io::Result<Emptied> {
        let outlet = self.outlet(id);
        loop {
            let left = self.left(id);
            if left == 0 {
                return Ok(Emptied::All);
            }
            let bytes = copy(&outlet.read, left)?;
            let mut gone = match pipe::write_now(target, &bytes) {
                Ok(0) => return Ok(Emptied::Full),
                Ok(written) => written,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    return Ok(Emptied::Full);
                }
                Err(error) => return Err(error),
            };
            while gone > 0 {
                match pipe::splice(&outlet.read, null, gone)? {
                    0 => break,
                    dropped => gone -= dropped,
                }
            }
        }
    }

    fn outlet(&self, id: OutletId) -> &Outlet {
        self.all[id.index()].as_ref().expect("only outlets that are there have a number")
    }
}
