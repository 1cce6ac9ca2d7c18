//! What whole files mean.

use super::*;

#[test]
fn the_handlers_of_known_packages_judge_results() {
    for handler in [
        "supervisor.dispatchers:default_handler",
        "supervisor_stdout:event_handler",
        "supervisor_console.events:event_handler",
        "supervisor_twiddler.resulthandler:stdin_write_handler",
    ] {
        let section = "[eventlistener:x]\ncommand=/bin/x\nevents=EVENT\nresult_handler=";

        let loaded = loaded(&format!("{section}{handler}\n"));

        let GroupKind::Listeners(listeners) = &loaded.configuration.groups[0].kind else {
            panic!("{handler}: no listeners");
        };
        assert_eq!(&*listeners.result_handler, handler);
        assert_eq!(listeners.event_length, EventLength::Characters);
    }
}

#[test]
fn a_program_of_few_words_has_supervisors_defaults() {
    let group = program("");
    let service = &group.services[0];

    assert_eq!((&*group.name, group.priority, names(&group)), ("p", 999, vec!["p"]));
    assert_eq!(&*service.command, "/bin/cat");
    assert_eq!(*service.program, ProgramSpec::default());
    assert_eq!(service.program.priority, 999);
    assert!(service.program.autostart);
    assert_eq!(service.program.exit_codes, [0]);
    assert_eq!(service.program.restart.start_retries, Some(3));
    assert_eq!(service.program.stop.signal.number(), 15);
    assert_eq!(service.program.stop.wait.0, 10);
    let log = LogSpec::default();
    assert_eq!((&service.stdout, &service.stderr), (&log, &log));
    assert_eq!(service.stdout.target, LogTarget::Auto);
    assert_eq!((service.stdout.bytes_max, service.stdout.backups), (50 << 20, 10));
    assert_eq!((&service.directory, &service.program.server_url), (&None, &None));
}

#[test]
fn a_listener_pool_starts_before_all_programs() {
    let loaded =
        loaded("[program:a]\ncommand=x\n[eventlistener:z]\ncommand=x\nevents=tick_5, EVENT");

    let [pool, program] = &loaded.configuration.groups[..] else { panic!("two groups") };
    assert_eq!((&*pool.name, pool.priority, pool.services[0].program.priority), ("z", -1, 999));
    assert_eq!(&*program.name, "a");
    let GroupKind::Listeners(listener) = &pool.kind else { panic!("a pool") };
    assert_eq!(listener.buffer_size, 10);
    assert_eq!(listener.events.iter().map(|name| &**name).collect::<Vec<_>>(), ["EVENT", "TICK_5"]);
}

#[test]
fn a_fastcgi_socket_belongs_to_the_user_of_its_programs() {
    let text = "[fcgi-program:f]\ncommand=x\nsocket=unix:///tmp/%(program_name)s.sock\nuser=";
    let socket = |text: &str| {
        let loaded = loaded(text);
        let GroupKind::FastCgi(socket) = loaded.configuration.groups[0].kind.clone() else {
            panic!("a FastCGI group")
        };
        socket
    };

    let root = socket(&format!("{text}root"));
    let own = socket(&format!("{text}me"));
    let named = socket(&format!("{text}root\nsocket_owner=me:root\nsocket_mode=0660"));

    assert_eq!(root.address, SocketAddress::Unix("/tmp/f.sock".into()));
    assert_eq!((root.owner, root.mode), (Some((0, Some(0))), None));
    assert_eq!(own.owner, None);
    assert_eq!((named.owner, named.mode), (Some((1000, Some(0))), Some(0o660)));
}

#[test]
fn a_fastcgi_program_in_a_group_is_an_ordinary_one() {
    let loaded = loaded("[fcgi-program:f]\ncommand=x\n[group:g]\nprograms=f\n");

    assert_eq!(loaded.configuration.groups.len(), 1);
    assert_eq!(loaded.configuration.groups[0].kind, GroupKind::Programs);
}

