//! How whole files are refused.

use super::*;

#[test]
fn bad_options_of_a_program_are_refused_with_their_place() {
    let cases = [
        ("startsecs=abc", "invalid literal for int() with base 10: 'abc'"),
        ("startretries=x", "invalid literal for int() with base 10: 'x'"),
        ("stopwaitsecs=1.5", "invalid literal for int() with base 10: '1.5'"),
        ("numprocs=many", "invalid literal for int() with base 10: 'many'"),
        ("numprocs_start=q", "invalid literal for int() with base 10: 'q'"),
        ("autostart=maybe", "not a valid boolean value: 'maybe'"),
        ("autorestart=Sometimes", "invalid 'autorestart' value 'sometimes'"),
        ("stopsignal=NOPE", "value 'NOPE' is not a valid signal name"),
        ("stopsignal=999", "value '999' is not a valid signal number"),
        ("exitcodes=0,two", "not a valid list of exit codes: '0,two'"),
        ("umask=999", "999 can not be converted to an octal type"),
        ("user=no-such-user", "Invalid user name no-such-user"),
        ("user=54321987", "Invalid user id 54321987"),
        ("stdout_logfile_maxbytes=5XB", "invalid literal for int() with base 10: '5xb'"),
        ("stderr_logfile_backups=ten", "invalid literal for int() with base 10: 'ten'"),
        ("redirect_stderr=si", "not a valid boolean value: 'si'"),
        ("stdout_syslog=2", "not a valid boolean value: '2'"),
        ("stderr_events_enabled=2", "not a valid boolean value: '2'"),
        ("stdout_capture_maxbytes=1MBB", "invalid literal for int() with base 10: '1mbb'"),
        (
            "stdout_logfile=/no/such/dir/x.log",
            "The directory named as part of the path /no/such/dir/x.log does not exist",
        ),
        (
            "stopasgroup=true\nkillasgroup=false",
            "Cannot set stopasgroup=true and killasgroup=false",
        ),
        ("numprocs=2", "%(process_num) must be present within process_name when numprocs > 1"),
        (
            "numprocs=1000001\nprocess_name=%(process_num)d",
            "1000001 is above upper bound (1000000)",
        ),
        ("environment=A=1,B", "Unexpected end of key/value pairs in value 'A=1,B'"),
        ("environment=A='1", "No closing quotation"),
        ("process_name=a:b", "Invalid name: 'a:b' because of character: ':'"),
    ];

    for (options, wanted) in cases {
        assert_eq!(
            refused(&format!("[program:p]\ncommand=/bin/cat\n{options}\n")),
            format!("{wanted} in section 'program:p' (file: '/etc/s.conf')")
        );
    }
}

#[test]
fn a_bad_expansion_is_refused_with_its_place() {
    let cases = [
        (
            "directory=%(nothing)s",
            "Format string '%(nothing)s' for 'program:p.directory' contains names ('nothing') \
             which cannot be expanded. Available names: ENV_HOME, group_name, here, \
             host_node_name, numprocs, process_num, program_name",
        ),
        (
            "autostart=%(nothing)s",
            "Format string '%(nothing)s' for 'program:p.autostart' contains names ('nothing') \
             which cannot be expanded. Available names: ENV_HOME, group_name, here, \
             host_node_name, program_name",
        ),
        (
            "environment=A=%(ENV_B)s",
            "Format string 'A=%(ENV_B)s' for 'environment' contains names ('ENV_B') which cannot \
             be expanded. Available names: ENV_HOME, group_name, here, host_node_name, numprocs, \
             process_num, program_name",
        ),
        (
            "directory=/tmp/%(here",
            "Format string '/tmp/%(here' for 'program:p.directory' is badly formatted: \
             incomplete format key",
        ),
        (
            "stdout_logfile=/tmp/%%Y",
            "Format string '/tmp/%Y' for 'stdout_logfile' is badly formatted: unsupported format \
             character 'Y' (0x59) at index 6",
        ),
    ];

    for (options, wanted) in cases {
        assert_eq!(
            refused(&format!("[program:p]\ncommand=/bin/cat\n{options}\n")),
            format!("{wanted} in section 'program:p' (file: '/etc/s.conf')")
        );
    }
}

#[test]
fn the_first_bad_option_is_told_in_supervisors_order() {
    let text = "[program:p]\nenvironment=A\numask=9\nexitcodes=x\nautostart=maybe\n";

    assert_eq!(
        refused(text),
        "not a valid boolean value: 'maybe' in section 'program:p' (file: '/etc/s.conf')"
    );
}

