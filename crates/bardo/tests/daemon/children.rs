//! What a program is born with: Supervisor's world, and nothing of ours.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};

use bardo::selftest::client::CallError;
use bardo::selftest::home::{self, Daemon, Home};
use bardo::selftest::procfs;
use bardo_wire::xmlrpc::Value;

use crate::scene::{CAT, CONT, Scene, everybodys, executable, open, open_as_nobody};

/// What it takes to raise a hard limit. Containers often lack it, root or not.
const CAP_SYS_RESOURCE: u64 = 1 << 24;

/// The descriptors that a process has.
fn descriptors(pid: u32) -> BTreeSet<u32> {
    let entries = fs::read_dir(format!("/proc/{pid}/fd")).unwrap().flatten();
    entries.map(|entry| entry.file_name().to_str().unwrap().parse().unwrap()).collect()
}

/// What `/proc/PID/limits` says of open files: soft, hard.
fn file_limit(pid: &str) -> (String, String) {
    let text = fs::read_to_string(format!("/proc/{pid}/limits")).unwrap();
    let line = text.lines().find(|line| line.starts_with("Max open files")).unwrap();
    let mut words = line.split_ascii_whitespace().skip(3).map(str::to_owned);
    (words.next().unwrap(), words.next().unwrap())
}

fn environment(pid: u32) -> Vec<String> {
    let bytes = fs::read(format!("/proc/{pid}/environ")).unwrap();
    let variables = bytes.split(|byte| *byte == 0).filter(|variable| !variable.is_empty());
    variables.map(|variable| String::from_utf8_lossy(variable).into_owned()).collect()
}

#[test]
fn it_leads_a_process_group_in_the_daemons_session() {
    let scene = open("", CAT);

    let cat = scene.process("cat");

    assert_eq!(cat.parent, scene.daemon.keeper());
    assert_eq!(cat.group, cat.pid);
    assert_eq!(cat.session, procfs::stat(scene.daemon.keeper()).unwrap().session);
}

#[test]
fn it_has_three_descriptors_and_no_signal_is_special_to_it() {
    let scene = open("", &(CAT.to_owned() + "numprocs=40\nprocess_name=%(process_num)d\n"));
    scene.wait("forty cats", || {
        let infos = scene.client().infos().unwrap_or_default();
        infos.len() == 40 && infos.iter().all(|info| info.state == "RUNNING")
    });

    for info in scene.client().infos().unwrap() {
        scene.wait("cat to be cat", || {
            procfs::stat(info.pid).is_some_and(|stat| stat.comm == "cat")
        });
        // The C library's loader has a file open for a moment.
        let only = BTreeSet::from([0, 1, 2]);
        scene.wait("three descriptors", || descriptors(info.pid) == only);
        for set in ["SigPnd", "ShdPnd", "SigBlk", "SigIgn", "SigCgt"] {
            assert_eq!(procfs::status(info.pid, set).unwrap(), "0000000000000000", "{set}");
        }
    }
}

#[test]
fn it_ignores_broken_pipes_where_it_is_to() {
    let scene = open("", &(CAT.to_owned() + "ignore_sigpipe=true\n"));

    let cat = scene.process("cat");

    // Bit n is signal n + 1: SIGPIPE is 13, SIGXFSZ is 25.
    let ignored = procfs::status(cat.pid, "SigIgn").unwrap();
    assert_eq!(u64::from_str_radix(&ignored, 16).unwrap(), 1 << 12 | 1 << 24);
    assert_eq!(procfs::status(cat.pid, "SigBlk").unwrap(), "0000000000000000");
}

#[test]
fn its_umask_directory_and_limit_are_as_supervisors() {
    let (soft, hard) = file_limit("self");
    let (Ok(soft), Ok(hard)) = (soft.parse::<u64>(), hard.parse::<u64>()) else {
        return eprintln!("skipped: the limit on descriptors is {soft}, {hard}");
    };
    let least = if soft < hard { soft + 1 } else { soft };
    let program = "[program:cat]\ncommand=/bin/cat\nstartsecs=0\numask=027\ndirectory={here}\n\
                   [program:plain]\ncommand=/bin/cat\nstartsecs=0\n";
    let scene = open(&format!("minfds={least}"), program);

    let (cat, plain) = (scene.process("cat"), scene.process("plain"));

    let place = |pid: u32| fs::read_link(format!("/proc/{pid}/cwd")).unwrap();
    assert_eq!(place(cat.pid), scene.home.path().canonicalize().unwrap());
    assert_eq!(place(plain.pid), std::env::current_dir().unwrap());
    let own_umask = procfs::status(std::process::id(), "Umask");
    assert_eq!(procfs::status(cat.pid, "Umask").as_deref(), Some("0027"));
    assert_eq!(procfs::status(plain.pid, "Umask"), own_umask);
    let expected = (least.to_string(), hard.to_string());
    assert_eq!(file_limit(&cat.pid.to_string()), expected);
}

