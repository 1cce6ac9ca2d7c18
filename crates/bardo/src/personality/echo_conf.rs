//! `echo_supervisord_conf`: a configuration to begin with, made from the tables of options.
//!
//! What a newcomer needs stands in it as it is; every other option is there as a comment,
//! with its help and what holds without it.

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::process::ExitCode;

use bardo_config::options::{Description, FACTORY_KEY, descriptions};

/// Where a comment is wrapped.
const WIDTH: usize = 88;

/// A section of the sample.
struct Sample {
    /// Its heading.
    heading: &'static str,
    /// The section that has the options, as the tables call it.
    table: &'static str,
    /// Whether it is a comment.
    is_comment: bool,
    /// What is said of it.
    about: &'static str,
    /// Options that stand in it as they are, and their values.
    settings: &'static [(&'static str, &'static str)],
    /// Values of other options, where what holds without them is no value, or a dull one.
    examples: &'static [(&'static str, &'static str)],
}

const ABOUT: &str = "A configuration for supervisord. A blank and a semicolon begin a comment; a \
    semicolon at the beginning of a line is one, too. %(ENV_HOME)s is the environment variable \
    HOME, %(here)s the folder of this file; a per cent sign is written twice. No shell reads any \
    of this: neither ~ nor $HOME mean anything. The sample keeps its files in /tmp, which some \
    systems empty now and then: choose better places.";

const SAMPLES: &[Sample] = &[
    Sample {
        heading: "unix_http_server",
        table: "[unix_http_server]",
        is_comment: false,
        about: "The socket file through which supervisorctl asks. Whoever may open it may do \
                whatever the daemon may.",
        settings: &[("file", "/tmp/supervisor.sock")],
        examples: &[("username", "user"), ("password", "123"), ("chown", "nobody")],
    },
    Sample {
        heading: "inet_http_server",
        table: "[inet_http_server]",
        is_comment: true,
        about: "A port for the same and for the web page. What goes over it is not encrypted, and \
                without a password everybody who reaches it may run programs: do not let it listen \
                to a network that you do not trust.",
        settings: &[],
        examples: &[("port", "127.0.0.1:9001"), ("username", "user"), ("password", "123")],
    },
    Sample {
        heading: "supervisord",
        table: "[supervisord]",
        is_comment: false,
        about: "The daemon itself.",
        settings: &[("logfile", "/tmp/supervisord.log"), ("pidfile", "/tmp/supervisord.pid")],
        examples: &[
            ("directory", "/tmp"),
            ("user", "nobody"),
            ("childlogdir", "/tmp"),
            ("environment", "KEY=\"value\",OTHER=\"a, b\""),
        ],
    },
    Sample {
        heading: "rpcinterface:supervisor",
        table: "[rpcinterface:x]",
        is_comment: false,
        about: "Without this section supervisorctl is not answered.",
        settings: &[(FACTORY_KEY, "supervisor.rpcinterface:make_main_rpcinterface")],
        examples: &[],
    },
    Sample {
        heading: "supervisorctl",
        table: "[supervisorctl]",
        is_comment: false,
        about: "How supervisorctl finds the daemon: as one of the servers above has it.",
        settings: &[("serverurl", "unix:///tmp/supervisor.sock")],
        examples: &[
            ("username", "user"),
            ("password", "123"),
            ("history_file", "/tmp/supervisorctl.history"),
        ],
    },
    Sample {
        heading: "program:name",
        table: "[program:x]",
        is_comment: true,
        about: "A program to be kept running, with all that can be said of it. Only the command is \
                needed. There may be any number of such sections.",
        settings: &[],
        examples: &[
            ("command", "/bin/cat"),
            ("environment", "A=\"1\",B=\"2\""),
            ("directory", "/tmp"),
            ("umask", "022"),
            ("user", "nobody"),
            ("stdout_logfile", "/tmp/name.log"),
            ("stderr_logfile", "/tmp/name.err"),
            ("stopsignal", "QUIT"),
            ("killasgroup", "false"),
            ("serverurl", "AUTO"),
            ("strip_ansi", "true"),
            ("backoff", "binary"),
            ("heartbeat_period", "5"),
            ("ready", "notify"),
            ("health_command", "/bin/true"),
            ("health_http", "http://localhost:8080/health"),
            ("health_tcp", "localhost:8080"),
            ("binary_copy", "yes"),
            ("recovery_script", "/etc/recover.sh"),
            ("script_timeout", "60"),
            ("memory_max", "256M"),
            ("pids_max", "64"),
            ("cpu_max", "50%"),
            ("env_file", "/etc/default/name"),
            ("depends_on", "db:ready"),
        ],
    },
    Sample {
        heading: "eventlistener:name",
        table: "[eventlistener:x]",
        is_comment: true,
        about: "A program that is told what happens. It takes the options of a program, too, \
                redirect_stderr=true and capturing excepted.",
        settings: &[],
        examples: &[("command", "/bin/eventlistener"), ("events", "PROCESS_STATE")],
    },
    Sample {
        heading: "fcgi-program:name",
        table: "[fcgi-program:x]",
        is_comment: true,
        about: "A program whose processes share a socket as their standard input. It takes the \
                options of a program, too.",
        settings: &[],
        examples: &[
            ("command", "/usr/bin/php-cgi"),
            ("socket", "unix:///tmp/%(program_name)s.sock"),
            ("user", "nobody"),
            ("socket_backlog", "128"),
            ("socket_owner", "nobody"),
            ("socket_mode", "0700"),
        ],
    },
    Sample {
        heading: "group:name",
        table: "[group:x]",
        is_comment: true,
        about: "Programs that are steered together, as name:*.",
        settings: &[],
        examples: &[("programs", "one,two")],
    },
    Sample {
        heading: "rs",
        table: "[rs]",
        is_comment: true,
        about: "How services are kept that `service` brings up.",
        settings: &[],
        examples: &[],
    },
    Sample {
        heading: "include",
        table: "[include]",
        is_comment: true,
        about: "More files. These cannot include others.",
        settings: &[],
        examples: &[("files", "conf.d/*.conf")],
    },
];

