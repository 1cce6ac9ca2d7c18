//! A supervisor that is killed between any two stores, and memory that is damaged.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

use super::super::region::{self, FIRST};
use super::super::store::cut;
use super::super::{Entry, Flaws, Journal, Surroundings};
use super::{State, apply, journal, sense};

/// What a supervisor does with its journal.
#[expect(clippy::large_enum_variant, reason = "there are a few of them")]
#[derive(Debug, Clone)]
enum Deed {
    Append(Entry),
    AppendSeveral(Vec<Entry>),
    Replace,
}

fn deeds() -> impl Strategy<Value = Vec<Deed>> {
    // Entries by themselves, a few together, and a snapshot now and then.
    let ways = vec((1..4_usize, any::<bool>(), 0..6_u8), 8);
    (sense::entries(1..12), ways).prop_map(|(mut entries, ways)| {
        let mut deeds = Vec::new();
        for (count, together, replace) in ways {
            let some: Vec<Entry> = entries.drain(..count.min(entries.len())).collect();
            match (some.is_empty(), together) {
                (true, _) => {}
                (false, true) => deeds.push(Deed::AppendSeveral(some)),
                (false, false) => deeds.extend(some.into_iter().map(Deed::Append)),
            }
            if replace == 0 {
                deeds.push(Deed::Replace);
            }
        }
        deeds
    })
}

/// Does it, and brings the state to what the journal says then.
fn perform(journal: &mut Journal, state: &mut State, deed: &Deed) {
    match deed {
        Deed::Append(entry) => {
            assert!(journal.append(entry));
            apply(state, std::slice::from_ref(entry));
        }
        Deed::AppendSeveral(entries) => {
            let mut several = journal.begin();
            entries.iter().for_each(|entry| several.add(entry));
            assert!(several.append());
            apply(state, entries);
        }
        Deed::Replace => journal.replace(&state.0, &state.1).unwrap(),
    }
}

/// Performs all in a new journal. What is known after each of them, and how many stores
/// had been made then.
fn perform_all(deeds: &[Deed], stores: u64) -> (Journal, Vec<(State, u64)>) {
    let mut journal = journal();
    let mut state = State::default();
    cut::after(stores);
    let mut known = vec![(state.clone(), 0)];
    for deed in deeds {
        perform(&mut journal, &mut state, deed);
        known.push((state.clone(), cut::so_far()));
    }
    cut::never();
    (journal, known)
}

fn open(journal: &Journal) -> (State, Flaws, Journal) {
    let (journal, known) = Journal::open(Arc::clone(journal.memory())).unwrap();
    ((known.table, known.surroundings), known.flaws, journal)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn after_a_cut_between_any_two_stores_all_is_known_that_was_written_down(
        deeds in deeds(),
        cuts in vec(any::<Index>(), 6),
        next in any::<u64>().prop_map(Entry::Greeted),
    ) {
        let (_, known) = perform_all(&deeds, u64::MAX);
        let stores = known[deeds.len()].1;
        // Somewhere, and around the last stores of a deed, where it comes to count.
        let anywhere = cuts.iter().map(|cut| cut.index(stores as usize + 1) as u64);
        let ends = cuts.iter().flat_map(|cut| {
            let end = known[cut.index(known.len())].1;
            (0..4).map(move |before| end.saturating_sub(before))
        });
        for stores in anywhere.chain(ends) {
            let (journal, _) = perform_all(&deeds, stores);

            let (state, flaws, mut again) = open(&journal);

            let done = known.iter().filter(|(_, before)| *before <= stores).count() - 1;
            let may_be = &known[done..(done + 2).min(known.len())];
            let mut state_now = may_be.iter().find(|(known, _)| *known == state).map(|(known, _)| known.clone());
            prop_assert!(state_now.is_some(), "{stores} stores, {done} done");
            prop_assert_eq!(flaws, Flaws::default());

            // What was cut off in the making never comes back.
            let state_now = state_now.as_mut().unwrap();
            perform(&mut again, state_now, &Deed::Append(next.clone()));
            prop_assert_eq!(&open(&again).0, &*state_now);
        }
    }

    #[test]
    fn behind_a_bit_that_is_another_one_nothing_is_read_and_all_is_counted(
        entries in sense::entries(1..8),
        word in any::<Index>(),
        bit in 0..64_u32,
    ) {
        let mut journal = journal();
        let mut state = State::default();
        let mut known = vec![(state.clone(), 0)];
        for entry in &entries {
            perform(&mut journal, &mut state, &Deed::Append(entry.clone()));
            known.push((state.clone(), journal.sizes().1));
        }
        let behind = word.index(journal.sizes().1 / 8);
        let at = FIRST + journal.sizes().0 / 8 + behind;
        region::live(journal.memory())[at].fetch_xor(1 << bit, Ordering::Relaxed);

        let (state, flaws, _) = open(&journal);

        let whole = known.iter().filter(|(_, end)| *end <= behind * 8).count() - 1;
        if flaws == Flaws::default() {
            // Only what fills the last word of an entry may be anything.
            prop_assert_eq!(&state, &known[entries.len()].0);
            prop_assert_eq!((behind + 1) * 8, known[whole + 1].1);
        } else {
            prop_assert_eq!(&state, &known[whole].0);
            prop_assert_eq!(flaws, Flaws { lost: entries.len() - whole, ..Flaws::default() });
        }
    }
}

#[test]
fn a_damaged_snapshot_is_an_error_that_says_so() {
    let mut journal = journal();
    assert!(journal.append(&Entry::Greeted(7)));
    region::live(journal.memory())[FIRST + 1].fetch_xor(1, Ordering::Relaxed);

    let error = Journal::open(Arc::clone(journal.memory())).unwrap_err();

    assert_eq!(error.to_string(), "the snapshot that the journal begins with cannot be read");
}

#[test]
fn a_damaged_number_of_entries_loses_none() {
    let mut journal = journal();
    assert!(journal.append(&Entry::Greeted(7)));
    region::live(journal.memory())[0].fetch_xor(1 << 9, Ordering::Relaxed);

    let (state, flaws, _) = open(&journal);

    assert_eq!(state.1, Surroundings { greeted: 7, ..Surroundings::default() });
    assert_eq!(flaws, Flaws::default());
}

#[test]
fn where_the_number_of_entries_is_damaged_too_the_loss_is_still_told() {
    let mut journal = journal();
    let at = FIRST + journal.sizes().0 / 8;
    assert!(journal.append(&Entry::Greeted(7)));
    for word in [0, at + 1] {
        region::live(journal.memory())[word].fetch_xor(1 << 9, Ordering::Relaxed);
    }

    let (state, flaws, _) = open(&journal);

    assert_eq!(state, State::default());
    assert_eq!(flaws, Flaws { lost: 1, ..Flaws::default() });
}
