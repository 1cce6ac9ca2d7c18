//! HTTP answers: what they carry, and the headers that all of them have.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use hyper::body::{Body, Bytes, Frame, SizeHint};
use hyper::header::{CONTENT_TYPE, HeaderValue, SERVER};
use hyper::{Response, StatusCode};
use tokio::sync::mpsc;

/// What the server calls itself. Tools look for Supervisor's server by this name.
const SERVER_NAME: HeaderValue = HeaderValue::from_static("Medusa/1.12");

/// What an answer carries.
#[derive(Debug)]
pub(super) enum Content {
    /// All at once; its length is known.
    Whole(Bytes),
    /// Piece by piece, until whoever sends them stops.
    Stream(mpsc::Receiver<Bytes>),
}

impl Body for Content {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match self.get_mut() {
            Self::Whole(bytes) if bytes.is_empty() => Poll::Ready(None),
            Self::Whole(bytes) => Poll::Ready(Some(Ok(Frame::data(std::mem::take(bytes))))),
            Self::Stream(pieces) => {
                pieces.poll_recv(context).map(|piece| piece.map(|bytes| Ok(Frame::data(bytes))))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Whole(bytes) if bytes.is_empty())
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Self::Stream(_) => SizeHint::default(),
        }
    }
}

/// A good answer of a type.
pub(super) fn good(kind: &'static str, content: Content) -> Response<Content> {
    let mut response = Response::new(content);
    let headers = response.headers_mut();
    headers.insert(SERVER, SERVER_NAME);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

/// A good answer that is all there.
pub(super) fn whole(kind: &'static str, text: impl Into<Bytes>) -> Response<Content> {
    good(kind, Content::Whole(text.into()))
}

/// An answer that says what is wrong, on Supervisor's page for it.
pub(super) fn error(status: StatusCode) -> Response<Content> {
    let page = [
        "<head>",
        "<title>Error response</title>",
        "</head>",
        "<body>",
        "<h1>Error response</h1>",
        &format!("<p>Error code {}.", status.as_u16()),
        &format!("<p>Message: {}.", status.canonical_reason().unwrap_or("")),
        "</body>",
        "",
    ]
    .join("\r\n");
    let mut response = whole("text/html", page);
    *response.status_mut() = status;
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_page_names_code_and_reason() {
        let response = error(StatusCode::NOT_FOUND);

        let Content::Whole(page) = response.body() else {
            panic!("an error is a whole answer");
        };
        let page = std::str::from_utf8(page).unwrap();
        assert!(page.starts_with("<head>\r\n<title>Error response</title>\r\n"));
        assert!(page.contains("<p>Error code 404.\r\n<p>Message: Not Found.\r\n</body>\r\n"));
    }
}
