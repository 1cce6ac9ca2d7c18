//! `stdout_logfile` and `stderr_logfile`.

use bardo_core::spec::LogTarget;

use super::{ValueError, file_in_directory};
use crate::host::Host;

/// What a program's log file can be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LogFile {
    /// A file or none.
    Target(LogTarget),
    /// The deprecated way to ask for syslog.
    Syslog,
}

/// A file whose directory is there, or one of the words `NONE`, `OFF`, `AUTO` and
/// `syslog` in any case. An empty text is no file.
///
/// # Errors
///
/// When the directory is not there.
pub fn log_file(host: &dyn Host, text: &str) -> Result<LogFile, ValueError> {
    let target = match text.to_lowercase().as_str() {
        "" | "none" | "off" => LogTarget::None,
        "auto" => LogTarget::Auto,
        "syslog" => return Ok(LogFile::Syslog),
        _ => LogTarget::File(file_in_directory(host, text)?.into()),
    };
    Ok(LogFile::Target(target))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake::FakeHost;

    #[test]
    fn a_log_file_may_be_a_word() {
        let host = FakeHost::new();
        let none = LogFile::Target(LogTarget::None);

        assert_eq!(log_file(&host, "NONE").as_ref(), Ok(&none));
        assert_eq!(log_file(&host, "off").as_ref(), Ok(&none));
        assert_eq!(log_file(&host, "").as_ref(), Ok(&none));
        assert_eq!(log_file(&host, "Auto"), Ok(LogFile::Target(LogTarget::Auto)));
        assert_eq!(log_file(&host, "SYSLOG"), Ok(LogFile::Syslog));
        let file = LogTarget::File("/tmp/x".into());
        assert_eq!(log_file(&host, "/tmp/x"), Ok(LogFile::Target(file)));
    }
}
