//! The control tool's side of the API: XML-RPC and log streams over one server's
//! socket file or port.
//!
//! Calls block: the tools that use them do one thing after the other. One
//! connection serves all calls, and is made anew when the server has closed it.

mod address;
mod documents;
mod search;
mod stream;

use std::io;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use bardo_wire::xmlrpc::{RESPONSE_BYTES_MAX, Request, Response, Value};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::StatusCode;
use hyper::body::Bytes;
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HOST, USER_AGENT};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpStream, UnixStream};
use tokio::runtime::Runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};

pub use address::Address;
pub use documents::Document;
pub use search::{SearchError, find};
pub use stream::StreamError;
pub(crate) use stream::{Ended, Heard, Then, encoded_name};

/// How long a server on another machine may take to accept a connection.
const CONNECT_WAIT: Duration = Duration::from_secs(30);

const PATH: &str = "/RPC2";

/// Why a call has no result.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CallError {
    /// The server refuses it.
    #[error("<Fault {code}: {}>", crate::words::quoted(.text))]
    Fault {
        /// The number of the fault.
        code: i32,
        /// Its text.
        text: String,
    },
    /// The server answers with another HTTP status than 200.
    #[error("<ProtocolError for 127.0.0.1{PATH}: {status} {reason}>")]
    Status {
        /// The status.
        status: u16,
        /// Its words.
        reason: &'static str,
    },
    /// There is no connection, or it broke.
    #[error("cannot talk to the server")]
    Connection(#[source] Arc<io::Error>),
    /// The answer makes no sense.
    #[error("the server's answer makes no sense: {0}")]
    Nonsense(String),
    /// Nobody knows how to talk to a server of that address.
    #[error("Unknown protocol for serverurl {0}")]
    UnknownProtocol(String),
    /// The address has a port that is none.
    #[error("Port could not be cast to integer value as {}", crate::words::quoted(.0))]
    BadPort(String),
    /// Nobody knows the machine of that name.
    #[error("Name or service not known: {0}")]
    UnknownHost(String),
    /// The user has pressed Ctrl-C.
    #[error("interrupted")]
    Interrupted,
}

impl CallError {
    /// The errno of a connection that could not be made.
    #[must_use]
    pub fn errno(&self) -> Option<i32> {
        match self {
            Self::Connection(error) => error.raw_os_error(),
            _ => None,
        }
    }

    /// The number of a fault.
    #[must_use]
    pub fn fault(&self) -> Option<i32> {
        match self {
            Self::Fault { code, .. } => Some(*code),
            _ => None,
        }
    }

    /// What broke a connection. A server that closes it without a word is told apart
    /// from what the system has a number for.
    fn broken(error: hyper::Error) -> Self {
        if error.is_incomplete_message() {
            return Self::Connection(Arc::new(io::ErrorKind::UnexpectedEof.into()));
        }
        let source = std::error::Error::source(&error);
        let number = source
            .and_then(|source| source.downcast_ref::<io::Error>())
            .and_then(io::Error::raw_os_error);
        Self::Connection(Arc::new(match number {
            Some(number) => io::Error::from_raw_os_error(number),
            None => io::Error::other(error),
        }))
    }
}

/// Talks to one server.
#[derive(Debug)]
pub struct Client {
    runtime: Runtime,
    url: String,
    username: Option<String>,
    password: Option<String>,
    connection: Option<SendRequest<Full<Bytes>>>,
    /// Ctrl-C, once it is no longer the end of the process.
    interrupts: Option<Signal>,
}

