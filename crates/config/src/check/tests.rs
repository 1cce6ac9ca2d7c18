//! Every code with a configuration that has it and a twin that has nothing.

use std::collections::BTreeSet;
use std::fmt::Write;

use proptest::prelude::*;

use super::*;
use crate::fake::FakeHost;

const FILE: &str = "/etc/s.conf";

/// A configuration, the line of it that is meant, and a twin of it that is faultless.
struct Case {
    code: Code,
    /// The line, or 0 for the whole file.
    line: usize,
    bad: &'static str,
    good: &'static str,
}

const fn case(code: Code, line: usize, bad: &'static str, good: &'static str) -> Case {
    Case { code, line, bad, good }
}

/// Stands before every configuration that has no `[supervisord]`, as line 1.
const HEAD: &str = "[supervisord]\n";

/// A good program.
const GOOD: &str = "[program:a]\ncommand=/bin/cat\n";

/// What makes a server complete, below the lines of its section.
macro_rules! served {
    ($server:literal, $control:literal) => {
        concat!(
            $server,
            "[supervisorctl]\n",
            $control,
            "[rpcinterface:supervisor]\nsupervisor.rpcinterface_factory = \
             supervisor.rpcinterface:make_main_rpcinterface\n"
        )
    };
}

/// Lines of a program `a`, which begins in line 2.
macro_rules! program {
    ($lines:literal) => {
        concat!("[program:a]\ncommand=/bin/cat\n", $lines)
    };
}

const ERRORS: &[Case] = &[
    case(
        Code::UnknownDependency,
        4,
        program!("depends_on=c:ready\n[program:b]\ncommand=/bin/cat\n"),
        program!("depends_on=b:ready\n[program:b]\ncommand=/bin/cat\n"),
    ),
    case(
        Code::CircularDependency,
        4,
        program!("depends_on=b:ready\n[program:b]\ncommand=/bin/cat\ndepends_on=a:ready\n"),
        program!("depends_on=b:ready\n[program:b]\ncommand=/bin/cat\n"),
    ),
    case(Code::Unreadable, 0, "\u{0}", GOOD),
    case(Code::Syntax, 4, program!("autostart\n"), program!("autostart=true\n")),
    case(Code::MissingSection, 0, "[DEFAULT]\n", GOOD),
    case(Code::MissingOption, 2, "[program:a]\nautostart=true\n", GOOD),
    case(Code::BadValue, 4, program!("startsecs=1s\n"), program!("startsecs=1\n")),
    case(
        Code::BadEnvironment,
        4,
        program!("environment=A=1 B=2\n"),
        program!("environment=A=1,B=2\n"),
    ),
    case(
        Code::BadFormat,
        4,
        program!("environment=A=\"5%\"\n"),
        program!("environment=A=\"5%%\"\n"),
    ),
    case(Code::UnknownName, 4, program!("directory=%(hear)s\n"), program!("directory=%(here)s\n")),
    case(Code::UnknownUser, 4, program!("user=nobody-here\n"), program!("user=me\n")),
    case(
        Code::MissingDirectory,
        4,
        program!("stdout_logfile=/no/such/x.log\n"),
        program!("stdout_logfile=/tmp/x.log\n"),
    ),
    case(
        Code::UnknownProgram,
        5,
        program!("[group:g]\nprograms=b\n"),
        program!("[group:g]\nprograms=a\n"),
    ),
    case(
        Code::UnknownEvent,
        4,
        "[eventlistener:l]\ncommand=/bin/cat\nevents=TICK_6\n",
        "[eventlistener:l]\ncommand=/bin/cat\nevents=TICK_60\n",
    ),
    case(
        Code::PythonPlugin,
        3,
        "[ctlplugin:x]\nsupervisor.ctl_factory=some.where:make\n",
        "[rpcinterface:supervisor]\nsupervisor.rpcinterface_factory=\
         supervisor.rpcinterface:make_main_rpcinterface\n",
    ),
    case(
        Code::IncompleteAuthentication,
        4,
        served!(
            "[inet_http_server]\nport=127.0.0.1:9001\nusername=u\n",
            "username=u\npassword=p\n"
        ),
        served!(
            "[inet_http_server]\nport=127.0.0.1:9001\nusername=u\npassword=p\n",
            "username=u\npassword=p\n"
        ),
    ),
];

