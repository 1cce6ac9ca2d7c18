//! The programs that the demo looks after. They know nothing of any supervisor.

use std::io::{self, BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

/// How long the crasher lives.
const CRASH_AFTER: Duration = Duration::from_secs(4);

/// How often the ticker says something.
const TICK_EVERY: Duration = Duration::from_secs(2);

/// How long a client of the web server may be silent.
const CLIENT_WITHIN: Duration = Duration::from_secs(5);

/// Runs the program of that name; `None` when there is none.
pub(super) fn main(name: &str, words: &[&str]) -> Option<ExitCode> {
    match (name, words) {
        ("web", [port]) => Some(web(port.parse().ok()?)),
        ("crasher", []) => Some(crasher()),
        ("ticker", []) => Some(ticker()),
        _ => None,
    }
}

/// Answers every request with its number and its age.
fn web(port: u16) -> ExitCode {
    let started = Instant::now();
    let listener = match TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
        Ok(listener) => listener,
        Err(error) => {
            eprintln!("cannot listen on port {port}: {error}");
            return ExitCode::FAILURE;
        }
    };
    println!("listening on port {port}");
    for client in listener.incoming().flatten() {
        // A client that goes away does not matter.
        let _ = answer(client, started);
    }
    ExitCode::SUCCESS
}

fn answer(mut client: TcpStream, started: Instant) -> io::Result<()> {
    client.set_read_timeout(Some(CLIENT_WITHIN))?;
    client.set_write_timeout(Some(CLIENT_WITHIN))?;
    let mut lines = BufReader::new(client.try_clone()?).lines();
    while lines.next().transpose()?.is_some_and(|line| !line.is_empty()) {}
    let (pid, age) = (std::process::id(), started.elapsed().as_secs());
    let text = format!("I am process {pid}, and I am {age} seconds old.\n");
    let length = text.len();
    write!(
        client,
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {length}\r\n\
         Connection: close\r\n\r\n{text}"
    )
}

/// Ends with an error after a while.
fn crasher() -> ExitCode {
    println!("so far so good");
    thread::sleep(CRASH_AFTER);
    eprintln!("this is a bug");
    ExitCode::from(3)
}

/// Writes a line now and then.
fn ticker() -> ExitCode {
    for number in 1_u64.. {
        println!("line {number}");
        thread::sleep(TICK_EVERY);
    }
    ExitCode::SUCCESS
}
