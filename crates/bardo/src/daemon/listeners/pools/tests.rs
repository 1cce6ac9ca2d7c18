//! Who gets which event, in which order, and what is given up.

use bardo_config::ResultHandler;
use bardo_wire::listener::{EventTypes, LengthUnit};

use super::super::pool::{REJECTED_WAIT, SERIAL_MAX, TOGETHER_BYTES_MAX};
use super::*;

const A: ServiceId = ServiceId(1);
const B: ServiceId = ServiceId(2);
const LIFE: Generation = Generation(1);
const NOW: Instant = Instant(1_000_000_000);

struct Bench {
    pools: Pools,
    notes: Vec<Note>,
}

impl Bench {
    /// A pool named `pool` with the listeners a and b, which are ready.
    fn new(events: &str, buffer_size: u32) -> Self {
        let mut bench = Self { pools: Pools::default(), notes: Vec::new() };
        bench.pools.add(spec("pool", events, buffer_size, &[(A, "a"), (B, "b")]));
        for service in [A, B] {
            bench.pools.process(service, LIFE, true);
            bench.hear(service, "READY\n");
        }
        bench.notes.clear();
        bench
    }

    fn hear(&mut self, service: ServiceId, text: &str) {
        self.pools.hear((service, LIFE), text.as_bytes(), NOW, &mut self.notes);
    }

    fn offer(&mut self, payload: &str) {
        self.pools.offer(EventType::RemoteCommunication, payload.into(), &mut self.notes);
    }

    /// Sends whatever can be sent at a moment, and says what went to whom.
    fn dispatch(&mut self, now: Instant) -> Vec<(ServiceId, String)> {
        let mut sent = Vec::new();
        while let Some((service, life)) = self.pools.next_receiver(now) {
            self.pools.assign(service, life, "server", &mut self.notes);
            let outgoing = self.pools.outgoing(service, life).unwrap();
            sent.push((service, outgoing.letter.message.payload.to_string()));
            self.pools.delivered(service, life);
        }
        sent
    }

    fn waiting(&self) -> Vec<&str> {
        self.pools.all()[0].queue.iter().map(|letter| &*letter.message.payload).collect()
    }
}

fn spec(name: &str, events: &str, buffer_size: u32, members: &[(ServiceId, &str)]) -> PoolSpec {
    PoolSpec {
        name: name.into(),
        wanted: EventTypes::named(events),
        buffer_size,
        handler: ResultHandler::Default,
        unit: LengthUnit::Characters,
        members: members.iter().map(|(id, name)| (*id, Arc::from(*name))).collect(),
    }
}

fn sent(service: ServiceId, payload: &str) -> (ServiceId, String) {
    (service, payload.to_owned())
}

#[test]
fn each_event_goes_to_one_listener_and_waits_while_all_are_busy() {
    let mut bench = Bench::new("EVENT", 10);

    for payload in ["1", "2", "3"] {
        bench.offer(payload);
    }
    assert_eq!(bench.dispatch(NOW), [sent(A, "1"), sent(B, "2")]);
    assert_eq!(bench.waiting(), ["3"]);

    bench.hear(B, "RESULT 2\nOKREADY\n");
    assert_eq!(bench.dispatch(NOW), [sent(B, "3")]);
}

#[test]
fn an_event_that_nobody_wants_has_no_number() {
    let mut bench = Bench::new("TICK", 10);

    bench.offer("unwanted");
    bench.pools.add(spec("other", "EVENT", 10, &[]));
    bench.offer("wanted");

    assert_eq!(bench.pools.next_serial, 1);
    assert!(bench.waiting().is_empty());
    assert_eq!(bench.pools.all()[1].queue[0].message.serial, 0);
}

#[test]
fn a_rejected_event_comes_again_after_a_rest_and_before_newer_ones() {
    let mut bench = Bench::new("EVENT", 10);
    bench.offer("1");
    bench.dispatch(NOW);

    bench.hear(A, "RESULT 4\nFAILREADY\n");
    bench.offer("2");
    bench.pools.process(B, LIFE, false);
    assert_eq!(bench.dispatch(NOW), []);
    assert_eq!(bench.pools.next_rest_end(), Some(NOW + REJECTED_WAIT));

    let later = NOW + REJECTED_WAIT;
    bench.pools.process(B, LIFE, true);
    assert_eq!(bench.dispatch(later), [sent(A, "1"), sent(B, "2")]);
    let put_back = Note::PutBack { pool: "pool".into(), serial: 0, waiting: 0, buffer_size: 10 };
    assert!(bench.notes.contains(&put_back));
}

#[test]
fn one_that_rejects_holds_up_no_other() {
    let mut bench = Bench::new("EVENT", 10);
    bench.offer("1");
    bench.dispatch(NOW);

    bench.hear(A, "RESULT 4\nFAILREADY\n");

    assert_eq!(bench.dispatch(NOW), [sent(B, "1")]);
}

