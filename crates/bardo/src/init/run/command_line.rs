//! The command line of `--service-run`.

use std::ffi::OsString;

use super::super::definition::{USUAL_NAME, wrong_name};
use super::ServiceError;

/// The option that has it wait before it starts, longer each time it has ended soon: for
/// managers that do not, or that never forget.
pub const PAUSES: &str = "--pauses";

/// The option that has it go on with what a killed keeper has left, and else start nothing.
const HEIR: &str = "--heir";

/// What a command line asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Asked {
    pub(super) name: String,
    pub(super) configuration: Option<String>,
    pub(super) pidfile: Option<String>,
    pub(super) background: bool,
    pub(super) pauses: bool,
    pub(super) heir: bool,
}

/// Reads it.
pub(super) fn asked(words: &[OsString]) -> Result<Asked, ServiceError> {
    let wrong = |text: String| ServiceError::Usage(text);
    let mut words = words.iter().map(|word| {
        let text = word.to_str().map(str::to_owned);
        text.ok_or_else(|| wrong(format!("{} is not UTF-8", word.to_string_lossy())))
    });
    let (mut name, mut configuration, mut pidfile) = (None, None, None);
    let (mut background, mut pauses, mut heir) = (false, false, false);
    while let Some(word) = words.next().transpose()? {
        let (option, value) = match word.split_once('=') {
            Some((option, value)) if word.starts_with("--") => (option, Some(value.to_owned())),
            _ => (word.as_str(), None),
        };
        let place = match option {
            "--config" => &mut configuration,
            "--pidfile" => &mut pidfile,
            "--background" if value.is_none() => {
                background = true;
                continue;
            }
            PAUSES if value.is_none() => {
                pauses = true;
                continue;
            }
            HEIR if value.is_none() => {
                heir = true;
                continue;
            }
            _ if name.is_none() && !word.starts_with('-') => {
                name = Some(word);
                continue;
            }
            _ => return Err(wrong(format!("'{word}' is not understood"))),
        };
        let value = match value {
            Some(value) => Some(value),
            None => words.next().transpose()?,
        };
        let value = value.filter(|value| !value.is_empty());
        *place = Some(value.ok_or_else(|| wrong(format!("{option} needs a file")))?);
    }
    let name = name.unwrap_or_else(|| USUAL_NAME.to_owned());
    if let Some(why) = wrong_name(&name) {
        return Err(wrong(format!("'{name}' is no name of a service: {why}")));
    }
    Ok(Asked { name, configuration, pidfile, background, pauses, heir })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(words: &[&str]) -> Result<Asked, String> {
        let words: Vec<OsString> = words.iter().map(OsString::from).collect();
        asked(&words).map_err(|error| error.to_string())
    }

    #[test]
    fn a_command_line_is_read_in_any_order() {
        let expected = Asked {
            name: "web".to_owned(),
            configuration: Some("/etc/a b.conf".to_owned()),
            pidfile: Some("/run/web.pid".to_owned()),
            background: true,
            pauses: false,
            heir: false,
        };

        let one = ["web", "--config", "/etc/a b.conf", "--background", "--pidfile=/run/web.pid"];
        let other = ["--pidfile", "/run/web.pid", "--background", "--config=/etc/a b.conf", "web"];

        assert_eq!([read(&one), read(&other)], [Ok(expected.clone()), Ok(expected)]);
        assert_eq!(read(&[]).unwrap().name, USUAL_NAME);
        assert!(read(&["--pauses", "web"]).unwrap().pauses);
        assert!(read(&["web", "--heir"]).unwrap().heir);
    }

    #[test]
    fn what_is_not_understood_is_told() {
        for (words, said) in [
            (&["a", "b"][..], "'b' is not understood"),
            (&["a", "--conf", "b"], "'--conf' is not understood"),
            (&["a", "--config"], "--config needs a file"),
            (&["a/b"], "'a/b' is no name"),
            (&[""], "'' is no name"),
            (&["a", "--background=yes"], "'--background=yes' is not understood"),
        ] {
            let error = read(words).unwrap_err();
            assert!(error.starts_with(said) && error.contains("usage: "), "{error}");
        }
    }
}
