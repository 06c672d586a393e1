use sqlx::{PgPool, Postgres, Transaction};

/// Begins a transaction on a connection of a pool, whatever becomes of the caller. A `begin` of sqlx that is dropped on the way (a caller hangs up, a time limit is over) would put a connection back
/// that is in a transaction; here it ends in a task of its own, and is rolled back if nobody wants it any more.
pub async fn begin(pool: &PgPool) -> Result<Transaction<'static, Postgres>, sqlx::Error> {
    let pool = pool.clone();
    tokio::spawn(async move { pool.begin().await })
        .await
        .unwrap_or(Err(sqlx::Error::WorkerCrashed))
}