#[test]
fn a_long_event_is_handed_out_in_parts() {
    let mut bench = Bench::new("EVENT", 10);
    bench.offer("payload");
    bench.pools.assign(A, LIFE, "server", &mut bench.notes);
    let mut all = Vec::new();
    loop {
        let outgoing = bench.pools.outgoing(A, LIFE).unwrap();
        let part = outgoing.next_bytes(10);
        if part.is_empty() {
            break;
        }
        all.extend_from_slice(&part);
        bench.pools.sent(A, LIFE, all.len() as u64);
    }

    let outgoing = bench.pools.outgoing(A, LIFE).unwrap();
    assert_eq!(String::from_utf8(all).unwrap(), format!("{}payload", outgoing.header));
}

#[test]
fn what_listeners_have_in_their_hands_counts() {
    let mut bench = Bench::new("EVENT", 1000);
    let large = "x".repeat(WAITING_BYTES_MAX / 2);
    for _ in 0..2 {
        bench.offer(&large);
    }
    bench.dispatch(NOW);

    bench.offer("more");
    assert!(bench.waiting().is_empty());
    bench.hear(A, "RESULT 2\nOK");
    bench.offer("more");
    assert_eq!(bench.waiting(), ["more"]);
}

#[test]
fn rests_grow_while_an_event_is_rejected_and_a_success_ends_them() {
    let mut bench = Bench::new("EVENT", 10);
    bench.offer("1");
    let mut rests = Vec::new();
    for _ in 0..7 {
        bench.dispatch(Instant(u64::MAX));
        bench.hear(A, "RESULT 4\nFAILREADY\n");
        rests.push(bench.pools.all()[0].talks[0].rest.as_millis());
    }
    assert_eq!(rests, [100, 200, 400, 800, 1600, 3000, 3000]);

    bench.dispatch(Instant(u64::MAX));
    bench.hear(A, "RESULT 2\nOK");
    assert_eq!(bench.pools.all()[0].talks[0].rest_until, None);
}

#[test]
fn a_rejected_event_stays_out_of_other_pools() {
    let mut bench = Bench::new("EVENT", 10);
    bench.pools.add(spec("other", "EVENT", 10, &[]));
    bench.offer("1");
    bench.dispatch(NOW);

    bench.hear(A, "RESULT 4\nFAIL");

    assert_eq!(bench.waiting(), ["1"]);
    assert_eq!(bench.pools.all()[1].queue.len(), 1);
}

#[test]
fn a_full_queue_gives_up_its_oldest() {
    let mut bench = Bench::new("EVENT", 2);
    for payload in ["1", "2"] {
        bench.offer(payload);
    }
    bench.dispatch(NOW);
    for payload in ["3", "4", "5"] {
        bench.offer(payload);
    }
    assert_eq!(bench.waiting(), ["4", "5"]);
    assert!(bench.notes.contains(&Note::Overflowed { pool: "pool".into(), serial: 2 }));

    // What is put back is in front of what was not given up for it.
    bench.hear(A, "RESULT 4\nFAIL");
    assert_eq!(bench.waiting(), ["1", "5"]);
}

#[test]
fn too_many_bytes_are_given_up_where_most_are() {
    let mut bench = Bench::new("TICK", 1000);
    bench.pools.add(spec("large", "REMOTE_COMMUNICATION", 1000, &[]));
    let large = "x".repeat(WAITING_BYTES_MAX / 3);

    bench.pools.tick(0, &mut bench.notes);
    bench.pools.tick(5, &mut bench.notes);
    for _ in 0..4 {
        bench.offer(&large);
    }

    assert_eq!(bench.waiting(), ["when:5"]);
    assert_eq!(bench.pools.all()[1].queue.len(), 2);
}

#[test]
fn what_a_dead_listener_had_goes_to_another() {
    let mut bench = Bench::new("EVENT", 10);
    bench.offer("1");
    bench.dispatch(NOW);

    bench.pools.process(A, LIFE, false);
    assert!(bench.waiting().is_empty(), "its last words may still be on their way");
    bench.pools.ended(A, LIFE, &mut bench.notes);

    assert_eq!(bench.dispatch(NOW), [sent(B, "1")]);
}

#[test]
fn the_last_words_of_a_dead_listener_count() {
    let mut bench = Bench::new("EVENT", 10);
    bench.offer("1");
    bench.dispatch(NOW);

    bench.pools.process(A, LIFE, false);
    bench.hear(A, "RESULT 2\nOK");
    bench.pools.ended(A, LIFE, &mut bench.notes);

    assert!(bench.waiting().is_empty());
    assert_eq!(bench.pools.lives().count(), 1);
}

