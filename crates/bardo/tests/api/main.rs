//! The API thread and the control tool, seen from outside.

#[cfg(test)]
mod control;
#[cfg(test)]
mod extensions;
#[cfg(test)]
mod metrics;
#[cfg(test)]
mod page;
#[cfg(test)]
mod protocol;
#[cfg(test)]
mod rest;
#[cfg(test)]
mod scene;
#[cfg(test)]
mod server;
#[cfg(test)]
mod shell;
#[cfg(test)]
mod why;
