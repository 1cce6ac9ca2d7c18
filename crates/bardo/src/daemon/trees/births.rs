//! A life is born in a leaf of its own, with its limits.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use bardo_core::service::Service;
use bardo_core::spec::care::Confinement;
use bardo_core::{ServiceId, SpawnError};
use bardo_sys::cgroup::{self, Leaf};

use super::super::children::{Life, Start};
use super::super::main_log::Level;
use super::super::standing::{NOT_ENFORCED, Standing};
use super::super::world::Machine;
use super::ahead::Wish;
use super::{Trees, limits, setup};
use crate::names::namespec;

/// The numbers of the leaves of checks begin here: those of lives are smaller.
const CHECKS: u64 = 1 << 63;

/// Where a life is to be born.
#[derive(Debug)]
pub(in crate::daemon) struct Nest {
    /// The label of its service.
    pub(in crate::daemon) label: Box<str>,
    confinement: Arc<Confinement>,
    /// What of its set-up is not enforced.
    short: Arc<[String]>,
    /// Whether another life may follow.
    returns: bool,
}

/// A leaf and its directory, where there is one.
type Made = Option<(Leaf, OwnedFd)>;

impl Trees {
    pub(super) fn falls_short(&mut self, service: ServiceId, short: Vec<String>) {
        if short.is_empty() {
            self.shortcomings.remove(&service);
        } else {
            self.shortcomings.insert(service, short.into());
        }
    }

    /// Makes the leaf of a life, with its limits. Nothing where there are no leaves.
    ///
    /// # Errors
    /// For want of descriptors or memory: whoever asks for limits does not begin without.
    fn make_leaf(&mut self, life: Life, nest: &Nest) -> Result<Made, SpawnError> {
        let wanted = limits::asked(&nest.confinement);
        let mut short = nest.short.to_vec();
        let made = match self.leaf_made_ahead(life, nest, &mut short) {
            None => self.try_leaf(life, nest, &wanted, &mut short),
            made => Ok(made),
        };
        let made = made.map_err(|error| SpawnError::Pipes(error.raw_os_error().unwrap_or(0)))?;
        self.confined.insert(life.service, Arc::clone(&nest.confinement));
        self.falls_short(life.service, short);
        if let Some((leaf, _)) = &made {
            self.ahead.want(Wish {
                life,
                label: nest.label.clone(),
                confinement: Arc::clone(&nest.confinement),
                leaf: Some(leaf.clone()),
                returns: nest.returns,
            });
        }
        Ok(made)
    }

    /// The leaf of a life that was made before it was wanted, with its limits.
    fn leaf_made_ahead(&mut self, life: Life, nest: &Nest, short: &mut Vec<String>) -> Made {
        let Some(Ok(root)) = &self.root else { return None };
        let taken = self.ahead.take((life, &nest.label), &nest.confinement, root)?;
        // One that is there and cannot be opened is made anew.
        let (leaf, directory, refused) = taken.ok()?;
        short.extend(refused);
        Some((leaf, directory))
    }

    fn try_leaf(
        &mut self,
        life: Life,
        nest: &Nest,
        wanted: &[limits::Limit],
        short: &mut Vec<String>,
    ) -> io::Result<Made> {
        let number = life.to_number();
        let root = match self.root() {
            Ok(root) => Arc::clone(root),
            Err(absent) => {
                if let Some(error) = absent.shortage() {
                    return Err(io::Error::from_raw_os_error(error.raw_os_error().unwrap_or(0)));
                }
                short.extend(wanted.iter().map(|limit| limits::unenforced(limit, absent)));
                return Ok(None);
            }
        };
        let made = root.leaf(&nest.label, number).or_else(|error| {
            if cgroup::is_shortage(&error) {
                return Err(error);
            }
            // Somebody may have removed it because it was empty.
            self.root = None;
            match self.root() {
                Ok(root) => root.leaf(&nest.label, number),
                Err(_) => Err(io::ErrorKind::NotFound.into()),
            }
        });
        let opened = made.and_then(|leaf| Ok((leaf.open()?, leaf)));
        match opened {
            Ok((directory, leaf)) => {
                match limits::set(&root, &leaf, wanted) {
                    Ok(refused) => short.extend(refused),
                    Err(error) => {
                        self.empty.push(leaf);
                        return Err(error);
                    }
                }
                limits::weigh(&root, &leaf, nest.confinement.nice);
                Ok(Some((leaf, directory)))
            }
            Err(error) if cgroup::is_shortage(&error) => Err(error),
            Err(error) => {
                let say = |limit: &limits::Limit| {
                    format!("{} {} is not enforced: no cgroup: {error}", limit.name, limit.value)
                };
                short.extend(wanted.iter().map(say));
                Ok(None)
            }
        }
    }
}

