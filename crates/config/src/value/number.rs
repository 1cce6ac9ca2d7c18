//! Whole numbers: decimal ones, byte sizes, octal ones.

use super::ValueError;
use crate::python;

/// The suffixes of byte sizes.
const SUFFIXES: &[(&str, i64)] = &[("kb", 1 << 10), ("mb", 1 << 20), ("gb", 1 << 30)];

/// A whole number of any sign.
///
/// # Errors
///
/// When it is none.
pub fn integer(text: &str) -> Result<i64, ValueError> {
    python::integer(text, 10).ok_or_else(|| ValueError::Integer(text.to_owned()))
}

/// A number of bytes, with `KB`, `MB`, `GB` or nothing behind it.
///
/// # Errors
///
/// When what stands before the suffix is no number; the message shows just that,
/// in lower case.
pub fn byte_size(text: &str) -> Result<i64, ValueError> {
    let lower = text.to_lowercase();
    let suffixed =
        SUFFIXES.iter().find_map(|(suffix, factor)| Some((lower.strip_suffix(suffix)?, *factor)));
    let (number, factor) = suffixed.unwrap_or((&lower, 1));
    Ok(integer(number)?.saturating_mul(factor))
}

/// A file mode or mask. Python takes numbers of any size and sign, and the kernel
/// looks at the last twelve bits.
///
/// # Errors
///
/// When it is no octal number.
pub fn octal(text: &str) -> Result<u32, ValueError> {
    let number = python::integer(text, 8).ok_or_else(|| ValueError::Octal(text.to_owned()))?;
    Ok(u32::try_from(number & 0o7777).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_integer_may_have_a_sign() {
        assert_eq!(integer("-5"), Ok(-5));
        let error = integer("abc").unwrap_err();
        assert_eq!(error.to_string(), "invalid literal for int() with base 10: 'abc'");
    }

    #[test]
    fn byte_sizes_have_suffixes_in_any_case() {
        assert_eq!(byte_size("4096"), Ok(4096));
        assert_eq!(byte_size("12KB"), Ok(12 << 10));
        assert_eq!(byte_size("3 mB"), Ok(3 << 20));
        assert_eq!(byte_size("1gb"), Ok(1 << 30));
        assert_eq!(byte_size("-1MB"), Ok(-(1 << 20)));
    }

    #[test]
    fn a_bad_byte_size_is_shown_without_a_suffix_that_matched() {
        let cases = [("5XB", "'5xb'"), ("1MBB", "'1mbb'"), ("1.5MB", "'1.5'"), ("KB", "''")];

        for (text, shown) in cases {
            let wanted = format!("invalid literal for int() with base 10: {shown}");
            assert_eq!(byte_size(text).unwrap_err().to_string(), wanted);
        }
    }

    #[test]
    fn modes_are_octal() {
        assert_eq!(octal("022"), Ok(0o22));
        assert_eq!(octal("0o700"), Ok(0o700));
        assert_eq!(octal("-1"), Ok(0o7777));
        let error = octal("999").unwrap_err();
        assert_eq!(error.to_string(), "999 can not be converted to an octal type");
    }
}
