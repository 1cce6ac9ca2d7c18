//! `environment=`, and the other values that have a grammar.
#![no_main]

use bardo_config::value;
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
