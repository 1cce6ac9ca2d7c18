//! A service that says when it is ready and answers when it is asked whether it lives.
//!
//! Run by `service up` or as a `[program:x]` with `heartbeat_period=`, it speaks the protocol
//! of docs/protocol.md. Run by hand it works just the same and speaks with nobody.
//!
//! ```sh
//! rustc -O heartbeat.rs
//! heartbeat [--hang-after N]     # stop answering, and everything else, after N answers
//! ```

use std::os::fd::{FromRawFd, OwnedFd};
use std::os::unix::net::UnixDatagram;
use std::{env, io, thread};

/// Most bytes of a message.
const MESSAGE_BYTES_MAX: usize = 4096;

/// The control socket, or nothing when nobody is there to speak with.
///
/// It is a `SOCK_SEQPACKET`, for which the standard library has no type; sending and
/// receiving are what they are for a datagram socket that is connected. The descriptor is
/// inherited by the programs that this one starts; one that does start any sets
/// `FD_CLOEXEC` on it.
fn control() -> Option<UnixDatagram> {
    let number = env::var("BARDO_CTL").ok()?.parse().ok()?;
    // SAFETY: whoever set the variable has opened this descriptor for us, and nobody else
    // in this program uses it.
    Some(unsafe { OwnedFd::from_raw_fd(number) }.into())
}

/// The value of a key in a message; of a key that stands twice the last one counts.
fn value<'a>(message: &'a str, key: &str) -> Option<&'a str> {
    message.rsplit('\n').find_map(|line| line.strip_prefix(key)?.strip_prefix('='))
}

fn hang() -> ! {
    loop {
        thread::park();
    }
}

fn main() -> io::Result<()> {
    let mut words = env::args().skip(1);
    let hang_after: Option<u64> = match words.next().as_deref() {
        Some("--hang-after") => words.next().and_then(|count| count.parse().ok()),
        _ => None,
    };
    let Some(supervisor) = control() else { hang() };
    supervisor.send(b"HELLO=1")?;
    let mut answers = 0;
    let mut buffer = [0; MESSAGE_BYTES_MAX];
    loop {
        let length = supervisor.recv(&mut buffer)?;
        if length == 0 {
            return Ok(());
        }
        let message = String::from_utf8_lossy(&buffer[..length]);
        if let Some(init) = value(&message, "INIT") {
            // Here a real service opens its files and its sockets.
            let of = |key| value(&message, key).unwrap_or("?");
            println!("started {init} as life {} of {}", of("INSTANCE"), of("LABEL"));
            supervisor.send(b"STATUS=nothing to do\nREADY=1")?;
        } else if value(&message, "COMMIT").is_some() {
            println!("serving");
        } else if let Some(number) = value(&message, "PING") {
            if hang_after == Some(answers) {
                hang();
            }
            supervisor.send(format!("PONG={number}").as_bytes())?;
            answers += 1;
            println!("answered {number}");
        }
    }
}
