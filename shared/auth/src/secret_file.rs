use std::{fs, io, io::Write as _, os::unix::fs::OpenOptionsExt as _, path::Path};

/// Writes a file that only its owner may read, whole or not at all, whatever fails meanwhile.
pub fn write_secret_file(file: &Path, content: &[u8]) -> io::Result<()> {
    let partial = file.with_extension("partial");
    // One that was left behind keeps its own mode.
    match fs::remove_file(&partial) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut open = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&partial)?;
    open.write_all(content)?;
    open.sync_all()?;
    fs::rename(&partial, file)
}
