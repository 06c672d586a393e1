//! Rows and domain types, and the life of a transaction.

/// A statement, which is in one file or in several that follow each other, with its values.
macro_rules! sql {
    ([$($file:literal),+] $(, $value:expr)* $(,)?) => {
        sqlx::query(concat!($(include_str!($file)),+))$(.bind($value))*
    };
    ($file:literal $(, $value:expr)* $(,)?) => {
        sql!([$file] $(, $value)*)
    };
}

mod audit;
mod campaigns;
mod control;
mod history;
mod leases;
mod queues;
mod values;
mod work;

use sqlx::PgPool;

pub use audit::{KeptPass, PassUnderWay, SavedAudit, ShownAudit};
pub use control::Lending;
pub use leases::LeaseToReclaim;
pub use queues::{FoundQueue, KeptReport};
pub use work::{Work, by};

#[derive(Clone)]
pub struct Store {
    pool: PgPool,
}

impl Store {
    pub fn new(pool: PgPool) -> Self {
        Self { pool }
    }

    pub async fn close(&self) {
        self.pool.close().await;
    }
}
