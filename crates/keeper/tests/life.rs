//! A keeper from its first moment to its last, with supervisors that do as they are told.
//!
//! This executable plays all parts: the test, the keeper, whose allocations are counted,
//! and the supervisors that it starts. A keeper that has allocated nothing after its start
//! has allocated as often in a long and varied life as in the shortest one.

use std::alloc::System;
use std::ffi::CString;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};

use bardo_keeper::protocol::{Key, Message, Predecessor, Roles, ToKeeper, ToSupervisor};
use bardo_keeper::{Listener, Settings, run};
use bardo_sys::channel::{Channel, Received, Wait};
use bardo_sys::launch::{Launch, c_string, inherited, own_executable};
use bardo_sys::process::kill_child;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// The variable that says which part a process plays, and in which scene.
const PART: &str = "KEEPER_PART";

/// Processes that end during the long life: more than one message tells of.
const ENDS: usize = 300;

/// Descriptors that are held during it: several batches, and most are dropped again.
const HELD: usize = 400;

/// What supervisors do, the first of them, the second and so on. The last goes on.
const SCENES: [(&str, &[Deed]); 4] = [
    ("short", &[Deed::Finish]),
    (
        "long",
        &[Deed::Work, Deed::Die, Deed::Die, Deed::Die, Deed::Work, Deed::TakeNothing, Deed::Finish],
    ),
    ("helpless", &[Deed::LeaveChildren, Deed::Die]),
    ("tried again", &[Deed::Die, Deed::Fail, Deed::Fail, Deed::Finish]),
];

/// A test: whether a scene goes as the shortest one did.
type Test = fn(&str) -> bool;

/// What a supervisor does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Deed {
    /// Takes over and works, then dies.
    Work,
    /// Dies before it has taken over.
    Die,
    /// Takes over and ends by itself at once.
    Fail,
    /// Takes over and leaves untaken what it is handed.
    TakeNothing,
    /// Takes over, and leaves children that do not listen to SIGTERM.
    LeaveChildren,
    /// Takes over and says that all is over.
    Finish,
}

fn main() -> io::Result<()> {
    let part = std::env::var(PART).unwrap_or_default();
    let (part, scene) = part.split_once(':').unwrap_or(("test", ""));
    match part {
        "keeper" => keep(scene),
        "supervisor" => {
            // What is not as it should be ends the keeper, and so the test, with a failure.
            let well = std::panic::catch_unwind(|| supervise(scene)).is_ok_and(|end| end.is_ok());
            if !well && let Some(socket) = inherited(3) {
                let finish = Message::to_keeper(ToKeeper::Finish(1));
                let channel = Channel::from_inherited(socket);
                channel.send(finish.bytes(), &[], Wait::ForRoom)?;
            }
            Ok(())
        }
        "watcher" => watch(scene),
        _ => test(),
    }
}

fn test() -> io::Result<()> {
    let shortest = play("short")?;
    let tests: [(&str, Test); 3] = [
        ("a_long_life_allocates_no_more_than_a_short_one", |shortest| {
            play("long").is_ok_and(|long| long == shortest)
        }),
        ("without_a_supervisor_a_stop_ends_every_child", |shortest| {
            play("helpless").is_ok_and(|helpless| helpless == shortest)
        }),
        ("whoever_watches_can_have_the_next_one_tried_at_once", |shortest| {
            play("tried again").is_ok_and(|again| again == shortest)
        }),
    ];
    let mut failed = 0;
    for (name, holds) in tests {
        let well = holds(&shortest);
        failed += usize::from(!well);
        println!("test {name} ... {}", if well { "ok" } else { "FAILED" });
    }
    let verdict = if failed == 0 { "ok" } else { "FAILED" };
    println!("\ntest result: {verdict}. {} passed; {failed} failed", tests.len() - failed);
    std::process::exit(i32::from(failed > 0));
}

/// Runs a keeper through a scene; how often it has allocated, as it says itself.
fn play(scene: &str) -> io::Result<String> {
    let keeper = Command::new(std::env::current_exe()?)
        .env(PART, format!("keeper:{scene}"))
        .stderr(Stdio::inherit())
        .process_group(0)
        .output()?;
    let said = String::from_utf8_lossy(&keeper.stdout).into_owned();
    let told = said.lines().last().unwrap_or_default().to_owned();
    if keeper.status.success() && told.starts_with("allocations ") {
        return Ok(told);
    }
    println!("{scene}: {} {said}", keeper.status);
    Err(io::ErrorKind::Other.into())
}

fn keep(scene: &str) -> io::Result<()> {
    let launch = |part: &str| -> io::Result<Launch> {
        let mut environment: Vec<CString> =
            vec![c_string(format!("{PART}={part}:{scene}").as_bytes())];
        if let Ok(path) = std::env::var("PATH") {
            environment.push(c_string(format!("PATH={path}").as_bytes()));
        }
        Ok(Launch::new(own_executable()?, vec![c_string(part.as_bytes())], environment))
    };
    let settings = Settings {
        supervisor: launch("supervisor")?,
        watcher: launch("watcher")?,
        journal: std::fs::File::open("/dev/null")?.into(),
        held: Vec::new(),
        kept_open: Vec::new(),
        hang_timeout: 2_000_000_000,
        stop_wait: 100_000_000,
        descriptors_max: 1024,
        listener: Listener::default(),
        resumed: None,
    };
    let counted = Region::new(ALLOCATOR);
    let code = run(settings)?;
    let count = counted.change();
    println!("allocations {} {}", count.allocations, count.reallocations);
    std::process::exit(code);
}

