//! Lines to text that reads as the same lines.

use std::fmt::Write as _;

use super::lexer::is_in_words;
use super::{Argument, Line, Value};

/// How far each level of lists is moved to the right.
const INDENT: &str = "    ";

/// The lines as a file would hold them.
#[must_use]
pub fn print(lines: &[Line]) -> String {
    let mut text = String::new();
    lines_into(&mut text, lines, 0);
    text
}

fn lines_into(text: &mut String, lines: &[Line], level: usize) {
    for line in lines {
        text.push_str(&INDENT.repeat(level));
        word_into(text, &line.keyword);
        for argument in &line.arguments {
            text.push(' ');
            argument_into(text, argument, level);
        }
        text.push_str(";\n");
    }
}

fn argument_into(text: &mut String, argument: &Argument, level: usize) {
    match &argument.value {
        Value::Word(word) => word_into(text, word),
        Value::Text(string) => string_into(text, string),
        Value::List(inner) => {
            text.push_str("{\n");
            lines_into(text, inner, level + 1);
            text.push_str(&INDENT.repeat(level));
            text.push('}');
        }
    }
}

fn word_into(text: &mut String, word: &str) {
    for (place, character) in word.char_indices() {
        match character {
            // A word that begins with it would be a comment.
            '#' if place == 0 => text.push_str("\\#"),
            '\\' => text.push_str("\\\\"),
            // Before a file it would be the mark of an editor.
            '\u{feff}' => hexadecimal_into(text, character),
            _ if !character.is_ascii() => text.push(character),
            _ if is_in_words(character as u8) => text.push(character),
            _ => hexadecimal_into(text, character),
        }
    }
}

fn string_into(text: &mut String, string: &str) {
    text.push('"');
    for character in string.chars() {
        match character {
            '"' | '\\' => text.extend(['\\', character]),
            _ if character.is_ascii_control() => hexadecimal_into(text, character),
            _ => text.push(character),
        }
    }
    text.push('"');
}

fn hexadecimal_into(text: &mut String, character: char) {
    for byte in character.encode_utf8(&mut [0; 4]).bytes() {
        write!(text, "\\x{byte:02x}").expect("a string takes all that is written");
    }
}

impl Line {
    /// The line as a file would hold it, without its semicolon.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = print(std::slice::from_ref(self));
        text.truncate(text.trim_end().len() - 1);
        text
    }
}
