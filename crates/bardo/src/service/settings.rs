//! Lines of `system.conf` as the tool sends them and as the configuration crate has them.

use bardo_config::system_conf::{self, Place, Value};

use super::request::{Argument, Line};

impl From<&system_conf::Line> for Line {
    fn from(line: &system_conf::Line) -> Self {
        Self {
            keyword: line.keyword.clone(),
            arguments: line.arguments.iter().map(Argument::from).collect(),
            at: line.at.to_string(),
        }
    }
}

impl From<&system_conf::Argument> for Argument {
    fn from(argument: &system_conf::Argument) -> Self {
        match &argument.value {
            Value::Word(word) => Self::Word(word.clone(), argument.line),
            Value::Text(text) => Self::Text(text.clone(), argument.line),
            Value::List(lines) => Self::List(lines.iter().map(Line::from).collect(), argument.line),
        }
    }
}

impl From<&Line> for system_conf::Line {
    fn from(line: &Line) -> Self {
        Self {
            keyword: line.keyword.clone(),
            arguments: line.arguments.iter().map(system_conf::Argument::from).collect(),
            at: Place::from_text(&line.at),
        }
    }
}

impl From<&Argument> for system_conf::Argument {
    fn from(argument: &Argument) -> Self {
        let (value, line) = match argument {
            Argument::Word(word, line) => (Value::Word(word.clone()), line),
            Argument::Text(text, line) => (Value::Text(text.clone()), line),
            Argument::List(lines, line) => {
                (Value::List(lines.iter().map(system_conf::Line::from).collect()), line)
            }
        };
        Self { value, line: *line }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_come_back_as_they_were_sent() {
        let place = Place { file: "/etc/system.conf".into(), line: 7 };
        let argument = |value| system_conf::Argument { value, line: 7 };
        let inner = system_conf::Line {
            keyword: "?more".to_owned(),
            arguments: vec![argument(Value::Text("two words".to_owned()))],
            at: place.clone(),
        };
        let line = system_conf::Line {
            keyword: "uid".to_owned(),
            arguments: vec![
                argument(Value::Word("0".to_owned())),
                argument(Value::List(vec![inner])),
            ],
            at: place,
        };

        let sent = serde_json::to_string(&Line::from(&line)).unwrap();
        let got: Line = serde_json::from_str(&sent).unwrap();

        assert_eq!(system_conf::Line::from(&got), line);
    }
}
