//! Text to elements and values.

use std::borrow::Cow;
use std::collections::HashMap;

use base64::Engine as _;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use quick_xml::events::Event;

use super::{DEPTH_MAX, ParseError, Value};

/// Binary data as Python reads it: missing padding is forgiven.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The bytes of a message as text: what is not UTF-8 is replaced.
pub(super) fn decode(bytes: &[u8], limit: usize) -> Result<Cow<'_, str>, ParseError> {
    if bytes.len() > limit {
        return Err(ParseError::TooLong { bytes: bytes.len(), limit });
    }
    Ok(String::from_utf8_lossy(bytes))
}

/// A piece of a document. Comments and the like are passed over.
enum Token {
    /// The beginning of an element. An empty one has an end too.
    Start(String),
    /// The end of the innermost element.
    End,
    /// Text between elements.
    Text(String),
    /// The end of the document.
    Eof,
}

/// Reads a document from its beginning to its end.
pub(super) struct Reader<'a> {
    xml: quick_xml::Reader<&'a [u8]>,
    depth: usize,
}

impl<'a> Reader<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        let mut xml = quick_xml::Reader::from_str(text);
        xml.config_mut().expand_empty_elements = true;
        Self { xml, depth: 0 }
    }

    /// The next piece.
    fn next(&mut self) -> Result<Token, ParseError> {
        loop {
            let event = self.xml.read_event().map_err(not_xml)?;
            return Ok(match event {
                Event::Start(start) => Token::Start(start.name().as_ref().to_owned()),
                Event::End(_) => Token::End,
                Event::Text(text) => Token::Text(text.xml10_content().into_owned()),
                Event::CData(text) => Token::Text(text.xml10_content().into_owned()),
                Event::GeneralRef(reference) => {
                    let character = match reference.resolve_char_ref().map_err(not_xml)? {
                        Some(character) => character.to_string(),
                        None => predefined(&reference)?.to_owned(),
                    };
                    Token::Text(character)
                }
                Event::Eof => Token::Eof,
                // Entities that a document defines itself can grow without limit.
                Event::DocType(_) => return Err(ParseError::Unexpected("!DOCTYPE".to_owned())),
                Event::Empty(_) | Event::Comment(_) | Event::Decl(_) | Event::PI(_) => continue,
            });
        }
    }

    /// Enters the outermost element, which must be of that name.
    pub(super) fn open(&mut self, wanted: &'static str) -> Result<(), ParseError> {
        loop {
            match self.next()? {
                Token::Start(name) if name == wanted => return Ok(()),
                Token::Start(name) => return Err(ParseError::Unexpected(name)),
                Token::Text(text) if text.trim().is_empty() => {}
                Token::Text(_) | Token::End | Token::Eof => {
                    return Err(ParseError::Missing(wanted));
                }
            }
        }
    }

    /// Enters the next element inside this one; `None` when this one ends.
    pub(super) fn child(&mut self) -> Result<Option<String>, ParseError> {
        loop {
            match self.next()? {
                Token::Start(name) => return Ok(Some(name)),
                Token::End => return Ok(None),
                Token::Text(_) => {}
                Token::Eof => return Err(ParseError::NotXml("it ends too early".to_owned())),
            }
        }
    }

    /// The text of this element, which holds nothing else, up to its end.
    pub(super) fn text(&mut self) -> Result<String, ParseError> {
        let mut content = String::new();
        loop {
            match self.next()? {
                Token::Text(text) => content.push_str(&text),
                Token::End => return Ok(content),
                Token::Start(name) => return Err(ParseError::Unexpected(name)),
                Token::Eof => return Err(ParseError::NotXml("it ends too early".to_owned())),
            }
        }
    }

    /// Nothing but white space may follow the outermost element.
    pub(super) fn finish(&mut self) -> Result<(), ParseError> {
        loop {
            match self.next()? {
                Token::Eof => return Ok(()),
                Token::Text(text) if text.trim().is_empty() => {}
                Token::Text(text) => {
                    return Err(ParseError::NotXml(format!("`{text}` at its end")));
                }
                Token::Start(name) => return Err(ParseError::Unexpected(name)),
                Token::End => return Err(ParseError::NotXml("an end too many".to_owned())),
            }
        }
    }

    /// The value of a `<value>` that has been entered, up to its end.
    pub(super) fn value(&mut self) -> Result<Value, ParseError> {
        let mut bare = String::new();
        loop {
            match self.next()? {
                Token::Text(text) => bare.push_str(&text),
                Token::End => return Ok(Value::String(bare)),
                Token::Start(kind) => {
                    let value = self.typed(&kind)?;
                    return match self.child()? {
                        None => Ok(value),
                        Some(name) => Err(ParseError::Unexpected(name)),
                    };
                }
                Token::Eof => return Err(ParseError::NotXml("it ends too early".to_owned())),
            }
        }
    }

    fn typed(&mut self, kind: &str) -> Result<Value, ParseError> {
        match kind {
            "array" | "struct" => {
                if self.depth == DEPTH_MAX {
                    return Err(ParseError::TooDeep);
                }
                self.depth += 1;
                let value = if kind == "array" { self.array() } else { self.members() };
                self.depth -= 1;
                value
            }
            _ => scalar(kind, self.text()?),
        }
    }

    fn array(&mut self) -> Result<Value, ParseError> {
        match self.child()?.as_deref() {
            Some("data") => {}
            Some(other) => return Err(ParseError::Unexpected(other.to_owned())),
            None => return Err(ParseError::Missing("data")),
        }
        let mut values = Vec::new();
        while let Some(name) = self.child()? {
            match name.as_str() {
                "value" => values.push(self.value()?),
                _ => return Err(ParseError::Unexpected(name)),
            }
        }
        match self.child()? {
            None => Ok(Value::Array(values)),
            Some(name) => Err(ParseError::Unexpected(name)),
        }
    }

    fn members(&mut self) -> Result<Value, ParseError> {
        let mut members: Vec<(Cow<'static, str>, Value)> = Vec::new();
        // Looking for each name among all would take hours for the longest message.
        let mut places: HashMap<String, usize> = HashMap::new();
        while let Some(name) = self.child()? {
            if name != "member" {
                return Err(ParseError::Unexpected(name));
            }
            let (name, value) = self.member()?;
            // The last of equal names counts, as in a Python dictionary.
            match places.get(&name) {
                Some(place) => members[*place].1 = value,
                None => {
                    places.insert(name.clone(), members.len());
                    members.push((name.into(), value));
                }
            }
        }
        Ok(Value::Struct(members))
    }

    fn member(&mut self) -> Result<(String, Value), ParseError> {
        let (mut name, mut value) = (None, None);
        while let Some(part) = self.child()? {
            match part.as_str() {
                "name" => name = Some(self.text()?),
                "value" => value = Some(self.value()?),
                _ => return Err(ParseError::Unexpected(part)),
            }
        }
        match (name, value) {
            (Some(name), Some(value)) => Ok((name, value)),
            (None, _) => Err(ParseError::Missing("name")),
            (_, None) => Err(ParseError::Missing("value")),
        }
    }
}

