//! Files that only their owner may read.

use std::path::Path;

use anyhow::{Context, Result};
use tidegate_auth::write_secret_file;

/// Writes a file with mode 0600, whole or not at all.
pub fn write(file: &Path, content: impl AsRef<[u8]>) -> Result<()> {
    write_secret_file(file, content.as_ref())
        .with_context(|| format!("{} cannot be written", file.display()))
}
