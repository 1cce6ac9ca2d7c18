//! Connections: accepting them, reading requests, finding who answers.

use std::collections::HashMap;
use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::os::unix::net::UnixListener as StdUnixListener;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::task::Poll;
use std::time::{Duration, SystemTime};

use bardo_sys::pipe::is_descriptor_limit;
use hyper::body::Incoming;
use hyper::header::{AUTHORIZATION, CONNECTION, CONTENT_LENGTH, HeaderValue, WWW_AUTHENTICATE};
use hyper::http::request::Parts;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode, Version};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinSet};

use super::answer::{self, Content};
use super::auth::{self, Claim};
use super::body::{self, Received, discard};
use super::connection::{Connection, Phase, Socket};
use super::peer::Peer;
use super::places::{Place, Places, are_descriptors_short};
use super::{Context, Listener, ListenerKind, access, logtail, metrics, page, rest, rpc};

/// Most bytes of a request's first line and headers.
const HEAD_BYTES_MAX: usize = 32 << 10;

/// How long no connection is accepted after the kernel could give none, for want of
/// descriptors or memory.
const ACCEPT_AGAIN: Duration = Duration::from_millis(500);

/// How long the end waits for answers that are under way.
const FAREWELL_WAIT: Duration = Duration::from_secs(1);

/// A socket through which clients come.
pub(super) struct Entrance {
    socket: DoorSocket,
    door: Door,
}

/// What is known of an entrance, also by those who are in.
struct Door {
    /// The kernel's number of the socket, the same for all its descriptors.
    inode: u64,
    rules: RwLock<Rules>,
    /// How many are in of each user who is not the owner, where that makes a difference.
    others: Mutex<HashMap<u32, usize>>,
    /// Turns true when nobody shall come through it any more.
    closed: watch::Sender<bool>,
    places: Arc<Places>,
}

/// How many of one user who is not the owner may be in at a time, through a door at which
/// only the owner may do everything. They have one question each.
const OTHERS_MAX: usize = 4;

/// Of how many users.
const OTHER_USERS_MAX: usize = 16;

/// Who may come through a door.
#[derive(Debug, Clone)]
struct Rules {
    /// User and password; `None` where none are asked for.
    auth: Option<Arc<(String, String)>>,
    /// Whether only root and our own user may do everything.
    owner_only: bool,
}

impl Rules {
    fn of(listener: &mut Listener) -> Self {
        // A user without a name asks for nothing, as in Supervisor.
        let auth = listener.auth.take().filter(|(user, _)| !user.is_empty()).map(Arc::new);
        Self { auth, owner_only: listener.owner_only }
    }
}

enum DoorSocket {
    Unix(UnixListener),
    Tcp(TcpListener),
}

impl Entrance {
    /// Makes a listening socket ours. It has to be called within the runtime.
    pub(super) fn open(mut listener: Listener) -> io::Result<Self> {
        let rules = RwLock::new(Rules::of(&mut listener));
        let inode = rustix::fs::fstat(&listener.fd)?.st_ino;
        let socket = match listener.kind {
            ListenerKind::Unix => {
                let socket = StdUnixListener::from(listener.fd);
                socket.set_nonblocking(true)?;
                DoorSocket::Unix(UnixListener::from_std(socket)?)
            }
            ListenerKind::Tcp => {
                let socket = std::net::TcpListener::from(listener.fd);
                socket.set_nonblocking(true)?;
                DoorSocket::Tcp(TcpListener::from_std(socket)?)
            }
        };
        let others = Mutex::default();
        let door =
            Door { inode, rules, others, closed: watch::Sender::new(false), places: Places::new() };
        Ok(Self { socket, door })
    }
}

