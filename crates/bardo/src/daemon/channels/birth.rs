//! What a program that speaks is born with: its ends of the channels, and the variables
//! that name them.

use std::io;
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd, RawFd};
use std::time::Duration;

use bardo_core::Supervisor;
use bardo_core::service::Service;
use bardo_core::spec::Care;
use bardo_core::spec::care::Ready;
use bardo_sys::control::Port;
use bardo_sys::spawn::{Extra, Extras, Variable};
use bardo_wire::control::{Init, Order, Start};
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::pipe::{PipeFlags, pipe_with};

use super::super::children::Life;
use super::Ends;
use crate::names::namespec;

/// The number of a program's control socket; the next one where the first is wanted for
/// the newline that says that it is ready, as s6 has it.
const CONTROL: RawFd = 3;
const CONTROL_ELSE: RawFd = 4;

/// What a program that speaks is to be given.
#[derive(Debug, Clone)]
pub(crate) struct Asks {
    /// Its label.
    pub(super) label: Box<str>,
    /// As whom it runs.
    pub(super) uid: u32,
    /// How often it owes a sign of life.
    pub(super) period: Option<Duration>,
    /// The number of the last ping of its service.
    pub(super) pings: u32,
    /// On which descriptor it writes a newline when it is ready.
    ready: Option<RawFd>,
    init: Init,
    restarts: u32,
}

/// Most channels that are made before anybody asks for them. Who crashes together with more
/// than so many others waits for his turn anyway.
const STOCK_MAX: usize = 4;

/// The sockets of a life that nobody has yet.
#[derive(Debug)]
struct Blank {
    control: Port,
    its_control: OwnedFd,
    notify: Port,
    address: String,
}

impl Blank {
    fn new() -> io::Result<Self> {
        let (control, its_control) = Port::pair()?;
        let notify = Port::bind()?;
        let address = notify.name()?.unwrap_or_default();
        Ok(Self { control, its_control, notify, address })
    }
}

/// Channels that are made before anybody asks for them, so that a service that crashes does
/// not wait for that. Nothing needs them: one that is not there is made when it is wanted.
#[derive(Debug, Default)]
pub(crate) struct Stock {
    blanks: Vec<Blank>,
}

impl Stock {
    /// Sees to it that there are as many as so many services may want, all of them with
    /// descriptors below this number.
    pub(crate) fn fill(&mut self, services: usize, below: impl Fn() -> RawFd) {
        let wanted = services.min(STOCK_MAX);
        self.blanks.truncate(wanted);
        if self.blanks.len() == wanted {
            return;
        }
        let below = below();
        while self.blanks.len() < wanted {
            // One that cannot be made now is made when it is needed.
            let Ok(blank) = Blank::new() else { return };
            if blank.notify.as_fd().as_raw_fd() >= below {
                return;
            }
            self.blanks.push(blank);
        }
    }

    /// Closes all of them; whether there were any.
    pub(crate) fn give_up(&mut self) -> bool {
        !std::mem::take(&mut self.blanks).is_empty()
    }

    fn take(&mut self) -> io::Result<Blank> {
        self.blanks.pop().map_or_else(Blank::new, Ok)
    }
}

/// The channels of a process that is about to be made.
#[derive(Debug)]
pub(crate) struct Opened {
    /// Our ends.
    ends: Ends,
    control: (OwnedFd, RawFd),
    ready: Option<(OwnedFd, RawFd)>,
    address: String,
    period: Option<Duration>,
}

impl Asks {
    /// What a service asks for; nothing where it does not speak. What was brought up may
    /// speak whatever it asks for.
    pub(crate) fn of(supervisor: &Supervisor, service: &Service) -> Option<Box<Self>> {
        let is_brought = supervisor.is_brought(service.id);
        let care = service.spec.program.care.as_ref();
        let care = care.filter(|care| is_brought || care.speaks())?;
        let ours = || rustix::process::geteuid().as_raw();
        let vitals = service.vitals.as_ref();
        let recovers = vitals.is_some_and(|vitals| vitals.recovers || vitals.renews);
        Some(Box::new(Self {
            label: namespec(&service.group, &service.spec.name).into(),
            uid: service.spec.program.user.as_ref().map_or_else(ours, |user| user.uid),
            period: care.heartbeat.map(|heartbeat| heartbeat.period),
            pings: vitals.map_or(0, |vitals| vitals.pings),
            ready: ready_descriptor(care).and_then(|number| number.try_into().ok()),
            init: if recovers { Init::Restart } else { Init::Fresh },
            restarts: vitals.map_or(0, |vitals| vitals.restarts),
        }))
    }

