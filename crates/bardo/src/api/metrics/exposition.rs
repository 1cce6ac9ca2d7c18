//! The two formats of metrics: Prometheus's text, and OpenMetrics.
//!
//! They differ in little: OpenMetrics names a counter without its `_total` in the lines
//! that describe it, tells units and since when is counted, and ends in a mark.

use std::fmt::{self, Write};

/// Which format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    /// Prometheus's text, version 0.0.4.
    Text,
    /// OpenMetrics 1.0.0.
    OpenMetrics,
}

impl Format {
    /// The one that a client likes best, by its `Accept` header; the text where it does
    /// not care.
    pub(super) fn negotiated(accept: &str) -> Self {
        let mut best = (0.0, Self::Text);
        for range in accept.split(',') {
            let mut parts = range.split(';').map(str::trim);
            let kind = parts.next().unwrap_or_default().to_ascii_lowercase();
            let (mut quality, mut version) = (1.0_f32, None);
            for parameter in parts {
                let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
                let value = value.trim().trim_matches('"');
                match name.trim().to_ascii_lowercase().as_str() {
                    "q" => quality = value.parse().unwrap_or(0.0),
                    "version" => version = Some(value),
                    _ => {}
                }
            }
            let format = match (kind.as_str(), version) {
                ("application/openmetrics-text", None | Some("1.0.0")) => Self::OpenMetrics,
                ("text/plain", None | Some("0.0.4")) | ("text/*" | "*/*", _) => Self::Text,
                _ => continue,
            };
            if quality > best.0 {
                best = (quality, format);
            }
        }
        best.1
    }

    /// What the answer says of itself.
    pub(super) fn content_type(self) -> &'static str {
        match self {
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

/// What describes samples of one name.
pub(super) struct Family {
    /// Its name, which ends in the unit and not in the suffix of its kind.
    pub(super) name: &'static str,
    /// Its kind.
    pub(super) kind: Kind,
    /// Its unit.
    pub(super) unit: Unit,
    /// What it is, in a sentence without a backslash or a line break.
    pub(super) help: &'static str,
}

/// Kinds of families.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A number that goes up and down.
    Gauge,
    /// A number that only grows.
    Counter,
    /// How often a number was at most so large.
    Histogram,
    /// Words about the program.
    Info,
}

/// Units of families.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unit {
    None,
    Seconds,
    Bytes,
}

/// A document that is being written.
pub(super) struct Exposition {
    format: Format,
    text: String,
    family: &'static str,
    kind: Kind,
}

impl Exposition {
    pub(super) fn new(format: Format) -> Self {
        Self { format, text: String::new(), family: "", kind: Kind::Gauge }
    }

    /// The end of the document.
    pub(super) fn finish(mut self) -> String {
        if self.format == Format::OpenMetrics {
            self.text.push_str("# EOF\n");
        }
        self.text
    }

    /// Begins a family; the samples that follow are of it.
    pub(super) fn family(&mut self, family: Family) {
        let Family { name, kind, unit, help } = family;
        (self.family, self.kind) = (name, kind);
        // What is described in the text is the name of the samples.
        let (suffix, word) = match (self.format, kind) {
            (_, Kind::Gauge) => ("", "gauge"),
            (_, Kind::Histogram) => ("", "histogram"),
            (Format::Text, Kind::Counter) => ("_total", "counter"),
            (Format::OpenMetrics, Kind::Counter) => ("", "counter"),
            (Format::Text, Kind::Info) => ("_info", "gauge"),
            (Format::OpenMetrics, Kind::Info) => ("", "info"),
        };
        self.line(format_args!("# HELP {name}{suffix} {help}\n"));
        self.line(format_args!("# TYPE {name}{suffix} {word}\n"));
        let unit = match unit {
            Unit::None => return,
            Unit::Seconds => "seconds",
            Unit::Bytes => "bytes",
        };
        if self.format == Format::OpenMetrics {
            self.line(format_args!("# UNIT {name} {unit}\n"));
        }
    }

    /// A sample of the family: its suffix, labels and value.
    pub(super) fn sample(
        &mut self,
        suffix: &str,
        labels: &[(&str, &str)],
        value: impl fmt::Display,
    ) {
        let name = self.family;
        let suffix = if self.kind == Kind::Info { "_info" } else { suffix };
        self.line(format_args!("{name}{suffix}{} {value}\n", Labels(labels)));
    }