const READING: &[Case] = &[
    case(Code::UnknownSection, 2, "[programs:a]\ncommand=/bin/cat\n", GOOD),
    case(
        Code::SectionPrefix,
        2,
        served!("[unix_http_server_off]\nfile=/tmp/s\n", "serverurl=unix:///tmp/s\n"),
        served!("[unix_http_server:one]\nfile=/tmp/s\n", "serverurl=unix:///tmp/s\n"),
    ),
    case(Code::TextBehindSection, 2, "[program:a]:\ncommand=/bin/cat\n", GOOD),
    case(Code::UnknownOption, 4, program!("auto_start=true\n"), program!("autostart=true\n")),
    case(
        Code::RepeatedSection,
        4,
        program!("[program:a]\npriority=3\n"),
        program!("[program:b]\ncommand=/bin/cat\n"),
    ),
    case(
        Code::RepeatedOption,
        5,
        program!("priority=1\npriority=2\n"),
        program!("priority=1\npriority=1\n"),
    ),
    case(Code::SwallowedLine, 4, program!("  priority=1\n"), program!("priority=1\n")),
    case(
        Code::ValueCutShort,
        3,
        "[program:a]\ncommand=/bin/cat 'a ; b'\n",
        "[program:a]\ncommand=/bin/cat 'a; b' ; a comment\n",
    ),
    case(
        Code::LiteralQuotes,
        4,
        program!("serverurl=\"http://h\"\n"),
        program!("serverurl=http://h\n"),
    ),
    case(
        Code::EnvironmentCutShort,
        4,
        program!("environment=A=http://h:1/y?z=1\n"),
        program!("environment=A=\"http://h:1/y?z=1\"\n"),
    ),
    case(
        Code::NoShellExpansion,
        4,
        program!("environment=A=\"/x:$PATH\"\n"),
        program!("environment=A=\"/x:pa$word\"\n"),
    ),
    case(
        Code::IncludesNothing,
        3,
        "[include]\nfiles=none/*.conf\n",
        "[include]\nfiles=s.d/*.conf\n",
    ),
    case(Code::IncludeUnreadable, 0, "[include]\nfiles=locked/x.conf\n", GOOD),
    case(Code::NestedInclude, 3, "[include]\nfiles=nested.conf\n", GOOD),
    case(Code::ControlInInclude, 1, "[include]\nfiles=nested.conf\n", GOOD),
    case(Code::WritableFile, 0, "[include]\nfiles=open.conf\n", GOOD),
    case(
        Code::ReadablePassword,
        2,
        "[include]\nfiles=open.conf\n",
        served!(
            "[unix_http_server]\nfile=/tmp/s\nusername=u\npassword=p\n",
            "serverurl=unix:///tmp/s\nusername=u\npassword=p\n"
        ),
    ),
];

const PROGRAMS: &[Case] = &[
    case(Code::BadCommand, 3, "[program:a]\ncommand=\n", GOOD),
    case(
        Code::ShellSyntax,
        3,
        "[program:a]\ncommand=/bin/cat $HOME/x\n",
        "[program:a]\ncommand=/bin/sh -c 'cat $HOME/x'\n",
    ),
    case(Code::CommandNotFound, 3, "[program:a]\ncommand=/bin/dog\n", GOOD),
    case(Code::CommandNotFound, 3, "[program:a]\ncommand=dog\n", "[program:a]\ncommand=cat\n"),
    case(Code::RelativeCommand, 3, "[program:a]\ncommand=./bin/cat\n", GOOD),
    case(Code::GoesToBackground, 3, "[program:a]\ncommand=/bin/cat --daemon\n", GOOD),
    case(
        Code::ShellStaysBehind,
        3,
        "[program:a]\ncommand=/bin/sh -c 'cd /tmp && cat'\n",
        "[program:a]\ncommand=/bin/sh -c 'cd /tmp && exec cat'\n",
    ),
    case(
        Code::MissingWorkingDirectory,
        4,
        program!("directory=/nope\n"),
        program!("directory=/tmp\n"),
    ),
    case(Code::RelativePath, 4, program!("directory=tmp\n"), program!("directory=/tmp\n")),
    case(
        Code::RestartLoop,
        4,
        program!("startsecs=0\nautorestart=true\n"),
        program!("startsecs=0\nautorestart=false\n"),
    ),
    case(
        Code::StartCountsFirst,
        4,
        program!("autorestart=false\n"),
        program!("autorestart=false\nstartsecs=5\n"),
    ),
    case(Code::StopsignalZero, 4, program!("stopsignal=0\n"), program!("stopsignal=INT\n")),
    case(Code::NoProcesses, 4, program!("numprocs=0\n"), program!("numprocs=1\n")),
    case(
        Code::UserCannotSwitch,
        5,
        "[supervisord]\nuser=me\n[program:a]\ncommand=/bin/cat\nuser=root\n",
        "[supervisord]\nuser=root\n[program:a]\ncommand=/bin/cat\nuser=me\n",
    ),
];