    /// What a service has asked for whose present life a predecessor has begun: that may have
    /// said itself how often it gives a sign of life.
    pub(crate) fn resumed(supervisor: &Supervisor, service: &Service) -> Option<Box<Self>> {
        let mut asks = Self::of(supervisor, service)?;
        let own = service.vitals.as_ref().and_then(|vitals| vitals.life.period);
        asks.period = own.or(asks.period);
        Some(asks)
    }

    /// Opens the channels of a life, with the first message in them.
    ///
    /// # Errors
    /// When there are no descriptors to be had.
    pub(crate) fn open(&self, life: Life, stock: &mut Stock) -> io::Result<Opened> {
        let Blank { control, its_control, notify, address } = stock.take()?;
        let number = if self.ready == Some(CONTROL) { CONTROL_ELSE } else { CONTROL };
        let mut ends = Ends { control: Some(control), notify: Some(notify), ready: None };
        let mut ready = None;
        if let Some(number) = self.ready {
            let (read, write) = newline()?;
            ends.ready = Some(read);
            ready = Some((write, number));
        }
        let opened =
            Opened { ends, control: (its_control, number), ready, address, period: self.period };
        opened.say(&self.start(life))?;
        Ok(opened)
    }

    /// What one asks for that has no heartbeat, for tests.
    #[cfg(test)]
    pub(super) fn silent(label: &str, uid: u32) -> Self {
        let (init, restarts) = (Init::Fresh, 0);
        Self { label: label.into(), uid, period: None, pings: 0, ready: None, init, restarts }
    }

    fn start(&self, life: Life) -> Order<'_> {
        Order::Init(Start {
            init: self.init,
            restarts: self.restarts,
            label: &self.label,
            instance: life.generation.0.into(),
            names: "",
        })
    }
}

