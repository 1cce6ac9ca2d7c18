//! What the client needs: `[supervisorctl]`, with its command line over it.

use crate::error::ConfigError;
use crate::host::Host;
use crate::load::Source;
use crate::options::{
    self, CONTROL_FLAGS, CONTROL_OPTIONS, CONTROL_PLUGIN_OPTIONS, ControlDraft, PluginKind,
    apply_overrides,
};
use crate::path::resolved;

/// The settings of the client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ControlSettings {
    /// URL of the server.
    pub server_url: String,
    /// What the prompt says.
    pub prompt: String,
    /// User name for the server.
    pub username: Option<String>,
    /// Password for the server.
    pub password: Option<String>,
    /// File that keeps the lines typed, absolute.
    pub history_file: Option<String>,
    /// The plugins, by the name that follows the colon of their sections.
    pub plugins: Vec<(String, PluginKind)>,
}

/// Loads the client's settings from a file, or the defaults where there is none.
/// `[include]` is not looked at, as in Supervisor. What the command line says
/// counts more than the file.
///
/// # Errors
///
/// Everything that Supervisor refuses, in its words.
pub fn load(
    host: &dyn Host,
    file: Option<&str>,
    overrides: &[(String, String)],
) -> Result<ControlSettings, ConfigError> {
    let (mut draft, plugins) = match file {
        Some(file) => read(&Source::open(host, file)?)?,
        None => (defaults(host)?, Vec::new()),
    };
    apply_overrides(CONTROL_OPTIONS, host, overrides, &mut draft)?;
    Ok(ControlSettings {
        server_url: draft.serverurl,
        prompt: draft.prompt,
        username: draft.username,
        password: draft.password,
        history_file: draft.history_file,
        plugins,
    })
}

/// Checks the value of a flag of the client's command line, `-s` or `--serverurl`.
///
/// # Errors
///
/// That it is invalid, and why.
pub fn check_flag(flag: &str, text: &str) -> Result<(), ConfigError> {
    let Some(known) = CONTROL_FLAGS.iter().find(|known| known.is_written(flag)) else {
        return Ok(());
    };
    options::check_control_flag(known.option, text).map_err(|error| ConfigError::Flag {
        flag: flag.to_owned(),
        text: text.to_owned(),
        error: Box::new(error.into()),
    })
}

/// The plugins, by name.
type Plugins = Vec<(String, PluginKind)>;

fn read(source: &Source<'_>) -> Result<(ControlDraft, Plugins), ConfigError> {
    let section = source.ini.section("supervisorctl").ok_or(ConfigError::NoControlSection)?;
    let mut draft: ControlDraft = source.section(section).read(CONTROL_OPTIONS)?;
    // A path on the command line stays as it is, in Supervisor and here.
    if let Some(path) = draft.serverurl.strip_prefix("unix://") {
        draft.serverurl = format!("unix://{}", resolved(source.host, path));
    }
    let mut plugins = Vec::new();
    for section in source.ini.sections().filter(|section| section.name().starts_with("ctlplugin:"))
    {
        let kind = source.section(section).read(CONTROL_PLUGIN_OPTIONS)?.kind;
        plugins.push((section.suffix().unwrap_or_default().to_owned(), kind));
    }
    Ok((draft, plugins))
}

fn defaults(host: &dyn Host) -> Result<ControlDraft, ConfigError> {
    let mut draft = ControlDraft::default();
    let reading = options::Reading { host, section: "supervisorctl" };
    for entry in CONTROL_OPTIONS {
        if let options::Fallback::Text(text) = entry.fallback {
            (entry.apply)(&mut draft, &reading, text)?;
        }
    }
    Ok(draft)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake::FakeHost;

    fn loaded(text: &str) -> Result<ControlSettings, ConfigError> {
        load(&FakeHost::new().file("/etc/s.conf", text), Some("/etc/s.conf"), &[])
    }

    #[test]
    fn a_client_without_a_file_has_defaults() {
        let settings = load(&FakeHost::new(), None, &[]).unwrap();

        assert_eq!(settings.server_url, "http://localhost:9001");
        assert_eq!(settings.prompt, "supervisor");
        assert_eq!(
            (settings.username, settings.password, settings.history_file),
            (None, None, None)
        );
    }

    #[test]
    fn a_file_names_paths_from_its_directory() {
        let settings = loaded(
            "[supervisorctl]\nserverurl=unix://%(here)s/../s.sock\nhistory_file=~/h\nprompt=%(ENV_HOME)s\n",
        )
        .unwrap();

        assert_eq!(settings.server_url, "unix:///s.sock");
        assert_eq!(settings.history_file.as_deref(), Some("/home/me/h"));
        assert_eq!(settings.prompt, "/home/me");
    }

    #[test]
    fn plugins_that_are_built_in_have_the_names_of_their_sections() {
        let settings = loaded(
            "[supervisorctl]\n[ctlplugin:cache]\nsupervisor.ctl_factory=\
             supervisor_cache.controllerplugin:make_cache_controllerplugin\n[ctlplugin:riker]\n\
             supervisor.ctl_factory=mr.laforge.controllerplugin:make_laforge_controllerplugin\n",
        )
        .unwrap();

        let named = |name: &str, kind| (name.to_owned(), kind);
        let wanted = [named("cache", PluginKind::Cache), named("riker", PluginKind::Laforge)];
        assert_eq!(settings.plugins, wanted);
    }

    #[test]
    fn the_command_line_counts_more_than_the_file() {
        let host = FakeHost::new().file("/etc/s.conf", "[supervisorctl]\nserverurl=http://a:1\n");
        let overrides = [("serverurl".to_owned(), "http://b:2".to_owned())];

        let settings = load(&host, Some("/etc/s.conf"), &overrides).unwrap();

        assert_eq!(settings.server_url, "http://b:2");
    }

    #[test]
    fn what_is_wrong_is_told() {
        let cases = [
            ("[x]\n", ".ini file does not include supervisorctl section"),
            (
                "[supervisorctl]\n[ctlplugin:x]\n",
                "section [ctlplugin:x] does not specify a supervisor.ctl_factory",
            ),
            (
                "[supervisorctl]\n[ctlplugin:x]\nsupervisor.ctl_factory=a:b\n",
                "a:b cannot be resolved within [ctlplugin:x]",
            ),
            (
                "[supervisorctl]\nprompt=%(here)s\n",
                "Format string '%(here)s' for 'supervisorctl.prompt' contains names ('here') which \
                 cannot be expanded. Available names: ENV_HOME",
            ),
        ];

        for (text, wanted) in cases {
            assert_eq!(loaded(text).unwrap_err().to_string(), wanted);
        }
        let missing = load(&FakeHost::new(), Some("/x"), &[]).unwrap_err();
        assert_eq!(missing.to_string(), "could not find config file /x");
    }

    #[test]
    fn a_bad_url_on_the_command_line_is_told_with_its_flag() {
        assert_eq!(
            check_flag("-s", "foo").unwrap_err().to_string(),
            "invalid value for -s 'foo': value 'foo' is not a URL"
        );
        assert_eq!(check_flag("--serverurl", "http://h:1"), Ok(()));
        assert_eq!(check_flag("-u", "foo"), Ok(()));
    }
}
