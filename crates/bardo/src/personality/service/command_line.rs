//! The command line: switches, verb, operand, options.
//!
//! One thing surprises a newcomer: MINIX has single letters before the verb and long words
//! with one dash behind the program. Both may stand behind the verb here; a word that is
//! an option is one, also where its letters would be switches.

use std::ffi::OsString;
use std::iter::Peekable;
use std::os::unix::ffi::OsStringExt as _;
use std::path::Path;

use super::options::{Draft, ServiceOption};
use super::verbs::{CONTROLS, Operand, Switches, Verb};
use super::wrong::Wrong;
use crate::service::bring::as_minix;
use crate::service::request::Wait;

/// The program that stands for the one a service has already.
const SELF: &str = "self";

/// What a command line asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Wish {
    /// Help.
    Help,
    /// The version.
    Version,
    /// Something of a supervisor.
    Order(Box<Order>),
}

/// What is asked of a supervisor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Order {
    /// What is to be done.
    pub(super) verb: &'static Verb,
    /// The label, or the path of the program, or what `sysctl` is to do; empty for none.
    pub(super) operand: String,
    /// The switches.
    pub(super) switches: Switches,
    /// What the options come to.
    pub(super) draft: Draft,
    /// What is said of the tool itself.
    pub(super) manner: Manner,
}

/// How the tool does what it does: long options, all of them ours.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Manner {
    /// `--socket`: where the supervisor listens.
    pub(super) socket: Option<String>,
    /// `--minix`.
    pub(super) is_minix: bool,
    /// `--json`.
    pub(super) is_json: bool,
}

/// What a word with two dashes was.
enum Long {
    Taken,
    Help,
    Version,
}

type Words = Peekable<std::vec::IntoIter<String>>;

/// Reads a command line.
///
/// # Errors
/// What is wrong with it.
pub(super) fn read(words: &[OsString]) -> Result<Wish, Wrong> {
    let mut words = texts(words)?.into_iter().peekable();
    let (mut manner, mut switches) = (Manner::default(), Switches::default());
    // What stands before the verb is read as POSIX has it.
    while let Some(word) = words.next_if(|word| word.starts_with('-') && word != "-") {
        if word == "--" {
            break;
        }
        match long(&word, &mut words, &mut manner)? {
            Some(Long::Taken) => {}
            Some(Long::Help) => return Ok(Wish::Help),
            Some(Long::Version) => return Ok(Wish::Version),
            None if ServiceOption::find(&word).is_some() => {
                return Err(Wrong::usage(format!("{word} stands behind the verb, not before it")));
            }
            None => switch(&word, &mut switches)?,
        }
    }
    let Some(word) = words.next() else {
        return Err(Wrong::usage("wrong number of arguments: a verb is missing".to_owned()));
    };
    let verb = Verb::find(&word).ok_or_else(|| Wrong::verb(&word))?;
    let mut order =
        Order { verb, operand: String::new(), switches, draft: Draft::default(), manner };
    match order.read_behind(&mut words)? {
        Some(Long::Help) => return Ok(Wish::Help),
        Some(Long::Version) => return Ok(Wish::Version),
        Some(Long::Taken) | None => {}
    }
    order.check()?;
    Ok(Wish::Order(Box::new(order)))
}

fn texts(words: &[OsString]) -> Result<Vec<String>, Wrong> {
    let text = |word: &OsString| {
        String::from_utf8(word.clone().into_vec()).map_err(|error| {
            let shown = String::from_utf8_lossy(error.as_bytes()).into_owned();
            Wrong::usage(format!("this is not UTF-8: {shown}"))
        })
    };
    words.iter().map(text).collect()
}

/// A word of single letters.
fn switch(word: &str, switches: &mut Switches) -> Result<(), Wrong> {
    match switches.take(word) {
        true => Ok(()),
        // MINIX shows its usage for `-?` and for what it does not know alike.
        false => Err(Wrong::usage(format!("illegal switch: {word}"))),
    }
}

