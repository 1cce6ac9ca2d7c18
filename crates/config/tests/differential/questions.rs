//! Questions: texts of many shapes, good and bad.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde_json::{Value, json};

use crate::dice::Dice;
use crate::values::{typed, value};

/// Options with the kind of their value.
type Table = &'static [(&'static str, &'static str)];

const PROGRAM: Table = &[
    ("command", "command"),
    ("process_name", "process_name"),
    ("numprocs", "numprocs"),
    ("numprocs_start", "integer"),
    ("priority", "integer"),
    ("autostart", "boolean"),
    ("autorestart", "auto_restart"),
    ("startsecs", "integer"),
    ("startretries", "integer"),
    ("exitcodes", "list_of_exitcodes"),
    ("stopsignal", "signal_number"),
    ("stopwaitsecs", "integer"),
    ("stopasgroup", "boolean"),
    ("killasgroup", "boolean"),
    ("user", "name_to_uid"),
    ("umask", "octal_type"),
    ("directory", "directory"),
    ("environment", "environment"),
    ("serverurl", "serverurl"),
    ("redirect_stderr", "boolean"),
    ("stdout_logfile", "logfile"),
    ("stdout_logfile_maxbytes", "byte_size"),
    ("stdout_logfile_backups", "integer"),
    ("stdout_capture_maxbytes", "byte_size"),
    ("stdout_events_enabled", "boolean"),
    ("stdout_syslog", "boolean"),
    ("stderr_logfile", "logfile"),
    ("stderr_logfile_maxbytes", "byte_size"),
    ("stderr_logfile_backups", "integer"),
    ("stderr_capture_maxbytes", "byte_size"),
    ("stderr_events_enabled", "boolean"),
    ("stderr_syslog", "boolean"),
    ("colour", "command"),
];

const LISTENER: Table = &[
    ("events", "events"),
    ("buffer_size", "integer"),
    ("priority", "integer"),
    ("result_handler", "handler"),
];

const FASTCGI: Table = &[
    ("socket", "socket"),
    ("socket_backlog", "integer"),
    ("socket_owner", "colon_separated_user_group"),
    ("socket_mode", "octal_type"),
];

const GROUP: Table = &[("programs", "programs"), ("priority", "integer")];

const SERVER: Table = &[
    ("minfds", "integer"),
    ("minprocs", "integer"),
    ("directory", "existing_directory"),
    ("user", "name_to_uid"),
    ("umask", "octal_type"),
    ("logfile", "existing_dirpath"),
    ("logfile_maxbytes", "byte_size"),
    ("logfile_backups", "integer"),
    ("loglevel", "logging_level"),
    ("pidfile", "existing_dirpath"),
    ("identifier", "directory"),
    ("nodaemon", "boolean"),
    ("silent", "boolean"),
    ("childlogdir", "existing_directory"),
    ("nocleanup", "boolean"),
    ("strip_ansi", "boolean"),
    ("environment", "global_environment"),
];

const INET: Table = &[("port", "inet_address"), ("username", "word"), ("password", "word")];

const UNIX: Table = &[
    ("file", "existing_dirpath"),
    ("username", "word"),
    ("password", "word"),
    ("chmod", "octal_type"),
    ("chown", "colon_separated_user_group"),
];

const CONTROL: Table = &[
    ("serverurl", "serverurl"),
    ("prompt", "directory"),
    ("username", "word"),
    ("password", "word"),
    ("history_file", "existing_dirpath"),
];

const SERVER_FLAGS: Table = &[
    ("-n", ""),
    ("-s", ""),
    ("-u", "name_to_uid"),
    ("-m", "octal_type"),
    ("-d", "existing_directory"),
    ("-l", "path"),
    ("-y", "byte_size"),
    ("-z", "integer"),
    ("-e", "logging_level"),
    ("-j", "path"),
    ("-q", "existing_directory"),
    ("-k", ""),
    ("-a", "integer"),
    ("-t", ""),
    ("--minprocs", "integer"),
    ("--umask", "octal_type"),
];

const CONTROL_FLAGS: Table = &[("-s", "url"), ("-u", "word"), ("--serverurl", "url")];

/// Pieces of INI files, one behind the other.
const INI: &str = "[a]|[b]|[ c ]|[DEFAULT]|[]|[x]y]|[a|key|Key|rem|=|:| = |\t:|v|value| |  |\t|\u{a0}|\u{1c}|;\
                   | ;c|#| #|;#|\"|'|é|%(here)s|]|\u{85}|İ";

/// Lines of INI files.
const LINES: &[&str] = &[
    "[a]\n",
    "[b]\n",
    "k=1\n",
    "  k=2\n",
    "    more\n",
    "; x\n",
    "\n",
    "j : 2 ; c\n",
    "  # y\n",
    "k =\n",
];

/// Ends of lines.
const ENDS: &[&str] = &["\n", "\n", "\n", "\r\n", "\n\n", "\r", "\n \n", ""];