const CARE: &[Case] = &[
    case(Code::BadValue, 3, "[rs]\ncompat=unix\n", "[rs]\ncompat=minix\n"),
    case(Code::BadValue, 4, program!("backoff=linear\n"), program!("backoff=binary\n")),
    case(Code::BadValue, 4, program!("heartbeat_period=5HZ\n"), program!("heartbeat_period=5s\n")),
    case(
        Code::BadValue,
        4,
        program!("health_tcp=localhost:80\nhealth_http=http://localhost/\n"),
        program!("health_http=http://localhost/\n"),
    ),
    case(
        Code::MissingOption,
        4,
        program!("ready=health\n"),
        program!("ready=health\nhealth_command=true\n"),
    ),
    case(
        Code::ShortHeartbeat,
        4,
        program!("heartbeat_period=49ms\n"),
        program!("heartbeat_period=50ms\n"),
    ),
    case(
        Code::NoRetries,
        5,
        program!("health_command=true\nhealth_retries=1\n"),
        program!("health_command=true\nhealth_retries=2\n"),
    ),
    case(
        Code::IgnoredOption,
        4,
        program!("health_timeout=1\n"),
        program!("health_timeout=1\nhealth_command=true\n"),
    ),
    case(
        Code::IgnoredOption,
        5,
        program!("backoff=constant:1\nbackoff_max=9\n"),
        program!("backoff=binary\nbackoff_max=9\n"),
    ),
    case(
        Code::IgnoredOption,
        4,
        program!("script_timeout=9\n"),
        program!("script_timeout=9\nrecovery_script=/bin/cat\n"),
    ),
    case(
        Code::ImpliedCondition,
        4,
        program!("depends_on=b\n[program:b]\ncommand=/bin/cat\n"),
        program!("depends_on=b:started\n[program:b]\ncommand=/bin/cat\n"),
    ),
    case(
        Code::MissingFile,
        4,
        program!("env_file=/etc/none.env\n"),
        program!("env_file=-/etc/none.env\n"),
    ),
    case(
        Code::MissingFile,
        4,
        program!("recovery_script=/etc/none.sh\n"),
        program!("recovery_script=/bin/cat\n"),
    ),
];

