//! The table as those see it who watch it: one asker for all of them.
//!
//! While somebody watches, a task asks the control thread what has changed and keeps the
//! latest state of every process, written out once. Each watcher takes from there what it
//! has not sent yet, so one that reads slowly misses states in between and costs nothing.
//! When the last watcher has gone the task ends and the table is forgotten.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bardo_core::Mood;
use bardo_sys::clock;
use tokio::sync::watch;
use tokio::task::AbortHandle;

use super::processes::described;
use super::services;
use super::shapes::{self, Process};
use super::told::Told;
use super::troubles;
use crate::api::faults::Code;
use crate::api::{Context, info};
use crate::daemon::changes::Changed;
use crate::daemon::clients::{Question, Reply};
use crate::daemon::decisions;
use crate::daemon::troubles::Account;

/// How long changes gather after some were told: what happens all at once is told at
/// once, and an endless storm costs the control thread twenty questions a second.
const GATHER: Duration = Duration::from_millis(50);

/// How long the next question waits when the control thread had no room for one.
const ASK_AGAIN: Duration = Duration::from_secs(1);

/// Most removed groups that are remembered for watchers who lag behind. One who has
/// missed more is told the whole table.
const GONE_MAX: usize = 256;

/// How many have changed, and in which life of the table. It leads a watcher on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::api) struct Position {
    epoch: u64,
    version: u64,
}

/// What all watchers share.
#[derive(Debug)]
pub(in crate::api) struct Feed {
    state: Mutex<State>,
    /// Counts the answers; it is what watchers wait for.
    told: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct State {
    watchers: usize,
    asker: Option<AbortHandle>,
    table: Option<Table>,
    decisions: Told,
    /// Whether the control thread answers no more.
    over: bool,
}

#[derive(Debug)]
struct Table {
    position: Position,
    mood: Mood,
    processes: BTreeMap<(String, String), Entry>,
    gone: VecDeque<(u64, Arc<str>)>,
    /// The oldest version after which nothing was forgotten.
    complete_from: u64,
    /// What is wrong, and since which version.
    troubles: (u64, Account),
}

#[derive(Debug)]
struct Entry {
    version: u64,
    json: String,
}

/// What a watcher has to be told.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum News {
    /// Nothing is new.
    None,
    /// An event that is all there.
    Event(String),
    /// Nothing will be new any more.
    Over,
}

/// A watcher, until it is dropped.
pub(super) struct Watcher {
    context: Arc<Context>,
    told: watch::Receiver<u64>,
    position: Option<Position>,
    /// How many decisions it has been told, of all that somebody was told.
    heard: u64,
}

