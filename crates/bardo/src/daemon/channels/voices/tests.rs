//! What is heard of what programs say, and of what strangers do.

use std::io::Write as _;
use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};

use bardo_core::Generation;
use bardo_sys::control::{MESSAGE_BYTES_MAX, Port, Sent};
use bardo_sys::poll::has_hung_up;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::write;

use rustix::net::{RecvFlags, recv, sockopt};

use super::super::birth::newline;
use super::*;
use crate::selftest::home::wait_until;

const LIFE: Life = Life { service: ServiceId(7), generation: Generation(3) };
const MILLISECOND: u64 = 1_000_000;

/// A program's ends of its channels, and the channels.
struct Scene {
    channels: Channels,
    control: Port,
    address: String,
    newline: OwnedFd,
}

/// A program that is this process.
fn scene() -> Scene {
    scene_of(std::process::id())
}

fn scene_of(pid: u32) -> Scene {
    let (ours, control) = Port::pair().unwrap();
    let notify = Port::bind().unwrap();
    let address = notify.name().unwrap().unwrap();
    let (read, newline) = newline().unwrap();
    let ends = Ends { control: Some(ours), notify: Some(notify), ready: Some(read) };
    let mut channels = Channels::new().unwrap();
    let uid = rustix::process::geteuid().as_raw();
    channels.add(LIFE, &Asks::silent("gauge", uid), (pid, None), ends);
    channels.listen(LIFE, 0);
    Scene { channels, control: Port::from_kept(control), address, newline }
}

impl Scene {
    fn hear(&mut self, now: u64) -> Vec<Saying> {
        let mut inputs = Vec::new();
        self.channels.hear(now, &mut inputs);
        sayings(&inputs)
    }

    fn say(&self, message: &[u8]) {
        assert_eq!(self.control.send(message, &[]).unwrap(), Sent::Whole);
    }

    fn notify(&self, message: &str) {
        let socket = UnixDatagram::unbound().unwrap();
        let name = self.address.strip_prefix('@').unwrap();
        let address = SocketAddr::from_abstract_name(name).unwrap();
        assert_eq!(socket.send_to_addr(message.as_bytes(), &address).unwrap(), message.len());
    }
}

fn sayings(inputs: &[Input]) -> Vec<Saying> {
    let saying = |input: &Input| match input {
        Input::Said { service, generation, saying } => {
            assert_eq!((*service, *generation), (LIFE.service, LIFE.generation));
            *saying
        }
        other => panic!("{other:?}"),
    };
    inputs.iter().map(saying).collect()
}

#[test]
fn what_is_said_on_either_socket_and_by_a_newline_is_heard() {
    let mut scene = scene();

    assert!(scene.hear(0).is_empty());
    scene.say(b"HELLO=1");
    assert_eq!(scene.hear(0), [Saying::Hello]);
    scene.notify("WATCHDOG=1");
    assert_eq!(scene.hear(0), [Saying::Alive]);
    write(&scene.newline, b"almost").unwrap();
    assert!(scene.hear(0).is_empty());
    write(&scene.newline, b" there\nand more").unwrap();
    assert_eq!(scene.hear(0), [Saying::Ready]);
    assert_eq!(scene.channels.next_closed(10 * MILLISECOND), Some((LIFE, Roles::READY)));
}

#[test]
fn nothing_is_heard_before_the_program_runs() {
    let (ours, control) = Port::pair().unwrap();
    let control = Port::from_kept(control);
    let mut channels = Channels::new().unwrap();
    let ends = Ends { control: Some(ours), ..Ends::default() };
    channels.add(LIFE, &Asks::silent("gauge", 0), (1, None), ends);
    control.send(b"READY=1", &[]).unwrap();

    let mut inputs = Vec::new();
    channels.hear(0, &mut inputs);
    assert!(inputs.is_empty());
    channels.listen(LIFE, 0);
    channels.hear(0, &mut inputs);

    assert_eq!(sayings(&inputs), [Saying::Hello, Saying::Ready]);
}

#[test]
fn who_says_too_much_rests_and_nothing_of_it_is_lost() {
    let mut scene = scene();
    let many = MESSAGES_MAX + 3;
    for _ in 0..many {
        scene.say(b"WATCHDOG=1");
    }

    assert_eq!(scene.hear(0).len(), 1 + MESSAGES_MAX, "and a hello");
    assert_eq!(scene.channels.rest_in(4 * MILLISECOND), Some(6 * MILLISECOND));
    scene.notify("WATCHDOG=1");
    assert!(scene.hear(9 * MILLISECOND).is_empty(), "on none of its channels");
    assert_eq!(scene.hear(10 * MILLISECOND).len(), 3 + 1);
    assert_eq!(scene.channels.rest_in(0), None);
}

