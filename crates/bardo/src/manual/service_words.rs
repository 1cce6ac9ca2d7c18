//! What makes a shell complete the words of `service`, from its lists.

use askama::Template;

use crate::personality::service::help::LONG_OPTIONS;
use crate::personality::service::options::{OPTIONS, ServiceOption, Value};
use crate::personality::service::verbs::{CONTROLS, Operand, SWITCHES, Switch, VERBS, Verb};
use crate::personality::shells::Shell;

/// The lists, as templates ask for them.
struct Lists;

#[derive(Template)]
#[template(path = "completions/service.bash", escape = "none")]
struct BashScript {
    service: Lists,
}

#[derive(Template)]
#[template(path = "completions/service.zsh", escape = "none")]
struct ZshScript {
    service: Lists,
}

#[derive(Template)]
#[template(path = "completions/service.fish", escape = "none")]
struct FishScript {
    service: Lists,
}

/// The script of one shell.
pub(super) fn script(shell: Shell) -> String {
    let text = match shell {
        Shell::Bash => BashScript { service: Lists }.render(),
        Shell::Zsh => ZshScript { service: Lists }.render(),
        Shell::Fish => FishScript { service: Lists }.render(),
    };
    text.expect("a template of texts is always rendered")
}

impl Lists {
    fn all_verbs(&self) -> &'static [Verb] {
        VERBS
    }

    fn all_switches(&self) -> &'static [Switch] {
        SWITCHES
    }

    fn all_options(&self) -> &'static [ServiceOption] {
        OPTIONS
    }

    fn all_long_options(&self) -> &'static [(&'static str, Option<&'static str>, &'static str)] {
        &LONG_OPTIONS
    }

    fn of(&self, wanted: impl Fn(Operand) -> bool, between: &str) -> String {
        let wanted = VERBS.iter().filter(|verb| wanted(verb.operand));
        wanted.map(|verb| verb.name).collect::<Vec<_>>().join(between)
    }

    fn verbs(&self, between: &str) -> String {
        self.of(|_| true, between)
    }

    fn binary_verbs(&self, between: &str) -> String {
        self.of(|operand| operand == Operand::Binary, between)
    }

    fn label_verbs(&self, between: &str) -> String {
        self.of(|operand| matches!(operand, Operand::Label | Operand::AnyLabel), between)
    }

    fn controls(&self, between: &str) -> String {
        CONTROLS.join(between)
    }

    fn switches(&self, between: &str) -> String {
        let words = SWITCHES.iter().map(|switch| format!("-{}", switch.letter));
        words.collect::<Vec<_>>().join(between)
    }

    fn long_options(&self, between: &str) -> String {
        LONG_OPTIONS.map(|(name, ..)| format!("--{name}")).join(between)
    }

    fn options(&self, between: &str) -> String {
        let words = OPTIONS.iter().map(|option| format!("-{}", option.name));
        words.collect::<Vec<_>>().join(between)
    }

    fn takes_value(&self, option: &ServiceOption) -> bool {
        matches!(option.value, Value::Needed(_))
    }

    fn takes_file(&self, option: &ServiceOption) -> bool {
        matches!(option.value, Value::Needed("FILE" | "FOLDER"))
    }

    /// Those behind which something stands, as alternatives of a `case`.
    fn with_value(&self) -> String {
        let words = OPTIONS.iter().filter(|option| self.takes_value(option));
        let words = words.map(|option| format!("-{}", option.name));
        words.chain(["--socket".to_owned()]).collect::<Vec<_>>().join("|")
    }

    /// Those behind which a file stands.
    fn with_file(&self) -> String {
        let words = OPTIONS.iter().filter(|option| self.takes_file(option));
        let words = words.map(|option| format!("-{}", option.name));
        words.chain(["--socket".to_owned()]).collect::<Vec<_>>().join("|")
    }
}
