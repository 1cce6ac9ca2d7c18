//! What is a section, a key, a value or a comment, and what is refused.

use proptest::prelude::*;

use super::*;

fn read(text: &str) -> Ini {
    let mut ini = Ini::default();
    ini.read("FILE", text.as_bytes()).unwrap_or_else(|error| panic!("{text:?}: {error}"));
    ini
}

fn refused(text: impl AsRef<[u8]>) -> String {
    Ini::default().read("FILE", text.as_ref()).unwrap_err().to_string()
}

fn value(text: &str, key: &str) -> Option<String> {
    let ini = read(&format!("[s]\n{text}"));
    let section = ini.section("s").unwrap();
    ini.get(section, key).map(|entry| entry.value.clone())
}

fn values(cases: &[(&str, &str, &str)]) {
    for (text, key, wanted) in cases {
        assert_eq!(value(text, key).as_deref(), Some(*wanted), "{text:?}");
    }
}

#[test]
fn a_section_ends_at_the_last_bracket() {
    let ini = read("[c]junk\n  [ a ]\n[x]y]\n[Case]\n[case]\n");

    let names: Vec<&str> = ini.sections().map(Section::name).collect();

    assert_eq!(names, ["c", " a ", "x]y", "Case", "case"]);
}

#[test]
fn repeated_sections_and_keys_are_merged() {
    let ini = read("[b]\nk=1\n[a]\n[b]\nj=2\nk=3\n");

    let section = ini.section("b").unwrap();
    let pairs: Vec<_> = ini
        .entries(section)
        .map(|entry| (entry.key.as_str(), entry.value.as_str(), entry.line))
        .collect();

    assert_eq!(ini.sections().map(Section::name).collect::<Vec<_>>(), ["b", "a"]);
    assert_eq!(pairs, [("k", "3", 6), ("j", "2", 5)]);
}

#[test]
fn a_key_is_lower_case_and_ends_at_the_first_delimiter() {
    values(&[
        ("KeY = v", "key", "v"),
        ("rem foo=1", "rem foo", "1"),
        ("a:b=c", "a", "b=c"),
        ("a=b:c", "a", "b:c"),
    ]);
}

#[test]
fn a_value_is_trimmed_and_keeps_its_quotes() {
    values(&[("k =  \"a b\"  ", "k", "\"a b\""), ("k=", "k", ""), ("k= ", "k", "")]);
}

#[test]
fn a_comment_needs_a_blank_before_it() {
    values(&[
        ("k=bash -c 'a ; b'", "k", "bash -c 'a"),
        ("k=v;c", "k", "v;c"),
        ("k=v#c", "k", "v#c"),
        ("k=;c", "k", ";c"),
        ("k= ;c", "k", ""),
        ("k=v\t# c", "k", "v"),
        ("k=a\n  b ; c\n  d", "k", "a\nb\nd"),
    ]);
    assert_eq!(value("  ; k=1\n# k=2\n", "k"), None);
}

#[test]
fn a_comment_is_found_in_rounds_as_python_finds_it() {
    // The first round finds the semicolon, so that the second hash, which
    // stands further left, is never looked at.
    values(&[("k=a#b #c ;d", "k", "a#b #c")]);
}

#[test]
fn a_deeper_line_continues_a_value() {
    values(&[
        ("k=a\n  b\n\tc", "k", "a\nb\nc"),
        ("k=a\n k2=2", "k", "a\nk2=2"),
        ("k=a\n [b]", "k", "a\n[b]"),
        ("k=\n  a", "k", "\na"),
    ]);
    assert_eq!(value("  k=a\n  j=b", "j").as_deref(), Some("b"));
}

#[test]
fn blank_lines_stay_inside_a_value_and_comments_vanish() {
    values(&[("k=a\n\n  b\n; c\n  # d\n  e\n\n\n", "k", "a\n\nb\ne"), ("k=a\n\nj=b", "k", "a")]);
}

#[test]
fn rem_is_no_comment() {
    assert!(refused("[s]\nrem this\n").contains("'rem this\\n'"));
}

#[test]
fn defaults_stand_in_every_section() {
    let ini = read("[DEFAULT]\nk=1\nj=2\n[a]\nk=3\n");
    let section = ini.section("a").unwrap();

    assert_eq!(ini.sections().count(), 1);
    assert_eq!(ini.get(section, "k").unwrap().value, "3");
    assert_eq!(ini.get(section, "j").unwrap().value, "2");
    assert_eq!(ini.entries(section).count(), 2);
}

