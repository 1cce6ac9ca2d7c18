//! Our answers, in the words of `reference.py`.

use std::collections::BTreeMap;
use std::fmt::Display;

use bardo_config::expand::{Names, Value as Name};
use bardo_config::ini::Ini;
use bardo_config::options::{CONTROL_FLAGS, Flag, SERVER_FLAGS};
use bardo_config::value::{self, LogLevel};
use bardo_config::{
    ConfigError, HttpServer, Listen, Loaded, MainLog, Request, check_flag, command, control, load,
};
use bardo_core::spec::{GroupKind, LogSpec, LogTarget, Reach, RestartOn};
use bardo_core::{GroupSpec, ServiceSpec, SpawnError};
use serde_json::{Map, Value, json};

use crate::machine::Machine;

/// Warnings that Supervisor does not give.
const OUR_WARNINGS: [&str; 4] =
    ["More than one group is named", "In group ", "stopsignal=0 asks", "has no socket in [group:"];

/// Our answer to a question.
pub(crate) fn answer(question: &Value) -> Value {
    let text = || text(&question["text"]);
    match question["kind"].as_str() {
        Some("ini") => ini(question),
        Some("expansion") => expansion(question),
        Some("environment") => match value::environment(&text()) {
            Ok(variables) => json!({ "variables": variables }),
            Err(error) => refused(error),
        },
        Some("command") => match command::split(&text()) {
            Ok(words) => json!({ "words": words }),
            Err(SpawnError::NoClosingQuotation) => refused("No closing quotation"),
            Err(SpawnError::NoEscapedCharacter) => refused("No escaped character"),
            Err(other) => panic!("{other:?}"),
        },
        Some("value") => typed_value(&text(), question["type"].as_str().unwrap_or("")),
        Some("control") => control_answer(question),
        Some("load") => load_answer(question),
        other => panic!("no such question: {other:?}"),
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or("").to_owned()
}

fn refused(error: impl Display) -> Value {
    json!({ "error": error.to_string() })
}

fn ini(question: &Value) -> Value {
    let hex = text(&question["hex"]);
    let byte = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).expect("two digits");
    let bytes: Vec<u8> = (0..hex.len()).step_by(2).map(byte).collect();
    let mut ini = Ini::default();
    if let Err(error) = ini.read("FILE", &bytes) {
        return refused(error);
    }
    let section = |section| {
        let entries: BTreeMap<&str, &str> =
            ini.entries(section).map(|entry| (entry.key.as_str(), entry.value.as_str())).collect();
        json!([section.name(), entries.into_iter().collect::<Vec<_>>()])
    };
    json!({ "sections": ini.sections().map(section).collect::<Vec<_>>() })
}

fn expansion(question: &Value) -> Value {
    let name = |(name, value): (&String, &Value)| {
        let number = value.as_i64().map(Name::Integer);
        (name.clone(), number.unwrap_or_else(|| Name::Text(text(value))))
    };
    let names = question["names"].as_object().expect("names are an object");
    let everywhere: BTreeMap<String, Name> = names.iter().map(name).collect();
    match Names::new(&everywhere).expand(&text(&question["text"]), "LABEL") {
        Ok(text) => json!({ "text": text }),
        Err(error) => refused(error),
    }
}

fn typed_value(text: &str, kind: &str) -> Value {
    let host = Machine::default();
    let answer = match kind {
        "integer" => value::integer(text).map(Value::from),
        "boolean" => value::boolean(text).map(Value::from),
        "byte_size" => value::byte_size(text).map(Value::from),
        "octal_type" => value::octal(text).map(Value::from),
        "signal_number" => value::signal(text).map(|signal| signal.number().into()),
        "list_of_exitcodes" => value::exit_codes(text).map(|codes| json!(codes)),
        "auto_restart" => value::restart_on(text).map(restart),
        "logging_level" => value::log_level(text).map(|level| level_number(level).into()),
        "inet_address" => value::inet_address(text).map(|at| json!([at.host, at.port])),
        "url" => value::url(text).map(Value::from),
        "name_to_uid" => value::account(&host, text).map(|user| user.uid.into()),
        "colon_separated_user_group" => {
            let number = |gid: Option<u32>| gid.map_or(-1, i64::from);
            value::owner(&host, text).map(|(uid, gid)| json!([uid, number(gid)]))
        }
        "existing_directory" => value::directory(&host, text).map(Value::from),
        "existing_dirpath" => value::file_in_directory(&host, text).map(Value::from),
        "process_or_group_name" => value::name(text).map(Value::from),
        other => panic!("no such kind of value: {other}"),
    };
    match answer {
        Ok(value) => json!({ "value": value }),
        Err(error) => refused(error),
    }
}