    /// A bucket of a histogram: how often it was at most `bound`, all smaller bounds
    /// included.
    pub(super) fn bucket(&mut self, bound: f64, number: u64) {
        let mut text = if bound.is_infinite() { "+Inf".to_owned() } else { bound.to_string() };
        if !text.contains(['.', 'I']) {
            text.push_str(".0");
        }
        self.sample("_bucket", &[("le", &text)], number);
    }

    /// Since when a counter counts. The text has no word for it.
    pub(super) fn created(&mut self, labels: &[(&str, &str)], since: i64) {
        if self.format == Format::OpenMetrics {
            self.sample("_created", labels, since);
        }
    }

    fn line(&mut self, line: fmt::Arguments<'_>) {
        self.text.write_fmt(line).expect("a text has room");
    }
}

/// Labels with their values, escaped.
struct Labels<'a>(&'a [(&'a str, &'a str)]);

impl fmt::Display for Labels<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (name, value)) in self.0.iter().enumerate() {
            f.write_str(if index == 0 { "{" } else { "," })?;
            write!(f, "{name}=\"")?;
            for character in value.chars() {
                match character {
                    '\\' => f.write_str("\\\\")?,
                    '"' => f.write_str("\\\"")?,
                    '\n' => f.write_str("\\n")?,
                    other => f.write_char(other)?,
                }
            }
            f.write_char('"')?;
        }
        if self.0.is_empty() { Ok(()) } else { f.write_char('}') }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_format_is_the_one_that_is_liked_best() {
        let prometheus = "application/openmetrics-text;version=1.0.0;q=0.5,\
                          application/openmetrics-text;version=0.0.1;q=0.4,\
                          text/plain;version=0.0.4;q=0.3,*/*;q=0.2";
        let cases = [
            ("", Format::Text),
            ("*/*", Format::Text),
            ("text/html", Format::Text),
            ("application/openmetrics-text", Format::OpenMetrics),
            ("application/openmetrics-text; version=\"1.0.0\"; charset=utf-8", Format::OpenMetrics),
            ("application/openmetrics-text;version=0.0.1,text/plain;q=0.5", Format::Text),
            ("text/plain, application/openmetrics-text;q=0.9", Format::Text),
            ("application/openmetrics-text;q=0", Format::Text),
            ("text/plain;q=0.1, Application/OpenMetrics-Text;q=0.2", Format::OpenMetrics),
            (prometheus, Format::OpenMetrics),
        ];

        for (accept, format) in cases {
            assert_eq!(Format::negotiated(accept), format, "{accept}");
        }
    }

    #[test]
    fn the_formats_differ_in_what_they_say_of_a_counter() {
        let written = |format| {
            let mut out = Exposition::new(format);
            let (kind, unit) = (Kind::Counter, Unit::Bytes);
            out.family(Family { name: "x_bytes", kind, unit, help: "Some." });
            out.sample("_total", &[("name", "a\"b\\c\nd")], 5);
            out.created(&[], 7);
            out.finish()
        };

        assert_eq!(
            written(Format::Text),
            "# HELP x_bytes_total Some.\n# TYPE x_bytes_total counter\n\
             x_bytes_total{name=\"a\\\"b\\\\c\\nd\"} 5\n"
        );
        assert_eq!(
            written(Format::OpenMetrics),
            "# HELP x_bytes Some.\n# TYPE x_bytes counter\n# UNIT x_bytes bytes\n\
             x_bytes_total{name=\"a\\\"b\\\\c\\nd\"} 5\nx_bytes_created 7\n# EOF\n"
        );
    }

    #[test]
    fn bounds_are_written_as_floats() {
        let mut out = Exposition::new(Format::Text);
        let (kind, unit) = (Kind::Histogram, Unit::Seconds);
        out.family(Family { name: "x_seconds", kind, unit, help: "Some." });

        for bound in [0.0001, 0.0025, 1.0, f64::INFINITY] {
            out.bucket(bound, 1);
        }

        let text = out.finish();
        let bounds: Vec<&str> = text.lines().filter_map(|line| line.split('"').nth(1)).collect();
        assert_eq!(bounds, ["0.0001", "0.0025", "1.0", "+Inf"]);
    }
}
