use bardo_core::time::WallTime;
use bardo_core::{ExitStatus, Pid};

use super::*;
use crate::api::test_specs;
use crate::daemon::metrics::Counted;

fn process(name: &str, state: StateName) -> Process {
    let counts = Counts { since: 5, starts: 3, restarts: 2 };
    Process { view: test_specs::view("g", name, state), counts, log_bytes: [10, 20], usage: None }
}

fn written(processes: &[Process]) -> String {
    document(processes, &Counted { since: 5, ..Counted::default() }, &[], Format::OpenMetrics, 100)
}

#[test]
fn a_running_process_has_all_samples() {
    let mut running = process("p", StateName::Running);
    running.view.pid = Some(Pid(7));
    running.view.started = Some(WallTime(90));
    running.usage = Some(Usage { cpu_seconds: 1.5, resident_bytes: 4096 });

    let text = written(&[running]);

    let samples: Vec<&str> = text.lines().filter(|line| line.contains("name=\"p\"")).collect();
    assert_eq!(
        samples,
        [
            "bardo_process_up{group=\"g\",name=\"p\"} 1",
            "bardo_process_state{group=\"g\",name=\"p\"} 20",
            "bardo_process_start_time_seconds{group=\"g\",name=\"p\"} 90",
            "bardo_process_uptime_seconds{group=\"g\",name=\"p\"} 10",
            "bardo_process_starts_total{group=\"g\",name=\"p\"} 3",
            "bardo_process_starts_created{group=\"g\",name=\"p\"} 5",
            "bardo_process_restarts_total{group=\"g\",name=\"p\"} 2",
            "bardo_process_restarts_created{group=\"g\",name=\"p\"} 5",
            "bardo_process_log_bytes_total{group=\"g\",name=\"p\",stream=\"stdout\"} 10",
            "bardo_process_log_bytes_created{group=\"g\",name=\"p\",stream=\"stdout\"} 5",
            "bardo_process_log_bytes_total{group=\"g\",name=\"p\",stream=\"stderr\"} 20",
            "bardo_process_log_bytes_created{group=\"g\",name=\"p\",stream=\"stderr\"} 5",
            "bardo_process_cpu_seconds_total{group=\"g\",name=\"p\"} 1.5",
            "bardo_process_cpu_seconds_created{group=\"g\",name=\"p\"} 90",
            "bardo_process_resident_memory_bytes{group=\"g\",name=\"p\"} 4096",
        ]
    );
}

#[test]
fn a_process_that_has_ended_has_its_exit_and_no_uptime() {
    let mut ended = process("p", StateName::Exited);
    ended.view.started = Some(WallTime(90));
    ended.view.exit = Some(ExitStatus::Code(3));

    let text = written(&[ended, process("q", StateName::Exited)]);

    assert!(text.contains("bardo_process_exit_status{group=\"g\",name=\"p\"} 3\n"), "{text}");
    assert!(!text.contains("bardo_process_exit_status{group=\"g\",name=\"q\"}"), "{text}");
    assert!(!text.contains("uptime_seconds{"), "{text}");
    assert!(text.contains("bardo_processes{state=\"EXITED\"} 2\n"), "{text}");
    assert!(text.contains("bardo_processes{state=\"FATAL\"} 0\n"), "{text}");
}

#[test]
fn every_kind_of_trouble_is_counted() {
    let counted = Counted::default();

    let text = document(&[], &counted, &[2, 0, 1, 0, 0, 0, 0], Format::Text, 0);

    for (kind, number) in TroubleKind::ALL.iter().zip([2, 0, 1, 0, 0, 0, 0]) {
        let line = format!("bardo_trouble{{kind=\"{}\"}} {number}\n", kind.name());
        assert!(text.contains(&line), "{line}{text}");
    }
}

#[test]
fn a_latency_is_in_every_bucket_that_it_fits() {
    let mut counted = Counted { latency_sum: 3_000_000_000, ..Counted::default() };
    counted.latencies[2] = 1;
    counted.latencies[LATENCY_BOUNDS.len()] = 1;

    let text = document(&[], &counted, &[], Format::Text, 0);

    for (bound, number) in [("0.00025", 0), ("0.0005", 1), ("2.5", 1), ("+Inf", 2)] {
        let line = format!("bardo_restart_latency_seconds_bucket{{le=\"{bound}\"}} {number}\n");
        assert!(text.contains(&line), "{line}{text}");
    }
    assert!(text.contains("bardo_restart_latency_seconds_sum 3\n"), "{text}");
    assert!(text.contains("bardo_restart_latency_seconds_count 2\n"), "{text}");
}

#[test]
fn a_process_has_no_more_bytes_than_were_asked_for() {
    let name = "\"".repeat(64);
    let mut one = process(&name, StateName::Running);
    one.view.pid = Some(Pid(u32::MAX));
    one.view.started = Some(WallTime(2_000_000_000));
    one.view.exit = Some(ExitStatus::Code(255));
    one.counts = Counts { since: 2_000_000_000, starts: u64::MAX, restarts: u64::MAX };
    one.log_bytes = [u64::MAX; 2];
    one.usage = Some(Usage { cpu_seconds: 123_456_789.12, resident_bytes: u64::MAX });

    let bytes = written(&[one]).len() - written(&[]).len();

    let most = PROCESS_BYTES + NAMES_TOLD * (name.len() + "g".len());
    assert!(bytes <= most, "{bytes} of {most}");
}
