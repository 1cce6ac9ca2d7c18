//! The manual pages and completions that are checked in.

#![expect(clippy::unwrap_used, reason = "all of this is a test, its helpers too")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use bardo::manual;
use bardo::selftest::home::write_executable;

fn share() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../share")
}

#[test]
fn the_manual_is_what_the_tables_say() {
    for document in manual::documents() {
        let there = fs::read_to_string(share().join(&document.path)).unwrap_or_default();

        assert!(
            there == document.text,
            "share/{} is stale; renew all of it with: cargo run -- manual share",
            document.path
        );
    }
}

#[test]
fn nothing_else_is_there() {
    let known: Vec<PathBuf> =
        manual::documents().iter().map(|document| share().join(&document.path)).collect();
    let mut folders = vec![share()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                assert!(known.contains(&path), "{} belongs to nothing", path.display());
            }
        }
    }
}

#[test]
fn the_document_of_system_conf_has_a_row_for_every_keyword() {
    let path = share().join("../docs/system.conf.md");
    let document = fs::read_to_string(path).unwrap();
    let shown: Vec<&str> = document.lines().filter(|line| line.starts_with("| `")).collect();

    assert_eq!(shown, manual::system_conf::rows(), "the rows belong into docs/system.conf.md");
}

/// What bash offers behind a command line, as somebody sees it who presses Tab.
fn completed(line: &str, tools: &Path) -> Vec<String> {
    let script = format!(
        "PATH={}:$PATH\nfor file in {}/bash-completion/completions/*; do . \"$file\"; done\n\
         COMP_LINE='{line}'\nCOMP_POINT=${{#COMP_LINE}}\nread -ra COMP_WORDS <<<\"$COMP_LINE\"\n\
         [[ $COMP_LINE == *' ' ]] && COMP_WORDS+=('')\nCOMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))\n\
         tool=${{COMP_WORDS[0]}}\n\
         function=$(complete -p \"$tool\" | sed -E 's/.*-F ([^ ]+).*/\\1/')\n\
         \"$function\" \"$tool\" \"${{COMP_WORDS[COMP_CWORD]}}\" \"${{COMP_WORDS[COMP_CWORD-1]}}\"\n\
         printf '%s\\n' \"${{COMPREPLY[@]}}\"\n",
        tools.display(),
        share().display()
    );
    // It complains of a locale that is not there.
    let mut bash = Command::new("bash");
    let output = bash.args(["--norc", "-c", &script]).env("LC_ALL", "C").output().unwrap();
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    let said = String::from_utf8(output.stdout).unwrap();
    said.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect()
}

#[test]
fn bash_completes_verbs_options_and_the_labels_of_services() {
    let home = tempfile::tempdir().unwrap();
    let tool = "#!/bin/sh\n[ \"$*\" = '--socket /x list' ] && exec printf \
                '%s\\n' '----label---- endpoint-' '          web 7' '          g:a 8'\n";
    write_executable(&home.path().join("minix-service"), tool.as_bytes()).unwrap();
    let completed = |line: &str| completed(line, home.path());

    assert_eq!(completed("minix-service re"), ["refresh", "restart"]);
    assert_eq!(completed("minix-service --socket /x -c refresh "), ["web", "g:a"]);
    assert_eq!(completed("minix-service up /bin/true -period 1s -health-i"), ["-health-interval"]);
    assert_eq!(completed("minix-service up /bin/true -ready no"), ["notify"]);
    assert_eq!(completed("minix-service sysctl srv"), ["srv_status"]);
    assert_eq!(completed("minix-service edit /bin/truncat"), ["/bin/truncate"]);
}

#[test]
fn bash_completes_commands_flags_and_the_names_of_processes() {
    let home = tempfile::tempdir().unwrap();
    let said = "cat RUNNING pid 1\ng:a-1 STOPPED Not started\ng:a-2 FATAL no\nunix:///x refused";
    // What is asked and how is told apart from what is not known.
    let tool = format!(
        "#!/bin/sh\n[ \"$*\" = '-c /x status' ] && exec printf '%s\\n' '{said}'\n\
         [ \"$*\" = avail ] && exec printf 'cat in use auto 999:999\\ng:a-1 avail auto 1:1\\n'\n"
    );
    write_executable(&home.path().join("supervisorctl"), tool.as_bytes()).unwrap();
    let completed = |line: &str| completed(line, home.path());

    assert_eq!(completed("supervisorctl st"), ["start", "status", "stop"]);
    assert_eq!(completed("supervisorctl --conf"), ["--configuration"]);
    assert_eq!(
        completed("supervisorctl -c /x start "),
        ["cat", "g:a-1", "g:*", "g:a-2", "all"],
        "names are those of the supervisor that the flags lead to"
    );
    // Bash replaces what stands behind the colon.
    assert_eq!(completed("supervisorctl -c /x stop g:a-"), ["a-1", "a-2"]);
    assert_eq!(completed("supervisorctl update "), ["cat", "g", "all"]);
    assert_eq!(completed("supervisorctl signal U"), ["USR1", "USR2"]);
    assert_eq!(completed("supervisorctl -o j"), ["json"]);
    assert_eq!(
        completed("supervisorctl -i -o json --output=json -c /x start c"),
        ["cat"],
        "what the command is to answer with is no matter of the question for names"
    );
    assert_eq!(completed("supervisorctl version "), [] as [&str; 0]);
    assert_eq!(completed("supervisord --logfile_"), ["--logfile_maxbytes", "--logfile_backups"]);
    assert_eq!(completed("bardo self"), ["selftest"]);
    assert_eq!(completed("bardo service sh"), ["shutdown", "show"]);
    assert_eq!(completed("bardo selftest h"), ["hostile"]);
    assert_eq!(completed("bardo completions z"), ["zsh"]);
}