/// A word with two dashes; `None` when it is none.
fn long(word: &str, behind: &mut Words, manner: &mut Manner) -> Result<Option<Long>, Wrong> {
    let Some(name) = word.strip_prefix("--") else { return Ok(None) };
    match name {
        "help" => return Ok(Some(Long::Help)),
        "version" => return Ok(Some(Long::Version)),
        "minix" => manner.is_minix = true,
        "json" => manner.is_json = true,
        "socket" => {
            let missing = || Wrong::usage("--socket needs a path or an unix:// URL".to_owned());
            manner.socket = Some(behind.next().ok_or_else(missing)?);
        }
        _ => match name.strip_prefix("socket=") {
            Some(socket) => manner.socket = Some(socket.to_owned()),
            None => return Err(Wrong::usage(format!("illegal switch: {word}"))),
        },
    }
    Ok(Some(Long::Taken))
}

impl Order {
    /// Whether it is about the program that the service has.
    pub(super) fn is_self(&self) -> bool {
        self.verb.operand == Operand::Binary && self.operand == SELF
    }

    /// When to answer.
    pub(super) fn wait(&self) -> Wait {
        match (self.switches.has('n'), self.draft.waits) {
            (true, _) => Wait::Begun,
            (false, true) => Wait::Ready,
            (false, false) => Wait::Usual,
        }
    }

    /// The label: what `-label` says, or the program's name, or the operand.
    pub(super) fn label(&self) -> String {
        match self.verb.operand {
            Operand::Binary => match &self.draft.label {
                Some(label) => self.known(label),
                None => self.known(&self.program_name()),
            },
            _ => self.known(&self.operand),
        }
    }

    /// What is known of a label by the rules that hold.
    fn known(&self, label: &str) -> String {
        if self.manner.is_minix { as_minix(label).to_owned() } else { label.to_owned() }
    }

    /// The program's name, as `system.conf` has it.
    pub(super) fn program_name(&self) -> String {
        let name = Path::new(&self.operand).file_name().unwrap_or_default().to_string_lossy();
        self.draft.asked.program_name.clone().unwrap_or_else(|| name.into_owned())
    }

    /// What stands behind the verb, in whatever order.
    fn read_behind(&mut self, words: &mut Words) -> Result<Option<Long>, Wrong> {
        let mut has_operand = self.verb.operand == Operand::None;
        while let Some(word) = words.next() {
            if word == "--" {
                self.read_arguments(words)?;
                break;
            }
            if let Some(found) = long(&word, words, &mut self.manner)? {
                match found {
                    Long::Taken => continue,
                    Long::Help | Long::Version => return Ok(Some(found)),
                }
            }
            let is_switch = word.starts_with('-') && word != "-";
            if let Some(option) = ServiceOption::find(&word).filter(|it| it.suits(self.verb)) {
                option.take(&mut self.draft, words)?;
                continue;
            }
            if self.verb.operand == Operand::None {
                // One letter too many in `-stop` would be switches, and another meaning.
                return Err(Wrong::usage(format!("{} takes no {word}", self.verb.name)));
            }
            if is_switch && self.switches.take(&word) {
                continue;
            }
            if !is_switch && !has_operand {
                self.operand = word;
                has_operand = true;
                self.check_operand()?;
            } else if self.verb.operand == Operand::Binary {
                return Err(Wrong::usage(format!("unknown optional argument given: {word}")));
            }
            // MINIX ignores what stands behind a label.
        }
        match has_operand || self.verb.operand == Operand::AnyLabel {
            true => Ok(None),
            false => Err(self.missing()),
        }
    }

    fn missing(&self) -> Wrong {
        let name = self.verb.name;
        Wrong::usage(match self.verb.operand {
            Operand::Binary => {
                format!("action requires a binary to start: {name} /path/to/program")
            }
            Operand::Label => format!("action requires a label: {name} LABEL"),
            Operand::Control | Operand::AnyLabel | Operand::None => {
                format!("action requires a type: {name} {}", CONTROLS.join("|"))
            }
        })
    }

