//! Words for the person at the terminal. A terminal that went away must not end a run, so nothing here fails.

use std::io::Write;

/// Tells of a step, on stderr.
pub fn tell(words: &str) {
    let _ = writeln!(std::io::stderr(), "{words}");
}

/// Prints a result, on stdout.
pub fn print(words: &str) {
    let _ = writeln!(std::io::stdout(), "{words}");
}
