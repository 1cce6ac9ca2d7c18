//! `%(name)s`: any text is expanded or refused, in bounded memory; a text whose signs
//! are doubled comes out as it was.
#![no_main]

use std::collections::BTreeMap;

use bardo_config::expand::{Names, Value};
use libfuzzer_sys::fuzz_target;

/// More than this cannot come out of a short text: no width or precision is honoured
/// that is longer.
const RESULT_BYTES_MAX: usize = 1 << 20;

fuzz_target!(|text: &str| {
    let everywhere = BTreeMap::from([
        ("here".to_owned(), Value::Text("/etc".to_owned())),
        ("process_num".to_owned(), Value::Integer(7)),
        ("x".to_owned(), Value::Text("%(here)s".to_owned())),
    ]);
    let names = Names::new(&everywhere);

    match names.expand(text, "program:x.command") {
        Ok(expanded) => assert!(text.len() > 4096 || expanded.len() <= RESULT_BYTES_MAX),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
    let doubled = text.replace('%', "%%");
    assert_eq!(
        names.expand(&doubled, "doubled").expect("doubled signs stand for themselves"),
        text
    );
});
