//! Speakers: programs that write lines and captured messages, and those who listen to them
//! while the supervisor dies. What listeners have noted is compared with what was said.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::path::Path;
use std::thread;
use std::time::Duration;

use super::actors::WORD;
use super::board::Board;
use super::lines::{Random, Voice};
use super::listener::{self, Heard};

/// How many speakers there are.
pub const SPEAKERS: usize = 2;

/// Marks around a captured message.
const BEGIN: &str = "<!--XSUPERVISOR:BEGIN-->";
const END: &str = "<!--XSUPERVISOR:END-->";

/// Every message with a number that is a multiple of this is long, by so many lines.
const LONG_EVERY: u64 = 9;
const LONG_LINES: usize = 400;

/// The wait of a speaker between two blocks, at most. A pool that rests after each rejected
/// event must be able to keep up.
const PAUSE_MAX: Duration = Duration::from_millis(60);

/// In a longer test they speak less often in proportion: all that was said is kept until
/// the end.
const SPAN: Duration = Duration::from_secs(60);

/// How often one that rests looks whether it may go on.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// A pool: its name, what it wants to hear, and its manner.
#[derive(Debug, Clone, Copy)]
pub struct PoolOf {
    /// Its name.
    pub name: &'static str,
    events: &'static str,
    manner: &'static str,
}

/// The pools. The first one hears all that any of them hears.
pub const POOLS: [PoolOf; 3] = [
    PoolOf {
        name: "content",
        events: "PROCESS_LOG_STDOUT,PROCESS_COMMUNICATION,PROCESS_STATE",
        manner: "",
    },
    PoolOf { name: "picky", events: "PROCESS_COMMUNICATION", manner: "picky 7" },
    // Not every state: one that takes its time must keep up with programs that crash all the
    // time, or the test would wait for its backlog.
    PoolOf {
        name: "slow",
        events: "PROCESS_STATE_STOPPING,PROCESS_COMMUNICATION",
        manner: "slow 2",
    },
];

/// What has become of events.
#[derive(Debug, Default, Clone, Copy)]
pub struct Hearing {
    /// Events that listeners have accepted.
    pub events: u64,
    /// Those that none of a pool has accepted, and newer ones were.
    pub missing: u64,
    /// Those that were told again although they had been accepted.
    pub again: u64,
    /// Those that were rejected.
    pub rejected: u64,
    /// Messages that were said, for each pool.
    pub messages: u64,
    /// Messages that were not heard, or otherwise than they were said.
    pub messages_wrong: u64,
    /// Changes of state that do not begin where the one before has ended.
    pub chains_broken: u64,
}

impl Hearing {
    /// Whether everything was heard, as it was said.
    #[must_use]
    pub fn is_clean(self) -> bool {
        self.events > 0
            && self.messages > 0
            && (self.missing, self.messages_wrong, self.chains_broken) == (0, 0, 0)
    }
}

/// The sections of speakers and listeners, for a test that takes so long.
#[must_use]
pub fn sections(executable: &str, folder: &str, seed: u64, span: Duration) -> String {
    let pause = PAUSE_MAX.mul_f64((span.as_secs_f64() / SPAN.as_secs_f64()).max(1.0)).as_micros();
    let mut text = String::new();
    let command =
        |role: &str| format!("command=\"{executable}\" {WORD} \"{folder}\" {seed} {role}");
    for number in 0..SPEAKERS {
        let (name, command) = (name_of(number), command(&format!("speaker {number} {pause}")));
        // Writing into memory cannot fail.
        let _ = writeln!(
            text,
            "[program:{name}]\n{command}\nstdout_logfile={folder}/{name}.log\n\
             stdout_logfile_maxbytes=0\nstdout_capture_maxbytes=1MB\nstdout_events_enabled=true\n"
        );
    }
    for PoolOf { name, events, manner } in POOLS {
        let command = command(&format!("listener {name} {manner}"));
        let _ = writeln!(
            text,
            "[eventlistener:{name}]\n{command}\nevents={events}\nbuffer_size=1000000\n"
        );
    }
    text
}

/// Whether a process is one of them.
#[must_use]
pub fn is_one(name: &str) -> bool {
    POOLS.iter().any(|pool| pool.name == name)
        || (0..SPEAKERS).any(|number| name_of(number) == name)
}

