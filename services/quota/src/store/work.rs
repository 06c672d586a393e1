use std::time::{Duration, Instant};

use sqlx::{
    Executor as _, PgConnection, Postgres,
    pool::PoolConnection,
    postgres::{PgArguments, PgRow},
    query::Query,
};
use tokio::time::timeout_at;

use super::{Store, values::Read};
use crate::error::{QuotaError, Result};

/// Work that takes longer counts as a broken connection.
const WORK_LIMIT: Duration = Duration::from_secs(5);

/// One transaction, or one read.
///
/// A connection goes back to the pool only through [`Work::end`]. Whatever else happens, a cancelled call or a peer that has gone silent, it is closed: the server then rolls back, and nobody inherits
/// an open transaction.
pub struct Work {
    connection: PoolConnection<Postgres>,
    is_transaction: bool,
    ended: bool,
}

pub(super) type Statement<'v> = Query<'v, Postgres, PgArguments>;

impl Store {
    /// Does work in one transaction, of which nothing is committed unless all succeeds.
    pub async fn transaction<T>(
        &self,
        deadline: Instant,
        work: impl AsyncFnOnce(&mut Work) -> Result<T>,
    ) -> Result<T> {
        by(Instant::now() + WORK_LIMIT, async {
            let mut transaction = self.begin(deadline).await?;
            let outcome = work(&mut transaction).await;
            transaction.end(outcome).await
        })
        .await
    }

    /// Reads, a single instant only if it is a single statement.
    pub async fn read<T>(&self, work: impl AsyncFnOnce(&mut Work) -> Result<T>) -> Result<T> {
        let limit = Instant::now() + WORK_LIMIT;
        by(limit, self.read_without_limit(work)).await
    }

    /// A read that may take as long as its caller lets it.
    pub async fn read_without_limit<T>(
        &self,
        work: impl AsyncFnOnce(&mut Work) -> Result<T>,
    ) -> Result<T> {
        let mut read = self.work(false).await?;
        let outcome = work(&mut read).await;
        read.end(outcome).await
    }

    /// Begins a transaction, unless nobody waits for its outcome any more by the time a connection is free.
    pub async fn begin(&self, deadline: Instant) -> Result<Work> {
        let mut work = self.work(true).await?;
        if deadline <= Instant::now() {
            work.ended = true;
            return Err(QuotaError::OutOfTime);
        }
        work.connection().execute("BEGIN").await?;
        Ok(work)
    }

    async fn work(&self, is_transaction: bool) -> Result<Work> {
        Ok(Work {
            connection: self.pool.acquire().await?,
            is_transaction,
            ended: false,
        })
    }
}

impl Work {
    /// Commits what succeeded and rolls back what was refused. An error says that the outcome is not known, or that nothing was committed.
    pub async fn end<T>(mut self, outcome: Result<T>) -> Result<T> {
        if let Err(QuotaError::DatabaseAway(_) | QuotaError::Defect(_)) = outcome {
            return outcome;
        }
        if self.is_transaction {
            let last = if outcome.is_ok() {
                "COMMIT"
            } else {
                "ROLLBACK"
            };
            self.connection().execute(last).await?;
        }
        self.ended = true;
        outcome
    }

    pub(super) async fn run(&mut self, statement: Statement<'_>) -> Result {
        statement.execute(self.connection()).await?;
        Ok(())
    }

    pub(super) async fn rows<T>(
        &mut self,
        statement: Statement<'_>,
        read: impl Fn(&PgRow) -> Read<T>,
    ) -> Result<Vec<T>> {
        let rows = statement.fetch_all(self.connection()).await?;
        Ok(rows.iter().map(read).collect::<Read<_>>()?)
    }

    pub(super) async fn row<T>(
        &mut self,
        statement: Statement<'_>,
        read: impl FnOnce(&PgRow) -> Read<T>,
    ) -> Result<Option<T>> {
        let row = statement.fetch_optional(self.connection()).await?;
        Ok(row.as_ref().map(read).transpose()?)
    }

    pub(super) async fn counted(&mut self, statement: Statement<'_>) -> Result<u64> {
        let row = statement.fetch_one(self.connection()).await?;
        Ok(super::values::count(&row, "count")?)
    }

    pub(super) fn connection(&mut self) -> &mut PgConnection {
        &mut self.connection
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        if !self.ended {
            self.connection.close_on_drop();
        }
    }
}

/// Gives database work up at a deadline; what takes so long counts as a broken connection.
pub async fn by<T>(deadline: Instant, work: impl Future<Output = Result<T>>) -> Result<T> {
    timeout_at(deadline.into(), work)
        .await
        .unwrap_or_else(|_| Err(sqlx::Error::Io(std::io::ErrorKind::TimedOut.into()).into()))
}
