//! What clients have stored in interfaces of the kind of `supervisor_cache`: values by
//! key, in the journal with all else that must survive a supervisor.
//!
//! Values are kept as the XML in which they are sent: nobody but clients looks into
//! them.

use std::collections::BTreeMap;
use std::sync::Arc;

/// Most bytes of all keys and values together. The original has no limit and says
/// itself that clients can fill the memory; this is far more than flags and host names
/// need, and little beside the journal's 64 MiB.
pub const CACHE_BYTES_MAX: usize = 1 << 20;

/// What an entry costs beside its own bytes, so that many small ones are limited too.
const ENTRY_BYTES: usize = 128;

/// A change of the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// A value is stored.
    Store(Arc<str>, Arc<str>, Arc<str>),
    /// A key is deleted.
    Delete(Arc<str>, Arc<str>),
    /// An interface's store is emptied.
    Clear(Arc<str>),
    /// All are emptied: everything begins anew.
    ClearAll,
}

/// The stores of all interfaces.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Cache {
    /// Values by interface and key.
    entries: BTreeMap<(Arc<str>, Arc<str>), Arc<str>>,
    bytes: usize,
}

impl Cache {
    /// Whether there is room for a value.
    #[must_use]
    pub fn has_room(&self, namespace: &Arc<str>, key: &Arc<str>, value: &str) -> bool {
        let old = self.value(namespace, key).map_or(0, |old| cost(key, old));
        self.bytes - old + cost(key, value) <= CACHE_BYTES_MAX
    }

    /// Takes in a change.
    pub fn apply(&mut self, change: &Change) {
        match change {
            Change::Store(namespace, key, value) => {
                self.remove(namespace, key);
                self.bytes += cost(key, value);
                let place = (Arc::clone(namespace), Arc::clone(key));
                self.entries.insert(place, Arc::clone(value));
            }
            Change::Delete(namespace, key) => self.remove(namespace, key),
            Change::Clear(namespace) => {
                for key in self.keys(namespace) {
                    self.remove(namespace, &key);
                }
            }
            Change::ClearAll => *self = Self::default(),
        }
    }

    /// The keys of an interface, sorted as Python sorts text.
    #[must_use]
    pub fn keys(&self, namespace: &Arc<str>) -> Vec<Arc<str>> {
        let first = (Arc::clone(namespace), Arc::from(""));
        let there = self.entries.range(first..).take_while(|((there, _), _)| there == namespace);
        there.map(|((_, key), _)| Arc::clone(key)).collect()
    }

    /// The value of a key.
    #[must_use]
    pub fn value(&self, namespace: &Arc<str>, key: &Arc<str>) -> Option<&Arc<str>> {
        self.entries.get(&(Arc::clone(namespace), Arc::clone(key)))
    }

    /// Whether nothing is stored.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Everything, as the changes that lead to it.
    pub fn changes(&self) -> impl Iterator<Item = Change> + '_ {
        self.entries.iter().map(|((namespace, key), value)| {
            Change::Store(Arc::clone(namespace), Arc::clone(key), Arc::clone(value))
        })
    }

    fn remove(&mut self, namespace: &Arc<str>, key: &Arc<str>) {
        let place = (Arc::clone(namespace), Arc::clone(key));
        if let Some(value) = self.entries.remove(&place) {
            self.bytes -= cost(key, &value);
        }
    }
}

fn cost(key: &str, value: &str) -> usize {
    ENTRY_BYTES + key.len() + value.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Arc<str> {
        text.into()
    }

    fn store(cache: &mut Cache, key: &str, value: &str) {
        cache.apply(&Change::Store(text("c"), text(key), text(value)));
    }

    #[test]
    fn interfaces_do_not_see_each_others_keys() {
        let mut cache = Cache::default();
        store(&mut cache, "b", "1");
        store(&mut cache, "a", "2");
        cache.apply(&Change::Store(text("d"), text("x"), text("3")));

        assert_eq!(cache.keys(&text("c")), [text("a"), text("b")]);
        assert_eq!(cache.keys(&text("d")), [text("x")]);

        cache.apply(&Change::Clear(text("c")));
        assert!(cache.keys(&text("c")).is_empty());
        assert_eq!(cache.value(&text("d"), &text("x")), Some(&text("3")));
    }

    #[test]
    fn a_value_takes_the_room_of_the_one_before() {
        let mut cache = Cache::default();
        let most = "x".repeat(CACHE_BYTES_MAX - ENTRY_BYTES - 1);
        store(&mut cache, "a", &most);

        assert!(cache.has_room(&text("c"), &text("a"), &most));
        assert!(!cache.has_room(&text("c"), &text("b"), ""));
        assert!(!cache.has_room(&text("c"), &text("a"), &format!("{most}x")));

        cache.apply(&Change::Delete(text("c"), text("a")));
        assert!(cache.has_room(&text("c"), &text("b"), &most));
        assert_eq!(cache, Cache::default());
    }
}
