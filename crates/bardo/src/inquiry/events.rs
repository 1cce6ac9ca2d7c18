//! `bardo events`: the decisions about all services that are kept, then those that are made.
//!
//! Who follows listens first and asks for what is kept then, so that nothing falls between
//! the two; every decision has a number, so that nothing is told twice. A supervisor that
//! dies is seen through: its successor is asked for what comes after the last number.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::io::{self, Write as _};
use std::process::ExitCode;
use std::time::Duration;

use bardo_sys::clock;
use serde::{Deserialize, Serialize};

use super::lines::{self, Layout};
use super::{Failure, LOOK_EVERY, SUCCESSOR_WITHIN, get};
use crate::check::Form;
use crate::client::{CallError, Client, StreamError};
use crate::service::reply::ToldDecision;

const DECISIONS: &str = "/api/v1/decisions";
const EVENTS: &str = "/api/v1/events";

/// How long it is waited for somebody who listens again, where even the keeper has gone: whoever
/// starts it anew has begun by then.
const RETURN_WITHIN: Duration = Duration::from_secs(2);

/// The supervisor's word for its end.
const ENDING: &str = "SHUTDOWN";

/// What is kept; see `api/rest/services.rs`.
#[derive(Debug, Deserialize)]
struct Kept {
    last: u64,
    decisions: Vec<ToldDecision>,
}

/// A change of the table; see `api/rest/feed.rs`.
#[derive(Debug, Deserialize)]
struct Change {
    now: i64,
    state: String,
    removed: Vec<String>,
    processes: Vec<Process>,
}

#[derive(Debug, Deserialize)]
struct Process {
    namespec: String,
    group: String,
    state: String,
    pid: Option<u32>,
}

/// What is told, as JSON.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "lowercase")]
enum Event<'a> {
    Decision(&'a ToldDecision),
    State { name: &'a str, state: &'a str, pid: u32, at: i64 },
    Removed { name: &'a str, at: i64 },
}

/// Says what is kept.
pub(super) fn kept(client: &mut Client, form: Form) -> Result<ExitCode, Failure> {
    Teller::new(form).catch_up(client)?;
    Ok(ExitCode::SUCCESS)
}

/// Says what is kept and what happens, until the user has enough or the supervisor ends.
pub(super) fn follow(client: &mut Client, form: Form) -> Result<ExitCode, Failure> {
    client.watch_interrupts().map_err(|error| Failure::Refused(error.to_string()))?;
    let mut teller = Teller::new(form);
    let mut gone_for = Duration::ZERO;
    loop {
        let heard = teller.listen(client);
        let error = match heard {
            Ok(()) => {
                gone_for = Duration::ZERO;
                continue;
            }
            Err(Deaf::For(failure)) => return Err(failure),
            Err(Deaf::Now(error)) => error,
        };
        if !teller.has_begun {
            return Err(Failure::of_call(client, &error));
        }
        // The keeper holds the sockets while one supervisor follows another.
        let patience = match is_refused(&error) {
            true if teller.is_ending => Duration::ZERO,
            true => RETURN_WITHIN,
            false => SUCCESSOR_WITHIN,
        };
        if gone_for >= patience {
            eprintln!("bardo: events: the supervisor has ended");
            return Ok(ExitCode::SUCCESS);
        }
        client.pause(LOOK_EVERY).map_err(|_| Failure::Interrupted)?;
        gone_for += LOOK_EVERY;
    }
}

/// Whether nobody listens at all.
fn is_refused(error: &CallError) -> bool {
    let CallError::Connection(error) = error else { return false };
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused)
}

/// Why nothing is heard.
enum Deaf {
    /// Nobody is there now.
    Now(CallError),
    /// Nothing will ever be heard.
    For(Failure),
}

/// Tells each thing once.
struct Teller {
    form: Form,
    layout: Layout,
    /// The number of the last decision that was told.
    last: u64,
    /// The states that are known: told, or there from the beginning.
    states: BTreeMap<String, Known>,
    /// Whether there was a supervisor that has told something.
    has_begun: bool,
    /// Whether the supervisor has said that it ends.
    is_ending: bool,
    /// Whether nobody reads what is said any more.
    is_unheard: Cell<bool>,
}

