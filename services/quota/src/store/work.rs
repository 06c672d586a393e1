use std::time::{Duration, Instant};

use sqlx::{
    Executor as _, FromRow, PgConnection, Postgres,
    pool::PoolConnection,
    postgres::{PgArguments, PgRow},
    query::{Query, QueryAs},
};
use tokio::time::timeout;

use super::Store;
use crate::error::QuotaError;

/// Work that takes longer counts as a broken connection.
const WORK_LIMIT: Duration = Duration::from_secs(5);

/// One transaction, or one read.
///
/// A connection goes back to the pool only through [`Work::end`]. Whatever else happens, a cancelled call or a peer that has gone silent, it is closed: the server then rolls back, and nobody inherits
/// an open transaction.
pub struct Work {
    connection: PoolConnection<Postgres>,
    kind: Kind,
    ended: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Read,
    Transaction,
}

impl Store {
    /// Does work in one transaction, of which nothing is committed unless all succeeds.
    pub async fn transaction<T>(
        &self,
        deadline: Instant,
        work: impl AsyncFnOnce(&mut Work) -> Result<T, QuotaError>,
    ) -> Result<T, QuotaError> {
        within_limit(async {
            let mut transaction = self.begin(deadline).await?;
            let outcome = work(&mut transaction).await;
            transaction.end(outcome).await
        })
        .await
    }

    /// Reads, a single instant only if it is a single statement.
    pub async fn read<T>(
        &self,
        work: impl AsyncFnOnce(&mut Work) -> Result<T, QuotaError>,
    ) -> Result<T, QuotaError> {
        within_limit(self.read_without_limit(work)).await
    }

    /// A read that may take as long as its caller lets it.
    pub async fn read_without_limit<T>(
        &self,
        work: impl AsyncFnOnce(&mut Work) -> Result<T, QuotaError>,
    ) -> Result<T, QuotaError> {
        let mut read = self.begin_read().await?;
        let outcome = work(&mut read).await;
        read.end(outcome).await
    }

    /// Begins a transaction, unless nobody waits for its outcome any more by the time a connection is free.
    pub async fn begin(&self, deadline: Instant) -> Result<Work, QuotaError> {
        let mut work = self.work(Kind::Transaction).await?;
        if deadline <= Instant::now() {
            work.ended = true;
            return Err(QuotaError::OutOfTime);
        }
        work.connection().execute("BEGIN").await?;
        Ok(work)
    }

    async fn begin_read(&self) -> Result<Work, QuotaError> {
        self.work(Kind::Read).await
    }

    async fn work(&self, kind: Kind) -> Result<Work, QuotaError> {
        Ok(Work {
            connection: self.pool.acquire().await?,
            kind,
            ended: false,
        })
    }
}

impl Work {
    /// Commits what succeeded and rolls back what was refused. An error says that the outcome is not known, or that nothing was committed.
    pub async fn end<T>(mut self, outcome: Result<T, QuotaError>) -> Result<T, QuotaError> {
        if let Err(QuotaError::DatabaseAway(_) | QuotaError::Defect(_)) = outcome {
            return outcome;
        }
        if self.kind == Kind::Transaction {
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

    /// Runs a statement that yields nothing.
    pub(super) async fn run(
        &mut self,
        statement: Query<'_, Postgres, PgArguments>,
    ) -> Result<(), QuotaError> {
        statement.execute(self.connection()).await?;
        Ok(())
    }

    pub(super) async fn rows<Row, T>(
        &mut self,
        query: QueryAs<'_, Postgres, Row, PgArguments>,
    ) -> Result<Vec<T>, QuotaError>
    where
        Row: for<'r> FromRow<'r, PgRow> + Send + Unpin,
        T: TryFrom<Row, Error = sqlx::Error>,
    {
        let rows = query.fetch_all(self.connection()).await?.into_iter();
        Ok(rows.map(T::try_from).collect::<Result<_, _>>()?)
    }

    pub(super) async fn one<Row, T>(
        &mut self,
        query: QueryAs<'_, Postgres, Row, PgArguments>,
    ) -> Result<Option<T>, QuotaError>
    where
        Row: for<'r> FromRow<'r, PgRow> + Send + Unpin,
        T: TryFrom<Row, Error = sqlx::Error>,
    {
        let row = query.fetch_optional(self.connection()).await?;
        Ok(row.map(T::try_from).transpose()?)
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

/// Gives database work up once it takes too long to be alive.
async fn within_limit<T>(
    work: impl Future<Output = Result<T, QuotaError>>,
) -> Result<T, QuotaError> {
    timeout(WORK_LIMIT, work)
        .await
        .unwrap_or_else(|_| Err(sqlx::Error::Io(std::io::ErrorKind::TimedOut.into()).into()))
}
