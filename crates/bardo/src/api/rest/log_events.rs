//! A log that is followed, as server-sent events.
//!
//! `begin` comes first and tells where in the file the text begins; a page that is
//! connected anew begins anew with it. Then each `text` is what was added. `truncated` and
//! `replaced` say that the file became shorter, or that another one took its name. Logs
//! of several processes come as one stream, and each event says whose it is: a browser
//! has only six connections for a server.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Bytes;
use tokio::sync::{Semaphore, mpsc};

use super::call::{Call, Said};
use super::events::KEEP_ALIVE;
use super::logs::{main_path, path_of, what};
use super::problem::Problem;
use crate::api::Context;
use crate::api::logtail::{LOOK_EVERY, PIECES_AHEAD};
use crate::api::tail_file::{Piece, TailFile};
use crate::daemon::clients::Selection;
use crate::names;

/// How much of what is there already is shown where nobody asks for more.
const HEAD_BYTES: u64 = 16 << 10;

/// Most of it that is shown: more no page shows with pleasure.
const HEAD_BYTES_MAX: u64 = 1 << 20;

/// Most logs that are followed together: each is a descriptor, and a look every 0.1 s.
const TOGETHER_MAX: usize = 64;

/// Most logs that all clients together follow in this way, so that programs have descriptors
/// to start with.
const ALL_TOGETHER_MAX: usize = 256;

/// The logs that may still be followed.
static FREE: Semaphore = Semaphore::const_new(ALL_TOGETHER_MAX);

/// After so much of one look the rest is seen in the next one.
const LOOK_BYTES_MAX: usize = 256 << 10;

type Result = std::result::Result<Said, Problem>;

pub(super) async fn of_process(call: Call) -> Result {
    let path = path_of(&call).await?;
    follow(call, vec![(None, path)]).await
}

pub(super) async fn of_supervisor(call: Call) -> Result {
    let path = main_path(&call)?;
    follow(call, vec![(None, path)]).await
}

/// Follows the logs of a group together.
pub(super) async fn of_group(call: Call) -> Result {
    let selection = Selection::Group(call.name().into());
    of_many(call, selection).await
}

/// Follows the logs of all processes together.
pub(super) async fn of_all(call: Call) -> Result {
    of_many(call, Selection::All).await
}

async fn of_many(call: Call, selection: Selection) -> Result {
    let name = if selection == Selection::All { "" } else { call.name() };
    let views = call.context.processes(selection, name).await?;
    let is_stderr = match call.last() {
        "stdout" => false,
        "stderr" => true,
        channel => return Err(Problem::no_log(channel)),
    };
    let logs = views.iter().filter_map(|view| {
        let log = if is_stderr { &view.stderr_log } else { &view.stdout_log };
        let path = PathBuf::from(&**log.as_ref()?);
        Some((Some(names::namespec(&view.group.name, &view.spec.name)), path))
    });
    let logs: Vec<_> = logs.collect();
    if logs.len() > TOGETHER_MAX {
        return Err(Problem::too_many_logs(logs.len(), TOGETHER_MAX));
    }
    follow(call, logs).await
}

/// Follows files; those that are not there are left out.
async fn follow(call: Call, logs: Vec<(Option<String>, PathBuf)>) -> Result {
    let asked = call.bytes("tail")?.and_then(|bytes| u64::try_from(bytes).ok());
    let head = asked.unwrap_or(HEAD_BYTES).min(HEAD_BYTES_MAX);
    let share = u64::try_from(logs.len()).unwrap_or(1).max(1);
    let permit = call.place.follow().ok_or_else(Problem::too_many_followers)?;
    let count = u32::try_from(logs.len()).unwrap_or(u32::MAX);
    let logs_permit = FREE.try_acquire_many(count).map_err(|_| Problem::too_many_followers())?;
    let opened = tokio::task::spawn_blocking(move || {
        let open = |(whose, path): (_, PathBuf)| {
            let tail = TailFile::open_at(&path, head / share).ok()?;
            Some(Followed { whose, tail, is_lost: false })
        };
        logs.into_iter().filter_map(open).collect::<Vec<_>>()
    });
    let tails = opened.await.unwrap_or_default();
    if tails.is_empty() {
        return Err(Problem::no_log(&what(&call)));
    }
    let (sender, pieces) = mpsc::channel(PIECES_AHEAD);
    let begin: String = tails.iter().map(Followed::begin).collect();
    let context = Arc::clone(&call.context);
    tokio::spawn(async move {
        if sender.send(begin.into()).await.is_ok() {
            send(context, tails, sender).await;
        }
        drop((permit, logs_permit));
    });
    Ok(Said::Stream(pieces))
}

/// Sends what is added to files until the client goes away or the API ends.
async fn send(context: Arc<Context>, mut tails: Vec<Followed>, sender: mpsc::Sender<Bytes>) {
    let mut silent = Duration::ZERO;
    loop {
        let last = context.is_ending();
        let looked = tokio::task::spawn_blocking(move || {
            let mut text = String::new();
            let mut seen = 0;
            while seen < tails.len() && text.len() < LOOK_BYTES_MAX {
                tails[seen].look(&mut text);
                seen += 1;
            }
            // The next look begins where this one has ended.
            let count = tails.len().max(1);
            tails.rotate_left(seen % count);
            (tails, text)
        });
        let Ok((back, mut text)) = looked.await else { return };
        tails = back;
        if text.is_empty() && last {
            return;
        }
        if text.is_empty() && silent < KEEP_ALIVE {
            silent += LOOK_EVERY;
            if tokio::time::timeout(LOOK_EVERY, sender.closed()).await.is_ok() {
                return;
            }
            continue;
        }
        if text.is_empty() {
            ": still here\n\n".clone_into(&mut text);
        }
        silent = Duration::ZERO;
        let share = context.room.share();
        if share.at_least(text.len()).await.is_err() {
            // It comes back, and there may be room then.
            return;
        }
        if sender.send(share.around(text)).await.is_err() {
            return;
        }
    }
}

/// A log that is followed.
struct Followed {
    /// Whose it is, where several are followed together.
    whose: Option<String>,
    tail: TailFile,
    /// Whether it cannot be read any more.
    is_lost: bool,
}

impl Followed {
    fn begin(&self) -> String {
        let begin = serde_json::json!({ "from": self.tail.position(), "process": self.whose });
        format!("event: begin\ndata: {begin}\n\n")
    }

    /// Adds the event for what has happened since the last look, if anything has.
    ///
    /// It may block.
    fn look(&mut self, events: &mut String) {
        if self.is_lost {
            return;
        }
        let (name, text) = match self.tail.next() {
            Ok(Piece::Nothing) => return,
            Ok(Piece::Text(bytes)) => ("text", String::from_utf8_lossy(&bytes).into_owned()),
            Ok(Piece::Truncated) => ("truncated", String::new()),
            Ok(Piece::Replaced) => ("replaced", String::new()),
            Err(error) => {
                self.is_lost = true;
                ("lost", error.to_string())
            }
        };
        events.push_str(&event(name, self.whose.as_deref(), &text));
    }
}

fn event(name: &str, whose: Option<&str>, text: &str) -> String {
    let data = serde_json::json!({ "process": whose, "text": text });
    format!("event: {name}\ndata: {data}\n\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_stays_within_its_line() {
        assert_eq!(
            event("text", None, "a\r\n\ndata: \"b\u{fffd}\x1b[1m"),
            "event: text\ndata: {\"process\":null,\
             \"text\":\"a\\r\\n\\ndata: \\\"b\u{fffd}\\u001b[1m\"}\n\n"
        );
    }
}