    /// The program's arguments, each of them one word.
    fn read_arguments(&mut self, words: &mut Words) -> Result<(), Wrong> {
        if self.verb.operand != Operand::Binary {
            return Err(Wrong::usage(format!(
                "{} takes no arguments of a program",
                self.verb.name
            )));
        }
        if self.draft.asked.arguments.is_some() {
            let text = "there are arguments in -args and behind -- too: use one of them";
            return Err(Wrong::usage(text.to_owned()));
        }
        self.draft.asked.arguments = Some(words.collect());
        Ok(())
    }

    /// MINIX looks at the program before it looks at the options.
    fn check_operand(&self) -> Result<(), Wrong> {
        match self.verb.operand {
            Operand::Binary => self.check_binary(),
            Operand::Control if !CONTROLS.contains(&&*self.operand) => {
                Err(Wrong::usage(format!("unknown type of sysctl: {}", self.operand)))
            }
            Operand::Control | Operand::Label | Operand::AnyLabel | Operand::None => Ok(()),
        }
    }

    fn check_binary(&self) -> Result<(), Wrong> {
        let path = &*self.operand;
        if path == SELF && matches!(self.verb.name, "edit" | "update") {
            return Ok(());
        }
        if !path.starts_with('/') {
            return Err(Wrong::usage(format!("binary should be absolute path: {path}")));
        }
        match std::fs::metadata(path) {
            Err(error) => Err(Wrong::stat(path, &error)),
            Ok(there) if !there.is_file() => {
                Err(Wrong::usage(format!("binary is not a regular file: {path}")))
            }
            Ok(_) => Ok(()),
        }
    }

    /// What only the whole command line shows.
    fn check(&mut self) -> Result<(), Wrong> {
        if self.verb.operand != Operand::Binary {
            return Ok(());
        }
        let needs_label = self.verb.is("edit") || self.verb.is("update") && self.is_self();
        if needs_label && self.draft.label.is_none() {
            return Err(Wrong::usage(format!("{} requires a label: -label NAME", self.verb.name)));
        }
        if self.verb.is("update") {
            // Who may, and whether there is such a service, is told first: by the supervisor.
            return Ok(());
        }
        if self.switches.has('q') {
            return Err(Wrong::usage("-q is for update only".to_owned()));
        }
        match self.switches.first_of("pexyz") {
            Some('p') => Err(Wrong::not_yet("-p (a replica)")),
            Some('e') => Err(Wrong::not_yet("-e (an old process that is kept)")),
            Some(letter) => Err(Wrong::not_yet(&format!("-{letter} (faults in initialisation)"))),
            None => match (self.switches.first_of("aostm"), self.draft.ahead) {
                (Some(letter), _) => Err(Wrong::not_yet(&format!("-{letter} (an update)"))),
                (None, Some(option)) => Err(Wrong::not_yet(&format!("-{option} (an update)"))),
                (None, None) => Ok(()),
            },
        }
    }
}

