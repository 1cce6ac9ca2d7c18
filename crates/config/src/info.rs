//! A process as `getAllConfigInfo` shows it.

use bardo_core::spec::{LogSpec, LogTarget, Reach};
use bardo_core::{GroupSpec, ServiceSpec};

/// One value of the answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InfoValue {
    /// A whole number.
    Integer(i64),
    /// True or false.
    Boolean(bool),
    /// A text; what is unset says `none`.
    Text(String),
    /// Whole numbers.
    Integers(Vec<i64>),
}

/// What the daemon knows of a process beyond its specs.
#[derive(Debug, Clone, Copy, Default)]
pub struct Presence<'a> {
    /// Whether its group is there.
    pub in_use: bool,
    /// The file that an automatic log of standard output has become.
    pub stdout_logfile: Option<&'a str>,
    /// The file that an automatic log of standard error has become.
    pub stderr_logfile: Option<&'a str>,
}

/// All keys and values, in the order of Supervisor's answer. The answer as a whole
/// is sorted by the name of the process, without regard to its group.
#[must_use]
pub fn config_info(
    group: &GroupSpec,
    service: &ServiceSpec,
    presence: Presence<'_>,
) -> Vec<(&'static str, InfoValue)> {
    use InfoValue::{Boolean, Integer, Integers};
    let program = &*service.program;
    let startsecs = program.startsecs.0;
    let codes = program.exit_codes.iter().map(|code| i64::from(*code)).collect();
    let (stdout, stderr) = (&service.stdout, &service.stderr);
    vec![
        ("autostart", Boolean(program.autostart)),
        ("directory", text(service.directory.as_deref())),
        ("uid", program.user.as_ref().map_or_else(|| text(None), |user| Integer(user.uid.into()))),
        ("command", text(Some(&service.command))),
        ("exitcodes", Integers(codes)),
        ("group", text(Some(&group.name))),
        ("group_prio", Integer(group.priority)),
        ("inuse", Boolean(presence.in_use)),
        ("killasgroup", Boolean(program.stop.kill_reach == Reach::Group)),
        ("name", text(Some(&service.name))),
        ("process_prio", Integer(program.priority)),
        ("redirect_stderr", Boolean(program.redirect_stderr)),
        ("startretries", Integer(program.restart.start_retries.unwrap_or(i64::MAX))),
        ("startsecs", Integer(startsecs)),
        ("stdout_capture_maxbytes", Integer(stdout.capture_bytes_max)),
        ("stdout_events_enabled", Boolean(stdout.events)),
        ("stdout_logfile", log_file(stdout, presence.stdout_logfile)),
        ("stdout_logfile_backups", Integer(stdout.backups)),
        ("stdout_logfile_maxbytes", Integer(stdout.bytes_max)),
        ("stdout_syslog", Boolean(stdout.syslog)),
        ("stopsignal", Integer(program.stop.signal.number().into())),
        ("stopwaitsecs", Integer(program.stop.wait.0)),
        ("stderr_capture_maxbytes", Integer(stderr.capture_bytes_max)),
        ("stderr_events_enabled", Boolean(stderr.events)),
        ("stderr_logfile", log_file(stderr, presence.stderr_logfile)),
        ("stderr_logfile_backups", Integer(stderr.backups)),
        ("stderr_logfile_maxbytes", Integer(stderr.bytes_max)),
        ("stderr_syslog", Boolean(stderr.syslog)),
        ("serverurl", text(program.server_url.as_deref())),
    ]
}

fn text(text: Option<&str>) -> InfoValue {
    InfoValue::Text(text.unwrap_or("none").to_owned())
}

fn log_file(log: &LogSpec, automatic: Option<&str>) -> InfoValue {
    text(match &log.target {
        LogTarget::None => None,
        LogTarget::Auto => Some(automatic.unwrap_or("auto")),
        LogTarget::File(path) => Some(path),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake::FakeHost;
    use crate::load::{Request, load};

    fn info(options: &str, presence: Presence<'_>) -> Vec<(&'static str, InfoValue)> {
        let text = format!("[supervisord]\n[program:p]\ncommand=/bin/cat\n{options}\n");
        let host = FakeHost::new().file("s.conf", text);
        let request = Request { file: "s.conf".to_owned(), overrides: Vec::new() };
        let loaded = load(&host, &request).unwrap();
        let group = &loaded.configuration.groups[0];
        config_info(group, &group.services[0], presence)
    }

    fn value(info: &[(&str, InfoValue)], key: &str) -> InfoValue {
        info.iter().find(|(name, _)| *name == key).map(|(_, value)| value.clone()).unwrap()
    }

    #[test]
    fn the_keys_are_supervisors() {
        let info = info("", Presence::default());

        let keys: Vec<&str> = info.iter().map(|(key, _)| *key).collect();
        assert_eq!(
            keys.join(" "),
            "autostart directory uid command exitcodes group group_prio inuse killasgroup name \
             process_prio redirect_stderr startretries startsecs stdout_capture_maxbytes \
             stdout_events_enabled stdout_logfile stdout_logfile_backups stdout_logfile_maxbytes \
             stdout_syslog stopsignal stopwaitsecs stderr_capture_maxbytes stderr_events_enabled \
             stderr_logfile stderr_logfile_backups stderr_logfile_maxbytes stderr_syslog serverurl"
        );
    }

    #[test]
    fn what_is_unset_says_none() {
        let info = info("stderr_logfile=NONE", Presence::default());

        for key in ["directory", "uid", "serverurl", "stderr_logfile"] {
            assert_eq!(value(&info, key), InfoValue::Text("none".to_owned()), "{key}");
        }
    }

    #[test]
    fn an_automatic_log_says_so_until_it_has_a_name() {
        let named = Presence { in_use: true, stdout_logfile: Some("/tmp/o"), stderr_logfile: None };
        let info = info("", named);

        assert_eq!(value(&info, "stdout_logfile"), InfoValue::Text("/tmp/o".to_owned()));
        assert_eq!(value(&info, "stderr_logfile"), InfoValue::Text("auto".to_owned()));
        assert_eq!(value(&info, "inuse"), InfoValue::Boolean(true));
    }

    #[test]
    fn numbers_are_numbers() {
        let info =
            info("user=root\nexitcodes=0,2\nstopsignal=USR1\npriority=-5", Presence::default());

        assert_eq!(value(&info, "uid"), InfoValue::Integer(0));
        assert_eq!(value(&info, "exitcodes"), InfoValue::Integers(vec![0, 2]));
        assert_eq!(value(&info, "stopsignal"), InfoValue::Integer(10));
        assert_eq!(value(&info, "process_prio"), InfoValue::Integer(-5));
    }
}
