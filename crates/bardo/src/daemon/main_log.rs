//! Lines of the main log: their levels and their shape. The pump writes them.

use std::io::Write;

use bardo_config::value::LogLevel;
use bardo_sys::clock::LocalTime;
use serde::{Deserialize, Serialize};

/// How much a line matters, the most important one last.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
pub enum Level {
    /// Every byte that comes by.
    Blather,
    /// Every call.
    Trace,
    /// What a developer wants to see.
    Debug,
    /// What an operator wants to see.
    #[default]
    Info,
    /// What an operator should look at.
    Warn,
    /// Something failed.
    Error,
    /// Something must be done.
    Critical,
}

impl Level {
    /// The four letters in a line.
    #[must_use]
    pub fn letters(self) -> &'static str {
        match self {
            Self::Blather => "BLAT",
            Self::Trace => "TRAC",
            Self::Debug => "DEBG",
            Self::Info => "INFO",
            Self::Warn => "WARN",
            Self::Error => "ERRO",
            Self::Critical => "CRIT",
        }
    }
}

impl From<LogLevel> for Level {
    fn from(level: LogLevel) -> Self {
        match level {
            LogLevel::Blather => Self::Blather,
            LogLevel::Trace => Self::Trace,
            LogLevel::Debug => Self::Debug,
            LogLevel::Info => Self::Info,
            LogLevel::Warn => Self::Warn,
            LogLevel::Error => Self::Error,
            LogLevel::Critical => Self::Critical,
        }
    }
}

/// Bytes of a line before its message.
pub const HEADER_BYTES: usize = "YYYY-MM-DD HH:MM:SS,mmm LEVL ".len();

/// A whole line: `YYYY-MM-DD HH:MM:SS,mmm LEVL message`, local time, as Supervisor
/// writes it.
#[must_use]
pub fn line(time: LocalTime, level: Level, message: &str) -> Vec<u8> {
    let mut line = Vec::with_capacity(32 + message.len());
    let LocalTime { year, month, day, hour, minute, second, millisecond, .. } = time;
    // Writing into memory cannot fail.
    let _ = writeln!(
        line,
        "{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02},{millisecond:03} {} {message}",
        level.letters()
    );
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_supervisors_shape() {
        let time = LocalTime {
            year: 2026,
            month: 1,
            day: 2,
            weekday: 5,
            hour: 3,
            minute: 4,
            second: 5,
            millisecond: 6,
        };

        let text = String::from_utf8(line(time, Level::Warn, "hello")).unwrap();

        assert_eq!(text, "2026-01-02 03:04:05,006 WARN hello\n");
    }
}
