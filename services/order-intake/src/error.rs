use std::time::Duration;

use serde::Serialize;
use tidegate_pg::{Fault, NotCommitted, fault};
use tidegate_types::{Lane, Lanes, Reason, Refusal, StoreId, Timestamp, Violations};
use time::format_description::well_known::Rfc3339;

use crate::domain::{Area, InvalidCursor, Rejection, StateConflict};

/// When to come back if the database is away; it is usually back, or failed over, within seconds.
const RETRY_WHEN_AWAY: Duration = Duration::from_secs(1);
const RETRY_WHEN_CLOSING: Duration = Duration::from_millis(200);
const RETRY_WHEN_FULL: Duration = Duration::from_secs(1);
/// When to ask again at a store that is full for as long as orders are booked ahead.
const RETRY_WHEN_BOOKED_OUT: Duration = Duration::from_secs(600);
/// When to ask again with as many orders to come as one may have: slots have 10 minutes unless set.
const RETRY_WHEN_AT_LIMIT: Duration = Duration::from_secs(60);
const RETRY_AFTER_INTERNAL: Duration = Duration::from_secs(3);

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
    OtherLane { belongs_to: Lane },
    /// The token is good for another shopper only.
    #[error("the token is bound to another shopper")]
    OtherShopper,
    /// The token is good for one shopper only, and what it asks for is about all of them.
    #[error("the token is bound to one shopper")]
    BoundToShopper,
    /// The text is no coupon code, or none of this shopper.
    #[error("there is no such coupon")]
    CouponNotFound,
    /// Nobody can tell whether the code is right, until its key is back.
    #[error("the key of the coupon's code is missing")]
    CouponKeyMissing,
    /// The shopper has as many orders that are still to be made as one may have.
    #[error("the shopper has as many orders to come as one may have")]
    OpenOrderLimitReached,
    /// The coupon cannot pay for the order.
    #[error("the order is rejected: {}", .0.because())]
    Rejected(Rejection),
    /// The request id names an order with other content.
    #[error("the request id names an order with other content")]
    RequestIdConflict,
    /// There is no such store.
    #[error("there is no such store")]
    StoreNotFound,
    /// The latest time the shopper would accept is over.
    #[error("the latest acceptable time is over")]
    LatestPassed,
    /// The store has no room until the latest time the shopper would accept.
    #[error("the store is full until the latest acceptable time")]
    StoreBusy(BusyStore),
    /// The store takes no orders until the latest time the shopper would accept.
    #[error("the store is closed")]
    StoreClosed {
        /// When it opens, if that is known.
        opens_at: Option<Timestamp>,
    },
    /// The order's state does not allow the move.
    #[error("the order is {}", .0.state)]
    StateConflict(StateConflict),
    /// This shopper has no such order.
    #[error("there is no such order")]
    OrderNotFound,
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
    /// The cursor is none of this feed.
    #[error("the cursor {0}")]
    InvalidCursor(InvalidCursor),
    /// As many consumers are remembered already as may be.
    #[error("as many consumers of the feed are remembered as may be")]
    TooManyConsumers,
    /// The database cannot be reached now.
    #[error("the database is away")]
    DatabaseAway,
    /// A statement failed, or a row or an answer makes no sense; the log says which.
    #[error("internal error")]
    Internal,
}

/// A store without room, and where else to go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BusyStore {
    pub area: Area,
    /// Its next free slot, if there is one as far ahead as orders are booked.
    pub next_slot_at: Option<Timestamp>,
    /// Other stores that can make the order sooner.
    pub suggestions: Vec<Suggestion>,
}

/// A store that can make an order sooner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Suggestion {
    pub store: StoreId,
    /// When its first free slot begins.
    pub slot_at: Timestamp,
}

#[derive(Serialize)]
struct SuggestionDocument<'a> {
    store_id: &'a str,
    slot_at: String,
}

impl BusyStore {
    fn into_refusal(self) -> Refusal {
        let refusal = match self.next_slot_at {
            Some(next) => {
                Refusal::at(Reason::StoreBusy, next).with("next_slot_at", moment_text(next))
            }
            None => Refusal::after(Reason::StoreBusy, RETRY_WHEN_BOOKED_OUT),
        };
        if self.suggestions.is_empty() {
            return refusal;
        }
        let document = |suggestion: &Suggestion| {
            serde_json::json!(SuggestionDocument {
                store_id: suggestion.store.as_str(),
                slot_at: moment_text(suggestion.slot_at),
            })
        };
        let list = serde_json::Value::from_iter(self.suggestions.iter().map(document));
        refusal.with("suggested_stores", list)
    }
}

fn moment_text(moment: Timestamp) -> String {
    // Slots begin within a few days of now, and years of four digits can be written.
    moment.format(&Rfc3339).unwrap_or_default()
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
            Self::BoundToShopper => Refusal::never(Reason::PermissionDenied).with(
                "detail",
                "the token is bound to one shopper, and this is about all of them",
            ),
            Self::CouponNotFound => Refusal::never(Reason::CouponNotFound),
            Self::CouponKeyMissing => Refusal::coupon_key_missing(),
            Self::Rejected(rejection) => rejection.into_refusal(),
            Self::RequestIdConflict => Refusal::never(Reason::RequestIdConflict),
            Self::StoreNotFound => Refusal::never(Reason::StoreNotFound),
            Self::LatestPassed => {
                Refusal::invalid_field("latest_acceptable_at", "must not be in the past")
            }
            Self::StoreBusy(busy) => busy.into_refusal(),
            Self::StoreClosed {
                opens_at: Some(opens_at),
            } => Refusal::at(Reason::StoreClosed, opens_at).with("opens_at", moment_text(opens_at)),
            Self::StoreClosed { opens_at: None } => Refusal::never(Reason::StoreClosed),
            Self::StateConflict(conflict) => {
                Refusal::never(Reason::OrderStateConflict).with("state", conflict.state)
            }
            Self::OrderNotFound => Refusal::never(Reason::OrderNotFound),
            Self::OpenOrderLimitReached => {
                Refusal::after(Reason::OpenOrderLimitReached, RETRY_WHEN_AT_LIMIT)
            }
            Self::QueueFull { retry_after } => Refusal::after(Reason::QueueFull, retry_after),
            Self::TooLate { retry_after } => Refusal::after(Reason::Overloaded, retry_after),
            Self::OutcomeUnknown => tidegate_rpc::refusal::out_of_time(),
            Self::Closing => Refusal::after(Reason::Overloaded, RETRY_WHEN_CLOSING),
            Self::InvalidCursor(why) => Refusal::invalid_field("cursor", why),
            Self::TooManyConsumers => Refusal::invalid_field(
                "consumer",
                "must be one of those that are remembered, which are as many as may be",
            ),
            Self::TooManyWatchers => Refusal::after(Reason::Overloaded, RETRY_WHEN_FULL),
            Self::DatabaseAway => Refusal::after(Reason::Overloaded, RETRY_WHEN_AWAY),
            Self::Internal => Refusal::after(Reason::Overloaded, RETRY_AFTER_INTERNAL),
        }
    }
}

impl From<StateConflict> for OrderIntakeError {
    fn from(conflict: StateConflict) -> Self {
        Self::StateConflict(conflict)
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