impl Opened {
    /// Does something with what the child is born with.
    pub(crate) fn with_extras<T>(
        &self,
        cgroup: Option<BorrowedFd<'_>>,
        act: impl FnOnce(&Extras<'_>) -> T,
    ) -> T {
        let control = Extra { file: self.control.0.as_fd(), number: self.control.1 };
        let ready = self.ready.as_ref();
        let ready = ready.map(|(file, number)| Extra { file: file.as_fd(), number: *number });
        let both = [control, ready.unwrap_or(control)];
        let number = self.control.1.to_string();
        let period = self.period.unwrap_or_default().as_micros().to_string();
        let variables = [
            Variable::Text("BARDO_CTL", &number),
            Variable::Text("NOTIFY_SOCKET", &self.address),
            Variable::Text("WATCHDOG_USEC", &period),
            Variable::OwnPid("WATCHDOG_PID"),
        ];
        act(&Extras {
            files: &both[..1 + usize::from(ready.is_some())],
            variables: &variables[..if self.period.is_some() { 4 } else { 2 }],
            cgroup,
        })
    }

    /// Our ends.
    pub(crate) fn ends(&self) -> &Ends {
        &self.ends
    }

    /// Our ends, when the child has its own.
    pub(crate) fn into_ends(self) -> Ends {
        self.ends
    }

    fn say(&self, order: &Order<'_>) -> io::Result<()> {
        let mut words = Vec::new();
        // A label that cannot be sent is one that no file can have; the program goes
        // without the message then.
        if order.write(&mut words).is_ok()
            && let Some(control) = &self.ends.control
        {
            control.send(&words, &[])?;
        }
        Ok(())
    }
}

/// Both ends of a pipe for a newline. To read from it never waits.
///
/// # Errors
/// What `pipe2` or `fcntl` says.
pub(super) fn newline() -> io::Result<(OwnedFd, OwnedFd)> {
    let (read, write) = pipe_with(PipeFlags::CLOEXEC)?;
    fcntl_setfl(&read, fcntl_getfl(&read)? | OFlags::NONBLOCK)?;
    Ok((read, write))
}

/// The number that `ready=fd:N` names.
fn ready_descriptor(care: &Care) -> Option<u32> {
    match care.readiness.by {
        Ready::Says { descriptor } => descriptor,
        Ready::Auto | Ready::Alive | Ready::Checks(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use bardo_core::{Generation, ServiceId};
    use rustix::net::{RecvFlags, recv};

    use super::*;

    const LIFE: Life = Life { service: ServiceId(7), generation: Generation(3) };

    fn born_with(asks: &Asks) -> (Vec<RawFd>, Vec<String>) {
        let opened = asks.open(LIFE, &mut Stock::default()).unwrap();
        let address = opened.address.clone();
        opened.with_extras(None, |extras| {
            let variable = |variable: &Variable<'_>| match variable {
                Variable::Text(name, value) if *value == address => format!("{name}=@"),
                Variable::Text(name, value) => format!("{name}={value}"),
                Variable::OwnPid(name) => format!("{name}=pid"),
            };
            let numbers = extras.files.iter().map(|extra| extra.number);
            (numbers.collect(), extras.variables.iter().map(variable).collect())
        })
    }

    #[test]
    fn a_program_finds_its_channels_by_its_variables() {
        let plain = Asks::silent("gauge", 0);
        let (numbers, variables) = born_with(&plain);
        assert_eq!(numbers, [3]);
        assert_eq!(variables, ["BARDO_CTL=3", "NOTIFY_SOCKET=@"]);

        let period = Some(Duration::from_millis(1500));
        let (numbers, variables) = born_with(&Asks { ready: Some(5), period, ..plain.clone() });
        assert_eq!(numbers, [3, 5]);
        let timed = ["WATCHDOG_USEC=1500000", "WATCHDOG_PID=pid"];
        assert_eq!(variables[2..], timed);

        let (numbers, variables) = born_with(&Asks { ready: Some(3), ..plain });
        assert_eq!(numbers, [4, 3], "the one of s6 has its usual number");
        assert_eq!(variables[0], "BARDO_CTL=4");
    }

    #[test]
    fn the_first_message_waits_before_there_is_a_process() {
        let asks = Asks { init: Init::Restart, restarts: 2, ..Asks::silent("web:gauge", 0) };

        let opened = asks.open(LIFE, &mut Stock::default()).unwrap();

        let mut bytes = [0; 64];
        let (length, _) = recv(&opened.control.0, &mut bytes, RecvFlags::DONTWAIT).unwrap();
        let expected = b"INIT=restart\nRESTARTS=2\nLABEL=web:gauge\nINSTANCE=3";
        assert_eq!(bytes[..length], *expected);
    }

    #[test]
    fn channels_are_made_ahead_for_those_who_may_want_them_and_not_for_more() {
        let mut stock = Stock::default();

        stock.fill(2, || RawFd::MAX);
        assert_eq!(stock.blanks.len(), 2);
        stock.fill(100, || RawFd::MAX);
        assert_eq!(stock.blanks.len(), STOCK_MAX);
        let next = stock.blanks.last().unwrap().address.clone();
        let opened = Asks::silent("gauge", 0).open(LIFE, &mut stock).unwrap();
        assert_eq!(opened.address, next, "one of them is used");
        assert_eq!(stock.blanks.len(), STOCK_MAX - 1);
        stock.fill(0, || RawFd::MAX);
        assert!(stock.blanks.is_empty(), "nobody can speak any more");
        stock.fill(1, || 0);
        assert!(stock.blanks.is_empty(), "descriptors are short");
        assert!(!stock.give_up());
        stock.fill(1, || RawFd::MAX);
        assert!(stock.give_up());
        assert!(Asks::silent("gauge", 0).open(LIFE, &mut stock).is_ok(), "one is made");
    }
}
