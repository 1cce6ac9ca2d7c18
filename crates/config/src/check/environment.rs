//! `environment`: values that end sooner than they look.

use super::code::Code;
use super::finding::{Findings, Place};
use crate::host::Host;
use crate::lexer::{Grammar, split};

/// Variables that nearly every environment has.
const USUAL: [&str; 8] =
    ["PATH", "HOME", "USER", "PWD", "SHELL", "LANG", "PYTHONPATH", "LD_LIBRARY_PATH"];

/// What deserves attention about the variables of a section; `text` is the value with
/// its names replaced.
pub(super) fn examine(host: &dyn Host, place: &Place, text: &str, findings: &mut Findings) {
    let Ok(tokens) = split(text, Grammar::Environment) else { return };
    for group in tokens.chunks(4) {
        let [key, equals, value, rest @ ..] = group else { return };
        if equals != "=" {
            return;
        }
        if let Some(end) = rest.first().filter(|end| !matches!(end.as_str(), "," | ";")) {
            findings.add(
                place.clone(),
                Code::EnvironmentCutShort,
                format!("the value of `{key}` ends before `{end}`: it is `{value}`"),
                format!("put it in quotes: {key}=\"...\""),
            );
        }
        if let Some(name) = shell_variable(host, value, &tokens) {
            findings.add(
                place.clone(),
                Code::NoShellExpansion,
                format!("`{name}` in the value of `{key}` stays as it is, for no shell reads it"),
                match name.strip_prefix('$') {
                    Some(name) => format!("write %(ENV_{})s", name.trim_matches(['{', '}'])),
                    None => "write the whole path".to_owned(),
                },
            );
        }
    }
    if let Some(comment) = comment_of(text) {
        findings.add(
            place.clone(),
            Code::EnvironmentCutShort,
            format!("`{comment}` is a comment, although no blank stands before it"),
            "put the value in double quotes",
        );
    }
}

/// A variable of the shell, or a home, that the value names.
fn shell_variable<'a>(host: &dyn Host, value: &'a str, tokens: &[String]) -> Option<&'a str> {
    if value.starts_with("~/") {
        return Some("~");
    }
    let environment = host.environment();
    let is_known = |name: &str| {
        USUAL.contains(&name)
            || environment.iter().any(|(known, _)| known == name)
            || tokens.chunks(4).any(|group| group.first().is_some_and(|known| known == name))
    };
    value.match_indices('$').find_map(|(at, _)| {
        let rest = &value[at + 1..];
        let (start, braces) = if rest.starts_with('{') { (1, 2) } else { (0, 0) };
        let is_letter = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
        let name = &rest[start..];
        let name = &name[..name.find(|letter| !is_letter(letter)).unwrap_or(name.len())];
        is_known(name).then(|| value.get(at..at + 1 + name.len() + braces)).flatten()
    })
}

/// What the first `#` outside quotes takes away from its line.
fn comment_of(text: &str) -> Option<&str> {
    let mut quote = None;
    let mut characters = text.char_indices();
    while let Some((at, character)) = characters.next() {
        match (quote, character) {
            (None | Some('"'), '\\') => {
                characters.next();
            }
            (None, '"' | '\'') => quote = Some(character),
            (Some(open), _) if open == character => quote = None,
            (None, '#') => return text[at..].lines().next(),
            _ => {}
        }
    }
    None
}
