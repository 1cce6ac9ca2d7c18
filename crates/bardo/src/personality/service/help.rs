//! What the tool says of itself.

use super::options::{OPTIONS, Source, Value};
use super::verbs::{Operand, SWITCHES, VERBS};

/// How wide a line is.
const WIDTH: usize = 78;

/// How far explanations stand to the right.
const INDENT: usize = 22;

/// How the tool is called: shown when it was called wrongly.
#[must_use]
pub fn usage(program: &str) -> String {
    let names = |wanted: fn(Operand) -> bool| {
        let wanted = VERBS.iter().filter(|verb| wanted(verb.operand));
        wanted.map(|verb| verb.name).collect::<Vec<_>>().join("|")
    };
    let binary = names(|operand| operand == Operand::Binary);
    let label = names(|operand| operand == Operand::Label);
    let letters: String = SWITCHES.iter().map(|switch| switch.letter).collect();
    format!(
        "Usage:\n  \
         {program} [-{letters}] ({binary}) <binary|self> [-option value]... [-- argument...]\n  \
         {program} ({label}) <label>\n  \
         {program} sysctl (srv_status|upd_start|upd_run|upd_stop|upd_status)\n  \
         {program} shutdown [-stop]\n  \
         {program} (list|show) [label]\n\
         {program} --help says more, and so does service(8).\n"
    )
}

/// All of it.
#[must_use]
pub fn help(program: &str) -> String {
    let mut text = format!("{program} -- bring services up that are watched and reborn\n\n");
    text += &usage(program);
    text += "\nVerbs:\n";
    for verb in VERBS {
        entry(&mut text, verb.name, verb.help);
    }
    text += "\nSwitches, before the verb or behind it:\n";
    for switch in SWITCHES {
        entry(&mut text, &format!("-{}", switch.letter), switch.help);
    }
    for (source, title) in [
        (Source::Minix, "Options behind the binary, as in MINIX:"),
        (Source::Ours, "Options of our own:"),
        (Source::Later, "Options for updates (checked; not yet: 78):"),
    ] {
        text += &format!("\n{title}\n");
        for option in OPTIONS.iter().filter(|option| option.source == source) {
            let value = match option.value {
                Value::Needed(name) => format!(" {name}"),
                Value::Truth => " [yes|no]".to_owned(),
                Value::None => String::new(),
            };
            entry(&mut text, &format!("-{}{value}", option.name), &option.help.replace('`', ""));
        }
    }
    text += "\nOf the tool itself:\n";
    for (name, argument, help) in LONG_OPTIONS {
        let argument = argument.map(|name| format!(" {name}")).unwrap_or_default();
        entry(&mut text, &format!("--{name}{argument}"), help);
    }
    text += "\nExamples:\n  \
             service up /usr/local/bin/web -args '-p 8080' -health-tcp localhost:8080\n  \
             service -c up /sbin/driver -period 1s -script /etc/driver.recover\n  \
             service up /opt/app -ready notify -env PORT=80 -- --name 'two words'\n  \
             service refresh web; service list; service down web\n";
    text
}

/// The long options.
pub const LONG_OPTIONS: [(&str, Option<&str>, &str); 5] = [
    ("socket", Some("PATH"), "where the supervisor listens, unless BARDO_SOCKET says it"),
    ("minix", None, "be as strict as MINIX, and let settings lapse that edit does not repeat"),
    ("json", None, "one JSON document, for list and show"),
    ("help", None, "print this text"),
    ("version", None, "print the version"),
];

/// A term, and what it means in lines that are not long.
pub(in crate::personality) fn entry(text: &mut String, term: &str, meaning: &str) {
    let mut line = format!("  {term:<width$}", width = INDENT - 2);
    if !line.ends_with(' ') {
        text.push_str(&line);
        text.push('\n');
        line = " ".repeat(INDENT);
    }
    let mut is_fresh = true;
    for word in meaning.split_whitespace() {
        if !is_fresh && line.len() + 1 + word.len() > WIDTH {
            text.push_str(&line);
            text.push('\n');
            line = " ".repeat(INDENT);
            is_fresh = true;
        }
        if !is_fresh {
            line.push(' ');
        }
        line.push_str(word);
        is_fresh = false;
    }
    text.push_str(line.trim_end());
    text.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn help_names_everything_in_lines_that_are_not_long() {
        let text = help("service");

        for verb in VERBS {
            assert!(text.contains(&format!("  {} ", verb.name)), "{}", verb.name);
        }
        for option in OPTIONS {
            assert!(text.contains(&format!("  -{}", option.name)), "{}", option.name);
        }
        let long = text.lines().filter(|line| line.len() > WIDTH);
        assert_eq!(
            long.collect::<Vec<_>>(),
            [
                "  service [-bcrnfpeqaosxyztmdu] (up|run|edit|update) <binary|self> [-option value]... [-- argument...]"
            ]
        );
    }
}