fn machine(question: &Value) -> Machine {
    let files = question["files"].as_object().expect("files are an object");
    Machine { files: files.iter().map(|(path, file)| (path.clone(), text(file))).collect() }
}

/// What the command line says, each flag checked as the faces check it.
fn overrides(
    question: &Value,
    flags: &[Flag],
    check: impl Fn(&str, &str) -> Result<(), ConfigError>,
) -> Result<Vec<(String, String)>, ConfigError> {
    let words: Vec<String> =
        question["arguments"].as_array().into_iter().flatten().map(text).collect();
    let Some((flag, rest)) = words.split_first() else {
        return Ok(Vec::new());
    };
    let known = flags.iter().find(|known| known.is_written(flag)).expect("a flag has an option");
    if let Some(value) = rest.first() {
        check(flag, value)?;
    }
    let value = rest.first().cloned().unwrap_or_else(|| "true".to_owned());
    Ok(vec![(known.option.to_owned(), value)])
}

fn control_answer(question: &Value) -> Value {
    let host = machine(question);
    let settings = overrides(question, CONTROL_FLAGS, control::check_flag)
        .and_then(|overrides| control::load(&host, question["file"].as_str(), &overrides));
    match settings {
        Ok(settings) => json!({
            "serverurl": settings.server_url,
            "prompt": settings.prompt,
            "username": settings.username,
            "password": settings.password,
            "history_file": settings.history_file,
        }),
        Err(error) => refused(error),
    }
}

fn load_answer(question: &Value) -> Value {
    let host = machine(question);
    let loaded = overrides(question, SERVER_FLAGS, |flag, text| check_flag(&host, flag, text))
        .and_then(|overrides| load(&host, &Request { file: text(&question["file"]), overrides }));
    match loaded {
        Ok(loaded) => whole(loaded),
        Err(error) => refused(error),
    }
}

fn whole(loaded: Loaded) -> Value {
    let mut warnings = loaded.messages.warnings.clone();
    warnings.retain(|warning| !OUR_WARNINGS.iter().any(|ours| warning.contains(ours)));
    let interface = |interface: &bardo_config::RpcInterface| {
        let arguments: Map<String, Value> =
            interface.arguments.iter().map(|(key, text)| (key.clone(), json!(text))).collect();
        json!([interface.name, arguments])
    };
    json!({
        "groups": loaded.configuration.groups.iter().map(|at| group(at)).collect::<Vec<_>>(),
        "settings": settings(&loaded),
        "servers": loaded.servers.iter().map(server).collect::<Vec<_>>(),
        "interfaces": loaded.interfaces.iter().map(interface).collect::<Vec<_>>(),
        "warnings": warnings,
        "infos": loaded.messages.infos,
        "server_url": loaded.server_url,
    })
}

fn settings(loaded: &Loaded) -> Value {
    let settings = &loaded.settings;
    let user = settings.user.as_ref();
    json!({
        "logfile": match &settings.logfile {
            MainLog::Syslog => "syslog",
            MainLog::File(path) => path,
        },
        "logfile_maxbytes": settings.logfile_bytes_max,
        "logfile_backups": settings.logfile_backups,
        "loglevel": level_number(settings.loglevel),
        "pidfile": settings.pidfile,
        "minfds": settings.minfds,
        "minprocs": settings.minprocs,
        "identifier": settings.identifier,
        "user": user.map(|user| &user.name),
        "uid": user.map(|user| user.account.uid),
        "gid": user.map(|user| user.account.gid),
        "umask": settings.umask,
        "nodaemon": settings.nodaemon,
        "silent": settings.silent,
        "nocleanup": settings.nocleanup,
        "strip_ansi": settings.strip_ansi,
        "childlogdir": settings.childlogdir,
        "directory": settings.directory,
        "environment": pairs(&settings.environment),
    })
}

