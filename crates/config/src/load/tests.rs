//! Whole files, on a machine that exists only in memory.

mod care;
mod meaning;
mod refusals;

use bardo_core::spec::{
    EndsAll, EventLength, GroupKind, LogSpec, LogTarget, ProgramSpec, Reach, RestartOn, Seconds,
    SocketAddress,
};
use bardo_core::{GroupSpec, ServiceSpec};
use proptest::prelude::*;

use super::*;
use crate::fake::FakeHost;
use crate::host::Account;
use crate::servers::Listen;
use crate::settings::MainLog;
use crate::value::LogLevel;

const FILE: &str = "/etc/s.conf";

fn request() -> Request {
    Request { file: FILE.to_owned(), overrides: Vec::new() }
}

fn host(text: &str) -> FakeHost {
    FakeHost::new().file(FILE, text)
}

fn loaded_on(host: &FakeHost) -> Loaded {
    load(host, &request()).unwrap_or_else(|error| panic!("{error}"))
}

/// A file with `[supervisord]` before the text.
fn loaded(text: &str) -> Loaded {
    loaded_on(&host(&format!("[supervisord]\n{text}")))
}

fn refused(text: &str) -> String {
    load(&host(&format!("[supervisord]\n{text}")), &request()).unwrap_err().to_string()
}

/// The group of `[program:p]` with the options.
fn program(options: &str) -> Arc<GroupSpec> {
    let loaded = loaded(&format!("[program:p]\ncommand=/bin/cat\n{options}\n"));
    Arc::clone(&loaded.configuration.groups[0])
}

fn process(options: &str) -> Arc<ServiceSpec> {
    Arc::clone(&program(options).services[0])
}

fn names(group: &GroupSpec) -> Vec<&str> {
    group.services.iter().map(|service| &*service.name).collect()
}

fn pairs(service: &ServiceSpec) -> Vec<(&str, &str)> {
    service.environment.iter().map(|(key, value)| (&**key, &**value)).collect()
}