#[test]
fn its_environment_is_the_daemons_and_supervisors_and_its_own() {
    let program =
        "[program:cat]\ncommand=/bin/cat\nstartsecs=0\nenvironment=MINE=\"%(program_name)s\"\n";
    let scene = open("environment=OURS=everywhere", program);
    let socket = scene.home.file("s.sock");

    let mut variables = environment(scene.process("cat").pid);

    let mut expected: Vec<String> = [
        "SUPERVISOR_ENABLED=1",
        "SUPERVISOR_PROCESS_NAME=cat",
        "SUPERVISOR_GROUP_NAME=cat",
        "OURS=everywhere",
        "MINE=cat",
    ]
    .map(str::to_owned)
    .to_vec();
    expected.push(format!("SUPERVISOR_SERVER_URL=unix://{}", socket.display()));
    expected.extend(std::env::vars().map(|(name, value)| format!("{name}={value}")));
    variables.sort();
    expected.sort();
    assert_eq!(variables, expected);
}

#[test]
fn its_own_environment_counts_most_then_the_daemons_section() {
    let program = "[program:cat]\ncommand=/bin/cat\nstartsecs=0\n\
                   environment=BOTH=own,SUPERVISOR_ENABLED=no\n";
    let more = "environment=BOTH=section,SUPERVISOR_PROCESS_NAME=section,PATH=/bin,ONLY=section";
    let scene = open(more, program);

    let variables = environment(scene.process("cat").pid);

    for expected in [
        "BOTH=own",
        "SUPERVISOR_ENABLED=no",
        "SUPERVISOR_PROCESS_NAME=section",
        "SUPERVISOR_GROUP_NAME=cat",
        "PATH=/bin",
        "ONLY=section",
    ] {
        let (name, _) = expected.split_once('=').unwrap();
        let found: Vec<_> =
            variables.iter().filter(|variable| variable.starts_with(&format!("{name}="))).collect();
        assert_eq!(found, [expected]);
    }
}

#[test]
fn who_is_not_root_cannot_give_it_another_user() {
    if !rustix::process::geteuid().is_root() {
        return eprintln!("skipped: only root can name another user in the file");
    }
    let program = "[program:p]\ncommand=/bin/cat\nuser=root\nstartretries=0\nstartsecs=600\n\
                   [program:q]\ncommand=/bin/cat\nuser=root\nstartretries=0\nstartsecs=600\n\
                   redirect_stderr=true\n";
    let Some(scene) = open_as_nobody(program, |_| {}) else {
        return eprintln!("skipped: nobody may not execute the program");
    };

    let text = last_words(&scene, "p");

    let expected = "supervisor: couldn't setuid to 0: Can't drop privilege as nonroot user\n\
                    supervisor: child process was not spawned\n";
    assert_eq!(text, expected);
    let info = scene.until("q", "FATAL");
    scene.wait("the same words", || {
        fs::read_to_string(&info.stdout_log).is_ok_and(|text| text == expected)
    });
}

