//! Programs that are started from copies in memory: whose they are, and until when.
//!
//! A copy is made before the first start of a service, on a thread beside this one, and the
//! start waits for it. It is the service's until that leaves the table, so what becomes of
//! the file is nothing to it. The keeper holds it, so it outlives a supervisor.
//!
//! One thing surprises a newcomer: who shares is asked twice. Services share a copy when they
//! have the same program name, as in MINIX, and the same content: somebody may have replaced
//! the file since the first one was started, and whoever comes now gets what is there now.

mod loading;

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::Arc;

use bardo_core::service::Service;
use bardo_core::spec::care::Copying;
use bardo_core::{Input, ServiceId, SpawnError, Supervisor};
use bardo_keeper::protocol::{Key, Roles, ToKeeper};
use bardo_sys::image::{Hash, Image, ImageError, Kind};
use bardo_sys::plan::Plan;

pub(super) use self::loading::Wanted;
use super::children::{Life, Start};
use super::errands::Done;
use super::journal::{Entry, Surroundings};
use super::main_log::Level;
use super::world::Machine;
use crate::names::namespec;

/// Most copies that are made at a time. A dead mount may hold so many threads.
const LOADERS_MAX: usize = 8;

/// The copy of a service's program, as it is written down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemoryCopy {
    /// Which of the copies that the keeper holds.
    pub number: u32,
    /// The program, as its command names it.
    pub program: Arc<str>,
    /// The name under which it is shared.
    pub name: Arc<str>,
    /// The SHA-256 of its content.
    pub hash: [u8; 32],
}

/// The copies that there are, and those that are being made.
#[derive(Debug, Default)]
pub(super) struct Images {
    open: BTreeMap<u32, Arc<Image>>,
    /// Services whose copy is being made, or waits for that.
    loading: HashSet<ServiceId>,
    /// Those that no thread makes yet.
    waiting: VecDeque<Wanted>,
    loaders: usize,
}

impl Images {
    /// Whether the copy of a service's program is being made.
    pub(super) fn is_loading(&self, service: ServiceId) -> bool {
        self.loading.contains(&service)
    }
}

/// The key under which the keeper holds a copy.
fn key(number: u32) -> Key {
    Key { owner: Key::HOUSE, life: number }
}

impl Machine {
    /// Takes over the copies that the keeper holds.
    pub(super) fn mend_images(&mut self, held: BTreeMap<u32, OwnedFd>) {
        let copies = &self.surroundings.copies;
        let hash_of = |number: u32| copies.values().find(|copy| copy.number == number);
        let mut open = BTreeMap::new();
        for (number, file) in held {
            let image = hash_of(number).map(|copy| Image::from_kept(file, Hash(copy.hash)));
            match image {
                Some(Ok(image)) => drop(open.insert(number, Arc::new(image))),
                // Nobody has written down whose it is, or it was not what it should be.
                Some(Err(_)) | None => self.tell(ToKeeper::Drop(key(number), Roles::IMAGE)),
            }
        }
        let lost = copies.iter().filter(|(_, copy)| !open.contains_key(&copy.number));
        let lost: Vec<ServiceId> = lost.map(|(service, _)| *service).collect();
        self.images.open = open;
        lost.into_iter().for_each(|service| self.note(&Entry::Copy(service, None)));
    }

    /// The plan of a service with the copy of its program, if it has one.
    pub(super) fn with_copy(&self, service: &Service, plan: Arc<Plan>) -> Arc<Plan> {
        let is_asked = copying(service) != Copying::No;
        let copy = self.surroundings.copies.get(&service.id).filter(|_| is_asked);
        let copy = copy.filter(|copy| copy.program.as_bytes() == loading::program(&plan));
        match copy.and_then(|copy| self.images.open.get(&copy.number)) {
            Some(image) => Arc::new(Plan { image: Some(Arc::clone(image)), ..Plan::clone(&plan) }),
            None => plan,
        }
    }

