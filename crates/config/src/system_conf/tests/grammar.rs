//! Lines, lists, includes and classes.

use super::*;

fn parsed(text: &str) -> Result<Document, String> {
    Document::parse(&host(""), FILE, text.as_bytes()).map_err(|refusal| refusal.to_string())
}

fn refused_text(text: &str) -> String {
    parsed(text).expect_err("it is refused")
}

/// The keywords of the entry of `x`, without the one that each entry begins with.
fn keywords(host: &FakeHost, text: &str) -> Result<Vec<String>, String> {
    let document =
        Document::parse(host, FILE, text.as_bytes()).map_err(|error| error.to_string())?;
    let entry = document.entry("x").map_err(|error| error.to_string())?.expect("it is there");
    Ok(entry.lines.iter().skip(1).map(|line| line.keyword.clone()).collect())
}

#[test]
fn a_line_knows_where_it_stands() {
    let document = parsed("\n# one\nservice x {\n a b\n   'c';\n};").unwrap();

    let service = document.service("x").unwrap();
    let [line] = service.lines.as_slice() else { panic!("one line, not {:?}", service.lines) };
    assert_eq!(service.at.to_string(), "/etc/system.conf:3");
    assert_eq!(line.at.to_string(), "/etc/system.conf:4");
    let expected = [
        Argument { value: Value::Word("b".to_owned()), line: 4 },
        Argument { value: Value::Text("c".to_owned()), line: 5 },
    ];
    assert_eq!(line.arguments, expected);
}

#[test]
fn the_last_semicolon_of_a_list_and_of_a_file_may_be_missing() {
    let document = parsed("service x { uid 0; ; pids 3 } ; ; service y { descr 'z' }").unwrap();

    assert_eq!(document.service("x").unwrap().lines.len(), 2);
    assert_eq!(document.service("y").unwrap().lines.len(), 1);
}

#[test]
fn what_follows_no_grammar_is_refused_with_its_place() {
    let cases = [
        ("\n}", "/etc/system.conf:2: `}` without a `{` before it; take it out"),
        ("service x {\n uid 0;", "/etc/system.conf:1: the `{` is never closed; put `};` where"),
        ("service x { 'a' b; };", "/etc/system.conf:1: a line begins with the string \"a\"; "),
        ("service x {\n{ a; }; };", "/etc/system.conf:2: a line begins with `{`; begin it with"),
        ("servce x { };", "/etc/system.conf:1: `servce` outside of a service; write: service"),
        ("service;", "/etc/system.conf:1: a service without a name, which is a word; write"),
        ("service 'x' { };", "/etc/system.conf:1: a service without a name, which is a word"),
        ("service x;", "/etc/system.conf:1: service x has no lines in braces; write: service"),
        ("service x y { };", "/etc/system.conf:1: service x has no lines in braces"),
        ("service x { }\nservice y { };", "/etc/system.conf:1: something follows the lines of"),
        ("include;", "/etc/system.conf:1: `include` takes one file; write: include \"FILE\";"),
        ("include 'a' 'b';", "/etc/system.conf:1: `include` takes one file"),
        ("include { a; };", "/etc/system.conf:1: `include` takes one file"),
    ];

    for (text, wanted) in cases {
        let said = refused_text(text);
        assert!(said.starts_with(wanted), "{text}: {said}");
    }
}

#[test]
fn lists_may_stand_in_each_other_up_to_a_limit() {
    let nested =
        |depth| format!("service x {{ ?y {}{}; }};", "{ z ".repeat(depth), "}".repeat(depth));

    assert!(parsed(&nested(31)).is_ok());
    let said = refused_text(&nested(32));
    assert!(said.contains(":1: more than 32 lists stand in each other; close some"), "{said}");
    assert!(parsed(&nested(100_000)).is_err());
}

#[test]
fn an_included_file_is_seen_from_the_one_that_includes_it() {
    let host = FakeHost::new()
        .file("/etc/more/one", "include 'two'; a;")
        .file("/etc/more/two", "include '/abs'; b;")
        .file("/abs", "c;");

    let text = "service x { include 'more/one'; include \"is-not-there\"; d; };";
    assert_eq!(keywords(&host, text).unwrap(), ["c", "b", "a", "d"]);
}

#[test]
fn a_line_of_an_included_file_knows_its_own_file() {
    let host = FakeHost::new().file("/etc/more", "\nservice y { };");

    let document = Document::parse(&host, FILE, b"include more;").unwrap();

    assert_eq!(document.service("y").unwrap().at.to_string(), "/etc/more:2");
}