impl Feed {
    pub(in crate::api) fn new() -> Self {
        Self { state: Mutex::default(), told: watch::Sender::new(0) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Watcher {
    /// A watcher that knows the table as it was at a position, or not at all.
    pub(super) fn new(context: &Arc<Context>, position: Option<Position>) -> Self {
        let told = context.feed.told.subscribe();
        let mut state = context.feed.state();
        state.watchers += 1;
        if state.asker.is_none() {
            context.clients.watch().begin();
            state.over = false;
            state.asker = Some(tokio::spawn(ask(Arc::clone(context))).abort_handle());
        }
        let heard = state.decisions.count();
        drop(state);
        Self { context: Arc::clone(context), told, position, heard }
    }

    /// Waits until something may be new.
    pub(super) async fn changed(&mut self) {
        if self.told.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// What has to be told, as an event.
    pub(super) fn news(&mut self) -> News {
        let state = self.context.feed.state();
        let Some(table) = &state.table else {
            return if state.over { News::Over } else { News::None };
        };
        let decisions = state.decisions.since(self.heard);
        self.heard = state.decisions.count();
        if self.position == Some(table.position) {
            return match decisions.is_empty() {
                false => News::Event(decisions),
                true if state.over => News::Over,
                true => News::None,
            };
        }
        let known = self.position.filter(|known| {
            known.epoch == table.position.epoch && known.version >= table.complete_from
        });
        self.position = Some(table.position);
        let event = table.event(known.map(|known| known.version), &self.context);
        // What has changed follows from what was decided; the table as it was comes first.
        News::Event(if known.is_some() { decisions + &event } else { event + &decisions })
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        let mut state = self.context.feed.state();
        state.watchers -= 1;
        if state.watchers == 0 {
            self.context.clients.watch().end();
            if let Some(asker) = state.asker.take() {
                asker.abort();
            }
            state.table = None;
            state.decisions.forget();
        }
    }
}

/// Asks for changes for as long as somebody watches.
async fn ask(context: Arc<Context>) {
    let mut whole = true;
    loop {
        match context.ask(Question::Changed { whole }).await {
            Ok(Reply::Changed(changed)) => {
                whole = take(&context, changed).await.is_none();
                tokio::time::sleep(GATHER).await;
            }
            Err(fault) if fault.code == Code::ShutdownState => {
                context.feed.state().over = true;
                context.feed.told.send_modify(|count| *count += 1);
                return;
            }
            Ok(_) | Err(_) => {
                whole = true;
                tokio::time::sleep(ASK_AGAIN).await;
                continue;
            }
        }
        if !whole {
            context.clients.watch().changed().await;
        }
    }
}

/// Takes an answer in and tells it to all; `None` when it could not be written out.
async fn take(context: &Arc<Context>, changed: Changed) -> Option<()> {
    let keys: Vec<_> = changed
        .processes
        .iter()
        .map(|view| (view.group.name.to_string(), view.spec.name.to_string()))
        .collect();
    let decisions: Vec<_> = changed.decisions.iter().map(decision).collect();
    let is_told = changed.missed || !decisions.is_empty();
    context.feed.state().decisions.take(changed.missed, decisions.into_iter());
    let processes = described(context, changed.processes).await.ok()?;
    let mut state = context.feed.state();
    let table = state.table.get_or_insert_with(|| Table::new(epoch()));
    let written = keys.into_iter().zip(processes.iter().map(written));
    let mood_changed = std::mem::replace(&mut table.mood, changed.mood) != changed.mood;
    let is_new = table.take(changed.whole, changed.removed, written);
    let has_troubles = changed.troubles.is_some_and(|troubles| table.take_troubles(troubles));
    if is_new || mood_changed || has_troubles {
        table.position.version += 1;
    }
    drop(state);
    if is_new || mood_changed || has_troubles || is_told {
        context.feed.told.send_modify(|count| *count += 1);
    }
    Some(())
}

fn decision(told: &decisions::Told) -> String {
    serde_json::to_string(&services::told(told)).unwrap_or_default()
}

fn written(process: &Process) -> String {
    serde_json::to_string(process).unwrap_or_default()
}

/// A number that no other table of this machine has had.
fn epoch() -> u64 {
    u64::try_from(clock::wall_nanoseconds() / 1000).unwrap_or(0)
}

impl Table {
    fn new(epoch: u64) -> Self {
        Self {
            position: Position { epoch, version: 0 },
            mood: Mood::Running,
            processes: BTreeMap::new(),
            gone: VecDeque::new(),
            complete_from: 0,
            troubles: (0, Account::default()),
        }
    }

    /// Takes in what has changed, for the next version; false when watchers can tell no
    /// difference. Groups that are gone come before processes: one that is there again was
    /// removed first.
    fn take(
        &mut self,
        whole: bool,
        removed: Vec<Arc<str>>,
        processes: impl Iterator<Item = ((String, String), String)>,
    ) -> bool {
        let version = self.position.version + 1;
        let mut is_new = whole || !removed.is_empty();
        if whole {
            self.processes.clear();
            self.gone.clear();
            self.complete_from = version;
        }
        for group in removed {
            self.processes.retain(|(known, _), _| **known != *group);
            self.gone.push_back((version, group));
        }
        while self.gone.len() > GONE_MAX {
            let forgotten = self.gone.pop_front();
            self.complete_from = forgotten.map_or(self.complete_from, |(version, _)| version);
        }
        for (key, json) in processes {
            if self.processes.get(&key).is_none_or(|known| known.json != json) {
                self.processes.insert(key, Entry { version, json });
                is_new = true;
            }
        }
        is_new
    }

    /// Takes in what is wrong, for the next version; false when that is nothing new.
    fn take_troubles(&mut self, troubles: Account) -> bool {
        let is_new = self.troubles.1 != troubles;
        if is_new {
            self.troubles = (self.position.version + 1, troubles);
        }
        is_new
    }

    /// What is new since a version; without one, everything.
    fn event(&self, since: Option<u64>, context: &Context) -> String {
        let shown = context.shown();
        let text = |text: &str| serde_json::Value::from(text).to_string();
        let after = since.unwrap_or(0);
        let gone: Vec<String> =
            self.gone.iter().filter(|(at, _)| *at > after).map(|(_, name)| text(name)).collect();
        let processes: Vec<&str> = self
            .processes
            .values()
            .filter(|entry| since.is_none() || entry.version > after)
            .map(|entry| &*entry.json)
            .collect();
        let (changed_at, troubles) = &self.troubles;
        let tells_troubles = match since {
            Some(since) => *changed_at > since,
            None => !troubles.listed.is_empty(),
        };
        // The number comes with the last of both: whoever has it has both.
        let id = format!("id: {}\n", self.position.name());
        let (first, last) = if tells_troubles { ("", &*id) } else { (&*id, "") };
        let mut event = format!(
            "{first}event: {}\ndata: {{\"now\":{},\"identifier\":{},\"state\":\"{}\",\
             \"removed\":[{}],\"processes\":[{}]}}\n\n",
            if since.is_some() { "change" } else { "snapshot" },
            info::now(),
            text(&shown.identifier),
            shapes::mood(self.mood),
            if since.is_some() { gone.join(",") } else { String::new() },
            processes.join(","),
        );
        if tells_troubles {
            let data = troubles::written(troubles);
            event += &format!("{last}event: trouble\ndata: {data}\n\n");
        }
        event
    }
}

impl Position {
    fn name(self) -> String {
        format!("{:x}-{:x}", self.epoch, self.version)
    }

    /// Reads what [`Position::name`] has written.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (epoch, version) = text.trim().split_once('-')?;
        let number = |digits| u64::from_str_radix(digits, 16).ok();
        Some(Self { epoch: number(epoch)?, version: number(version)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn processes(names: &[&str]) -> std::vec::IntoIter<((String, String), String)> {
        let entry = |name: &&str| {
            let (group, process) = name.split_once(':').unwrap();
            ((group.to_owned(), process.to_owned()), format!("\"{name}\""))
        };
        names.iter().map(entry).collect::<Vec<_>>().into_iter()
    }

    fn names(table: &Table) -> Vec<&str> {
        table.processes.values().map(|entry| &*entry.json).collect()
    }

    #[test]
    fn a_group_that_is_there_again_was_removed_first() {
        let mut table = Table::new(1);
        table.take(true, Vec::new(), processes(&["a:x", "a:y", "b:z"]));

        assert!(table.take(false, vec!["a".into()], processes(&["a:w"])));

        assert_eq!(names(&table), ["\"a:w\"", "\"b:z\""]);
        assert_eq!(table.complete_from, 1);
    }

    #[test]
    fn what_is_as_it_was_is_not_news() {
        let mut table = Table::new(1);

        assert!(table.take(true, Vec::new(), processes(&["a:x"])));
        assert!(!table.take(false, Vec::new(), processes(&["a:x"])));
    }

    #[test]
    fn who_has_missed_more_than_is_remembered_is_told_everything() {
        let mut table = Table::new(1);
        table.take(true, Vec::new(), processes(&["a:x"]));

        for number in 0..=GONE_MAX {
            table.take(false, vec![format!("g{number}").into()], processes(&[]));
            table.position.version += 1;
        }

        assert_eq!(table.gone.len(), GONE_MAX);
        assert_eq!(table.complete_from, 1);
    }

    #[test]
    fn a_position_is_read_as_it_was_written() {
        let position = Position { epoch: 0xabc_def0, version: 17 };

        assert_eq!(Position::parse(&position.name()), Some(position));
        assert_eq!(Position::parse("abc"), None);
        assert_eq!(Position::parse("-"), None);
    }
}
