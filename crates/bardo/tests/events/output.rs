//! What programs write: PROCESS_LOG, and captured messages as PROCESS_COMMUNICATION.

use bardo::selftest::listener::Heard;

use crate::scene::{data, ears, open, script};

/// All that was told of a channel, put together.
fn together(heard: &[Heard], event: &str) -> String {
    heard.iter().filter(|heard| heard.event() == event).map(Heard::data).collect()
}

#[test]
fn what_is_written_is_told_with_its_channel_and_pid() {
    let options = "stdout_events_enabled=true\nstderr_events_enabled=true";
    let scene = open(&[
        &ears("ears", "PROCESS_LOG", "", ""),
        &script("talker", "echo out $$; echo err $$ >&2", options),
    ]);

    scene.run("talker");

    for heard in scene.heard_of("ears", 2) {
        let (channel, word) = match heard.event() {
            "PROCESS_LOG_STDOUT" => ("stdout", "out"),
            _ => ("stderr", "err"),
        };
        let pid = heard.about("pid");
        let first = format!("processname:talker groupname:talker pid:{pid} channel:{channel}");
        assert_eq!(heard.payload, format!("{first}\n{word} {pid}\n"));
    }
}

#[test]
fn nothing_is_told_of_what_nobody_has_asked_for() {
    let scene = open(&[
        &ears("ears", "PROCESS_LOG,REMOTE_COMMUNICATION", "", ""),
        &script("quiet", "echo nothing", ""),
    ]);

    scene.run("quiet");
    scene.wait("its log", || scene.file("quiet.log") == "nothing\n");
    scene.send("the next one");

    assert_eq!(data(&scene.heard_of("ears", 1)), ["the next one"]);
}

#[test]
fn escape_sequences_are_taken_out_and_bytes_that_are_no_text_are_shown() {
    let scene = open(&[
        &ears("ears", "PROCESS_LOG_STDOUT", "", ""),
        &script("colours", "printf '\\033[1mbold\\033[0m\\n'", "stdout_events_enabled=true")
            .replace("[program:", "[supervisord]\nstrip_ansi=true\n[program:"),
        &script("bytes", "printf '\\377\\000a\\n'", "stdout_events_enabled=true"),
    ]);

    scene.run("colours");
    scene.heard_of("ears", 1);
    scene.run("bytes");

    let heard = scene.heard_of("ears", 2);
    assert_eq!(data(&heard), ["bold\n", "Undecodable: b'\\xff\\x00a\\n'"]);
}

#[test]
fn a_message_is_found_however_it_was_written() {
    let message = "log1<!--XSUPERVISOR:BEGIN-->one<!--XSUPERVISOR:END-->log2\\n\
                   <!--XSUPER<!--XSUPERVISOR:BEGIN--><!--XSUPERVISOR:BEGIN-->two\
                   <!--XSUPERVISOR:END-->x";
    // One write for each character.
    let bytes: Vec<String> = message
        .replace("\\n", "\n")
        .chars()
        .map(|byte| if byte == '\n' { "echo".into() } else { format!("printf '%s' '{byte}'") })
        .collect();
    let scene = open(&[
        &ears("ears", "PROCESS_COMMUNICATION", "", ""),
        &script("bits", &bytes.join("\n"), "stdout_capture_maxbytes=1MB"),
    ]);

    scene.run("bits");

    let heard = scene.heard_of("ears", 2);
    assert_eq!(data(&heard), ["one", "<!--XSUPERVISOR:BEGIN-->two"]);
    let pid = heard[0].about("pid");
    assert_eq!(heard[0].event(), "PROCESS_COMMUNICATION_STDOUT");
    assert_eq!(heard[0].payload, format!("processname:bits groupname:bits pid:{pid}\none"));
    scene.wait("the log", || scene.file("bits.log") == "log1log2\n<!--XSUPERx");
}