#[test]
fn the_settings_have_supervisors_defaults() {
    let settings = loaded("").settings;

    assert_eq!(settings.logfile, MainLog::File("/work/supervisord.log".to_owned()));
    assert_eq!(settings.pidfile, "/work/supervisord.pid");
    assert_eq!((settings.logfile_bytes_max, settings.logfile_backups), (50 << 20, 10));
    assert_eq!((settings.loglevel, settings.umask), (LogLevel::Info, 0o22));
    assert_eq!((settings.minfds, settings.minprocs), (1024, 200));
    assert_eq!(
        (settings.childlogdir.as_str(), settings.identifier.as_str()),
        ("/tmp", "supervisor")
    );
    assert_eq!((settings.user, settings.directory), (None, None));
    assert_eq!(settings.hang_timeout.as_secs(), 10);
}

#[test]
fn the_command_line_counts_more_than_the_file() {
    let host = host("[supervisord]\nlogfile=/tmp/a.log\numask=077\nuser=root\n");
    let option = |name: &str, text: &str| (name.to_owned(), text.to_owned());
    let overrides = vec![
        option("logfile", "sub.log"),
        option("nodaemon", "true"),
        option("user", "me"),
        option("identifier", "100%"),
    ];

    let loaded = load(&host, &Request { file: FILE.to_owned(), overrides }).unwrap();

    let settings = loaded.settings;
    assert_eq!(settings.logfile, MainLog::File("/work/sub.log".to_owned()));
    assert_eq!((settings.nodaemon, settings.umask), (true, 0o77));
    assert_eq!(
        settings.user.map(|user| (user.name, user.account.uid)),
        Some(("me".to_owned(), 1000))
    );
    assert_eq!(settings.identifier, "100%");
}

#[test]
fn ports_come_before_socket_files() {
    let loaded = loaded(
        "[unix_http_server]\nfile=%(here)s/s.sock\nchmod=0770\nchown=root:me\n\
         [inet_http_server:b]\nport=*:9002\nusername=u\npassword={SHA}x\n\
         [inet_http_server]\nport=LOCALHOST:9001\n",
    );

    let listens: Vec<_> = loaded.servers.iter().map(|server| server.listen.clone()).collect();
    assert_eq!(
        listens,
        [
            Listen::Inet { host: String::new(), port: 9002 },
            Listen::Inet { host: "localhost".to_owned(), port: 9001 },
            Listen::Unix {
                path: "/etc/s.sock".to_owned(),
                mode: 0o770,
                owner: Some((0, Some(1000)))
            },
        ]
    );
    assert_eq!(loaded.servers[0].credentials, Some(("u".to_owned(), "{SHA}x".to_owned())));
    assert_eq!(loaded.server_url.as_deref(), Some("unix:///etc/s.sock"));
}

#[test]
fn numbered_processes_are_sorted_as_text_and_know_their_number() {
    let group = program(
        "numprocs=11\nprocess_name=%(program_name)s_%(process_num)d\n\
         environment=N=%(numprocs)d\ndirectory=/d%(process_num)02d\n\
         stdout_logfile=/tmp/%(group_name)s-%(process_num)s.log",
    );

    assert_eq!(names(&group)[..4], ["p_0", "p_1", "p_10", "p_2"]);
    let third = &group.services[2];
    assert_eq!(third.directory.as_deref(), Some("/d10"));
    assert_eq!(third.stdout.target, LogTarget::File("/tmp/p-10.log".into()));
    assert_eq!(pairs(third), [("N", "11")]);
}

#[test]
fn processes_of_one_program_share_what_is_equal() {
    let group = program(
        "numprocs=3\nprocess_name=%(process_num)d\nenvironment=A=x,B=y\ndirectory=/d\n\
         stderr_logfile=/tmp/e",
    );
    let [one, two, _] = &group.services[..] else { panic!("three services") };

    assert!(Arc::ptr_eq(&one.program, &two.program));
    assert!(Arc::ptr_eq(&one.command, &two.command));
    assert!(Arc::ptr_eq(&one.environment, &two.environment));
    assert!(Arc::ptr_eq(one.directory.as_ref().unwrap(), two.directory.as_ref().unwrap()));
    let (LogTarget::File(one), LogTarget::File(two)) = (&one.stderr.target, &two.stderr.target)
    else {
        panic!("two files")
    };
    assert!(Arc::ptr_eq(one, two));
}

