//! Asking before what cannot be undone.

use std::io::{IsTerminal as _, Write as _};

use anyhow::Context as _;

use crate::failure::Failure;

/// Asks whoever sits at the terminal. Scripts say `--yes`.
pub fn confirm(question: &str, yes: bool) -> Result<(), Failure> {
    if yes {
        return Ok(());
    }
    if !std::io::stdin().is_terminal() {
        return Err(Failure::Usage(format!(
            "{question} Nobody can be asked here: say --yes if it is meant"
        )));
    }
    eprint!("{question} Type yes: ");
    std::io::stderr().flush().context("the terminal is gone")?;
    let mut answer = String::new();
    let read = std::io::stdin().read_line(&mut answer);
    read.context("the terminal is gone")?;
    if answer.trim() == "yes" {
        return Ok(());
    }
    Err(Failure::Usage("nothing was done".to_owned()))
}
