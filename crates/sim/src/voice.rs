//! What a program says of itself, when it answers and when it is well: drawn for each
//! life of a service that asks for more than Supervisor's rules.

use std::collections::VecDeque;
use std::time::Duration;

use bardo_core::Instant;
use bardo_core::input::Saying;
use bardo_core::spec::Care;
use bardo_core::spec::care::Ready;

use crate::random::Random;

/// Most words of one life that nobody asks for.
const WORDS_MAX: u32 = 20;

/// What one life says.
#[derive(Debug, Clone, Default)]
pub struct Voice {
    /// What it will say by itself, in order.
    words: VecDeque<(Instant, Saying)>,
    /// The same before it has executed: counted from its first instruction.
    plan: Vec<(Duration, Saying)>,
    /// How long it takes to answer.
    answer: Duration,
    /// From when on it says nothing any more, counted from its first instruction.
    hangs_after: Option<Duration>,
    /// From when on checks fail, counted likewise.
    sick_after: Option<Duration>,
    begun: Option<Instant>,
}

impl Voice {
    /// Draws what a life says.
    #[must_use]
    pub fn draw(random: &mut Random, care: &Care) -> Self {
        let within = care.readiness.within;
        let speaks = match care.readiness.by {
            Ready::Auto => random.happens(600),
            Ready::Says { .. } => true,
            Ready::Alive | Ready::Checks(_) => random.happens(200),
        };
        let mut plan = Vec::new();
        if speaks {
            Self::plan_start(random, within, &mut plan);
        }
        if random.happens(80) {
            let after = Duration::from_millis(random.below(8000));
            let word = random.pick(&[
                Saying::Trigger,
                Saying::Ready,
                Saying::Failed(5),
                Saying::Period(Duration::ZERO),
                Saying::Extend(Duration::from_secs(2)),
            ]);
            plan.push((after, word));
        }
        if random.happens(80) {
            Self::plan_own_beat(random, &mut plan);
        }
        plan.sort_by_key(|(after, _)| *after);
        let period = care.heartbeat.map_or(1000, |heartbeat| heartbeat.period.as_millis());
        let period = u64::try_from(period).unwrap_or(1000);
        let slow = random.pick(&[5, 5, 5, period, 2 * period + 20]);
        Self {
            words: VecDeque::new(),
            plan,
            answer: Duration::from_micros(1 + random.below(1000 * slow)),
            hangs_after: random.happens(300).then(|| Duration::from_millis(random.below(15_000))),
            sick_after: random.happens(300).then(|| Duration::from_millis(random.below(15_000))),
            begun: None,
        }
    }

    fn plan_start(random: &mut Random, within: Duration, plan: &mut Vec<(Duration, Saying)>) {
        let moment = Duration::from_micros(random.below(5000));
        let ready = match random.below(10) {
            0..6 => moment,
            6 => within.mul_f64(0.5),
            7 => within.saturating_sub(moment),
            8 => within + moment,
            _ => within * 3,
        };
        if random.happens(600) {
            plan.push((moment.min(ready) / 2, Saying::Hello));
        }
        if random.happens(150) {
            plan.push((ready / 2, Saying::Extend(Duration::from_secs(random.below(8)))));
        }
        let word = match random.below(30) {
            0 => Saying::Failed(78),
            1 | 2 => Saying::Reset,
            _ => Saying::Ready,
        };
        plan.push((ready, word));
    }

    /// It says by itself that it lives, more or less as often as it promises.
    fn plan_own_beat(random: &mut Random, plan: &mut Vec<(Duration, Saying)>) {
        let period = Duration::from_millis(200 + random.below(2000));
        let mut after = Duration::from_millis(random.below(3000));
        plan.push((after, Saying::Period(period)));
        for _ in 0..random.below(u64::from(WORDS_MAX)) {
            after += period * u32::try_from(1 + random.below(9)).expect("a digit") / 4;
            plan.push((after, Saying::Alive));
        }
    }

    /// It executes its program.
    pub fn begin(&mut self, now: Instant) {
        self.begun = Some(now);
        self.words = self.plan.drain(..).map(|(after, word)| (now + after, word)).collect();
    }

    /// It is asked for a sign of life.
    pub fn ask(&mut self, now: Instant) {
        let at = now + self.answer;
        let place = self.words.partition_point(|(there, _)| *there <= at);
        self.words.insert(place, (at, Saying::Alive));
    }

    /// When it says something next.
    #[must_use]
    pub fn next(&self) -> Option<Instant> {
        let (at, _) = self.words.front()?;
        self.begun.is_none_or(|_| !self.is_hung(*at)).then_some(*at)
    }

    /// What it says by then.
    pub fn speak(&mut self, now: Instant) -> Option<Saying> {
        self.next().filter(|at| *at <= now)?;
        self.words.pop_front().map(|(_, word)| word)
    }

    /// Whether it has stopped to do anything by then.
    #[must_use]
    pub fn is_hung(&self, now: Instant) -> bool {
        self.is_past(self.hangs_after, now)
    }

    /// Whether a check of it succeeds.
    #[must_use]
    pub fn is_well(&self, now: Instant) -> bool {
        self.begun.is_some() && !self.is_hung(now) && !self.is_past(self.sick_after, now)
    }

    fn is_past(&self, after: Option<Duration>, now: Instant) -> bool {
        match (self.begun, after) {
            (Some(begun), Some(after)) => begun + after <= now,
            _ => false,
        }
    }
}