#[test]
fn ten_thousand_processes_hold_one_program_and_one_environment() {
    let group = program(
        "numprocs=10000\nprocess_name=%(process_num)05d\nenvironment=A=x,B=y\nuser=root\n\
         directory=/d\nstdout_logfile=/tmp/o",
    );

    let first = &group.services[0];
    assert_eq!(group.services.len(), 10_000);
    assert_eq!(Arc::strong_count(&first.program), 10_000);
    assert_eq!(Arc::strong_count(&first.environment), 10_000);
    assert_eq!(Arc::strong_count(&first.command), 10_000);
}

#[test]
fn every_option_of_a_program_is_taken_in() {
    let service = process(
        "process_name=%(group_name)s-x\npriority=-5\nautostart=off\nautorestart=1\nstartsecs=7\n\
         startretries=9\nexitcodes=0, 2 ,255\nstopsignal=sigusr1\nstopwaitsecs=33\n\
         stopasgroup=On\nignore_sigpipe=1\nuser=me\numask=077\ndirectory=%(here)s\nenvironment=A=1\n\
         serverurl=http://h:1\nstdout_logfile=/tmp/o\nstdout_logfile_maxbytes=12KB\n\
         stdout_logfile_backups=3\nstdout_capture_maxbytes=1GB\nstdout_events_enabled=yes\n\
         stdout_syslog=true\nstdout_logfile_compress=1\nstderr_logfile_compress=on\nstderr_logfile=/tmp/e\nstderr_logfile_maxbytes=3mb\n\
         stderr_logfile_backups=0\nstderr_capture_maxbytes=5\nstderr_events_enabled=1\n\
         stderr_syslog=true\nstdout_logfile_prefix=%(group_name)s:\nstderr_logfile_prefix=\"E \"",
    );

    let program = &service.program;
    assert_eq!((&*service.name, program.priority, program.autostart), ("p-x", -5, false));
    assert_eq!(program.restart.on, RestartOn::Always);
    assert_eq!(program.startsecs, Seconds(7));
    assert_eq!(program.restart.start_retries, Some(9));
    assert_eq!((&program.exit_codes[..], program.ignore_sigpipe), (&[0, 2, 255][..], true));
    assert_eq!((program.stop.signal.number(), program.stop.wait), (10, Seconds(33)));
    assert_eq!(program.user.as_ref().map(|user| user.uid), Some(1000));
    assert_eq!((program.umask, program.server_url.as_deref()), (Some(0o77), Some("http://h:1")));
    assert_eq!(service.directory.as_deref(), Some("/etc"));
    assert_eq!(pairs(&service), [("A", "1")]);
    let log = |file: &str, bytes_max, backups, capture_bytes_max, prefix: &str| LogSpec {
        target: LogTarget::File(file.into()),
        bytes_max,
        backups,
        compress: true,
        capture_bytes_max,
        events: true,
        syslog: true,
        prefix: prefix.into(),
    };
    assert_eq!(service.stdout, log("/tmp/o", 12 << 10, 3, 1 << 30, "p:"));
    assert_eq!(service.stderr, log("/tmp/e", 3 << 20, 0, 5, "E "));
}

#[test]
fn every_option_of_the_server_is_taken_in() {
    let settings = loaded(
        "logfile=syslog\nlogfile_maxbytes=0\nlogfile_backups=1\nloglevel=Trace\n\
         pidfile=~/p.pid\numask=0\nnodaemon=1\nsilent=1\nminfds=1\nminprocs=2\nnocleanup=1\n\
         childlogdir=~\nuser=me\ndirectory=/tmp\nstrip_ansi=1\nenvironment=A=1\n\
         identifier=%(ENV_HOME)s\nhang_timeout=3\nlogfile_compress=true\n",
    )
    .settings;

    assert_eq!((settings.logfile, settings.loglevel), (MainLog::Syslog, LogLevel::Trace));
    assert_eq!((settings.logfile_bytes_max, settings.logfile_backups), (0, 1));
    assert!(settings.logfile_compress);
    assert_eq!((settings.pidfile.as_str(), settings.umask), ("/home/me/p.pid", 0));
    assert!(settings.nodaemon && settings.silent && settings.nocleanup && settings.strip_ansi);
    assert_eq!((settings.minfds, settings.minprocs), (1, 2));
    assert_eq!(settings.childlogdir, "/home/me");
    assert_eq!(settings.directory.as_deref(), Some("/tmp"));
    assert_eq!(settings.user.map(|user| user.account.uid), Some(1000));
    assert_eq!(settings.environment, [("A".into(), "1".into())]);
    assert_eq!((settings.identifier.as_str(), settings.hang_timeout.as_secs()), ("/home/me", 3));
}

