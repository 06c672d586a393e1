//! Files that only their owner may read.

use std::{fs, os::unix::fs::DirBuilderExt, path::Path};

use anyhow::{Context, Result};
use tidegate_auth::write_secret_file;

/// Writes a file with mode 0600, whole or not at all.
pub fn write(file: &Path, content: impl AsRef<[u8]>) -> Result<()> {
    write_secret_file(file, content.as_ref())
        .with_context(|| format!("{} cannot be written", file.display()))
}

/// Makes a folder that only its owner may enter, if there is none yet.
pub fn make_folder(folder: &Path) -> Result<()> {
    let mut builder = fs::DirBuilder::new();
    let made = builder.recursive(true).mode(0o700).create(folder);
    made.with_context(|| format!("{} cannot be made", folder.display()))
}
