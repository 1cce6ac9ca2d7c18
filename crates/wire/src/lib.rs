//! Bytes to messages and back.
//!
//! Nothing here reads a socket or knows a supervisor: a parser is given all the
//! bytes of a message, a writer gives all of them back. Every parser has limits,
//! because the bytes come from outside.

#![forbid(unsafe_code)]

pub mod control;
pub mod listener;
pub mod xmlrpc;