#[test]
fn variables_that_differ_share_the_rest() {
    let group =
        program("numprocs=2\nprocess_name=%(process_num)d\nenvironment=A=x,N=%(process_num)d");
    let (one, two) = (&group.services[0].environment, &group.services[1].environment);

    assert!(Arc::ptr_eq(&one[0].0, &two[0].0) && Arc::ptr_eq(&one[0].1, &two[0].1));
    assert!(Arc::ptr_eq(&one[1].0, &two[1].0));
    assert_eq!((&*one[1].1, &*two[1].1), ("0", "1"));
}

#[test]
fn variables_are_layered() {
    let text = "environment=ONE=super,TWO=super\n[program:p]\n\
                command=x %(ENV_ONE)s %(ENV_TWO)s %(ENV_HOME)s\nenvironment=TWO=prog,FOUR=%(ENV_TWO)s";
    let loaded = loaded(text);
    let service = &loaded.configuration.groups[0].services[0];

    assert_eq!(pairs(service), [("ONE", "super"), ("TWO", "prog"), ("FOUR", "super")]);
    assert_eq!(&*service.command, "x super prog /home/me");
}

#[test]
fn the_global_environment_is_expanded_once() {
    let loaded = loaded("environment=A=\"50%%\",B=%(host_node_name)s");

    let variables: Vec<_> =
        loaded.settings.environment.iter().map(|(key, value)| (&**key, &**value)).collect();
    assert_eq!(variables, [("A", "50%"), ("B", "node")]);
}

#[test]
fn groups_collect_programs_in_their_order() {
    let loaded = loaded(
        "[program:a]\ncommand=x\npriority=5\n[program:b]\ncommand=x\npriority=1\n\
         [program:c]\ncommand=x\n[group:g]\nprograms=a,b\npriority=3\n",
    );

    let order: Vec<_> =
        loaded.configuration.groups.iter().map(|group| (&*group.name, names(group))).collect();
    assert_eq!(order, [("g", vec!["a", "b"]), ("c", vec!["c"])]);
}

#[test]
fn a_program_may_stand_in_two_groups() {
    let loaded = loaded(
        "[program:a]\ncommand=%(group_name)s\n[group:g]\nprograms=a\n[group:h]\nprograms=a\n",
    );

    let commands: Vec<_> =
        loaded.configuration.groups.iter().map(|group| &*group.services[0].command).collect();
    assert_eq!(commands, ["g", "h"]);
}

#[test]
fn doubled_names_leave_one_and_a_warning() {
    let loaded = loaded(
        "[program:a]\ncommand=1\nprocess_name=x\n[program:b]\ncommand=2\nprocess_name=x\n\
         [group:g]\nprograms=a,b\n[program:g]\ncommand=3\n",
    );

    let [group] = &loaded.configuration.groups[..] else { panic!("one group") };
    assert_eq!(names(group), ["x"]);
    assert_eq!(&*group.services[0].command, "2");
    assert_eq!(loaded.messages.warnings.len(), 2);
}

#[test]
fn the_prefix_of_lines_comes_from_the_server_where_a_program_has_none() {
    let configuration = loaded(
        "stdout_logfile_prefix=\"%(program_name)s%(process_num)d | \"\nstderr_logfile_prefix=!\n\
         [program:a]\ncommand=/bin/cat\nnumprocs=2\nprocess_name=%(process_num)d\n\
         [program:b]\ncommand=/bin/cat\nstdout_logfile_prefix=\nstderr_logfile_prefix=B\n",
    )
    .configuration;

    let prefixes: Vec<(&str, &str)> = configuration
        .groups
        .iter()
        .flat_map(|group| &group.services)
        .map(|service| (&*service.stdout.prefix, &*service.stderr.prefix))
        .collect();
    assert_eq!(prefixes, [("a0 | ", "!"), ("a1 | ", "!"), ("", "B")]);
}

