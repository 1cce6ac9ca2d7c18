//! Tokens to lines, with everything that a file includes in its place.
//!
//! It knows two words, `include` and `service`. MINIX lets the last line of a list go
//! without its semicolon, and so do we.

use std::sync::Arc;

use super::lexer::{Lexer, Token};
use super::{Argument, Line, Note, Place, Refusal, Value};
use crate::host::{Host, ReadError};
use crate::path;

/// How deep lists may stand in each other. The format itself uses one level; the rest is
/// for lines that somebody else understands, and a bound for our stack.
const LIST_DEPTH_MAX: usize = 32;

/// How deep files may include each other.
const INCLUDE_DEPTH_MAX: usize = 16;

/// Most files that one file brings in, so that two that include each other's parts many
/// times over do not fill the memory.
const INCLUDES_MAX: usize = 1_000;

/// What some editors put before a text.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// The word that brings another file in.
const INCLUDE: &str = "include";

/// The only word that begins a line outside of all lists.
const SERVICE: &str = "service";

/// A file that was read, with all that it includes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// Its name.
    pub file: Arc<str>,
    /// Its entries in their order. Of two with one name the first counts.
    pub services: Vec<Service>,
}

/// `service NAME { ... };`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    /// The program that it is for, or the class that it is.
    pub name: String,
    /// What it says.
    pub lines: Vec<Line>,
    /// Where it begins.
    pub at: Place,
}

impl Document {
    /// Reads the bytes of a file and the files that it includes.
    ///
    /// # Errors
    ///
    /// When they do not follow the grammar, an included file is there and cannot be read,
    /// or something else than `service NAME { ... };` stands on the top level.
    pub fn parse(host: &dyn Host, file: &str, bytes: &[u8]) -> Result<Self, Refusal> {
        let services = lines(host, file, bytes)?.into_iter().map(Service::from_line);
        Ok(Self { file: file.into(), services: services.collect::<Result<_, _>>()? })
    }

    /// The entry of that name.
    #[must_use]
    pub fn service(&self, name: &str) -> Option<&Service> {
        self.services.iter().find(|service| service.name == name)
    }

    /// What there is to say about the entries of that name.
    pub(super) fn notes(&self, name: &str) -> Vec<Note> {
        let mut named = self.services.iter().filter(|service| service.name == name);
        let Some(first) = named.next() else { return Vec::new() };
        let text = format!("service {name} stands at {} already, and that entry counts", first.at);
        named.map(|other| Note::at(&other.at, text.clone())).collect()
    }
}

impl Service {
    fn from_line(line: Line) -> Result<Self, Refusal> {
        const FORM: &str = "write: service NAME { ... };";
        let Line { keyword, arguments, at } = line;
        if keyword != SERVICE {
            return Err(Refusal::at(&at, format!("`{keyword}` outside of a service"), FORM));
        }
        let mut values = arguments.into_iter().map(|argument| argument.value);
        match (values.next(), values.next(), values.next()) {
            (Some(Value::Word(name)), Some(Value::List(lines)), None) => {
                Ok(Self { name, lines, at })
            }
            (Some(Value::Word(name)), Some(Value::List(_)), Some(_)) => {
                let what = format!("something follows the lines of service {name}");
                Err(Refusal::at(&at, what, "put a semicolon behind the closing brace"))
            }
            (Some(Value::Word(name)), _, _) => {
                Err(Refusal::at(&at, format!("service {name} has no lines in braces"), FORM))
            }
            _ => Err(Refusal::at(&at, "a service without a name, which is a word", FORM)),
        }
    }
}

/// All lines of a file, those of included files in the place of the `include`.
pub(super) fn lines(host: &dyn Host, file: &str, bytes: &[u8]) -> Result<Vec<Line>, Refusal> {
    Reader { host, open: Vec::new(), included: 0 }.file(file, bytes)
}

struct Reader<'a> {
    host: &'a dyn Host,
    /// The files that are being read, each included by the one before.
    open: Vec<String>,
    /// How many files have been included.
    included: usize,
}

