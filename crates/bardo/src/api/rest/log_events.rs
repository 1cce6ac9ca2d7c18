//! A log that is followed, as server-sent events.
//!
//! `begin` comes first and tells where in the file the text begins; a page that is
//! connected anew begins anew with it. Then each `text` is a JSON string. `truncated` and
//! `replaced` say that the file became shorter, or that another one took its name.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Bytes;
use tokio::sync::mpsc;

use super::call::{Call, Said};
use super::events::KEEP_ALIVE;
use super::logs::{main_path, path_of, what};
use super::problem::Problem;
use crate::api::Context;
use crate::api::logtail::{LOOK_EVERY, PIECES_AHEAD};
use crate::api::tail_file::{Piece, TailFile};

/// How much of what is there already is shown where nobody asks for more.
const HEAD_BYTES: u64 = 16 << 10;

/// Most of it that is shown: more no page shows with pleasure.
const HEAD_BYTES_MAX: u64 = 1 << 20;

type Result = std::result::Result<Said, Problem>;

pub(super) async fn of_process(call: Call) -> Result {
    let path = path_of(&call).await?;
    follow(call, path).await
}

pub(super) async fn of_supervisor(call: Call) -> Result {
    let path = main_path(&call)?;
    follow(call, path).await
}

async fn follow(call: Call, path: PathBuf) -> Result {
    let asked = call.bytes("tail")?.and_then(|bytes| u64::try_from(bytes).ok());
    let head = asked.unwrap_or(HEAD_BYTES).min(HEAD_BYTES_MAX);
    let permit = call.place.follow().ok_or_else(Problem::too_many_followers)?;
    let opened = tokio::task::spawn_blocking(move || TailFile::open_at(&path, head));
    let Ok(Ok(tail)) = opened.await else { return Err(Problem::no_log(&what(&call))) };
    let (sender, pieces) = mpsc::channel(PIECES_AHEAD);
    let context = Arc::clone(&call.context);
    tokio::spawn(async move {
        send(context, tail, sender).await;
        drop(permit);
    });
    Ok(Said::Stream(pieces))
}

async fn send(context: Arc<Context>, mut tail: TailFile, sender: mpsc::Sender<Bytes>) {
    let begin = format!("event: begin\ndata: {{\"from\":{}}}\n\n", tail.position());
    if sender.send(begin.into()).await.is_err() {
        return;
    }
    let mut silent = Duration::ZERO;
    loop {
        let last = context.is_ending();
        let looked = tokio::task::spawn_blocking(move || {
            let piece = tail.next();
            (tail, piece)
        });
        let Ok((back, Ok(piece))) = looked.await else { return };
        tail = back;
        let event = match piece {
            Piece::Text(bytes) => text(&bytes),
            Piece::Truncated => "event: truncated\ndata: {}\n\n".to_owned(),
            Piece::Replaced => "event: replaced\ndata: {}\n\n".to_owned(),
            Piece::Nothing if last => return,
            Piece::Nothing if silent >= KEEP_ALIVE => ": still here\n\n".to_owned(),
            Piece::Nothing => {
                silent += LOOK_EVERY;
                if tokio::time::timeout(LOOK_EVERY, sender.closed()).await.is_ok() {
                    return;
                }
                continue;
            }
        };
        silent = Duration::ZERO;
        if sender.send(event.into()).await.is_err() {
            return;
        }
    }
}

/// What was written; bytes that are no text are replaced.
fn text(bytes: &[u8]) -> String {
    let text = serde_json::Value::from(String::from_utf8_lossy(bytes));
    format!("event: text\ndata: {text}\n\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_stays_within_its_line() {
        assert_eq!(
            text(b"a\r\n\ndata: \"b\xff\x1b[1m"),
            "event: text\ndata: \"a\\r\\n\\ndata: \\\"b\u{fffd}\\u001b[1m\"\n\n"
        );
    }
}