#[test]
fn logs_of_a_program_may_be_words() {
    let service = process("stdout_logfile=NONE\nstderr_logfile=/tmp/e\nredirect_stderr=true");

    assert_eq!(service.stdout.target, LogTarget::None);
    assert_eq!(service.stderr.target, LogTarget::None);
}

#[test]
fn stopasgroup_is_the_default_of_killasgroup() {
    let stop = &process("stopasgroup=true").program.stop;
    assert_eq!((stop.stop_reach, stop.kill_reach), (Reach::Group, Reach::Group));
    let kill = &process("killasgroup=true").program.stop;
    assert_eq!((kill.stop_reach, kill.kill_reach), (Reach::Process, Reach::Group));
}

#[test]
fn an_automatic_url_is_none() {
    assert_eq!(process("serverurl=Auto").program.server_url, None);
    assert_eq!(
        process("serverurl=http://x/;y#z").program.server_url.as_deref(),
        Some("http://x/;y#z")
    );
}

#[test]
fn warnings_are_queued_in_order() {
    let loaded = loaded(
        "[program:p]\ncommand=x\nstdout_logfile_maxbytes=0\n\
         [program:q]\ncommand=x\nredirect_stderr=true\nstderr_logfile=/tmp/e\n\
         [program:r]\ncommand=x\nstdout_logfile=syslog\n\
         [program:s]\ncommand=x\nstopsignal=0\n",
    );

    assert_eq!(
        loaded.messages.warnings,
        [
            "For [program:p], AUTO logging used for stdout_logfile without rollover, set maxbytes \
             > 0 to avoid filling up filesystem unintentionally",
            "For [program:q], redirect_stderr=true but stderr_logfile has also been set to a \
             filename, the filename has been ignored",
            "For [program:r], stdout_logfile=syslog but this is deprecated and will be removed.  \
             Use stdout_syslog=true to enable syslog instead.",
            "For [program:s], stopsignal=0 asks nothing of the program, so every stop waits for \
             stopwaitsecs and ends in SIGKILL",
        ]
    );
    assert!(loaded.configuration.group("r").unwrap().services[0].stdout.syslog);
}

#[test]
fn included_files_are_read_in_sorted_order() {
    let text = "[supervisord]\n[include]\nfiles = conf.d/*.conf conf.d/*.ini\n  %(here)s/more/*.conf absent/*.conf\n";
    let host = host(text)
        .file("/etc/conf.d/20.conf", "[program:two]\ncommand=%(here)s\n")
        .file("/etc/conf.d/10.conf", "[program:zero]\ncommand=x\n[include]\nfiles=nothing\n")
        .file("/etc/conf.d/10.ini", "[program:one]\ncommand=x\n[program:two]\npriority=7\n")
        .file("/etc/more/30.conf", "[program:three]\ncommand=x\ndirectory=%(here)s\n")
        .unreadable("/etc/more/40.conf");

    let loaded = loaded_on(&host);

    let order: Vec<_> = loaded.configuration.groups.iter().map(|group| &*group.name).collect();
    assert_eq!(order, ["two", "one", "three", "zero"]);
    let two = loaded.configuration.group("two").unwrap();
    assert_eq!(&*two.services[0].command, "/etc/conf.d");
    let three = loaded.configuration.group("three").unwrap();
    assert_eq!(three.services[0].directory.as_deref(), Some("/etc/more"));
    assert_eq!(
        loaded.messages.infos,
        ["conf.d/10.conf", "conf.d/20.conf", "conf.d/10.ini", "more/30.conf", "more/40.conf"]
            .map(|file| format!("Included extra file \"/etc/{file}\" during parsing"))
    );
    assert_eq!(loaded.messages.warnings, ["No file matches via include \"/etc/absent/*.conf\""]);
}

#[test]
fn unknown_sections_and_options_are_ignored() {
    let loaded =
        loaded("weather=fine\n[program:p]\ncommand=x\ncolour=blue\n[custom]\nz=1\n[program]\n");

    assert_eq!(loaded.configuration.groups.len(), 1);
    assert_eq!(loaded.messages, Messages::default());
}

