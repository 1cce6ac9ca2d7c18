//! What somebody may have meant.

/// The known word that is nearest, if one is near: a third of the letters may be wrong.
pub(crate) fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let plain = |word: &str| word.to_lowercase().replace(['-', ' '], "_");
    let word = plain(word);
    let errors_max = (word.chars().count() / 3).max(1);
    known
        .into_iter()
        .map(|known| (strsim::damerau_levenshtein(&word, &plain(known)), known))
        .filter(|(errors, _)| *errors <= errors_max)
        .min_by_key(|(errors, _)| *errors)
        .map(|(_, known)| known)
}

/// A sentence that offers it, or nothing.
pub(super) fn offer<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    nearest(word, known).map(|known| format!("perhaps `{known}` is meant")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_near_is_offered_and_what_is_far_is_not() {
        let known = ["command", "stdout_logfile", "user"];

        assert_eq!(nearest("commnad", known), Some("command"));
        assert_eq!(nearest("stdout-logfile", known), Some("stdout_logfile"));
        assert_eq!(nearest("Users", known), Some("user"));
        assert_eq!(nearest("numprocs", known), None);
    }
}
