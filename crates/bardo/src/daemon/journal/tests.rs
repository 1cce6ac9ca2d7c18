//! What was written is read again, whatever it was and wherever it was cut off.

mod brought;
mod cuts;
mod decided;
mod deeds;
mod samples;
mod sense;
mod versions;

use std::sync::atomic::Ordering;

use bardo_core::record::ServiceRecord;
use proptest::collection::vec;
use proptest::prelude::*;

use super::codec::{Decoder, Encoder};
use super::layout::WORDS;
use super::region::FIRST;
use super::*;

fn memory() -> Arc<SharedMemory> {
    let file = SharedMemory::anonymous("journal").unwrap();
    Arc::new(SharedMemory::map(file, WORDS).unwrap())
}

fn journal() -> Journal {
    Journal::create(memory(), Configuration::default()).unwrap()
}

/// What a supervisor knows.
type State = (Snapshot, Surroundings);

/// Brings what is known to what it is after these entries.
fn apply(state: &mut State, entries: &[Entry]) {
    let (table, surroundings) = state;
    for entry in entries {
        if let Entry::Table(record) = entry {
            assert!(table.admits(record), "{record:?}");
            table.apply(record.clone());
        }
        surroundings.apply(entry);
    }
    surroundings.audience.notes.clear();
}

/// What a new supervisor knows after these entries.
fn known_after(entries: &[Entry]) -> State {
    let mut state = State::default();
    apply(&mut state, entries);
    state
}

fn read(journal: &Journal) -> State {
    let (_, known) = Journal::open(Arc::clone(journal.memory())).unwrap();
    assert_eq!(known.flaws, Flaws::default());
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

        // Cut where the last field begins, it is what a version wrote that did not know it.
        let former = match record {
            Record::Service(service) => {
                Ok(Record::Service(ServiceRecord { vitals: None, ..service }))
            }
            _ => Err(Malformed),
        };
        prop_assert!(back == Err(Malformed) || back == former, "{back:?}");
    }

    #[test]
    fn any_bytes_are_read_without_harm(bytes in vec(any::<u8>(), 0..200)) {
        Memory::default().read(&bytes);
    }

    #[test]
    fn what_was_appended_is_known(entries in sense::entries(0..12)) {
        let mut journal = journal();

        for entry in &entries {
            prop_assert!(journal.append(entry));
        }

        prop_assert_eq!(read(&journal), known_after(&entries));
    }

    #[test]
    fn a_snapshot_says_what_the_entries_before_it_said(
        all in sense::entries(1..18),
        at in any::<prop::sample::Index>(),
    ) {
        let mut journal = journal();
        let (before, after) = all.split_at(at.index(all.len() + 1));
        let (table, surroundings) = known_after(before);

        journal.replace(&table, &surroundings).unwrap();
        for entry in after {
            prop_assert!(journal.append(entry));
        }

        prop_assert_eq!(read(&journal), known_after(&all));
    }

    #[test]
    fn several_things_in_one_entry_are_all_known_or_none(
        all in sense::entries(1..8),
        at in any::<prop::sample::Index>(),
    ) {
        // The first of them is a group: it always makes sense.
        let (first, entries) = all.split_first().unwrap();
        let mut journal = journal();
        prop_assert!(journal.append(first));
        prop_assume!(!entries.is_empty());
        let (_, behind) = journal.regions.sizes();
        let mut several = journal.begin();
        entries.iter().for_each(|entry| several.add(entry));
        prop_assert!(several.append());
        prop_assert_eq!(read(&journal), known_after(&all));

        // One word of it was never written.
        let (snapshot, now_behind) = journal.regions.sizes();
        let (start, end) = ((snapshot + behind) / 8, (snapshot + now_behind) / 8);
        let cut = start + at.index(end - start);
        region::live(journal.memory())[FIRST + cut].fetch_xor(1, Ordering::Relaxed);

        let (_, known) = Journal::open(Arc::clone(journal.memory())).unwrap();
        prop_assert_eq!((known.table, known.surroundings), known_after(std::slice::from_ref(first)));
        prop_assert_eq!(known.flaws, Flaws { lost: 1, ..Flaws::default() });
    }
}

#[test]
fn entries_of_unknown_kinds_are_passed_over_and_counted() {
    let mut journal = journal();
    assert!(journal.append(&Entry::Reloading(1)));
    for unreadable in [&[200_u8, 1, 2, 3][..], &[1, 99], &[3, 0]] {
        journal.regions.append(unreadable).unwrap();
    }
    assert!(journal.append(&Entry::Greeted(7)));

    let (_, known) = Journal::open(Arc::clone(journal.memory())).unwrap();

    assert_eq!(known.flaws, Flaws { malformed: 1, unknown: 2, ..Flaws::default() });
    assert_eq!((known.surroundings.reload_tries, known.surroundings.greeted), (1, 7));
}

#[test]
fn entries_that_make_no_sense_are_left_out_and_counted() {
    let mut journal = journal();
    let removed = |name: &str| Entry::Table(Record::GroupRemoved(name.into()));
    assert!(journal.append(&removed("never added")));
    assert!(journal.append(&Entry::Greeted(7)));

    let (_, known) = Journal::open(Arc::clone(journal.memory())).unwrap();

    assert_eq!(known.flaws, Flaws { senseless: 1, ..Flaws::default() });
    assert_eq!((known.table, known.surroundings), known_after(&[Entry::Greeted(7)]));
}

#[test]
fn an_entry_that_was_begun_and_given_up_leaves_nothing_behind() {
    let mut journal = journal();
    let mut given_up = journal.begin();
    given_up.add(&Entry::Greeted(1));
    drop(given_up);

    assert!(journal.append(&Entry::Reloading(1)));

    assert_eq!(read(&journal), known_after(&[Entry::Reloading(1)]));
}

#[test]
fn a_configuration_that_leaves_no_room_is_refused_before_anything_follows() {
    let of_length = |bytes: usize| Configuration {
        attachment: "x".repeat(bytes).into(),
        ..Configuration::default()
    };

    assert!(check_length(&of_length(CONFIGURATION_UP_TO / 2)).is_ok());
    let error = check_length(&of_length(CONFIGURATION_UP_TO + 1)).unwrap_err();
    assert!(error.to_string().contains("it is 17 MiB when it is written down"), "{error}");
}
