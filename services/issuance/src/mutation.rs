//! Faults put in on purpose, one at a time, to prove that the checker finds them. Only a build with the feature `mutations` has them.

use std::str::FromStr;

use sqlx::PgPool;

use crate::store::statements::Statements;

/// The part of the issuing statement that is the fence.
const FENCE: &str = "AND NOT lease.sealed AND lease.used + needed.quantity <= lease.granted";

/// What this build does wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mutation {
    /// Callers are answered before the commit is on disk.
    AcknowledgeBeforeCommit,
    /// Leases are spent without asking whether they are sealed or have so much left.
    SpendWithoutFence,
    /// Nothing keeps two writers from giving a shopper the same slot.
    DropUniqueKey,
    /// Commit queues never forget how long a commit took, and refuse by it when they are idle.
    KeepStaleEstimates,
}

/// It is none of the mutations there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "must be acknowledge-before-commit, spend-without-fence, drop-unique-key or keep-stale-estimates"
)]
pub struct UnknownMutation;

impl FromStr for Mutation {
    type Err = UnknownMutation;

    fn from_str(text: &str) -> Result<Self, UnknownMutation> {
        match text {
            "acknowledge-before-commit" => Ok(Self::AcknowledgeBeforeCommit),
            "spend-without-fence" => Ok(Self::SpendWithoutFence),
            "drop-unique-key" => Ok(Self::DropUniqueKey),
            "keep-stale-estimates" => Ok(Self::KeepStaleEstimates),
            _ => Err(UnknownMutation),
        }
    }
}

impl Mutation {
    /// Changes what must be changed in the database, and tells what is run from now on.
    pub async fn apply(self, pool: &PgPool) -> Result<Statements, sqlx::Error> {
        tracing::error!(mutation = ?self, "this build does wrong on purpose; it must never serve shoppers");
        let sound = Statements::default();
        match self {
            Self::AcknowledgeBeforeCommit => Ok(Statements {
                setting: Some("SET synchronous_commit = off"),
                ..sound
            }),
            Self::SpendWithoutFence => Ok(Statements {
                issue: sound.issue.replace(FENCE, "").into(),
                ..sound
            }),
            Self::KeepStaleEstimates => Ok(sound),
            Self::DropUniqueKey => {
                sqlx::raw_sql(include_str!("../queries/mutations/drop_unique_key.sql"))
                    .execute(pool)
                    .await?;
                Ok(Statements {
                    redeem: include_str!("../queries/mutations/redeem_coupons.sql").into(),
                    release: include_str!("../queries/mutations/release_coupons.sql").into(),
                    revoke: include_str!("../queries/mutations/revoke_coupons.sql").into(),
                    ..sound
                })
            }
        }
    }
}