/// The name of a speaker.
#[must_use]
pub fn name_of(number: usize) -> String {
    format!("speaker-{number}")
}

/// The voice of a speaker's lines, which are all that is in its log.
#[must_use]
pub fn voice_of_lines(speaker: usize) -> Voice {
    Voice { number: 100 + speaker as u64, high_bit: 0 }
}

/// The n-th line of a speaker, and its n-th message.
fn speech(speaker: usize, count: u64) -> (String, String) {
    let line = voice_of_lines(speaker).line(count);
    let message = Voice { number: 200 + speaker as u64, high_bit: 0 }.line(count);
    let is_long = count.is_multiple_of(LONG_EVERY);
    (line, message.repeat(if is_long { LONG_LINES } else { 1 }))
}

/// Speaks until it is told to stop, with waits of so many microseconds at most.
///
/// # Errors
/// When the folder cannot be read, or nobody listens.
pub fn play(folder: &Path, number: usize, pause: u64, mut random: Random) -> io::Result<u8> {
    let board = Board::open(folder)?;
    let mut waiting = Vec::new();
    let mut count = 0;
    while !board.is_stopped() {
        if board.is_paused() {
            thread::sleep(LOOK_EVERY);
            continue;
        }
        // Blocks end anywhere, within marks too.
        let block = usize::try_from(1 + random.below(600)).unwrap_or(1);
        while waiting.len() < block {
            count += 1;
            let (line, message) = speech(number, count);
            write!(waiting, "{line}{BEGIN}{message}{END}")?;
            board.set_speech(number, count);
        }
        listener::say(&waiting[..block])?;
        waiting.drain(..block);
        thread::sleep(Duration::from_micros(random.below(pause)));
    }
    listener::say(&waiting)?;
    board.set_silent(number);
    loop {
        thread::park();
    }
}

/// Whether every pool has heard all that speakers had to say.
#[must_use]
pub fn all_heard(folder: &Path, board: &Board) -> bool {
    (0..SPEAKERS).all(|number| board.is_silent(number))
        && POOLS.iter().all(|pool| {
            let heard = listener::heard(folder, pool.name);
            let messages =
                accepted(&heard).values().filter(|heard| is_message(heard)).count() as u64;
            messages >= (0..SPEAKERS).map(|number| board.speech(number)).sum()
        })
}

/// Compares what was heard with what was said; what is wrong is told in words, too.
#[must_use]
pub fn compare(folder: &Path, board: &Board, findings: &mut dyn FnMut(String)) -> Hearing {
    let mut hearing = Hearing::default();
    for (place, pool) in POOLS.iter().enumerate() {
        let heard = listener::heard(folder, pool.name);
        let accepted = accepted(&heard);
        hearing.events += accepted.len() as u64;
        hearing.rejected += heard.iter().filter(|heard| !heard.is_accepted).count() as u64;
        hearing.again +=
            heard.iter().filter(|heard| heard.is_accepted).count() as u64 - accepted.len() as u64;
        let own: BTreeSet<u64> =
            accepted.values().filter_map(|heard| heard.field("poolserial").parse().ok()).collect();
        let mut missing = holes(&own);
        if place == 0 {
            let serials: BTreeSet<u64> = accepted.keys().copied().collect();
            missing = missing.max(holes(&serials));
            hearing.chains_broken += broken_chains(&accepted, findings);
            compare_chunks(&accepted, board, findings, &mut hearing);
        }
        if missing > 0 {
            findings(format!("{}: {missing} events are missing", pool.name));
        }
        hearing.missing += missing;
        compare_messages(pool.name, &accepted, board, findings, &mut hearing);
        let lives = std::fs::read_to_string(folder.join(format!("{}.lives", pool.name)));
        let lives = lives.unwrap_or_default().lines().count();
        if lives != 1 {
            findings(format!("{}: {lives} lives", pool.name));
        }
    }
    hearing
}

/// What was accepted, by its number; the first time counts.
fn accepted(heard: &[Heard]) -> BTreeMap<u64, &Heard> {
    let mut accepted = BTreeMap::new();
    for heard in heard.iter().filter(|heard| heard.is_accepted) {
        accepted.entry(heard.serial()).or_insert(heard);
    }
    accepted
}

