//! The supervisor process: three threads around one core.

pub mod clients;
pub mod journal;
