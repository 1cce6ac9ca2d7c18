//! What a service was asked to be, beside its name and when it starts. Its definition keeps
//! that in a comment: an installation that names less takes the rest from there.

use std::path::PathBuf;

use super::definition::{Definition, Network, Respawn};
use super::sandbox::{Allowed, RESTRICTIONS};

/// What the comment begins with, behind the sign of a comment.
const HEAD: &str = "Options of bardo: ";

/// Among how many lines the comment is: what is to read the file, our own line, this one.
const HEAD_LINES: usize = 3;

/// What was asked for. What is not there was not named.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Options {
    /// `--config`.
    pub configuration: Option<PathBuf>,
    /// `--user`, also where it is root.
    pub account: Option<String>,
    /// `--no-respawn`.
    pub no_respawn: bool,
    /// `--wait-network`.
    pub wait_network: bool,
    /// `--hardened`.
    pub hardened: bool,
    /// `--allow`, one word each.
    pub allowed: Vec<String>,
}

impl Options {
    /// Those that a definition was made with.
    #[must_use]
    pub fn of(definition: &Definition) -> Self {
        Self {
            configuration: definition.configuration.clone(),
            account: definition.account.clone(),
            no_respawn: definition.respawn == Respawn::Never,
            wait_network: definition.network == Network::Online,
            hardened: definition.allowed.is_hardened(),
            allowed: definition.allowed.words(),
        }
    }

    /// The comment that keeps them; none where nothing was asked for.
    #[must_use]
    pub fn comment(&self) -> Option<String> {
        let words = self.words();
        let words = words.iter().map(|(name, value)| match value {
            Some(value) => format!("{name}={}", encoded(value)),
            None => (*name).to_owned(),
        });
        let words: Vec<String> = words.collect();
        (!words.is_empty()).then(|| format!("{HEAD}{}", words.join(" ")))
    }

    /// Those that the text of a definition keeps.
    #[must_use]
    pub fn kept_in(text: &str) -> Self {
        let mut options = Self::default();
        let comment = text.lines().take(HEAD_LINES).find_map(|line| {
            let line = line.strip_prefix("# ").or_else(|| line.strip_prefix("<!-- "))?;
            line.trim_end_matches(" -->").strip_prefix(HEAD)
        });
        for word in comment.unwrap_or_default().split_whitespace() {
            match word.split_once('=').unwrap_or((word, "")) {
                ("config", value) => options.configuration = Some(decoded(value).into()),
                ("user", value) => options.account = Some(decoded(value)),
                ("no-respawn", _) => options.no_respawn = true,
                ("wait-network", _) => options.wait_network = true,
                ("hardened", _) => options.hardened = true,
                ("allow", value) => options.allowed.push(decoded(value)),
                // A later version knows more.
                _ => {}
            }
        }
        options
    }

    /// These, and what they do not name from others; also what that is, as it is typed.
    #[must_use]
    pub fn or(self, former: Self) -> (Self, Vec<String>) {
        let named = self.clone();
        let both = Self {
            configuration: self.configuration.or(former.configuration),
            account: self.account.or(former.account),
            no_respawn: self.no_respawn || former.no_respawn,
            wait_network: self.wait_network || former.wait_network,
            hardened: self.hardened || former.hardened,
            allowed: if self.allowed.is_empty() { former.allowed } else { self.allowed },
        };
        let named = named.words();
        let kept = both.words().into_iter().filter(|word| !named.contains(word));
        let kept = kept.map(|(name, value)| match value {
            Some(value) => format!("--{name} {value}"),
            None => format!("--{name}"),
        });
        let kept = kept.collect();
        (both, kept)
    }

    /// What is allowed to programs.
    #[must_use]
    pub fn allowed(&self) -> Allowed {
        let mut allowed = Allowed::usual();
        if self.hardened {
            allowed.harden();
        }
        for word in &self.allowed {
            allowed.allow(word);
        }
        allowed
    }

    /// The account, where that is not root: what root runs needs no line that says so.
    #[must_use]
    pub fn account(&self) -> Option<&str> {
        self.account.as_deref().filter(|account| *account != "root")
    }

