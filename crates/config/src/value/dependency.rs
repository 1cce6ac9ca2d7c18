//! `depends_on`: what must be there before a program starts.

use bardo_core::spec::care::{Condition, Dependency};

use super::ValueError;

/// What stands for all processes of a group.
const ALL: &str = "*";

/// Dependencies between blanks or commas, each `NAME`, `NAME:CONDITION`, `GROUP:NAME` or
/// `GROUP:NAME:CONDITION`. A condition is `started`, which is also what counts where none
/// is said, or `ready`. The last part is a condition when it is one of these two words, so
/// a process that is called like one is written with its condition.
///
/// # Errors
///
/// When one of them is none of that, or stands there twice.
pub fn dependencies(text: &str) -> Result<Vec<Dependency>, ValueError> {
    let mut all: Vec<Dependency> = Vec::new();
    let items = text.split(|character: char| character.is_whitespace() || character == ',');
    for item in items.filter(|item| !item.is_empty()) {
        let dependency = dependency(item).ok_or_else(|| ValueError::Dependency(item.to_owned()))?;
        let names = |it: &Dependency| it.group == dependency.group && it.name == dependency.name;
        if all.iter().any(names) {
            return Err(ValueError::RepeatedDependency(item.to_owned()));
        }
        all.push(dependency);
    }
    Ok(all)
}

fn dependency(item: &str) -> Option<Dependency> {
    let (label, condition) = match item.rsplit_once(':') {
        Some((label, "started")) => (label, Condition::Started),
        Some((label, "ready")) => (label, Condition::Ready),
        _ => (item, Condition::Started),
    };
    let (group, name) = label.split_once(':').unwrap_or(("", label));
    let is_cut_short = name.is_empty() || label.starts_with(':');
    let fits = |part: &str| !part.contains([':', '/']) && (part == ALL || !part.contains('*'));
    if is_cut_short
        || !fits(name)
        || !fits(group)
        || group == ALL
        || (group.is_empty() && name == ALL)
    {
        return None;
    }
    let name = if name == ALL { "" } else { name };
    Some(Dependency { group: group.into(), name: name.into(), condition })
}

/// A dependency as it is written.
#[must_use]
pub fn dependency_label(dependency: &Dependency) -> String {
    match (&*dependency.group, &*dependency.name) {
        ("", name) => name.to_owned(),
        (group, "") => format!("{group}:{ALL}"),
        (group, name) => format!("{group}:{name}"),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str) -> Vec<(String, Condition)> {
        let all = dependencies(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        all.iter().map(|it| (dependency_label(it), it.condition)).collect()
    }

    #[test]
    fn the_last_part_is_a_condition_when_it_is_one_of_two_words() {
        use Condition::{Ready, Started};
        let cases: [(&str, &[(&str, Condition)]); 7] = [
            ("", &[]),
            ("db", &[("db", Started)]),
            ("a:ready b:started", &[("a", Ready), ("b", Started)]),
            ("a,b:ready,\n c", &[("a", Started), ("b", Ready), ("c", Started)]),
            ("web:api", &[("web:api", Started)]),
            ("web:api:ready web:*:ready", &[("web:api", Ready), ("web:*", Ready)]),
            ("web:ready:started", &[("web:ready", Started)]),
        ];

        for (text, wanted) in cases {
            let wanted: Vec<(String, Condition)> =
                wanted.iter().map(|(label, condition)| ((*label).to_owned(), *condition)).collect();
            assert_eq!(read(text), wanted, "{text}");
        }
    }

    #[test]
    fn what_names_nothing_is_refused() {
        for text in [":", ":a", "a:", "a:b:c", "a:b:c:ready", "*", "*:a", ":ready", "a/b", "a*"] {
            let wanted = format!(
                "not a dependency: '{text}'; one is NAME, GROUP:NAME or GROUP:*, with :started \
                 or :ready behind it"
            );
            assert_eq!(dependencies(text).unwrap_err().to_string(), wanted);
        }
        let error = dependencies("a b a:ready").unwrap_err();
        assert_eq!(error.to_string(), "'a:ready' stands there twice");
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text: String) {
            let _ = dependencies(&text);
        }

        #[test]
        fn what_is_written_is_read(labels in prop::collection::btree_set("[a-z]{1,3}(:[b-q]{1,3})?", 0..4)) {
            let text = labels.iter().map(|label| format!("{label}:ready")).collect::<Vec<_>>();

            let all = dependencies(&text.join(" ")).unwrap();

            let back: Vec<String> = all.iter().map(dependency_label).collect();
            prop_assert_eq!(back, labels.into_iter().collect::<Vec<_>>());
        }
    }
}