    /// Whether a start wants a copy that is not there yet.
    pub(super) fn lacks_copy(service: &Service, start: &Start) -> bool {
        copying(service) != Copying::No && start.plan.image.is_none()
    }

    /// Has the copy made that a start waits for. What is known of that at once.
    pub(super) fn want_copy(&mut self, service: &Service, plan: &Plan) -> Option<Input> {
        let care = service.spec.program.care.as_ref()?;
        let (id, name) = (service.id, Arc::clone(&care.program_name));
        if self.images.loading.insert(id) {
            let wanted = Wanted::new(id, name, care.copy == Copying::Shared, plan);
            self.images.waiting.push_back(wanted);
        }
        let mut inputs = Vec::new();
        self.send_loaders(&mut inputs);
        inputs.pop()
    }

    fn send_loaders(&mut self, inputs: &mut Vec<Input>) {
        while self.images.loaders < LOADERS_MAX
            && let Some(wanted) = self.images.waiting.pop_front()
        {
            let service = wanted.service;
            let load = move || {
                let loaded = loading::load(&wanted);
                Done::Loaded(wanted, loaded)
            };
            match self.errands.begin("load", load) {
                Ok(()) => self.images.loaders += 1,
                Err(error) => {
                    self.images.loading.remove(&service);
                    let error = SpawnError::Clone(error.raw_os_error().unwrap_or(0));
                    inputs.extend(self.refuse_held(service, error));
                }
            }
        }
    }

    /// A start that waits for something does so in vain.
    pub(super) fn refuse_held(&mut self, service: ServiceId, error: SpawnError) -> Option<Input> {
        let held = &mut self.trees.held;
        let place = held.iter().position(|start| start.life.service == service)?;
        let Life { service, generation } = held.remove(place).life;
        Some(Input::SpawnFailed { service, generation, error })
    }

    /// A copy was made, or cannot be.
    pub(super) fn loaded(
        &mut self,
        wanted: Wanted,
        loaded: Result<Image, ImageError>,
        inputs: &mut Vec<Input>,
    ) {
        self.images.loaders -= 1;
        self.images.loading.remove(&wanted.service);
        // Nobody wants it any more where no start waits for it.
        if self.trees.held.iter().any(|start| start.life.service == wanted.service) {
            let kept = loaded.map_err(spawn_error).and_then(|image| self.keep(&wanted, image));
            match kept {
                Ok(image) => self.give(wanted.service, &image),
                Err(error) => inputs.extend(self.refuse_held(wanted.service, error)),
            }
        }
        self.send_loaders(inputs);
        self.let_go();
    }

    /// Gives a copy to the start that waits for it, and to all that come after it.
    fn give(&mut self, service: ServiceId, image: &Arc<Image>) {
        for start in self.trees.held.iter_mut().filter(|start| start.life.service == service) {
            let image = Some(Arc::clone(image));
            start.plan = Arc::new(Plan { image, ..Plan::clone(&start.plan) });
        }
        // The start may have variables that the next one will not have.
        if let Some(Some(plan)) = self.plans.get_mut(service.0 as usize) {
            let image = Some(Arc::clone(image));
            *plan = Arc::new(Plan { image, ..Plan::clone(plan) });
        }
    }