    fn words(&self) -> Vec<(&'static str, Option<String>)> {
        let configuration = self.configuration.as_ref().map(|path| path.display().to_string());
        let mut words = Vec::new();
        words.extend(configuration.map(|path| ("config", Some(path))));
        words.extend(self.account().map(|account| ("user", Some(account.to_owned()))));
        let flags = [
            ("no-respawn", self.no_respawn),
            ("wait-network", self.wait_network),
            ("hardened", self.hardened),
        ];
        words.extend(flags.into_iter().filter(|(_, is_set)| *is_set).map(|(name, _)| (name, None)));
        words.extend(self.allowed.iter().map(|word| ("allow", Some(word.clone()))));
        words
    }
}

impl Allowed {
    /// The words that allow it.
    fn words(&self) -> Vec<String> {
        if self.is_everything() {
            return vec!["all".to_owned()];
        }
        let allowed = RESTRICTIONS.iter().filter(|each| self.allows(each));
        allowed.map(|each| each.name.to_owned()).collect()
    }
}

/// A value without what ends a word or, as two dashes, a comment of XML.
fn encoded(value: &str) -> String {
    let mut text = String::new();
    for byte in value.bytes() {
        let is_plain = byte.is_ascii_alphanumeric() || b"/._-+:@,".contains(&byte);
        if is_plain && !(byte == b'-' && text.ends_with('-')) {
            text.push(char::from(byte));
        } else {
            text += &format!("%{byte:02X}");
        }
    }
    text
}

fn decoded(value: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = value.as_bytes();
    while let Some((first, behind)) = rest.split_first() {
        let digits = if *first == b'%' { behind.get(..2) } else { None };
        let digits = digits.and_then(|digits| std::str::from_utf8(digits).ok());
        if let Some(byte) = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            bytes.push(byte);
            rest = &behind[2..];
        } else {
            bytes.push(*first);
            rest = behind;
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all() -> Options {
        Options {
            configuration: Some("/etc/a b/--x%41\u{e4}-->.conf".into()),
            account: Some("mail".to_owned()),
            no_respawn: true,
            wait_network: true,
            hardened: true,
            allowed: vec!["clock".to_owned(), "realtime".to_owned()],
        }
    }

    #[test]
    fn what_a_comment_keeps_is_what_was_asked_for() {
        let comment = all().comment().unwrap();

        assert!(!comment.contains("--") && !comment.contains('>'), "{comment}");
        for text in [
            format!("# first\n# {comment}\nX=1\n"),
            format!("#!/bin/sh\n# first\n# {comment}\n"),
            format!("<?xml?>\n<!-- first -->\n<!-- {comment} -->\n"),
        ] {
            assert_eq!(Options::kept_in(&text), all(), "{text}");
        }
        assert_eq!(Options::default().comment(), None);
        assert_eq!(Options::kept_in("[Service]\nUser=mail\n"), Options::default());
        let root = Options { account: Some("root".to_owned()), ..Options::default() };
        assert_eq!(root.comment(), None, "root is what there is without a word");
    }

    #[test]
    fn what_is_named_wins_and_the_rest_is_kept_and_told() {
        let (both, kept) = Options::default().or(all());
        assert_eq!(both, all());
        assert_eq!(kept.len(), 7, "{kept:?}");
        assert!(kept.contains(&"--user mail".to_owned()), "{kept:?}");

        let named = Options {
            account: Some("root".to_owned()),
            allowed: vec!["all".to_owned()],
            ..Options::default()
        };
        let (both, kept) = named.or(all());
        assert_eq!(both.account(), None);
        assert_eq!(both.allowed, ["all"]);
        assert!(!kept.iter().any(|word| word.contains("user") || word.contains("allow")));
    }

    #[test]
    fn everything_that_is_allowed_is_one_word() {
        let mut options = all();
        options.allowed = vec!["all".to_owned()];
        assert_eq!(options.allowed().words(), ["all"]);
        options.allowed = vec!["realtime".to_owned(), "clock".to_owned()];
        assert_eq!(options.allowed().words(), ["clock", "realtime"]);
    }
}
