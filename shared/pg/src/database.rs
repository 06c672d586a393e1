mod schema;

use std::{str::FromStr as _, time::Duration};

use sqlx::{
    ConnectOptions as _, Connection as _, PgConnection, PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use tidegate_types::Lanes;
use tokio::time::{Instant, sleep, timeout};

use crate::faults::{Fault, fault};

/// How long a new connection may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// How long a read waits for a free connection.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(2);
const MIN_SERVER_VERSION: u32 = 150_000;
/// How long a process waits at its start for its database and for the migration of its schema. They come up in any order, and whoever ends meanwhile is started again after ever longer pauses.
const START_PATIENCE: Duration = Duration::from_secs(90);
/// How often a server looks whether the client of a running statement is still there. A statement that was given up, because it hangs, ends so, and with it its connection and its locks.
const CLIENT_LOOKED_FOR_EVERY: &str = "1s";
/// A process that hangs in the middle of a transaction, paused or frozen, loses it after this time: others wait for its locks, such as those who take back what it held.
const HUNG_AFTER: &str = "5s";
const START_RETRY_INTERVAL: Duration = Duration::from_secs(1);

/// The database cannot be used as it is. Each says what to do.
#[derive(Debug, thiserror::Error)]
pub enum DatabaseUnusable {
    /// The URL cannot be read. It is not shown, because it holds a password.
    #[error(
        "the database URL cannot be read; it has the form postgres://role:password@host:port/database"
    )]
    Url,
    /// The server cannot be reached or refused us.
    #[error("the database cannot be reached: {0}")]
    Unreachable(#[source] sqlx::Error),
    /// Commits would not survive a crash.
    #[error(
        "PostgreSQL runs with {setting}={value}, so a crash would lose what callers were told is kept; set {setting}=on and start again"
    )]
    NotDurable {
        /// The setting.
        setting: String,
        /// Its value.
        value: String,
    },
    /// Too old a server.
    #[error("PostgreSQL {found} is too old; 15 to 18 are supported")]
    TooOld {
        /// What it says it is.
        found: String,
    },
    /// Migrations have not been applied.
    #[error(
        "the database schema is at version {found}, this program needs {needed}; run `migrate` first, or set TIDEGATE_MIGRATE_ON_START=true"
    )]
    SchemaNotCurrent {
        /// Version found.
        found: i64,
        /// Version needed.
        needed: i64,
    },
    /// A migration failed.
    #[error("a migration failed: {0}")]
    Migration(#[source] sqlx::migrate::MigrateError),
    /// The database was made for another number of lanes.
    #[error(
        "this database was made with {fixed} lanes and TIDEGATE_LANES is {configured}; rows would be looked for where they are not, so set TIDEGATE_LANES={fixed}"
    )]
    OtherLanes {
        /// What the database was made with.
        fixed: i32,
        /// What the setting says.
        configured: u16,
    },
    /// A query at start failed.
    #[error("the database could not be checked: {0}")]
    Check(#[source] sqlx::Error),
}

impl DatabaseUnusable {
    /// Whether waiting can help: the database or its migration is still under way. Everything else is for a person to mend.
    fn may_pass(&self) -> bool {
        match self {
            Self::Unreachable(_) | Self::SchemaNotCurrent { .. } => true,
            Self::Check(error) => fault(error) == Fault::ConnectionLost,
            Self::Url
            | Self::NotDurable { .. }
            | Self::TooOld { .. }
            | Self::Migration(_)
            | Self::OtherLanes { .. } => false,
        }
    }
}

/// Where a service keeps its state.
#[derive(Clone)]
pub struct Database {
    options: PgConnectOptions,
    /// All checks of a start share one patience, so that together they last no longer than one of them.
    patient_until: Instant,
}

impl Database {
    /// Reads `postgres://role:password@host:port/database`.
    pub fn parse(url: &str, application_name: &str) -> Result<Self, DatabaseUnusable> {
        let options = PgConnectOptions::from_str(url).map_err(|_| DatabaseUnusable::Url)?;
        let options = options
            .application_name(application_name)
            .options([
                ("idle_in_transaction_session_timeout", HUNG_AFTER),
                ("client_connection_check_interval", CLIENT_LOOKED_FOR_EVERY),
            ])
            .log_statements(tracing::log::LevelFilter::Off);
        Ok(Self {
            options,
            patient_until: Instant::now() + START_PATIENCE,
        })
    }

