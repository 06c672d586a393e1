//! Wall clocks that can be moved, one for each replica, without a line in the product: a small
//! library in front of the C library's.

use std::{
    fs::{self, File},
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, ensure};
use tidegate_client::replicas;
use tidegate_local::stack::Stack;

const SOURCE: &str = include_str!("clock.c");
/// Read by the library in the service's process.
const FILE_VARIABLE: &str = "CHAOS_CLOCK_FILE";

#[derive(Debug)]
pub struct Clocks {
    folder: PathBuf,
    library: Option<PathBuf>,
}

impl Clocks {
    /// Builds the library into the folder. On systems whose loader works another way there are no
    /// clocks to move.
    pub fn build(folder: &Path) -> Result<Self> {
        fs::create_dir_all(folder)
            .with_context(|| format!("{} cannot be made", folder.display()))?;
        let folder = folder.canonicalize()?;
        let is_possible = cfg!(target_os = "linux");
        let library = is_possible.then(|| compile(&folder)).transpose()?;
        Ok(Self { folder, library })
    }

    /// Gives every replica its own clock at its next start.
    pub fn hand_out(&self, stack: &mut Stack) -> Result<()> {
        let Some(library) = &self.library else {
            return Ok(());
        };
        for (_, name) in replicas(stack) {
            self.set(&name, 0)?;
            let file = self.file(&name).display().to_string();
            stack.set_variable(&name, FILE_VARIABLE, Some(&file))?;
            stack.set_variable(&name, "LD_PRELOAD", Some(&library.display().to_string()))?;
        }
        Ok(())
    }

    /// Moves a replica's clock so far from the true time, at once.
    pub fn set(&self, replica: &str, offset_seconds: i64) -> Result<()> {
        let path = self.file(replica);
        let file = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .with_context(|| format!("{} cannot be written", path.display()))?;
        // In place, since the process has this very file in its memory.
        file.write_all_at(&offset_seconds.to_ne_bytes(), 0)?;
        Ok(())
    }

    fn file(&self, replica: &str) -> PathBuf {
        self.folder.join(format!("{replica}.clock"))
    }
}

fn compile(folder: &Path) -> Result<PathBuf> {
    let (source, library) = (folder.join("clock.c"), folder.join("libclock.so"));
    fs::write(&source, SOURCE)?;
    let output = Command::new("cc")
        .args(["-shared", "-fPIC", "-O2", "-o"])
        .args([&library, &source])
        .output()
        .context("There is no C compiler: install cc, clocks cannot be moved without it.")?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.success(),
        "The library that moves clocks does not compile: {said}"
    );
    Ok(library)
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime, UNIX_EPOCH};

    use super::*;

    #[test]
    #[cfg(target_os = "linux")]
    fn a_moved_clock_is_what_a_process_reads() {
        let folder = tempfile::tempdir().unwrap();
        let clocks = Clocks::build(folder.path()).unwrap();
        clocks.set("one", -7_200).unwrap();
        let output = Command::new("date")
            .arg("+%s")
            .env("LD_PRELOAD", clocks.library.as_ref().unwrap())
            .env(FILE_VARIABLE, clocks.file("one"))
            .output()
            .unwrap();
        let read: u64 = String::from_utf8_lossy(&output.stdout)
            .trim()
            .parse()
            .unwrap();
        let wanted = SystemTime::now() - Duration::from_secs(7_200);
        let wanted = wanted.duration_since(UNIX_EPOCH).unwrap().as_secs();
        assert!(read.abs_diff(wanted) <= 5, "{read} {wanted}");
    }
}