/// Numbers from 0 to the last one that are not there.
fn holes(numbers: &BTreeSet<u64>) -> u64 {
    numbers.last().map_or(0, |last| last + 1 - numbers.len() as u64)
}

fn is_message(heard: &Heard) -> bool {
    heard.event().starts_with("PROCESS_COMMUNICATION")
}

fn compare_messages(
    pool: &str,
    accepted: &BTreeMap<u64, &Heard>,
    board: &Board,
    findings: &mut dyn FnMut(String),
    hearing: &mut Hearing,
) {
    for number in 0..SPEAKERS {
        let name = name_of(number);
        let messages: Vec<&str> = accepted
            .values()
            .filter(|heard| is_message(heard) && heard.about("processname") == name)
            .map(|heard| heard.data())
            .collect();
        let said = board.speech(number);
        hearing.messages += said;
        let is_wrong = |count: &u64| {
            let heard = usize::try_from(count - 1).ok().and_then(|place| messages.get(place));
            heard.is_none_or(|heard| *heard != speech(number, *count).1)
        };
        let wrong = (1..=said).filter(is_wrong).count() as u64;
        let more = (messages.len() as u64).saturating_sub(said);
        if wrong + more > 0 {
            findings(format!(
                "{pool}: {wrong} of {said} messages of {name} are wrong, {more} more"
            ));
        }
        hearing.messages_wrong += wrong + more;
    }
}

/// All chunks of a speaker, one after the other, are what it has written without marks.
fn compare_chunks(
    accepted: &BTreeMap<u64, &Heard>,
    board: &Board,
    findings: &mut dyn FnMut(String),
    hearing: &mut Hearing,
) {
    for number in 0..SPEAKERS {
        let name = name_of(number);
        let is_chunk = |heard: &&&Heard| {
            heard.event() == "PROCESS_LOG_STDOUT" && heard.about("processname") == name
        };
        let heard: String = accepted.values().filter(is_chunk).map(|heard| heard.data()).collect();
        let mut said = String::new();
        for count in 1..=board.speech(number) {
            let (line, message) = speech(number, count);
            said += &line;
            said += &message;
        }
        if heard != said {
            let same = heard.bytes().zip(said.bytes()).take_while(|(a, b)| a == b).count();
            findings(format!(
                "{name}: {} bytes were said and {} heard; the first {same} are the same",
                said.len(),
                heard.len()
            ));
            hearing.messages_wrong += 1;
        }
    }
}

/// Every change of state begins where the one before has ended.
fn broken_chains(accepted: &BTreeMap<u64, &Heard>, findings: &mut dyn FnMut(String)) -> u64 {
    let mut states: BTreeMap<String, String> = BTreeMap::new();
    let mut broken = 0;
    for (serial, heard) in accepted {
        let Some(to) = heard.event().strip_prefix("PROCESS_STATE_") else { continue };
        let process = heard.about("processname").to_owned();
        let from = heard.about("from_state");
        let before = states.insert(process.clone(), to.to_owned());
        if before.as_deref().unwrap_or("STOPPED") != from {
            findings(format!(
                "event {serial}: {process} went from {from} to {to}, after {before:?}"
            ));
            broken += 1;
        }
    }
    broken
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changed(serial: u64, from: &str, to: &str) -> Heard {
        Heard {
            header: format!("serial:{serial} eventname:PROCESS_STATE_{to} len:1"),
            payload: format!("processname:a groupname:a from_state:{from}"),
            is_accepted: true,
        }
    }

    #[test]
    fn a_chain_that_is_broken_is_found() {
        let heard = [
            changed(0, "STOPPED", "STARTING"),
            changed(1, "STARTING", "RUNNING"),
            changed(2, "STARTING", "EXITED"),
        ];
        let broken = |heard: &[Heard]| broken_chains(&accepted(heard), &mut |_| {});

        assert_eq!((broken(&heard[..2]), broken(&heard)), (0, 1));
    }

    #[test]
    fn numbers_that_are_not_there_are_counted() {
        assert_eq!(holes(&BTreeSet::new()), 0);
        assert_eq!(holes(&BTreeSet::from([0, 1, 2])), 0);
        assert_eq!(holes(&BTreeSet::from([1, 4])), 3);
    }
}
