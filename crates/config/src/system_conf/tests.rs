//! Whole files, on a machine that exists only in memory.

mod grammar;
mod meaning;
mod places;
mod properties;
mod samples;

use super::*;
use crate::fake::FakeHost;

const FILE: &str = "/etc/system.conf";

fn host(text: &str) -> FakeHost {
    FakeHost::new().file(FILE, text)
}

fn wanted(program: &str, mode: Mode) -> Wanted<'_> {
    Wanted { program, file: None, mode, caller: 1000 }
}

/// What lines between the braces of `service x` come to.
fn tried(lines: &str, mode: Mode) -> Result<Interpreted, String> {
    let host = host(&format!("service x {{\n{lines}\n}};")).user("service", 999, "/");
    let found = find(&host, &wanted("x", mode)).map_err(|refusal| refusal.to_string())?;
    let entry = found.entry.expect("the file has the entry");
    interpret(&entry.lines, &host, mode).map_err(|refusal| refusal.to_string())
}

fn meant(lines: &str) -> Interpreted {
    tried(lines, Mode::Strict).unwrap_or_else(|refusal| panic!("{refusal}"))
}

fn refused(lines: &str) -> String {
    tried(lines, Mode::Strict).expect_err("it is refused")
}

fn notes(interpreted: &Interpreted) -> Vec<String> {
    interpreted.notes.iter().map(ToString::to_string).collect()
}