/// A value without parts. A type that is not known is text, as in Supervisor.
fn scalar(kind: &str, text: String) -> Result<Value, ParseError> {
    match kind {
        "int" | "i4" => match text.trim().parse() {
            Ok(number) => Ok(Value::Int(number)),
            Err(_) => Err(ParseError::BadText { kind: "int", text }),
        },
        "double" => match text.trim().parse() {
            Ok(number) => Ok(Value::Double(number)),
            Err(_) => Err(ParseError::BadText { kind: "double", text }),
        },
        "boolean" => Ok(Value::Boolean(text == "1")),
        "dateTime.iso8601" => Ok(Value::DateTime(text)),
        "base64" => {
            let packed: String = text.split_ascii_whitespace().collect();
            match BASE64.decode(packed) {
                Ok(bytes) => Ok(Value::String(String::from_utf8_lossy(&bytes).into_owned())),
                Err(_) => Err(ParseError::BadText { kind: "base64", text }),
            }
        }
        _ => Ok(Value::String(text)),
    }
}

/// What the five entities that every document has stand for.
fn predefined(name: &str) -> Result<&'static str, ParseError> {
    quick_xml::escape::resolve_predefined_entity(name)
        .ok_or_else(|| ParseError::NotXml(format!("unknown entity {name}")))
}

fn not_xml(error: impl std::fmt::Display) -> ParseError {
    ParseError::NotXml(error.to_string())
}