#[test]
fn what_is_wrong_with_a_group_of_programs_is_told_without_a_file() {
    let cases = [
        ("[program:p]\ncommand=x\npriority=high", "invalid literal for int() with base 10: 'high'"),
        ("[program:a b]\ncommand=x", "Invalid name: 'a b' because of character: ' '"),
        ("[program:a/b]\ncommand=x", "Invalid name: 'a/b' because of character: '/'"),
        ("[group:a:b]\nprograms=x", "Invalid name: 'a:b' because of character: ':'"),
        ("[group:g]\nprograms=ghost", "[group:g] names unknown program or fcgi-program ghost"),
        ("[group:g]\npriority=x", "invalid literal for int() with base 10: 'x'"),
        (
            "[program:a]\ncommand=x\n[group:g]\nprograms=a, ghost",
            "[program:a] names unknown program or fcgi-program ghost",
        ),
        (
            "[program:a]\ncommand=x\n[fcgi-program:a]\ncommand=x\n[group:g]\nprograms=a",
            "[group:g] name a is ambiguous (exists as program and fcgi-program)",
        ),
    ];

    for (text, wanted) in cases {
        assert_eq!(refused(text), wanted);
    }
}

#[test]
fn a_program_needs_a_command() {
    assert_eq!(
        refused("[program:p]\nautostart=false"),
        "program section program:p does not specify a command in section 'program:p' \
         (file: '/etc/s.conf')"
    );
    assert_eq!(loaded("[program:p]\nnumprocs=0").configuration.groups[0].services.len(), 0);
}

#[test]
fn what_is_wrong_with_a_listener_is_told() {
    let cases = [
        ("", "[eventlistener:l] section requires an \"events\" line"),
        ("events=", "[eventlistener:l] section requires an \"events\" line"),
        ("events=birthday", "Unknown event type BIRTHDAY in [eventlistener:l] events"),
        ("events=EVENT,", "Unknown event type  in [eventlistener:l] events"),
        ("events=EVENT\nbuffer_size=0", "[eventlistener:l] section sets invalid buffer_size (0)"),
        (
            "events=EVENT\nevent_length=words",
            "[eventlistener:l] section sets invalid event_length (words): characters or bytes",
        ),
        (
            "events=EVENT\nresult_handler=foo:bar",
            "foo:bar cannot be resolved within [eventlistener:l]",
        ),
        (
            "events=EVENT\nredirect_stderr=true",
            "[eventlistener:l] section sets redirect_stderr=true but this is not allowed because \
             it will interfere with the eventlistener protocol",
        ),
        (
            "events=EVENT\nstartsecs=x",
            "invalid literal for int() with base 10: 'x' in section 'eventlistener:l' \
             (file: '/etc/s.conf')",
        ),
    ];

    for (options, wanted) in cases {
        assert_eq!(refused(&format!("[eventlistener:l]\ncommand=x\n{options}\n")), wanted);
    }
}

#[test]
fn what_is_wrong_with_a_fastcgi_socket_is_told() {
    let cases = [
        ("", "[fcgi-program:f] section requires a \"socket\" line"),
        ("socket=", "[fcgi-program:f] section requires a \"socket\" line"),
        ("socket=foo", "('Bad socket format %s', 'foo') in [fcgi-program:f] socket"),
        (
            "socket=unix://foo",
            "('Unix socket path %s is not an absolute path', 'foo') in [fcgi-program:f] socket",
        ),
        ("socket=tcp://h:0", "0 is below lower bound (1) in [fcgi-program:f] socket"),
        ("socket=unix:///s\nsocket_mode=9", "Invalid socket_mode value 9"),
        ("socket=unix:///s\nsocket_owner=x", "Invalid socket_owner value x"),
        ("socket=unix:///s\nsocket_backlog=0", "Invalid socket_backlog value 0"),
        ("socket=unix:///s\nsocket_backlog=65536", "Invalid socket_backlog value 65536"),
        (
            "socket=tcp://h:1\nsocket_mode=0700",
            "socket_owner and socket_mode params should only be used with a Unix domain socket \
             in [fcgi-program:f] socket",
        ),
        ("socket=unix:///s\nuser=x", "Invalid user name x"),
    ];

    for (options, wanted) in cases {
        assert_eq!(refused(&format!("[fcgi-program:f]\ncommand=x\n{options}\n")), wanted);
    }
}

