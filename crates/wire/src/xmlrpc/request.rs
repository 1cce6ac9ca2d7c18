//! Method calls.

use super::reader::Reader;
use super::{ParseError, REQUEST_BYTES_MAX, Value, writer};

/// A method call.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    /// The method, with its namespace; never empty.
    pub method: String,
    /// What it is given.
    pub parameters: Vec<Value>,
}

impl Request {
    /// Reads a call. As in Supervisor `<params>` may be missing, and a type that is
    /// not known is text.
    ///
    /// # Errors
    /// When the bytes are no call.
    pub fn parse(bytes: &[u8]) -> Result<Self, ParseError> {
        let text = super::reader::decode(bytes, REQUEST_BYTES_MAX)?;
        let mut reader = Reader::new(&text);
        reader.open("methodCall")?;
        let mut method = None;
        let mut parameters = Vec::new();
        while let Some(name) = reader.child()? {
            match name.as_str() {
                "methodName" => method = Some(reader.text()?),
                "params" => parameters = reader.parameters()?,
                _ => return Err(ParseError::Unexpected(name)),
            }
        }
        reader.finish()?;
        match method {
            Some(method) if !method.is_empty() => Ok(Self { method, parameters }),
            _ => Err(ParseError::Missing("methodName")),
        }
    }

    /// Writes the call.
    #[must_use]
    pub fn to_xml(&self) -> String {
        let mut out = String::from(writer::DECLARATION);
        out.push_str("<methodCall>\n");
        writer::element(&mut out, "methodName", &self.method);
        out.push_str("\n<params>\n");
        for parameter in &self.parameters {
            out.push_str("<param>\n");
            writer::value(&mut out, parameter);
            out.push_str("</param>\n");
        }
        out.push_str("</params>\n</methodCall>\n");
        out
    }
}

