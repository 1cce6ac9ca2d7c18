//! What holds of any text.

use proptest::prelude::*;

use super::super::document::lines;
use super::*;

/// Any text that a word or string can be, with the awkward characters often.
fn text() -> impl Strategy<Value = String> {
    let awkward = prop::sample::select(vec![
        '#', '"', '\'', '\\', ';', '{', '}', ' ', '\n', '\t', '?', 'x', '0', '7', 'ü', '\u{1}',
    ]);
    let any = any::<char>().prop_filter("nothing can be told a zero byte", |c| *c != '\0');
    prop::collection::vec(prop_oneof![3 => awkward, 2 => any], 1..8)
        .prop_map(|characters| characters.into_iter().collect())
}

fn keyword_text() -> impl Strategy<Value = String> {
    text().prop_filter("it brings another file in", |word| word != "include")
}

fn line() -> impl Strategy<Value = Line> {
    let value = prop_oneof![
        text().prop_map(Value::Word),
        prop_oneof![text(), Just(String::new())].prop_map(Value::Text),
    ];
    let flat = (keyword_text(), prop::collection::vec(value, 0..4)).prop_map(from_parts);
    flat.prop_recursive(3, 16, 3, |inner| {
        let value = prop_oneof![
            text().prop_map(Value::Word),
            prop::collection::vec(inner, 0..3).prop_map(Value::List),
        ];
        (keyword_text(), prop::collection::vec(value, 0..3)).prop_map(from_parts)
    })
}

/// A line without places: they are not what is compared.
fn from_parts((keyword, values): (String, Vec<Value>)) -> Line {
    let arguments = values.into_iter().map(|value| Argument { value, line: 0 }).collect();
    Line { keyword, arguments, at: nowhere() }
}

fn nowhere() -> Place {
    Place { file: "".into(), line: 0 }
}

fn without_places(lines: Vec<Line>) -> Vec<Line> {
    let plain = |argument: Argument| match argument.value {
        Value::List(inner) => Value::List(without_places(inner)),
        other => other,
    };
    let line =
        |line: Line| from_parts((line.keyword, line.arguments.into_iter().map(plain).collect()));
    lines.into_iter().map(line).collect()
}

proptest! {
    #[test]
    fn what_is_printed_reads_as_the_same(written in prop::collection::vec(line(), 0..4)) {
        let read = lines(&FakeHost::new(), FILE, print(&written).as_bytes());

        prop_assert_eq!(read.map(without_places), Ok(written));
    }

    #[test]
    fn no_bytes_bring_it_down(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        if let Err(refusal) = Document::parse(&FakeHost::new(), FILE, &bytes) {
            prop_assert!(refusal.at.is_some());
        }
    }

    #[test]
    fn no_line_brings_it_down(
        name in prop::sample::select(KEYWORDS),
        arguments in prop::collection::vec(
            "\\PC{0,6}|[0-9a-f:/,%-]{1,8}|max|ro|bind|every|device|class|ALL|deadline:1/2/3", 0..4,
        ),
        mode in prop::sample::select(vec![Mode::Strict, Mode::Minix]),
    ) {
        let values = arguments.into_iter().map(Value::Word).collect();
        let line = from_parts((name.name.to_owned(), values));

        let outcome = interpret(&[line], &FakeHost::new().user("service", 9, "/"), mode);

        if let Err(refusal) = outcome {
            prop_assert!(!refusal.what.is_empty() && !refusal.advice.is_empty());
        }
    }
}