const LOGS: &[Case] = &[
    case(
        Code::SharedLog,
        5,
        program!("stdout_logfile=/tmp/x\nstderr_logfile=/tmp/x\n"),
        program!("stdout_logfile=/tmp/x\nredirect_stderr=true\n"),
    ),
    case(
        Code::SharedLog,
        6,
        program!("numprocs=2\nprocess_name=a%(process_num)d\nstdout_logfile=/tmp/x\n"),
        program!(
            "numprocs=2\nprocess_name=a%(process_num)d\nstdout_logfile=/tmp/x%(process_num)d\n"
        ),
    ),
    case(
        Code::DeprecatedSyslog,
        4,
        program!("stdout_logfile=syslog\n"),
        program!("stdout_syslog=true\n"),
    ),
    case(
        Code::RedirectIgnoresFile,
        5,
        program!("redirect_stderr=true\nstderr_logfile=/tmp/x\n"),
        program!("redirect_stderr=true\nstderr_logfile=NONE\n"),
    ),
    case(
        Code::UnboundedLog,
        4,
        program!("stdout_logfile_maxbytes=0\n"),
        program!("stdout_logfile=/dev/stdout\nstdout_logfile_maxbytes=0\n"),
    ),
    case(
        Code::NeverRotated,
        5,
        program!("stdout_logfile=/tmp/x\nstdout_logfile_maxbytes=0\n"),
        program!("stdout_logfile=/tmp/x\nstdout_logfile_maxbytes=1MB\n"),
    ),
    case(
        Code::BackupsWithoutLimit,
        6,
        program!("stdout_logfile=/tmp/x\nstdout_logfile_maxbytes=0\nstdout_logfile_backups=3\n"),
        program!("stdout_logfile=/tmp/x\nstdout_logfile_maxbytes=1MB\nstdout_logfile_backups=3\n"),
    ),
    case(
        Code::NothingToCompress,
        5,
        program!("stdout_logfile=/dev/null\nstdout_logfile_compress=1\n"),
        program!("stdout_logfile=/dev/null\n"),
    ),
    case(
        Code::NothingToCompress,
        5,
        program!("stderr_logfile=NONE\nstderr_logfile_compress=1\n"),
        program!("stderr_logfile=NONE\n"),
    ),
    case(
        Code::NothingToCompress,
        3,
        "[supervisord]\nlogfile_backups=0\nlogfile_compress=1\n",
        "[supervisord]\nlogfile_backups=0\n",
    ),
    case(
        Code::NothingToPrefix,
        5,
        program!("stdout_logfile=/tmp/x\nstdout_logfile_prefix=\"a \"\n"),
        program!(
            "stdout_logfile=/dev/stdout\nstdout_logfile_maxbytes=0\nstdout_logfile_prefix=\"a \"\n"
        ),
    ),
    case(
        Code::EmptiedLog,
        5,
        program!("stdout_logfile=/tmp/x\nstdout_logfile_backups=0\n"),
        program!("stdout_logfile=/tmp/x\nstdout_logfile_backups=1\n"),
    ),
    case(
        Code::DeviceLog,
        4,
        program!("stdout_logfile=/dev/stdout\n"),
        program!("stdout_logfile=/dev/stdout\nstdout_logfile_maxbytes=0\n"),
    ),
    case(
        Code::ForeignDescriptor,
        4,
        program!("stdout_logfile=/dev/fd/3\n"),
        program!("stdout_logfile=/dev/fd/1\nstdout_logfile_maxbytes=0\n"),
    ),
];

const GROUPS: &[Case] = &[
    case(
        Code::TwoGroups,
        7,
        program!("[group:g]\nprograms=a\n[group:h]\nprograms=a\n"),
        program!("[group:g]\nprograms=a\n"),
    ),
    case(Code::EmptyGroup, 4, program!("[group:g]\n"), program!("[group:g]\nprograms=a\n")),
    case(
        Code::SameName,
        2,
        program!("[program:b]\ncommand=/bin/cat\n[group:a]\nprograms=b\n"),
        program!("[program:b]\ncommand=/bin/cat\n[group:g]\nprograms=b\n"),
    ),
    case(
        Code::SameName,
        6,
        program!("[program:b]\ncommand=/bin/cat\nprocess_name=a\n[group:g]\nprograms=a,b\n"),
        program!("[program:b]\ncommand=/bin/cat\nprocess_name=c\n[group:g]\nprograms=a,b\n"),
    ),
    case(
        Code::FastCgiInGroup,
        6,
        "[fcgi-program:f]\ncommand=/bin/cat\nsocket=unix:///tmp/f\n[group:g]\nprograms=f\n",
        "[fcgi-program:f]\ncommand=/bin/cat\nsocket=unix:///tmp/f\n",
    ),
    case(
        Code::ListenerHearsItself,
        5,
        "[eventlistener:l]\ncommand=/bin/cat\nevents=EVENT\nstderr_events_enabled=true\n",
        "[eventlistener:l]\ncommand=/bin/cat\nevents=EVENT\n",
    ),
    case(
        Code::NothingToHear,
        6,
        program!("[eventlistener:l]\ncommand=/bin/cat\nevents=PROCESS_LOG\n"),
        program!(
            "stdout_events_enabled=true\n[eventlistener:l]\ncommand=/bin/cat\nevents=PROCESS_LOG\n"
        ),
    ),
    case(
        Code::NobodyListens,
        4,
        program!("stdout_events_enabled=true\n"),
        program!("stdout_events_enabled=false\n"),
    ),
    case(
        Code::IgnoredOption,
        5,
        "[eventlistener:l]\ncommand=/bin/cat\nevents=TICK_5\nstdout_capture_maxbytes=1MB\n",
        "[eventlistener:l]\ncommand=/bin/cat\nevents=TICK_5\nstderr_capture_maxbytes=1MB\n",
    ),
];