/// Runs the tool. It takes no words, and as Supervisor's it does not mind any.
#[must_use]
pub fn main() -> ExitCode {
    match io::stdout().write_all(sample().as_bytes()) {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever reads has seen enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("echo_supervisord_conf: {error}");
            ExitCode::FAILURE
        }
    }
}

/// The text of the configuration.
#[must_use]
pub fn sample() -> String {
    let all = descriptions();
    let mut text = comment(ABOUT);
    for sample in SAMPLES {
        let options = all.iter().filter(|option| option.section == sample.table);
        text.push('\n');
        text.push_str(&comment(sample.about));
        write_line(&mut text, sample.is_comment, &format!("[{}]", sample.heading));
        for (name, value) in needed(sample) {
            write_line(&mut text, sample.is_comment, &format!("{name}={value}"));
        }
        for option in options {
            write_option(&mut text, sample, option);
        }
    }
    text
}

/// What a section needs that belongs to another table.
fn needed(sample: &Sample) -> impl Iterator<Item = &'static (&'static str, &'static str)> {
    let is_borrowed = matches!(sample.table, "[eventlistener:x]" | "[fcgi-program:x]");
    sample.examples.iter().filter(move |(name, _)| is_borrowed && *name == "command")
}

fn write_option(text: &mut String, sample: &Sample, option: &Description) {
    let find = |table: &'static [(&str, &'static str)]| {
        table.iter().find(|(name, _)| *name == option.name).map(|(_, value)| *value)
    };
    let set = find(sample.settings);
    let value = set.or_else(|| find(sample.examples)).unwrap_or(option.default);
    let otherwise = match option.default {
        "required" => "Required.".to_owned(),
        "" => "Default: empty.".to_owned(),
        default => format!("Default: {default}."),
    };
    text.push('\n');
    text.push_str(&comment(&format!("{} {otherwise}", option.help)));
    write_line(text, set.is_none(), &format!("{}={value}", option.name));
}

