//! Checks that ask over a socket: they are made by a thread of their own, which is there
//! from the first of them on, so that nobody else waits for what does not answer.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender};
use std::{fs, io};

use bardo_core::input::Finding;
use bardo_core::{Generation, Input, Pid, ServiceId};
use bardo_sys::waker::Waker;
use http_body_util::Empty;
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::header::{CONNECTION, HOST, USER_AGENT};
use hyper::{Request, Uri};
use hyper_util::rt::TokioIo;
use rustix::io::Errno;
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::mpsc::error::SendError;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::{AbortHandle, JoinSet, LocalSet, spawn_local};

use super::listening::is_listening;

/// From this status on an answer says that something is wrong.
const WRONG_FROM: u16 = 400;

/// Most threads that look at processes or for the addresses of names: a look takes long
/// where there are many processes, and a name server may not answer.
const LOOKERS_MAX: usize = 16;

/// Whose check it is, in which life, and its number.
type Key = (ServiceId, Generation, u32);

/// What came of a check.
type Answer = (Key, Finding);

/// What is tried.
#[derive(Debug)]
pub(super) enum Probe {
    /// A URL is asked for.
    Http(Arc<str>),
    /// A connection is made, to `host:port` or to a socket file.
    Connect(Arc<str>),
    /// It is looked whether the process listens.
    Listening(Pid),
}

/// An order to the thread.
#[derive(Debug)]
enum Order {
    Ask(Key, Probe),
    /// The one of this number, or whichever there is.
    End(ServiceId, Option<u32>),
}

/// The control thread's end of the thread that asks.
pub(super) struct Prober {
    orders: Option<UnboundedSender<Order>>,
    results: (Sender<Answer>, Receiver<Answer>),
    waker: Arc<Waker>,
}

impl Prober {
    /// There is no thread before there is something to ask.
    pub(super) fn new(waker: Arc<Waker>) -> Self {
        Self { orders: None, results: mpsc::channel(), waker }
    }

    /// Has something tried.
    ///
    /// # Errors
    /// When there is no thread to be had.
    pub(super) fn ask(&mut self, key: Key, probe: Probe) -> io::Result<()> {
        let mut order = Order::Ask(key, probe);
        if let Some(orders) = &self.orders {
            match orders.send(order) {
                Ok(()) => return Ok(()),
                // The thread is gone, and another one takes its place.
                Err(SendError(unsent)) => order = unsent,
            }
        }
        let orders = self.begin()?;
        let sent = orders.send(order).map_err(|_| io::ErrorKind::BrokenPipe.into());
        self.orders = Some(orders);
        sent
    }

    /// A check of a service, or any of it, is not wanted any more.
    pub(super) fn end(&self, service: ServiceId, check: Option<u32>) {
        if let Some(orders) = &self.orders {
            // A thread that is gone tries nothing.
            let _ = orders.send(Order::End(service, check));
        }
    }

    /// What was found out.
    pub(super) fn found(&self) -> Option<Input> {
        let ((service, generation, check), finding) = self.results.1.try_recv().ok()?;
        Some(Input::Checked { service, generation, check, finding })
    }

    fn begin(&self) -> io::Result<UnboundedSender<Order>> {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.enable_all().max_blocking_threads(LOOKERS_MAX).build()?;
        let (sender, orders) = unbounded_channel();
        let (results, waker) = (self.results.0.clone(), Arc::clone(&self.waker));
        std::thread::Builder::new().name("checks".to_owned()).spawn(move || {
            LocalSet::new().block_on(&runtime, serve(orders, results, waker));
        })?;
        Ok(sender)
    }
}

async fn serve(mut orders: UnboundedReceiver<Order>, results: Sender<Answer>, waker: Arc<Waker>) {
    // A service has one at a time.
    let mut running: HashMap<ServiceId, (u32, AbortHandle)> = HashMap::new();
    while let Some(order) = orders.recv().await {
        let former = match order {
            Order::Ask(key @ (service, _, check), probe) => {
                let (results, waker) = (results.clone(), Arc::clone(&waker));
                let task = spawn_local(async move {
                    let finding = works(probe).await;
                    if results.send((key, finding)).is_ok() {
                        waker.wake();
                    }
                });
                running.insert(service, (check, task.abort_handle()))
            }
            Order::End(service, check) => match running.entry(service) {
                Entry::Occupied(there) if check.is_none_or(|check| check == there.get().0) => {
                    Some(there.remove())
                }
                Entry::Occupied(_) | Entry::Vacant(_) => None,
            },
        };
        if let Some((_, former)) = former {
            former.abort();
        }
    }
}

async fn works(probe: Probe) -> Finding {
    let connected = match probe {
        Probe::Connect(address) if address.starts_with('/') => {
            UnixStream::connect(&*address).await.map(drop)
        }
        Probe::Connect(address) => TcpStream::connect(&*address).await.map(drop),
        Probe::Http(url) => return answers(&url).await.unwrap_or(Finding::Fails),
        Probe::Listening(pid) => {
            // Whatever is not begun yet is taken back with the set.
            let mut look = JoinSet::new();
            look.spawn_blocking(move || listens(pid));
            let looked = look.join_next().await;
            return looked.and_then(Result::ok).unwrap_or(Finding::Nothing);
        }
    };
    connected.map_or_else(|error| unconnected(&error), |()| Finding::Works)
}

