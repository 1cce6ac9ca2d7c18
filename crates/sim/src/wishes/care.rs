//! What users wish beyond Supervisor's rules.

use std::sync::Arc;
use std::time::Duration;

use bardo_core::spec::Care;
use bardo_core::spec::care::{
    Check, Copying, Delay, EarlyDeath, Health, Heartbeat, Ready, Reset, Script,
};

use crate::random::Random;

/// Draws what a program asks for beyond Supervisor's rules; nothing for some.
pub(super) fn care(random: &mut Random) -> Option<Arc<Care>> {
    if !random.happens(700) {
        return None;
    }
    let milliseconds = Duration::from_millis;
    let mut care = Care::minix(Arc::from("program"));
    care.recovery.delay = random.pick(&[
        None,
        Some(Delay::Binary { max: milliseconds(30_000) }),
        Some(Delay::Binary { max: milliseconds(5000) }),
        Some(Delay::Constant(milliseconds(1000))),
        Some(Delay::Constant(milliseconds(2500))),
    ]);
    care.recovery.reset = random.pick(&[
        Reset::Never,
        Reset::Healthy(milliseconds(1500)),
        Reset::Healthy(milliseconds(60_000)),
    ]);
    care.recovery.early_death =
        random.pick(&[EarlyDeath::Down, EarlyDeath::Retry, EarlyDeath::Retry]);
    care.recovery.restarts = random.pick(&[0, 0, 3]);
    care.readiness.by = match random.below(6) {
        0 => Ready::Says { descriptor: None },
        1 => Ready::Alive,
        2 => Ready::Checks(Check::Listening),
        _ => Ready::Auto,
    };
    care.readiness.within = milliseconds(random.pick(&[700, 3000, 20_000]));
    if random.happens(500) {
        let period = milliseconds(random.pick(&[300, 1000, 4000]));
        care.heartbeat = Some(Heartbeat { period });
    }
    if random.happens(400) {
        care.health = Some(Health {
            check: Check::Listening,
            interval: milliseconds(random.pick(&[100, 1000, 5000])),
            timeout: milliseconds(random.pick(&[50, 500, 3000])),
            retries: random.pick(&[0, 1, 3]),
        });
    }
    if random.happens(400) {
        let path = random.happens(850).then(|| Arc::from("/etc/rc.program"));
        let timeout = random.pick(&[None, Some(milliseconds(3000)), Some(milliseconds(20_000))]);
        care.script = Some(Script { path, timeout });
    }
    care.copy = random.pick(&[Copying::No, Copying::No, Copying::Own]);
    Some(Arc::new(care))
}
