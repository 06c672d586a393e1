//! Holds processes of the server still, as a disk or a machine that hangs would.

use std::{collections::BTreeSet, time::Duration};

use anyhow::{Context as _, Result};
use rustix::process::Signal;
use tokio::time::{Instant, sleep};

use super::Postgres;
use crate::{processes, service::Service};

/// How often processes are looked for that began meanwhile.
const LOOK_INTERVAL: Duration = Duration::from_millis(100);
/// Those that write, beside the backends.
const WRITERS: [&str; 3] = ["walwriter", "checkpointer", "background writer"];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stalled {
    /// Those of one service.
    Backends(Service),
    /// Whatever writes to the disk: the backends of all services, and the server's own writers.
    Disk,
}

/// Processes that were stopped; they go on when this is dropped.
#[derive(Default)]
struct Stopped(BTreeSet<u32>);

impl Drop for Stopped {
    fn drop(&mut self) {
        for process in &self.0 {
            // One that was killed meanwhile needs nothing.
            let _ = processes::signal(*process, Signal::CONT);
        }
    }
}

impl Postgres {
    /// Holds a part of the server still for a time (SIGSTOP and SIGCONT), and whatever joins it
    /// meanwhile.
    pub async fn stall(&self, stalled: Stalled, lasts: Duration) -> Result<()> {
        let postmaster = self.own()?.process_id();
        let postmaster = postmaster.context("PostgreSQL does not run")?;
        let titles = self.titles(stalled);
        let (until, mut stopped) = (Instant::now() + lasts, Stopped::default());
        loop {
            for process in processes::children(postmaster) {
                let line = processes::command_line(process).unwrap_or_default();
                let is_meant = titles.iter().any(|title| line.contains(title));
                if is_meant && processes::signal(process, Signal::STOP).is_ok() {
                    stopped.0.insert(process);
                }
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(());
            }
            sleep(left.min(LOOK_INTERVAL)).await;
        }
    }

    /// What the titles of these processes contain. A backend's names its role and its database.
    fn titles(&self, stalled: Stalled) -> Vec<String> {
        let of_owner = |service: Service| {
            let name = service.database(&self.options.database_prefix);
            format!("{name} {name} ")
        };
        match stalled {
            Stalled::Backends(service) => vec![of_owner(service)],
            Stalled::Disk => {
                let backends = Service::WITH_DATABASE.into_iter().map(of_owner);
                backends.chain(WRITERS.map(str::to_owned)).collect()
            }
        }
    }
}
