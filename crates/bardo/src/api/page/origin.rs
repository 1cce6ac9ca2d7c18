//! Whether the page that asks for an action is one of ours.
//!
//! Supervisor acts on every link, so any page on the web that a browser visits can stop
//! its programs. Here a browser that says it comes from elsewhere is refused. A client
//! that says nothing, such as a script, is let through: it has no passwords of anybody
//! to abuse.

use hyper::HeaderMap;
use hyper::header::{HOST, ORIGIN, REFERER};

/// What a browser says of the page that a request comes from, whatever is between it and
/// us.
const SITE: &str = "sec-fetch-site";

/// The name that a proxy was asked for.
const FORWARDED_HOST: &str = "x-forwarded-host";

/// Whether an action may be done that these headers ask for.
pub(in crate::api) fn is_ours(headers: &HeaderMap) -> bool {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    if let Some(site) = text(SITE) {
        return matches!(site, "same-origin" | "none");
    }
    let Some(from) = text(ORIGIN.as_str()).or_else(|| text(REFERER.as_str())) else {
        return true;
    };
    let from = authority(from);
    [text(HOST.as_str()), text(FORWARDED_HOST)]
        .into_iter()
        .flatten()
        .any(|name| from.is_some_and(|from| from.eq_ignore_ascii_case(without_usual_port(name))))
}

/// Machine and port of an address; `None` for what is no address of a page.
fn authority(address: &str) -> Option<&str> {
    let rest = address.strip_prefix("http://").or_else(|| address.strip_prefix("https://"))?;
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    Some(without_usual_port(authority))
}

fn without_usual_port(authority: &str) -> &str {
    authority.strip_suffix(":80").or_else(|| authority.strip_suffix(":443")).unwrap_or(authority)
}

#[cfg(test)]
mod tests {
    use hyper::header::HeaderName;

    use super::*;

    fn ours(headers: &[(&'static str, &str)]) -> bool {
        let headers = headers.iter().map(|(name, value)| {
            (HeaderName::from_static(name), value.parse().expect("a header's value"))
        });
        is_ours(&headers.collect())
    }

    #[test]
    fn a_script_that_says_nothing_is_let_through() {
        assert!(ours(&[("host", "a:9001")]));
    }

    #[test]
    fn a_link_of_our_own_page_is_ours() {
        assert!(ours(&[("host", "a:9001"), ("referer", "http://a:9001/index.html?x=1")]));
        assert!(ours(&[("host", "A"), ("origin", "https://a:443")]));
        assert!(ours(&[("host", "a"), ("sec-fetch-site", "none")]));
        let proxied =
            [("host", "10.0.0.1:9001"), ("x-forwarded-host", "a"), ("origin", "http://a")];
        assert!(ours(&proxied));
    }

    #[test]
    fn a_link_of_another_page_is_not() {
        assert!(!ours(&[("host", "a:9001"), ("referer", "http://b/")]));
        assert!(!ours(&[("host", "a:9001"), ("origin", "http://a:9002")]));
        assert!(!ours(&[("host", "a:9001"), ("origin", "null")]));
        assert!(!ours(&[("host", "a"), ("origin", "http://a"), ("sec-fetch-site", "cross-site")]));
        assert!(!ours(&[("host", "a"), ("origin", "http://b"), ("referer", "http://a/")]));
    }
}
