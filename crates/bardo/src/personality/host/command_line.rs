//! The command line: a verb, a name, and options behind them.

use std::ffi::OsString;
use std::path::PathBuf;

use super::table::{self, Action, Flag, Meaning, Setting, Verb};
use super::{NAME, absolute};
use crate::init::InitError;
use crate::init::choice;
use crate::init::definition::{Scope, Start, USUAL_NAME, wrong_account, wrong_name};
use crate::init::options::Options;
use crate::init::sandbox::RESTRICTIONS;

/// What systemd writes behind a name. It belongs to the file, and not to the name.
const SUFFIX: &str = ".service";

/// What somebody has asked for.
#[derive(Debug, Clone)]
pub enum Wish {
    /// The help text.
    Help,
    /// Something to be done.
    Order(Box<Order>),
}

/// Something to be done.
#[derive(Debug, Clone)]
pub struct Order {
    /// What is done.
    pub verb: &'static Verb,
    /// To which service.
    pub name: String,
    /// The init system that was named.
    pub init: Option<&'static str>,
    /// When it starts by itself.
    pub start: Start,
    /// Who keeps it.
    pub scope: Scope,
    /// What else it is to be.
    pub options: Options,
    /// Whether nothing is taken from the definition that is there.
    pub is_anew: bool,
    /// The folder below which files are written.
    pub root: Option<PathBuf>,
    /// Whether everything is told and nothing done.
    pub is_dry: bool,
    /// Whether files of others are replaced.
    pub is_forced: bool,
}

impl Order {
    fn new(verb: &'static Verb) -> Self {
        let start = match verb.action {
            Action::Install(start) => start,
            Action::Uninstall
            | Action::Start
            | Action::Stop
            | Action::Restart
            | Action::TryRestart
            | Action::Status
            | Action::Reload => Start::AtBoot,
        };
        Self {
            verb,
            name: USUAL_NAME.to_owned(),
            init: None,
            start,
            scope: Scope::Machine,
            options: Options::default(),
            is_anew: false,
            root: None,
            is_dry: false,
            is_forced: false,
        }
    }
}

/// The verb of a word with a mark before it. Behind a slash case does not matter.
#[must_use]
pub fn verb_with_mark(word: &str) -> Option<&'static Verb> {
    if let Some(verb) = word.strip_prefix('/') {
        return table::verb(&verb.to_ascii_lowercase());
    }
    table::verb(word.strip_prefix("--").or_else(|| word.strip_prefix('-'))?)
}

/// Reads the words, the verb first.
///
/// # Errors
/// When they make no sense.
pub fn read(words: &[OsString]) -> Result<Wish, InitError> {
    let mut texts = Vec::with_capacity(words.len());
    for word in words {
        let text = word
            .to_str()
            .ok_or_else(|| InitError::Usage(format!("`{}` is not UTF-8", word.display())))?;
        texts.push(text);
    }
    let Some((first, behind)) = texts.split_first() else {
        return Err(InitError::Usage(format!("what is {NAME} to do?")));
    };
    if matches!(*first, "help" | "--help" | "-help" | "-h" | "/help" | "/?") {
        return Ok(Wish::Help);
    }
    let verb = verb_with_mark(first).or_else(|| table::verb(first));
    let verb = verb.ok_or_else(|| InitError::Usage(format!("there is no verb `{first}`")))?;
    let mut order = Order::new(verb);
    let mut is_named = false;
    let mut seen = Vec::new();
    let mut rest = behind.iter().copied();
    while let Some(word) = rest.next() {
        if word == "--help" {
            return Ok(Wish::Help);
        }
        if let Some(text) = word.strip_prefix("--") {
            let (name, value) = match text.split_once('=') {
                Some((name, value)) => (name, Some(value)),
                None => (text, None),
            };
            if seen.contains(&name) && !table::option(name).is_some_and(|option| option.repeats()) {
                return Err(InitError::Usage(format!("`--{name}` stands there twice")));
            }
            seen.push(name);
            take(&mut order, name, value, &mut rest)?;
            continue;
        }
        if std::mem::replace(&mut is_named, true) {
            return Err(InitError::Usage(format!("`{word}` is one word too many")));
        }
        let word = word.strip_suffix(SUFFIX).filter(|name| !name.is_empty()).unwrap_or(word);
        if let Some(wrong) = wrong_name(word) {
            let word = word.escape_debug();
            return Err(InitError::Usage(format!("`{word}` is no name of a service: {wrong}")));
        }
        word.clone_into(&mut order.name);
    }
    agree(&order)?;
    Ok(Wish::Order(Box::new(order)))
}

