//! Following a log of the server.

use std::io;
use std::task::Poll;
use std::time::Duration;

use http_body_util::{BodyExt as _, Full};
use hyper::StatusCode;
use hyper::body::Bytes;
use hyper::header::{ACCEPT, AUTHORIZATION, HOST, USER_AGENT};
use tokio::sync::mpsc;

use super::{Address, CallError, Client, basic, connect};

/// Why a log cannot be followed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StreamError {
    /// The server answers with another status than 200.
    #[error("Cannot read, status code {0}")]
    Status(u16),
    /// There is no connection.
    #[error("Cannot connect, error: {0}")]
    Connect(#[source] CallError),
}

/// What is read piece by piece.
#[derive(Debug)]
pub(crate) struct Pieces(hyper::body::Incoming);

/// How following a log ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    /// By the server: it had no more to send, or the connection broke.
    Server,
    /// By the user, with Ctrl-C.
    User,
    /// By the end of standard input.
    Input,
    /// By whoever was told, because that was enough.
    Enough,
}

/// Whether more is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Then {
    /// It is.
    Go,
    /// It is not.
    Stop,
}

/// What is heard in a conversation with a process.
#[derive(Debug)]
pub(crate) enum Heard {
    /// A piece of a log.
    Piece(Bytes),
    /// A line that was typed.
    Line(String),
    /// That the log at this path cannot be followed, and why.
    Failure(String, StreamError),
}

impl Client {
    /// Follows the log at a path of the server until it ends, the one who takes the
    /// pieces has enough, or the user presses Ctrl-C.
    ///
    /// # Errors
    /// When there is nothing to follow.
    pub(crate) fn follow(
        &mut self,
        path: &str,
        mut take: impl FnMut(&[u8]) -> Then,
    ) -> Result<Ended, StreamError> {
        let (address, request) = self.stream_request(path).map_err(StreamError::Connect)?;
        self.watch_interrupts().map_err(no_connection)?;
        match self.wait_for(read(&address, request, &mut take)) {
            Ok(ended) => ended,
            Err(_) => Ok(Ended::User),
        }
    }

    /// Begins to read what lies at a path of the server and has no end.
    ///
    /// # Errors
    /// When it cannot be read, or the user presses Ctrl-C.
    pub(crate) fn listen(&mut self, path: &str) -> Result<Pieces, StreamError> {
        let (address, request) = self.stream_request(path).map_err(StreamError::Connect)?;
        let begun = self.wait_for(begin(&address, request)).map_err(StreamError::Connect)?;
        Ok(Pieces(begun?))
    }

    /// The next piece; `None` at the end, and where the connection broke.
    ///
    /// # Errors
    /// [`CallError::Interrupted`] for Ctrl-C.
    pub(crate) fn next(&mut self, pieces: &mut Pieces) -> Result<Option<Bytes>, CallError> {
        self.wait_for(async {
            loop {
                match pieces.0.frame().await {
                    Some(Ok(frame)) => {
                        if let Ok(piece) = frame.into_data() {
                            return Some(piece);
                        }
                    }
                    Some(Err(_)) | None => return None,
                }
            }
        })
    }

    /// Waits for so long.
    ///
    /// # Errors
    /// [`CallError::Interrupted`] for Ctrl-C.
    pub(crate) fn pause(&mut self, span: Duration) -> Result<(), CallError> {
        self.wait_for(async move { tokio::time::sleep(span).await })
    }

    /// Follows two logs at once, and hands every piece of them and every line that
    /// `next_line` gives to `hear`, until that has enough, there are no more lines,
    /// or the user presses Ctrl-C. It goes on when a log cannot be followed. What
    /// `next_line` gives may be dropped at any moment, and must lose nothing then.
    ///
    /// # Errors
    /// When there is no server or no signal handling to be had.
    pub(crate) fn converse(
        &mut self,
        paths: [&str; 2],
        mut next_line: impl AsyncFnMut() -> Option<String>,
        mut hear: impl FnMut(&mut Self, Heard) -> Then,
    ) -> Result<Ended, StreamError> {
        self.watch_interrupts().map_err(no_connection)?;
        let (pieces, mut streams) = mpsc::channel::<Heard>(1);
        for path in paths {
            let (address, request) = self.stream_request(path).map_err(StreamError::Connect)?;
            let pieces = pieces.clone();
            let path = path.to_owned();
            self.runtime.spawn(async move {
                if let Err(error) = pass_on(&address, request, &pieces).await {
                    let _ = pieces.send(Heard::Failure(path, error)).await;
                }
            });
        }
        drop(pieces);
        let mut failures = 0;
        loop {
            let heard = self.wait_for(async {
                let mut line = std::pin::pin!(next_line());
                std::future::poll_fn(|context| {
                    if let Poll::Ready(line) = line.as_mut().poll(context) {
                        return Poll::Ready(line.map(Heard::Line).ok_or(Ended::Input));
                    }
                    match streams.poll_recv(context) {
                        Poll::Ready(Some(heard)) => Poll::Ready(Ok(heard)),
                        // Without any log there are still lines to be sent.
                        Poll::Ready(None) if failures == paths.len() => Poll::Pending,
                        Poll::Ready(None) => Poll::Ready(Err(Ended::Server)),
                        Poll::Pending => Poll::Pending,
                    }
                })
                .await
            });
            let heard = match heard {
                Ok(Ok(heard)) => heard,
                Ok(Err(ended)) => return Ok(ended),
                Err(_) => return Ok(Ended::User),
            };
            if let Heard::Failure(..) = heard {
                failures += 1;
            }
            if hear(self, heard) == Then::Stop {
                return Ok(Ended::Enough);
            }
        }
    }

