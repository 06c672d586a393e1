//! Rows and domain types, and the life of a transaction.

mod audit;
mod campaigns;
mod changes;
mod control;
mod halt;
mod history;
mod holders;
mod leases;
mod queues;
mod values;
mod work;

use sqlx::PgPool;
use uuid::Uuid;

pub use audit::{KeptPass, SavedAudit, ShownAudit};
pub use control::Lending;
pub use holders::LeaseToReclaim;
pub use leases::LockedTiers;
pub use queues::{FoundQueue, KeptReport};
pub use work::Work;

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
