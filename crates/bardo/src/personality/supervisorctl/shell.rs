//! The shell: commands one after the other, until the user has enough.
//!
//! On a terminal lines are edited, completed and remembered. Anything else is read
//! plainly, with the prompt in front of every line, so that a script sees what
//! Supervisor shows it.

use std::io::IsTerminal as _;

use rustyline::config::{CompletionType, Config};
use rustyline::history::{History as _, MemHistory, SearchDirection};

use super::completion::Completion;
use super::control::{Control, Next};
use super::history;

/// Lets the user edit a line.
pub(super) type Editor = rustyline::Editor<Completion, MemHistory>;

/// What the end of the input means.
const END: &str = "EOF";

/// What the shell goes by.
pub(super) struct Manner<'s> {
    /// What stands in front of `> `.
    pub(super) prompt: &'s str,
    /// Where typed lines are kept.
    pub(super) history_file: Option<&'s str>,
}

/// Runs a first command, then reads lines until there are no more or one says that
/// it is enough.
pub(super) fn run(control: &mut Control<'_>, manner: &Manner<'_>, first: &str) {
    match control.run_line(first) {
        Next::Line => follow(control, manner),
        Next::Leave => {}
        Next::Interrupted => control.say(""),
    }
    control.flush();
}

/// Reads lines until there are no more or one says that it is enough.
pub(super) fn follow(control: &mut Control<'_>, manner: &Manner<'_>) {
    let prompt = format!("{}> ", manner.prompt);
    if let Some(editor) = editor() {
        control.editor = Some(editor);
        remember(control, manner.history_file);
    }
    let next = read(control, &prompt);
    if let Some((editor, file)) = control.editor.as_ref().zip(manner.history_file) {
        let lines = editor.history();
        let entry = |place| lines.get(place, SearchDirection::Forward).ok().flatten();
        let _ = history::save(file, (0..lines.len()).filter_map(entry).map(|found| found.entry));
    }
    if next == Next::Interrupted {
        control.say("");
    }
    control.flush();
}

/// An editor, where somebody sits in front of a terminal.
fn editor() -> Option<Editor> {
    if !std::io::stdin().is_terminal() || !std::io::stdout().is_terminal() {
        return None;
    }
    let config = Config::builder()
        .completion_type(CompletionType::List)
        // What is pasted is typed quickly: each line is a command, or its answer.
        .bracketed_paste(false)
        .max_history_size(history::LINES_MAX)
        .ok()?
        .build();
    let history = MemHistory::with_config(&config);
    let mut editor = Editor::with_history(config, history).ok()?;
    editor.set_helper(Some(Completion::default()));
    Some(editor)
}

/// Takes over the lines of former shells.
fn remember(control: &mut Control<'_>, file: Option<&str>) {
    let lines = file.and_then(|file| history::load(file).ok()).unwrap_or_default();
    for line in lines {
        if let Some(editor) = &mut control.editor {
            let _ = editor.history_mut().add_owned(line);
        }
    }
}

/// Reads lines and runs them; says why there are no more.
fn read(control: &mut Control<'_>, prompt: &str) -> Next {
    loop {
        if let Some(completion) = control.editor.as_mut().and_then(Editor::helper_mut) {
            completion.renew(&control.client, &control.plugins);
        }
        let Ok(line) = control.ask(prompt) else {
            return Next::Interrupted;
        };
        if let Some((editor, line)) = control.editor.as_mut().zip(line.as_ref()) {
            let _ = editor.history_mut().add(line);
        }
        let next = control.run_line(line.as_deref().unwrap_or(END));
        if next != Next::Line {
            return next;
        }
    }
}
