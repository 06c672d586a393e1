//! Rows and domain types, and the life of a transaction.

mod campaigns;
mod leases;
mod work;

use sqlx::PgPool;

pub use leases::LockedTiers;
pub use work::{Work, within_limit};

/// The database of campaigns, stock and leases.
#[derive(Clone)]
pub struct Store {
    pool: PgPool,
}

impl Store {
    /// Takes a pool over.
    pub fn new(pool: PgPool) -> Self {
        Self { pool }
    }

    /// Waits for the work in progress and closes every connection.
    pub async fn close(&self) {
        self.pool.close().await;
    }
}

/// A value that the schema's constraints exclude.
fn decoded<T, E>(value: Result<T, E>) -> Result<T, sqlx::Error>
where
    E: std::error::Error + Send + Sync + 'static,
{
    value.map_err(|error| sqlx::Error::Decode(Box::new(error)))
}

/// A count as the database holds it. Every count is at most a tier's stock, so it fits.
fn stored(count: u64) -> Result<i64, sqlx::Error> {
    i64::try_from(count).map_err(|error| sqlx::Error::Encode(Box::new(error)))
}
