//! The one loop: gather, decide, act.

use crate::action::{Action, Actions, Notice};
use crate::decision::Decision;
use crate::event::Event;
use crate::id::{Generation, ServiceId};
use crate::input::Input;
use crate::supervisor::Supervisor;
use crate::time::{Instant, Now};

/// What the loop turns in: the machine, or the simulator's idea of one.
pub trait World {
    /// The time.
    fn now(&mut self) -> Now;

    /// Waits until something has happened or `deadline` has come, and adds what
    /// has happened to `inputs`. The only place that may block.
    fn wait(&mut self, deadline: Option<Instant>, inputs: &mut Vec<Input>);

    /// Whether the process of a life has ended, as far as can be seen from here: its exit may
    /// come much later, through somebody else.
    fn is_dead(&mut self, service: ServiceId, generation: Generation) -> bool;

    /// Takes an event for the listeners. The next [`Self::record`] writes it down together
    /// with the change that it tells of, both or neither: no kill comes between.
    fn publish(&mut self, supervisor: &Supervisor, event: Event);

    /// Takes a decision that people may ask for. It is written down like an event.
    fn decided(&mut self, decision: Decision);

    /// Takes a line about the end of a process that is said later, by [`Self::perform`]. It is
    /// written down like an event, so that a successor says what was not said.
    fn owe(&mut self, supervisor: &Supervisor, notice: &Notice);

    /// Writes down every change since the last call. No action that follows from
    /// a change is performed before this returns.
    fn record(&mut self, supervisor: &mut Supervisor);

    /// Does one thing; what is known of its result at once is the next input.
    fn perform(&mut self, supervisor: &Supervisor, action: Action) -> Option<Input>;
}

/// Turns the crank until the supervisor has finished.
pub fn run(supervisor: &mut Supervisor, world: &mut impl World) {
    let mut inputs = Vec::new();
    let mut actions = Actions::default();
    while !supervisor.is_finished() {
        world.wait(supervisor.deadline(), &mut inputs);
        turn(supervisor, world, &mut inputs, &mut actions);
    }
}

/// One turn: takes all that has happened, decides all, then acts. What happened
/// is taken before deadlines are looked at, so an exit that is already known is
/// never answered with a kill; and who is to count as alive because a deadline has come is
/// looked at, because news of an end may be late.
pub fn turn(
    supervisor: &mut Supervisor,
    world: &mut impl World,
    inputs: &mut Vec<Input>,
    actions: &mut Actions,
) {
    let now = world.now();
    for input in inputs.drain(..) {
        supervisor.step(now, input, actions);
    }
    if supervisor.deadline().is_some_and(|deadline| deadline <= now.instant) {
        let presumed = supervisor.presumed_alive(now.instant);
        let dead = presumed.filter(|(service, generation)| world.is_dead(*service, *generation));
        for (service, generation) in dead.collect::<Vec<_>>() {
            supervisor.step(now, Input::Dead { service, generation }, actions);
        }
        supervisor.step(now, Input::Timeout, actions);
    }
    record(supervisor, world, actions);
    while let Some(action) = actions.pop() {
        if let Some(outcome) = world.perform(supervisor, action) {
            supervisor.step(world.now(), outcome, actions);
            record(supervisor, world, actions);
        }
    }
}

fn record(supervisor: &mut Supervisor, world: &mut impl World, actions: &mut Actions) {
    while let Some(event) = actions.pop_event() {
        world.publish(supervisor, event);
    }
    while let Some(decision) = actions.pop_decision() {
        world.decided(decision);
    }
    while let Some(notice) = actions.pop_owed() {
        world.owe(supervisor, &notice);
    }
    world.record(supervisor);
}
