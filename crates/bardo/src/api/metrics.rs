//! `/metrics`: how processes are and what was counted, for Prometheus and whoever else
//! reads its formats.
//!
//! What is counted is asked of the control thread; what a process uses is read from
//! /proc, on the thread for files. Nothing is measured while nobody asks.

mod exposition;
mod usage;

use std::collections::BTreeMap;
use std::sync::Arc;

use bardo_core::ServiceId;
use bardo_core::service::StateName;
use bardo_wire::listener::EventType;
use hyper::header::ACCEPT;
use hyper::http::request::Parts;
use hyper::{Method, Response, StatusCode};

use self::exposition::{Exposition, Family, Format, Kind, Unit};
use self::usage::Usage;
use super::answer::{self, Content};
use super::ask::misanswered;
use super::faults::Fault;
use super::info::now;
use super::{Context, page};
use crate::daemon::clients::{Measured, ProcessView, Question, Reply};
use crate::daemon::metrics::{Counted, Counts, LATENCY_BOUNDS};
use crate::daemon::pump::Channel;
use crate::daemon::troubles::TroubleKind;
use crate::words::state;

/// Most bytes that are told of each process beside its names, and how often these are
/// told: a byte of them can become two.
const PROCESS_BYTES: usize = 1280;
const NAMES_TOLD: usize = 2 * 16;

/// Nanoseconds of a second.
const NANOSECONDS: f64 = 1e9;

/// Every state, for the numbers of processes in each.
const STATES: [StateName; 8] = [
    StateName::Stopped,
    StateName::Starting,
    StateName::Running,
    StateName::Backoff,
    StateName::Stopping,
    StateName::Exited,
    StateName::Fatal,
    StateName::Unknown,
];

/// One process with all that is told of it.
struct Process {
    view: ProcessView,
    counts: Counts,
    /// Bytes of its standard output and of its standard error.
    log_bytes: [u64; 2],
    /// What its process uses, if it has one.
    usage: Option<Usage>,
}

/// Answers `/metrics`.
pub(super) async fn answer(context: &Arc<Context>, head: &Parts) -> Response<Content> {
    if head.method != Method::GET && head.method != Method::HEAD {
        return answer::error(StatusCode::BAD_REQUEST);
    }
    let accept = head.headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let format = Format::negotiated(&accept.collect::<Vec<_>>().join(","));
    match exposed(context, format).await {
        Ok(response) => page::uncached(response),
        Err(_) => answer::error(StatusCode::SERVICE_UNAVAILABLE),
    }
}

async fn exposed(context: &Arc<Context>, format: Format) -> Result<Response<Content>, Fault> {
    let Reply::Measured(measured) = context.ask(Question::Measure).await? else {
        return Err(misanswered());
    };
    let share = context.room.share();
    let names = |view: &ProcessView| view.group.name.len() + view.spec.name.len();
    let bytes = |view: &ProcessView| PROCESS_BYTES + NAMES_TOLD * names(view);
    share.add(measured.processes.iter().map(|(_, view, _)| bytes(view)).sum()).await?;
    let asked = Arc::clone(context);
    let written = tokio::task::spawn_blocking(move || written(&asked, *measured, format, now()));
    let text = written.await.map_err(|_| misanswered())?;
    share.at_least(text.len()).await?;
    Ok(answer::whole(format.content_type(), share.around(text)))
}

/// Reads what processes use, and writes everything down. It may block.
fn written(context: &Context, measured: Measured, format: Format, now: i64) -> String {
    let Measured { processes, counted, troubles } = measured;
    let carried = |service: ServiceId, channel: Channel| {
        let pump = context.settings.pump.as_ref();
        pump.map_or(0, |pump| pump.carried(service, channel))
    };
    let processes: Vec<Process> = processes
        .into_iter()
        .map(|(service, view, counts)| Process {
            log_bytes: Channel::BOTH.map(|channel| carried(service, channel)),
            usage: view.pid.and_then(|pid| Usage::of(pid.0)),
            view,
            counts,
        })
        .collect();
    document(&processes, &counted, &troubles, format, now)
}

fn document(
    processes: &[Process],
    counted: &Counted,
    troubles: &[usize],
    format: Format,
    now: i64,
) -> String {
    let mut out = Exposition::new(format);
    whole(&mut out, processes, counted);
    wrong(&mut out, troubles);
    states(&mut out, processes, now);
    counters(&mut out, processes);
    usage(&mut out, processes);
    out.finish()
}

/// What is wrong.
fn wrong(out: &mut Exposition, troubles: &[usize]) {
    out.family(Family {
        name: "bardo_trouble",
        kind: Kind::Gauge,
        unit: Unit::None,
        help: "How many things of each kind are wrong at this moment.",
    });
    for (kind, number) in TroubleKind::ALL.iter().zip(troubles) {
        out.sample("", &[("kind", kind.name())], number);
    }
}