    /// Keeps a copy, or finds that there is one like it.
    fn keep(&mut self, wanted: &Wanted, image: Image) -> Result<Arc<Image>, SpawnError> {
        let hash = image.hash().0;
        let copies = self.surroundings.copies.values();
        let mut same_name = copies.filter(|copy| wanted.is_shared && copy.name == wanted.name);
        let like = same_name.clone().find(|copy| copy.hash == hash);
        let like = like.map(|copy| copy.number).filter(|it| self.images.open.contains_key(it));
        if like.is_none() && same_name.next().is_some() {
            let text = format!(
                "{} is not what others of this name have in memory: it is given a copy of its own",
                wanted.name
            );
            self.log(Level::Warn, &text);
        }
        let number = match like {
            Some(number) => number,
            None => {
                let used = self.surroundings.copies.values().map(|copy| copy.number);
                let used = used.chain(self.images.open.keys().copied());
                let number = used.max().map_or(0, |last| last + 1);
                let held = self.link.hold(key(number), Roles::IMAGE, &[image.as_fd()]);
                held.map_err(|error| SpawnError::Exec(error.raw_os_error().unwrap_or(0)))?;
                self.images.open.insert(number, Arc::new(image));
                number
            }
        };
        self.forget_copy(wanted.service);
        let (program, name) = (Arc::clone(&wanted.program), Arc::clone(&wanted.name));
        let copy = MemoryCopy { number, program, name, hash };
        self.note(&Entry::Copy(wanted.service, Some(copy)));
        self.images.open.get(&number).cloned().ok_or(SpawnError::Empty)
    }

    /// The copy of a service's program is not its own any more; the last one frees it.
    pub(super) fn forget_copy(&mut self, service: ServiceId) {
        let Some(copy) = self.surroundings.copies.get(&service) else { return };
        let number = copy.number;
        self.note(&Entry::Copy(service, None));
        if sharers(&self.surroundings, number).next().is_none() {
            self.images.open.remove(&number);
            self.tell(ToKeeper::Drop(key(number), Roles::IMAGE));
        }
    }

    /// What there is to say of the copy of a service's program.
    pub(super) fn told_of_copy(
        &self,
        supervisor: &Supervisor,
        service: ServiceId,
    ) -> Vec<(&'static str, String)> {
        let Some(copy) = self.surroundings.copies.get(&service) else { return Vec::new() };
        let Some(image) = self.images.open.get(&copy.number) else { return Vec::new() };
        let (inode, length, hash) = (image.inode(), image.length(), image.hash());
        let sealed = if image.is_sealed() { "sealed" } else { "nameless" };
        let text = format!("{sealed}, inode {inode}, {length} bytes, sha256 {hash}");
        let mut told = vec![("copy in memory", text)];
        let others = sharers(&self.surroundings, copy.number).filter(|id| *id != service);
        let others = others.filter_map(|id| supervisor.service(id));
        let others: Vec<String> =
            others.map(|other| namespec(&other.group, &other.spec.name)).collect();
        if !others.is_empty() {
            told.push(("shared with", others.join(" ")));
        }
        told.extend(from_disk(image).map(|text| ("not in memory", text)));
        told
    }
}

/// What comes from the disk all the same when a program is started from memory.
fn from_disk(image: &Image) -> Option<String> {
    match image.kind() {
        Kind::Static => None,
        Kind::Script => Some("the interpreter of the script comes from the disk".to_owned()),
        Kind::Dynamic => {
            let needs = image.needs();
            let all: Vec<String> = needs.loader.into_iter().chain(needs.libraries).collect();
            Some(format!("shared libraries come from the disk: {}", all.join(" ")))
        }
    }
}

/// The services that are started from a copy.
fn sharers(around: &Surroundings, number: u32) -> impl Iterator<Item = ServiceId> {
    let copies = around.copies.iter().filter(move |(_, copy)| copy.number == number);
    copies.map(|(service, _)| *service)
}

fn copying(service: &Service) -> Copying {
    service.spec.program.care.as_ref().map_or(Copying::No, |care| care.copy)
}

/// Why there is no copy, as the error of the start.
fn spawn_error(error: ImageError) -> SpawnError {
    match error {
        ImageError::NotFile | ImageError::NotExecutable => SpawnError::NotExecutable,
        ImageError::Read(source) if source.kind() == std::io::ErrorKind::NotFound => {
            SpawnError::NotFound
        }
        other => SpawnError::Exec(other.errno()),
    }
}
