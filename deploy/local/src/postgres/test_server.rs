//! A server for the store tests: as durable as in production, made for one command and removed with it.

use std::{
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use rustix::process::Signal;
use tempfile::TempDir;

use super::{
    account::Account,
    binaries::Binaries,
    cluster::{self, Cluster, Settings},
    server::Server,
};
use crate::processes;

/// Outside any home directory, so that the server's own user gets there, and short, because the kernel limits a socket's path.
const PARENT: &str = "/var/tmp";
const PREFIX: &str = "tidegate-tests.";
/// Holds the process id of the run that a folder belongs to.
const OWNER: &str = "owner";
/// Every test has pools of its own, and as many tests run at once as there are processors.
const MAX_CONNECTIONS: u32 = 400;
const STOP_LIMIT: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(50);

#[derive(Debug)]
pub struct TestServer {
    // Dropped in this order: the folder goes once nothing writes there.
    server: Server,
    home: TempDir,
}

impl TestServer {
    /// Makes and starts one. `say` is told of steps that take time.
    pub async fn start(say: &dyn Fn(&str)) -> Result<Self> {
        let home = tempfile::Builder::new()
            .prefix(PREFIX)
            .permissions(fs::Permissions::from_mode(0o711))
            .tempdir_in(PARENT)
            .with_context(|| format!("No folder can be made in {PARENT}"))?;
        fs::write(home.path().join(OWNER), std::process::id().to_string())?;
        let account = Account::for_server()?;
        let binaries = Binaries::find_or_fetch(&cluster::data_folder(home.path()), say).await?;
        let settings = Settings {
            tcp_port: None,
            max_connections: MAX_CONNECTIONS,
            fsync_off: false,
            trust: true,
        };
        let folder = home.path().to_owned();
        let cluster = Cluster::prepare(account, folder, binaries, settings, say).await?;
        let server = Server::new(cluster);
        let mut started = Self { server, home };
        started.server.start().await?;
        Ok(started)
    }

    pub fn url(&self) -> String {
        self.server.cluster().superuser_url()
    }

    /// Stops it and removes all that it wrote.
    pub async fn remove(mut self) -> Result<()> {
        self.server.stop().await?;
        let home = self.home.path().to_owned();
        let removed = self.home.close();
        removed.with_context(|| format!("{} cannot be removed", home.display()))
    }

    /// Removes the servers of runs that were killed and so could not clean up. `is_owner` tells whether a process is such a run.
    pub fn remove_leftovers(is_owner: &dyn Fn(u32) -> bool, say: &dyn Fn(&str)) {
        let ourselves = rustix::process::geteuid().as_raw();
        for home in fs::read_dir(PARENT).into_iter().flatten().flatten() {
            let is_ours = home.metadata().is_ok_and(|facts| facts.uid() == ourselves);
            if !is_ours || !home.file_name().to_string_lossy().starts_with(PREFIX) {
                continue;
            }
            // A run that begins just now has not said yet whose folder it is.
            let home = home.path();
            let owner = process_in(&home.join(OWNER));
            if owner.is_some_and(|owner| !is_owner(owner)) {
                say(&format!(
                    "Removing the PostgreSQL that an earlier run left in {}.",
                    home.display()
                ));
                remove_leftover(&home);
            }
        }
    }
}

fn remove_leftover(home: &Path) {
    let data = cluster::data_folder(home);
    if let Some(postmaster) = process_in(&data.join("postmaster.pid")) {
        // Its number may be another process's by now.
        let mark = data.display().to_string();
        let runs = || processes::command_line(postmaster).is_some_and(|line| line.contains(&mark));
        let found = Instant::now();
        if runs() {
            // Immediate shutdown: nobody wants the data again.
            let _ = processes::signal(postmaster, Signal::QUIT);
        }
        while runs() && found.elapsed() < STOP_LIMIT {
            std::thread::sleep(POLL);
        }
    }
    // Another run may remove it at the same time.
    let _ = fs::remove_dir_all(home);
}

/// The process whose id a file's first line holds.
fn process_in(file: &Path) -> Option<u32> {
    fs::read_to_string(file).ok()?.lines().next()?.parse().ok()
}