/// Takes an option, and its value from the next word where it has one there.
fn take<'a>(
    order: &mut Order,
    name: &str,
    value: Option<&'a str>,
    rest: &mut impl Iterator<Item = &'a str>,
) -> Result<(), InitError> {
    let wrong = |text: String| Err(InitError::Usage(text));
    let Some(option) = table::option(name) else {
        return wrong(format!("there is no option `--{name}`"));
    };
    if !order.verb.takes.includes(option.of) {
        return wrong(format!("`--{name}` means nothing to {}", order.verb.name));
    }
    match option.meaning {
        Meaning::Alone(flag) if value.is_none() => set(order, flag),
        Meaning::Alone(_) => wrong(format!("`--{name}` takes no value")),
        Meaning::With(setting, wanted) => match value.or_else(|| rest.next()) {
            Some(value) => set_to(order, setting, value),
            None => wrong(format!("behind `--{name}` {wanted} is missing")),
        },
    }
}

fn set(order: &mut Order, flag: Flag) -> Result<(), InitError> {
    match flag {
        Flag::UserUnit => order.scope = Scope::User,
        Flag::NoStartOnBoot => order.start = Start::OnDemand,
        Flag::NoRespawn => order.options.no_respawn = true,
        Flag::WaitNetwork => order.options.wait_network = true,
        Flag::Hardened => order.options.hardened = true,
        Flag::Anew => order.is_anew = true,
        Flag::DryRun => order.is_dry = true,
        Flag::Force => order.is_forced = true,
        Flag::Inittab => {
            return Err(InitError::Unavailable(
                "`--inittab` is not offered: init stops for minutes what ends ten times in two \
                 minutes; `--init sysv` starts it at boot, and systemd, Upstart and OpenRC start \
                 it again"
                    .to_owned(),
            ));
        }
        Flag::Delayed => {
            return Err(InitError::Unavailable(
                "`--delayed` is for Windows; here `--wait-network` starts a service later"
                    .to_owned(),
            ));
        }
    }
    Ok(())
}

fn set_to(order: &mut Order, setting: Setting, value: &str) -> Result<(), InitError> {
    let wrong = |text: String| Err(InitError::Usage(text));
    let shown = value.escape_debug();
    match setting {
        Setting::Configuration => order.options.configuration = Some(absolute(value)?),
        Setting::Root => order.root = Some(absolute(value)?),
        Setting::Init => {
            let Some(known) = choice::NAMES.into_iter().find(|name| *name == value) else {
                let names = choice::NAMES.join(", ");
                return wrong(format!("`{shown}` is no init system; there are {names}"));
            };
            order.init = Some(known);
        }
        Setting::Account => {
            if let Some(why) = wrong_account(value) {
                return wrong(format!("`{shown}` is no account: {why}"));
            }
            order.options.account = Some(value.to_owned());
        }
        Setting::Allow => {
            let mut names: Vec<&str> = RESTRICTIONS.iter().map(|each| each.name).collect();
            names.push("all");
            if !names.contains(&value) {
                return wrong(format!(
                    "nothing is forbidden by the name of `{shown}`; there are {}",
                    names.join(", ")
                ));
            }
            order.options.allowed.push(value.to_owned());
        }
    }
    Ok(())
}

