//! What the world of the control thread is put together from.

use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::sync::mpsc::Receiver;
use std::sync::{Arc, RwLock};

use bardo_core::Mood;
use bardo_sys::clock;
use bardo_sys::limits::{self, Limited};
use bardo_sys::waker::Waker;

use super::{Machine, Taken};
use crate::api::{Doors, Shown};
use crate::daemon::changes::Changes;
use crate::daemon::channels::Channels;
use crate::daemon::children::Children;
use crate::daemon::clients::Questions;
use crate::daemon::debts::Debts;
use crate::daemon::errands::Errands;
use crate::daemon::fastcgi::SharedSockets;
use crate::daemon::following::Following;
use crate::daemon::helpers::Helpers;
use crate::daemon::images::Images;
use crate::daemon::journal::{Journal, Surroundings};
use crate::daemon::link::{Link, News};
use crate::daemon::listeners::Listening;
use crate::daemon::managed::telling::Telling;
use crate::daemon::metrics::Metrics;
use crate::daemon::plans::Planner;
use crate::daemon::pump::{PumpHandle, Report};
use crate::daemon::restart::Restart;
use crate::daemon::settings::Settings;
use crate::daemon::stdin::Backlog;
use crate::daemon::trees::{self, Trees};
use crate::daemon::troubles::Troubles;
use crate::daemon::undrained::Undrained;
use crate::daemon::variables::VariableFiles;

/// What a machine is made of.
pub struct Parts {
    /// What the daemon was told at its start.
    pub settings: Settings,
    /// The journal.
    pub journal: Journal,
    /// What it says beside the table.
    pub surroundings: Surroundings,
    /// The processes.
    pub children: Children,
    /// The keeper.
    pub link: Link,
    /// The log pump.
    pub pump: PumpHandle,
    /// What it tells.
    pub reports: Receiver<Report>,
    /// What wakes the control thread.
    pub waker: Arc<Waker>,
    /// The clients' questions.
    pub questions: Questions,
    /// Those who listen to events.
    pub listening: Listening,
    /// The sockets that programs share.
    pub sockets: SharedSockets,
    /// What programs say.
    pub(in crate::daemon) channels: Channels,
    /// What the API shows.
    pub shown: Arc<RwLock<Shown>>,
    /// Where the API listens.
    pub doors: Doors,
    /// How far a restart has come.
    pub(in crate::daemon) restart: Restart,
    /// Where the next keeper is waited for.
    pub door: Option<OwnedFd>,
    /// The folder of the service.
    pub place: Option<OwnedFd>,
}

impl Machine {
    /// Puts it together.
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        let planner = Planner::new(&parts.settings);
        let last = parts.surroundings.owed.last_beside(parts.pump.said());
        let of_service = parts.settings.service.as_ref().map(|service| service.cgroup.clone());
        let name = of_service.unwrap_or_else(|| trees::name_of(parts.settings.keeper_pid));
        let trees = Trees::new(name);
        Self {
            log_level: parts.settings.main_log.level,
            settings: parts.settings,
            journal: parts.journal,
            children: parts.children,
            link: parts.link,
            pump: parts.pump,
            planner,
            plans: Vec::new(),
            helpers: Helpers::new(Arc::clone(&parts.waker)),
            errands: Errands::new(Arc::clone(&parts.waker)),
            trees,
            images: Images::default(),
            variable_files: VariableFiles::default(),
            numbered: last,
            handed_on: last,
            surroundings: parts.surroundings,
            waker: parts.waker,
            changes: Changes::new(parts.questions.watch()),
            decided: Vec::new(),
            promised: Vec::new(),
            questions: parts.questions,
            reports: parts.reports,
            troubles: Troubles::default(),
            stuck: HashMap::new(),
            loaded_again: std::sync::mpsc::channel(),
            restart: parts.restart,
            shown: parts.shown,
            doors: parts.doors,
            mood: Mood::Running,
            tickets: HashMap::new(),
            next_ticket: 0,
            following: Following::default(),
            taken: Taken::default(),
            newborn: Vec::new(),
            over: Vec::new(),
            exits_known: Vec::new(),
            stillborn: HashMap::new(),
            in_the_way: HashMap::new(),
            backlog: Backlog::default(),
            listening: parts.listening,
            sockets: parts.sockets,
            metrics: Metrics::new(clock::wall_seconds()),
            channels: parts.channels,
            undrained: Undrained::new(limits::get(Limited::Descriptors).soft),
            debts: Debts::default(),
            settled: Vec::new(),
            news: News::default(),
            telling: Telling::default(),
            must_compact: false,
            wants_snapshot: false,
            compact_again_at: None,
            keeper_lost: false,
            stepparents: Vec::new(),
            door: parts.door,
            _place: parts.place,
        }
    }
}
