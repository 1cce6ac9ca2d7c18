//! Work that may take its time, done beside the control thread, each piece on a thread that
//! ends with it. What comes of it is taken in when the control thread is woken.
//!
//! How many of them there are at a time is up to whoever gives them out.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use bardo_core::Input;
use bardo_sys::clock;
use bardo_sys::image::{Image, ImageError};
use bardo_sys::plan::Plan;
use bardo_sys::waker::Waker;

use super::images::Wanted;
use super::trees::{Changed, Left};
use super::variables::{self, Unusable};
use super::world::Machine;

/// What has come of a piece of work.
#[derive(Debug)]
pub(super) enum Done {
    /// What was left of a life is gone, or stays.
    Gone(Left),
    /// All of that was told which a thread was sent for.
    Swept,
    /// The trees of some lives have been killed, or it is said what of them cannot be.
    Killed(Option<String>),
    /// A program was copied into memory, or cannot be.
    Loaded(Wanted, Result<Image, ImageError>),
    /// A file of variables was read for a start, or cannot be.
    Read(variables::Wanted, Result<Plan, Unusable>),
    /// A running service has been given other limits.
    Changed(Changed),
}

/// What a piece of work tells.
#[derive(Debug)]
struct Told {
    what: Done,
    is_last: bool,
}

/// What tells of a piece of work while it goes on.
pub(super) struct Teller {
    sender: Sender<Told>,
    waker: Arc<Waker>,
}

impl Teller {
    pub(super) fn tell(&self, what: Done) {
        self.send(what, false);
    }

    fn send(&self, what: Done, is_last: bool) {
        // Nobody waits for it any more when everything ends.
        let _ = self.sender.send(Told { what, is_last });
        self.waker.wake();
    }
}

/// The work that is under way.
#[derive(Debug)]
pub(super) struct Errands {
    results: (Sender<Told>, Receiver<Told>),
    waker: Arc<Waker>,
    under_way: usize,
}

impl Errands {
    /// None yet.
    pub(super) fn new(waker: Arc<Waker>) -> Self {
        Self { results: channel(), waker, under_way: 0 }
    }

    /// Begins a piece of work.
    ///
    /// # Errors
    /// When there is no thread to be had: then it is not begun.
    pub(super) fn begin(
        &mut self,
        name: &str,
        work: impl FnOnce() -> Done + Send + 'static,
    ) -> io::Result<()> {
        self.begin_telling(name, move |_| work())
    }

    /// Begins a piece of work that has something to tell while it goes on.
    ///
    /// # Errors
    /// When there is no thread to be had: then it is not begun.
    pub(super) fn begin_telling(
        &mut self,
        name: &str,
        work: impl FnOnce(&Teller) -> Done + Send + 'static,
    ) -> io::Result<()> {
        let teller = Teller { sender: self.results.0.clone(), waker: Arc::clone(&self.waker) };
        let whole = move || teller.send(work(&teller), true);
        std::thread::Builder::new().name(name.to_owned()).spawn(whole)?;
        self.under_way += 1;
        Ok(())
    }

    /// What has come of the next piece that tells something.
    pub(super) fn next(&mut self) -> Option<Done> {
        let Told { what, is_last } = self.results.1.try_recv().ok()?;
        self.under_way -= usize::from(is_last);
        Some(what)
    }

    /// Waits until all is done that was begun, until this moment at most.
    pub(super) fn finish(&mut self, give_up_at: u64) {
        while self.under_way > 0 {
            let left = Duration::from_nanos(give_up_at.saturating_sub(clock::monotonic()));
            let Ok(told) = self.results.1.recv_timeout(left) else { return };
            self.under_way -= usize::from(told.is_last);
        }
    }
}

impl Machine {
    /// Takes in what has come of the work that was given out.
    pub(super) fn errands_done(&mut self, inputs: &mut Vec<Input>) {
        let mut is_gone = false;
        while let Some(done) = self.errands.next() {
            match done {
                Done::Gone(left) => {
                    is_gone = true;
                    inputs.extend(self.gone(&left));
                }
                Done::Swept => self.swept(),
                Done::Loaded(wanted, loaded) => self.loaded(wanted, loaded, inputs),
                Done::Read(wanted, read) => self.read(wanted, read, inputs),
                Done::Killed(refusal) => self.killed(refusal.as_deref()),
                Done::Changed(changed) => self.was_confined(changed),
            }
        }
        if is_gone {
            self.let_go();
        }
    }
}
