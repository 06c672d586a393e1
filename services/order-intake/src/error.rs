use std::time::Duration;

use tidegate_pg::{Fault, NotCommitted, fault};
use tidegate_runtime::WorkLost;
use tidegate_types::{Lane, Lanes, Timestamp, Violations};

use crate::domain::{BusyStore, InvalidCursor, Rejection, StateConflict};

/// Everything that can keep order-intake from doing what was asked.
#[derive(Debug, thiserror::Error)]
pub enum OrderIntakeError {
    #[error("fields are out of bounds")]
    InvalidFields(Violations),
    #[error("the caller reckons with another number of lanes than the {ours:?} here")]
    OtherLanes { ours: Lanes },
    #[error("the shopper belongs to lane {belongs_to}")]
    OtherLane { belongs_to: Lane },
    #[error("the token is bound to another shopper")]
    OtherShopper,
    #[error("the token is bound to one shopper")]
    BoundToShopper,
    /// The text is no coupon code, or none of this shopper.
    #[error("there is no such coupon")]
    CouponNotFound,
    /// Nobody can tell whether the code is right, until its key is back.
    #[error("the key of the coupon's code is missing")]
    CouponKeyMissing,
    #[error("the shopper has as many orders to come as one may have")]
    OpenOrderLimitReached,
    #[error("the order is rejected: {}", .0.because())]
    Rejected(Rejection),
    #[error("the request id names an order with other content")]
    RequestIdConflict,
    #[error("there is no such store")]
    StoreNotFound,
    #[error("the latest acceptable time is over")]
    LatestPassed,
    #[error("the store is full until the latest acceptable time")]
    StoreBusy(BusyStore),
    /// It takes no orders until the latest time that the shopper would accept.
    #[error("the store is closed")]
    StoreClosed { opens_at: Option<Timestamp> },
    #[error(transparent)]
    StateConflict(#[from] StateConflict),
    /// This shopper has none, if it is a shopper who asks.
    #[error("there is no such order")]
    OrderNotFound,
    #[error("the commit queue is full")]
    QueueFull { retry_after: Duration },
    #[error("the deadline comes too soon")]
    TooLate { retry_after: Duration },
    #[error("the outcome is not known yet")]
    OutcomeUnknown,
    #[error("the process is ending")]
    Closing,
    #[error("as many watch orders as may")]
    TooManyWatchers,
    #[error("the cursor {0}")]
    InvalidCursor(InvalidCursor),
    #[error("as many consumers of the feed are remembered as may be")]
    TooManyConsumers,
    #[error("the database is away")]
    DatabaseAway,
    /// A statement failed, or a row or an answer makes no sense; the log says which.
    #[error("internal error")]
    Internal,
}

pub type Result<T, E = OrderIntakeError> = std::result::Result<T, E>;

impl From<NotCommitted> for OrderIntakeError {
    fn from(why: NotCommitted) -> Self {
        match why {
            NotCommitted::Full { retry_after } => Self::QueueFull { retry_after },
            NotCommitted::TooLate { retry_after } => Self::TooLate { retry_after },
            NotCommitted::Unknown => Self::OutcomeUnknown,
            NotCommitted::Failed => Self::Internal,
            NotCommitted::Closed => Self::Closing,
        }
    }
}

impl From<WorkLost> for OrderIntakeError {
    fn from(lost: WorkLost) -> Self {
        match lost {
            WorkLost::Panicked => Self::Internal,
            WorkLost::CutOff => Self::OutcomeUnknown,
        }
    }
}

impl From<sqlx::Error> for OrderIntakeError {
    fn from(error: sqlx::Error) -> Self {
        match fault(&error) {
            Fault::ConnectionLost | Fault::Conflict => {
                tracing::warn!(%error, "the database did not answer a query; callers were told to come back, and it works again by itself once the database does");
                Self::DatabaseAway
            }
            Fault::Statement => {
                tracing::error!(%error, "a query failed; if this repeats, the schema and this program do not fit together");
                Self::Internal
            }
        }
    }
}
