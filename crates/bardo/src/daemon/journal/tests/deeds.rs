//! Anything that can happen to those who listen.

use std::sync::Arc;

use bardo_config::ResultHandler;
use bardo_core::{Generation, Instant, ServiceId};
use bardo_wire::listener::{EventType, EventTypes, LengthUnit};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::daemon::listeners::audience::Deed;
use crate::daemon::listeners::pool::PoolSpec;
use crate::daemon::pump::intake::{PartKind, Tidings};
use crate::daemon::pump::{Channel, StreamKey};

/// One of a few listeners, so that deeds meet each other.
fn service() -> impl Strategy<Value = ServiceId> {
    (0..3_u32).prop_map(ServiceId)
}

fn generation() -> impl Strategy<Value = Generation> {
    (1..3_u32).prop_map(Generation)
}

fn channel() -> impl Strategy<Value = Channel> {
    prop::sample::select(Channel::BOTH.to_vec())
}

fn event() -> impl Strategy<Value = EventType> {
    prop::sample::select(EventType::ALL.to_vec())
}

fn name() -> impl Strategy<Value = Arc<str>> {
    "[ab]".prop_map(Arc::from)
}

fn pool() -> impl Strategy<Value = PoolSpec> {
    let wanted = prop_oneof![
        Just(EventTypes::named("EVENT")),
        any::<u32>().prop_map(EventTypes::from_bits),
    ];
    let members = vec((service(), name()), 0..3);
    let unit = prop_oneof![Just(LengthUnit::Characters), Just(LengthUnit::Bytes)];
    (name(), wanted, 1..4_u32, unit, members).prop_map(
        |(name, wanted, buffer_size, unit, members)| PoolSpec {
            name,
            wanted,
            buffer_size,
            handler: ResultHandler::ALL[members.len()],
            unit,
            members,
        },
    )
}

fn part() -> impl Strategy<Value = (PartKind, Vec<u8>)> {
    let said = prop::sample::select(vec!["READY\n", "RESULT 2\nOK", "RESULT 4\nFA", "IL", "x"]);
    prop_oneof![
        4 => said.prop_map(|text| (PartKind::Said, text.into())),
        1 => vec(any::<u8>(), 0..5).prop_map(|bytes| (PartKind::Logged, bytes)),
        1 => vec(any::<u8>(), 0..5).prop_map(|bytes| (PartKind::Captured, bytes)),
        1 => Just((PartKind::CaptureEnd, Vec::new())),
    ]
}

fn tidings() -> impl Strategy<Value = Tidings> {
    let key = (service(), generation(), channel())
        .prop_map(|(service, generation, channel)| StreamKey { service, generation, channel });
    (key, any::<bool>(), 0..9_u64, vec(part(), 0..4)).prop_map(
        |(key, chunks, capture_bytes_max, parts)| Tidings {
            key,
            pid: 7,
            chunks,
            capture_bytes_max,
            group: "group".to_owned(),
            process: "process".to_owned(),
            parts,
        },
    )
}

/// Anything that can happen.
pub(super) fn deed() -> BoxedStrategy<Deed> {
    let life = || (service(), generation());
    prop_oneof![
        3 => pool().prop_map(Deed::PoolAdded),
        1 => name().prop_map(Deed::PoolRemoved),
        6 => (event(), name()).prop_map(|(event, payload)| Deed::Offered(event, payload)),
        1 => (0..9000_i64).prop_map(Deed::Ticked),
        3 => (life(), any::<bool>()).prop_map(|((service, generation), is_running)| {
            Deed::Process { service, generation, is_running }
        }),
        9 => (tidings(), any::<u64>(), 0..1_u64 << 40).prop_map(|(tidings, place, at)| {
            Deed::Heard { bytes: tidings.to_bytes(), place, at: Instant(at) }
        }),
        2 => (life(), channel()).prop_map(|((service, generation), channel)| {
            Deed::Ended { service, generation, channel }
        }),
        9 => (life(), name()).prop_map(|((service, generation), server)| {
            Deed::Assigned(service, generation, server)
        }),
        2 => (life(), any::<u32>())
            .prop_map(|((service, generation), bytes)| Deed::Packing(service, generation, bytes)),
        1 => Just(Deed::Moving),
        1 => any::<u64>().prop_map(Deed::Moved),
        2 => life().prop_map(|(service, generation)| Deed::Delivered(service, generation)),
        1 => life().prop_map(|(service, generation)| Deed::Deaf(service, generation)),
    ]
    .boxed()
}
