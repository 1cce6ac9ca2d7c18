//! Directories, and files that could be made in one.

use super::ValueError;
use crate::host::Host;
use crate::path::{parent, with_home};

/// A directory that is there, its home replaced.
///
/// # Errors
///
/// When it is not there.
pub fn directory(host: &dyn Host, text: &str) -> Result<String, ValueError> {
    let path = with_home(host, text);
    if host.is_directory(&path) { Ok(path) } else { Err(ValueError::Directory(text.to_owned())) }
}

/// A file whose directory is there, its home replaced. A bare file name needs none.
///
/// # Errors
///
/// When the directory is not there.
pub fn file_in_directory(host: &dyn Host, text: &str) -> Result<String, ValueError> {
    let path = with_home(host, text);
    let directory = parent(&path);
    if directory.is_empty() || host.is_directory(directory) {
        Ok(path)
    } else {
        Err(ValueError::ParentDirectory(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake::FakeHost;

    #[test]
    fn a_directory_must_be_there() {
        let host = FakeHost::new();

        assert_eq!(directory(&host, "~"), Ok("/home/me".to_owned()));
        let error = directory(&host, "~/nope").unwrap_err();
        assert_eq!(error.to_string(), "~/nope is not an existing directory");
    }

    #[test]
    fn a_file_needs_its_directory() {
        let host = FakeHost::new();

        assert_eq!(file_in_directory(&host, "x.log"), Ok("x.log".to_owned()));
        assert_eq!(file_in_directory(&host, "~/x.log"), Ok("/home/me/x.log".to_owned()));
        let error = file_in_directory(&host, "/no/such/dir/x.log").unwrap_err();
        assert_eq!(
            error.to_string(),
            "The directory named as part of the path /no/such/dir/x.log does not exist"
        );
    }
}
