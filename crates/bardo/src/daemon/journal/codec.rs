//! Values to bytes and back: fixed-width little-endian numbers, lengths before
//! texts, a number before the fields of each variant.
//!
//! A structure that may get more fields stands in a *frame*, which says its length: who
//! does not know what stands at its end passes it over, and who looks for a field there
//! and finds the end takes a default.
//!
//! Text and specs that many services share are written once in an entry and then
//! referred to, so that they are shared again when it is read. What is referred to is
//! named by its place, because it may stand in a field that the reader has passed over.

use std::any::Any;
use std::collections::HashMap;
use std::sync::Arc;

use bardo_core::ServiceId;

use self::Unreadable::Malformed;

/// Places that a table can have. A journal has room for some hundred thousand
/// services; a number above this is no place, and memory is not made ready for it.
const SERVICES_MAX: u32 = 1 << 20;

/// What stands before a shared value that is written here, and not referred to.
const WRITTEN_HERE: u32 = u32::MAX;

/// Shared values in fields that were passed over, one within the other. Of what is
/// shared nothing nests as deep.
const LOOK_BACK_MAX: usize = 16;

/// Why bytes are no entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unreadable {
    /// They are not what any version writes.
    #[error("a journal entry is malformed")]
    Malformed,
    /// They say something that only a later version understands.
    #[error("a journal entry is of a kind that is not known")]
    Unknown,
}

/// Room that an encoder keeps: more than the entry of any one service needs.
const KEPT_BYTES: usize = 1 << 10;
const KEPT_SHARED: usize = 16;

/// Bytes in the making.
#[derive(Debug, Default)]
pub(super) struct Encoder {
    bytes: Vec<u8>,
    /// What was written already and can be referred to: its place, by address. Valid for
    /// one entry, while everything in it is alive.
    shared: HashMap<usize, u32>,
    /// What stands at the end of every frame and entry: the fields of a version that is
    /// still to come, in tests of how they are passed over.
    pub(super) surplus: &'static [u8],
}

impl Encoder {
    /// Begins a new entry in the same memory, unless the last one was uncommonly long.
    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.bytes.shrink_to(KEPT_BYTES);
        self.shared.clear();
        self.shared.shrink_to(KEPT_SHARED);
    }

    /// What was written.
    #[must_use]
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// One byte.
    pub(super) fn byte(&mut self, value: u8) {
        self.bytes.push(value);
    }

    /// Four bytes.
    pub(super) fn u32(&mut self, value: u32) {
        self.bytes.extend_from_slice(&value.to_le_bytes());
    }

    /// Eight bytes.
    pub(super) fn u64(&mut self, value: u64) {
        self.bytes.extend_from_slice(&value.to_le_bytes());
    }

    /// Eight bytes, signed.
    pub(super) fn i64(&mut self, value: i64) {
        self.bytes.extend_from_slice(&value.to_le_bytes());
    }

    /// A length.
    pub(super) fn length(&mut self, value: usize) {
        self.u32(u32::try_from(value).expect("an entry is shorter than 4 GiB"));
    }

    /// A text.
    pub(super) fn text(&mut self, value: &str) {
        self.length(value.len());
        self.bytes.extend_from_slice(value.as_bytes());
    }

    /// Bytes that may be anything.
    pub(super) fn blob(&mut self, value: &[u8]) {
        self.length(value.len());
        self.bytes.extend_from_slice(value);
    }

    /// Begins another part of the same entry, which shares nothing with those before.
    pub(super) fn part(&mut self) {
        self.shared.clear();
    }

    /// A structure that may get more fields.
    pub(super) fn frame(&mut self, write: impl FnOnce(&mut Self)) {
        let start = self.bytes.len();
        self.length(0);
        write(self);
        self.close();
        let length = self.bytes.len() - start - size_of::<u32>();
        let length = u32::try_from(length).expect("an entry is shorter than 4 GiB");
        self.bytes[start..start + size_of::<u32>()].copy_from_slice(&length.to_le_bytes());
    }

    /// A structure of a few numbers that may get more of them. It has no texts and no
    /// lists: nothing that happens makes it longer than its fields.
    pub(super) fn small(&mut self, write: impl FnOnce(&mut Self)) {
        let start = self.bytes.len();
        self.byte(0);
        write(self);
        self.close();
        let length = self.bytes.len() - start - 1;
        self.bytes[start] = u8::try_from(length).expect("it has a few numbers");
    }

    /// Ends an entry, which is a frame by itself.
    pub(super) fn close(&mut self) {
        self.bytes.extend_from_slice(self.surplus);
    }

    /// A value or nothing.
    pub(super) fn option<T>(&mut self, value: Option<T>, write: impl FnOnce(&mut Self, T)) {
        self.byte(u8::from(value.is_some()));
        if let Some(value) = value {
            write(self, value);
        }
    }

    /// Several values.
    pub(super) fn list<T>(&mut self, values: &[T], mut write: impl FnMut(&mut Self, &T)) {
        self.length(values.len());
        for value in values {
            write(self, value);
        }
    }

    /// A value that others share: written the first time, referred to afterwards.
    pub(super) fn shared<T: ?Sized>(&mut self, value: &Arc<T>, write: impl FnOnce(&mut Self, &T)) {
        let address = Arc::as_ptr(value).cast::<()>().addr();
        // Empty values of different types may lie at the same address.
        if size_of_val::<T>(value) > 0
            && let Some(place) = self.shared.get(&address).copied()
        {
            self.u32(place);
            return;
        }
        self.u32(WRITTEN_HERE);
        let place = u32::try_from(self.bytes.len()).expect("an entry is shorter than 4 GiB");
        write(self, value);
        if size_of_val::<T>(value) > 0 {
            self.shared.insert(address, place);
        }
    }
}