impl Door {
    fn rules(&self) -> Rules {
        self.rules.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether one who has come may do whatever can be done through it.
    fn serves(&self, peer: &Peer) -> bool {
        !self.rules().owner_only || peer.is_owner()
    }

    async fn closes(&self) {
        // The sender lives as long as we do.
        let _ = self.closed.subscribe().wait_for(|closed| *closed).await;
    }
}

/// What counts somebody among those who are not the owner, for as long as he is in.
struct Pass {
    door: Arc<Door>,
    uid: u32,
}

impl Pass {
    /// One for a user; `None` when there is no room for him. So nobody crowds out the owner,
    /// or another user.
    fn take(door: &Arc<Door>, uid: u32) -> Option<Self> {
        let mut others = door.others.lock().unwrap_or_else(PoisonError::into_inner);
        let is_full = !others.contains_key(&uid) && others.len() >= OTHER_USERS_MAX;
        if is_full || others.get(&uid).is_some_and(|count| *count >= OTHERS_MAX) {
            return None;
        }
        *others.entry(uid).or_default() += 1;
        Some(Self { door: Arc::clone(door), uid })
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        let mut others = self.door.others.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = others.get_mut(&self.uid) {
            *count -= 1;
            if *count == 0 {
                others.remove(&self.uid);
            }
        }
    }
}

impl DoorSocket {
    async fn accept(&self) -> io::Result<(Socket, Option<SocketAddr>)> {
        match self {
            Self::Unix(listener) => Ok((Socket::Unix(listener.accept().await?.0), None)),
            Self::Tcp(listener) => {
                let (socket, address) = listener.accept().await?;
                // A client that has gone away again needs no speed.
                let _ = socket.set_nodelay(true);
                Ok((Socket::Tcp(socket), Some(address)))
            }
        }
    }
}

/// The doors that are open, each with the task that receives whoever comes.
struct House {
    context: Arc<Context>,
    receivers: JoinSet<()>,
    open: Vec<(Arc<Door>, AbortHandle)>,
}

impl House {
    fn add(&mut self, entrance: Entrance) {
        let context = Arc::clone(&self.context);
        let Entrance { socket, door } = entrance;
        let door = Arc::new(door);
        // The socket is the task's alone: it is closed with it, whoever is still in.
        let task = self.receivers.spawn(receive(context, socket, Arc::clone(&door)));
        self.open.push((door, task));
    }

