//! What two texts of a definition differ in, by the names of their settings.

/// Which settings two texts differ in, by their names.
#[must_use]
pub fn between(old: &str, new: &str) -> Vec<String> {
    let mut names = missing(old, new);
    let gone = missing(new, old).into_iter().filter(|name| !names.contains(name));
    names.extend(gone.collect::<Vec<_>>());
    names
}

/// Which settings of a new text an old one does not have like that, by their names.
#[must_use]
pub fn missing(old: &str, new: &str) -> Vec<String> {
    let (old, new) = (settings(old), settings(new));
    let mut names: Vec<String> = Vec::new();
    for (name, _) in new.into_iter().filter(|setting| !old.contains(setting)) {
        if !name.is_empty() && !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

/// The lines of a text that set something, with the names of that: the first word, or the key
/// of a property list. Comments set nothing.
fn settings(text: &str) -> Vec<(String, String)> {
    let lines = text.lines().map(str::trim);
    let lines = lines.filter(|line| {
        !line.is_empty() && !["#", ";", "<!", "<?"].iter().any(|sign| line.starts_with(sign))
    });
    let mut key = String::new();
    let mut found = Vec::new();
    for line in lines {
        if let Some(name) = line.strip_prefix("<key>").and_then(|rest| rest.split('<').next()) {
            name.clone_into(&mut key);
        } else if !line.starts_with('<') {
            line.split(['=', ' ', '(']).next().unwrap_or(line).clone_into(&mut key);
        }
        found.push((key.clone(), line.to_owned()));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_is_told_by_the_names_of_settings_and_not_by_comments() {
        let unit =
            |user: &str| format!("# Options of bardo: {user}\n[Service]\nA=1\nUser={user}\n");
        assert_eq!(between(&unit("a"), &unit("b")), ["User"]);
        let list = |word: &str| {
            format!(
                "<?xml?>\n<!-- {word} -->\n<dict>\n<key>Label</key>\n<string>x</string>\n\
                 <key>ProgramArguments</key>\n<array>\n<string>{word}</string>\n</array>\n"
            )
        };
        assert_eq!(between(&list("a"), &list("b")), ["ProgramArguments"]);
        let job = |seconds: u8| format!("# x {seconds}\nkill timeout {seconds}\nrespawn\n");
        assert_eq!(between(&job(1), &job(2)), ["kill"]);
        assert_eq!(between("# a\n; b\nA=1\n", "# b\nA=1\n"), [] as [String; 0]);
    }

    #[test]
    fn what_differs_is_named_by_its_settings() {
        let old = "# sum: 1\nA=1\nB=2\nrespawn limit 0 0\n";
        let new = "# sum: 2\nA=1\nB=3\nC=4\n";

        assert_eq!(between(old, new), ["B", "C", "respawn"]);
        assert_eq!(missing(old, new), ["B", "C"]);
        assert!(between(new, new).is_empty());
    }
}
