use std::time::Duration;

use tidegate_pg::{Fault, NotCommitted, fault};
use tidegate_types::{Timestamp, Violations};
use uuid::Uuid;

/// Everything that can keep issuance from doing what was asked.
#[derive(Debug, thiserror::Error)]
pub enum IssuanceError {
    /// The last coupon is gone for good.
    #[error("every coupon of the campaign has been given out")]
    BudgetExhausted,
    /// Nothing is free now, but stock on lease may come back.
    #[error("no stock is free, but some may come back")]
    StockReturning,
    /// The shopper holds all the campaign allows.
    #[error("the shopper holds all coupons the campaign allows")]
    ShopperLimitReached,
    /// The request id was used for a claim of another tier.
    #[error("the request id was used for another tier")]
    RequestIdConflict,
    /// The caller knows a campaign, or a tier of it, that quota has not told this replica of yet.
    #[error("the campaign is not known here yet")]
    CampaignNotKnownYet,
    /// Claims are served later.
    #[error("the campaign opens at {opens_at}")]
    CampaignNotOpen {
        /// From when.
        opens_at: Timestamp,
    },
    /// Claims are no longer served.
    #[error("the campaign has closed")]
    CampaignClosed,
    /// No such coupon for this shopper.
    #[error("there is no such coupon")]
    CouponNotFound,
    /// It pays for another order.
    #[error("the coupon pays for another order")]
    CouponRedeemed {
        /// Which.
        order_id: Uuid,
    },
    /// Its validity is over.
    #[error("the coupon has expired")]
    CouponExpired {
        /// Since when.
        valid_until: Timestamp,
    },
    /// It was withdrawn.
    #[error("the coupon was revoked")]
    CouponRevoked,
    /// Fields are out of bounds.
    #[error("fields are out of bounds")]
    InvalidFields(Violations),
    /// Caller and database disagree about the lanes.
    #[error("the caller reckons with other lanes than this database has ({lanes})")]
    OtherLanes {
        /// How many there are here.
        lanes: u16,
    },
    /// The work was not done now, and can be asked for again.
    #[error("not now: {0}")]
    NotCommitted(#[from] NotCommitted),
    /// Stock was asked for and did not come in time.
    #[error("stock did not arrive in time")]
    StockLate {
        /// When to ask again.
        retry_after: Duration,
    },
    /// A read failed because the database was away.
    #[error("the database is away")]
    DatabaseAway,
    /// A coupon's key is gone from the keyring, or a row cannot be read; the log says which.
    #[error("internal error")]
    Internal,
}

impl From<sqlx::Error> for IssuanceError {
    fn from(error: sqlx::Error) -> Self {
        match fault(&error) {
            Fault::ConnectionLost | Fault::Conflict => Self::DatabaseAway,
            Fault::Statement => {
                tracing::error!(%error, "a query failed; if this repeats, the schema and this program do not fit together");
                Self::Internal
            }
        }
    }
}