/// Options that need others, or exclude them.
fn agree(order: &Order) -> Result<(), InitError> {
    let wrong = |text: &str| Err(InitError::Usage(text.to_owned()));
    if order.scope == Scope::User && order.options.account().is_some() {
        return wrong("`--user-unit` is a service of the user who calls: leave out --user");
    }
    if order.scope == Scope::User && order.root.is_some() {
        return wrong("`--root` writes services of the machine: leave out --user-unit");
    }
    if order.root.is_some() && order.init.is_none() {
        return wrong("with `--root` no machine is asked: say --init KIND");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(line: &str) -> Result<Order, InitError> {
        let words: Vec<OsString> = line.split(' ').map(OsString::from).collect();
        match read(&words)? {
            Wish::Order(order) => Ok(*order),
            Wish::Help => panic!("it was an order: {line}"),
        }
    }

    fn usage(line: &str) -> String {
        let error = order(line).unwrap_err();
        assert_eq!(error.code(), 2, "{line}: {error}");
        error.to_string()
    }

    #[test]
    fn every_verb_is_read_in_every_form_with_and_without_a_name() {
        for verb in table::VERBS {
            let upper = verb.name.to_uppercase();
            let forms = [format!("/{}", verb.name), format!("/{upper}"), format!("-{}", verb.name)];
            for form in forms.into_iter().chain([format!("--{}", verb.name)]) {
                assert_eq!(verb_with_mark(&form), Some(verb), "{form}");
                assert_eq!(order(&form).unwrap().name, "bardo", "{form}");
                let named = order(&format!("{form} web-1")).unwrap();
                assert_eq!((named.verb, named.name.as_str()), (verb, "web-1"), "{form}");
            }
            assert_eq!(order(verb.name).unwrap().verb, verb);
            assert_eq!(verb_with_mark(verb.name), None, "a bare word is no verb everywhere");
            assert_eq!(verb_with_mark(&format!("--{upper}")), None);
        }
    }

    #[test]
    fn what_makes_no_sense_ends_with_two() {
        for (line, said) in [
            ("/frobnicate", "no verb `/frobnicate`"),
            ("begin", "no verb `begin`"),
            ("start a b", "`b` is one word too many"),
            ("start a/b", "no name of a service"),
            ("start .a", "no name of a service"),
            ("start -a", "no name of a service"),
            ("install --colour", "no option `--colour`"),
            ("install --config", "FILE is missing"),
            ("install --force=yes", "takes no value"),
            ("install --init upstar", "no init system"),
            ("install --allow music", "nothing is forbidden"),
            ("install --user-unit --user web", "leave out --user"),
            ("install --root /tmp/r", "--init KIND"),
            ("install --user a:b", "no account"),
            ("install --init systemd --init sysv", "`--init` stands there twice"),
            ("install --config=/a --config /a", "`--config` stands there twice"),
            ("install --force web --force", "`--force` stands there twice"),
            ("start --config /etc/x", "means nothing to start"),
            ("start --root /tmp/r", "means nothing to start"),
            ("status --force", "means nothing to status"),
        ] {
            let text = usage(line);
            assert!(text.contains(said), "{line}: {text}");
        }
        assert!(read(&[]).is_err());
    }

    #[test]
    fn options_are_taken_in_both_forms_and_in_any_place() {
        let order = order(
            "install --config=etc/c.conf web --user www --no-respawn --wait-network --hardened \
             --allow realtime --allow=clock --init systemd --root /r --dry-run --force",
        )
        .unwrap();

        assert_eq!(order.name, "web");
        assert_eq!((order.init, order.is_dry, order.is_forced), (Some("systemd"), true, true));
        let options = order.options;
        assert!(options.configuration.unwrap().is_absolute());
        assert_eq!(options.account.as_deref(), Some("www"));
        assert!(options.no_respawn && options.wait_network && options.hardened);
        assert_eq!(options.allowed, ["realtime", "clock"]);
        assert_eq!(order.root, Some("/r".into()));
    }

    #[test]
    fn the_name_of_a_unit_means_its_service() {
        for verb in ["/install", "/status", "/stop"] {
            assert_eq!(order(&format!("{verb} web.service")).unwrap().name, "web");
        }
        assert!(usage("/status .service").contains("begins with"));
    }

    #[test]
    fn a_service_starts_at_boot_unless_it_is_on_demand() {
        assert_eq!(order("/install").unwrap().start, Start::AtBoot);
        assert_eq!(order("/install-auto").unwrap().start, Start::AtBoot);
        assert_eq!(order("/install-demand").unwrap().start, Start::OnDemand);
        assert_eq!(order("/install --no-start-on-boot").unwrap().start, Start::OnDemand);
    }

    #[test]
    fn a_delayed_start_is_refused_and_told_where_it_can_be_had() {
        let error = order("/install --delayed").unwrap_err();

        assert_eq!(error.code(), 3);
        assert!(error.to_string().contains("Windows"), "{error}");
        let error = order("/install --inittab").unwrap_err();
        assert_eq!(error.code(), 3);
        assert!(error.to_string().contains("not offered"), "{error}");
    }
}
