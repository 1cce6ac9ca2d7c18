//! Log levels.

use super::ValueError;

/// How much goes into the main log, least first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum LogLevel {
    /// What stops the supervisor or should.
    Critical,
    /// Errors.
    Error,
    /// Warnings.
    Warn,
    /// What happens to programs.
    #[default]
    Info,
    /// What may help to find a fault.
    Debug,
    /// Requests and answers.
    Trace,
    /// Everything.
    Blather,
}

/// The names, as the file may give them.
const NAMES: [(&str, LogLevel); 7] = [
    ("critical", LogLevel::Critical),
    ("error", LogLevel::Error),
    ("warn", LogLevel::Warn),
    ("info", LogLevel::Info),
    ("debug", LogLevel::Debug),
    ("trace", LogLevel::Trace),
    ("blather", LogLevel::Blather),
];

/// A log level by its name, in any case.
///
/// # Errors
///
/// When there is no such level.
pub fn log_level(text: &str) -> Result<LogLevel, ValueError> {
    let lower = text.to_lowercase();
    let found = NAMES.iter().find(|(name, _)| *name == lower);
    found.map(|(_, level)| *level).ok_or_else(|| ValueError::LogLevel(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_have_names_in_any_case() {
        assert_eq!(log_level("BLATHER"), Ok(LogLevel::Blather));
        assert_eq!(log_level("warn"), Ok(LogLevel::Warn));
    }

    #[test]
    fn warning_is_no_level() {
        let error = log_level("Warning").unwrap_err();
        assert_eq!(error.to_string(), "bad logging level name 'Warning'");
    }
}
