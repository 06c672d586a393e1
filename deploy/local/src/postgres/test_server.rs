//! A server for the store tests: as durable as in production, made for one command and removed with it.

use std::{
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt},
};

use anyhow::{Context, Result};
use tempfile::TempDir;

use super::{account::Account, cluster::Settings, server::Server};
use crate::records::Records;

/// Outside any home directory, so that the server's own user gets there, and short, because the kernel limits a socket's path.
const PARENT: &str = "/var/tmp";
const PREFIX: &str = "tidegate-tests.";
/// Every test has pools of its own, and as many tests run at once as there are processors.
const MAX_CONNECTIONS: u32 = 400;

#[derive(Debug)]
pub struct TestServer {
    // Dropped in this order: the folder goes once nothing writes there.
    server: Server,
    _records: Records,
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
        let records = Records::take(home.path())?;
        // Whoever finds this knows that the folder is taken until the lock is free.
        records.write([])?;
        let settings = Settings {
            max_connections: MAX_CONNECTIONS,
            fsync_off: false,
            trust: true,
        };
        let folder = home.path().to_owned();
        let mut server = Server::prepare(Account::for_server()?, folder, settings, say).await?;
        server.start().await?;
        let process = server.process_id();
        records.write(process.map(|process| (process, server.command_mark())))?;
        Ok(Self {
            server,
            _records: records,
            home,
        })
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

    /// Removes the servers of runs that were killed and so could not clean up.
    pub async fn remove_leftovers(say: fn(&str)) -> Result<()> {
        let ourselves = rustix::process::geteuid().as_raw();
        for home in fs::read_dir(PARENT).into_iter().flatten().flatten() {
            let is_ours = home.metadata().is_ok_and(|facts| facts.uid() == ourselves);
            if !is_ours || !home.file_name().to_string_lossy().starts_with(PREFIX) {
                continue;
            }
            let home = home.path();
            if let Some(records) = Records::left_behind(&home) {
                let name = home.display();
                say(&format!(
                    "Removing the PostgreSQL that an earlier run left in {name}."
                ));
                records.stop_leftovers(say).await?;
                // Another run may remove it at the same time.
                let _ = fs::remove_dir_all(&home);
            }
        }
        Ok(())
    }
}