impl Client {
    /// A client of the server at a URL; nothing is sent yet.
    ///
    /// # Errors
    /// When there is no epoll to be had.
    pub fn new(url: &str, username: Option<String>, password: Option<String>) -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let url = url.to_owned();
        Ok(Self { runtime, url, username, password, connection: None, interrupts: None })
    }

    /// Another client of the same server and for the same user.
    ///
    /// # Errors
    /// When there is no epoll to be had.
    pub(crate) fn twin(&self) -> io::Result<Self> {
        Self::new(&self.url, self.username.clone(), self.password.clone())
    }

    /// From now on Ctrl-C does not end the process: it ends what the client does.
    ///
    /// # Errors
    /// When the signal cannot be handled.
    pub(crate) fn watch_interrupts(&mut self) -> io::Result<()> {
        if self.interrupts.is_none() {
            let _inside = self.runtime.enter();
            self.interrupts = Some(signal(SignalKind::interrupt())?);
        }
        Ok(())
    }

    /// Waits for some work of the user's side, or for Ctrl-C where that is watched.
    ///
    /// # Errors
    /// [`CallError::Interrupted`] for Ctrl-C.
    pub(crate) fn wait_for<T>(&mut self, work: impl Future<Output = T>) -> Result<T, CallError> {
        let interrupts = &mut self.interrupts;
        self.runtime.block_on(async {
            let mut work = std::pin::pin!(work);
            std::future::poll_fn(|context| {
                let signals = interrupts.as_mut();
                if signals.is_some_and(|signals| signals.poll_recv(context).is_ready()) {
                    return Poll::Ready(Err(CallError::Interrupted));
                }
                work.as_mut().poll(context).map(Ok)
            })
            .await
        })
    }

    /// The server's URL, as it was given.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Talks to another server from now on.
    pub fn open(&mut self, url: &str) {
        url.clone_into(&mut self.url);
        self.connection = None;
    }

    /// Calls as another user from now on.
    pub fn identify(&mut self, username: String, password: String) {
        (self.username, self.password) = (Some(username), Some(password));
        self.connection = None;
    }

    /// Calls a method and waits for its answer, however long that takes.
    ///
    /// # Errors
    /// Everything that is not a result.
    pub fn call(&mut self, method: &str, parameters: Vec<Value>) -> Result<Value, CallError> {
        self.call_within(None, method, parameters)
    }

    /// Calls a method and waits for its answer, for so long at most.
    ///
    /// # Errors
    /// Everything that is not a result.
    pub(crate) fn call_within(
        &mut self,
        wait: Option<Duration>,
        method: &str,
        parameters: Vec<Value>,
    ) -> Result<Value, CallError> {
        let address = Address::parse(&self.url)?;
        let request = Request { method: method.to_owned(), parameters };
        let authorization = match (&self.username, &self.password) {
            (Some(username), Some(password)) => Some(basic(username, password)),
            _ => None,
        };
        let request = http_request(&address, authorization, request.to_xml());
        let bytes = good(self.exchange_within(wait, &address, request)?)?;
        match Response::parse(&bytes) {
            Ok(Response::Result(value)) => Ok(value),
            Ok(Response::Fault(fault)) => {
                Err(CallError::Fault { code: fault.code, text: fault.text })
            }
            Err(error) => Err(CallError::Nonsense(error.to_string())),
        }
    }
}

impl Client {
    /// What lies at a path of the server, if it answers within so long.
    ///
    /// # Errors
    /// Everything that is not status 200.
    pub(crate) fn get_within(&mut self, wait: Duration, path: &str) -> Result<Bytes, CallError> {
        let (address, request) = self.stream_request(path)?;
        good(self.exchange_within(Some(wait), &address, request)?)
    }

    fn exchange_within(
        &mut self,
        wait: Option<Duration>,
        address: &Address,
        request: hyper::Request<Full<Bytes>>,
    ) -> Result<(StatusCode, Bytes), CallError> {
        let sender = self.connection.take();
        let exchange = async {
            let exchange = exchange(sender, address, request);
            let Some(wait) = wait else { return exchange.await };
            match tokio::time::timeout(wait, exchange).await {
                Ok(exchanged) => exchanged,
                Err(_) => Err(CallError::Connection(Arc::new(io::ErrorKind::TimedOut.into()))),
            }
        };
        let (sender, status, bytes) = self.wait_for(exchange)??;
        self.connection = Some(sender);
        Ok((status, bytes))
    }
}

