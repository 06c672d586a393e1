//! Seals of leases of the first campaign.

use sqlx::PgPool;
use tidegate_issuance::store::leases::{self, LeaseToSeal, SealedLease, TierCounts};
use uuid::Uuid;

use crate::lane::{campaign_of, lane, lease_holder};

/// Seals several at once.
pub async fn seal_all(pool: &PgPool, leases: &[Uuid]) -> Result<Vec<SealedLease>, sqlx::Error> {
    let leases: Vec<_> = leases
        .iter()
        .map(|id| LeaseToSeal {
            id: *id,
            campaign: campaign_of(1),
            lease_holder: lease_holder(),
        })
        .collect();
    leases::seal(pool, lane(), &leases).await
}

/// Seals one and tells what was used of it.
pub async fn seal(pool: &PgPool, lease: Uuid) -> Result<TierCounts, sqlx::Error> {
    let sealed = seal_all(pool, &[lease]).await?;
    Ok(sealed.into_iter().flat_map(|sealed| sealed.used).collect())
}
