//! XML-RPC, as Supervisor's server and Python's client speak it.
//!
//! What is written equals, byte for byte, what Python's `xmlrpc.client` writes,
//! because there are clients that search in the text. What is read is read as
//! liberally as Supervisor reads it: white space, unknown attributes and missing
//! `<params>` do not matter.
//!
//! One thing surprises a newcomer: XML 1.0 cannot carry most control characters,
//! not even escaped. Programs write them into their logs all the same, so they are
//! replaced when a string is written.

mod reader;
mod request;
mod response;
mod value;
mod writer;

pub use request::Request;
pub use response::{FaultText, Response};
pub use value::Value;

/// Deepest nesting of arrays and structs that is read. Supervisor's own answers
/// need four; the room is for other people's interfaces.
pub const DEPTH_MAX: usize = 64;

/// Most bytes of a request. The longest useful one is a `system.multicall` that
/// asks for each of ten thousand processes.
pub const REQUEST_BYTES_MAX: usize = 4 << 20;

/// Most bytes of a response. A whole log of Supervisor's default size, 50 MB, with
/// every character escaped, fits.
pub const RESPONSE_BYTES_MAX: usize = 256 << 20;

/// Why bytes are not a message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseError {
    /// There are more bytes than any message needs.
    #[error("{bytes} bytes are more than the {limit} that a message may have")]
    TooLong {
        /// How many there are.
        bytes: usize,
        /// How many there may be.
        limit: usize,
    },
    /// Arrays and structs are nested too deeply.
    #[error("values are nested more than {DEPTH_MAX} deep")]
    TooDeep,
    /// It is not well-formed XML.
    #[error("not well-formed: {0}")]
    NotXml(String),
    /// An element is not where the protocol allows one.
    #[error("unexpected element <{0}>")]
    Unexpected(String),
    /// An element that the protocol demands is missing.
    #[error("there is no <{0}>")]
    Missing(&'static str),
    /// The text of a value is not of its type.
    #[error("`{text}` is no {kind}")]
    BadText {
        /// The type.
        kind: &'static str,
        /// The text.
        text: String,
    },
}
