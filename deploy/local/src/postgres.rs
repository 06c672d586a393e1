//! A PostgreSQL of the stack's own, or a database in one that is there already.
//!
//! [`Postgres::prepare`] decides which; [`Postgres::start`] brings it up and makes the databases. A server that is ours can be stopped,
//! killed and started again, which is what the fault tests do.

mod account;
mod binaries;
mod cluster;
mod databases;
mod server;
mod stall;
mod test_server;
mod timeline;
mod wheel;

use std::path::PathBuf;

use anyhow::{Context, Result};
use sqlx::postgres::PgConnectOptions;

pub use binaries::Binaries;
pub use stall::Stalled;
pub use test_server::TestServer;

use crate::service::Service;
use account::Account;
pub(crate) use account::folder_of_choice;
use cluster::Settings;
use databases::Passwords;
use server::Server;

/// Names the superuser URL of a server that is there already; unset, the stack runs its own.
pub const DATABASE_URL_VARIABLE: &str = "TIDEGATE_DATABASE_URL";

/// How PostgreSQL is to be run.
#[derive(Debug, Clone)]
pub struct PostgresOptions {
    /// Where the data, the passwords and the log go.
    pub home: PathBuf,
    /// The superuser URL of a server to use instead of one of our own.
    pub external_url: Option<String>,
    /// How many connections a server of our own takes.
    pub max_connections: u32,
    /// Turns durability off, for the test that proves that the services refuse to start on such a server.
    pub fsync_off: bool,
    /// What the names of databases and roles begin with: `tidegate` makes `tidegate_quota` and so on.
    pub database_prefix: String,
    /// Start from nothing: our own data is removed, and on a server that is not ours the databases are dropped.
    pub reset: bool,
}

impl PostgresOptions {
    /// A server of our own in `home`, or the one that `TIDEGATE_DATABASE_URL` names.
    pub fn new(home: impl Into<PathBuf>) -> Self {
        let named = std::env::var(DATABASE_URL_VARIABLE);
        Self {
            home: home.into(),
            external_url: named.ok().filter(|url| !url.is_empty()),
            max_connections: 100,
            fsync_off: false,
            database_prefix: "tidegate".to_owned(),
            reset: false,
        }
    }
}

#[derive(Debug)]
pub struct Postgres {
    options: PostgresOptions,
    passwords: Passwords,
    superuser: PgConnectOptions,
    /// None if the server is not ours.
    own: Option<Server>,
}

impl Postgres {
    /// Finds the server, or the binaries for one of our own, and makes the data folder. Nothing runs yet.
    ///
    /// `say` is told of steps that take time or that a person should know of.
    pub async fn prepare(options: PostgresOptions, say: &dyn Fn(&str)) -> Result<Self> {
        let (superuser, own) = match &options.external_url {
            Some(url) => {
                let superuser: PgConnectOptions =
                    url.parse().with_context(|| format!("{DATABASE_URL_VARIABLE} is not a PostgreSQL URL: write it as postgres://user:password@host:port/postgres"))?;
                if options.reset {
                    databases::drop_all(&superuser, &options.database_prefix).await?;
                }
                (superuser, None)
            }
            None => {
                let account = Account::for_server()?;
                let home = account::reachable_home(account.as_ref(), &options.home, say)?;
                if options.reset {
                    cluster::remove(&home)?;
                }
                let settings = Settings {
                    max_connections: options.max_connections,
                    fsync_off: options.fsync_off,
                    trust: false,
                };
                let server = Server::prepare(account, home, settings, say).await?;
                (server.cluster().superuser(), Some(server))
            }
        };
        std::fs::create_dir_all(&options.home)
            .with_context(|| format!("{} cannot be made", options.home.display()))?;
        let passwords = Passwords::load_or_make(&options.home)?;
        Ok(Self {
            options,
            passwords,
            superuser,
            own,
        })
    }

    /// Starts the server if it is ours, waits until it answers, and makes the roles and databases that are missing.
    pub async fn start(&mut self) -> Result<()> {
        if let Some(server) = &mut self.own {
            server.start().await?;
        }
        let prefix = &self.options.database_prefix;
        databases::create(&self.superuser, prefix, &self.passwords).await
    }

    /// Stops the server quickly and cleanly: sessions are cut, nothing is lost. A server that is not ours is left alone.
    pub async fn stop(&mut self) -> Result<()> {
        match &mut self.own {
            Some(server) => server.stop().await,
            None => Ok(()),
        }
    }

    /// Kills the server as a power cut would (SIGKILL), and waits until all its processes are gone.
    pub async fn kill(&mut self) -> Result<()> {
        self.own.as_mut().with_context(not_ours)?.kill().await
    }

    fn own(&self) -> Result<&Server> {
        self.own.as_ref().with_context(not_ours)
    }

    /// Removes everything that was written, when nobody will want it again. The server must have been stopped if it is ours.
    pub async fn remove_data(&self) -> Result<()> {
        match &self.own {
            Some(server) => cluster::remove(server.cluster().home()),
            None => databases::drop_all(&self.superuser, &self.options.database_prefix).await,
        }
    }

    /// The process id of the server, while it is ours and runs.
    pub fn process_id(&self) -> Option<u32> {
        self.own.as_ref()?.process_id()
    }

    /// What the command line of our server contains and no other process's does; none for a server that is not ours.
    pub fn command_mark(&self) -> Option<String> {
        Some(self.own.as_ref()?.command_mark())
    }

    /// The URL with which a service reaches its database.
    pub fn database_url(&self, service: Service) -> String {
        let name = service.database(&self.options.database_prefix);
        databases::url_at(&self.superuser, &name, self.passwords.of(service))
    }

    /// How a superuser connects, for what only one may see.
    pub fn superuser(&self) -> PgConnectOptions {
        self.superuser.clone()
    }

    /// One line that says which PostgreSQL this is.
    pub fn describe(&self) -> String {
        let there = || {
            let host = self.superuser.get_host();
            format!("PostgreSQL at {host} (from {DATABASE_URL_VARIABLE})")
        };
        let own = self.own.as_ref();
        own.map_or_else(there, |server| server.cluster().describe())
    }
}

fn not_ours() -> String {
    format!(
        "The PostgreSQL of {DATABASE_URL_VARIABLE} is not ours to stop or change: unset the variable for this test."
    )
}
