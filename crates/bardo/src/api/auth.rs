//! Who may come in: HTTP Basic authentication.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha1::{Digest as _, Sha1};
use subtle::ConstantTimeEq as _;

/// What begins a password that is kept as the SHA-1 digest of the real one, in
/// lower-case hexadecimal digits, as Supervisor keeps it.
const DIGEST_MARK: &str = "{SHA}";

/// What became of a client's claim to be somebody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Claim {
    /// It may come in.
    Granted,
    /// It may not.
    Refused,
    /// It cannot be read.
    Garbage,
}

/// Judges the `Authorization` header of a request.
pub(crate) fn judge(header: Option<&[u8]>, user: &str, password: &str) -> Claim {
    let Some(claimed) = header.and_then(credentials) else {
        return Claim::Refused;
    };
    let Ok(decoded) = STANDARD.decode(claimed.trim_ascii()) else {
        return Claim::Garbage;
    };
    let Some(colon) = decoded.iter().position(|byte| *byte == b':') else {
        return Claim::Garbage;
    };
    let (name, given) = (&decoded[..colon], &decoded[colon + 1..]);
    // Both are compared, so that the time tells nothing about either.
    let known = name.ct_eq(user.as_bytes()) & matches(given, password);
    if bool::from(known) { Claim::Granted } else { Claim::Refused }
}

/// What follows `Basic`, in any case.
fn credentials(header: &[u8]) -> Option<&[u8]> {
    let blank = header.iter().position(|byte| *byte == b' ')?;
    header[..blank].eq_ignore_ascii_case(b"basic").then(|| &header[blank + 1..])
}

fn matches(given: &[u8], password: &str) -> subtle::Choice {
    match password.strip_prefix(DIGEST_MARK) {
        Some(digest) => hexadecimal(&Sha1::digest(given)).ct_eq(digest.as_bytes()),
        None => given.ct_eq(password.as_bytes()),
    }
}

fn hexadecimal(bytes: &[u8]) -> Vec<u8> {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    bytes
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 15])
        .map(|digit| DIGITS[usize::from(digit)])
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHA_OF_123: &str = "{SHA}40bd001563085fc35165329ea1ff5c5ecbdbbeef";

    fn claim(text: &str, password: &str) -> Claim {
        let header = format!("Basic {}", STANDARD.encode(text));
        judge(Some(header.as_bytes()), "user", password)
    }

    #[test]
    fn the_right_user_with_the_right_password_comes_in() {
        assert_eq!(claim("user:123", "123"), Claim::Granted);
        assert_eq!(claim("user:124", "123"), Claim::Refused);
        assert_eq!(claim("root:123", "123"), Claim::Refused);
        assert_eq!(claim("user:a:b", "a:b"), Claim::Granted);
    }

    #[test]
    fn a_digest_stands_for_its_password_only() {
        assert_eq!(claim("user:123", SHA_OF_123), Claim::Granted);
        assert_eq!(claim(&format!("user:{SHA_OF_123}"), SHA_OF_123), Claim::Refused);
    }

    #[test]
    fn a_digest_in_capital_letters_matches_nothing() {
        let capital = SHA_OF_123.to_ascii_uppercase();

        assert_eq!(claim("user:123", &capital), Claim::Refused);
    }

    #[test]
    fn another_scheme_is_refused_and_garbage_is_garbage() {
        assert_eq!(judge(None, "user", "123"), Claim::Refused);
        assert_eq!(judge(Some(b"Digest abc"), "user", "123"), Claim::Refused);
        assert_eq!(judge(Some(b"Basic !!!"), "user", "123"), Claim::Garbage);
        assert_eq!(judge(Some(b"basic dXNlcg=="), "user", "123"), Claim::Garbage);
    }
}
