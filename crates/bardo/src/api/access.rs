//! The access log: at level `trace` each request has a line in the main log.
//!
//! The line has the shape of Supervisor's. It is written when the answer begins, so that
//! a log that is followed is told of at once, and counts the bytes of the answer without
//! its head.

use std::net::SocketAddr;
use std::time::SystemTime;

use hyper::body::Body as _;
use hyper::http::request::Parts;
use hyper::{Response, Version};

use super::answer::Content;

/// The line of a request and its answer. A client without an address came through a
/// socket file.
pub(super) fn line(
    client: Option<SocketAddr>,
    at: SystemTime,
    request: &Parts,
    answer: &Response<Content>,
) -> String {
    let (host, port) = match client {
        Some(address) => (address.ip().to_string(), address.port()),
        None => ("localhost".to_owned(), 0),
    };
    let version = if request.version == Version::HTTP_10 { "1.0" } else { "1.1" };
    format!(
        "{host}:{port} - - [{}] \"{} {} HTTP/{version}\" {} {}",
        date(at),
        request.method,
        request.uri,
        answer.status().as_u16(),
        answer.body().size_hint().lower(),
    )
}

/// `21/Nov/2026:07:30:00 +0000`, out of `Sat, 21 Nov 2026 07:30:00 GMT`.
fn date(at: SystemTime) -> String {
    let text = httpdate::fmt_http_date(at);
    let words: Vec<&str> = text.split(' ').collect();
    match words[..] {
        [_, day, month, year, time, _] => format!("{day}/{month}/{year}:{time} +0000"),
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use hyper::Request;

    use super::*;
    use crate::api::answer;

    #[test]
    fn a_line_has_the_shape_of_supervisors() {
        let request = Request::get("/ok.html?a=b").body(()).unwrap().into_parts().0;
        let answer = answer::whole("text/plain", "OK");
        let at = UNIX_EPOCH + Duration::from_secs(1_795_246_200);

        let remote = line(Some("[::1]:80".parse().unwrap()), at, &request, &answer);
        let local = line(None, at, &request, &answer);

        assert_eq!(
            remote,
            "::1:80 - - [21/Nov/2026:07:30:00 +0000] \"GET /ok.html?a=b HTTP/1.1\" 200 2"
        );
        assert!(local.starts_with("localhost:0 - - ["), "{local}");
    }
}