#[test]
fn a_relative_file_has_an_absolute_here() {
    let host = FakeHost::new().file("conf/s.conf", "[supervisord]\nidentifier=%(here)s\n");

    let loaded = load(&host, &Request { file: "conf/s.conf".to_owned(), overrides: Vec::new() });

    assert_eq!(loaded.unwrap().settings.identifier, "/work/conf");
}

/// A gateway's published configuration, letter for letter.
const IZOT: &str = include_str!("../../../tests/fixtures/izot-server.conf");

#[test]
fn a_real_gateway_means_what_supervisor_makes_of_it() {
    let host = host("[supervisord]\n[include]\nfiles=izot-server.conf\n")
        .file("/etc/izot-server.conf", IZOT)
        .user("debian", 1001, "/home/debian")
        .directory("/home/debian/izot-sdk/etc/supervisor");

    let loaded = loaded_on(&host);

    let [group] = &loaded.configuration.groups[..] else { panic!("one group") };
    assert_eq!((&*group.name, names(group)), ("server", vec!["network", "api"]));
    let [network, api] = &group.services[..] else { panic!("two services") };
    assert_eq!(&*network.command, "\"/home/debian/izot-sdk/bin/LonBridge\"");
    assert_eq!(network.directory.as_deref(), Some("/home/debian/izot-sdk/etc/lonbridge"));
    assert_eq!(pairs(network), [("LD_LIBRARY_PATH", "/home/debian/izot-sdk/lib")]);
    assert_eq!((network.program.priority, api.program.priority), (100, 200));
    assert_eq!(
        &*api.command,
        "\"/home/debian/izot-sdk/bin/python3\" \"/home/debian/izot-sdk/izot/server/manage.py\" \
         run_gunicorn localhost:8000 directory=/home/debian/izot-sdk/izot/server"
    );
    assert_eq!(api.directory, None);
    assert_eq!(
        pairs(api),
        [("IZOT", "/home/debian/izot-sdk"), ("PYTHONPATH", "/home/debian/izot-sdk")]
    );
    let file = "/home/debian/izot-sdk/etc/supervisor/server-api.log";
    assert_eq!(api.stdout.target, LogTarget::File(file.into()));
    assert_eq!(api.stderr.target, LogTarget::None);
    let program = &api.program;
    assert_eq!(program.user.as_ref().map(|user| user.uid), Some(1001));
    assert_eq!((program.autostart, program.restart.start_retries), (false, Some(30)));
    assert_eq!(program.startsecs.duration().as_secs(), 30);
    assert!(loaded.messages.warnings.is_empty());
}

#[test]
fn the_groups_of_a_user_are_those_of_the_host() {
    let user = process("user=root").program.user.clone().unwrap();
    let account: Account = FakeHost::new().user_by_name("root").unwrap();

    assert_eq!((user.uid, user.gid, user.groups), (account.uid, account.gid, account.groups));
}

proptest! {
    #[test]
    fn any_file_is_loaded_or_refused(bytes: Vec<u8>) {
        let host = FakeHost::new().file(FILE, bytes);
        let _ = load(&host, &request());
    }

    #[test]
    fn any_value_is_loaded_or_refused(option in 0_usize..32, text in "[%()a-z0-9,=.'/ -]{0,16}") {
        let names = crate::options::descriptions();
        let name = names.iter().filter(|option| option.section == "[program:x]").nth(option);
        prop_assume!(name.is_some_and(|option| !option.name.starts_with("numprocs")));
        let name = name.map_or("", |option| option.name);
        let host = host(&format!("[supervisord]\n[program:p]\ncommand=x\n{name}={text}\n"));
        let _ = load(&host, &request());
    }
}

#[test]
fn a_daemon_is_found_whose_file_would_be_refused() {
    let host = host(
        "[supervisord]\npidfile=/run/s.pid\n[unix_http_server]\nfile=/run/s.sock\n\
         [program:x]\ncommand=x\nnumprocs=none\n",
    )
    .directory("/run");

    let there = whereabouts(&host, FILE).unwrap();

    assert!(load(&host, &request()).is_err());
    assert_eq!(there.pidfile.as_deref(), Some("/run/s.pid"));
    assert_eq!(default_server_url(&there.servers).as_deref(), Some("unix:///run/s.sock"));
}
