//! Where the results of a run go: words for people on standard output, and files for people and
//! machines.

use std::{
    fs,
    io::{self, Write},
    path::Path,
};

use anyhow::{Context, Result};
use serde::Serialize;

use crate::tell;

/// Prints the words, and writes `<name>.txt` and `<name>.json`.
pub fn write(folder: &Path, name: &str, report: &impl Serialize, words: &str) -> Result<()> {
    // Whoever reads may have gone; the files are written all the same.
    let _ = writeln!(io::stdout(), "{words}");
    write_file(folder, &format!("{name}.txt"), words)?;
    let json = serde_json::to_string_pretty(report)? + "\n";
    write_file(folder, &format!("{name}.json"), &json)
}

pub fn write_plot(folder: &Path, name: &str, svg: &str) -> Result<()> {
    write_file(folder, &format!("{name}.svg"), svg)
}

fn write_file(folder: &Path, name: &str, content: &str) -> Result<()> {
    let file = folder.join(name);
    fs::write(&file, content).with_context(|| format!("{} cannot be written", file.display()))?;
    tell(&format!("Written {}", file.display()));
    Ok(())
}