/// A supervisor's or a watcher's end of the talk.
struct Talk {
    channel: Channel,
    message: Message,
    /// How many descriptors it was given.
    held: usize,
}

impl Talk {
    fn new() -> io::Result<Self> {
        // A copy, so that there is still one when this is over.
        let socket = inherited(3).ok_or(io::ErrorKind::NotFound)?;
        let copy = socket.try_clone()?;
        std::mem::forget(socket);
        Ok(Self { channel: Channel::from_inherited(copy), message: Message::default(), held: 0 })
    }

    fn say(&self, what: ToKeeper) -> io::Result<()> {
        self.channel.send(Message::to_keeper(what).bytes(), &[], Wait::ForRoom)
    }

    fn hear(&mut self) -> io::Result<Option<ToSupervisor>> {
        let received = self.channel.receive(self.message.room(), Wait::ForRoom, drop)?;
        let Received::Message(length) = received else {
            return Err(io::ErrorKind::UnexpectedEof.into());
        };
        self.message.set_length(length);
        Ok(self.message.from_keeper())
    }

    /// Takes all that is held; what became of the one before.
    fn take(&mut self) -> io::Result<Predecessor> {
        loop {
            self.say(ToKeeper::Next)?;
            match self.hear()? {
                Some(ToSupervisor::Held) => self.held += self.message.held().count(),
                Some(ToSupervisor::Begin(predecessor)) => return Ok(predecessor),
                _ => {}
            }
        }
    }
}

fn supervise(scene: &str) -> io::Result<()> {
    let mut talk = Talk::new()?;
    let predecessor = talk.take()?;
    let deeds = SCENES.iter().find(|(name, _)| *name == scene).map_or(&[][..], |(_, deeds)| deeds);
    let last = deeds.last().copied().unwrap_or(Deed::Finish);
    match deeds.get(predecessor.count as usize).copied().unwrap_or(last) {
        Deed::Die => std::process::exit(101),
        Deed::Fail => {
            talk.say(ToKeeper::TookOver)?;
            std::process::exit(101)
        }
        Deed::Work => work(&mut talk, predecessor.count > 0),
        Deed::TakeNothing => {
            talk.say(ToKeeper::TookOver)?;
            leave("sleep 0 &")?;
            // Nothing is taken any more, until the keeper ends this.
            loop {
                std::thread::park();
            }
        }
        Deed::LeaveChildren => {
            talk.say(ToKeeper::TookOver)?;
            leave("trap '' TERM; sh -c 'sleep 1000 & sleep 1000' & sleep 1000 &")?;
            be_killed()
        }
        Deed::Finish => {
            let was_killed = predecessor.hung && predecessor.status == 9;
            assert!(scene != "long" || was_killed, "{predecessor:?}");
            talk.say(ToKeeper::TookOver)?;
            talk.say(ToKeeper::Finish(0))
        }
    }
}

/// Hands over descriptors and takes exits and signals, until all have come. The second
/// time what was handed over is still there.
fn work(talk: &mut Talk, again: bool) -> io::Result<()> {
    assert_eq!(talk.held, if again { HELD / 4 } else { 0 });
    talk.say(ToKeeper::TookOver)?;
    let file = std::fs::File::open("/dev/null")?;
    for owner in 0..HELD {
        let key = Key { owner: u32::try_from(owner).unwrap_or(0), life: 1 };
        let message = Message::to_keeper(ToKeeper::Hold(key, Roles::STDOUT));
        talk.channel.send(message.bytes(), &[file.as_fd()], Wait::ForRoom)?;
        if owner % 4 != 0 || again {
            talk.say(ToKeeper::Drop(key, Roles::ALL))?;
        }
    }
    leave(&format!("for i in $(seq {ENDS}); do (exit 3) & done"))?;
    let mut ended = 0;
    let mut signals = 0;
    kill_child(std::os::unix::process::parent_id(), 1);
    while ended < ENDS || signals == 0 {
        match talk.hear()? {
            Some(ToSupervisor::Exits) => {
                let failed = talk.message.exits().filter(|exit| exit.status == 3 << 8);
                ended += failed.inspect(|exit| assert!(exit.at > 0)).count();
                if let Some(last) = talk.message.exits().last() {
                    talk.say(ToKeeper::ExitsTaken(last.sequence))?;
                }
            }
            Some(ToSupervisor::Signals(which)) => {
                signals |= which;
                talk.say(ToKeeper::SignalsTaken(which))?;
            }
            _ => {}
        }
    }
    assert_eq!(signals, 1 << 1);
    be_killed()
}

/// Ends as by somebody else's hand: the next one is tried at once.
fn be_killed() -> ! {
    kill_child(std::process::id(), 9);
    std::process::abort()
}

/// Runs a script whose children are the keeper's afterwards.
fn leave(script: &str) -> io::Result<()> {
    let nothing = Stdio::null;
    let ended = Command::new("sh").args(["-c", script]).stdout(nothing()).stdin(nothing()).status();
    ended.map(|_| ())
}

/// It has the next one tried at once, or asks for the end of all.
fn watch(scene: &str) -> io::Result<()> {
    let mut talk = Talk::new()?;
    let predecessor = talk.take()?;
    assert!(predecessor.failures >= 3 && predecessor.next_try > 0, "{predecessor:?}");
    if scene == "helpless" {
        kill_child(std::os::unix::process::parent_id(), 15);
        let _ = talk.hear();
    }
    Ok(())
}
