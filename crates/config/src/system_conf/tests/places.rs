//! Where an entry is looked for.

use super::*;

fn entry_at(host: &FakeHost, program: &str, mode: Mode) -> Result<Option<String>, String> {
    let found = find(host, &wanted(program, mode)).map_err(|refusal| refusal.to_string())?;
    Ok(found.entry.map(|entry| entry.at.file.to_string()))
}

#[test]
fn row_13_our_own_places_come_first_and_files_of_one_program_before_those_of_all() {
    let expected = [
        "/etc/bardo/system.conf.d/lamp",
        "/etc/system.conf.d/lamp",
        "/etc/bardo/system.conf",
        "/etc/system.conf",
    ];
    assert_eq!(candidates("lamp"), expected);

    let mut host = FakeHost::new();
    for path in expected.iter().rev() {
        host = host.file(path, "service lamp { };");
        for mode in [Mode::Strict, Mode::Minix] {
            assert_eq!(entry_at(&host, "lamp", mode).unwrap().as_deref(), Some(*path));
        }
    }
}

#[test]
fn a_name_with_a_slash_leads_nowhere_else() {
    for program in ["../../etc/shadow", "..", ".", ""] {
        assert_eq!(candidates(program), ["/etc/bardo/system.conf", "/etc/system.conf"]);
    }
}

#[test]
fn row_13_a_file_that_cannot_be_read_is_passed_over_with_a_word() {
    let host = host("service lamp { };").unreadable("/etc/system.conf.d/lamp");

    let found = find(&host, &wanted("lamp", Mode::Strict)).unwrap();

    assert_eq!(found.entry.unwrap().at.to_string(), "/etc/system.conf:1");
    assert_eq!(
        found.notes[0].to_string(),
        "/etc/system.conf.d/lamp is there and cannot be read; it is passed over"
    );
    assert_eq!(entry_at(&host, "lamp", Mode::Minix).unwrap().as_deref(), Some(FILE));
}

#[test]
fn row_12_a_file_without_the_entry_is_passed_over_and_never_by_minix() {
    let host = host("service lamp { };").file("/etc/bardo/system.conf", "service other { };");

    assert_eq!(entry_at(&host, "lamp", Mode::Strict).unwrap().as_deref(), Some(FILE));
    let said = entry_at(&host, "lamp", Mode::Minix).unwrap_err();
    assert!(
        said.starts_with("service 'lamp' not found in '/etc/bardo/system.conf'; write"),
        "{said}"
    );
}

#[test]
fn row_12_without_an_entry_nothing_is_restricted_and_minix_refuses() {
    let empty = FakeHost::new().user("service", 999, "/");

    assert_eq!(entry_at(&empty, "lamp", Mode::Strict), Ok(None));
    assert_eq!(interpret(&[], &empty, Mode::Strict), Ok(Interpreted::default()));
    let said = entry_at(&empty, "lamp", Mode::Minix).unwrap_err();
    assert!(said.contains("none of /etc/bardo/system.conf.d/lamp, /etc/system.conf.d/"), "{said}");
    let said = entry_at(&host("service other { };"), "lamp", Mode::Minix).unwrap_err();
    assert!(said.starts_with("service 'lamp' not found in '/etc/system.conf'; "), "{said}");
}

#[test]
fn a_file_that_was_named_is_the_only_one_and_must_have_the_entry() {
    let host = host("service lamp { };").file("/my.conf", "service other { };").unreadable("/no");
    let named = |program, file| {
        let wanted = Wanted { file: Some(file), ..wanted(program, Mode::Strict) };
        find(&host, &wanted).map_err(|refusal| refusal.to_string())
    };

    assert_eq!(named("other", "/my.conf").unwrap().entry.unwrap().at.to_string(), "/my.conf:1");
    let cases = [
        ("/my.conf", "service 'lamp' not found in '/my.conf'; "),
        ("/gone", "/gone is not there; name a file that can be read"),
        ("/no", "/no is there and cannot be read; name a file that can be read"),
    ];
    for (file, wanted) in cases {
        let said = named("lamp", file).expect_err("it is refused");
        assert!(said.starts_with(wanted), "{said}");
    }
}

#[test]
fn a_file_with_a_mistake_is_never_passed_over() {
    let host = host("service lamp { };").file("/etc/system.conf.d/lamp", "service lamp {");

    let said = entry_at(&host, "lamp", Mode::Strict).unwrap_err();

    assert!(said.starts_with("/etc/system.conf.d/lamp:1: the `{` is never closed"), "{said}");
}

#[test]
fn of_two_entries_the_first_counts_and_somebody_says_so() {
    let found = find(
        &host("service lamp { descr 'one'; };\nservice lamp { descr 'two'; }; service x { };"),
        &wanted("lamp", Mode::Strict),
    );

    let Found { entry, notes } = found.unwrap();
    assert_eq!(entry.unwrap().lines[1].text(), "descr \"one\"");
    let said: Vec<String> = notes.iter().map(ToString::to_string).collect();
    assert_eq!(
        said,
        [
            "/etc/system.conf:2: service lamp stands at /etc/system.conf:1 already, and that entry counts"
        ]
    );
}

#[test]
fn self_is_whoever_calls_the_tool_unless_somebody_has_that_name() {
    let text = "service lamp { class all; }; service all { uid SELF; };";
    let uid = |host: &FakeHost| {
        let entry = find(host, &wanted("lamp", Mode::Strict)).unwrap().entry.unwrap();
        entry.lines[1].text()
    };

    assert_eq!(uid(&host(text)), "uid 1000");
    assert_eq!(uid(&host(text).user("SELF", 77, "/")), "uid SELF");
}
