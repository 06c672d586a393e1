use std::time::Duration;

use tidegate_pg::{Fault, NotCommitted, fault};
use tidegate_types::{Lane, Lanes, Reason, Refusal, Violations};

use crate::domain::Rejection;

/// When to come back if the database is away; it is usually back, or failed over, within seconds.
const RETRY_WHEN_AWAY: Duration = Duration::from_secs(1);
const RETRY_WHEN_CLOSING: Duration = Duration::from_millis(200);
const RETRY_WHEN_FULL: Duration = Duration::from_secs(1);
const RETRY_AFTER_INTERNAL: Duration = Duration::from_secs(5);

/// Everything that can keep order-intake from doing what was asked.
#[derive(Debug, thiserror::Error)]
pub enum OrderIntakeError {
    /// Fields are out of bounds.
    #[error("fields are out of bounds")]
    InvalidFields(Violations),
    /// The caller reckons with another number of lanes.
    #[error("the caller reckons with another number of lanes than the {ours:?} here")]
    OtherLanes {
        /// How many there are here.
        ours: Lanes,
    },
    /// The shopper of an item does not belong to the lane of its call.
    #[error("the shopper belongs to lane {belongs_to}")]
    OtherLane {
        /// Where the shopper belongs.
        belongs_to: Lane,
    },
    /// The token is good for another shopper only.
    #[error("the token is bound to another shopper")]
    OtherShopper,
    /// The text is no coupon code at all.
    #[error("the coupon code cannot be read")]
    UnreadableCouponCode,
    /// The coupon cannot pay for the order.
    #[error("the order is rejected: {}", .0.because())]
    Rejected(Rejection),
    /// The request id names an order with other content.
    #[error("the request id names an order with other content")]
    RequestIdConflict,
    /// There is no such store.
    #[error("there is no such store")]
    StoreNotFound,
    /// This shopper has no such order.
    #[error("there is no such order")]
    OrderNotFound,
    /// Too much waits already.
    #[error("the commit queue is full")]
    QueueFull {
        /// When there should be room.
        retry_after: Duration,
    },
    /// It could not be done in time, and was not done.
    #[error("the deadline comes too soon")]
    TooLate {
        /// When it should be fast enough.
        retry_after: Duration,
    },
    /// The deadline came before the outcome was known.
    #[error("the outcome is not known yet")]
    OutcomeUnknown,
    /// The process is ending; another replica will serve.
    #[error("the process is ending")]
    Closing,
    /// As many watch already as may.
    #[error("as many watch orders as may")]
    TooManyWatchers,
    /// The database cannot be reached now.
    #[error("the database is away")]
    DatabaseAway,
    /// A statement failed, or a row or an answer makes no sense; the log says which.
    #[error("internal error")]
    Internal,
}

impl OrderIntakeError {
    /// What the caller is told.
    pub fn into_refusal(self) -> Refusal {
        match self {
            Self::InvalidFields(violations) => Refusal::invalid(violations),
            Self::OtherLanes { ours } => Refusal::never(Reason::Misconfigured)
                .with("detail", format!("order-intake has {} lanes", ours.get())),
            Self::OtherLane { belongs_to } => Refusal::never(Reason::Misconfigured).with(
                "detail",
                format!("the shopper belongs to lane {belongs_to}"),
            ),
            Self::OtherShopper => Refusal::never(Reason::PermissionDenied)
                .with("detail", "the token is bound to another shopper"),
            Self::UnreadableCouponCode => Refusal::never(Reason::CouponNotFound),
            Self::Rejected(rejection) => rejection.into_refusal(),
            Self::RequestIdConflict => Refusal::never(Reason::RequestIdConflict),
            Self::StoreNotFound => Refusal::never(Reason::StoreNotFound),
            Self::OrderNotFound => Refusal::never(Reason::OrderNotFound),
            Self::QueueFull { retry_after } => Refusal::after(Reason::QueueFull, retry_after),
            Self::TooLate { retry_after } => Refusal::after(Reason::Overloaded, retry_after),
            Self::OutcomeUnknown => tidegate_rpc::refusal::out_of_time(),
            Self::Closing => Refusal::after(Reason::Overloaded, RETRY_WHEN_CLOSING),
            Self::TooManyWatchers => Refusal::after(Reason::Overloaded, RETRY_WHEN_FULL),
            Self::DatabaseAway => Refusal::after(Reason::Overloaded, RETRY_WHEN_AWAY),
            Self::Internal => Refusal::after(Reason::Overloaded, RETRY_AFTER_INTERNAL),
        }
    }
}

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
