//! What was written is read again, whatever it was and wherever it was cut off.

mod deeds;
mod samples;

use std::sync::atomic::Ordering;

use proptest::collection::vec;
use proptest::prelude::*;

use super::codec::{Decoder, Encoder};
use super::region::Regions;
use super::*;

fn memory() -> Arc<SharedMemory> {
    let file = SharedMemory::anonymous("journal").unwrap();
    Arc::new(SharedMemory::map(file, WORDS).unwrap())
}

fn journal() -> Journal {
    Journal::create(memory(), Configuration::default()).unwrap()
}

/// What a new supervisor knows after these entries.
fn known_after(entries: &[Entry]) -> (Snapshot, Surroundings) {
    let (mut table, mut surroundings) = (Snapshot::default(), Surroundings::default());
    for entry in entries {
        if let Entry::Table(record) = entry {
            table.apply(record.clone());
        }
        surroundings.apply(entry);
    }
    surroundings.audience.notes.clear();
    (table, surroundings)
}

fn read(journal: &Journal) -> (Snapshot, Surroundings) {
    let (_, known) = Journal::open(Arc::clone(journal.memory())).unwrap();
    assert_eq!(known.unreadable, 0);
    (known.table, known.surroundings)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_record_comes_back(record in samples::record()) {
        let mut encoder = Encoder::default();
        records::write_record(&mut encoder, &record);

        let mut decoder = Decoder::new(encoder.bytes());
        let back = records::read_record(&mut decoder);

        prop_assert!(decoder.is_at_end());
        prop_assert_eq!(back, Ok(record));
    }

    #[test]
    fn a_record_that_is_cut_short_is_none(record in samples::record(), at in any::<prop::sample::Index>()) {
        let mut encoder = Encoder::default();
        records::write_record(&mut encoder, &record);
        let length = at.index(encoder.bytes().len());

        let back = records::read_record(&mut Decoder::new(&encoder.bytes()[..length]));

        prop_assert_eq!(back, Err(Malformed));
    }

    #[test]
    fn any_bytes_are_read_without_harm(bytes in vec(any::<u8>(), 0..200)) {
        let _ = Memory::default().read(&bytes);
    }

    #[test]
    fn what_was_appended_is_known(entries in vec(samples::entry(), 0..12)) {
        let mut journal = journal();

        for entry in &entries {
            prop_assert!(journal.append(entry));
        }

        prop_assert_eq!(read(&journal), known_after(&entries));
    }

    #[test]
    fn a_snapshot_says_what_the_entries_before_it_said(
        before in vec(samples::entry(), 0..12),
        after in vec(samples::entry(), 0..6),
    ) {
        let mut journal = journal();
        let (table, surroundings) = known_after(&before);

        journal.replace(&table, &surroundings).unwrap();
        for entry in &after {
            prop_assert!(journal.append(entry));
        }

        let all: Vec<Entry> = before.into_iter().chain(after).collect();
        prop_assert_eq!(read(&journal), known_after(&all));
    }

    #[test]
    fn several_things_in_one_entry_are_all_known_or_none(
        first in samples::entry(),
        entries in vec(samples::entry(), 1..8),
        at in any::<prop::sample::Index>(),
    ) {
        let mut journal = journal();
        prop_assert!(journal.append(&first));
        let (_, behind) = journal.regions.sizes();
        let mut several = journal.begin();
        entries.iter().for_each(|entry| several.add(entry));
        prop_assert!(several.append());
        let all: Vec<Entry> = std::iter::once(first.clone()).chain(entries).collect();
        prop_assert_eq!(read(&journal), known_after(&all));

        // One word of it was never written.
        let (snapshot, now_behind) = journal.regions.sizes();
        let (start, end) = ((snapshot + behind) / 8, (snapshot + now_behind) / 8);
        let cut = start + at.index(end - start);
        region::live(journal.memory())[cut].fetch_xor(1, Ordering::Relaxed);

        prop_assert_eq!(read(&journal), known_after(&[first]));
    }

    #[test]
    fn a_cut_at_any_byte_leaves_the_entries_before_it(
        entries in vec(vec(any::<u8>(), 1..60), 1..8),
        at in any::<prop::sample::Index>(),
        noise in any::<u8>(),
    ) {
        let memory = memory();
        let mut regions = Regions::create(Arc::clone(&memory));
        let mut ends = vec![0];
        for entry in &entries {
            regions.append(entry).unwrap();
            ends.push(regions.sizes().1);
        }
        let cut = at.index(ends[entries.len()]);

        // The byte at the cut is another one, and all behind it was never written.
        let words = region::live(&memory);
        let mut bytes: Vec<u8> =
            words.iter().take(ends[entries.len()] / 8).flat_map(|word| word.load(Ordering::Relaxed).to_le_bytes()).collect();
        bytes[cut] = bytes[cut].wrapping_add(noise | 1);
        bytes[cut + 1..].fill(0);
        for (word, bytes) in words.iter().zip(bytes.chunks(8)) {
            word.store(u64::from_le_bytes(bytes.try_into().unwrap()), Ordering::Relaxed);
        }

        let mut found = Vec::new();
        Regions::open(memory, |bytes| found.push(bytes.to_vec())).unwrap();
        let whole = ends.iter().filter(|end| **end <= cut).count() - 1;
        prop_assert!(found.len() >= whole, "{} of {whole}", found.len());
        prop_assert!(entries.starts_with(&found), "a prefix");
        // Only padding, which nobody reads, can be cut without cutting the entry.
        prop_assert!(found.len() <= whole + 1);
    }
}

#[test]
fn entries_of_unknown_kinds_are_passed_over_and_counted() {
    let mut journal = journal();
    assert!(journal.append(&Entry::Reloading(true)));
    for unknown in [&[200_u8, 1, 2, 3][..], &[1, 99], &[3, 0]] {
        journal.regions.append(unknown).unwrap();
    }
    assert!(journal.append(&Entry::Greeted(7)));

    let (_, known) = Journal::open(Arc::clone(journal.memory())).unwrap();

    assert_eq!(known.unreadable, 3);
    assert_eq!((known.surroundings.reloading, known.surroundings.greeted), (true, 7));
}

#[test]
fn an_entry_with_more_behind_it_than_it_needs_is_not_of_this_version() {
    let mut journal = journal();
    journal.regions.append(&[5, 0, 0]).unwrap();

    let (_, known) = Journal::open(Arc::clone(journal.memory())).unwrap();

    assert_eq!(known.unreadable, 1);
}

#[test]
fn an_entry_that_was_begun_and_given_up_leaves_nothing_behind() {
    let mut journal = journal();
    let mut given_up = journal.begin();
    given_up.add(&Entry::Greeted(1));
    drop(given_up);

    assert!(journal.append(&Entry::Reloading(true)));

    assert_eq!(read(&journal), known_after(&[Entry::Reloading(true)]));
}
