//! Values of every kind, good and bad, with a bar between them.

use crate::dice::Dice;

/// What the types of Supervisor's `datatypes` accept, and more that they may not.
const TYPES: &[(&str, &str, &str)] = &[
    ("integer", "0|1|7|-5", "+3| 4|1_0|007||x|1.5|1__0|0x1|- 1|_1"),
    ("boolean", "true|false|yes|NO", "On|off|1|0||2|si| yes"),
    ("byte_size", "0|50MB|1kb|2 Gb", "4096|-1MB|5XB|MB|1.5MB|1TB|k|1 0kb|b"),
    ("octal_type", "022|0o77|0O_7|7", "-1|9|rwx||0o|0x7|07777|1_7"),
    ("signal_number", "TERM|SIGHUP|usr1|9", "15|0|64|cld|Poll|33|-1|NOPE||sig| int "),
    ("list_of_exitcodes", "0|0,2||1, 255", "256|-1|0,,1|x|,| 3 "),
    ("auto_restart", "unexpected|true|FALSE|0", "sometimes||Unexpected"),
    ("logging_level", "info|DEBUG|warn|critical", "error|trace|blather|warning||loud"),
    ("inet_address", "9001|:9001|*:9001|Host:1", "a:b:2|h:|h:0|0|65535|65536|h:x|http|"),
    ("url", "http://h:1|unix:///s|x:y|a+b:c", "foo|http:|http://|:x|1a:b|h t:p|"),
    ("name_to_uid", "root|me|0|1000", "33|nobody|77|-1|| root"),
    ("colon_separated_user_group", "root|me:www|0:34|1000:1000", "root:|root:nope|:|x|me:me:me"),
    ("existing_directory", "/tmp|~|/work/sub/|/", "sub|/nope|~web|~nobody/x||~/"),
    ("existing_dirpath", "x.log|/tmp/x|~/x|//x", "/nope/x|sub/x|/x|/tmp/|~nobody/x|"),
    ("process_or_group_name", "web| a |é|a\tb", "a b|a:b|a/b||it's|x/y:z w"),
];

/// The same for values that only a section gives a meaning.
const TEXTS: &[(&str, &str, &str)] = &[
    (
        "command",
        "/bin/cat|a %(program_name)s|x ; y|n %(process_num)03d",
        "%(ENV_A)s|%(here)s/x|100%%|a\n  b|%(ENV_X)s|%s|%(nothing)s|%(x",
    ),
    (
        "process_name",
        "%(program_name)s_%(process_num)02d|%(process_num)d|%(process_num)s-%(group_name)s|%(numprocs)d%(process_num)x",
        "x|a b|%(process_num)Y|%(ENV_A)s",
    ),
    ("numprocs", "1|2|3", "12|0|-1|x"),
    ("directory", "/tmp|%(here)s|d%(ENV_A)s|~", "|%(ENV_U)s|%(host_node_name)s|%%|%(nope)s|%(here"),
    (
        "environment",
        "A=1|A=1,B=\"x y\"|X='%(ENV_HOME)s'|PATH=\"/x:%(ENV_PATH)s\"",
        "N=%(process_num)d|A=1,B||A='1|P%(process_num)s=1|A=%(program_name)s,A=2|A=b c",
    ),
    (
        "global_environment",
        "A=1|G=\"x y\"|G='%(ENV_HOME)s',H=2|G=%(here)s",
        "G||G='1|G=%(host_node_name)s|G=%(nope)s|PATH=/x",
    ),
    ("serverurl", "AUTO|http://h:1|unix://%(here)s/s|auto ", "unix://../s|%(ENV_A)s||unix://~/s"),
    (
        "logfile",
        "AUTO|NONE|/tmp/%(program_name)s.log|%(here)s/y",
        "off|x.log|syslog|/nope/x|~/x|/tmp/%(process_num)d|/tmp/%%x|/tmp/%%%%x|%(nope)s",
    ),
    ("events", "EVENT|tick_5, PROCESS_STATE|TICK_5,TICK_5|PROCESS_LOG", "|BIRTHDAY|EVENT,"),
    ("handler", "supervisor.dispatchers:default_handler", "no.such:thing|foo"),
    (
        "socket",
        "unix:///tmp/%(program_name)s.sock|tcp://Host:9000|unix://%(here)s/../x|unix:////s",
        "tcp://h:0|tcp://h:99999|foo|unix://x|tcp://h|tcp://a b:1||tcp://h:1x",
    ),
    ("programs", "a|a,b|b, f|f", "b,ghost|ghost||a,"),
    ("word", "u|p%(ENV_A)s|{SHA}x", "|%(here)s"),
    (
        "patterns",
        "*.conf|more/*.conf|more/*.conf *.ini|/etc/more/*",
        "%(here)s/x.conf|absent/*|%(host_node_name)s.conf|%(nope)s|",
    ),
    (
        "factory",
        "supervisor.rpcinterface:make_main_rpcinterface",
        "no.such:thing|supervisor.rpcinterface : make_main_rpcinterface|%(ENV_X)s",
    ),
];

/// Characters that are slipped into values.
const SLIPS: &[&str] = &[
    " ", "\t", "'", "\"", "=", "%", ";", " ;", "#", " #", "\u{e9}", "\u{a0}", "\u{1c}", "~", "0",
    "_", "-", ":", "\\", ",", "\u{200b}", "\u{1f}", "I",
];

/// Kinds of values that are left alone: where a slip could make two mistakes at once,
/// or name something that is there on one side only.
const UNSLIPPED: &[&str] = &["environment", "global_environment", "logfile", "events", "factory"];

/// A type and a value that may or may not be of it.
pub(crate) fn typed(dice: &mut Dice) -> (&'static str, String) {
    let (kind, good, rest) = dice.pick(TYPES);
    let value = any(dice, good, rest);
    (kind, if dice.chance(3) { slipped(dice, &value) } else { value })
}

/// A value of an option: a good one, unless the user is careless.
pub(crate) fn value(dice: &mut Dice, kind: &str) -> String {
    let known = TYPES.iter().chain(TEXTS).find(|(name, ..)| *name == kind);
    let (_, good, rest) = known.expect("every kind of value has a row");
    if dice.careless && dice.chance(10) {
        return any(dice, good, rest);
    }
    let values: Vec<&str> = good.split('|').collect();
    let value = dice.pick(&values);
    if dice.careless && dice.chance(20) && !UNSLIPPED.contains(&kind) {
        return slipped(dice, value);
    }
    value.to_owned()
}

fn any(dice: &mut Dice, good: &str, rest: &str) -> String {
    let values: Vec<&str> = good.split('|').chain(rest.split('|')).collect();
    dice.pick(&values).to_owned()
}

/// A value with a character too much.
fn slipped(dice: &mut Dice, value: &str) -> String {
    let places: Vec<usize> =
        value.char_indices().map(|(place, _)| place).chain([value.len()]).collect();
    let mut text = value.to_owned();
    text.insert_str(dice.pick(&places), dice.pick(SLIPS));
    text
}