#[test]
fn only_running_listeners_get_events() {
    let mut bench = Bench::new("EVENT", 10);
    bench.pools.process(A, LIFE, false);
    bench.pools.process(B, LIFE, false);
    bench.offer("1");

    assert_eq!(bench.pools.next_receiver(NOW), None);
    bench.pools.process(B, LIFE.next(), true);
    assert_eq!(bench.pools.next_receiver(NOW), None, "it is not ready");
    bench.pools.hear((B, LIFE.next()), b"READY\n", NOW, &mut bench.notes);
    assert_eq!(bench.pools.next_receiver(NOW), Some((B, LIFE.next())));
}

#[test]
fn one_that_breaks_the_rules_loses_its_event_to_others() {
    let mut bench = Bench::new("EVENT", 10);
    bench.offer("1");
    bench.dispatch(NOW);

    bench.hear(A, "RESULT x\nOK");
    bench.hear(A, "READY\n");

    assert_eq!(bench.dispatch(NOW), [sent(B, "1")]);
    let line = b"RESULT x".to_vec();
    assert!(bench.notes.contains(&Note::BadResult { listener: "a".into(), line }));
}

#[test]
fn one_that_does_not_read_is_passed_over() {
    let mut bench = Bench::new("EVENT", 10);
    bench.offer("1");
    bench.pools.assign(A, LIFE, "server", &mut bench.notes);

    bench.pools.deaf(A, LIFE, &mut bench.notes);

    assert_eq!(bench.pools.outgoing(A, LIFE), None);
    assert_eq!(bench.dispatch(NOW), [sent(B, "1")]);
}

#[test]
fn a_tick_is_told_when_its_slice_begins_and_not_at_first() {
    let mut bench = Bench::new("TICK", 10);
    assert!(bench.pools.is_tick_due(12));
    for second in [12, 14, 15, 19, 20, 61, 3600] {
        bench.pools.tick(second, &mut bench.notes);
    }

    assert_eq!(
        bench.waiting(),
        ["when:15", "when:20", "when:60", "when:60", "when:3600", "when:3600", "when:3600"]
    );
    assert_eq!(bench.pools.next_tick(3601), Some(3605));
    assert!(!bench.pools.is_tick_due(3601) && bench.pools.is_tick_due(3599));
}

#[test]
fn nobody_is_woken_for_ticks_that_nobody_wants() {
    let bench = Bench::new("TICK_3600", 10);

    assert_eq!(bench.pools.next_tick(3601), Some(7200));
    assert_eq!(Bench::new("PROCESS_STATE", 10).pools.next_tick(3601), None);
}

fn chunk(process: &str, data: &str) -> Arc<str> {
    format!("processname:{process} groupname:g pid:7 channel:stdout\n{data}").into()
}

fn write(bench: &mut Bench, process: &str, data: &str) {
    let event = EventType::ProcessLogStdout;
    bench.pools.offer_chunk(event, &chunk(process, data), &mut bench.notes);
}

#[test]
fn chunks_that_wait_are_put_together_and_one_that_was_sent_stays_as_it_is() {
    let mut bench = Bench::new("EVENT", 10);
    for (process, data) in [("p", "1"), ("p", "2")] {
        write(&mut bench, process, data);
    }
    assert_eq!(bench.dispatch(NOW), [sent(A, &chunk("p", "12"))]);
    bench.hear(A, "RESULT 4\nFAIL");

    // What was rejected is told again as it was.
    for (process, data) in [("p", "3"), ("q", "x"), ("p", "4")] {
        write(&mut bench, process, data);
    }

    let (first, second, third) = (chunk("p", "12"), chunk("p", "34"), chunk("q", "x"));
    assert_eq!(bench.waiting(), [&*first, &*second, &*third]);
    let bytes: usize = bench.waiting().iter().map(|payload| payload.len()).sum();
    assert_eq!((bench.pools.all()[0].bytes, bench.pools.next_serial), (bytes, 3));
}

#[test]
fn a_chunk_comes_after_what_was_told_of_its_process_before() {
    let mut bench = Bench::new("EVENT", 10);
    let state = "processname:p groupname:g from_state:RUNNING expected:1 pid:7";
    write(&mut bench, "p", "1");
    bench.offer(state);
    write(&mut bench, "p", "2");
    write(&mut bench, "p", "Undecodable: b'\\xff'");
    write(&mut bench, "p", "3");

    let waiting = bench.waiting();
    assert_eq!(waiting.len(), 5);
    assert_eq!((waiting[1], waiting[4]), (state, &*chunk("p", "3")));
}

#[test]
fn an_event_does_not_grow_for_ever() {
    let mut bench = Bench::new("EVENT", 1000);
    let data = "x".repeat(TOGETHER_BYTES_MAX / 3);

    for _ in 0..8 {
        write(&mut bench, "p", &data);
    }

    assert_eq!(bench.waiting().len(), 4);
}

#[test]
fn numbers_begin_again_after_the_last() {
    let mut bench = Bench::new("EVENT", 10);
    bench.pools.next_serial = SERIAL_MAX;

    bench.offer("1");

    assert_eq!(bench.pools.next_serial, 0);
}
