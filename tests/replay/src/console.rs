//! Words for the person at the terminal. A terminal that went away must not end a run, so nothing here fails.

use std::io::Write;

pub fn tell(words: &str) {
    let _ = writeln!(std::io::stderr(), "{words}");
}

pub fn print(words: &str) {
    let _ = writeln!(std::io::stdout(), "{words}");
}