#[test]
fn a_byte_order_mark_is_not_stripped() {
    assert_eq!(
        refused("\u{feff}[s]\n"),
        "File contains no section headers.\nfile: 'FILE', line: 1\n'\\ufeff[s]\\n'"
    );
}

#[test]
fn carriage_returns_are_newlines() {
    values(&[("k=1\r\nj=2\r\n", "j", "2"), ("k=1\rj=2", "j", "2")]);
}

#[test]
fn all_bad_lines_are_collected() {
    assert_eq!(
        refused("[s]\nok=1\ngarbage line\n=v\nok2=2\n[]\n"),
        "Source contains parsing errors: 'FILE'\n\t[line  3]: 'garbage line\\n'\
         \n\t[line  4]: '=v\\n'\n\t[line  6]: '[]\\n'"
    );
}

#[test]
fn a_line_before_all_sections_is_refused_at_once() {
    assert_eq!(
        refused("; comment\nfoo=bar\n[s]\n"),
        "File contains no section headers.\nfile: 'FILE', line: 2\n'foo=bar\\n'"
    );
}

#[test]
fn an_observed_file_has_notes_of_what_is_taken_silently() {
    let mut ini = Ini::observed();
    ini.read("FILE", b"[a]junk\nk=1 ; c\n  j=2\nk=3\n[b]\n[a]\n").unwrap();

    let notes: Vec<(usize, &Oddity)> = ini.notes().map(|note| (note.line, &note.oddity)).collect();

    let text = |text: &str| text.to_owned();
    assert_eq!(notes[0], (1, &Oddity::TextBehindSection { text: text("junk") }));
    let (key, kept, comment) = (text("k"), text("1"), text("; c"));
    assert_eq!(notes[1], (2, &Oddity::Comment { key, kept, comment }));
    assert_eq!(notes[2], (3, &Oddity::Continuation { key: text("k"), text: text("j=2") }));
    assert!(matches!(notes[3], (4, Oddity::RepeatedKey { before }) if before.line == 2));
    assert_eq!(notes[4..], [(6, &Oddity::RepeatedSection)]);
    assert_eq!(read("[a]junk\n").notes().count(), 0, "nobody has asked");
}

#[test]
fn bytes_must_be_utf_8() {
    let cases: [(&[u8], &str); 5] = [
        (b"[a]\n\xff", "byte 0xff in position 4: invalid start byte"),
        (b"\xc3(", "byte 0xc3 in position 0: invalid continuation byte"),
        (b"\xe2\x82(", "bytes in position 0-1: invalid continuation byte"),
        (b"\xc3", "byte 0xc3 in position 0: unexpected end of data"),
        (b"a\xe2\x82", "bytes in position 0-1: unexpected end of data"),
    ];

    for (bytes, wanted) in cases {
        assert_eq!(refused(bytes), format!("'utf-8' codec can't decode {wanted}"));
    }
}

#[test]
fn here_is_replaced_once_for_each_file() {
    let mut ini = read("[DEFAULT]\nd=%(here)s\n[a]\nk=%(here)s/x\n");

    ini.replace_here("/one");
    ini.read("OTHER", b"[b]\nk=%(here)s/y\n").unwrap();
    ini.replace_here("/two");

    let get = |section: &str, key: &str| {
        let section = ini.section(section).unwrap();
        (ini.get(section, key).unwrap().value.clone(), section.file().to_owned())
    };
    assert_eq!(get("a", "k"), ("/one/x".to_owned(), "FILE".to_owned()));
    assert_eq!(get("a", "d"), ("/one".to_owned(), "FILE".to_owned()));
    assert_eq!(get("b", "k"), ("/two/y".to_owned(), "OTHER".to_owned()));
    assert_eq!(get("b", "d"), ("/two".to_owned(), "OTHER".to_owned()));
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes: Vec<u8>) {
        let _ = Ini::default().read("FILE", &bytes);
    }

    #[test]
    fn any_lines_are_read_or_refused(text in "([ \t]{0,3}[\\[\\]a=:;# \r%\u{1c}é]{0,8}\n){0,12}") {
        let _ = Ini::default().read("FILE", text.as_bytes());
    }

    #[test]
    fn plain_values_come_back(values in prop::collection::vec("[a-z/\"'=:.%()-]{1,12}", 1..6)) {
        let lines: String =
            values.iter().enumerate().map(|(n, value)| format!("k{n} = {value}\n")).collect();
        let ini = read(&format!("[s]\n{lines}"));
        let section = ini.section("s").unwrap();

        for (n, value) in values.iter().enumerate() {
            prop_assert_eq!(&ini.get(section, &format!("k{n}")).unwrap().value, value);
        }
    }
}