impl Reader<'_> {
    /// The values of `<params>`, up to its end.
    pub(super) fn parameters(&mut self) -> Result<Vec<Value>, ParseError> {
        let mut parameters = Vec::new();
        while let Some(name) = self.child()? {
            match name.as_str() {
                "param" => parameters.push(self.parameter()?),
                _ => return Err(ParseError::Unexpected(name)),
            }
        }
        Ok(parameters)
    }

    fn parameter(&mut self) -> Result<Value, ParseError> {
        match self.child()?.as_deref() {
            Some("value") => {}
            Some(other) => return Err(ParseError::Unexpected(other.to_owned())),
            None => return Err(ParseError::Missing("value")),
        }
        let value = self.value()?;
        match self.child()? {
            None => Ok(value),
            Some(name) => Err(ParseError::Unexpected(name)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Request, ParseError> {
        Request::parse(text.as_bytes())
    }

    fn parameter(value: &str) -> Result<Value, ParseError> {
        let text = format!(
            "<methodCall><methodName>m</methodName><params><param>{value}</param></params></methodCall>"
        );
        parse(&text).map(|request| request.parameters[0].clone())
    }

    #[test]
    fn a_call_is_written_as_python_writes_it() {
        let request = Request {
            method: "supervisor.startProcess".to_owned(),
            parameters: vec![
                Value::from("a"),
                Value::Int(1),
                Value::Boolean(true),
                Value::Struct(vec![("k".into(), Value::from("v"))]),
            ],
        };

        assert_eq!(
            request.to_xml(),
            "<?xml version='1.0'?>\n<methodCall>\n<methodName>supervisor.startProcess</methodName>\n\
             <params>\n<param>\n<value><string>a</string></value>\n</param>\n<param>\n\
             <value><int>1</int></value>\n</param>\n<param>\n<value><boolean>1</boolean></value>\n\
             </param>\n<param>\n<value><struct>\n<member>\n<name>k</name>\n\
             <value><string>v</string></value>\n</member>\n</struct></value>\n</param>\n</params>\n\
             </methodCall>\n"
        );
    }

    #[test]
    fn every_type_that_supervisor_reads_is_read() {
        let cases = [
            ("<value><int>5</int></value>", Value::Int(5)),
            ("<value><i4> -5 </i4></value>", Value::Int(-5)),
            ("<value><boolean>1</boolean></value>", Value::Boolean(true)),
            ("<value><boolean>true</boolean></value>", Value::Boolean(false)),
            ("<value><string>a&lt;b</string></value>", Value::from("a<b")),
            ("<value><string/></value>", Value::from("")),
            ("<value> bare </value>", Value::from(" bare ")),
            ("<value/>", Value::from("")),
            ("<value><double>1.5</double></value>", Value::Double(1.5)),
            (
                "<value><dateTime.iso8601>20200101T00:00:00</dateTime.iso8601></value>",
                Value::DateTime("20200101T00:00:00".to_owned()),
            ),
            ("<value><base64>aMOp\n</base64></value>", Value::from("hé")),
            ("<value><i8>5</i8></value>", Value::from("5")),
            (
                "<value>\n<array><data> <value>x</value> </data></array>\n</value>",
                Value::Array(vec![Value::from("x")]),
            ),
            (
                "<value><struct><member><name>n</name><value>v</value></member></struct></value>",
                Value::Struct(vec![("n".into(), Value::from("v"))]),
            ),
            ("<value><![CDATA[<&]]>&#233;&#xe9;</value>", Value::from("<&éé")),
        ];

        for (text, value) in cases {
            assert_eq!(parameter(text), Ok(value), "{text}");
        }
    }

    #[test]
    fn the_last_of_equal_names_counts_at_the_place_of_the_first() {
        let member = |name: &str, value: &str| {
            format!("<member><name>{name}</name><value>{value}</value></member>")
        };
        let members = [("a", "1"), ("b", "2"), ("a", "3")].map(|(name, value)| member(name, value));
        let text = format!("<value><struct>{}</struct></value>", members.concat());

        let expected = [("a", "3"), ("b", "2")].map(|(name, value)| (name.into(), value.into()));

        assert_eq!(parameter(&text), Ok(Value::Struct(expected.into())));
    }

    #[test]
    fn a_struct_of_many_names_is_read() {
        let members: String = (0..60_000)
            .map(|number| format!("<member><name>{number}</name><value/></member>"))
            .collect();

        let value = parameter(&format!("<value><struct>{members}</struct></value>")).unwrap();

        assert_eq!(value.member("59999"), Some(&Value::from("")));
    }

    #[test]
    fn a_call_without_params_has_no_parameters() {
        let request = parse("<methodCall><methodName>m</methodName></methodCall>").unwrap();

        assert_eq!(request.parameters, []);
    }

    #[test]
    fn what_is_no_call_is_refused() {
        for text in [
            "",
            "hello",
            "<methodCall><oops>",
            "<methodCall></methodCall>",
            "<methodCall><methodName></methodName></methodCall>",
            "<methodCall><methodName>m</methodName></methodCall><more/>",
            "<methodCall><methodName>m</methodName>",
            "<methodCall><methodName>m</methodCall></methodName>",
            "<!DOCTYPE x [<!ENTITY e \"v\">]><methodCall><methodName>m</methodName></methodCall>",
            "<methodCall><methodName>&e;</methodName></methodCall>",
            "<methodResponse><params/></methodResponse>",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
        assert!(parameter("<value><int>five</int></value>").is_err());
        assert!(parameter("<value><base64>!</base64></value>").is_err());
        assert!(parameter("").is_err());
    }

    #[test]
    fn nesting_has_a_limit() {
        let deep = |levels: usize| {
            let open = "<value><array><data>".repeat(levels);
            let close = "</data></array></value>".repeat(levels);
            parameter(&format!("{open}{close}"))
        };

        assert!(deep(super::super::DEPTH_MAX).is_ok());
        assert_eq!(deep(super::super::DEPTH_MAX + 1), Err(ParseError::TooDeep));
        assert_eq!(deep(50_000), Err(ParseError::TooDeep));
    }

    #[test]
    fn bytes_that_are_not_utf8_are_replaced() {
        let request =
            Request::parse(b"<methodCall><methodName>\xff</methodName></methodCall>").unwrap();

        assert_eq!(request.method, "\u{fffd}");
    }
}
