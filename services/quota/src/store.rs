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
use uuid::Uuid;

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

/// The id after this one in the order of the database; `None` after the last there can be.
pub fn next_lease_id(id: Uuid) -> Option<Uuid> {
    id.as_u128().checked_add(1).map(Uuid::from_u128)
}

/// The id before this one in the order of the database; `None` before the first there can be.
pub fn previous_lease_id(id: Uuid) -> Option<Uuid> {
    id.as_u128().checked_sub(1).map(Uuid::from_u128)
}
