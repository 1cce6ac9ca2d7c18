//! Commands from standard input, one a line.

use super::control::{Control, Next};

/// Shows how everything is, then reads lines until there are no more or one says
/// that it is enough.
pub(super) fn run(control: &mut Control<'_>, prompt: &str) {
    let mut line = String::from("status");
    loop {
        if control.run_line(&line) == Next::Leave {
            return;
        }
        let _ = write!(control.output, "{prompt}> ");
        let _ = control.output.flush();
        line.clear();
        match std::io::stdin().read_line(&mut line) {
            Ok(0) | Err(_) => line = "EOF".to_owned(),
            Ok(_) => {}
        }
    }
}
