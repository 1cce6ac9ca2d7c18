//! Doors for the fuzz targets in `fuzz/` to parsers that nobody else may call. They
//! exist only where the program is built by cargo-fuzz.

use bardo_core::action::Actions;
use bardo_core::id::ExitSequence;
use bardo_core::service::Service;
use bardo_core::time::Now;
use bardo_core::{ExitStatus, Found, Input, Instant, Pid, Supervisor};
use bardo_wire::listener::EventType;

use crate::api::auth::{self, Claim};
use crate::daemon::journal::Memory;
use crate::daemon::listeners::audience::{Audience, Deed};
use crate::daemon::pump::intake::{PartKind, Tidings};
use crate::daemon::pump::strip::Strip;
use crate::daemon::pump::{Channel, StreamKey};

/// Whether a request with this `Authorization` header is let in.
#[must_use]
pub fn is_let_in(header: &[u8], user: &str, password: &str) -> bool {
    auth::judge(Some(header), user, password) == Claim::Granted
}

/// What `strip_ansi` leaves of bytes that arrive in these pieces, and nothing follows.
#[must_use]
pub fn stripped(pieces: &[&[u8]]) -> Vec<u8> {
    let mut output = Vec::new();
    let mut state = Strip::default();
    for piece in pieces {
        state = state.transform(piece, &mut output);
    }
    output.extend_from_slice(state.held_back());
    output
}

/// Takes over from a journal with these entries, and lets things happen to whatever table
/// and listeners they describe, until everything has stopped or a limit is reached.
///
/// # Panics
/// When what comes of it is no table that a successor could take over.
pub fn take_over(entries: &[&[u8]]) {
    let mut known = Memory::default();
    entries.iter().for_each(|entry| known.read(entry));
    known.round_trip();
    let mut supervisor = Supervisor::recover(known.table);
    let mut now = Now { instant: Instant(1 << 60), ..Now::default() };
    for input in fates(&supervisor) {
        step(&mut supervisor, now, input);
    }
    step(&mut supervisor, now, Input::Resume);
    for turn in 0..TURNS {
        // A deadline that cannot be written down is one that never comes.
        let next = supervisor.deadline().filter(|deadline| *deadline < Instant(u64::MAX / 2));
        now.instant = next.unwrap_or(now.instant).max(now.instant);
        step(&mut supervisor, now, Input::Timeout);
        for input in fates(&supervisor) {
            step(&mut supervisor, now, input);
        }
        if turn == TURNS / 2 {
            step(&mut supervisor, now, Input::Shutdown);
        }
    }
    listen(&mut known.surroundings.audience, now.instant);
}

/// How often something happens to everybody.
const TURNS: usize = 6;

fn step(supervisor: &mut Supervisor, now: Now, input: Input) {
    let mut table = supervisor.snapshot();
    let mut actions = Actions::default();
    supervisor.step(now, input, &mut actions);
    supervisor.take_records(|record| {
        assert!(table.admits(&record), "a successor understands {record:?}");
        table.apply(record);
    });
    assert_eq!(supervisor.snapshot().mend(), 0, "the table makes sense");
}

/// Something for each service, by what it is doing.
fn fates(supervisor: &Supervisor) -> Vec<Input> {
    let sequence = ExitSequence(u64::MAX);
    let fate = |there: &Service| {
        let (service, generation) = (there.id, there.generation);
        match there.pid {
            Some(_) => {
                let (status, at) = (ExitStatus::Code(1), Instant(0));
                Input::Exited { service, generation, status, sequence, at }
            }
            None if service.0.is_multiple_of(2) => {
                Input::Found { service, generation, found: Found::NeverCloned }
            }
            None => Input::Spawned { service, generation, pid: Pid(7) },
        }
    };
    supervisor.services().map(fate).collect()
}

/// Lets every listener speak, be sent something, and end.
fn listen(audience: &mut Audience, at: Instant) {
    let talks = audience.pools.all().iter().flat_map(|pool| &pool.talks);
    let lives: Vec<_> = talks.map(|talk| (talk.service, talk.generation)).collect();
    audience.apply(&Deed::Ticked(5));
    for (service, generation) in lives {
        let channel = Channel::Stdout;
        let said = |text: &[u8]| {
            let key = StreamKey { service, generation, channel };
            let parts = vec![(PartKind::Said, text.to_vec()), (PartKind::CaptureEnd, Vec::new())];
            let (group, process) = ("group".to_owned(), "process".to_owned());
            let tidings =
                Tidings { key, pid: 7, chunks: true, capture_bytes_max: 9, group, process, parts };
            Deed::Heard { bytes: tidings.to_bytes(), place: 9, at }
        };
        for deed in [
            said(b"RESULT 2\nOKREADY\n"),
            Deed::Process { service, generation, is_running: true },
            Deed::Offered(EventType::ALL[0], "payload".into()),
            Deed::Assigned(service, generation, "supervisor".into()),
            Deed::Packing(service, generation, 5),
            Deed::Moving,
            Deed::Moved(u64::MAX),
            Deed::Delivered(service, generation),
            said(b"RESULT 4\nFAIL"),
            Deed::Deaf(service, generation),
            Deed::Ended { service, generation, channel },
        ] {
            audience.apply(&deed);
        }
    }
}
