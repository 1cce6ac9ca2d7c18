//! Namespecs: how processes and groups are called by people.

/// What a namespec names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Namespec<'a> {
    /// The group.
    pub group: &'a str,
    /// The process; `None` is the whole group.
    pub process: Option<&'a str>,
}

/// Takes a namespec apart. `name` is the process of that name in the group of that
/// name; `group:` and `group:*` are the whole group.
#[must_use]
pub fn parse(text: &str) -> Namespec<'_> {
    match text.split_once(':') {
        Some((group, "" | "*")) => Namespec { group, process: None },
        Some((group, process)) => Namespec { group, process: Some(process) },
        None => Namespec { group: text, process: Some(text) },
    }
}

/// How a process is called: short where its group has the same name.
#[must_use]
pub fn namespec(group: &str, process: &str) -> String {
    if group == process { process.to_owned() } else { format!("{group}:{process}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_namespec_is_taken_apart_at_its_first_colon() {
        let cases = [
            ("p", "p", Some("p")),
            ("g:p", "g", Some("p")),
            ("g:p:q", "g", Some("p:q")),
            ("g:*", "g", None),
            ("g:", "g", None),
            (":p", "", Some("p")),
            ("", "", Some("")),
        ];

        for (text, group, process) in cases {
            assert_eq!(parse(text), Namespec { group, process }, "{text}");
        }
    }

    #[test]
    fn equal_names_are_said_once() {
        assert_eq!(namespec("p", "p"), "p");
        assert_eq!(namespec("g", "p"), "g:p");
    }
}