fn write_line(text: &mut String, is_comment: bool, line: &str) {
    // Writing into memory cannot fail.
    let _ = writeln!(text, "{}{line}", if is_comment { ";" } else { "" });
}

/// A text as comment lines.
fn comment(text: &str) -> String {
    let mut lines = String::from(";");
    let mut width = 1;
    for word in text.split_ascii_whitespace() {
        if width + 1 + word.len() > WIDTH {
            lines.push_str("\n;");
            width = 1;
        }
        lines.push(' ');
        lines.push_str(word);
        width += 1 + word.len();
    }
    lines.push('\n');
    lines
}

#[cfg(test)]
mod tests {
    use bardo_config::{Loaded, Request};

    use super::*;
    use crate::host::Machine;

    fn load(text: &str) -> Result<Loaded, String> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        let file = file.path().to_str().unwrap().to_owned();
        let request = Request { file, overrides: Vec::new() };
        bardo_config::load(&Machine, &request).map_err(|error| error.to_string())
    }

    /// The name of the option that a comment line would set.
    fn setting(line: &str) -> Option<&str> {
        line.strip_prefix(';')?.split_once('=').map(|(name, _)| name).filter(|n| !n.contains(' '))
    }

    /// The sample, with the settings of one section uncommented that are `wanted`, and with
    /// what the section needs in any case.
    fn uncommented(sample: &Sample, wanted: impl Fn(&str) -> bool) -> String {
        let needs = ["command", "port", "events", "socket", "programs", "files"];
        let (mut text, mut section) = (String::new(), String::new());
        for line in super::sample().lines() {
            let bare = line.trim_start_matches(';');
            if bare.starts_with('[') {
                section = bare.trim_matches(['[', ']']).to_owned();
            }
            let is_here = section == sample.heading;
            let is_wanted = match setting(line) {
                Some(name) => wanted(name) || needs.contains(&name),
                None => bare.starts_with('['),
            };
            text.push_str(if is_here && is_wanted { bare } else { line });
            text.push('\n');
        }
        match sample.heading {
            "group:name" => {
                text + "[program:one]\ncommand=/bin/cat\n[program:two]\ncommand=/bin/cat\n"
            }
            // What it depends on.
            "program:name" => text + "[program:db]\ncommand=/bin/cat\n",
            _ => text,
        }
    }

    #[test]
    fn the_sample_is_a_configuration() {
        let loaded = load(&sample()).unwrap();

        assert_eq!(loaded.servers.len(), 1);
        assert!(loaded.configuration.groups.is_empty());
    }

    #[test]
    fn each_setting_holds_once_it_is_no_comment_any_more() {
        let mut tried = 0;
        for sample in SAMPLES {
            // A program has one check of its health.
            let all = uncommented(sample, |name| !matches!(name, "health_http" | "health_tcp"));
            load(&all).unwrap_or_else(|error| panic!("{}: {error}\n{all}", sample.heading));
            for option in descriptions().iter().filter(|option| option.section == sample.table) {
                // A name without a password is refused.
                let one = uncommented(sample, |name| {
                    name == option.name || (name == "username" && option.name == "password")
                });
                let is_pair = option.name == "username" && sample.table.contains("http_server");
                assert!(load(&one).is_ok() != is_pair, "{one}\n{option:?}: {:?}", load(&one));
                tried += 1;
            }
        }
        assert!(tried > 70, "{tried}");
    }

    #[test]
    fn every_option_is_in_the_sample() {
        let sample = sample();
        for option in descriptions() {
            // What is in Python cannot come; its section is refused with a word.
            let is_there = sample
                .lines()
                .any(|line| line.trim_start_matches(';').split('=').next() == Some(option.name));
            assert!(is_there || option.section == "[ctlplugin:x]", "{option:?}");
        }
    }

    #[test]
    fn comments_are_wrapped_between_words() {
        let text = comment(&"word ".repeat(30));

        assert!(text.lines().all(|line| line.len() <= WIDTH && line.starts_with("; word")));
        assert_eq!(text.matches("word").count(), 30);
    }
}
