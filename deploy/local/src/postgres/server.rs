//! The running server: started in the foreground as our child, waited for, stopped, killed.

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use rustix::process::Signal;
use sqlx::{ConnectOptions, Connection};
use tokio::{
    process::Child,
    time::{sleep, timeout},
};

use super::{
    account::Account,
    binaries::Binaries,
    cluster::{self, Cluster, Settings},
};
use crate::processes::{self, tail};

/// Recovery after a kill replays at most what lies between two checkpoints.
const START_LIMIT: Duration = Duration::from_secs(120);
const STOP_LIMIT: Duration = Duration::from_secs(30);
/// How long the kernel gets to take away the processes of a killed server; until then a new one refuses to start.
const ORPHAN_LIMIT: Duration = Duration::from_secs(30);
/// How long a dropped server gets to stop before it is killed.
const DROP_LIMIT: Duration = Duration::from_secs(5);
const POLL: Duration = Duration::from_millis(50);
const LOG_LINES: usize = 15;
/// What PostgreSQL logs while backends of an earlier postmaster hold its shared memory.
const STILL_IN_USE: &str = "is still in use";

#[derive(Debug)]
pub(super) struct Server {
    cluster: Cluster,
    child: Option<Child>,
}

impl Server {
    /// Finds or fetches the binaries, and makes the cluster if there is none. Nothing runs yet.
    pub(super) async fn prepare(
        account: Option<Account>,
        home: PathBuf,
        settings: Settings,
        say: &dyn Fn(&str),
    ) -> Result<Self> {
        let binaries = Binaries::find_or_fetch(&cluster::data_folder(&home), say).await?;
        let cluster = Cluster::prepare(account, home, binaries, settings, say).await?;
        Ok(Self {
            cluster,
            child: None,
        })
    }

    pub(super) fn cluster(&self) -> &Cluster {
        &self.cluster
    }

    pub(super) fn process_id(&self) -> Option<u32> {
        self.child.as_ref().and_then(Child::id)
    }

    /// What its command line contains and no other process's does.
    pub(super) fn command_mark(&self) -> String {
        self.cluster.data().display().to_string()
    }

    /// Starts the server and waits until it takes connections; does nothing if it runs.
    pub(super) async fn start(&mut self) -> Result<()> {
        if let Some(child) = &mut self.child
            && child.try_wait()?.is_none()
        {
            return Ok(());
        }
        // The child is kept from the first moment, so that a start that is given up leaves no server behind.
        self.child = Some(self.spawn()?);
        let started = Instant::now();
        loop {
            let ended = self.child.as_mut().map(Child::try_wait).transpose()?;
            if let Some(status) = ended.flatten() {
                self.child = None;
                if started.elapsed() < ORPHAN_LIMIT
                    && tail(&self.cluster.log(), LOG_LINES).contains(STILL_IN_USE)
                {
                    sleep(POLL).await;
                    self.child = Some(self.spawn()?);
                    continue;
                }
                bail!(
                    "PostgreSQL ended while it started ({status}). The end of {}:\n{}",
                    self.cluster.log().display(),
                    tail(&self.cluster.log(), LOG_LINES)
                );
            }
            if let Ok(connection) = self.cluster.superuser().connect().await {
                let _ = connection.close().await;
                return Ok(());
            }
            if started.elapsed() > START_LIMIT {
                bail!(
                    "PostgreSQL takes no connections after {} s: read {}.",
                    START_LIMIT.as_secs(),
                    self.cluster.log().display()
                );
            }
            sleep(POLL).await;
        }
    }

    fn spawn(&self) -> Result<Child> {
        self.cluster
            .server_command()?
            .spawn()
            .context("PostgreSQL cannot be started")
    }

    pub(super) async fn stop(&mut self) -> Result<()> {
        let Some(child) = &mut self.child else {
            return Ok(());
        };
        if let Some(process) = child.id() {
            processes::signal(process, Signal::INT)?;
        }
        if timeout(STOP_LIMIT, child.wait()).await.is_err() {
            bail!(
                "PostgreSQL does not stop after {} s: read {}.",
                STOP_LIMIT.as_secs(),
                self.cluster.log().display()
            );
        }
        self.child = None;
        Ok(())
    }

    /// Kills all processes of the server at one moment and waits for their end: what was in its memory only is lost.
    pub(super) async fn kill(&mut self) -> Result<()> {
        let Some(mut child) = self.child.take() else {
            return Ok(());
        };
        let Some(process) = child.id() else {
            return Ok(());
        };
        // A postmaster that stands still starts no backend between the count and the kill.
        processes::signal(process, Signal::STOP)?;
        let backends = processes::children(process);
        child.kill().await.context("PostgreSQL cannot be killed")?;
        for backend in &backends {
            // One that has ended by itself meanwhile is as good as killed.
            let _ = processes::signal(*backend, Signal::KILL);
        }
        let killed = Instant::now();
        // What nobody has reaped yet is still listed, but has no command line any more.
        let runs = |backend: &u32| {
            processes::command_line(*backend).is_some_and(|line| !line.trim().is_empty())
        };
        while backends.iter().any(runs) {
            if killed.elapsed() > ORPHAN_LIMIT {
                bail!(
                    "Processes of the killed PostgreSQL are still there after {} s; end them by hand.",
                    ORPHAN_LIMIT.as_secs()
                );
            }
            sleep(POLL).await;
        }
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let Some(child) = &mut self.child else { return };
        let Some(process) = child.id() else { return };
        // SIGINT ends the backends before the postmaster goes; a killed postmaster would leave them to find out.
        let _ = processes::signal(process, Signal::INT);
        let asked = Instant::now();
        while matches!(child.try_wait(), Ok(None)) && asked.elapsed() < DROP_LIMIT {
            std::thread::sleep(POLL);
        }
        let _ = child.start_kill();
    }
}