#[test]
fn all_that_was_said_is_heard_when_its_process_has_ended() {
    let mut scene = scene();
    for _ in 0..2 * MESSAGES_MAX {
        scene.say(b"WATCHDOG=1");
    }
    scene.notify("WATCHDOG=trigger");
    write(&scene.newline, b"\n").unwrap();

    let mut inputs = Vec::new();
    scene.channels.finish(LIFE, 0, &mut inputs);

    let said = sayings(&inputs);
    assert_eq!(said.len(), 1 + 2 * MESSAGES_MAX + 2);
    assert!(said.ends_with(&[Saying::Trigger, Saying::Ready]));
    scene.channels.bury();
    // What another test clones has it as well, until it executes its program.
    wait_until("the other end to be closed", || has_hung_up(scene.control.as_fd())).unwrap();
    assert_eq!(scene.control.send(b"WATCHDOG=1", &[]).unwrap(), Sent::Closed);
}

#[test]
fn what_a_former_life_is_told_or_says_reaches_nobody() {
    let mut scene = scene();
    let former = Life { generation: Generation(2), ..LIFE };

    scene.channels.say(former, &Order::Commit);
    scene.channels.ping(former, 1, 0);
    let mut inputs = Vec::new();
    scene.say(b"READY=1");
    scene.channels.finish(former, 0, &mut inputs);

    assert!(inputs.is_empty());
    let mut inbox = Inbox::default();
    assert!(matches!(scene.control.receive(&mut inbox), Ok(Received::Nothing)));
}

#[test]
fn a_ping_and_its_answer_come_across() {
    let mut scene = scene();
    scene.say(b"HELLO=1");
    scene.hear(0);

    scene.channels.ping(LIFE, 9, 0);

    let mut bytes = [0; 64];
    let (length, _) = recv(&scene.control, &mut bytes, RecvFlags::DONTWAIT).unwrap();
    assert_eq!(bytes[..length], *b"PING=9");
    scene.say(b"PONG=8");
    assert!(scene.hear(0).is_empty());
    scene.say(b"PONG=9");
    assert_eq!(scene.hear(0), [Saying::Alive]);
}

#[test]
fn who_reads_nothing_is_not_waited_for() {
    let mut scene = scene();

    for number in 0..100_000 {
        scene.channels.ping(LIFE, number, 0);
    }
}

#[test]
fn a_stranger_is_not_heard_and_people_read_of_it_once() {
    // Our children are not our parents.
    let mut child = std::process::Command::new("/bin/sleep").arg("600").spawn().unwrap();
    let mut scene = scene_of(child.id());

    scene.notify("READY=1");
    scene.notify("READY=1");

    assert!(scene.hear(0).is_empty());
    let line = scene.channels.next_line().unwrap();
    assert!(line.ends_with("is none of those of 'gauge': what it says is not heard"), "{line}");
    assert_eq!(scene.channels.next_line(), None);
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn a_barrier_is_lifted_when_all_before_it_was_heard() {
    let mut scene = scene();
    let (waits, sent) = newline().unwrap();
    scene.say(b"READY=1");
    scene.control.send(b"BARRIER=1", &[sent.as_fd()]).unwrap();
    drop(sent);
    let mut byte = [0];
    assert_eq!(read(&waits, &mut byte), Err(Errno::AGAIN));

    assert_eq!(scene.hear(0), [Saying::Hello, Saying::Ready]);

    poll(&mut [PollFd::new(&waits, PollFlags::IN)], None).unwrap();
    assert_eq!(read(&waits, &mut byte), Ok(0));
}

#[test]
fn a_message_that_is_too_long_is_passed_over_and_told_of() {
    let mut scene = scene();
    let long = format!("READY=1\nX={}", "x".repeat(MESSAGE_BYTES_MAX));
    scene.say(long.as_bytes());

    assert!(scene.hear(0).is_empty());

    let expected = "what 'gauge' has said is passed over: a message of more than 4096 bytes";
    assert_eq!(scene.channels.next_line().as_deref(), Some(expected));
}

#[test]
fn a_control_socket_that_was_closed_is_watched_no_more() {
    let Scene { mut channels, control, newline: _newline, .. } = scene();
    drop(control);
    // It is told that its end is there when nobody else has it either.
    poll(&mut [PollFd::new(&channels.poller, PollFlags::IN)], None).unwrap();

    for _ in 0..3 {
        channels.hear(0, &mut Vec::new());
    }

    assert_eq!(channels.next_closed(0), None, "mostly its process ends as well");
    assert_eq!(channels.rest_in(0), Some(10 * MILLISECOND));
    assert_eq!(channels.next_closed(10 * MILLISECOND), Some((LIFE, Roles::CONTROL)));
    assert_eq!(channels.next_closed(10 * MILLISECOND), None);
    assert_eq!(channels.rest_in(0), None);
    let mut events = Events::new();
    channels.poller.wait(&mut events, Some(Duration::ZERO)).unwrap();
    assert_eq!(events.iter().count(), 0);
}

#[test]
fn what_a_service_tells_of_itself_is_handed_on_once_for_all_that_was_said() {
    let mut scene = scene();
    for status in ["STATUS=one", "STATUS=two", "STATUS=three"] {
        scene.say(status.as_bytes());
    }

    scene.hear(0);

    let told = Told { status: "three".into(), ..Told::default() };
    assert_eq!(scene.channels.next_retold(), Some((LIFE.service, told)));
    assert_eq!(scene.channels.next_retold(), None);
}

/// A connection that nobody reads from, with something in it, and whose end takes an hour:
/// to close it waits for that.
fn lingering() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut connection = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (other, _) = listener.accept().unwrap();
    connection.set_nonblocking(true).unwrap();
    while connection.write(&[0; 65536]).is_ok() {}
    sockopt::set_socket_linger(&connection, Some(Duration::from_secs(3600))).unwrap();
    (connection, other)
}

