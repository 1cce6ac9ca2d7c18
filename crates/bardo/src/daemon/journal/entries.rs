//! Entries and snapshots to bytes and back.

use std::sync::Arc;

use bardo_core::record::Snapshot;
use bardo_core::{Generation, Group, Pid, ServiceId};

use super::codec::Unreadable::{self, Malformed, Unknown};
use super::codec::{Decoder, Encoder};
use super::{Entry, Process, SNAPSHOT, Surroundings, audience, decisions, owed, records};
use crate::daemon::cache::{Cache, Change};
use crate::daemon::channels::{Doing, Told};
use crate::daemon::decisions::Decisions;
use crate::daemon::images::MemoryCopy;
use crate::daemon::owed::Owed;

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
    to.byte(surroundings.ends_with);
    decisions::write(to, &surroundings.decisions);
    let told: Vec<_> = surroundings.told.iter().collect();
    to.list(&told, |to, (service, told)| to.frame(|to| write_told(to, **service, told)));
    let checks: Vec<_> = surroundings.checks.iter().collect();
    to.list(&checks, |to, (service, process)| {
        to.small(|to| write_process(to, **service, process));
    });
    let copies: Vec<_> = surroundings.copies.iter().collect();
    to.list(&copies, |to, (service, copy)| to.frame(|to| write_copy(to, **service, copy)));
    owed::write(to, &surroundings.owed);
}

pub(super) fn read_surroundings(
    from: &mut Decoder<'_>,
    groups: &[Group],
) -> Result<Surroundings, Unreadable> {
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
    let ends_with = if from.is_at_end() { 0 } else { from.byte()? };
    let mut known = Decisions::default();
    known.inhabit(groups);
    if !from.is_at_end() {
        decisions::read(from, &mut known)?;
    }
    let told = if from.is_at_end() { Vec::new() } else { from.list(|from| from.frame(read_told))? };
    let checks =
        if from.is_at_end() { Vec::new() } else { from.list(|from| from.small(read_process))? };
    let copies =
        if from.is_at_end() { Vec::new() } else { from.list(|from| from.frame(read_copy))? };
    let owed = if from.is_at_end() { Owed::default() } else { owed::read(from)? };
    Ok(Surroundings {
        owed,
        copies: copies.into_iter().collect(),
        cache,
        decisions: known,
        told: told.into_iter().collect(),
        checks: checks.into_iter().collect(),
        greeted,
        reload_tries,
        auto_logs: logs.into_iter().collect(),
        processes: processes.into_iter().collect(),
        audience,
        sockets: sockets.into_iter().collect(),
        ends_with,
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
        Entry::EndsWith(code) => {
            to.byte(12);
            to.byte(*code);
        }
        Entry::Decided(number, decision) => {
            to.byte(10);
            decisions::write_decision(to, *number, decision);
        }
        Entry::Check(service, process) => {
            to.byte(14);
            to.u32(service.0);
            to.option(process.as_ref(), |to, process| write_process(to, *service, process));
        }
        Entry::Copy(service, copy) => {
            to.byte(15);
            to.u32(service.0);
            to.option(copy.as_ref(), |to, copy| write_copy(to, *service, copy));
        }
        Entry::Owed(promise) => {
            to.byte(16);
            owed::write_promise(to, promise);
        }
        Entry::Told(service, told) => {
            to.byte(13);
            write_told(to, *service, told);
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
        12 => Entry::EndsWith(from.byte()?),
        10 => {
            let (number, decision) = decisions::read_decision(from)?;
            Entry::Decided(number, decision)
        }
        13 => {
            let (service, told) = read_told(from)?;
            Entry::Told(service, told)
        }
        14 => {
            let service = from.service()?;
            Entry::Check(service, from.option(|from| Ok(read_process(from)?.1))?)
        }
        15 => {
            let service = from.service()?;
            Entry::Copy(service, from.option(|from| Ok(read_copy(from)?.1))?)
        }
        16 => Entry::Owed(owed::read_promise(from)?),
        _ => return Err(Unknown),
    })
}

fn write_copy(to: &mut Encoder, service: ServiceId, copy: &MemoryCopy) {
    to.u32(service.0);
    to.u32(copy.number);
    to.text(&copy.program);
    to.text(&copy.name);
    to.blob(&copy.hash);
}

fn read_copy(from: &mut Decoder<'_>) -> Result<(ServiceId, MemoryCopy), Unreadable> {
    let (service, number) = (from.service()?, from.u32()?);
    let (program, name) = (from.text()?.into(), from.text()?.into());
    let hash = from.blob()?.try_into().map_err(|_| Malformed)?;
    Ok((service, MemoryCopy { number, program, name, hash }))
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

fn write_told(to: &mut Encoder, service: ServiceId, told: &Told) {
    to.u32(service.0);
    to.text(&told.status);
    to.byte(match told.doing {
        None => 0,
        Some(Doing::Reloading) => 1,
        Some(Doing::Stopping) => 2,
    });
    to.u32(told.main_pid.unwrap_or(0));
}

fn read_told(from: &mut Decoder<'_>) -> Result<(ServiceId, Told), Unreadable> {
    let service = from.service()?;
    let status = from.text()?.into();
    let doing = match from.byte()? {
        0 => None,
        1 => Some(Doing::Reloading),
        2 => Some(Doing::Stopping),
        _ => return Err(Unknown),
    };
    let main_pid = from.u32()?;
    Ok((service, Told { status, doing, main_pid: (main_pid != 0).then_some(main_pid) }))
}

fn write_process(to: &mut Encoder, service: ServiceId, process: &Process) {
    to.u32(service.0);
    to.u32(process.generation.0);
    to.u32(process.pid.0);
    to.u64(process.identity);
    to.option(process.session, Encoder::u64);
}

fn read_process(from: &mut Decoder<'_>) -> Result<(ServiceId, Process), Unreadable> {
    let service = from.service()?;
    let (generation, pid) = (Generation(from.u32()?), Pid(from.u32()?));
    let identity = from.u64()?;
    let session = if from.is_at_end() { None } else { from.option(Decoder::u64)? };
    Ok((service, Process { generation, pid, identity, session }))
}
