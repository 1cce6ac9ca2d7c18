//! The verbs, without an init system: files below a folder, and stubs in the place of tools.

mod attendant;
mod background;
mod command_line;
mod definitions;
mod others;
mod pauses;
mod script;
mod stubs;
mod systemd;
mod systems;
mod upstart;
