//! Promised lines to bytes and back.

use super::codec::Unreadable::{self, Unknown};
use super::codec::{Decoder, Encoder};
use super::records::{read_exit, write_exit};
use crate::daemon::owed::{End, Owed, Promise};

type Read<T> = Result<T, Unreadable>;

pub(super) fn write(to: &mut Encoder, owed: &Owed) {
    to.u64(owed.last());
    let kept: Vec<&Promise> = owed.kept().collect();
    to.list(&kept, |to, promise| to.frame(|to| write_promise(to, promise)));
}

pub(super) fn read(from: &mut Decoder<'_>) -> Read<Owed> {
    let last = from.u64()?;
    Ok(Owed::restore(last, from.list(|from| from.frame(read_promise))?))
}

pub(super) fn write_promise(to: &mut Encoder, promise: &Promise) {
    to.u64(promise.number);
    to.i64(promise.at);
    to.text(&promise.name);
    match promise.end {
        End::Exited { status, expected } => {
            to.byte(u8::from(expected));
            write_exit(to, status);
        }
        End::Stopped { status, expected } => {
            to.byte(2 + u8::from(expected));
            write_exit(to, status);
        }
        End::GaveUp => to.byte(4),
    }
}

pub(super) fn read_promise(from: &mut Decoder<'_>) -> Read<Promise> {
    let (number, at, name) = (from.u64()?, from.i64()?, from.text()?.into());
    let end = match from.byte()? {
        kind @ 0..=1 => End::Exited { expected: kind == 1, status: read_exit(from)? },
        kind @ 2..=3 => End::Stopped { expected: kind == 3, status: read_exit(from)? },
        4 => End::GaveUp,
        _ => return Err(Unknown),
    };
    Ok(Promise { number, at, name, end })
}