const SERVERS: &[Case] = &[
    case(
        Code::NoPassword,
        3,
        served!("[inet_http_server]\nport=9001\n", ""),
        served!(
            "[inet_http_server]\nport=9001\nusername=u\npassword=p\n",
            "username=u\npassword=p\n"
        ),
    ),
    case(
        Code::OpenSocket,
        4,
        served!("[unix_http_server]\nfile=/tmp/s\nchmod=0777\n", "serverurl=unix:///tmp/s\n"),
        served!("[unix_http_server]\nfile=/tmp/s\nchmod=0770\n", "serverurl=unix:///tmp/s\n"),
    ),
    case(
        Code::BadHash,
        5,
        served!(
            "[unix_http_server]\nfile=/tmp/s\nusername=u\npassword={SHA}abc\n",
            "serverurl=unix:///tmp/s\nusername=u\npassword=p\n"
        ),
        served!(
            "[unix_http_server]\nfile=/tmp/s\nusername=u\n\
             password={SHA}516b9783fca517eecbd1d064da2d165310b19759\n",
            "serverurl=unix:///tmp/s\nusername=u\npassword=p\n"
        ),
    ),
    case(
        Code::NoControlSection,
        0,
        "[unix_http_server]\nfile=/tmp/s\n[rpcinterface:supervisor]\n\
         supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface\n",
        served!("[unix_http_server]\nfile=/tmp/s\n", "serverurl=unix:///tmp/s\n"),
    ),
    case(
        Code::NoInterface,
        0,
        "[unix_http_server]\nfile=/tmp/s\n[supervisorctl]\nserverurl=unix:///tmp/s\n",
        served!("[unix_http_server]\nfile=/tmp/s\n", "serverurl=unix:///tmp/s\n"),
    ),
    case(
        Code::ControlElsewhere,
        5,
        served!("[unix_http_server]\nfile=/tmp/s\n", "serverurl=unix:///tmp/t\n"),
        served!("[unix_http_server]\nfile=/tmp/s\n", "serverurl=unix:///tmp/s\n"),
    ),
    case(
        Code::ControlPassword,
        8,
        served!(
            "[unix_http_server]\nfile=/tmp/s\nusername=u\npassword=p\n",
            "serverurl=unix:///tmp/s\npassword=p\n"
        ),
        served!(
            "[unix_http_server]\nfile=/tmp/s\nusername=u\npassword=p\n",
            "serverurl=unix:///tmp/s\nusername=u\npassword=p\n"
        ),
    ),
    case(
        Code::BackgroundOnly,
        3,
        "[supervisord]\nnodaemon=true\numask=002\n",
        "[supervisord]\nnodaemon=false\numask=002\n",
    ),
    case(Code::LimitTooLow, 2, "[supervisord]\nminfds=100000\n", "[supervisord]\nminfds=4096\n"),
    case(Code::BardoOnly, 2, "[supervisord]\nhang_timeout=3\n", HEAD),
];

fn cases() -> impl Iterator<Item = &'static Case> {
    [ERRORS, READING, PROGRAMS, CARE, LOGS, GROUPS, SERVERS].into_iter().flatten()
}

fn machine(text: &str) -> FakeHost {
    let whole = if text.contains("[supervisord]") || text.starts_with("[DEFAULT]") {
        text.to_owned()
    } else {
        format!("{HEAD}{text}")
    };
    let bytes = if text == "\u{0}" { b"\xff".to_vec() } else { whole.into_bytes() };
    FakeHost::new()
        .directory("/dev")
        .directory("/dev/fd")
        .file(FILE, bytes)
        .mode(FILE, 0o100_640)
        .file("/etc/s.d/x.conf", "[program:x]\ncommand=/bin/cat\n")
        .mode("/etc/s.d/x.conf", 0o100_644)
        .unreadable("/etc/locked/x.conf")
        .file("/etc/nested.conf", "[supervisorctl]\n\n[include]\nfiles=x\n")
        .file("/etc/open.conf", "[unix_http_server]\npassword=p\nfile=/tmp/s\nusername=u\n")
        .mode("/etc/open.conf", 0o100_666)
        .mode("/bin/cat", 0o100_755)
        .mode("/bin/sh", 0o100_755)
}