impl Reader<'_> {
    fn file(&mut self, file: &str, bytes: &[u8]) -> Result<Vec<Line>, Refusal> {
        self.open.push(file.to_owned());
        let bytes = bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(bytes);
        let mut lexer = Lexer::new(file.into(), bytes);
        let (lines, end, line) = self.list(&mut lexer, 0)?;
        self.open.pop();
        match end {
            Token::Close => {
                let what = "`}` without a `{` before it";
                Err(Refusal::at(&lexer.place(line), what, "take it out"))
            }
            _ => Ok(lines),
        }
    }

    /// The lines up to the end of a list or file, and what ends it.
    fn list(
        &mut self,
        lexer: &mut Lexer<'_>,
        depth: usize,
    ) -> Result<(Vec<Line>, Token, u32), Refusal> {
        let mut lines = Vec::new();
        loop {
            let (token, number) = lexer.next()?;
            let at = lexer.place(number);
            let (keyword, (arguments, end, end_line)) = match token {
                Token::End => continue,
                Token::Nothing | Token::Close => return Ok((lines, token, number)),
                Token::Word(keyword) => (keyword, self.arguments(lexer, depth)?),
                Token::Text(text) => {
                    let what = format!("a line begins with the string \"{text}\"");
                    return Err(Refusal::at(&at, what, "begin it with a keyword, without quotes"));
                }
                Token::Open => {
                    let advice = "begin it with a keyword";
                    return Err(Refusal::at(&at, "a line begins with `{`", advice));
                }
            };
            if keyword == INCLUDE {
                lines.extend(self.include(&arguments, &at)?);
            } else {
                lines.push(Line { keyword, arguments, at });
            }
            if end != Token::End {
                return Ok((lines, end, end_line));
            }
        }
    }

    /// The rest of a line, and what ends it.
    fn arguments(
        &mut self,
        lexer: &mut Lexer<'_>,
        depth: usize,
    ) -> Result<(Vec<Argument>, Token, u32), Refusal> {
        let mut arguments = Vec::new();
        loop {
            let (token, line) = lexer.next()?;
            let value = match token {
                Token::Word(text) => Value::Word(text),
                Token::Text(text) => Value::Text(text),
                Token::Open => Value::List(self.inner(lexer, depth + 1, line)?),
                Token::End | Token::Close | Token::Nothing => return Ok((arguments, token, line)),
            };
            arguments.push(Argument { value, line });
        }
    }

    /// The lines between two braces, the first of which has been read.
    fn inner(
        &mut self,
        lexer: &mut Lexer<'_>,
        depth: usize,
        opened: u32,
    ) -> Result<Vec<Line>, Refusal> {
        let at = lexer.place(opened);
        if depth > LIST_DEPTH_MAX {
            let what = format!("more than {LIST_DEPTH_MAX} lists stand in each other");
            return Err(Refusal::at(&at, what, "close some of them"));
        }
        match self.list(lexer, depth)? {
            (lines, Token::Close, _) => Ok(lines),
            _ => Err(Refusal::at(&at, "the `{` is never closed", "put `};` where its lines end")),
        }
    }

    /// The lines of another file.
    fn include(&mut self, arguments: &[Argument], at: &Place) -> Result<Vec<Line>, Refusal> {
        let refused =
            |what: String, advice: &str| -> Refusal { Refusal::at(at, what, advice.to_owned()) };
        let [Argument { value: Value::Text(named) | Value::Word(named), .. }] = arguments else {
            return Err(refused("`include` takes one file".to_owned(), "write: include \"FILE\";"));
        };
        let file = path::join(path::parent(&at.file), named);
        if self.open.contains(&file) {
            let what = format!("{file} includes itself");
            return Err(refused(what, "take one of the includes out"));
        }
        self.included += 1;
        if self.open.len() > INCLUDE_DEPTH_MAX || self.included > INCLUDES_MAX {
            let what = format!(
                "files include each other more than {INCLUDE_DEPTH_MAX} deep, or more than \
                 {INCLUDES_MAX} of them"
            );
            return Err(refused(what, "put their lines into fewer files"));
        }
        match self.host.read(&file) {
            Ok(bytes) => self.file(&file, &bytes),
            Err(ReadError::Missing) => Ok(Vec::new()),
            Err(ReadError::Unreadable) => {
                let what = format!("the included file {file} is there and cannot be read");
                Err(refused(what, "make it a readable file, or take the line out"))
            }
        }
    }
}
