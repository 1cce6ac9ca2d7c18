//! Bytes to words, strings, braces and semicolons: the lowest floor of configfile(5).
//!
//! It knows no keyword. One thing surprises a newcomer: a backslash before white space
//! takes the white space away, new lines and a comment behind it too, in words as in
//! strings, so that long ones can be written on several lines.

use std::sync::Arc;

use super::{Place, Refusal};

/// What a word may hold besides letters, digits and whatever is not ASCII. MINIX has
/// no `@` and no comma; lists of CPUs and groups of system calls are written with them.
const IN_WORDS: &[u8] = b"!#$%&*+-./:<=>?[\\]^_|~@,";

/// Most digits of an escape: three octal ones, or two hexadecimal ones behind an `x`.
const OCTAL_DIGITS_MAX: usize = 3;
const HEX_DIGITS_MAX: usize = 2;

/// What the next bytes are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Token {
    /// Text without quotes.
    Word(String),
    /// Text in quotes.
    Text(String),
    /// `{`
    Open,
    /// `}`
    Close,
    /// `;`
    End,
    /// There is nothing more.
    Nothing,
}

/// Reads one file.
pub(super) struct Lexer<'a> {
    file: Arc<str>,
    rest: &'a [u8],
    line: u32,
}

impl<'a> Lexer<'a> {
    pub(super) fn new(file: Arc<str>, bytes: &'a [u8]) -> Self {
        Self { file, rest: bytes, line: 1 }
    }

    /// The next token and the line on which it begins.
    pub(super) fn next(&mut self) -> Result<(Token, u32), Refusal> {
        self.skip_blanks();
        let line = self.line;
        let Some(byte) = self.peek() else { return Ok((Token::Nothing, line)) };
        let token = match byte {
            b'{' | b'}' | b';' => {
                self.advance();
                match byte {
                    b'{' => Token::Open,
                    b'}' => Token::Close,
                    _ => Token::End,
                }
            }
            b'\'' | b'"' => {
                self.advance();
                Token::Text(self.string(byte, line)?)
            }
            _ => Token::Word(self.word(line)?),
        };
        Ok((token, line))
    }

    /// A line of this file.
    pub(super) fn place(&self, line: u32) -> Place {
        Place { file: Arc::clone(&self.file), line }
    }

    fn word(&mut self, line: u32) -> Result<String, Refusal> {
        let mut bytes = Vec::new();
        let is_escaped = self.peek() == Some(b'\\');
        while let Some(byte) = self.peek().filter(|byte| is_in_words(*byte)) {
            self.advance();
            match byte {
                b'\\' => self.escape(&mut bytes)?,
                _ => bytes.push(byte),
            }
        }
        if !bytes.is_empty() {
            return self.text(bytes, line);
        }
        match self.peek().filter(|_| !is_escaped) {
            Some(byte) if byte.is_ascii_graphic() => Err(self.refuse(
                self.line,
                format!("`{}` cannot stand in a word", char::from(byte)),
                "put the text between quotes",
            )),
            Some(byte) => Err(self.refuse(
                self.line,
                format!("a byte of value {byte} cannot stand in a word"),
                "take it out; the file is plain text",
            )),
            None => Err(self.refuse(
                line,
                "a backslash with nothing to protect".to_owned(),
                "write `\\\\` for a backslash, or take it out",
            )),
        }
    }

    fn string(&mut self, quote: u8, line: u32) -> Result<String, Refusal> {
        let mut bytes = Vec::new();
        loop {
            match self.peek() {
                None | Some(b'\n') => {
                    let advice = format!(
                        "end it with {} on the same line, or end the line with a backslash",
                        char::from(quote)
                    );
                    return Err(self.refuse(line, "the string does not end".to_owned(), &advice));
                }
                Some(byte) => {
                    self.advance();
                    match byte {
                        b'\\' => self.escape(&mut bytes)?,
                        byte if byte == quote => return self.text(bytes, line),
                        byte => bytes.push(byte),
                    }
                }
            }
        }
    }

    /// What stands behind a backslash.
    fn escape(&mut self, bytes: &mut Vec<u8>) -> Result<(), Refusal> {
        let Some(byte) = self.peek() else { return Ok(()) };
        if is_blank(byte) {
            self.skip_blanks();
            return Ok(());
        }
        if byte.is_ascii_digit() {
            let digits = self.digits(OCTAL_DIGITS_MAX, |byte| matches!(byte, b'0'..=b'7'));
            let value = u8::from_str_radix(&digits, 8).map_err(|_| {
                let shown = if digits.is_empty() { char::from(byte).into() } else { digits };
                let what = format!("`\\{shown}` is no byte in octal digits");
                self.refuse(self.line, what, "write \\0 to \\377, or \\\\ for a backslash")
            })?;
            bytes.push(value);
            return Ok(());
        }
        self.advance();
        let meant = match byte {
            b'x' | b'X' => {
                let digits = self.digits(HEX_DIGITS_MAX, |byte| byte.is_ascii_hexdigit());
                u8::from_str_radix(&digits, 16).map_err(|_| {
                    let what = "`\\x` without a hexadecimal digit".to_owned();
                    self.refuse(self.line, what, "write one or two behind it, as in \\x1b")
                })?
            }
            b'a' => 7,
            b'b' => 8,
            b'e' => 27,
            b'f' => 12,
            b'n' => b'\n',
            b'r' => b'\r',
            b's' => b' ',
            b't' => b'\t',
            b'v' => 11,
            other => other,
        };
        bytes.push(meant);
        Ok(())
    }

