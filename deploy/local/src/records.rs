//! What runs in a data folder, written down, so that a launcher that was killed leaves nothing that the next one does not know of.

use std::{
    fs::{self, File, TryLockError},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use rustix::process::Signal;
use serde::{Deserialize, Serialize};
use tokio::time::sleep;

use crate::processes;

/// Leftovers get this long to end by themselves.
const END_LIMIT: Duration = Duration::from_secs(10);
/// The file whose lock says that the folder is taken.
const LOCK: &str = "lock";
const PROCESSES: &str = "processes.json";
const POLL: Duration = Duration::from_millis(50);

#[derive(Debug, Serialize, Deserialize)]
struct Record {
    process: u32,
    /// Part of the command line: a process with the same number and another command line is somebody else's.
    command_mark: String,
}

/// The data folder, taken for this launcher alone, and the list of its processes.
#[derive(Debug)]
pub(crate) struct Records {
    file: PathBuf,
    _lock: File,
}

impl Records {
    /// Takes the folder until dropped; the kernel gives it free if the launcher is killed.
    pub(crate) fn take(data: &Path) -> Result<Self> {
        let path = data.join(LOCK);
        let name = path.display();
        let unwritten = || format!("{name} cannot be written: choose another folder with --data");
        let lock = File::create(&path).with_context(unwritten)?;
        match lock.try_lock() {
            Ok(()) => Ok(Self {
                file: data.join(PROCESSES),
                _lock: lock,
            }),
            Err(TryLockError::WouldBlock) => bail!(
                "Another launcher uses {}: stop it, or choose another folder with --data.",
                data.display()
            ),
            Err(TryLockError::Error(error)) => {
                Err(error).with_context(|| format!("{name} cannot be locked"))
            }
        }
    }

    /// Takes a folder whose launcher wrote into it and is gone.
    pub(crate) fn left_behind(data: &Path) -> Option<Self> {
        let was_taken = data.join(PROCESSES).exists();
        was_taken.then(|| Self::take(data).ok())?
    }

    /// Empties the folder; the lock stays, since we hold it.
    pub(crate) fn remove_all_else(&self) -> Result<()> {
        let folder = self.file.parent().context("the data folder has no path")?;
        let entries =
            fs::read_dir(folder).with_context(|| format!("{} cannot be read", folder.display()))?;
        for entry in entries.flatten().filter(|entry| entry.file_name() != LOCK) {
            let path = entry.path();
            let removed = if path.is_dir() {
                fs::remove_dir_all(&path)
            } else {
                fs::remove_file(&path)
            };
            removed.with_context(|| format!("{} cannot be removed", path.display()))?;
        }
        Ok(())
    }

    pub(crate) fn write(&self, running: impl IntoIterator<Item = (u32, String)>) -> Result<()> {
        let record = |(process, command_mark)| Record {
            process,
            command_mark,
        };
        let records: Vec<_> = running.into_iter().map(record).collect();
        fs::write(&self.file, serde_json::to_vec(&records)?)
            .with_context(|| format!("{} cannot be written", self.file.display()))
    }

    /// Stops what an earlier launcher left running.
    pub(crate) async fn stop_leftovers(&self, say: fn(&str)) -> Result<()> {
        let text = fs::read(&self.file).unwrap_or_default();
        let records: Vec<Record> = serde_json::from_slice(&text).unwrap_or_default();
        let leftovers: Vec<_> = records.iter().filter(|record| record.lives()).collect();
        if leftovers.is_empty() {
            return Ok(());
        }
        say(&format!(
            "An earlier launcher was killed: stopping {} processes it left.",
            leftovers.len()
        ));
        // Services first: PostgreSQL is written last, and SIGINT makes it cut its sessions.
        for record in &leftovers {
            let _ = processes::signal(record.process, Signal::CONT);
            let _ = processes::signal(record.process, Signal::INT);
        }
        let asked = Instant::now();
        while leftovers.iter().any(|record| record.lives()) && asked.elapsed() < END_LIMIT {
            sleep(POLL).await;
        }
        for record in leftovers.iter().filter(|record| record.lives()) {
            processes::signal(record.process, Signal::KILL)?;
        }
        Ok(())
    }
}

impl Record {
    fn lives(&self) -> bool {
        processes::command_line(self.process).is_some_and(|line| line.contains(&self.command_mark))
    }
}

#[cfg(test)]
mod tests {
    use std::process::{Child, Command};

    use super::*;

    #[test]
    fn a_folder_serves_one_launcher_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let first = Records::take(folder.path()).unwrap();
        let refusal = Records::take(folder.path()).unwrap_err().to_string();
        assert!(refusal.contains("Another launcher"), "{refusal}");
        fs::write(folder.path().join("old"), "x").unwrap();
        first.remove_all_else().unwrap();
        assert!(!folder.path().join("old").exists() && Records::take(folder.path()).is_err());
        drop(first);
        assert!(Records::take(folder.path()).is_ok());
    }

    #[tokio::test]
    async fn leftovers_are_stopped_and_other_processes_with_their_number_are_not() {
        let folder = tempfile::tempdir().unwrap();
        let records = Records::take(folder.path()).unwrap();
        let mut ours = Command::new("sleep").arg("300").spawn().unwrap();
        let mut theirs = Command::new("sleep").arg("301").spawn().unwrap();
        // For a moment after its start a process has no command line yet.
        let has_begun = |process: &Child| {
            let line = processes::command_line(process.id());
            line.is_some_and(|line| line.contains("sleep 30"))
        };
        while !has_begun(&ours) || !has_begun(&theirs) {
            sleep(POLL).await;
        }
        let left = [
            (ours.id(), "sleep 300".to_owned()),
            (theirs.id(), "tidegate issuance-0".to_owned()),
        ];
        records.write(left).unwrap();
        records.stop_leftovers(|_| ()).await.unwrap();
        assert!(!ours.wait().unwrap().success());
        assert!(theirs.try_wait().unwrap().is_none());
        theirs.kill().unwrap();
        theirs.wait().unwrap();
    }
}
