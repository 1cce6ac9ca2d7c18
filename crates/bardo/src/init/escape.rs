//! Words as the files of init systems have to have them.

/// A word of a command line in a unit of systemd, behind the executable.
#[must_use]
pub fn systemd_argument(word: &str) -> String {
    systemd(word, Dollar::Doubled)
}

/// The executable at the beginning of a command line in a unit of systemd: a dollar sign
/// means nothing there.
#[must_use]
pub fn systemd_executable(path: &str) -> String {
    systemd(path, Dollar::Plain)
}

/// Whether systemd refuses an executable of that name, however it is written.
#[must_use]
pub fn is_refused_by_systemd(path: &str) -> bool {
    path.contains(['"', '\'', '\\'])
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Dollar {
    Doubled,
    Plain,
}

fn systemd(word: &str, dollar: Dollar) -> String {
    if is_plain(word) {
        return word.to_owned();
    }
    let mut text = String::from("\"");
    for letter in word.chars() {
        match letter {
            '%' => text.push_str("%%"),
            '$' if dollar == Dollar::Doubled => text.push_str("$$"),
            '"' | '\\' => text.extend(['\\', letter]),
            _ => text.push(letter),
        }
    }
    text.push('"');
    text
}

/// A word of a shell script.
#[must_use]
pub fn shell(word: &str) -> String {
    if is_plain(word) { word.to_owned() } else { quoted(word) }
}

/// A word of a shell script in single quotes, whatever is in it.
#[must_use]
pub fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// A text between two tags.
#[must_use]
pub fn xml(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// Whether a word stands for itself in all of these languages.
fn is_plain(word: &str) -> bool {
    let is_good = |letter: u8| letter.is_ascii_alphanumeric() || b"_./-".contains(&letter);
    !word.is_empty() && word.bytes().all(is_good)
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    const ODD: &str = "a b%c$d\"e'f\\g`h;#\u{e4}!*";

    #[test]
    fn words_that_mean_nothing_stay_as_they_are() {
        for escaped in [systemd_argument, systemd_executable, shell, xml] {
            assert_eq!(escaped("/usr/bin/bardo-1.0"), "/usr/bin/bardo-1.0");
        }
    }

    #[test]
    fn systemd_takes_percent_signs_dollar_signs_quotes_and_backslashes_doubled() {
        assert_eq!(systemd_argument("a b%$\"\\"), r#""a b%%$$\"\\""#);
        assert_eq!(systemd_executable("/a b$"), r#""/a b$""#);
    }

    #[test]
    fn a_shell_reads_a_quoted_word_as_it_was() {
        let script = format!("printf %s {}", shell(ODD));

        let output = Command::new("sh").args(["-c", &script]).output().unwrap();

        assert_eq!(String::from_utf8_lossy(&output.stdout), ODD);
    }

    #[test]
    fn tags_are_no_tags_in_a_text() {
        assert_eq!(xml("<a>&\"b\""), "&lt;a&gt;&amp;&quot;b&quot;");
    }
}