impl Machine {
    /// Where the lives of a service are born; nothing for a plain program of Supervisor.
    pub(in crate::daemon) fn nest(&mut self, service: &Service) -> Option<Box<Nest>> {
        let care = service.spec.program.care.as_ref()?;
        let prepared = self.planner.prepared(&care.confinement);
        Some(Box::new(Nest {
            label: namespec(&service.group, &service.spec.name).into(),
            confinement: Arc::clone(&care.confinement),
            short: prepared.shortcomings,
            returns: !service.lives_once(),
        }))
    }

    /// Makes the leaf that a life is born in, and tells people once what cannot be enforced.
    ///
    /// # Errors
    /// For want of descriptors or memory.
    pub(in crate::daemon) fn leaf_for(&mut self, start: &Start) -> Result<Made, SpawnError> {
        let Some(nest) = start.nest.as_deref() else { return Ok(None) };
        let service = start.life.service;
        let known = self.trees.shortcomings.get(&service).cloned();
        let made = self.trees.make_leaf(start.life, nest)?;
        let short = self.trees.shortcomings.get(&service).cloned();
        if short != known {
            self.regret_shortcomings(&nest.label, short.as_deref().unwrap_or_default());
        }
        Ok(made)
    }

    /// Makes the leaf that a check of a service's health is born in, confined as the service
    /// is. Nothing where there are no leaves.
    ///
    /// # Errors
    /// When there are some, and this one cannot be made.
    pub(in crate::daemon) fn leaf_for_check(
        &mut self,
        service: &Service,
        check: u32,
    ) -> io::Result<Option<(Leaf, OwnedFd)>> {
        let Some(care) = &service.spec.program.care else { return Ok(None) };
        let Ok(root) = self.trees.root().map(Arc::clone) else { return Ok(None) };
        let label = namespec(&service.group, &service.spec.name);
        let leaf = root.leaf(&label, CHECKS | u64::from(check))?;
        let directory = leaf.open()?;
        // What is not enforced has been told of the service.
        let _ = limits::set(&root, &leaf, &limits::asked(&care.confinement));
        limits::weigh(&root, &leaf, care.confinement.nice);
        Ok(Some((leaf, directory)))
    }

    pub(super) fn regret_shortcomings(&self, label: &str, short: &[String]) {
        for line in short {
            self.log(Level::Warn, &format!("{label}: {line}"));
        }
    }

    /// What there is to say of the tree of a service's process, and of its limits.
    pub(in crate::daemon) fn told_of_tree(
        &self,
        standing: &Standing,
    ) -> Vec<(&'static str, String)> {
        let Some(care) = &standing.spec.program.care else { return Vec::new() };
        let (service, generation) = (standing.service, standing.generation);
        let short = self.trees.shortcomings(service);
        let mut told = Vec::new();
        if let Some((pid, child)) = self.children.get(Life { service, generation }) {
            told.push((
                "tree",
                match (&child.leaf, self.trees.absence()) {
                    (Some(leaf), _) => format!("cgroup {}", leaf.path().display()),
                    (None, Some(absent)) => {
                        format!("session {pid}: who leaves it is not found, because {absent}")
                    }
                    (None, None) => format!("session {pid}: who leaves it is not found"),
                },
            ));
            let confinement = self.trees.confined.get(&service).unwrap_or(&care.confinement);
            let limits = limits::asked(confinement).into_iter();
            let limits =
                limits.map(|limit| (limit.name, format!("{} {}", limit.name, limit.value)));
            for (name, line) in setup::described(confinement).into_iter().chain(limits) {
                if !short.iter().any(|short| short.starts_with(name)) {
                    told.push(("enforced", line));
                }
            }
        }
        let brief = |line: &String| line.replacen(" is not enforced:", ":", 1);
        told.extend(short.iter().map(|line| (NOT_ENFORCED, brief(line))));
        told
    }

    /// What is not enforced of a life that a predecessor has begun.
    pub(super) fn expect_shortcomings(&mut self, service: ServiceId, what: &Arc<Confinement>) {
        let short = self.expected_shortcomings(what);
        self.trees.falls_short(service, short);
    }

    /// What would not be enforced, as far as that can be known before it is tried.
    pub(super) fn expected_shortcomings(&mut self, confinement: &Arc<Confinement>) -> Vec<String> {
        let mut short = self.planner.prepared(confinement).shortcomings.to_vec();
        for limit in limits::asked(confinement) {
            match self.trees.root() {
                Ok(root) => {
                    let refusal = root.enable(limit.knob.controller()).err();
                    short.extend(refusal.map(|refusal| limits::unenforced(&limit, &refusal)));
                }
                Err(absent) => short.push(limits::unenforced(&limit, absent)),
            }
        }
        short
    }
}