fn found(text: &str) -> Vec<Finding> {
    check(&machine(text), FILE)
}

fn shown(findings: &[Finding]) -> String {
    let mut text = String::new();
    for Finding { place, code, message, advice } in findings {
        let line = place.line.unwrap_or(0);
        writeln!(text, "{}:{line}: {}: {message} [{advice:?}]", place.file, code.name()).unwrap();
    }
    text
}

#[test]
fn every_code_has_a_case() {
    let tried: BTreeSet<Code> = cases().map(|case| case.code).collect();

    let missing: Vec<&str> =
        Code::ALL.iter().filter(|code| !tried.contains(code)).map(|code| code.name()).collect();

    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn every_case_is_found_in_its_line() {
    let mut missed = String::new();
    for Case { code, line, bad, .. } in cases() {
        let findings = found(bad);

        let is_there = findings
            .iter()
            .any(|finding| finding.code == *code && finding.place.line.unwrap_or(0) == *line);
        if !is_there {
            let name = code.name();
            write!(missed, "{name} in line {line} of {bad}\n{}", shown(&findings)).unwrap();
        }
    }
    assert_eq!(missed, "");
}

#[test]
fn twins_have_nothing() {
    for Case { code, good, .. } in cases() {
        let mut findings = found(good);
        // Bardo's own options are always told.
        findings.retain(|finding| finding.code != Code::BardoOnly);
        assert_eq!(shown(&findings), "", "{}: {good}", code.name());
    }
}

#[test]
fn a_log_that_has_backups_may_be_compressed() {
    for text in [
        "[supervisord]\nlogfile_compress=1\n",
        program!("stdout_logfile_compress=1\n"),
        program!("stderr_logfile=/tmp/x\nstderr_logfile_compress=1\n"),
        program!("redirect_stderr=1\nstderr_logfile=NONE\nstderr_logfile_compress=1\n"),
    ] {
        let codes: Vec<Code> = found(text).iter().map(|finding| finding.code).collect();
        assert_eq!(codes, [Code::BardoOnly], "{text}");
    }
}

#[test]
fn a_file_is_refused_exactly_when_it_has_an_error() {
    for text in cases().flat_map(|case| [case.bad, case.good]) {
        let request = Request { file: FILE.to_owned(), overrides: Vec::new() };
        let refused = crate::load(&machine(text), &request).is_err();
        // The client alone reads its plug-ins.
        let refused = refused || text.starts_with("[ctlplugin:");

        let has_error = found(text).iter().any(|finding| finding.severity() == Severity::Error);

        assert_eq!(has_error, refused, "{text}");
    }
}

#[test]
fn a_port_without_a_required_password_is_found_in_its_section() {
    let text = "[supervisord]\nrequire_password=true\n[inet_http_server]\nport=127.0.0.1:1\n";

    let findings = found(text);

    let errors: Vec<(Code, Option<usize>)> = findings
        .iter()
        .filter(|finding| finding.severity() == Severity::Error)
        .map(|finding| (finding.code, finding.place.line))
        .collect();
    assert_eq!(errors, [(Code::MissingOption, Some(3))], "{}", shown(&findings));
}

#[test]
fn the_words_of_a_refusal_are_those_of_loading() {
    for case in ERRORS.iter().filter(|case| case.code != Code::PythonPlugin) {
        let request = Request { file: FILE.to_owned(), overrides: Vec::new() };
        let error = crate::load(&machine(case.bad), &request).unwrap_err().without_place();

        let findings = found(case.bad);

        let same = findings.iter().filter(|finding| finding.message == error).count();
        assert_eq!(same, 1, "{error}\n{}", shown(&findings));
    }
}

#[test]
fn the_place_of_a_finding_is_not_in_its_words() {
    for (text, words) in [
        (program!("depends_on=a\n"), "4: depends_on goes in a circle: a -> a"),
        (program!("depends_on=c\n"), "4: [program:a] depends on c, and no program is called that"),
        (
            program!("depends_on=b:foo\n[program:b]\ncommand=/bin/cat\n"),
            "4: [program:a] depends on b:foo, and b has no process foo; a condition is ready or \
             started",
        ),
        ("[supervisord]\nexit_on=x\n", "2: exit_on names x, and no program is called that"),
    ] {
        let findings = found(text);

        let errors = findings.iter().filter(|it| it.severity() == Severity::Error);
        let told: Vec<String> =
            errors.map(|it| format!("{}: {}", it.place.line.unwrap_or(0), it.message)).collect();
        assert_eq!(told, [words], "{}", shown(&findings));
    }
}

#[test]
fn all_errors_are_found_in_one_run() {
    let text = "[supervisord]\nnodaemon=perhaps\nminfds=x\nnonsense\n[program:a]\nnumprocs=2\n\
                user=nobody-here\n[group:g]\nprograms=a,c,d\n";

    let codes: Vec<(Option<usize>, Code)> =
        found(text).iter().map(|finding| (finding.place.line, finding.code)).collect();

    assert_eq!(
        codes,
        [
            (Some(2), Code::BadValue),
            (Some(3), Code::BadValue),
            (Some(4), Code::Syntax),
            (Some(5), Code::MissingOption),
            (Some(5), Code::BadValue),
            (Some(7), Code::UnknownUser),
            (Some(9), Code::UnknownProgram),
        ]
    );
}

#[test]
fn an_advice_names_what_may_be_meant() {
    let cases = [
        ("[programs:a]\n", "perhaps [program:a] is meant"),
        (program!("commnad=/bin/cat\n"), "perhaps `command` is meant"),
        (program!("nodaemon=true\n"), "it is an option of [supervisord]"),
        (program!("[group:g]\nprograms=aa\n"), "perhaps `a` is meant"),
        (program!("[group:g]\nprograms=a b\n"), "separate the programs by commas"),
        (program!("user=\"me\"\n"), "the quotes are part of the value: take them away"),
        (program!("numprocs=${COUNT}\n"), "no shell reads this file: %(ENV_NAME)s is the variable"),
        (program!("umask=%(ENV_X)s\n"), "the daemon must be started with X in its environment"),
        ("[eventlistener:l]\ncommand=/bin/cat\nevents=TICK_6\n", "perhaps `TICK_5` is meant"),
    ];

    for (text, advice) in cases {
        let findings = found(text);

        let mut given = findings.iter().filter_map(|finding| finding.advice.as_deref());
        assert!(given.any(|given| given.starts_with(advice)), "{text}\n{}", shown(&findings));
    }
}

#[test]
fn a_comment_behind_a_value_is_fine() {
    let text = program!("stdout_logfile=/tmp/x ; its log\nuser=me # its user\n");

    assert_eq!(shown(&found(text)), "");
}

#[test]
fn what_is_given_twice_in_two_files_is_told_with_both() {
    let text = "[program:x]\ncommand=/bin/sh\n[include]\nfiles=s.d/*.conf\n";

    let findings = found(text);

    let repeated = findings.iter().find(|finding| finding.code == Code::RepeatedOption).unwrap();
    assert_eq!(&*repeated.place.file, "/etc/s.d/x.conf");
    assert_eq!(repeated.message, "`command` is given in /etc/s.conf:3 too; this value counts");
}

proptest! {
    #[test]
    fn any_file_is_refused_exactly_when_it_has_an_error(
        text in "([ ]{0,2}(\\[(program|group|eventlistener|fcgi-program|x):[ab]\\]\
            |\\[(supervisord|inet_http_server|unix_http_server|include)\\]\
            |(command|environment|user|stdout_logfile|events|programs|port|file|files|numprocs\
            |socket|username|password|process_name|stopasgroup|killasgroup|redirect_stderr|x)[=:]\
            (true|false|me|1|2|a|a,b|TICK_5|/tmp/x|tcp://h:1|[a1%$~#;,=\"'\\[\\]/ ]{0,8}))\n){0,12}"
    ) {
        let request = Request { file: FILE.to_owned(), overrides: Vec::new() };
        let refused = crate::load(&machine(&text), &request).is_err();

        let findings = found(&text);

        let has_error = findings.iter().any(|finding| finding.severity() == Severity::Error);
        prop_assert_eq!(has_error, refused, "{}", shown(&findings));
    }
}