    /// Makes sure the server keeps what it commits, and is of a version that is supported. Waits for a server that cannot be reached yet.
    pub async fn check_durability(&self) -> Result<(), DatabaseUnusable> {
        self.patiently(|| self.check_durability_now()).await
    }

    async fn check_durability_now(&self) -> Result<(), DatabaseUnusable> {
        let mut connection = self
            .connect()
            .await
            .map_err(DatabaseUnusable::Unreachable)?;
        check_settings(&mut connection).await?;
        if connection
            .server_version_num()
            .is_some_and(|version| version < MIN_SERVER_VERSION)
        {
            let found = connection
                .server_version_num()
                .map_or(String::new(), |version| (version / 10_000).to_string());
            return Err(DatabaseUnusable::TooOld { found });
        }
        connection.close().await.map_err(DatabaseUnusable::Check)
    }

    /// Checks until it succeeds, fails for good, or the patience of the start is over. Says once what it waits for.
    async fn patiently<Checking>(
        &self,
        check: impl Fn() -> Checking,
    ) -> Result<(), DatabaseUnusable>
    where
        Checking: Future<Output = Result<(), DatabaseUnusable>>,
    {
        let mut is_told = false;
        loop {
            let error = match check().await {
                Err(error) if error.may_pass() => error,
                outcome => return outcome,
            };
            let left = self.patient_until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(error);
            }
            if !is_told {
                tracing::warn!(%error, seconds_left = left.as_secs(), "waiting for the database before anything is served; the process ends if this lasts longer");
                is_told = true;
            }
            sleep(START_RETRY_INTERVAL).await;
        }
    }

    /// Fixes the number of lanes when the database is new, and from then on refuses any other.
    pub async fn fix_lanes(&self, lanes: Lanes) -> Result<(), DatabaseUnusable> {
        let mut connection = self
            .connect()
            .await
            .map_err(DatabaseUnusable::Unreachable)?;
        sqlx::query(include_str!("../queries/fix_lanes.sql"))
            .bind(i32::from(lanes.get()))
            .execute(&mut connection)
            .await
            .map_err(DatabaseUnusable::Check)?;
        let fixed: i32 = sqlx::query_scalar(include_str!("../queries/read_lanes.sql"))
            .fetch_one(&mut connection)
            .await
            .map_err(DatabaseUnusable::Check)?;
        if fixed != i32::from(lanes.get()) {
            return Err(DatabaseUnusable::OtherLanes {
                fixed,
                configured: lanes.get(),
            });
        }
        connection.close().await.map_err(DatabaseUnusable::Check)
    }

    /// A pool for reads and for writes that are not hot.
    pub fn pool(&self, max_connections: u32) -> PgPool {
        PgPoolOptions::new()
            .max_connections(max_connections)
            .acquire_timeout(ACQUIRE_TIMEOUT)
            .after_connect(|connection, _| Box::pin(refuse_what_loses_commits(connection)))
            .connect_lazy_with(self.probing())
    }

    async fn connect(&self) -> Result<PgConnection, sqlx::Error> {
        within(CONNECT_TIMEOUT, self.options.connect()).await
    }

    /// A connection for one writer. A server that took over after a failure may have other settings than the one before it, so each connection is looked at.
    pub async fn connect_writer(&self) -> Result<PgConnection, sqlx::Error> {
        within(CONNECT_TIMEOUT, async {
            let mut connection = self.probing().connect().await?;
            refuse_what_loses_commits(&mut connection).await?;
            Ok(connection)
        })
        .await
    }

    /// The planner may only probe indexes: with young statistics it takes a batch joined to a large table for a hash, a scan or a memoized copy of the whole table, which costs more with every row there is.
    /// With that there is one good plan for every batch, so it is made once: planning anew for each costs three times what a small batch costs to run.
    fn probing(&self) -> PgConnectOptions {
        const PROBE_ONLY: [(&str, &str); 7] = [
            ("enable_seqscan", "off"),
            ("enable_hashjoin", "off"),
            ("enable_mergejoin", "off"),
            ("enable_bitmapscan", "off"),
            ("enable_memoize", "off"),
            ("jit", "off"),
            ("plan_cache_mode", "force_generic_plan"),
        ];
        self.options.clone().options(PROBE_ONLY)
    }
}