#[test]
fn an_include_that_cannot_work_is_refused_where_it_stands() {
    let host = FakeHost::new()
        .unreadable("/etc/secret")
        .file("/etc/a", "\ninclude 'b';")
        .file("/etc/b", "include 'a';");
    let refused = |text: &str| {
        Document::parse(&host, FILE, text.as_bytes()).expect_err("it is refused").to_string()
    };

    let secret = refused("include 'secret';");
    assert!(secret.starts_with("/etc/system.conf:1: the included file /etc/secret is there and"));
    let circle = refused("include 'a';");
    assert!(circle.starts_with("/etc/b:1: /etc/a includes itself; take one"), "{circle}");
    let itself = refused("include 'system.conf';");
    assert!(itself.starts_with("/etc/system.conf:1: /etc/system.conf includes itself"), "{itself}");
}

#[test]
fn includes_have_a_depth_and_a_number() {
    let mut chain = FakeHost::new();
    for depth in 0..20 {
        chain = chain.file(&format!("/etc/{depth}"), format!("include '{}';", depth + 1));
    }
    let mut tree = FakeHost::new();
    for depth in 0..15 {
        let twice = format!("include '{0}'; include '{0}';", depth + 1);
        tree = tree.file(&format!("/etc/{depth}"), twice);
    }

    for host in [chain, tree] {
        let said = Document::parse(&host, FILE, b"include '0';").unwrap_err().to_string();
        assert!(
            said.contains("files include each other more than 16 deep, or more than"),
            "{said}"
        );
    }
}

#[test]
fn a_class_stands_where_it_is_named_and_may_come_later() {
    let text = "service x { a; class y z; b; }; service y { c; class z; }; service z { d; };";

    assert_eq!(keywords(&FakeHost::new(), text).unwrap(), ["a", "c", "d", "d", "b"]);
}

#[test]
fn a_class_may_come_from_an_included_file() {
    let host = FakeHost::new().file("/etc/y", "service y { c; };");

    assert_eq!(keywords(&host, "service x { class y; }; include y;").unwrap(), ["c"]);
}

#[test]
fn a_class_that_cannot_be_spliced_is_refused_where_it_is_named() {
    let cases = [
        ("service x {\n class\n y; };", "/etc/system.conf:3: no class `y`; write a `service y { "),
        ("service x { class x; };", "/etc/system.conf:1: class `x` brings itself in; take one"),
        (
            "service x { class y; };\nservice y { class x; };",
            "/etc/system.conf:2: class `x` brings",
        ),
        ("service x { class; };", "/etc/system.conf:1: `class` names no class; write: class NAME"),
        ("service x { class 'y'; };", "/etc/system.conf:1: `class` takes no string like \"y\"; "),
        ("service x { class { y; }; };", "/etc/system.conf:1: `class` takes no list in braces; "),
    ];

    for (text, wanted) in cases {
        let said = keywords(&FakeHost::new(), text).expect_err("it is refused");
        assert!(said.starts_with(wanted), "{text}: {said}");
    }
}

#[test]
fn classes_go_a_hundred_deep_and_no_deeper() {
    let chain = |length: usize| {
        let classes = (0..length).map(|n| format!("service c{n} {{ class c{}; }};", n + 1));
        let all: String = classes.collect();
        format!("service x {{ class c0; }}; {all} service c{length} {{ a; }};")
    };

    assert_eq!(keywords(&FakeHost::new(), &chain(99)).unwrap(), ["a"]);
    let said = keywords(&FakeHost::new(), &chain(100)).unwrap_err();
    assert!(said.contains("classes name each other more than 100 deep"), "{said}");
}

#[test]
fn classes_that_double_at_every_step_come_to_an_end() {
    let classes = (0..60).map(|n| format!("service c{n} {{ class c{0} c{0}; }};", n + 1));
    let all: String = classes.collect();
    let text = format!("service x {{ class c0; }}; {all} service c60 {{ }};");

    let said = keywords(&FakeHost::new(), &text).unwrap_err();

    assert!(said.contains("or more than 1000 times; put their lines into fewer"), "{said}");
}

#[test]
fn a_place_is_read_as_it_is_written() {
    let place = Place { file: "/etc/a:b".into(), line: 7 };

    assert_eq!(Place::from_text(&place.to_string()), place);
    assert_eq!(Place::from_text("named on the command line").line, 0);
}
