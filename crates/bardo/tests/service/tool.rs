//! What the tool does before anybody is asked: rows 1 to 6, and the exit numbers.

use super::scene::Output;
use super::scene::{alone, executable, open, tool};

#[test]
fn row_1_an_unknown_verb_ends_with_78() {
    let output = alone(&["foo"]).ends_with(78);

    assert!(output.stderr.contains("illegal request type"), "{output:?}");
    assert!(output.stderr.contains("Usage:"), "{output:?}");
}

#[test]
fn row_2_a_missing_operand_ends_with_22() {
    for words in [&["up"][..], &["down"], &["sysctl"], &["sysctl", "x"], &[]] {
        let output = alone(words).ends_with(22);

        assert!(output.stderr.starts_with("Warning, "), "{output:?}");
    }
}

#[test]
fn row_3_a_binary_has_to_be_an_absolute_path_of_a_file() {
    alone(&["up", "bin/true"]).ends_with(22);
    alone(&["up", "/nowhere/true"]).ends_with(2);
    alone(&["up", "/bin"]).ends_with(22);
}

#[test]
fn row_4_options_come_in_pairs_and_are_known() {
    alone(&["up", "/bin/true", "-args"]).ends_with(22);
    alone(&["up", "/bin/true", "-bogus", "1"]).ends_with(22);
}

#[test]
fn row_6_a_period_has_a_unit_or_none() {
    for period in ["5x", "-1", "HZ", ""] {
        alone(&["up", "/bin/true", "-period", period]).ends_with(22);
    }
    // It is taken, and then there is nobody to ask.
    for period in ["5HZ", "500", "5s", "5000ms", "0"] {
        alone(&["up", "/bin/true", "-period", period]).ends_with(202);
    }
}

#[test]
fn who_finds_no_supervisor_is_told_how_to_start_one() {
    let output = alone(&["up", "/bin/true"]).ends_with(202);

    assert!(output.stderr.contains("Request 0x700 to RS failed: "), "{output:?}");
    assert!(output.stderr.contains("(error 202)"), "{output:?}");
    assert!(output.stderr.contains("bardo run"), "{output:?}");
    assert!(output.stderr.contains("/nowhere/bardo.sock"), "{output:?}");
}

#[test]
fn a_socket_is_named_by_the_environment_or_by_an_option() {
    let named = Output::of(tool().args(["--socket", "/nowhere/other.sock", "list"]));

    assert_eq!(named.code, 202);
    assert!(named.stderr.contains("/nowhere/other.sock"), "{named:?}");
    let nonsense = Output::of(tool().args(["list"]).env("BARDO_SOCKET", "http://localhost:1"));
    assert_eq!(nonsense.code, 22, "{nonsense:?}");
}

#[test]
fn row_12_no_entry_is_an_error_where_minix_is_asked_for() {
    let room = tempfile::tempdir().unwrap();
    let file = room.path().join("system.conf");
    std::fs::write(&file, "service other { uid 0; };\n").unwrap();
    let file = file.to_str().unwrap();

    let output = alone(&["--minix", "up", "/bin/true", "-config", file]).ends_with(1);

    assert!(output.stderr.contains("minix-service: fatal error: "), "{output:?}");
    assert!(output.stderr.contains(file) && output.stderr.contains("'true'"), "{output:?}");
}

#[test]
fn row_12_the_supervisors_rules_are_those_of_the_tool() {
    let scene = open("[rs]\ncompat=minix\n");
    let file = scene.home.file("system.conf");
    std::fs::write(&file, "service sleep { uid SELF; nonsense; };\n").unwrap();
    let file = file.to_str().unwrap();

    let output = scene.service(&["up", "/bin/true", "-config", file]).ends_with(1);
    let words = ["up", "/bin/sleep", "-label", "sixteen-letters-", "-config", file, "-alive", "0"];
    scene.service(&[&words[..], &["-args", "1000"]].concat()).ends_with(0);

    assert!(output.stderr.contains("minix-service: fatal error: "), "{output:?}");
    assert!(output.stderr.contains(file), "{output:?}");
    scene.service(&["show", "sixteen-letters-"]).ends_with(0);
    scene.service(&["down", "sixteen-letters"]).ends_with(0);
}

#[test]
fn what_is_wrong_in_system_conf_is_told_with_its_line() {
    let room = tempfile::tempdir().unwrap();
    let file = room.path().join("system.conf");
    std::fs::write(&file, "service true {\n  uid 0;\n  foo;\n};\n").unwrap();
    let file = file.to_str().unwrap();

    let output = alone(&["up", "/bin/true", "-config", file]).ends_with(1);

    assert!(output.stderr.contains(&format!("{file}:3: ")), "{output:?}");
}

#[test]
fn switches_of_what_is_still_to_come_say_so() {
    for words in [["-p", "up", "/bin/true"], ["-x", "up", "/bin/true"]] {
        let output = alone(&words).ends_with(78);

        assert!(output.stderr.contains("cannot do that yet"), "{output:?}");
    }
}

#[test]
fn it_is_called_by_several_names() {
    let room = tempfile::tempdir().unwrap();
    for name in ["service", "minix-service"] {
        let link = room.path().join(name);
        std::os::unix::fs::symlink(executable(), &link).unwrap();

        let output = Output::of(std::process::Command::new(&link).arg("--help"));

        assert_eq!(output.code, 0);
        assert!(output.stdout.starts_with(&format!("{name} -- ")), "{output:?}");
    }
}
