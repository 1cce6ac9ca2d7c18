//! Words as a POSIX shell quotes them, in the two ways Supervisor asks Python's
//! `shlex` for them: a command line, and the tokens of `environment=`.
//!
//! Single quotes keep everything; double quotes keep everything but `\"` and `\\`;
//! outside, a backslash keeps the next character. Adjacent pieces join.

use std::str::Chars;

/// Which characters stand by themselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Grammar {
    /// Words are what lies between blanks.
    CommandLine,
    /// Words are made of word characters, every other character is a token of its
    /// own, and `#` starts a comment.
    Environment,
}

/// Why a text was not split.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LexError {
    /// A quote is not closed.
    NoClosingQuotation,
    /// The text ends in a backslash.
    NoEscapedCharacter,
}

/// Splits a text into its words.
pub(crate) fn split(text: &str, grammar: Grammar) -> Result<Vec<String>, LexError> {
    let mut lexer = Lexer { words: Vec::new(), word: None };
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match character {
            ' ' | '\t' | '\r' | '\n' => lexer.end_word(),
            '#' if grammar == Grammar::Environment => {
                characters.by_ref().find(|character| *character == '\n');
                lexer.end_word();
            }
            '\'' => lexer.single_quoted(&mut characters)?,
            '"' => lexer.double_quoted(&mut characters)?,
            '\\' => {
                let escaped = characters.next().ok_or(LexError::NoEscapedCharacter)?;
                lexer.word().push(escaped);
            }
            _ if grammar == Grammar::CommandLine || is_word_character(character) => {
                lexer.word().push(character);
            }
            _ => {
                lexer.end_word();
                lexer.words.push(character.to_string());
            }
        }
    }
    lexer.end_word();
    Ok(lexer.words)
}

/// Letters of ASCII and of Latin-1, digits, and what paths and numbers need.
fn is_word_character(character: char) -> bool {
    match character {
        '_' | '/' | '.' | '+' | '-' | '(' | ')' | ':' => true,
        '\u{d7}' | '\u{f7}' => false,
        '\u{c0}'..='\u{ff}' => true,
        _ => character.is_ascii_alphanumeric(),
    }
}

struct Lexer {
    words: Vec<String>,
    /// The word in hand; an empty one is kept only if it was quoted.
    word: Option<String>,
}

impl Lexer {
    fn word(&mut self) -> &mut String {
        self.word.get_or_insert_default()
    }

    fn end_word(&mut self) {
        self.words.extend(self.word.take());
    }

    fn single_quoted(&mut self, characters: &mut Chars<'_>) -> Result<(), LexError> {
        let word = self.word();
        loop {
            match characters.next().ok_or(LexError::NoClosingQuotation)? {
                '\'' => return Ok(()),
                other => word.push(other),
            }
        }
    }

    fn double_quoted(&mut self, characters: &mut Chars<'_>) -> Result<(), LexError> {
        let word = self.word();
        loop {
            match characters.next().ok_or(LexError::NoClosingQuotation)? {
                '"' => return Ok(()),
                '\\' => match characters.next().ok_or(LexError::NoEscapedCharacter)? {
                    escaped @ ('"' | '\\') => word.push(escaped),
                    other => word.extend(['\\', other]),
                },
                other => word.push(other),
            }
        }
    }
}