/// Bytes being read.
#[derive(Debug)]
pub(super) struct Decoder<'a> {
    /// The whole entry.
    bytes: &'a [u8],
    /// The next byte.
    at: usize,
    /// Where the innermost frame ends.
    end: usize,
    /// Shared values by place, in ascending order; `None` for one that is being read.
    shared: Vec<(usize, Option<Box<dyn Any>>)>,
    /// Shared values that are being read although they were passed over.
    looks_back: usize,
}

impl<'a> Decoder<'a> {
    /// Reads one entry.
    #[must_use]
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0, end: bytes.len(), shared: Vec::new(), looks_back: 0 }
    }

    /// Whether there is nothing more in this frame.
    #[must_use]
    pub(super) fn is_at_end(&self) -> bool {
        self.at == self.end
    }

    /// A structure that may have more fields than are known here.
    ///
    /// # Errors
    /// When it cannot be read.
    pub(super) fn frame<T>(
        &mut self,
        read: impl FnOnce(&mut Self) -> Result<T, Unreadable>,
    ) -> Result<T, Unreadable> {
        let length = self.length()?;
        self.within(length, read)
    }

    /// The same of a few numbers.
    ///
    /// # Errors
    /// When it cannot be read.
    pub(super) fn small<T>(
        &mut self,
        read: impl FnOnce(&mut Self) -> Result<T, Unreadable>,
    ) -> Result<T, Unreadable> {
        let length = self.byte()?;
        self.within(usize::from(length), read)
    }

    /// One byte.
    ///
    /// # Errors
    /// When there is none.
    pub(super) fn byte(&mut self) -> Result<u8, Unreadable> {
        Ok(self.array::<1>()?[0])
    }

    /// Four bytes.
    ///
    /// # Errors
    /// When there are none.
    pub(super) fn u32(&mut self) -> Result<u32, Unreadable> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    /// Eight bytes.
    ///
    /// # Errors
    /// When there are none.
    pub(super) fn u64(&mut self) -> Result<u64, Unreadable> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    /// Eight bytes, signed.
    ///
    /// # Errors
    /// When there are none.
    pub(super) fn i64(&mut self) -> Result<i64, Unreadable> {
        Ok(i64::from_le_bytes(self.array()?))
    }

    /// Which service.
    ///
    /// # Errors
    /// When there is none, or its place is behind the end of any table.
    pub(super) fn service(&mut self) -> Result<ServiceId, Unreadable> {
        let id = self.u32()?;
        if id < SERVICES_MAX { Ok(ServiceId(id)) } else { Err(Malformed) }
    }

    /// A length.
    ///
    /// # Errors
    /// When there is none.
    pub(super) fn length(&mut self) -> Result<usize, Unreadable> {
        usize::try_from(self.u32()?).map_err(|_| Malformed)
    }

    /// A text.
    ///
    /// # Errors
    /// When it is cut short or not UTF-8.
    pub(super) fn text(&mut self) -> Result<&'a str, Unreadable> {
        let length = self.length()?;
        std::str::from_utf8(self.take(length)?).map_err(|_| Malformed)
    }

    /// Bytes that may be anything.
    ///
    /// # Errors
    /// When they are cut short.
    pub(super) fn blob(&mut self) -> Result<&'a [u8], Unreadable> {
        let length = self.length()?;
        self.take(length)
    }

    /// A value or nothing.
    ///
    /// # Errors
    /// When it cannot be read.
    pub(super) fn option<T>(
        &mut self,
        read: impl FnOnce(&mut Self) -> Result<T, Unreadable>,
    ) -> Result<Option<T>, Unreadable> {
        match self.byte()? {
            0 => Ok(None),
            1 => read(self).map(Some),
            _ => Err(Malformed),
        }
    }

    /// Several values.
    ///
    /// # Errors
    /// When one of them cannot be read.
    pub(super) fn list<T>(
        &mut self,
        mut read: impl FnMut(&mut Self) -> Result<T, Unreadable>,
    ) -> Result<Vec<T>, Unreadable> {
        let length = self.length()?;
        let mut values = Vec::with_capacity(length.min(self.end - self.at));
        for _ in 0..length {
            values.push(read(self)?);
        }
        Ok(values)
    }

    /// A value that others share.
    ///
    /// # Errors
    /// When it cannot be read, or what is referred to is of another type.
    pub(super) fn shared<T: ?Sized + 'static>(
        &mut self,
        read: impl FnOnce(&mut Self) -> Result<Arc<T>, Unreadable>,
    ) -> Result<Arc<T>, Unreadable> {
        let place = self.u32()?;
        if place == WRITTEN_HERE {
            return self.shared_here(read);
        }
        let place = usize::try_from(place).map_err(|_| Malformed)?;
        if let Ok(index) = self.find(place) {
            // One that is being read is referred to by itself.
            let value = self.shared[index].1.as_ref().ok_or(Malformed)?;
            return value.downcast_ref::<Arc<T>>().cloned().ok_or(Malformed);
        }
        if place >= self.at || self.looks_back == LOOK_BACK_MAX {
            return Err(Malformed);
        }
        let here = (self.at, self.end);
        (self.at, self.end) = (place, self.bytes.len());
        self.looks_back += 1;
        let value = self.shared_here(read);
        self.looks_back -= 1;
        (self.at, self.end) = here;
        value
    }

    fn shared_here<T: ?Sized + 'static>(
        &mut self,
        read: impl FnOnce(&mut Self) -> Result<Arc<T>, Unreadable>,
    ) -> Result<Arc<T>, Unreadable> {
        let place = self.at;
        let index = self.find(place).err().ok_or(Malformed)?;
        self.shared.insert(index, (place, None));
        let value = read(self)?;
        // Those that were read meanwhile may stand before it.
        let index = self.find(place).map_err(|_| Malformed)?;
        self.shared[index].1 = Some(Box::new(Arc::clone(&value)));
        Ok(value)
    }

    fn find(&self, place: usize) -> Result<usize, usize> {
        // Nearly always it is the next one.
        if self.shared.last().is_none_or(|(last, _)| *last < place) {
            return Err(self.shared.len());
        }
        self.shared.binary_search_by_key(&place, |(place, _)| *place)
    }

    fn within<T>(
        &mut self,
        length: usize,
        read: impl FnOnce(&mut Self) -> Result<T, Unreadable>,
    ) -> Result<T, Unreadable> {
        let around = self.end;
        let end = self.at.checked_add(length).filter(|end| *end <= around).ok_or(Malformed)?;
        self.end = end;
        let value = read(self);
        // What stands behind it can be read even where it cannot.
        (self.at, self.end) = (end, around);
        value
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Unreadable> {
        self.take(N)?.try_into().map_err(|_| Malformed)
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], Unreadable> {
        let end = self.at.checked_add(length).filter(|end| *end <= self.end).ok_or(Malformed)?;
        let taken = &self.bytes[self.at..end];
        self.at = end;
        Ok(taken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shared_values_are_shared_again() {
        let name: Arc<str> = Arc::from("web");
        let mut encoder = Encoder::default();
        for value in [&name, &name, &Arc::from("api")] {
            encoder.shared(value, Encoder::text);
        }

        let mut decoder = Decoder::new(encoder.bytes());
        let mut next = || decoder.shared(|decoder| decoder.text().map(Arc::<str>::from)).unwrap();
        let (one, other, third) = (next(), next(), next());

        assert!(Arc::ptr_eq(&one, &other));
        assert_eq!((&*one, &*third), ("web", "api"));
        assert!(decoder.is_at_end());
    }

    #[test]
    fn fields_at_the_end_of_a_frame_are_passed_over() {
        let name: Arc<str> = Arc::from("web");
        let mut encoder = Encoder::default();
        encoder.frame(|to| {
            to.byte(1);
            to.shared(&name, Encoder::text);
        });
        encoder.small(|to| {
            to.byte(2);
            to.byte(3);
        });
        encoder.shared(&name, Encoder::text);

        let mut decoder = Decoder::new(encoder.bytes());

        assert_eq!(decoder.frame(Decoder::byte), Ok(1));
        assert_eq!(decoder.small(Decoder::byte), Ok(2));
        let name = decoder.shared(|decoder| decoder.text().map(Arc::<str>::from));
        assert_eq!(name.as_deref(), Ok("web"), "it is found in what was passed over");
        assert!(decoder.is_at_end());
    }

    #[test]
    fn a_value_that_contains_itself_is_malformed() {
        type Value = Result<Arc<str>, Unreadable>;
        fn read(decoder: &mut Decoder<'_>) -> Value {
            decoder.shared(read)
        }
        let mut encoder = Encoder::default();
        encoder.u32(0);
        encoder.u32(0);
        let mut decoder = Decoder::new(encoder.bytes());
        decoder.u32().unwrap();

        assert_eq!(read(&mut decoder), Err(Malformed));
    }

    #[test]
    fn a_frame_is_not_longer_than_the_one_around_it() {
        let mut encoder = Encoder::default();
        encoder.small(|to| to.length(1));
        encoder.byte(0);

        let mut decoder = Decoder::new(encoder.bytes());
        let read = decoder.small(|from| from.frame(Decoder::byte));

        assert_eq!(read, Err(Malformed));
    }

    #[test]
    fn a_place_behind_the_end_of_any_table_is_malformed() {
        let mut encoder = Encoder::default();
        encoder.u32(SERVICES_MAX - 1);
        encoder.u32(SERVICES_MAX);

        let mut decoder = Decoder::new(encoder.bytes());

        assert_eq!(decoder.service(), Ok(ServiceId(SERVICES_MAX - 1)));
        assert_eq!(decoder.service(), Err(Malformed));
    }

    #[test]
    fn what_is_cut_short_is_malformed() {
        let mut encoder = Encoder::default();
        encoder.text("hello");

        for length in 0..encoder.bytes().len() {
            assert_eq!(Decoder::new(&encoder.bytes()[..length]).text(), Err(Malformed));
        }
    }
}