    /// Keeps the doors that are among `listeners`, opens the others and closes the rest.
    fn replace(&mut self, listeners: Vec<Listener>) {
        let mut kept = Vec::new();
        for mut listener in listeners {
            let inode = rustix::fs::fstat(&listener.fd).map_or(0, |there| there.st_ino);
            if let Some((door, _)) = self.open.iter().find(|(door, _)| door.inode == inode) {
                let mut rules = door.rules.write().unwrap_or_else(PoisonError::into_inner);
                *rules = Rules::of(&mut listener);
            } else if let Ok(entrance) = Entrance::open(listener) {
                // One that cannot be opened for want of memory is there again with the
                // next supervisor.
                self.add(entrance);
            }
            kept.push(inode);
        }
        self.open.retain(|(door, task)| {
            let stays = kept.contains(&door.inode);
            if !stays {
                task.abort();
                door.closed.send_replace(true);
            }
            stays
        });
    }
}

/// Serves all sockets until the API is to end, and then those who are in.
pub(super) async fn serve(
    context: Arc<Context>,
    entrances: Vec<Entrance>,
    mut changes: UnboundedReceiver<Vec<Listener>>,
) {
    let mut house =
        House { context: Arc::clone(&context), receivers: JoinSet::new(), open: Vec::new() };
    for entrance in entrances {
        house.add(entrance);
    }
    let mut end = pin!(context.ended());
    while let Some(listeners) = next_change(&mut changes, end.as_mut()).await {
        house.replace(listeners);
    }
    house.receivers.shutdown().await;
    let farewell = async {
        for (door, _) in &house.open {
            door.places.emptied().await;
        }
    };
    let _ = tokio::time::timeout(FAREWELL_WAIT, farewell).await;
}

/// The next change of the doors; `None` when the API is to end.
async fn next_change(
    changes: &mut UnboundedReceiver<Vec<Listener>>,
    mut end: Pin<&mut impl Future<Output = ()>>,
) -> Option<Vec<Listener>> {
    poll_fn(|waker| {
        if end.as_mut().poll(waker).is_ready() {
            return Poll::Ready(None);
        }
        match changes.poll_recv(waker) {
            Poll::Ready(Some(listeners)) => Poll::Ready(Some(listeners)),
            // Without a sender nothing changes any more.
            Poll::Ready(None) | Poll::Pending => Poll::Pending,
        }
    })
    .await
}

async fn receive(context: Arc<Context>, entrance: DoorSocket, door: Arc<Door>) {
    loop {
        let (socket, address) = match entrance.accept().await {
            Ok(accepted) => accepted,
            // The client has gone away again while it waited.
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => continue,
            Err(error) if is_descriptor_limit(&error) && context.spare.give_up() => continue,
            Err(_) => {
                door.places.make_room();
                tokio::time::sleep(ACCEPT_AGAIN).await;
                continue;
            }
        };
        let peer = Peer::of(&socket).map(Arc::new);
        let pass = match peer.as_deref().filter(|peer| !door.serves(peer)) {
            Some(other) => {
                let Some(pass) = Pass::take(&door, other.uid()) else {
                    drop(socket);
                    context.spare.restore();
                    continue;
                };
                Some(Arc::new(pass))
            }
            None => None,
        };
        // One client is always let in: somebody must be able to ask what is wrong.
        let is_crowded = are_descriptors_short(&socket) && !door.places.are_free();
        if is_crowded && !door.places.make_room() {
            drop(socket);
            context.spare.restore();
            tokio::time::sleep(ACCEPT_AGAIN).await;
            continue;
        }
        let place = door.places.take().await;
        let guest = Guest {
            context: Arc::clone(&context),
            door: Arc::clone(&door),
            address,
            peer,
            place: Arc::new(place),
            pass,
        };
        let context = Arc::clone(&context);
        tokio::spawn(async move {
            converse(guest, socket).await;
            context.spare.restore();
        });
    }
}

/// Whoever has come in.
#[derive(Clone)]
struct Guest {
    context: Arc<Context>,
    door: Arc<Door>,
    /// Where from; `None` through a socket file.
    address: Option<SocketAddr>,
    /// Who it is; `None` through a port.
    peer: Option<Arc<Peer>>,
    place: Arc<Place>,
    /// What counts it among those who are not the owner.
    pass: Option<Arc<Pass>>,
}

/// Answers the requests of one connection until it ends, in whatever way.
async fn converse(guest: Guest, socket: Socket) {
    let progress = guest.place.progress().clone();
    let connection = TokioIo::new(Connection::new(socket, progress.clone()));
    let host = guest.clone();
    let service = service_fn(move |request| {
        let (host, progress) = (host.clone(), progress.clone());
        async move {
            let response = host.respond(request).await;
            // A stream goes on while it is read; the other side owes nothing.
            if matches!(response.body(), Content::Whole(_)) {
                progress.enter(Phase::Sending);
            }
            Ok::<_, Infallible>(response)
        }
    });
    let conversation = http1::Builder::new()
        .max_buf_size(HEAD_BYTES_MAX)
        .title_case_headers(true)
        .serve_connection(connection, service);
    let mut conversation = pin!(conversation);
    let (mut ended, mut closes) = (pin!(guest.context.ended()), pin!(guest.door.closes()));
    let mut needed = pin!(guest.place.needed());
    let interrupted = poll_fn(|waker| {
        if conversation.as_mut().poll(waker).is_ready() || needed.as_mut().poll(waker).is_ready() {
            return Poll::Ready(None);
        }
        if closes.as_mut().poll(waker).is_ready() {
            return Poll::Ready(Some(FAREWELL_WAIT));
        }
        ended.as_mut().poll(waker).map(|()| Some(Duration::MAX))
    });
    if let Some(patience) = interrupted.await {
        conversation.as_mut().graceful_shutdown();
        let _ = tokio::time::timeout(patience, conversation).await;
    }
}

impl Guest {
    async fn respond(&self, request: Request<Incoming>) -> Response<Content> {
        let (head, body) = request.into_parts();
        let mut response = self.admit(&head, body).await;
        // Who has the connection closed is told nothing of chunks, as in Supervisor.
        if matches!(response.body(), Content::Stream(_)) && asks_to_close(&head) {
            *response.version_mut() = Version::HTTP_10;
        }
        let has_asked = self.pass.is_some() || self.place.makes_way();
        if matches!(response.body(), Content::Whole(_)) && has_asked {
            response = closing(response);
        }
        if self.context.shown().traces {
            let line = access::line(self.address, SystemTime::now(), &head, &response);
            self.context.trace(&line);
        }
        response
    }

    /// Asks for the password and takes the body.
    async fn admit(&self, head: &Parts, body: Incoming) -> Response<Content> {
        let Rules { auth, owner_only } = self.door.rules();
        if owner_only && !self.is_admitted_to(head) {
            discard(body).await;
            return rest::not_permitted();
        }
        let asked = auth.filter(|_| !self.is_known_for(head));
        let is_open = asked.is_none();
        if let Some(auth) = asked {
            let (user, password) = &*auth;
            let header = head.headers.get(AUTHORIZATION);
            let claim = auth::judge(header.map(HeaderValue::as_bytes), user, password);
            if claim != Claim::Granted {
                discard(body).await;
                return turned_away(claim);
            }
        }
        if is_open && !self.may_look(head).await {
            discard(body).await;
            return rest::not_permitted();
        }
        let body = match self.pass {
            Some(_) => body::read_short(body).await,
            None => self.context.bodies.read(body).await,
        };
        match body {
            Ok(body) => {
                self.place.progress().enter(Phase::Answer);
                self.dispatch(head, body).await
            }
            Err(status) => closing(answer::error(status)),
        }
    }