    pub(super) fn stream_request(
        &self,
        path: &str,
    ) -> Result<(Address, hyper::Request<Full<Bytes>>), CallError> {
        self.request(&encoded(path))
    }

    /// A request for what lies at a path, which is written as it is sent.
    pub(super) fn request(
        &self,
        path: &str,
    ) -> Result<(Address, hyper::Request<Full<Bytes>>), CallError> {
        let address = Address::parse(&self.url)?;
        let builder = hyper::Request::get(path)
            .header(HOST, address.host())
            .header(USER_AGENT, concat!("bardo/", env!("CARGO_PKG_VERSION")))
            .header(ACCEPT, "*/*");
        let password = self.password.as_deref().filter(|password| !password.is_empty());
        let builder = match password {
            Some(password) => {
                let username = self.username.as_deref().unwrap_or_default();
                builder.header(AUTHORIZATION, basic(username, password))
            }
            None => builder,
        };
        let request = builder.body(Full::default());
        let request = request.map_err(|error| CallError::Nonsense(error.to_string()))?;
        Ok((address, request))
    }
}

async fn read(
    address: &Address,
    request: hyper::Request<Full<Bytes>>,
    take: &mut impl FnMut(&[u8]) -> Then,
) -> Result<Ended, StreamError> {
    let mut body = begin(address, request).await?;
    while let Some(Ok(frame)) = body.frame().await {
        if let Some(piece) = frame.data_ref()
            && take(piece) == Then::Stop
        {
            return Ok(Ended::Enough);
        }
    }
    Ok(Ended::Server)
}

async fn pass_on(
    address: &Address,
    request: hyper::Request<Full<Bytes>>,
    pieces: &mpsc::Sender<Heard>,
) -> Result<(), StreamError> {
    let mut body = begin(address, request).await?;
    while let Some(Ok(frame)) = body.frame().await {
        if let Ok(piece) = frame.into_data()
            && pieces.send(Heard::Piece(piece)).await.is_err()
        {
            break;
        }
    }
    Ok(())
}

/// Asks for a stream over a connection of its own, which lives as long as the body.
async fn begin(
    address: &Address,
    request: hyper::Request<Full<Bytes>>,
) -> Result<hyper::body::Incoming, StreamError> {
    let mut sender = connect(address).await.map_err(StreamError::Connect)?;
    let response = sender.send_request(request).await;
    let response = response.map_err(|error| StreamError::Connect(CallError::broken(error)))?;
    match response.status() {
        StatusCode::OK => Ok(response.into_body()),
        status => Err(StreamError::Status(status.as_u16())),
    }
}

fn no_connection(error: io::Error) -> StreamError {
    StreamError::Connect(CallError::Connection(error.into()))
}

/// A path as it may stand in a request: what may not is written with `%`.
fn encoded(path: &str) -> String {
    path.split('/').map(encoded_name).collect::<Vec<_>>().join("/")
}

/// A name as it may stand between two slashes of a path.
pub(crate) fn encoded_name(name: &str) -> String {
    let mut encoded = String::with_capacity(name.len());
    for byte in name.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b':' | b'-' | b'_' | b'.' | b'*' => {
                encoded.push(char::from(byte));
            }
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_written_so_that_it_can_be_sent() {
        assert_eq!(encoded("/logtail/g:p_1-x.y/stdout"), "/logtail/g:p_1-x.y/stdout");
        assert_eq!(encoded("/logtail/é %"), "/logtail/%C3%A9%20%25");
    }
}
