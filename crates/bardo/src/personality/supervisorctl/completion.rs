//! What a Tab of the shell completes.
//!
//! Names are asked for at the first Tab and kept until the next command, as in
//! Supervisor, because one Tab may ask many times. A server that does not answer
//! soon is not asked again until then either.

use std::cell::RefCell;
use std::collections::HashSet;
use std::time::Duration;

use bardo_config::PluginKind;
use rustyline::completion::{Completer, Pair};
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::validate::Validator;
use rustyline::{Context, Helper};

use super::processes::{rows, text};
use super::table::{self, Completes, Plugins};
use crate::client::Client;

/// How long a server may take to tell its names: longer than that, and the user
/// thinks that his terminal hangs.
const ANSWER_WAIT: Duration = Duration::from_secs(1);

/// A process, as the server names it.
struct Named {
    group: String,
    process: String,
}

/// Completes command lines.
#[derive(Default)]
pub(super) struct Completion {
    /// Whoever asks the server; `None` when there is nobody to ask.
    client: RefCell<Option<Client>>,
    names: RefCell<Option<Vec<Named>>>,
    /// Whose commands there are too.
    plugins: Vec<(String, PluginKind)>,
}

impl Completion {
    /// Forgets the names, and asks this client's server for them from now on.
    pub(super) fn renew(&mut self, client: &Client, plugins: &Plugins) {
        self.plugins = plugins.to_vec();
        *self.client.get_mut() = client.twin().ok();
        *self.names.get_mut() = None;
    }

    /// What the word before the cursor may become, and where it begins.
    fn candidates(&self, line: &str) -> (usize, Vec<String>) {
        let start = word_start(line);
        let word = &line[start..];
        let all: Vec<String> = match wanted(line, &self.plugins) {
            Completes::Nothing => Vec::new(),
            Completes::Commands => {
                table::names(&self.plugins).into_iter().map(str::to_owned).collect()
            }
            Completes::Groups => self.with_names(groups),
            Completes::Processes => self.with_names(|names| processes(names, word)),
        };
        (start, all.into_iter().filter(|one| one.starts_with(word)).collect())
    }

    fn with_names(&self, choose: impl FnOnce(&[Named]) -> Vec<String>) -> Vec<String> {
        let mut names = self.names.borrow_mut();
        choose(names.get_or_insert_with(|| self.ask()))
    }

    /// The server's processes; none when it does not tell.
    fn ask(&self) -> Vec<Named> {
        let mut client = self.client.borrow_mut();
        let Some(client) = client.as_mut() else { return Vec::new() };
        let method = "supervisor.getAllProcessInfo";
        let infos = client.call_within(Some(ANSWER_WAIT), method, Vec::new()).map(rows);
        let named = |info| Named {
            group: text(info, "group").to_owned(),
            process: text(info, "name").to_owned(),
        };
        infos.unwrap_or_default().iter().map(named).collect()
    }
}

/// What belongs where the cursor is: commands while the first word is written.
fn wanted(line: &str, plugins: &Plugins) -> Completes {
    let written = line.trim_start();
    match written.split_once(char::is_whitespace) {
        None => Completes::Commands,
        Some((command, _)) => {
            table::find(command, plugins).map_or(Completes::Nothing, |command| command.completes)
        }
    }
}

/// Where the word before the cursor begins. `:`, `*` and `-` belong to words, because
/// they belong to names.
fn word_start(line: &str) -> usize {
    const ENDS: &str = " \t\n`~!@#$%^&()=+[{]}\\|;'\",<>/?";
    line.rfind(|one: char| ENDS.contains(one)).map_or(0, |end| end + 1)
}

fn groups(names: &[Named]) -> Vec<String> {
    let mut seen = HashSet::new();
    let groups = names.iter().map(|named| &named.group);
    groups.filter(|group| seen.insert(*group)).cloned().collect()
}

/// Processes, and a group after its first one. A process that is called like its
/// group has the short name, unless the word has a colon already.
fn processes(names: &[Named], word: &str) -> Vec<String> {
    let mut all = Vec::new();
    let mut last_group = None;
    for Named { group, process } in names {
        if !word.contains(':') && process == group {
            all.push(process.clone());
            continue;
        }
        all.push(format!("{group}:{process}"));
        if last_group != Some(group) {
            all.push(format!("{group}:*"));
            last_group = Some(group);
        }
    }
    all
}

impl Completer for Completion {
    type Candidate = Pair;

    fn complete(
        &self,
        line: &str,
        position: usize,
        _: &Context<'_>,
    ) -> rustyline::Result<(usize, Vec<Pair>)> {
        let (start, candidates) = self.candidates(&line[..position]);
        let pair = |one: String| Pair { replacement: format!("{one} "), display: one };
        Ok((start, candidates.into_iter().map(pair).collect()))
    }
}

impl Hinter for Completion {
    type Hint = String;
}

impl Highlighter for Completion {}

impl Validator for Completion {}

impl Helper for Completion {}

#[cfg(test)]
mod tests {
    use super::*;

    fn completion() -> Completion {
        let named = |group: &str, process: &str| Named {
            group: group.to_owned(),
            process: process.to_owned(),
        };
        let names = vec![named("cat", "cat"), named("g", "a-1"), named("g", "a-2")];
        Completion { names: RefCell::new(Some(names)), ..Completion::default() }
    }

    fn completed(line: &str) -> Vec<String> {
        let (start, candidates) = completion().candidates(line);
        candidates.into_iter().map(|one| format!("{}{one}", &line[..start])).collect()
    }

    #[test]
    fn the_first_word_is_a_command() {
        assert_eq!(completed("sta"), ["start", "status"]);
        assert_eq!(completed("  re").len(), 4);
        assert_eq!(completed("help ma"), ["help maintail"]);
        assert_eq!(completed("").len(), 22);
        assert_eq!(completed("h"), ["help"]);
    }

    #[test]
    fn the_commands_of_plugins_are_known_where_the_file_names_them() {
        let mut completion = completion();
        assert_eq!(completion.candidates("ki").1, [] as [&str; 0]);

        completion.plugins = vec![("laforge".to_owned(), PluginKind::Laforge)];

        assert_eq!(completion.candidates("ki").1, ["kill"]);
        assert_eq!(completion.candidates("kill HUP g:a-1").1, ["g:a-1"]);
    }

    #[test]
    fn names_are_those_of_the_server() {
        assert_eq!(completed("start "), ["start cat", "start g:a-1", "start g:*", "start g:a-2"]);
        assert_eq!(completed("tail -f g:a-"), ["tail -f g:a-1", "tail -f g:a-2"]);
        assert_eq!(completed("stop cat:"), ["stop cat:cat", "stop cat:*"]);
        assert_eq!(completed("update "), ["update cat", "update g"]);
        assert_eq!(completed("remove g"), ["remove g"]);
    }

    #[test]
    fn nothing_is_made_up() {
        for line in ["version ", "nonsense x", "shutdown ", "open u", "start ghost"] {
            assert_eq!(completed(line), [] as [&str; 0], "{line}");
        }
    }

    #[test]
    fn a_server_that_is_not_there_has_no_names() {
        let mut completion = Completion::default();
        let client = Client::new("unix:///no/such/socket", None, None).unwrap();
        completion.renew(&client, &[]);

        assert_eq!(completion.candidates("start ").1, [] as [&str; 0]);
    }
}