#[test]
fn a_descriptor_that_takes_long_to_close_keeps_nobody_waiting() {
    let mut scene = scene();
    let (connection, _other) = lingering();
    scene.control.send(b"FDSTORE=1", &[connection.as_fd()]).unwrap();
    scene.control.send(b"READY=1", &[]).unwrap();
    drop(connection);

    assert_eq!(scene.hear(0), [Saying::Hello, Saying::Ready]);
}

#[test]
fn a_program_that_waits_for_too_much_to_be_closed_is_heard_later() {
    let mut scene = scene();
    let voice = scene.channels.voices.get(&LIFE.service).unwrap();
    voice.closer.fill();
    scene.say(b"READY=1");

    assert!(scene.hear(0).is_empty());
    assert_eq!(scene.channels.rest_in(0), Some(10 * MILLISECOND), "and nobody is kept awake");

    scene.channels.voices.get(&LIFE.service).unwrap().closer.clear();
    assert_eq!(scene.hear(10 * MILLISECOND), [Saying::Hello, Saying::Ready]);
}

#[test]
fn what_strangers_send_to_be_closed_keeps_nobody_from_the_control_socket() {
    let mut scene = scene();
    scene.channels.closer.fill();
    scene.notify("WATCHDOG=1");
    scene.say(b"READY=1");

    let mut said = scene.hear(0);
    said.extend(scene.hear(10 * MILLISECOND));

    assert_eq!(said, [Saying::Hello, Saying::Ready]);
}

#[test]
fn of_many_who_say_too_much_all_rest() {
    const MANY: u32 = 48;
    let mut channels = Channels::new().unwrap();
    let mut theirs = Vec::new();
    for number in 0..MANY {
        let (ours, control) = Port::pair().unwrap();
        let control = Port::from_kept(control);
        let life = Life { service: ServiceId(number), generation: Generation(1) };
        let ends = Ends { control: Some(ours), ..Ends::default() };
        channels.add(life, &Asks::silent("gauge", 0), (1, None), ends);
        channels.listen(life, 0);
        // The first one says a thing once.
        for _ in 0..if number == 0 { 1 } else { 2 * MESSAGES_MAX } {
            control.send(b"WATCHDOG=1", &[]).unwrap();
        }
        theirs.push(control);
    }

    channels.hear(0, &mut Vec::new());

    assert_eq!(channels.resting.len(), MANY as usize - 1);
    assert!(channels.resting.iter().all(|(_, life)| life.service != ServiceId(0)));
    let mut again = Vec::new();
    channels.hear(0, &mut again);
    assert!(again.is_empty());
}

#[test]
fn strangers_are_looked_for_a_few_times_only() {
    let mut child = std::process::Command::new("/bin/sleep").arg("600").spawn().unwrap();
    let mut scene = scene_of(child.id());
    let strangers = MESSAGES_MAX / STRANGER_COSTS;

    for number in 0..u32::try_from(strangers).unwrap() {
        // Each is another one, as far as is remembered.
        let voice = scene.channels.voices.get_mut(&LIFE.service).unwrap();
        voice.strangers = Strangers::default();
        scene.notify("READY=1");
        let mut inputs = Vec::new();
        scene.channels.take(LIFE.service, Kind::Notify, 1, 0, &mut inputs);
        assert_eq!(scene.channels.resting.len(), 0, "{number}");
    }
    scene.hear(0);

    assert_eq!(scene.channels.resting.len(), 1);
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn what_comes_after_the_end_of_its_process_is_closed_and_not_heard() {
    let mut scene = scene();
    let mut inputs = Vec::new();
    scene.channels.finish(LIFE, 0, &mut inputs);
    let (waits, sent) = newline().unwrap();
    scene.control.send(b"READY=1", &[sent.as_fd()]).unwrap();
    drop(sent);

    scene.channels.bury();

    assert!(inputs.is_empty());
    poll(&mut [PollFd::new(&waits, PollFlags::IN)], None).unwrap();
    assert_eq!(read(&waits, &mut [0]), Ok(0));
    assert!(scene.hear(0).is_empty());
    let mut events = Events::new();
    scene.channels.poller.wait(&mut events, Some(Duration::ZERO)).unwrap();
    assert_eq!(events.iter().count(), 0);
}

#[test]
fn the_end_of_a_life_tells_the_keeper_of_its_channels_once() {
    let mut scene = scene();
    write(&scene.newline, b"\n").unwrap();
    scene.hear(0);

    scene.channels.finish(LIFE, 0, &mut Vec::new());

    assert_eq!(scene.channels.next_closed(10 * MILLISECOND), None);
    assert_eq!(scene.channels.rest_in(0), None);
}
