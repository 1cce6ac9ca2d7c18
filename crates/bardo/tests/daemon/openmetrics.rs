//! A reader of OpenMetrics 1.0.0 that takes nothing that breaks its rules, as far as
//! Bardo uses the format.

use std::collections::{BTreeMap, BTreeSet};

/// What a document says: values by sample name and labels, in the order of the labels.
#[derive(Debug, Default)]
pub(crate) struct Samples(BTreeMap<(String, Vec<(String, String)>), f64>);

impl Samples {
    /// The value of a sample with these labels and no others.
    pub(crate) fn get(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let labels = labels.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        self.0.get(&(name.to_owned(), labels.collect())).copied()
    }
}

/// A family whose samples are being read.
#[derive(Debug, Default)]
struct Family {
    name: String,
    kind: String,
    /// The last bucket: its bound and its number.
    bucket: Option<(f64, f64)>,
}

/// Reads a document.
///
/// # Panics
/// When a rule is broken; the message says which, and by which line.
pub(crate) fn read(text: &str) -> Samples {
    let body = text.strip_suffix("# EOF\n").expect("the document ends in its mark");
    let mut samples = Samples::default();
    let mut families: BTreeSet<String> = BTreeSet::new();
    let mut family = Family::default();
    for line in body.lines() {
        if let Some(words) = line.strip_prefix("# ") {
            describe(words, &mut family, &mut families);
            continue;
        }
        let (name, labels, value) = sample(line);
        check(&name, &labels, value, &mut family, line);
        let before = samples.0.insert((name, labels), value);
        assert!(before.is_none(), "a sample stands there twice: {line}");
    }
    samples
}

/// A line that describes a family: the first one begins it.
fn describe(words: &str, family: &mut Family, families: &mut BTreeSet<String>) {
    let mut words = words.splitn(3, ' ');
    let mut next = || words.next().unwrap_or_else(|| panic!("three parts: {family:?}")).to_owned();
    let (keyword, name, text) = (next(), next(), next());
    if family.name != name {
        assert!(families.insert(name.clone()), "{name} is in two pieces");
        assert_eq!(keyword, "HELP", "we begin with what it is: {name}");
        *family = Family { name: name.clone(), ..Family::default() };
    }
    match keyword.as_str() {
        "HELP" => assert!(text.ends_with('.'), "a sentence: {text}"),
        "TYPE" => {
            assert!(["gauge", "counter", "histogram", "info"].contains(&&*text), "{text}");
            family.kind = text;
        }
        "UNIT" => assert!(name.ends_with(&format!("_{text}")), "{name} ends in its unit {text}"),
        other => panic!("no such word: {other}"),
    }
}

/// Whether a sample may stand in its family.
fn check(name: &str, labels: &[(String, String)], value: f64, family: &mut Family, line: &str) {
    let suffix = name.strip_prefix(&*family.name).unwrap_or_else(|| panic!("whose is it: {line}"));
    let allowed: &[&str] = match &*family.kind {
        "gauge" => &[""],
        "counter" => &["_total", "_created"],
        "info" => &["_info"],
        "histogram" => &["_bucket", "_sum", "_count", "_created"],
        other => panic!("no type {other}: {line}"),
    };
    assert!(allowed.contains(&suffix), "a {} has no {suffix:?}: {line}", family.kind);
    assert!(suffix.is_empty() || value >= 0.0, "it only grows: {line}");
    let names: BTreeSet<&String> = labels.iter().map(|(key, _)| key).collect();
    assert_eq!(names.len(), labels.len(), "a label stands there twice: {line}");
    if suffix == "_bucket" {
        let bound = &labels.iter().find(|(key, _)| key == "le").expect("a bound").1;
        assert!(bound.contains('.') || bound == "+Inf", "a bound is a float: {line}");
        let bound = bound.parse::<f64>().expect("a bound is a number");
        if let Some((before, number)) = family.bucket {
            assert!(before < bound && number <= value, "buckets grow: {line}");
        }
        family.bucket = Some((bound, value));
    } else if suffix == "_count" {
        assert_eq!(family.bucket, Some((f64::INFINITY, value)), "the last bucket has all: {line}");
    }
}

/// One line: name, labels, value.
fn sample(line: &str) -> (String, Vec<(String, String)>, f64) {
    let end = line.find(['{', ' ']).unwrap_or_else(|| panic!("no value: {line}"));
    let (name, mut rest) = line.split_at(end);
    let is_name = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    assert!(!name.is_empty() && name.chars().all(is_name), "no name: {line}");
    let mut labels = Vec::new();
    if let Some(inside) = rest.strip_prefix('{') {
        rest = inside;
        loop {
            let (key, after) = rest.split_once("=\"").unwrap_or_else(|| panic!("a label: {line}"));
            let (value, after) = quoted(after, line);
            labels.push((key.to_owned(), value));
            match after.strip_prefix(',') {
                Some(after) => rest = after,
                None => {
                    rest = after.strip_prefix('}').unwrap_or_else(|| panic!("no end: {line}"));
                    break;
                }
            }
        }
    }
    let value = rest.strip_prefix(' ').unwrap_or_else(|| panic!("one blank: {line}"));
    let value = value.parse().unwrap_or_else(|_| panic!("no number: {line}"));
    (name.to_owned(), labels, value)
}

/// The text up to the quote that ends it, and what follows that.
fn quoted<'a>(text: &'a str, line: &str) -> (String, &'a str) {
    let mut value = String::new();
    let mut characters = text.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return (value, &text[at + 1..]),
            '\\' => value.push(match characters.next() {
                Some((_, 'n')) => '\n',
                Some((_, escaped @ ('"' | '\\'))) => escaped,
                other => panic!("no escape: {other:?} in {line}"),
            }),
            other => value.push(other),
        }
    }
    panic!("a quote is open: {line}");
}

#[test]
fn what_breaks_a_rule_is_noticed() {
    let good = "# HELP a Some.\n# TYPE a counter\na_total{x=\"1\"} 2\n# EOF\n";
    assert_eq!(read(good).get("a_total", &[("x", "1")]), Some(2.0));

    for (from, to) in [
        ("# EOF\n", ""),
        ("counter", "wonder"),
        ("a_total", "b_total"),
        ("a_total", "a"),
        ("} 2\n", "} 2\na_total{x=\"1\"} 2\n"),
        ("} 2\n", "} two\n"),
        ("\"1\"", "\"1"),
        ("# EOF\n", "# HELP b B.\n# TYPE b gauge\n# HELP a Again.\n# EOF\n"),
    ] {
        let bad = good.replacen(from, to, 1);
        let refused = std::panic::catch_unwind(|| read(&bad)).is_err();
        assert!(refused, "{bad}");
    }
}