/// Pieces of formats.
const FORMAT: &str = "%(s)s|%(n)d|%(n)s|%|%%|%(|%(s)|(|)|s|d|x|%(n)|%(t(u))s|5|0|-|+| |#|.|2|*|l|é|%(nope)s\
                      |%(n)02d|%(n)#x|%(m)+o|%(s)r|%(s)-6s|%(n)e|%(n)g|%(m).3f|%(m)G|%(c)c|%(n)c|%(s)a|%(n)X|i\
                      |u|%(s).1s|%(n).5d|%(m) 08.4d|F|%(z)#g";

/// Pieces of `environment`.
const ENVIRONMENT: &str = "A|B2|=|,|;|\"|'|\\| |\n|#|x/y|a.b|$X|~|é|×|日|@|A=1|,B=\"c d\"|'e f'|\\\"|(z):|\u{a0}|\t|A=1,B=2";

/// Pieces of values in `environment`.
const VALUE: &str = "x|/usr/bin:/x|1.5|'a b'|\"c, d\"|\\,|\"\\\"q\\\"\"|é|(y)|''|'\"'|a";

/// Pieces of command lines.
const COMMAND: &str =
    "/bin/echo| |\t|\n|\r|a|'|\"|\\|\\\"|\\'|''|\"\"|#|;|$X|*|é|\u{a0}|'b c'|\"d e\"|\u{0b}";

/// A question of some kind.
pub(crate) fn question(dice: &mut Dice) -> Value {
    match dice.roll(10) {
        0 | 1 => ini(dice),
        2 => expansion(dice),
        3 => environment(dice),
        // An empty command line is an error for us, and no words for Python.
        4 => json!({ "kind": "command", "text": format!("x{}", pieces(dice, COMMAND, 9)) }),
        5 => {
            let (kind, text) = typed(dice);
            json!({ "kind": "value", "type": kind, "text": text })
        }
        6 => control(dice),
        _ => load(dice),
    }
}

/// Some of the pieces between the bars, one behind the other.
fn pieces(dice: &mut Dice, pieces: &str, count_max: usize) -> String {
    let pieces: Vec<&str> = pieces.split('|').collect();
    dice.text(&pieces, count_max)
}

fn ini(dice: &mut Dice) -> Value {
    let mut text = if dice.chance(4) { String::new() } else { "[s]\n".to_owned() };
    for _ in 0..dice.roll(14) {
        if dice.chance(3) {
            text.push_str(&pieces(dice, INI, 6));
            text.push_str(dice.pick(ENDS));
        } else {
            text.push_str(dice.pick(LINES));
        }
    }
    let mut bytes = text.into_bytes();
    // Python looks at what comes before a character that the end cuts off first.
    if dice.chance(40) && bytes.len() > 4 {
        let place = dice.roll(bytes.len() - 4);
        bytes[place] = dice.pick(&[0xff, 0xc3, 0xe2, 0x80, 0xed, 0xf4]);
    }
    let mut hex = String::new();
    for byte in bytes {
        write!(hex, "{byte:02x}").expect("a string can be written to");
    }
    json!({ "kind": "ini", "hex": hex })
}

/// Mostly a list of variables, with values that may spoil it.
fn environment(dice: &mut Dice) -> Value {
    let mut text = String::new();
    for _ in 0..dice.roll(4) {
        let value = pieces(dice, VALUE, 3);
        let separator = dice.pick(&[",", ",", ";", " , ", ",\n"]);
        write!(text, "{}={value}{separator}", dice.pick(&["A", "B ", " c_1", "'D'"]))
            .expect("a string can be written to");
    }
    if dice.chance(3) {
        text.push_str(&pieces(dice, ENVIRONMENT, 6));
    }
    json!({ "kind": "environment", "text": text })
}

fn expansion(dice: &mut Dice) -> Value {
    let text = pieces(dice, FORMAT, 5);
    let names = json!({ "s": "te'xt", "n": 65, "m": -1_234_567, "z": 0, "c": "é", "t(u)": "y" });
    json!({ "kind": "expansion", "text": text, "names": names })
}

fn control(dice: &mut Dice) -> Value {
    let mut text = String::new();
    if !dice.chance(20) {
        section(dice, &mut text, "supervisorctl", CONTROL, 4);
    }
    if dice.chance(10) {
        text.push_str(dice.pick(&[
            "garbage\n",
            "[ctlplugin:x]\n",
            "[ctlplugin:x]\nsupervisor.ctl_factory=a:b\n",
        ]));
    }
    let files = json!({ "/etc/s.conf": text });
    let arguments = flags(dice, CONTROL_FLAGS);
    json!({ "kind": "control", "file": "/etc/s.conf", "files": files, "arguments": arguments })
}