async fn check_settings(connection: &mut PgConnection) -> Result<(), DatabaseUnusable> {
    let settings: Vec<(String, String)> =
        sqlx::query_as(include_str!("../queries/durability_settings.sql"))
            .fetch_all(connection)
            .await
            .map_err(DatabaseUnusable::Check)?;
    match settings
        .into_iter()
        .find(|(setting, value)| !keeps_commits(setting, value))
    {
        None => Ok(()),
        Some((setting, value)) => Err(DatabaseUnusable::NotDurable { setting, value }),
    }
}

/// `remote_write` does not: a standby's machine that fails with the primary's loses what its kernel had not written yet.
fn keeps_commits(setting: &str, value: &str) -> bool {
    value == "on" || setting == "synchronous_commit" && value == "remote_apply"
}

/// Counts as a connection that was lost: its server may be mended, or another may take over, and nothing is committed until then.
async fn refuse_what_loses_commits(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    check_settings(connection).await.map_err(|error| {
        tracing::error!(%error, "a database connection is not used, and what needs it waits: its server would lose commits");
        sqlx::Error::Io(std::io::Error::other(error))
    })
}

/// Runs a database call for at most this long; one that takes longer counts as a broken connection.
pub(crate) async fn within<T>(
    limit: Duration,
    call: impl Future<Output = Result<T, sqlx::Error>>,
) -> Result<T, sqlx::Error> {
    timeout(limit, call)
        .await
        .unwrap_or_else(|_| Err(sqlx::Error::Io(std::io::ErrorKind::TimedOut.into())))
}

#[cfg(test)]
mod tests {
    use sqlx::migrate::Migrator;

    use super::*;

    /// Nobody listens on this port.
    const NOWHERE: &str = "postgres://role:password@127.0.0.1:1/database";

    #[tokio::test(start_paused = true)]
    async fn a_start_waits_for_a_database_that_is_away_and_then_gives_up() {
        let began = Instant::now();
        let database = Database::parse(NOWHERE, "test").unwrap();
        let outcome = database.check_durability().await;
        assert!(matches!(outcome, Err(DatabaseUnusable::Unreachable(_))));
        let waited = began.elapsed();
        assert!(waited >= START_PATIENCE, "{waited:?}");
        let longest = START_PATIENCE + START_RETRY_INTERVAL + CONNECT_TIMEOUT;
        assert!(waited <= longest, "{waited:?}");
        let outcome = database.check_schema(&Migrator::DEFAULT).await;
        assert!(matches!(outcome, Err(DatabaseUnusable::Unreachable(_))));
        assert!(began.elapsed() - waited <= CONNECT_TIMEOUT, "waited again");
    }

    #[test]
    fn only_settings_that_survive_a_crash_keep_commits() {
        for value in ["on", "remote_apply"] {
            assert!(keeps_commits("synchronous_commit", value), "{value}");
        }
        for value in ["remote_write", "local", "off"] {
            assert!(!keeps_commits("synchronous_commit", value), "{value}");
        }
        assert!(keeps_commits("fsync", "on") && !keeps_commits("fsync", "off"));
        assert!(!keeps_commits("full_page_writes", "remote_apply"));
    }

    #[test]
    fn a_missing_migration_may_pass_and_a_database_that_loses_commits_does_not() {
        let missing = DatabaseUnusable::SchemaNotCurrent {
            found: 1,
            needed: 2,
        };
        assert!(missing.may_pass());
        let not_durable = DatabaseUnusable::NotDurable {
            setting: "fsync".to_owned(),
            value: "off".to_owned(),
        };
        assert!(!not_durable.may_pass());
    }
}
