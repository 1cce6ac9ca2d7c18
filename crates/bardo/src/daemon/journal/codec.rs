//! Values to bytes and back: fixed-width little-endian numbers, lengths before
//! texts, a number before the fields of each variant.
//!
//! Text and specs that many services share are written once in an entry and then
//! referred to, so that they are shared again when it is read.

use std::collections::HashMap;
use std::sync::Arc;

use bardo_core::ServiceId;

/// Places that a table can have. A journal has room for some hundred thousand
/// services; a number above this is no place, and memory is not made ready for it.
const SERVICES_MAX: u32 = 1 << 20;

/// Why bytes are no entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a journal entry cannot be read")]
pub(crate) struct Malformed;

/// Room that an encoder keeps: more than the entry of any one service needs.
const KEPT_BYTES: usize = 1 << 10;
const KEPT_SHARED: usize = 16;

/// Bytes in the making.
#[derive(Debug, Default)]
pub(super) struct Encoder {
    bytes: Vec<u8>,
    /// What was written already and can be referred to, by address. Valid for one
    /// entry, while everything in it is alive.
    shared: HashMap<usize, u32>,
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
            && let Some(number) = self.shared.get(&address).copied()
        {
            self.u32(number);
            return;
        }
        self.u32(u32::MAX);
        write(self, value);
        let number = u32::try_from(self.shared.len()).unwrap_or(0);
        if size_of_val::<T>(value) > 0 {
            self.shared.insert(address, number);
        }
    }
}

/// Bytes being read.
#[derive(Debug)]
pub(super) struct Decoder<'a> {
    bytes: &'a [u8],
    shared: Vec<Box<dyn std::any::Any>>,
}

impl<'a> Decoder<'a> {
    /// Reads one entry.
    #[must_use]
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, shared: Vec::new() }
    }

    /// Whether all was read.
    #[must_use]
    pub(super) fn is_at_end(&self) -> bool {
        self.bytes.is_empty()
    }

    /// One byte.
    ///
    /// # Errors
    /// When there is none.
    pub(super) fn byte(&mut self) -> Result<u8, Malformed> {
        Ok(self.array::<1>()?[0])
    }

    /// Four bytes.
    ///
    /// # Errors
    /// When there are none.
    pub(super) fn u32(&mut self) -> Result<u32, Malformed> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    /// Eight bytes.
    ///
    /// # Errors
    /// When there are none.
    pub(super) fn u64(&mut self) -> Result<u64, Malformed> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    /// Eight bytes, signed.
    ///
    /// # Errors
    /// When there are none.
    pub(super) fn i64(&mut self) -> Result<i64, Malformed> {
        Ok(i64::from_le_bytes(self.array()?))
    }

    /// Which service.
    ///
    /// # Errors
    /// When there is none, or its place is behind the end of any table.
    pub(super) fn service(&mut self) -> Result<ServiceId, Malformed> {
        let id = self.u32()?;
        if id < SERVICES_MAX { Ok(ServiceId(id)) } else { Err(Malformed) }
    }

    /// A length.
    ///
    /// # Errors
    /// When there is none.
    pub(super) fn length(&mut self) -> Result<usize, Malformed> {
        usize::try_from(self.u32()?).map_err(|_| Malformed)
    }

    /// A text.
    ///
    /// # Errors
    /// When it is cut short or not UTF-8.
    pub(super) fn text(&mut self) -> Result<&'a str, Malformed> {
        let length = self.length()?;
        std::str::from_utf8(self.take(length)?).map_err(|_| Malformed)
    }

    /// Bytes that may be anything.
    ///
    /// # Errors
    /// When they are cut short.
    pub(super) fn blob(&mut self) -> Result<&'a [u8], Malformed> {
        let length = self.length()?;
        self.take(length)
    }

    /// Begins another part of the same entry, which shares nothing with those before.
    pub(super) fn part(&mut self) {
        self.shared.clear();
    }

    /// A value or nothing.
    ///
    /// # Errors
    /// When it cannot be read.
    pub(super) fn option<T>(
        &mut self,
        read: impl FnOnce(&mut Self) -> Result<T, Malformed>,
    ) -> Result<Option<T>, Malformed> {
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
        mut read: impl FnMut(&mut Self) -> Result<T, Malformed>,
    ) -> Result<Vec<T>, Malformed> {
        let length = self.length()?;
        let mut values = Vec::with_capacity(length.min(self.bytes.len()));
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
        read: impl FnOnce(&mut Self) -> Result<Arc<T>, Malformed>,
    ) -> Result<Arc<T>, Malformed> {
        let number = self.u32()?;
        if number != u32::MAX {
            let value = self.shared.get(number as usize).ok_or(Malformed)?;
            return value.downcast_ref::<Arc<T>>().cloned().ok_or(Malformed);
        }
        let value = read(self)?;
        if size_of_val::<T>(&value) > 0 {
            self.shared.push(Box::new(Arc::clone(&value)));
        }
        Ok(value)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        self.take(N)?.try_into().map_err(|_| Malformed)
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self.bytes.split_at_checked(length).ok_or(Malformed)?;
        self.bytes = rest;
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
