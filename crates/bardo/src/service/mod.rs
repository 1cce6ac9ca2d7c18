//! What `service` and a supervisor say to each other: requests, replies and the numbers
//! of MINIX's errors. The tool that asks and the API that answers share it.

pub mod bring;
mod draft;
pub mod edit;
pub mod errno;
pub mod listing;
mod refusal;
pub mod reply;
pub mod request;
pub mod settings;