#[test]
fn the_server_section_is_checked_without_a_place() {
    let cases = [
        ("loglevel=noisy", "bad logging level name 'noisy'"),
        ("umask=8", "8 can not be converted to an octal type"),
        ("nodaemon=perhaps", "not a valid boolean value: 'perhaps'"),
        ("directory=/no/such/place", "/no/such/place is not an existing directory"),
        (
            "pidfile=/no/such/place/x.pid",
            "The directory named as part of the path /no/such/place/x.pid does not exist",
        ),
        ("logfile_maxbytes=50TB", "invalid literal for int() with base 10: '50tb'"),
        ("minfds=lots", "invalid literal for int() with base 10: 'lots'"),
        ("user=no-such-user", "Invalid user name no-such-user"),
        ("childlogdir=/no/such", "/no/such is not an existing directory"),
        ("environment=FOO", "Unexpected end of key/value pairs in value 'FOO'"),
        ("strip_ansi=2", "not a valid boolean value: '2'"),
        ("hang_timeout=0", "Invalid hang_timeout value 0"),
        ("keeper_stopwaitsecs=-1", "Invalid keeper_stopwaitsecs value -1"),
        (
            "identifier=%(x)s",
            "Format string '%(x)s' for 'supervisord.identifier' contains names ('x') which cannot \
             be expanded. Available names: ENV_HOME, here",
        ),
        (
            "user=nobody-here\n[program:x]",
            "program section program:x does not specify a command \
             in section 'program:x' (file: '/etc/s.conf')",
        ),
    ];

    for (options, wanted) in cases {
        assert_eq!(refused(options), wanted);
    }
}

#[test]
fn a_flag_of_the_command_line_is_checked_under_its_name() {
    let host = FakeHost::new();
    let cases = [
        ("-m", "9", "invalid value for -m '9': 9 can not be converted to an octal type"),
        ("-d", "/nope", "invalid value for -d '/nope': /nope is not an existing directory"),
        (
            "--minfds",
            "x",
            "invalid value for --minfds 'x': invalid literal for int() with base 10: 'x'",
        ),
        ("-e", "loud", "invalid value for -e 'loud': bad logging level name 'loud'"),
    ];

    for (flag, text, wanted) in cases {
        assert_eq!(check_flag(&host, flag, text).unwrap_err().to_string(), wanted);
    }
    assert_eq!(check_flag(&host, "-m", "077"), Ok(()));
    assert_eq!(check_flag(&host, "-u", "nobody-here"), Ok(()));
    assert_eq!(check_flag(&host, "-c", "/x"), Ok(()));
}

#[test]
fn a_file_without_the_server_section_is_refused() {
    let host = host("[program:x]\ncommand=/bin/true\n");

    let error = load(&host, &request()).unwrap_err();

    assert_eq!(error.to_string(), ".ini file does not include supervisord section");
}

#[test]
fn a_file_must_be_there_and_readable() {
    let host = FakeHost::new().unreadable("/etc/secret.conf");
    let error = |file: &str| {
        load(&host, &Request { file: file.to_owned(), overrides: Vec::new() })
            .unwrap_err()
            .to_string()
    };

    assert_eq!(error("/absent.conf"), "could not find config file /absent.conf");
    assert_eq!(error("/etc/secret.conf"), "could not read config file /etc/secret.conf");
}

#[test]
fn bad_servers_are_refused() {
    let cases = [
        (
            "[inet_http_server]\nusername=a\npassword=b",
            "section [inet_http_server] has no port value",
        ),
        (
            "[inet_http_server]\nport=127.0.0.1:http",
            "invalid literal for int() with base 10: 'http'",
        ),
        ("[inet_http_server]\nport=http", "not a valid port number: 'http' "),
        (
            "[inet_http_server:x]\nport=1\nusername=a",
            "Section [inet_http_server:x] contains incomplete authentication: If a username or a \
             password is specified, both the username and password must be specified",
        ),
        ("[unix_http_server]\nchmod=0700", "section [unix_http_server] has no file value"),
        ("[unix_http_server]\nfile=/s\nchmod=rwx", "Invalid chmod value rwx"),
        ("[unix_http_server]\nfile=/s\nchown=me:no-such", "Invalid sockchown value me:no-such"),
    ];

    for (text, wanted) in cases {
        assert_eq!(refused(text), wanted);
    }
}