/// How a process was when it was told of.
#[derive(Debug, PartialEq, Eq)]
struct Known {
    group: String,
    state: String,
    pid: u32,
}

impl Teller {
    fn new(form: Form) -> Self {
        Self {
            form,
            layout: Layout::of_output(),
            last: 0,
            states: BTreeMap::new(),
            has_begun: false,
            is_ending: false,
            is_unheard: Cell::new(false),
        }
    }

    /// Listens until the connection breaks.
    fn listen(&mut self, client: &mut Client) -> Result<(), Deaf> {
        let mut pieces = client.listen(EVENTS).map_err(|error| match error {
            StreamError::Connect(CallError::Interrupted) => Deaf::For(Failure::Interrupted),
            StreamError::Connect(error) => Deaf::Now(error),
            StreamError::Status(status) => {
                let text = format!("{} answers with HTTP status {status}", client.url());
                Deaf::For(Failure::Refused(text))
            }
        })?;
        let mut parser = Parser::default();
        loop {
            let piece = client.next(&mut pieces);
            let piece = piece.map_err(|_| Deaf::For(Failure::Interrupted))?;
            let Some(piece) = piece else { return Ok(()) };
            for (name, data) in parser.take(&piece) {
                self.hear(client, &name, &data).map_err(Deaf::For)?;
                if self.is_unheard.get() {
                    return Err(Deaf::For(Failure::Unheard));
                }
            }
        }
    }

    fn hear(&mut self, client: &mut Client, name: &str, data: &str) -> Result<(), Failure> {
        let nonsense =
            |error| Failure::Refused(format!("an event of the supervisor makes no sense: {error}"));
        match name {
            "snapshot" => {
                self.catch_up(client)?;
                let change: Change = serde_json::from_str(data).map_err(nonsense)?;
                self.table(&change);
            }
            "change" => {
                let change: Change = serde_json::from_str(data).map_err(nonsense)?;
                self.change(&change);
            }
            "decision" => {
                let told: ToldDecision = serde_json::from_str(data).map_err(nonsense)?;
                self.decision(&told);
            }
            "missed" => self.catch_up(client)?,
            _ => {}
        }
        Ok(())
    }

    /// Tells the decisions that are kept and were not told.
    fn catch_up(&mut self, client: &mut Client) -> Result<(), Failure> {
        let path = format!("{DECISIONS}?after={}", self.last);
        let Some(mut kept) = get::<Kept>(client, &path)? else { return Ok(()) };
        if kept.last < self.last {
            // Another daemon has begun, on a clock that was set back.
            self.last = 0;
            kept = get(client, DECISIONS)?.unwrap_or(kept);
        }
        kept.decisions.iter().for_each(|told| self.decision(told));
        Ok(())
    }

    fn decision(&mut self, told: &ToldDecision) {
        if told.decided.number <= self.last {
            return;
        }
        self.last = told.decided.number;
        self.say(told.decided.at, &Event::Decision(told), |layout| lines::decision(told, layout));
    }

    /// Takes in the whole table. What is in it from the beginning is not told.
    fn table(&mut self, table: &Change) {
        let there: Vec<&String> = table.processes.iter().map(|one| &one.namespec).collect();
        let gone: Vec<String> =
            self.states.keys().filter(|name| !there.contains(name)).cloned().collect();
        gone.iter().for_each(|name| self.remove(name, table.now));
        let tells = std::mem::replace(&mut self.has_begun, true);
        self.processes(table, tells);
        self.is_ending = table.state == ENDING;
    }

    fn change(&mut self, change: &Change) {
        let is_removed = |known: &Known| change.removed.contains(&known.group);
        let removed = self.states.iter().filter(|(_, known)| is_removed(known));
        let removed: Vec<String> = removed.map(|(name, _)| name.clone()).collect();
        removed.iter().for_each(|name| self.remove(name, change.now));
        self.processes(change, true);
        self.is_ending = change.state == ENDING;
    }