fn pairs<T: AsRef<str>>(pairs: &[(T, T)]) -> Value {
    pairs.iter().map(|(key, value)| json!([key.as_ref(), value.as_ref()])).collect()
}

fn group(group: &GroupSpec) -> Value {
    let mut shown = json!({
        "name": &*group.name,
        "priority": group.priority,
        "kind": "programs",
        "processes": group.services.iter().map(|at| process(at)).collect::<Vec<_>>(),
    });
    match &group.kind {
        GroupKind::Programs => {}
        GroupKind::Listeners(listener) => {
            let mut events: Vec<&str> = listener.events.iter().map(|event| &**event).collect();
            events.sort_unstable();
            shown["kind"] = "listeners".into();
            shown["events"] = json!(events);
            shown["buffer_size"] = listener.buffer_size.into();
        }
        GroupKind::FastCgi(socket) => {
            let url = socket.address.to_string();
            let mode = url.starts_with("unix:").then_some(socket.mode.unwrap_or(0o700));
            shown["kind"] = "fastcgi".into();
            shown["socket"] = json!({
                "url": url,
                "backlog": socket.backlog,
                "owner": socket.owner,
                "mode": mode,
            });
        }
    }
    shown
}

fn process(service: &ServiceSpec) -> Value {
    let program = &service.program;
    let startsecs = program.startsecs;
    let mut shown = json!({
        "command": &*service.command,
        "directory": service.directory.as_deref(),
        "priority": program.priority,
        "autostart": program.autostart,
        "startsecs": startsecs.0,
        "startretries": program.restart.start_retries,
        "stopwaitsecs": program.stop.wait.0,
        "stopasgroup": program.stop.stop_reach == Reach::Group,
        "killasgroup": program.stop.kill_reach == Reach::Group,
        "exitcodes": program.exit_codes,
        "redirect_stderr": program.redirect_stderr,
        "serverurl": program.server_url.as_deref(),
        "uid": program.user.as_ref().map(|user| user.uid),
        "autorestart": restart(program.restart.on),
        "stopsignal": program.stop.signal.number(),
        "umask": program.umask,
        "name": &*service.name,
        "environment": pairs(&service.environment),
    });
    stream(&mut shown, "stdout", &service.stdout);
    stream(&mut shown, "stderr", &service.stderr);
    shown
}

fn stream(shown: &mut Value, name: &str, log: &LogSpec) {
    let file = match &log.target {
        LogTarget::None => "none",
        LogTarget::Auto => "auto",
        LogTarget::File(path) => path,
    };
    shown[format!("{name}_logfile")] = file.into();
    shown[format!("{name}_logfile_backups")] = log.backups.into();
    shown[format!("{name}_logfile_maxbytes")] = log.bytes_max.into();
    shown[format!("{name}_capture_maxbytes")] = log.capture_bytes_max.into();
    shown[format!("{name}_events_enabled")] = log.events.into();
    shown[format!("{name}_syslog")] = log.syslog.into();
}

fn server(server: &HttpServer) -> Value {
    let credentials = server.credentials.as_ref();
    let mut shown = json!({
        "section": server.section,
        "username": credentials.map(|(username, _)| username),
        "password": credentials.map(|(_, password)| password),
    });
    match &server.listen {
        Listen::Inet { host, port } => {
            shown["host"] = json!(host);
            shown["port"] = json!(port);
        }
        Listen::Unix { path, mode, owner } => {
            shown["path"] = json!(path);
            shown["mode"] = json!(mode);
            shown["owner"] = json!(owner);
        }
    }
    shown
}

fn restart(on: RestartOn) -> Value {
    match on {
        RestartOn::Always => "always",
        RestartOn::Unexpected => "unexpected",
        RestartOn::Never => "never",
    }
    .into()
}

fn level_number(level: LogLevel) -> u32 {
    match level {
        LogLevel::Critical => 50,
        LogLevel::Error => 40,
        LogLevel::Warn => 30,
        LogLevel::Info => 20,
        LogLevel::Debug => 10,
        LogLevel::Trace => 5,
        LogLevel::Blather => 3,
    }
}