#[test]
fn a_port_without_a_password_is_refused_where_one_is_required() {
    let required = |server: &str| format!("require_password=true\n{server}");
    let words = "section [inet_http_server] has no user name and password, and [supervisord] says \
                 require_password=true";

    for options in ["", "username=u\npassword=\n"] {
        let text = required(&format!("[inet_http_server]\nport=1\n{options}"));
        assert_eq!(refused(&text), words);
    }
    for good in
        ["[inet_http_server]\nport=1\nusername=u\npassword=p", "[unix_http_server]\nfile=/s"]
    {
        assert_eq!(loaded(&required(good)).servers.len(), 1);
    }
    assert_eq!(loaded("[inet_http_server]\nport=1").servers[0].credentials, None);
}

#[test]
fn everything_ends_with_programs_that_are_there_only() {
    let ends = |exit_on: &str| format!("exit_on={exit_on}\n[program:web]\ncommand=/bin/cat\n");
    let of_web = |exit_on: &str| {
        let configuration = loaded(&ends(exit_on)).configuration;
        configuration.groups[0].services[0].program.ends_all
    };

    let words = refused(&ends("web, db"));

    assert!(words.ends_with(":2: exit_on names db, and no program is called that"), "{words}");
    assert_eq!(of_web("web"), EndsAll::Down);
    assert_eq!(of_web("any_fatal"), EndsAll::Fatal);
    assert_eq!(of_web("none"), EndsAll::Never);
}

#[test]
fn an_interface_that_is_not_built_in_is_refused() {
    let cases = [
        ("foo=1", "section [rpcinterface:x] does not specify a supervisor.rpcinterface_factory"),
        (
            "supervisor.rpcinterface_factory=no.such:thing",
            "no.such:thing cannot be resolved within [rpcinterface:x]",
        ),
    ];

    for (options, wanted) in cases {
        assert_eq!(refused(&format!("[rpcinterface:x]\n{options}")), wanted);
    }
    let factory = "supervisor.rpcinterface:make_main_rpcinterface";
    let loaded = loaded(&format!(
        "[rpcinterface:x]\nsupervisor.rpcinterface_factory={factory}\nk=%(ENV_HOME)s"
    ));
    let wanted = RpcInterface {
        kind: InterfaceKind::Main,
        name: "x".to_owned(),
        factory: factory.to_owned(),
        arguments: vec![("k".to_owned(), "/home/me".to_owned())],
    };
    assert!(!wanted.can_be_made(), "Supervisor's own factory takes no arguments");
    assert_eq!(loaded.interfaces, [wanted]);
}

#[test]
fn the_interfaces_of_known_extensions_are_built_in() {
    let factories = [
        ("supervisor_twiddler.rpcinterface:make_twiddler_rpcinterface", InterfaceKind::Twiddler),
        ("supervisor_cache.rpcinterface:make_cache_rpcinterface", InterfaceKind::Cache),
        ("mr.laforge.rpcinterface:make_laforge_rpcinterface", InterfaceKind::Laforge),
    ];

    for (factory, kind) in factories {
        let section = "[rpcinterface:x]\nwhitelist=log, getGroupNames\n";
        let loaded = loaded(&format!("{section}supervisor.rpcinterface_factory={factory}"));

        let interface = &loaded.interfaces[0];
        assert_eq!((interface.kind, interface.can_be_made()), (kind, true));
        let allowed: &[&str] =
            if kind == InterfaceKind::Twiddler { &["log", "getGroupNames"] } else { &[] };
        assert_eq!(interface.allowed(), allowed);
    }
}

#[test]
fn an_error_of_an_included_program_names_its_file() {
    let host = host("[supervisord]\n[include]\nfiles=more/*\n")
        .file("/etc/more/a.conf", "[program:a]\ncommand=x\nstartsecs=x\n");

    let error = load(&host, &request()).unwrap_err();

    assert_eq!(
        error.to_string(),
        "invalid literal for int() with base 10: 'x' in section 'program:a' \
         (file: '/etc/more/a.conf')"
    );
}

#[test]
fn an_include_section_must_name_files() {
    assert_eq!(
        refused("[include]\nother=1"),
        ".ini file has [include] section, but no files setting"
    );
    assert_eq!(
        refused("[include]\nfiles=%(x)s"),
        "Format string '%(x)s' for 'include.files' contains names ('x') which cannot be expanded. \
         Available names: ENV_HOME, here, host_node_name"
    );
}
