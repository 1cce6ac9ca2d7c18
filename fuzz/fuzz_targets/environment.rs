//! `environment=`, the lines of an `env_file`, and the other values that have a grammar.
#![no_main]

use bardo_config::{environment_file, value};
use bardo_core::spec::care::Condition;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(variables) = value::environment(text) {
        // A value in double quotes, with what is special there escaped, is read as itself.
        let quoted: Vec<String> = variables
            .iter()
            .filter(|(name, _)| is_word(name))
            .map(|(name, value)| format!("{name}=\"{}\"", escaped(value)))
            .collect();
        let again = value::environment(&quoted.join(",")).expect("quoted values can be read");
        let kept: Vec<_> = variables.into_iter().filter(|(name, _)| is_word(name)).collect();
        assert_eq!(again, kept);
    }
    if let Ok(variables) = environment_file::variables(text) {
        let quoted: Vec<String> = variables
            .iter()
            .map(|(name, value)| format!("{name}=\"{}\"\n", escaped(value)))
            .collect();
        let again = environment_file::variables(&quoted.concat()).expect("they can be read");
        assert_eq!(again, variables);
    }
    if let Ok(all) = value::dependencies(text) {
        let labels: Vec<String> = all
            .iter()
            .map(|one| match one.condition {
                Condition::Started => format!("{}:started", value::dependency_label(one)),
                Condition::Ready => format!("{}:ready", value::dependency_label(one)),
            })
            .collect();
        assert_eq!(value::dependencies(&labels.join(" ")).expect("they can be read"), all);
    }
    let _ = value::backoff(text);
    let _ = value::backoff_reset(text);
    let _ = value::copying(text);
    let _ = value::count(text);
    let _ = value::duration(text);
    let _ = value::health_http(text);
    let _ = value::health_tcp(text);
    let _ = value::memory_size(text);
    let _ = value::optional_file(text);
    let _ = value::percent(text);
    let _ = value::ready(text);
    let _ = value::integer(text);
    let _ = value::byte_size(text);
    let _ = value::octal(text);
    let _ = value::boolean(text);
    let _ = value::exit_codes(text);
    let _ = value::signal(text);
    let _ = value::log_level(text);
    let _ = value::inet_address(text);
    let _ = value::url(text);
    let _ = value::name(text);
    let _ = value::list(text);
});

fn is_word(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"")
}