/// What it says of a service that it was not connected to.
fn unconnected(error: &io::Error) -> Finding {
    match error.raw_os_error().map(Errno::from_raw_os_error) {
        // It is we who have no descriptor, no memory, or no port of our own.
        Some(Errno::MFILE | Errno::NFILE | Errno::NOMEM | Errno::NOBUFS | Errno::ADDRNOTAVAIL) => {
            Finding::Nothing
        }
        _ => Finding::Fails,
    }
}

fn listens(pid: Pid) -> Finding {
    let listens = is_listening(pid.0);
    // Where nothing can be opened nothing was looked at.
    match fs::read_dir("/proc/self/fd") {
        Err(_) if !listens => Finding::Nothing,
        Ok(_) | Err(_) => Finding::of(listens),
    }
}

/// Whether a URL is answered with a status that says that nothing is wrong; `None` when it
/// is not answered.
async fn answers(url: &str) -> Option<Finding> {
    let uri: Uri = url.parse().ok()?;
    let authority = uri.authority()?.clone();
    let port = authority.port_u16().unwrap_or(80);
    let host = authority.host().trim_start_matches('[').trim_end_matches(']');
    let stream = match TcpStream::connect((host, port)).await {
        Ok(stream) => stream,
        Err(error) => return Some(unconnected(&error)),
    };
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.ok()?;
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let request = Request::get(path)
        .header(HOST, authority.as_str())
        .header(USER_AGENT, "bardo")
        .header(CONNECTION, "close")
        .body(Empty::<Bytes>::new())
        .ok()?;
    let connection = spawn_local(connection);
    let answer = sender.send_request(request).await;
    connection.abort();
    Some(Finding::of(answer.ok()?.status().as_u16() < WRONG_FROM))
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::TcpListener;

    use bardo_sys::poll::{self, Room};
    use std::os::fd::AsFd as _;

    use super::*;

    const KEY: Key = (ServiceId(3), Generation(1), 9);

    fn prober() -> Prober {
        Prober::new(Arc::new(Waker::new().unwrap()))
    }

    /// What is found out next.
    fn next(prober: &Prober) -> Input {
        loop {
            if let Some(input) = prober.found() {
                return input;
            }
            let _ = poll::two(prober.waker.as_fd(), None, Room(false), None);
            prober.waker.clear();
        }
    }

    /// What comes of one check.
    fn outcome(probe: Probe) -> Input {
        let mut prober = prober();
        prober.ask(KEY, probe).unwrap();
        next(&prober)
    }

    fn is(ok: bool) -> Input {
        let (service, generation, check) = KEY;
        Input::Checked { service, generation, check, finding: Finding::of(ok) }
    }

    /// A server that gives one answer.
    fn server(answer: &'static str) -> Arc<str> {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        std::thread::spawn(move || {
            let (mut client, _) = listener.accept().unwrap();
            let _ = client.read(&mut [0; 1024]);
            let _ = client.write_all(answer.as_bytes());
        });
        format!("http://127.0.0.1:{port}/health").into()
    }

    #[test]
    fn a_status_below_400_is_well() {
        let probe = Probe::Http(server("HTTP/1.1 302 Found\r\nContent-Length: 0\r\n\r\n"));

        assert_eq!(outcome(probe), is(true));
    }

    #[test]
    fn a_status_of_trouble_or_none_is_not() {
        let trouble = server("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n");

        for url in [trouble, server("nonsense\r\n\r\n"), "http://127.0.0.1:1/".into()] {
            assert_eq!(outcome(Probe::Http(url)), is(false));
        }
    }

    #[test]
    fn a_connection_that_is_taken_is_well() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();

        assert_eq!(outcome(Probe::Connect(address.into())), is(true));
        assert_eq!(outcome(Probe::Connect("/nowhere/socket".into())), is(false));
    }
    #[test]
    fn who_listens_is_looked_for_beside_the_others() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();

        assert_eq!(outcome(Probe::Listening(Pid(std::process::id()))), is(true));
        drop(listener);
    }

    #[test]
    fn a_thread_that_is_gone_is_replaced() {
        let mut prober = prober();
        let (orders, gone) = unbounded_channel();
        drop(gone);
        prober.orders = Some(orders);

        prober.ask(KEY, Probe::Connect("/nowhere/socket".into())).unwrap();

        assert_eq!(next(&prober), is(false));
    }

    #[test]
    fn the_end_of_one_check_is_not_that_of_the_next() {
        let mut prober = prober();
        let (service, generation, check) = KEY;

        prober.ask((service, generation, check - 1), Probe::Http(server(""))).unwrap();
        prober.ask(KEY, Probe::Connect("/nowhere/socket".into())).unwrap();
        prober.end(service, Some(check - 1));

        assert_eq!(next(&prober), is(false));
    }

    #[test]
    fn what_we_lack_says_nothing_of_a_service() {
        let finding = |errno: Errno| unconnected(&errno.into());

        assert_eq!(finding(Errno::MFILE), Finding::Nothing);
        assert_eq!(finding(Errno::ADDRNOTAVAIL), Finding::Nothing);
        assert_eq!(finding(Errno::CONNREFUSED), Finding::Fails);
        assert_eq!(finding(Errno::AGAIN), Finding::Fails, "its queue is full");
    }
}
