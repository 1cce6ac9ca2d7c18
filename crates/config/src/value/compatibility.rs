//! `compat` of `[rs]`.

use super::ValueError;

/// Whose rules hold for services where they differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Compatibility {
    /// Ours.
    #[default]
    Bardo,
    /// MINIX's.
    Minix,
}

/// `bardo` or `minix`.
///
/// # Errors
///
/// When it is neither.
pub fn compatibility(text: &str) -> Result<Compatibility, ValueError> {
    match text.trim() {
        "bardo" => Ok(Compatibility::Bardo),
        "minix" => Ok(Compatibility::Minix),
        _ => Err(ValueError::choice(text, "bardo, minix")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_two_sets_of_rules() {
        assert_eq!(compatibility("bardo"), Ok(Compatibility::Bardo));
        assert_eq!(compatibility(" minix"), Ok(Compatibility::Minix));
        let error = compatibility("unix").unwrap_err();
        assert_eq!(error.to_string(), "'unix' is not one of bardo, minix");
    }
}
