//! Signals.

use bardo_core::Signal;

use super::ValueError;
use crate::python;

/// A signal by its number or by its name, with or without `SIG`, in any case. Only
/// numbers that have a name are signals, and 0.
///
/// # Errors
///
/// When there is no such signal.
pub fn signal(text: &str) -> Result<Signal, ValueError> {
    match python::integer(text, 10) {
        Some(number) => Signal::from_number(number)
            .filter(|signal| number == 0 || signal.name().is_some())
            .ok_or_else(|| ValueError::SignalNumber(text.to_owned())),
        None => Signal::from_name(&python::trim(text).to_uppercase())
            .ok_or_else(|| ValueError::SignalName(text.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_is_a_name_or_a_number() {
        for (text, number) in [
            ("TERM", 15),
            ("sigusr1", 10),
            ("9", 9),
            ("IOT", 6),
            ("0", 0),
            ("34", 34),
            ("rtmax", 64),
        ] {
            assert_eq!(signal(text).map(Signal::number), Ok(number), "{text}");
        }
    }

    #[test]
    fn what_is_no_signal_is_refused() {
        for text in ["NOPE", "", "SIGSIGTERM", "SIG"] {
            let wanted = format!("value '{text}' is not a valid signal name");
            assert_eq!(signal(text).unwrap_err().to_string(), wanted);
        }
        for text in ["999", "-1", "33", "35", "65"] {
            let wanted = format!("value '{text}' is not a valid signal number");
            assert_eq!(signal(text).unwrap_err().to_string(), wanted);
        }
    }
}
