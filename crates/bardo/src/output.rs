//! What tools and commands say to whoever has called them.

use std::io::{self, Write as _};

/// Says something on standard output. Nobody is left to be told where that cannot be.
pub(crate) fn say(text: &str) {
    let mut output = io::stdout().lock();
    let _ = output.write_all(text.as_bytes()).and_then(|()| output.flush());
}
