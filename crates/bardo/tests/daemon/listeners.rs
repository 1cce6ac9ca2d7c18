//! What listeners are sent.

use std::fs;

use crate::scene::open;

/// A listener that takes as many bytes of a payload as its header says, and writes them
/// down with the header's number.
const EAR: &str = r#"
while echo READY && read -r header; do
  length=${header##*len:}
  { echo "$length"; head -c "$length"; echo; } > "$1.new"
  cat "$1.new" >> "$1"
  printf 'RESULT 2\nOK'
done
"#;

#[test]
fn who_reads_bytes_keeps_step_where_lengths_are_in_bytes() {
    let listener = |name: &str, more: &str| {
        format!(
            "[eventlistener:{name}]\ncommand=/bin/sh {{here}}/ear.sh {{here}}/{name}\n\
             events=REMOTE_COMMUNICATION\nautostart=false\nstartsecs=0\n{more}\n"
        )
    };
    let programs = listener("bytes", "event_length=bytes") + &listener("characters", "");
    let scene = open("", &programs);
    fs::write(scene.home.file("ear.sh"), EAR).unwrap();
    for name in ["bytes", "characters"] {
        scene.client().about("startProcess", name).unwrap();
        scene.until(name, "RUNNING");
    }

    for word in ["h\u{e9}", "again"] {
        let event = ["t".into(), word.into()];
        scene.client().call("supervisor.sendRemoteCommEvent", &event).unwrap();
    }

    let heard = |name: &str| fs::read_to_string(scene.home.file(name)).unwrap_or_default();
    scene.wait("both events in bytes", || {
        heard("bytes") == "10\ntype:t\nh\u{e9}\n12\ntype:t\nagain\n"
    });
    // It takes one byte less than there are.
    scene.wait("a length in characters", || {
        fs::read(scene.home.file("characters"))
            .is_ok_and(|bytes| bytes.starts_with(b"9\ntype:t\nh\xc3\n"))
    });
}