/// What came with status 200.
fn good((status, bytes): (StatusCode, Bytes)) -> Result<Bytes, CallError> {
    if status == StatusCode::OK {
        return Ok(bytes);
    }
    let reason = status.canonical_reason().unwrap_or("");
    Err(CallError::Status { status: status.as_u16(), reason })
}

fn basic(username: &str, password: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{username}:{password}")))
}

fn http_request(
    address: &Address,
    authorization: Option<String>,
    body: String,
) -> hyper::Request<Full<Bytes>> {
    let builder = hyper::Request::post(PATH)
        .header(HOST, address.host())
        .header(USER_AGENT, concat!("bardo/", env!("CARGO_PKG_VERSION")))
        .header(CONTENT_TYPE, "text/xml")
        .header(ACCEPT, "text/xml");
    let builder = match authorization {
        Some(text) => builder.header(AUTHORIZATION, text),
        None => builder,
    };
    builder.body(Full::new(Bytes::from(body))).unwrap_or_default()
}

/// Sends a request, over the connection there is if it is still open, and reads the
/// whole answer.
async fn exchange(
    sender: Option<SendRequest<Full<Bytes>>>,
    address: &Address,
    request: hyper::Request<Full<Bytes>>,
) -> Result<(SendRequest<Full<Bytes>>, StatusCode, Bytes), CallError> {
    let mut sender = match still_open(sender).await {
        Some(sender) => sender,
        None => connect(address).await?,
    };
    let response = sender.send_request(request).await.map_err(CallError::broken)?;
    let status = response.status();
    let body = Limited::new(response.into_body(), RESPONSE_BYTES_MAX).collect().await;
    match body {
        Ok(body) => Ok((sender, status, body.to_bytes())),
        // What is no result needs no words.
        Err(_) if status != StatusCode::OK => Ok((sender, status, Bytes::new())),
        Err(error) => Err(CallError::Connection(Arc::new(io::Error::other(error)))),
    }
}

/// A connection on which another request can be sent.
async fn still_open(sender: Option<SendRequest<Full<Bytes>>>) -> Option<SendRequest<Full<Bytes>>> {
    let mut sender = sender?;
    sender.ready().await.is_ok().then_some(sender)
}

async fn connect(address: &Address) -> Result<SendRequest<Full<Bytes>>, CallError> {
    match tokio::time::timeout(CONNECT_WAIT, reach(address)).await {
        Ok(connected) => connected,
        Err(_) => Err(CallError::Connection(Arc::new(io::ErrorKind::TimedOut.into()))),
    }
}

/// Connects, and keeps the connection going beside whatever else is done.
async fn reach(address: &Address) -> Result<SendRequest<Full<Bytes>>, CallError> {
    let no_connection = |error: io::Error| CallError::Connection(Arc::new(error));
    match address {
        Address::Unix(path) => {
            let socket = UnixStream::connect(path).await.map_err(no_connection)?;
            let (sender, connection) =
                http1::handshake(TokioIo::new(socket)).await.map_err(CallError::broken)?;
            tokio::spawn(connection);
            Ok(sender)
        }
        Address::Tcp { host, port } => {
            let place = first_address(host, *port)?;
            let socket = TcpStream::connect(place).await.map_err(no_connection)?;
            socket.set_nodelay(true).map_err(no_connection)?;
            let (sender, connection) =
                http1::handshake(TokioIo::new(socket)).await.map_err(CallError::broken)?;
            tokio::spawn(connection);
            Ok(sender)
        }
    }
}

/// Looks a host up. Servers listen on IPv4, so such an address is preferred.
fn first_address(host: &str, port: u16) -> Result<std::net::SocketAddr, CallError> {
    let addresses = std::net::ToSocketAddrs::to_socket_addrs(&(host, port));
    let addresses: Vec<_> = addresses.into_iter().flatten().collect();
    let address = addresses.iter().find(|one| one.is_ipv4()).or(addresses.first());
    address.copied().ok_or_else(|| CallError::UnknownHost(host.to_owned()))
}