    /// Whether who has come through a socket file needs no password: the kernel says who it
    /// is, and what that one may do is decided where it is done.
    fn is_known_for(&self, head: &Parts) -> bool {
        let Some(peer) = &self.peer else { return false };
        match rest::service::kind(head) {
            Some(rest::service::Kind::Deed) => true,
            Some(rest::service::Kind::Look) => peer.is_owner(),
            None => false,
        }
    }

    /// Whether this is for others than the owner at all: what they may do of it is decided
    /// where it is done.
    fn is_admitted_to(&self, head: &Parts) -> bool {
        let is_owner = self.peer.as_ref().is_some_and(|peer| peer.is_owner());
        is_owner || rest::service::kind(head).is_some()
    }

    /// Whether somebody without a password may ask what he asks: at services nobody looks who
    /// could do nothing to any of them.
    async fn may_look(&self, head: &Parts) -> bool {
        let Some(peer) = &self.peer else { return true };
        let looks = rest::service::kind(head) == Some(rest::service::Kind::Look);
        !looks || peer.is_owner() || rest::service::may_look(&self.context, peer).await
    }

    /// Finds who answers, in Supervisor's order.
    async fn dispatch(&self, head: &Parts, body: Received) -> Response<Content> {
        let context = &self.context;
        let path = percent_decoded(head.uri.path());
        if path.starts_with("/RPC2") {
            let length_known = head.headers.contains_key(CONTENT_LENGTH);
            match (head.method == Method::POST, length_known) {
                (false, _) => answer::error(StatusCode::BAD_REQUEST),
                // A page elsewhere can have its visitors send a call as plain text.
                (true, _) if !page::origin::is_ours(&head.headers) => {
                    answer::error(StatusCode::FORBIDDEN)
                }
                (true, false) => answer::error(StatusCode::LENGTH_REQUIRED),
                (true, true) => call(context, body).await,
            }
        } else if path.starts_with("/logtail") {
            logtail::process(context, &self.place, &head.method, &path).await
        } else if path.starts_with("/mainlogtail") {
            logtail::main_log(context, &self.place, &head.method).await
        } else if path == "/metrics" {
            metrics::answer(context, head).await
        } else if rest::is_ours(head.uri.path()) {
            rest::answer(context, (&self.place, self.peer.as_ref()), head, body).await
        } else {
            page::answer(context, head, &body.bytes).await
        }
    }
}

/// Whether a client of version 1.1 has asked for the end of the connection.
fn asks_to_close(head: &Parts) -> bool {
    let words = head.headers.get(CONNECTION).map(HeaderValue::as_bytes);
    words.is_some_and(|words| words.eq_ignore_ascii_case(b"close"))
}

async fn call(context: &Arc<Context>, body: Received) -> Response<Content> {
    match rpc::answer(context, body).await {
        Ok(text) => answer::whole("text/xml", text),
        Err(_) => answer::error(StatusCode::BAD_REQUEST),
    }
}

/// What somebody gets who may not come in. The connection ends, so that passwords
/// cannot be tried quickly.
fn turned_away(claim: Claim) -> Response<Content> {
    if claim == Claim::Garbage {
        return closing(answer::error(StatusCode::BAD_REQUEST));
    }
    let mut response = closing(answer::error(StatusCode::UNAUTHORIZED));
    let realm = HeaderValue::from_static("Basic realm=\"default\"");
    response.headers_mut().insert(WWW_AUTHENTICATE, realm);
    response
}

fn closing(mut response: Response<Content>) -> Response<Content> {
    let close = HeaderValue::from_static("close");
    response.headers_mut().insert(CONNECTION, close);
    response
}

/// A path with its `%` sequences resolved; bytes that are no text are replaced.
fn percent_decoded(path: &str) -> String {
    let bytes = path.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let digits = path.get(at + 1..at + 3).filter(|_| bytes[at] == b'%');
        match digits.map(|digits| u8::from_str_radix(digits, 16)) {
            Some(Ok(byte)) => {
                decoded.push(byte);
                at += 3;
            }
            _ => {
                decoded.push(bytes[at]);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percent_sequences_are_resolved() {
        let cases = [
            ("/logtail/a%3Ab", "/logtail/a:b"),
            ("/%", "/%"),
            ("/%4", "/%4"),
            ("/%zz", "/%zz"),
            ("/%C3%A9", "/é"),
            ("/%ff", "/\u{fffd}"),
        ];

        for (path, decoded) in cases {
            assert_eq!(percent_decoded(path), decoded);
        }
    }
}
