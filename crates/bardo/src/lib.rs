//! The program: finds its face by the name it was called by or by its first word.

#![forbid(unsafe_code)]

pub mod api;
pub mod daemon;
