//! Answers and faults.

use super::reader::Reader;
use super::{ParseError, RESPONSE_BYTES_MAX, Value, writer};

/// Why a call was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FaultText {
    /// Its number.
    pub code: i32,
    /// Its text.
    pub text: String,
}

/// What a call is answered.
#[derive(Debug, Clone, PartialEq)]
pub enum Response {
    /// The result.
    Result(Value),
    /// A refusal.
    Fault(FaultText),
}

impl Response {
    /// Reads an answer.
    ///
    /// # Errors
    /// When the bytes are no answer.
    pub fn parse(bytes: &[u8]) -> Result<Self, ParseError> {
        let text = super::reader::decode(bytes, RESPONSE_BYTES_MAX)?;
        let mut reader = Reader::new(&text);
        reader.open("methodResponse")?;
        let response = match reader.child()?.as_deref() {
            Some("params") => {
                let result = reader.parameters()?.into_iter().next();
                Self::Result(result.ok_or(ParseError::Missing("param"))?)
            }
            Some("fault") => Self::Fault(fault(&mut reader)?),
            Some(other) => return Err(ParseError::Unexpected(other.to_owned())),
            None => return Err(ParseError::Missing("params")),
        };
        if let Some(name) = reader.child()? {
            return Err(ParseError::Unexpected(name));
        }
        reader.finish()?;
        Ok(response)
    }

    /// Writes the answer.
    #[must_use]
    pub fn to_xml(&self) -> String {
        let mut out = String::from(writer::DECLARATION);
        out.push_str("<methodResponse>\n");
        match self {
            Self::Result(value) => {
                out.push_str("<params>\n<param>\n");
                writer::value(&mut out, value);
                out.push_str("</param>\n</params>\n");
            }
            Self::Fault(fault) => {
                out.push_str("<fault>\n");
                let members = vec![
                    ("faultCode".into(), Value::from(fault.code)),
                    ("faultString".into(), Value::from(fault.text.as_str())),
                ];
                writer::value(&mut out, &Value::Struct(members));
                out.push_str("</fault>\n");
            }
        }
        out.push_str("</methodResponse>\n");
        out
    }
}