impl ServiceOption {
    /// Whether it can stand behind a verb.
    fn suits(&self, verb: &Verb) -> bool {
        match self.name {
            "stop" => verb.is("shutdown"),
            "wait" => verb.operand == Operand::Binary || verb.is("refresh"),
            _ => verb.operand == Operand::Binary,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::errno::Errno;

    fn parsed(line: &[&str]) -> Result<Order, Wrong> {
        let words: Vec<OsString> = line.iter().map(OsString::from).collect();
        match read(&words)? {
            Wish::Order(order) => Ok(*order),
            Wish::Help | Wish::Version => panic!("{line:?} asks for help"),
        }
    }

    fn code(line: &str) -> u8 {
        parsed(&line.split(' ').collect::<Vec<_>>()).map_or_else(|wrong| wrong.errno.0, |_| 0)
    }

    #[test]
    fn switches_stand_before_the_verb_and_behind_it_bundled_or_not() {
        let expected = parsed(&["-c", "-n", "-b", "up", "/bin/true"]).unwrap();

        for line in [
            "-cnb up /bin/true",
            "-cn up -b /bin/true",
            "up -cnb /bin/true",
            "up /bin/true -cnb",
            "-c -- up /bin/true -n -b",
        ] {
            let order = parsed(&line.split(' ').collect::<Vec<_>>()).unwrap();
            assert!("cnb".chars().all(|letter| order.switches.has(letter)), "{line}");
            assert_eq!((order.draft, order.operand), (Draft::default(), "/bin/true".into()));
        }
        assert!(expected.switches.has('n') && !expected.switches.has('r'));
        assert_eq!(expected.wait(), Wait::Begun);
    }

    #[test]
    fn what_makes_no_sense_ends_with_minixs_numbers() {
        for (line, errno) in [
            ("foo", 78),
            ("UP /bin/true", 78),
            ("-? up /bin/true", 22),
            ("-j up /bin/true", 22),
            ("up", 22),
            ("down", 22),
            ("sysctl", 22),
            ("sysctl x", 22),
            ("lookup", 22),
            ("up bin/true", 22),
            ("up self", 22),
            ("up /nowhere/true", 2),
            ("up /bin", 22),
            ("up /bin/true/x", 20),
            ("up /bin/true -args", 22),
            ("up /bin/true -bogus 1", 22),
            ("up /bin/true -bad 1", 22),
            ("up /bin/true stray", 22),
            ("edit /bin/true", 22),
            ("edit self", 22),
            ("update self", 22),
            ("up /bin/true -period 5x", 22),
            ("up /bin/true -period -1", 22),
            ("up /bin/true -dev /nowhere", 2),
            ("up /bin/true -dev /bin", 22),
            ("up /bin/true -dev /dev/null -major 3", 22),
            ("up /bin/true -major 3 -major 3", 22),
            ("up /bin/true -state 0", 22),
            ("up /bin/true -heap-prealloc 0", 22),
            ("up /bin/true -asr-count -1", 22),
            ("up /bin/true -asr-count 3", 78),
            ("edit self -label x -asr-count 3", 78),
            ("up /bin/true -state 5", 78),
            ("run /bin/true -state x==1", 78),
            ("up /bin/true -maxtime 5s", 78),
            ("up /bin/true -trg-label nope", 78),
            ("up /bin/true -heap-prealloc 5", 78),
            ("up /bin/true -map-prealloc 5", 78),
            ("up /bin/true -ipc_bl a,b:c,:,d", 78),
            ("up /bin/true -ipc_wl a,b", 78),
            ("up /bin/true -devid x", 22),
            ("up /bin/true -devid 5", 0),
            ("up /bin/true -ipc_bl ,", 22),
            ("up /bin/true -ipc_bl a", 22),
            ("up /bin/true -ipc_wl a,b:c", 22),
            ("up /bin/true -ipc_wl a,b:c,d:e,f:g,h:i,j", 12),
            ("up /bin/true -ready soon", 22),
            ("up /bin/true -ok-exit 256", 22),
            ("up /bin/true -env novalue", 22),
            ("up /bin/true -args x -- y", 22),
            ("-q up /bin/true", 22),
            ("-p up /bin/true", 78),
            ("-e up /bin/true", 78),
            ("-x up /bin/true", 78),
            ("-t up /bin/true", 78),
            ("-du up /bin/true", 0),
            ("-p down x", 0),
            ("down x whatever is here", 0),
            ("edit self -label x", 0),
            ("-qaosxyztm update self -label x -maxtime 0 -state 1", 0),
            ("up /bin/true -maxtime 5x", 22),
            ("show", 0),
            ("shutdown -stop", 0),
            ("-n shutdown", 0),
            ("shutdown --socket /x -stop", 0),
            ("shutdown -stopp", 22),
            ("shutdown -st", 22),
            ("shutdown x", 22),
            ("shutdown -stop x", 22),
            ("-stop shutdown", 22),
            ("-state up /bin/true", 22),
        ] {
            assert_eq!(code(line), errno, "{line}");
        }
    }

    #[test]
    fn what_is_refused_is_told_with_what_would_be_taken() {
        let text = |line: &str| {
            let words: Vec<&str> = line.split(' ').collect();
            parsed(&words).map_or_else(|wrong| wrong.text, |order| order.draft.notes.concat())
        };

        for (line, expected) in [
            ("up /bin/true -map-prealloc x", "\"x\" is not a number of bytes from 1 on"),
            ("up /bin/true -ipc_bl a", "\"a\" is not LABEL,TYPE:LABEL,TYPE"),
            ("up /bin/true -state 5", "-state (an update): this version cannot do that yet"),
            ("up /bin/true -devid 5", "-devid means nothing here"),
        ] {
            assert!(text(line).contains(expected), "{line}: {}", text(line));
        }
        assert_eq!(text("up /bin/true -devid 0"), "");
    }

    #[test]
    fn an_unknown_verb_says_so() {
        let wrong = parsed(&["foo"]).unwrap_err();

        assert!(wrong.text.contains("illegal request type"), "{}", wrong.text);
        assert_eq!((wrong.errno, wrong.shows_usage), (Errno::ENOSYS, true));
    }

    #[test]
    fn arguments_are_parted_at_blanks_or_taken_as_they_are() {
        let parted = parsed(&["up", "/bin/true", "-args", " a  \"b c\" "]).unwrap();
        let whole =
            parsed(&["up", "/bin/true", "-label", "x", "--", "a", "b c", "--help"]).unwrap();

        assert_eq!(parted.draft.asked.arguments.unwrap(), ["a", "\"b", "c\""]);
        assert_eq!(whole.label(), "x");
        assert_eq!(whole.draft.asked.arguments.unwrap(), ["a", "b c", "--help"]);
    }

    #[test]
    fn a_value_may_look_like_anything() {
        let order = parsed(&["up", "/bin/true", "-args", "--help", "-health", "-c"]).unwrap();

        assert_eq!(order.draft.asked.arguments.unwrap(), ["--help"]);
        assert_eq!(order.draft.asked.health_command.unwrap(), "-c");
    }

    #[test]
    fn the_label_is_the_programs_name_unless_it_is_given() {
        assert_eq!(parsed(&["up", "/bin/true"]).unwrap().label(), "true");
        let named = parsed(&["up", "/bin/true", "-progname", "other"]).unwrap();
        assert_eq!((named.label(), named.program_name()), ("other".into(), "other".into()));
        assert_eq!(parsed(&["edit", "self", "-label", "x"]).unwrap().label(), "x");
    }

    #[test]
    fn of_a_long_label_minix_knows_the_beginning_whatever_the_verb() {
        let label = |line: &[&str]| parsed(line).unwrap().label();

        for line in [
            &["--minix", "up", "/bin/true", "-label", "sixteen-letters-"][..],
            &["--minix", "edit", "self", "-label", "sixteen-letters-"],
            &["--minix", "down", "sixteen-letters-"],
            &["--minix", "show", "sixteen-letters-"],
        ] {
            assert_eq!(label(line), "sixteen-letters", "{line:?}");
        }
        assert_eq!(label(&["down", "sixteen-letters-"]), "sixteen-letters-");
        let of_a_group = "a-long-group:a-program";
        assert_eq!(label(&["--minix", "down", of_a_group]), of_a_group, "only a file has those");
    }

    #[test]
    fn truth_may_be_left_out() {
        let critical = |line: &[&str]| parsed(line).unwrap().draft.asked.critical;

        assert_eq!(critical(&["up", "/bin/true", "-critical"]), Some(true));
        assert_eq!(critical(&["up", "/bin/true", "-critical", "no"]), Some(false));
        assert_eq!(critical(&["up", "/bin/true", "-critical", "-label", "x"]), Some(true));
        assert_eq!(critical(&["up", "/bin/true"]), None);
    }
}
