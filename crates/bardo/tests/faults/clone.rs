//! The kernel has no process and no thread to give.

use bardo::selftest::home;
use bardo_sys::faults::Call;
use bardo_wire::xmlrpc::Value;
use rustix::io::Errno;

use crate::others::{OTHER, behind_gate};
use crate::scene::KILL;

/// A program that has no second try: that there is no process is not its fault.
const CAT: &str = "[program:cat]\ncommand=/bin/cat\nstartsecs=0\nstartretries=0\n";

#[test]
fn a_program_for_which_there_is_no_process_is_started_when_there_is_one() {
    for errno in [Errno::AGAIN, Errno::NOMEM] {
        let programs = CAT.to_owned() + OTHER;
        let Some((scene, gate)) = behind_gate("", &programs, &[Call::Clone]) else { return };
        let (cat, other) = (scene.process("cat"), scene.process("other"));
        let supervisor = scene.supervisor();
        gate.refuse(supervisor.pid, Call::Clone, errno.raw_os_error());

        home::send(cat.pid, KILL).unwrap();

        let info = scene.until("cat", "BACKOFF");
        assert!(!info.spawn_error.is_empty());
        scene.await_troubles(&[("shortage", "cat")]);
        assert_eq!(scene.process("other").identity(), other.identity());
        gate.let_pass();
        scene.until("cat", "RUNNING");
        scene.await_troubles(&[]);
        assert_eq!(scene.supervisor().pid, supervisor.pid);
        scene.expect_supervision();
    }
}

#[test]
fn what_needs_a_thread_is_refused_and_the_supervisor_goes_on() {
    let Some((scene, gate)) = behind_gate("", OTHER, &[Call::Clone]) else { return };
    scene.process("other");
    let supervisor = scene.supervisor();
    gate.refuse(supervisor.pid, Call::Clone, Errno::AGAIN.raw_os_error());

    let client = scene.client();
    for _ in 0..3 {
        let range = [Value::from("other"), Value::Int(0), Value::Int(100)];
        // Whether they are answered or refused: they are not left without a word.
        for (method, parameters) in [
            ("supervisor.reloadConfig", &[][..]),
            ("supervisor.readLog", &range[1..]),
            ("supervisor.tailProcessStdoutLog", &range[..]),
            ("supervisor.clearProcessLogs", &range[..1]),
        ] {
            let answer = client.call(method, parameters);
            let unanswered =
                matches!(answer, Err(bardo::selftest::client::CallError::Unanswered(_)));
            assert!(!unanswered, "{method}: {answer:?}\n{}", scene.log());
        }
    }

    assert_eq!(scene.supervisor().pid, supervisor.pid, "{}", scene.log());
    gate.let_pass();
    client.call("supervisor.reloadConfig", &[]).unwrap();
    scene.expect_supervision();
}

#[test]
fn a_supervisor_for_which_there_is_no_process_comes_when_there_is_one() {
    let Some((scene, gate)) = behind_gate("", OTHER, &[Call::Clone]) else { return };
    let other = scene.process("other");
    gate.refuse(scene.daemon.keeper(), Call::Clone, Errno::AGAIN.raw_os_error());

    scene.daemon.kill_supervisor().unwrap();

    scene.wait("a refusal", || gate.refused() > 1);
    gate.let_pass();
    scene.supervisor();
    scene.await_troubles(&[("keeper", "supervisor")]);
    assert_eq!(scene.process("other").identity(), other.identity());
    scene.expect_supervision();
}
