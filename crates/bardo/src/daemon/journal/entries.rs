//! Entries and snapshots to bytes and back.

use std::sync::Arc;

use bardo_core::record::Snapshot;
use bardo_core::{Generation, Pid, ServiceId};

use super::codec::Unreadable::{self, Unknown};
use super::codec::{Decoder, Encoder};
use super::{Entry, Process, SNAPSHOT, Surroundings, audience, records};
use crate::daemon::cache::{Cache, Change};

pub(super) fn write_all(to: &mut Encoder, table: &Snapshot, surroundings: &Surroundings) {
    to.byte(SNAPSHOT);
    records::write_snapshot(to, table);
    to.frame(|to| write_surroundings(to, surroundings));
    to.close();
}

fn write_surroundings(to: &mut Encoder, surroundings: &Surroundings) {
    to.u64(surroundings.greeted);
    to.byte(surroundings.reload_tries);
    let logs: Vec<_> = surroundings.auto_logs.iter().collect();
    to.list(&logs, |to, ((service, channel), path)| {
        to.frame(|to| {
            to.u32(service.0);
            to.byte(*channel);
            to.text(path);
        });
    });
    let processes: Vec<_> = surroundings.processes.iter().collect();
    to.list(&processes, |to, (service, process)| {
        to.small(|to| write_process(to, **service, process));
    });
    let sockets: Vec<_> = surroundings.sockets.iter().collect();
    to.list(&sockets, |to, (number, url)| {
        to.frame(|to| {
            to.u32(**number);
            to.text(url);
        });
    });
    to.part();
    audience::write(to, &surroundings.audience);
    let stored: Vec<Change> = surroundings.cache.changes().collect();
    to.list(&stored, |to, change| to.frame(|to| write_change(to, change)));
}

pub(super) fn read_surroundings(from: &mut Decoder<'_>) -> Result<Surroundings, Unreadable> {
    let (greeted, reload_tries) = (from.u64()?, from.byte()?);
    let auto_log =
        |from: &mut Decoder<'_>| Ok(((from.service()?, from.byte()?), from.text()?.into()));
    let logs = from.list(|from| from.frame(auto_log))?;
    let processes = from.list(|from| from.small(read_process))?;
    let sockets = from.list(|from| from.frame(|from| Ok((from.u32()?, from.text()?.into()))))?;
    let audience = audience::read(from)?;
    let mut cache = Cache::default();
    for change in from.list(|from| from.frame(read_change))? {
        cache.apply(&change);
    }
    Ok(Surroundings {
        cache,
        greeted,
        reload_tries,
        auto_logs: logs.into_iter().collect(),
        processes: processes.into_iter().collect(),
        audience,
        sockets: sockets.into_iter().collect(),
    })
}

pub(super) fn write_entry(to: &mut Encoder, entry: &Entry) {
    match entry {
        Entry::Table(record) => {
            to.byte(1);
            records::write_record(to, record);
        }
        Entry::AutoLog(service, channel, path) => {
            to.byte(2);
            to.u32(service.0);
            to.byte(*channel);
            to.option(path.as_deref(), Encoder::text);
        }
        Entry::Process(service, process) => {
            to.byte(3);
            write_process(to, *service, process);
        }
        Entry::Greeted(beginning) => {
            to.byte(4);
            to.u64(*beginning);
        }
        Entry::Reloading(tries) => {
            to.byte(5);
            to.byte(*tries);
        }
        Entry::Audience(deed) => {
            to.byte(7);
            audience::write_deed(to, deed);
        }
        Entry::Socket(number, url) => {
            to.byte(8);
            to.u32(*number);
            to.option(url.as_deref(), Encoder::text);
        }
        Entry::Cache(change) => {
            to.byte(9);
            write_change(to, change);
        }
    }
}

pub(super) fn read_entry(from: &mut Decoder<'_>) -> Result<Entry, Unreadable> {
    Ok(match from.byte()? {
        1 => Entry::Table(records::read_record(from)?),
        2 => {
            let (service, channel) = (from.service()?, from.byte()?);
            let path = from.option(|from| from.text().map(Arc::from))?;
            Entry::AutoLog(service, channel, path)
        }
        3 => {
            let (service, process) = read_process(from)?;
            Entry::Process(service, process)
        }
        4 => Entry::Greeted(from.u64()?),
        5 => Entry::Reloading(from.byte()?),
        7 => Entry::Audience(audience::read_deed(from)?),
        8 => Entry::Socket(from.u32()?, from.option(|from| from.text().map(Arc::from))?),
        9 => Entry::Cache(read_change(from)?),
        _ => return Err(Unknown),
    })
}

fn write_change(to: &mut Encoder, change: &Change) {
    match change {
        Change::Store(namespace, key, value) => {
            to.byte(0);
            to.text(namespace);
            to.text(key);
            to.text(value);
        }
        Change::Delete(namespace, key) => {
            to.byte(1);
            to.text(namespace);
            to.text(key);
        }
        Change::Clear(namespace) => {
            to.byte(2);
            to.text(namespace);
        }
        Change::ClearAll => to.byte(3),
    }
}

fn read_change(from: &mut Decoder<'_>) -> Result<Change, Unreadable> {
    let kind = from.byte()?;
    let mut text = || from.text().map(Arc::from);
    Ok(match kind {
        0 => Change::Store(text()?, text()?, text()?),
        1 => Change::Delete(text()?, text()?),
        2 => Change::Clear(text()?),
        3 => Change::ClearAll,
        _ => return Err(Unknown),
    })
}

fn write_process(to: &mut Encoder, service: ServiceId, process: &Process) {
    to.u32(service.0);
    to.u32(process.generation.0);
    to.u32(process.pid.0);
    to.u64(process.identity);
}

fn read_process(from: &mut Decoder<'_>) -> Result<(ServiceId, Process), Unreadable> {
    let service = from.service()?;
    let (generation, pid) = (Generation(from.u32()?), Pid(from.u32()?));
    Ok((service, Process { generation, pid, identity: from.u64()? }))
}
