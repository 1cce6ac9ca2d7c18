//! Command lines in the manner of GNU's getopt, as Python's module reads them.
//!
//! Supervisor's tools, MINIX's and the service switches have grammars that others
//! have fixed; this is the part they share.

use std::ffi::OsString;

/// An option that a tool knows.
#[derive(Debug, Clone, Copy)]
pub struct Flag {
    /// Its letter, where it has one.
    pub short: Option<char>,
    /// Its long name, without dashes, where it has one.
    pub long: Option<&'static str>,
    /// Whether it takes an argument.
    pub takes_argument: bool,
}

/// An option that was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Given {
    /// As it was written, without its argument: `-c` or `--configuration`. A long
    /// one is given in full even when it was cut short.
    pub name: String,
    /// Its argument; empty where it takes none.
    pub argument: String,
}

/// Why a command line cannot be read. The texts are Python's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GetoptError {
    /// Nobody knows it.
    #[error("option {0} not recognized")]
    NotRecognized(String),
    /// Several long ones begin like this.
    #[error("option {0} not a unique prefix")]
    NotUnique(String),
    /// Its argument is missing.
    #[error("option {0} requires argument")]
    NeedsArgument(String),
    /// It takes no argument.
    #[error("option {0} must not have an argument")]
    TakesNone(String),
}

/// The options of a command line in order, and the words behind them. Reading stops
/// at the first word that is no option.
///
/// # Errors
/// When an option is not known or its argument is missing.
pub fn parse(flags: &[Flag], words: &[OsString]) -> Result<(Vec<Given>, Vec<String>), GetoptError> {
    let mut words = words.iter().map(|word| word.to_string_lossy().into_owned());
    let mut given = Vec::new();
    while let Some(word) = words.next() {
        if word == "--" {
            return Ok((given, words.collect()));
        }
        if let Some(long) = word.strip_prefix("--") {
            given.push(parse_long(flags, long, &mut words)?);
        } else if let Some(letters) = word.strip_prefix('-').filter(|rest| !rest.is_empty()) {
            parse_short(flags, letters, &mut words, &mut given)?;
        } else {
            return Ok((given, std::iter::once(word).chain(words).collect()));
        }
    }
    Ok((given, Vec::new()))
}

fn parse_long(
    flags: &[Flag],
    text: &str,
    words: &mut impl Iterator<Item = String>,
) -> Result<Given, GetoptError> {
    let (name, value) = match text.split_once('=') {
        Some((name, value)) => (name, Some(value.to_owned())),
        None => (text, None),
    };
    let dashed = format!("--{name}");
    let all = flags.iter().filter_map(|flag| Some((flag.long?, flag)));
    let candidates: Vec<_> = all.filter(|(long, _)| long.starts_with(name)).collect();
    let exact = candidates.iter().find(|(long, _)| *long == name);
    let (long, flag) = match (exact, candidates.as_slice()) {
        (Some(found), _) => *found,
        (None, [only]) => *only,
        (None, []) => return Err(GetoptError::NotRecognized(dashed)),
        (None, _) => return Err(GetoptError::NotUnique(dashed)),
    };
    let name = format!("--{long}");
    let argument = match (flag.takes_argument, value) {
        (true, Some(value)) => value,
        (true, None) => words.next().ok_or_else(|| GetoptError::NeedsArgument(name.clone()))?,
        (false, None) => String::new(),
        (false, Some(_)) => return Err(GetoptError::TakesNone(name)),
    };
    Ok(Given { name, argument })
}

fn parse_short(
    flags: &[Flag],
    letters: &str,
    words: &mut impl Iterator<Item = String>,
    given: &mut Vec<Given>,
) -> Result<(), GetoptError> {
    let mut letters = letters.chars();
    while let Some(letter) = letters.next() {
        let name = format!("-{letter}");
        let flag = flags
            .iter()
            .find(|flag| flag.short == Some(letter))
            .ok_or_else(|| GetoptError::NotRecognized(name.clone()))?;
        if !flag.takes_argument {
            given.push(Given { name, argument: String::new() });
            continue;
        }
        let rest: String = letters.by_ref().collect();
        let argument = if rest.is_empty() { words.next() } else { Some(rest) };
        let argument = argument.ok_or_else(|| GetoptError::NeedsArgument(name.clone()))?;
        given.push(Given { name, argument });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const FLAGS: &[Flag] = &[
        Flag { short: Some('c'), long: Some("configuration"), takes_argument: true },
        Flag { short: Some('n'), long: Some("nodaemon"), takes_argument: false },
        Flag { short: None, long: Some("minfds"), takes_argument: true },
        Flag { short: None, long: Some("minprocs"), takes_argument: true },
    ];

    type Read = (Vec<(String, String)>, Vec<String>);

    fn read(words: &[&str]) -> Result<Read, GetoptError> {
        let words: Vec<OsString> = words.iter().map(Into::into).collect();
        let (given, rest) = parse(FLAGS, &words)?;
        Ok((given.into_iter().map(|one| (one.name, one.argument)).collect(), rest))
    }

    fn pair(name: &str, argument: &str) -> (String, String) {
        (name.to_owned(), argument.to_owned())
    }

    #[test]
    fn options_may_be_joined_cut_short_and_given_with_an_equals_sign() {
        let (given, rest) = read(&["-ncx", "--conf=y", "--minf", "3", "word", "-n"]).unwrap();

        let expected =
            [pair("-n", ""), pair("-c", "x"), pair("--configuration", "y"), pair("--minfds", "3")];
        assert_eq!(given, expected);
        assert_eq!(rest, ["word", "-n"]);
    }

    #[test]
    fn what_is_wrong_has_pythons_words() {
        let text = |words: &[&str]| read(words).unwrap_err().to_string();

        assert_eq!(text(&["-Z"]), "option -Z not recognized");
        assert_eq!(text(&["--frob"]), "option --frob not recognized");
        assert_eq!(text(&["--min", "1"]), "option --min not a unique prefix");
        assert_eq!(text(&["-c"]), "option -c requires argument");
        assert_eq!(text(&["--nodaemon=1"]), "option --nodaemon must not have an argument");
    }
}
