//! What the face says of itself.

use super::NAME;
use super::table::{OPTIONS, VERBS};

use crate::init::sandbox::{Level, RESTRICTIONS};
use crate::personality::service::help::entry;

/// How it is called: shown when it was called wrongly.
#[must_use]
pub fn usage() -> String {
    let verbs: Vec<&str> = VERBS.iter().map(|verb| verb.name).collect();
    format!(
        "Usage: {NAME} VERB [NAME] [OPTION...]\n       bardo /VERB [NAME] [OPTION...]\n\
         Verbs: {}\n{NAME} --help says more, and so does {NAME}(8).\n",
        verbs.join(", ")
    )
}

/// All of it.
#[must_use]
pub fn help() -> String {
    let mut text = format!(
        "{NAME} -- make bardo a service of the operating system, and steer it\n\n\
         Usage: {NAME} VERB [NAME] [OPTION...]\n       bardo /VERB [NAME] [OPTION...]\n\n\
         Any call of bardo takes a verb as its first word: /verb, -verb or --verb.\n\
         NAME is bardo where it is left out.\n\nVerbs:\n"
    );
    for verb in VERBS {
        entry(&mut text, verb.name, verb.help);
    }
    text += "\nOptions:\n";
    for option in OPTIONS {
        let value = option.value().map(|value| format!(" {value}")).unwrap_or_default();
        entry(&mut text, &format!("--{}{value}", option.name), &option.help.replace('`', ""));
    }
    for (level, title) in [
        (Level::Usual, "What programs may not do under systemd, and --allow WHAT allows:"),
        (Level::Hardened, "And with --hardened:"),
    ] {
        text += &format!("\n{title}\n");
        for restriction in RESTRICTIONS.iter().filter(|each| each.level == level) {
            entry(&mut text, restriction.name, restriction.help);
        }
    }
    text += "\nExit codes: 0 done, or nothing to do; 1 failed; 2 bad arguments; 3 not to be had\n\
             here; 4 no rights; 5 not installed; 6 not configured; 7 not running (reload).\n\
             status: 0 running, 3 not running, 1 cannot be determined.\n\
             \nExamples:\n  \
             bardo /install --config /etc/bardo/web.conf\n  \
             bardo /start\n  bardo /status\n  bardo /install-demand backup --user backup\n";
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn help_names_everything_in_lines_that_are_not_long() {
        let text = help();

        for verb in VERBS {
            assert!(text.contains(&format!("\n  {} ", verb.name)), "{}", verb.name);
        }
        for option in OPTIONS {
            assert!(text.contains(&format!("\n  --{}", option.name)), "{}", option.name);
        }
        for restriction in RESTRICTIONS {
            assert!(text.contains(&format!("\n  {}", restriction.name)), "{}", restriction.name);
        }
        let long: Vec<&str> = text.lines().filter(|line| line.len() > 80).collect();
        assert!(long.is_empty(), "{long:?}");
    }
}