#[test]
fn messages_of_standard_error_have_their_own_type() {
    let text = "printf '<!--XSUPERVISOR:BEGIN-->e\\377<!--XSUPERVISOR:END-->' >&2";
    let scene = open(&[
        &ears("ears", "PROCESS_COMMUNICATION_STDERR", "", ""),
        &script("err", text, "stderr_capture_maxbytes=100"),
    ]);

    scene.run("err");

    let heard = scene.heard_of("ears", 1);
    assert_eq!(heard[0].event(), "PROCESS_COMMUNICATION_STDERR");
    assert_eq!(heard[0].data(), "Undecodable: b'e\\xff'");
}

#[test]
fn captured_text_is_told_as_log_too_and_is_not_in_the_file() {
    let text = "printf 'a<!--XSUPERVISOR:BEGIN-->b<!--XSUPERVISOR:END-->c\\n'";
    let options = "stdout_capture_maxbytes=100\nstdout_events_enabled=true";
    let scene = open(&[&ears("ears", "PROCESS_LOG", "", ""), &script("both", text, options)]);

    scene.run("both");

    let heard = scene.heard_until("ears", "all of it", |heard| {
        together(heard, "PROCESS_LOG_STDOUT").ends_with("c\n")
    });
    assert_eq!(together(&heard, "PROCESS_LOG_STDOUT"), "abc\n");
    scene.wait("the log", || scene.file("both.log") == "ac\n");
}

#[test]
fn a_message_that_is_too_long_keeps_its_end() {
    // A chunk that is longer than the bound is kept whole, and pushes out what came before
    // it. No chunk holds all of this.
    let text = "printf '<!--XSUPERVISOR:BEGIN-->'\n\
                i=0; while [ $i -lt 30000 ]; do printf '%09d ' $i; i=$((i+1)); done\n\
                printf '<!--XSUPERVISOR:END-->'";
    let scene = open(&[
        &ears("ears", "PROCESS_COMMUNICATION", "", ""),
        &script("long", text, "stdout_capture_maxbytes=100"),
    ]);

    scene.run("long");

    let heard = scene.heard_of("ears", 1);
    let all: String = (0..30000).map(|number| format!("{number:09} ")).collect();
    let kept = heard[0].data();
    assert!(all.ends_with(kept) && kept.len() >= 10 && kept.len() < all.len(), "{}", kept.len());
}

#[test]
fn the_last_bytes_of_a_process_are_neither_lost_nor_held_back() {
    for text in ["tiny", "<!--XSUPERVISOR:BEGIN--"] {
        let options = "stdout_capture_maxbytes=1MB\nstdout_events_enabled=true";
        let scene = open(&[
            &ears("ears", "PROCESS_LOG", "", ""),
            &script("tiny", &format!("printf '%s' '{text}'"), options),
        ]);

        scene.run("tiny");

        scene.wait("the log", || scene.file("tiny.log") == text);
        let heard = scene.heard_until("ears", "all of it", |heard| {
            together(heard, "PROCESS_LOG_STDOUT").len() >= text.len()
        });
        assert_eq!(together(&heard, "PROCESS_LOG_STDOUT"), text);
    }
}

#[test]
fn an_unfinished_message_is_told_to_people_and_to_nobody_else() {
    let text = "printf 'log<!--XSUPERVISOR:BEGIN-->half a word'";
    let scene = open(&[
        &ears("ears", "PROCESS_COMMUNICATION,REMOTE_COMMUNICATION", "", ""),
        &script("cut", text, "stdout_capture_maxbytes=1MB"),
    ]);

    scene.run("cut");

    scene.await_log(
        "WARN 'cut' stdout ended within a comm event, which is not sent: 11 bytes: b'half a word'",
    );
    scene.wait("the log", || scene.file("cut.log") == "log");
    scene.send("next");
    assert_eq!(data(&scene.heard_of("ears", 1)), ["next"]);
}
