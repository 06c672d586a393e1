//! Files that only their owner may read.

use std::{fs, io::Write, os::unix::fs::OpenOptionsExt, path::Path};

use anyhow::{Context, Result};

/// Writes a file with mode 0600, whole or not at all.
///
/// # Errors
/// The folder is not there or not ours.
pub fn write(file: &Path, content: &[u8]) -> Result<()> {
    let partial = file.with_extension("partial");
    let _ = fs::remove_file(&partial);
    let mut open = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&partial)
        .with_context(|| format!("{} cannot be written", partial.display()))?;
    open.write_all(content)
        .and_then(|()| open.sync_all())
        .with_context(|| format!("{} cannot be written", partial.display()))?;
    fs::rename(&partial, file).with_context(|| format!("{} cannot be written", file.display()))
}