fn load(dice: &mut Dice) -> Value {
    dice.careless = dice.chance(2);
    let mut files = BTreeMap::new();
    let mut text = String::new();
    if dice.chance(20) {
        let table = if dice.chance(2) { PROGRAM } else { SERVER };
        section(dice, &mut text, "DEFAULT", table, 2);
    }
    if !(dice.careless && dice.chance(30)) {
        let count = dice.pick(&[1, 2, 5]);
        section(dice, &mut text, "supervisord", SERVER, count);
    }
    sections(dice, &mut text);
    if dice.chance(3) {
        text.push_str("[include]\n");
        option_line(dice, &mut text, "files", "patterns");
        for path in ["/etc/more/1.conf", "/etc/more/2.conf", "/etc/x.ini", "/etc/.hidden.conf"] {
            let mut included = String::new();
            sections(dice, &mut included);
            files.insert(path, included);
        }
    }
    if dice.careless && dice.chance(15) {
        text.push_str(dice.pick(&["garbage\n", " [x]\n", "=1\n", "[include]\n"]));
    }
    files.insert("/etc/s.conf", text);
    let absent = dice.careless && dice.chance(30);
    let file = if absent { "/etc/absent.conf" } else { "/etc/s.conf" };
    json!({ "kind": "load", "file": file, "files": files, "arguments": flags(dice, SERVER_FLAGS) })
}

/// A flag now and then; Supervisor refuses one that is given twice.
fn flags(dice: &mut Dice, table: Table) -> Vec<String> {
    if !dice.chance(4) {
        return Vec::new();
    }
    let (flag, kind) = dice.pick(table);
    let text = match kind {
        "" => return vec![flag.to_owned()],
        // An empty path on the command line means none to Supervisor.
        "path" => dice.pick(&["x.log", "/tmp/../x", "~/x", "/nope/x"]).to_owned(),
        _ => value(dice, kind),
    };
    vec![flag.to_owned(), text]
}

/// Some sections that are not `[supervisord]`.
fn sections(dice: &mut Dice, text: &mut String) {
    for _ in 0..dice.roll(6) {
        match dice.roll(10) {
            0 | 1 => program(dice, text, "program:a", &[]),
            2 | 3 => {
                let names = ["program:b", "program:f", "program:g", "program: b", "program:b c"];
                let name = dice.pick_of(&names, 3);
                program(dice, text, name, &[]);
            }
            4 => {
                let name = dice.pick_of(&["group:g", "group:h", "group:a/b"], 2);
                section(dice, text, name, GROUP, 2);
            }
            5 => {
                let count = 1 + dice.roll(LISTENER.len());
                program(dice, text, "eventlistener:l", &LISTENER[..count]);
            }
            6 => {
                let count = 1 + dice.roll(FASTCGI.len());
                program(dice, text, "fcgi-program:f", &FASTCGI[..count]);
            }
            7 => server(dice, text, "inet_http_server", INET),
            8 => server(dice, text, "unix_http_server:x", UNIX),
            _ => interface(dice, text),
        }
    }
}

fn program(dice: &mut Dice, text: &mut String, name: &str, required: Table) {
    header(text, name);
    if !(dice.careless && dice.chance(20)) {
        text.push_str("command=/bin/cat %(program_name)s\n");
    }
    for (option, kind) in required {
        if !(dice.careless && dice.chance(15)) {
            option_line(dice, text, option, kind);
        }
    }
    for _ in 0..dice.roll(7) {
        let (option, kind) = dice.pick(PROGRAM);
        option_line(dice, text, option, kind);
    }
    if dice.chance(4) || !dice.careless {
        text.push_str("numprocs=3\nprocess_name=%(program_name)s_%(process_num)d\n");
    }
}

fn server(dice: &mut Dice, text: &mut String, name: &str, table: Table) {
    header(text, name);
    for (option, kind) in table {
        if !(dice.careless && dice.chance(10)) {
            option_line(dice, text, option, kind);
        }
    }
}

fn interface(dice: &mut Dice, text: &mut String) {
    header(text, "rpcinterface:supervisor");
    option_line(dice, text, "supervisor.rpcinterface_factory", "factory");
    if dice.chance(3) {
        option_line(dice, text, "argument", "word");
    }
}

fn section(dice: &mut Dice, text: &mut String, name: &str, table: Table, count_max: usize) {
    header(text, name);
    for _ in 0..=dice.roll(count_max) {
        let (option, kind) = dice.pick(table);
        option_line(dice, text, option, kind);
    }
}

fn header(text: &mut String, name: &str) {
    writeln!(text, "[{name}]").expect("a string can be written to");
}

fn option_line(dice: &mut Dice, text: &mut String, option: &str, kind: &str) {
    let value = value(dice, kind);
    let delimiter = dice.pick(&["=", "=", " = ", ": ", "= "]);
    let end = dice.pick(&["\n", "\n", "\n", " \n", " ; comment\n", "\r\n"]);
    write!(text, "{option}{delimiter}{value}{end}").expect("a string can be written to");
}
