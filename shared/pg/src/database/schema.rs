//! The schema of a database: bringing it up to date, and how it is.

use sqlx::{
    Connection as _, Executor as _, PgConnection,
    migrate::{Migrate as _, MigrateError, Migrator},
};
use tidegate_types::DatabaseState;
use tokio::time::{Instant, sleep};

use super::{Database, DatabaseUnusable, START_RETRY_INTERVAL, check_settings};
use crate::change_log::CHANGE_LOG;

const UNDEFINED_TABLE: &str = "42P01";

impl Database {
    /// Applies the migrations that are missing. Several processes may do so at once: they take turns.
    ///
    /// Whoever waits for its turn holds no snapshot meanwhile, for which a concurrent build of an
    /// index would wait in turn.
    pub async fn migrate(&self, migrator: &Migrator) -> Result<(), DatabaseUnusable> {
        let mut connection = self
            .connect()
            .await
            .map_err(DatabaseUnusable::Unreachable)?;
        while !take_turn(&mut connection).await? {
            sleep(START_RETRY_INTERVAL).await;
        }
        let made = connection.execute(CHANGE_LOG).await;
        made.map_err(DatabaseUnusable::Check)?;
        migrator
            .run_direct(&mut connection)
            .await
            .map_err(DatabaseUnusable::Migration)?;
        connection.close().await.map_err(DatabaseUnusable::Check)
    }

    /// Makes sure that no migration is missing. Waits for one that somebody else is to apply.
    pub async fn check_schema(&self, migrator: &Migrator) -> Result<(), DatabaseUnusable> {
        self.patiently(|| self.check_schema_now(migrator)).await
    }

    /// How the database is at this moment, for an operator; the error says what is wrong.
    pub async fn look(&self, migrator: &Migrator) -> Result<DatabaseState, DatabaseUnusable> {
        let began = Instant::now();
        let mut connection = self
            .connect()
            .await
            .map_err(DatabaseUnusable::Unreachable)?;
        check_settings(&mut connection).await?;
        let round_trip = began.elapsed();
        let schema_version = applied_version(&mut connection).await?;
        let is_protected =
            sqlx::query_scalar(include_str!("../../queries/change_log_is_protected.sql"));
        let change_log_is_protected = is_protected
            .fetch_one(&mut connection)
            .await
            .map_err(DatabaseUnusable::Check)?;
        let version = connection.server_version_num().unwrap_or(0);
        connection.close().await.map_err(DatabaseUnusable::Check)?;
        Ok(DatabaseState {
            round_trip,
            server_version: format!("{}.{}", version / 10_000, version % 10_000),
            schema_version,
            program_schema_version: newest(migrator),
            change_log_is_protected,
        })
    }

    async fn check_schema_now(&self, migrator: &Migrator) -> Result<(), DatabaseUnusable> {
        let mut connection = self
            .connect()
            .await
            .map_err(DatabaseUnusable::Unreachable)?;
        let found = applied_version(&mut connection).await?;
        let needed = newest(migrator);
        if found < needed {
            return Err(DatabaseUnusable::SchemaNotCurrent { found, needed });
        }
        connection.close().await.map_err(DatabaseUnusable::Check)
    }
}

/// The newest migration that is applied; 0 if none is.
async fn applied_version(connection: &mut PgConnection) -> Result<i64, DatabaseUnusable> {
    let applied = match connection.list_applied_migrations().await {
        // A new database has no list yet. Making one here would race with the migration, which makes it too.
        Err(MigrateError::Execute(error)) if is_undefined_table(&error) => Vec::new(),
        Err(MigrateError::Execute(error)) => return Err(DatabaseUnusable::Check(error)),
        applied => applied.map_err(DatabaseUnusable::Migration)?,
    };
    let versions = applied.iter().map(|migration| migration.version);
    Ok(versions.max().unwrap_or(0))
}

fn newest(migrator: &Migrator) -> i64 {
    let versions = migrator.iter().map(|migration| migration.version);
    versions.max().unwrap_or(0)
}

/// Takes the turn to migrate, which ends with the connection; false if somebody else has it.
async fn take_turn(connection: &mut PgConnection) -> Result<bool, DatabaseUnusable> {
    sqlx::query_scalar(include_str!("../../queries/take_turn_to_migrate.sql"))
        .fetch_one(connection)
        .await
        .map_err(DatabaseUnusable::Check)
}

fn is_undefined_table(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(|error| error.code());
    code.as_deref() == Some(UNDEFINED_TABLE)
}