/// What is told of the supervisor as a whole.
fn whole(out: &mut Exposition, processes: &[Process], counted: &Counted) {
    out.family(Family {
        name: "bardo_build",
        kind: Kind::Info,
        unit: Unit::None,
        help: "The version of Bardo that runs.",
    });
    out.sample("", &[("version", env!("CARGO_PKG_VERSION"))], 1);
    out.family(Family {
        name: "bardo_supervisor_start_time_seconds",
        kind: Kind::Gauge,
        unit: Unit::Seconds,
        help: "When this supervisor took over, in seconds since 1970. All counters but those of \
               CPU time begin then, or when their process was added.",
    });
    out.sample("", &[], counted.since);
    out.family(Family {
        name: "bardo_processes",
        kind: Kind::Gauge,
        unit: Unit::None,
        help: "How many processes are in each state.",
    });
    let mut numbers: BTreeMap<&str, usize> = BTreeMap::new();
    for process in processes {
        *numbers.entry(state(process.view.state).1).or_default() += 1;
    }
    for (_, name) in STATES.map(state) {
        out.sample("", &[("state", name)], numbers.get(name).copied().unwrap_or(0));
    }
    out.family(Family {
        name: "bardo_restart_latency_seconds",
        kind: Kind::Histogram,
        unit: Unit::Seconds,
        help: "From learning of an exit to the next process of the program being made, where \
               nothing was waited for.",
    });
    let mut sum = 0;
    for (number, bound) in counted.latencies.iter().zip(LATENCY_BOUNDS) {
        sum += number;
        out.bucket(bound as f64 / NANOSECONDS, sum);
    }
    sum += counted.latencies[LATENCY_BOUNDS.len()];
    out.bucket(f64::INFINITY, sum);
    out.sample("_sum", &[], counted.latency_sum as f64 / NANOSECONDS);
    out.sample("_count", &[], sum);
    out.created(&[], counted.since);
    out.family(Family {
        name: "bardo_events",
        kind: Kind::Counter,
        unit: Unit::None,
        help: "Events of each type, whether anybody listens or not.",
    });
    for (event, number) in EventType::ALL.iter().zip(counted.events) {
        let name = event.name();
        out.sample("_total", &[("type", name)], number);
        out.created(&[("type", name)], counted.since);
    }
}

/// The group and the name of a process, which all its samples have.
fn labels(process: &Process) -> [(&str, &str); 2] {
    [("group", &process.view.group.name), ("name", &process.view.spec.name)]
}

fn states(out: &mut Exposition, processes: &[Process], now: i64) {
    out.family(Family {
        name: "bardo_process_up",
        kind: Kind::Gauge,
        unit: Unit::None,
        help: "Whether the process is RUNNING: 1 or 0.",
    });
    for process in processes {
        out.sample("", &labels(process), u8::from(process.view.state == StateName::Running));
    }
    out.family(Family {
        name: "bardo_process_state",
        kind: Kind::Gauge,
        unit: Unit::None,
        help: "The state as Supervisor numbers it: 0 STOPPED, 10 STARTING, 20 RUNNING, 30 BACKOFF, \
               40 STOPPING, 100 EXITED, 200 FATAL, 1000 UNKNOWN.",
    });
    for process in processes {
        out.sample("", &labels(process), state(process.view.state).0);
    }
    out.family(Family {
        name: "bardo_process_exit_status",
        kind: Kind::Gauge,
        unit: Unit::None,
        help: "The exit code of a program that has ended and is not started again; -1 where a \
               signal ended it.",
    });
    for process in processes {
        if let Some(exit) = process.view.exit {
            out.sample("", &labels(process), exit.code());
        }
    }
    out.family(Family {
        name: "bardo_process_start_time_seconds",
        kind: Kind::Gauge,
        unit: Unit::Seconds,
        help: "When the process that runs was started, in seconds since 1970.",
    });
    let running = || processes.iter().filter(|process| process.view.pid.is_some());
    let started = |process: &Process| process.view.started.map(|time| time.0);
    for process in running() {
        if let Some(started) = started(process) {
            out.sample("", &labels(process), started);
        }
    }
    out.family(Family {
        name: "bardo_process_uptime_seconds",
        kind: Kind::Gauge,
        unit: Unit::Seconds,
        help: "How long the process that runs has been there.",
    });
    for process in running() {
        if let Some(started) = started(process) {
            out.sample("", &labels(process), (now - started).max(0));
        }
    }
}

fn counters(out: &mut Exposition, processes: &[Process]) {
    out.family(Family {
        name: "bardo_process_starts",
        kind: Kind::Counter,
        unit: Unit::None,
        help: "Processes that were made, also those that could not execute their program.",
    });
    for process in processes {
        out.sample("_total", &labels(process), process.counts.starts);
        out.created(&labels(process), process.counts.since);
    }
    out.family(Family {
        name: "bardo_process_restarts",
        kind: Kind::Counter,
        unit: Unit::None,
        help: "Processes that were made because the one before had ended or failed.",
    });
    for process in processes {
        out.sample("_total", &labels(process), process.counts.restarts);
        out.created(&labels(process), process.counts.since);
    }
    out.family(Family {
        name: "bardo_process_log_bytes",
        kind: Kind::Counter,
        unit: Unit::Bytes,
        help: "Bytes that the program has written to a stream, wherever they go.",
    });
    for process in processes {
        let [group, name] = labels(process);
        for channel in Channel::BOTH {
            let labels = [group, name, ("stream", channel.name())];
            out.sample("_total", &labels, process.log_bytes[channel.index()]);
            out.created(&labels, process.counts.since);
        }
    }
}

fn usage(out: &mut Exposition, processes: &[Process]) {
    let used = || processes.iter().filter_map(|it| Some((it, it.usage.as_ref()?)));
    out.family(Family {
        name: "bardo_process_cpu_seconds",
        kind: Kind::Counter,
        unit: Unit::Seconds,
        help: "CPU time of the process that runs, without its children. It begins with the \
               process.",
    });
    for (process, usage) in used() {
        out.sample("_total", &labels(process), usage.cpu_seconds);
        if let Some(started) = process.view.started {
            out.created(&labels(process), started.0);
        }
    }
    out.family(Family {
        name: "bardo_process_resident_memory_bytes",
        kind: Kind::Gauge,
        unit: Unit::Bytes,
        help: "Resident memory of the process that runs, without its children.",
    });
    for (process, usage) in used() {
        out.sample("", &labels(process), usage.resident_bytes);
    }
}

#[cfg(test)]
mod tests;