#[test]
fn it_becomes_its_user() {
    if !rustix::process::geteuid().is_root() {
        return eprintln!("skipped: only root can become another user");
    }
    let Some(nobody) = bardo_sys::accounts::user_by_name("nobody") else {
        return eprintln!("skipped: there is no user nobody");
    };
    let scene = open("user=root", &(CAT.to_owned() + "user=nobody\n"));

    let cat = scene.process("cat");

    scene.wait("cat to be cat", || procfs::stat(cat.pid).is_some_and(|stat| stat.comm == "cat"));
    let four = |id: u32| [id.to_string(), id.to_string(), id.to_string(), id.to_string()];
    let ids = |name| {
        let line = procfs::status(cat.pid, name).unwrap();
        line.split_ascii_whitespace().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(ids("Uid"), four(nobody.uid));
    assert_eq!(ids("Gid"), four(nobody.gid));
    assert!(!ids("Groups").contains(&"0".to_owned()), "nothing of root is left");
    let of = |variables: &[String], name: &str| {
        variables.iter().find(|variable| variable.starts_with(name)).cloned()
    };
    let (its, ours) = (environment(cat.pid), environment(std::process::id()));
    for name in ["HOME=", "USER="] {
        assert_eq!(of(&its, name), of(&ours, name), "Supervisor leaves it alone too");
    }
}

/// Waits until a program has given up, and returns what it has said.
fn last_words(scene: &Scene, name: &str) -> String {
    let info = scene.until(name, "FATAL");
    scene.await_log(&format!("exited: {name} (exit status 127; not expected)"));
    let mut text = String::new();
    scene.wait("its last words", || {
        text = fs::read_to_string(&info.stderr_log).unwrap_or_default();
        text.ends_with("was not spawned\n")
    });
    assert_eq!(info.spawn_error, "Exited too quickly (process log may have details)");
    text
}

#[test]
fn why_a_program_could_not_be_executed_stands_in_its_log() {
    let options = "startretries=0\nstartsecs=600\nautorestart=false\n";
    let programs = format!(
        "[program:garbage]\ncommand={{here}}/garbage\n{options}\n\
         [program:nowhere]\ncommand=/bin/cat\ndirectory={{here}}/nowhere\n{options}"
    );
    let home = Home::new("test").unwrap();
    let garbage = home.file("garbage");
    home::write_executable(&garbage, b"\0\x01\x02").unwrap();
    let here = home.path().display().to_string();
    home.configure("", &programs.replace("{here}", &here)).unwrap();
    let daemon = Daemon::start(executable(), &home).unwrap();
    let scene = Scene { daemon, home };

    let (garbage, nowhere) = (last_words(&scene, "garbage"), last_words(&scene, "nowhere"));

    let end = "supervisor: child process was not spawned\n";
    assert_eq!(garbage, format!("supervisor: couldn't exec {here}/garbage: ENOEXEC\n{end}"));
    assert_eq!(nowhere, format!("supervisor: couldn't chdir to {here}/nowhere: ENOENT\n{end}"));
}

#[test]
fn its_standard_input_does_not_end_with_the_supervisor() {
    let scene = open("", &(CAT.to_owned() + "stdout_logfile={here}/cat.log\n"));
    let before = scene.process("cat");
    let send = |text: &str| {
        let parameters = [Value::from("cat"), Value::from(text)];
        scene.client().call("supervisor.sendProcessStdin", &parameters).unwrap();
    };
    let log = || fs::read_to_string(scene.home.file("cat.log")).unwrap_or_default();

    send("one\n");
    for text in ["two\n", "three\n"] {
        scene.daemon.kill_supervisor().unwrap();
        scene.supervisor();
        send(text);
    }

    scene.wait("three lines", || log() == "one\ntwo\nthree\n");
    assert_eq!(scene.process("cat").identity(), before.identity());
}

#[test]
fn what_it_does_not_read_waits_for_it_up_to_a_limit() {
    let scene =
        open("", &(CAT.to_owned() + "stdout_logfile={here}/cat.log\nstdout_logfile_maxbytes=0\n"));
    let cat = scene.process("cat");
    scene.halt(cat.pid);
    let part = |number: usize| format!("{number}").repeat(3 << 20);
    let send = |number| {
        let parameters = [Value::from("cat"), Value::from(part(number))];
        scene.client().call("supervisor.sendProcessStdin", &parameters)
    };

    let answers = [send(1), send(2), send(3)];

    assert!(matches!(&answers[..2], [Ok(Value::Boolean(true)), Ok(Value::Boolean(true))]));
    let Err(CallError::Fault(30, text)) = &answers[2] else { panic!("{answers:?}") };
    assert!(text.starts_with("FAILED: cat does not read its standard input"), "{text}");
    home::send(cat.pid, CONT).unwrap();
    let log = || fs::read_to_string(scene.home.file("cat.log")).unwrap_or_default();
    scene.wait("what was taken", || log() == part(1) + &part(2));
}

#[test]
fn its_limit_was_raised_while_the_daemon_was_root() {
    let capabilities = procfs::status(std::process::id(), "CapEff").unwrap();
    if u64::from_str_radix(&capabilities, 16).unwrap() & CAP_SYS_RESOURCE == 0 {
        return eprintln!("skipped: a hard limit cannot be raised here");
    }
    let Some(nobody) = bardo_sys::accounts::user_by_name("nobody") else {
        return eprintln!("skipped: there is no user nobody");
    };
    if everybodys().is_none() {
        return eprintln!("skipped: nobody may not execute the program");
    }
    let home = Home::new("test").unwrap();
    chown(home.path(), Some(nobody.uid), Some(nobody.gid)).unwrap();
    let path = home.configure("user=nobody\nminfds=3000", CAT).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o644)).unwrap();
    let daemon = Daemon::start_with(executable(), &home, |command| {
        let words: Vec<OsString> = command.get_args().map(OsStr::to_owned).collect();
        *command = Command::new("/bin/sh");
        command.args(["-c", "ulimit -n 2000 && exec \"$@\"", "sh"]).arg(executable()).args(words);
        command.stdin(Stdio::null()).stdout(Stdio::null()).process_group(0);
    });
    let scene = Scene { daemon: daemon.unwrap(), home };

    let cat = scene.process("cat");

    assert_eq!(file_limit(&cat.pid.to_string()), ("3000".to_owned(), "3000".to_owned()));
    let uid = procfs::status(cat.pid, "Uid").unwrap();
    assert!(uid.starts_with(&nobody.uid.to_string()), "{uid}");
}
