use std::{
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

/// How often files on disk are looked at for changes.
pub const RELOAD_INTERVAL: Duration = Duration::from_secs(5);

/// Notices when one of a few files has changed.
pub struct FileWatch {
    files: Vec<PathBuf>,
    seen: Vec<Option<SystemTime>>,
}

impl FileWatch {
    /// A watch that has seen the files as they are now.
    pub fn new<'a>(files: impl IntoIterator<Item = &'a Path>) -> Self {
        let files: Vec<_> = files.into_iter().map(Path::to_owned).collect();
        let seen = modified(&files);
        Self { files, seen }
    }

    /// True once after each change. Follows symbolic links, because Kubernetes swaps those.
    pub fn changed(&mut self) -> bool {
        let now = modified(&self.files);
        let changed = now != self.seen;
        self.seen = now;
        changed
    }
}

fn modified(files: &[PathBuf]) -> Vec<Option<SystemTime>> {
    files
        .iter()
        .map(|file| {
            file.metadata()
                .and_then(|metadata| metadata.modified())
                .ok()
        })
        .collect()
}