fn fault(reader: &mut Reader<'_>) -> Result<FaultText, ParseError> {
    match reader.child()?.as_deref() {
        Some("value") => {}
        Some(other) => return Err(ParseError::Unexpected(other.to_owned())),
        None => return Err(ParseError::Missing("value")),
    }
    let value = reader.value()?;
    if let Some(name) = reader.child()? {
        return Err(ParseError::Unexpected(name));
    }
    let code = value
        .member("faultCode")
        .and_then(Value::as_int)
        .and_then(|code| i32::try_from(code).ok())
        .ok_or(ParseError::Missing("faultCode"))?;
    let text = value
        .member("faultString")
        .and_then(Value::as_str)
        .ok_or(ParseError::Missing("faultString"))?
        .to_owned();
    Ok(FaultText { code, text })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::Request;
    use super::*;

    #[test]
    fn a_result_is_written_as_python_writes_it() {
        let value = Value::Struct(vec![
            ("name".into(), Value::from("a<b>&\"c'")),
            (
                "list".into(),
                Value::Array(vec![Value::Int(1), Value::Boolean(true), Value::from("x")]),
            ),
            ("empty".into(), Value::Array(vec![])),
            ("es".into(), Value::Struct(vec![])),
            ("neg".into(), Value::Int(-5)),
            ("d".into(), Value::Double(1.5)),
            ("s".into(), Value::from("")),
        ]);

        assert_eq!(
            Response::Result(value).to_xml(),
            "<?xml version='1.0'?>\n<methodResponse>\n<params>\n<param>\n<value><struct>\n<member>\n\
             <name>name</name>\n<value><string>a&lt;b&gt;&amp;\"c'</string></value>\n</member>\n\
             <member>\n<name>list</name>\n<value><array><data>\n<value><int>1</int></value>\n\
             <value><boolean>1</boolean></value>\n<value><string>x</string></value>\n\
             </data></array></value>\n</member>\n<member>\n<name>empty</name>\n\
             <value><array><data>\n</data></array></value>\n</member>\n<member>\n<name>es</name>\n\
             <value><struct>\n</struct></value>\n</member>\n<member>\n<name>neg</name>\n\
             <value><int>-5</int></value>\n</member>\n<member>\n<name>d</name>\n\
             <value><double>1.5</double></value>\n</member>\n<member>\n<name>s</name>\n\
             <value><string></string></value>\n</member>\n</struct></value>\n</param>\n</params>\n\
             </methodResponse>\n"
        );
    }

    #[test]
    fn a_fault_is_written_as_python_writes_it() {
        let fault = FaultText { code: 10, text: "BAD_NAME: x".to_owned() };

        assert_eq!(
            Response::Fault(fault).to_xml(),
            "<?xml version='1.0'?>\n<methodResponse>\n<fault>\n<value><struct>\n<member>\n\
             <name>faultCode</name>\n<value><int>10</int></value>\n</member>\n<member>\n\
             <name>faultString</name>\n<value><string>BAD_NAME: x</string></value>\n</member>\n\
             </struct></value>\n</fault>\n</methodResponse>\n"
        );
    }

    #[test]
    fn text_is_written_as_python_writes_it() {
        let line = |value| {
            let text = Response::Result(value).to_xml();
            text.split('\n').nth(4).unwrap().to_owned()
        };

        assert_eq!(
            line(Value::from("\u{e9}\r\t]]>")),
            "<value><string>\u{e9}\r\t]]&gt;</string></value>"
        );
        assert_eq!(line(Value::Double(1e16)), "<value><double>1e+16</double></value>");
        assert_eq!(line(Value::Double(1e-5)), "<value><double>1e-05</double></value>");
    }

    #[test]
    fn characters_that_xml_cannot_carry_are_replaced() {
        let value = Value::from("\u{1b}[31mred\u{0}\u{b}\u{ffff}\n");

        let text = Response::Result(value).to_xml();

        assert!(text.contains("<string>\u{fffd}[31mred\u{fffd}\u{fffd}\u{fffd}\n</string>"));
    }

    /// Text that comes back as it was: without characters that are replaced, and
    /// without those that XML turns into a line feed.
    fn text() -> impl Strategy<Value = String> {
        "[ -~\n\t\u{e9}\u{20ac}\u{1f600}]{0,12}"
    }

    fn value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            any::<i64>().prop_map(Value::Int),
            any::<bool>().prop_map(Value::Boolean),
            text().prop_map(Value::String),
            (-1e300..1e300_f64).prop_map(Value::Double),
            text().prop_map(Value::DateTime),
        ];
        leaf.prop_recursive(4, 32, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Value::Array),
                prop::collection::btree_map(text(), inner, 0..6).prop_map(|members| {
                    let named = members.into_iter().map(|(name, value)| (name.into(), value));
                    Value::Struct(named.collect())
                }),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(value in value(), method in "[a-zA-Z.]{1,20}") {
            let response = Response::Result(value.clone());
            prop_assert_eq!(Response::parse(response.to_xml().as_bytes()), Ok(response));

            let request = Request { method, parameters: vec![value.clone(), value] };
            prop_assert_eq!(Request::parse(request.to_xml().as_bytes()), Ok(request));
        }

        #[test]
        fn any_text_is_written_so_that_it_can_be_read(text in any::<String>()) {
            let response = Response::Result(Value::String(text));
            prop_assert!(Response::parse(response.to_xml().as_bytes()).is_ok());
        }

        #[test]
        fn no_bytes_make_a_parser_panic(bytes in any::<Vec<u8>>()) {
            let _ = Request::parse(&bytes);
            let _ = Response::parse(&bytes);
        }

        #[test]
        fn no_damage_makes_a_parser_panic(value in value(), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
            let mut bytes = Response::Result(value).to_xml().into_bytes();
            let place = at.index(bytes.len());
            bytes[place] = byte;
            let _ = Response::parse(&bytes);
            let _ = Request::parse(&bytes);
        }
    }
}