    fn digits(&mut self, most: usize, is_digit: impl Fn(u8) -> bool) -> String {
        let mut digits = String::new();
        while let Some(byte) = self.peek().filter(|byte| digits.len() < most && is_digit(*byte)) {
            digits.push(char::from(byte));
            self.advance();
        }
        digits
    }

    /// What was read becomes text that a path, a name and a log can hold.
    fn text(&self, bytes: Vec<u8>, line: u32) -> Result<String, Refusal> {
        if bytes.contains(&0) {
            let what = "a text with a byte of value 0".to_owned();
            return Err(self.refuse(line, what, "take it out; nothing could be told such a text"));
        }
        String::from_utf8(bytes).map_err(|_| {
            self.refuse(line, "a text that is not UTF-8".to_owned(), "save the file as UTF-8")
        })
    }

    fn skip_blanks(&mut self) {
        while let Some(byte) = self.peek() {
            if byte == b'#' {
                while self.peek().is_some_and(|byte| byte != b'\n') {
                    self.advance();
                }
            } else if is_blank(byte) {
                self.advance();
            } else {
                return;
            }
        }
    }

    fn peek(&self) -> Option<u8> {
        self.rest.first().copied()
    }

    fn advance(&mut self) {
        if let Some((byte, rest)) = self.rest.split_first() {
            self.line += u32::from(*byte == b'\n');
            self.rest = rest;
        }
    }

    fn refuse(&self, line: u32, what: String, advice: &str) -> Refusal {
        Refusal::at(&self.place(line), what, advice)
    }
}

/// White space, as C's `isspace` sees it.
pub(super) fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | 11 | 12)
}

/// Whether a word may hold the byte.
pub(super) fn is_in_words(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || !byte.is_ascii() || IN_WORDS.contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(text: impl AsRef<[u8]>) -> Result<Vec<(Token, u32)>, String> {
        let mut lexer = Lexer::new("F".into(), text.as_ref());
        let mut all = Vec::new();
        loop {
            match lexer.next() {
                Ok((Token::Nothing, _)) => return Ok(all),
                Ok(token) => all.push(token),
                Err(refusal) => return Err(refusal.to_string()),
            }
        }
    }

    fn word(text: impl AsRef<[u8]>) -> String {
        match tokens(&text).unwrap().as_slice() {
            [(Token::Word(word) | Token::Text(word), 1)] => word.clone(),
            other => panic!("one text, not {other:?}"),
        }
    }

    #[test]
    fn words_strings_and_marks_need_no_blanks_between_them() {
        let found = tokens("a{b'c'\"d e\";}").unwrap();

        let expected = [
            Token::Word("a".to_owned()),
            Token::Open,
            Token::Word("b".to_owned()),
            Token::Text("c".to_owned()),
            Token::Text("d e".to_owned()),
            Token::End,
            Token::Close,
        ];
        assert_eq!(found, expected.map(|token| (token, 1)));
    }

    #[test]
    fn a_word_holds_all_that_the_manual_names_and_a_number_sign_inside() {
        assert_eq!(word("aZ09!$%&*+-./<=>?[]^_|~:@,#x"), "aZ09!$%&*+-./<=>?[]^_|~:@,#x");
        assert_eq!(word("grün"), "grün");
    }

    #[test]
    fn a_comment_begins_where_a_token_could() {
        assert_eq!(tokens("# all of it ;{").unwrap(), []);
        assert_eq!(tokens("a;#b\nc #d").unwrap().len(), 3);
        assert_eq!(tokens("a\n#b\n\nc").unwrap()[1], (Token::Word("c".to_owned()), 4));
    }

    #[test]
    fn every_escape_means_what_the_manual_says() {
        assert_eq!(word(r"\a\b\e\f\n\r\s\t\v"), "\u{7}\u{8}\u{1b}\u{c}\n\r \t\u{b}");
        assert_eq!(word(r"\101\60\0607\x41\x4a2\Xa"), "A007AJ2\n");
        assert_eq!(word(r"\\\'\;\#\{\q"), r"\';#{q");
        assert_eq!(word(r#"'\x27\'"'"#), "''\"");
    }

    #[test]
    fn a_backslash_takes_white_space_away() {
        assert_eq!(word("a\\ \n\t # gone ;\n b"), "ab");
        assert_eq!(word("'one \\\n   line'"), "one line");
    }

    #[test]
    fn what_cannot_be_read_is_refused_with_its_place() {
        let cases: [(&[u8], &str); 9] = [
            (b"\n 'open", "F:2: the string does not end; end it with ' on the same line"),
            (b"\"a\nb\"", "F:1: the string does not end; end it with \" on the same line"),
            (b"a\n(b)", "F:2: `(` cannot stand in a word; put the text between quotes"),
            (b"\x01", "F:1: a byte of value 1 cannot stand in a word"),
            (b"\\xg", "F:1: `\\x` without a hexadecimal digit"),
            (b"\\777", "F:1: `\\777` is no byte in octal digits"),
            (b"a\\8", "F:1: `\\8` is no byte in octal digits"),
            (b"a\\0b", "F:1: a text with a byte of value 0"),
            (b"a\\xff", "F:1: a text that is not UTF-8; save the file as UTF-8"),
        ];

        for (text, wanted) in cases {
            let said = tokens(text).unwrap_err();
            assert!(said.starts_with(wanted), "{said}");
        }
        let said = tokens("\\ \n;").unwrap_err();
        assert!(said.starts_with("F:1: a backslash with nothing to protect"), "{said}");
    }
}
