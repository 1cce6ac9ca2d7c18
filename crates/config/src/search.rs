//! Where a configuration file is looked for when none is named.

use crate::host::Host;
use crate::path::{join, parent};

/// What the face of the daemon says on standard error when root did not name a
/// file: whoever owns the current directory could have put one there.
pub const ROOT_SEARCH_WARNING: &str = "Supervisord runs as root and looks for its configuration \
     file in default locations, the current directory among them; name the file with \"-c\" and \
     an absolute path to be safe.";

/// The paths, in order. The first two are seen from the directory above that of
/// the program, by the text of `argv[0]` alone.
#[must_use]
pub fn candidates(argv0: &str) -> Vec<String> {
    let above = parent(parent(argv0));
    let near = ["etc/supervisord.conf", "supervisord.conf"].map(|path| join(above, path));
    let fixed = [
        "supervisord.conf",
        "etc/supervisord.conf",
        "/etc/supervisord.conf",
        "/etc/supervisor/supervisord.conf",
    ];
    near.into_iter().chain(fixed.map(str::to_owned)).collect()
}

/// The first of the paths where something is. A daemon that finds none reports
/// [`ConfigError::NotFound`](crate::ConfigError::NotFound) with all of them; a
/// client goes on with the defaults.
#[must_use]
pub fn find(host: &dyn Host, argv0: &str) -> Option<String> {
    candidates(argv0).into_iter().find(|path| host.exists(path))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ConfigError;
    use crate::fake::FakeHost;

    #[test]
    fn the_search_starts_beside_the_program() {
        let paths = candidates("/opt/x/bin/supervisord");

        assert_eq!(
            paths,
            [
                "/opt/x/etc/supervisord.conf",
                "/opt/x/supervisord.conf",
                "supervisord.conf",
                "etc/supervisord.conf",
                "/etc/supervisord.conf",
                "/etc/supervisor/supervisord.conf",
            ]
        );
    }

    #[test]
    fn a_program_without_a_slash_has_no_directory() {
        assert_eq!(candidates("supervisord")[..2], ["etc/supervisord.conf", "supervisord.conf"]);
        assert_eq!(candidates("./supervisord")[..1], ["etc/supervisord.conf"]);
        assert_eq!(candidates("/supervisord")[..1], ["/etc/supervisord.conf"]);
    }

    #[test]
    fn the_first_that_is_there_is_found() {
        let host = FakeHost::new()
            .file("/etc/supervisor/supervisord.conf", "")
            .file("/etc/supervisord.conf", "");

        assert_eq!(find(&host, "x").as_deref(), Some("/etc/supervisord.conf"));
        assert_eq!(find(&FakeHost::new(), "x"), None);
    }

    #[test]
    fn a_file_that_is_nowhere_is_an_error_with_all_paths() {
        let error = ConfigError::NotFound(candidates("supervisord"));

        assert_eq!(
            error.to_string(),
            "No config file found at default paths (etc/supervisord.conf, supervisord.conf, \
             supervisord.conf, etc/supervisord.conf, /etc/supervisord.conf, \
             /etc/supervisor/supervisord.conf); use the -c option to specify a config file at a \
             different path"
        );
    }
}
