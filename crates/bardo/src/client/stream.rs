//! Following a log of the server.

use std::io;

use http_body_util::{BodyExt as _, Full};
use hyper::StatusCode;
use hyper::body::Bytes;
use hyper::header::{ACCEPT, AUTHORIZATION, HOST, USER_AGENT};
use tokio::signal::unix::{SignalKind, signal};
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

/// How following a log ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    /// By the server: it had no more to send, or the connection broke.
    Server,
    /// By the user, with Ctrl-C.
    User,
    /// By the end of standard input.
    Input,
}

impl Client {
    /// Follows the log at a path of the server until it ends or the user presses
    /// Ctrl-C.
    ///
    /// # Errors
    /// When there is nothing to follow.
    pub(crate) fn follow(
        &self,
        path: &str,
        mut take: impl FnMut(&[u8]),
    ) -> Result<Ended, StreamError> {
        let (address, request) = self.stream_request(path).map_err(StreamError::Connect)?;
        self.runtime.block_on(async {
            let mut interrupts = signal(SignalKind::interrupt()).map_err(no_connection)?;
            let read = read(&address, request, &mut take);
            first(read, async {
                interrupts.recv().await;
                Ok(Ended::User)
            })
            .await
        })
    }

    /// Follows two logs at once, and hands every line of `lines` to `answer` in
    /// between, until that says that it is enough, there are no more lines, or the
    /// user presses Ctrl-C. Logs that cannot be followed are passed over.
    ///
    /// # Errors
    /// When there is no signal handling to be had.
    pub(crate) fn converse(
        &mut self,
        paths: [&str; 2],
        mut lines: mpsc::Receiver<String>,
        mut take: impl FnMut(&[u8]),
        mut answer: impl FnMut(&mut Self, &str) -> bool,
    ) -> Result<Ended, StreamError> {
        let (pieces, mut streams) = mpsc::channel::<Bytes>(1);
        for path in paths {
            let (address, request) = self.stream_request(path).map_err(StreamError::Connect)?;
            let pieces = pieces.clone();
            self.runtime.spawn(async move {
                let _ = pass_on(&address, request, pieces).await;
            });
        }
        let interrupted = self.runtime.block_on(async { signal(SignalKind::interrupt()) });
        let mut interrupts = interrupted.map_err(no_connection)?;
        loop {
            let event = self.runtime.block_on(std::future::poll_fn(|context| {
                use std::task::Poll;
                if interrupts.poll_recv(context).is_ready() {
                    return Poll::Ready(Event::Interrupt);
                }
                if let Poll::Ready(Some(piece)) = streams.poll_recv(context) {
                    return Poll::Ready(Event::Piece(piece));
                }
                lines.poll_recv(context).map(Event::Line)
            }));
            match event {
                Event::Interrupt => return Ok(Ended::User),
                Event::Piece(piece) => take(&piece),
                Event::Line(None) => return Ok(Ended::Input),
                Event::Line(Some(line)) => {
                    if !answer(self, &line) {
                        return Ok(Ended::Server);
                    }
                }
            }
        }
    }

    fn stream_request(
        &self,
        path: &str,
    ) -> Result<(Address, hyper::Request<Full<Bytes>>), CallError> {
        let address = Address::parse(&self.url)
            .ok_or_else(|| CallError::UnknownProtocol(self.url.clone()))?;
        let builder = hyper::Request::get(encoded(path))
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

enum Event {
    Interrupt,
    Piece(Bytes),
    Line(Option<String>),
}

async fn read(
    address: &Address,
    request: hyper::Request<Full<Bytes>>,
    take: &mut impl FnMut(&[u8]),
) -> Result<Ended, StreamError> {
    let mut body = begin(address, request).await?;
    while let Some(Ok(frame)) = body.frame().await {
        if let Some(piece) = frame.data_ref() {
            take(piece);
        }
    }
    Ok(Ended::Server)
}

async fn pass_on(
    address: &Address,
    request: hyper::Request<Full<Bytes>>,
    pieces: mpsc::Sender<Bytes>,
) -> Result<(), StreamError> {
    let mut body = begin(address, request).await?;
    while let Some(Ok(frame)) = body.frame().await {
        if let Ok(piece) = frame.into_data()
            && pieces.send(piece).await.is_err()
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

/// Whichever is ready first; the other one is dropped.
async fn first<T>(one: impl Future<Output = T>, other: impl Future<Output = T>) -> T {
    let (mut one, mut other) = (std::pin::pin!(one), std::pin::pin!(other));
    std::future::poll_fn(|context| match one.as_mut().poll(context) {
        std::task::Poll::Pending => other.as_mut().poll(context),
        ready => ready,
    })
    .await
}

/// A path as it may stand in a request: what may not is written with `%`.
fn encoded(path: &str) -> String {
    let mut encoded = String::with_capacity(path.len());
    for byte in path.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b':' | b'-' | b'_' | b'.' | b'*' => {
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