    fn remove(&mut self, name: &str, at: i64) {
        self.states.remove(name);
        self.say(at, &Event::Removed { name, at }, |layout| {
            lines::event(name, at, "is not in the table any more", layout)
        });
    }

    fn processes(&mut self, change: &Change, tells: bool) {
        for Process { namespec, group, state, pid } in &change.processes {
            let (pid, at) = (pid.unwrap_or(0), change.now);
            let now = Known { group: group.clone(), state: state.clone(), pid };
            let is_new = self.states.get(namespec) != Some(&now);
            if is_new && tells {
                self.say(at, &Event::State { name: namespec, state, pid, at }, |layout| {
                    lines::state(namespec, state, pid, at, layout)
                });
            }
            self.states.insert(namespec.clone(), now);
        }
    }

    fn say(&self, at: i64, event: &Event<'_>, text: impl FnOnce(&Layout) -> String) {
        let line = match self.form {
            Form::Text => text(&self.layout.at(clock::wall_seconds().max(at))),
            Form::Json => lines::json(event),
        };
        let mut output = io::stdout().lock();
        let said = output.write_all(line.as_bytes()).and_then(|()| output.flush());
        self.is_unheard.set(self.is_unheard.get() || said.is_err());
    }
}

/// Takes server-sent events apart.
#[derive(Debug, Default)]
struct Parser {
    rest: Vec<u8>,
    /// How much of it has been looked at.
    seen: usize,
}

impl Parser {
    /// The events that are whole with this piece: their names and data.
    fn take(&mut self, piece: &[u8]) -> Vec<(String, String)> {
        self.rest.extend_from_slice(piece);
        let mut events = Vec::new();
        let mut begin = 0;
        // The end of an event may lie across two pieces.
        let mut at = self.seen.saturating_sub(1);
        while let Some(length) = self.rest[at..].windows(2).position(|two| two == b"\n\n") {
            let event = String::from_utf8_lossy(&self.rest[begin..at + length]);
            let field = |name: &str| {
                let mut lines = event.lines();
                lines.find_map(|line| line.strip_prefix(name)).map(str::to_owned)
            };
            if let (Some(name), Some(data)) = (field("event: "), field("data: ")) {
                events.push((name, data));
            }
            begin = at + length + 2;
            at = begin;
        }
        self.rest.drain(..begin);
        self.seen = self.rest.len();
        events
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_found_wherever_they_are_cut() {
        let stream = "id: 1-2\nevent: snapshot\ndata: {\"a\":1}\n\n: still here\n\n\
                      event: decision\ndata: {}\n\n";
        for cut in 0..stream.len() {
            let mut parser = Parser::default();
            let (one, other) = stream.as_bytes().split_at(cut);

            let events = [parser.take(one), parser.take(other)].concat();

            let names: Vec<(&str, &str)> =
                events.iter().map(|(name, data)| (&**name, &**data)).collect();
            assert_eq!(names, [("snapshot", "{\"a\":1}"), ("decision", "{}")], "cut at {cut}");
        }
    }

    #[test]
    fn what_is_known_is_not_told_again() {
        let mut teller = Teller::new(Form::Json);
        let process = |state: &str| Process {
            namespec: "web".to_owned(),
            group: "web".to_owned(),
            state: state.to_owned(),
            pid: Some(7),
        };
        let change = |state: &str, process: Option<Process>| Change {
            now: 1,
            state: state.to_owned(),
            removed: Vec::new(),
            processes: process.into_iter().collect(),
        };

        teller.table(&change("RUNNING", Some(process("RUNNING"))));
        assert!(teller.has_begun && !teller.is_ending);
        assert_eq!(teller.states["web"].state, "RUNNING");

        teller.change(&change(ENDING, Some(process("STOPPING"))));
        assert_eq!((teller.is_ending, &*teller.states["web"].state), (true, "STOPPING"));

        teller.table(&change("RUNNING", None));
        assert!(teller.states.is_empty() && !teller.is_ending);
    }
}
