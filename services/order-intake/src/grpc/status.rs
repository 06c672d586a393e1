//! What callers are told of errors and of rejections; the only place here that makes a `Status`.

use std::time::Duration;

use tidegate_proto::r#type::v1 as proto;
use tidegate_rpc::{refusal, wire};
use tidegate_types::{Reason, Refusal, Timestamp};
use time::format_description::well_known::Rfc3339;
use tonic::Status;

use crate::{
    domain::{BusyStore, Rejection, Suggestion},
    error::OrderIntakeError,
};

/// When to come back if the database is away; it is usually back, or failed over, within seconds.
const RETRY_WHEN_AWAY: Duration = Duration::from_secs(1);
const RETRY_WHEN_CLOSING: Duration = Duration::from_millis(200);
const RETRY_WHEN_FULL: Duration = Duration::from_secs(1);
/// When to ask again at a store that is full for as long as orders are booked ahead.
const RETRY_WHEN_BOOKED_OUT: Duration = Duration::from_secs(600);
/// When to ask again with as many orders to come as one may have: slots have 10 minutes unless set.
const RETRY_WHEN_AT_LIMIT: Duration = Duration::from_secs(60);
const RETRY_AFTER_INTERNAL: Duration = Duration::from_secs(3);

impl From<OrderIntakeError> for Status {
    fn from(error: OrderIntakeError) -> Self {
        refusal::to_status(&refusal_of(error))
    }
}

/// What an item that failed is told, and the reason for counting it.
pub(super) fn to_item_refusal(error: OrderIntakeError) -> (Reason, proto::Refusal) {
    let refusal = refusal_of(error);
    (refusal.reason, wire::refusal(&refusal))
}

/// What the shopper of a rejected order is told, now and on every replay.
pub(super) fn refusal_of_rejection(rejection: &Rejection) -> Refusal {
    Refusal {
        metadata: rejection.metadata().to_vec(),
        ..Refusal::never(rejection.because())
    }
}

fn refusal_of(error: OrderIntakeError) -> Refusal {
    use OrderIntakeError as Error;

    match error {
        Error::InvalidFields(violations) => Refusal::invalid(violations),
        Error::OtherLanes { ours } => Refusal::never(Reason::Misconfigured)
            .with("detail", format!("order-intake has {} lanes", ours.get())),
        other_lane @ Error::OtherLane { .. } => {
            Refusal::never(Reason::Misconfigured).with("detail", other_lane)
        }
        Error::OtherShopper => Refusal::never(Reason::PermissionDenied)
            .with("detail", "the token is bound to another shopper"),
        Error::BoundToShopper => Refusal::never(Reason::PermissionDenied).with(
            "detail",
            "the token is bound to one shopper, and this is about all of them",
        ),
        Error::CouponNotFound => Refusal::never(Reason::CouponNotFound),
        Error::CouponKeyMissing => Refusal::coupon_key_missing(),
        Error::Rejected(rejection) => refusal_of_rejection(&rejection),
        Error::RequestIdConflict => Refusal::never(Reason::RequestIdConflict),
        Error::StoreNotFound => Refusal::never(Reason::StoreNotFound),
        Error::LatestPassed => {
            Refusal::invalid_field("latest_acceptable_at", "must not be in the past")
        }
        Error::StoreBusy(busy) => busy_store(&busy),
        Error::StoreClosed {
            opens_at: Some(opens_at),
        } => Refusal::at(Reason::StoreClosed, opens_at).with("opens_at", moment_text(opens_at)),
        Error::StoreClosed { opens_at: None } => Refusal::never(Reason::StoreClosed),
        Error::StateConflict(conflict) => {
            Refusal::never(Reason::OrderStateConflict).with("state", conflict.state)
        }
        Error::OrderNotFound => Refusal::never(Reason::OrderNotFound),
        Error::OpenOrderLimitReached => {
            Refusal::after(Reason::OpenOrderLimitReached, RETRY_WHEN_AT_LIMIT)
        }
        Error::QueueFull { retry_after } => Refusal::after(Reason::QueueFull, retry_after),
        Error::TooLate { retry_after } => Refusal::after(Reason::Overloaded, retry_after),
        Error::OutcomeUnknown => refusal::out_of_time(),
        Error::Closing => Refusal::after(Reason::Overloaded, RETRY_WHEN_CLOSING),
        Error::InvalidCursor(why) => Refusal::invalid_field("cursor", why),
        Error::TooManyConsumers => Refusal::invalid_field(
            "consumer",
            "must be one of those that are remembered, which are as many as may be",
        ),
        Error::TooManyWatchers => Refusal::after(Reason::Overloaded, RETRY_WHEN_FULL),
        Error::DatabaseAway => Refusal::after(Reason::Overloaded, RETRY_WHEN_AWAY),
        Error::Internal => Refusal::after(Reason::Overloaded, RETRY_AFTER_INTERNAL),
    }
}

fn busy_store(busy: &BusyStore) -> Refusal {
    let refusal = match busy.next_slot_at {
        Some(next) => Refusal::at(Reason::StoreBusy, next).with("next_slot_at", moment_text(next)),
        None => Refusal::after(Reason::StoreBusy, RETRY_WHEN_BOOKED_OUT),
    };
    if busy.suggestions.is_empty() {
        return refusal;
    }
    let document = |suggestion: &Suggestion| {
        serde_json::json!({
            "store_id": suggestion.store.as_str(),
            "slot_at": moment_text(suggestion.slot_at),
        })
    };
    let list = serde_json::Value::from_iter(busy.suggestions.iter().map(document));
    refusal.with("suggested_stores", list)
}

fn moment_text(moment: Timestamp) -> String {
    // Slots begin within a few days of now, and years of four digits can be written.
    moment.format(&Rfc3339).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rejection_is_told_as_the_refusal_it_came_from() {
        let refusal = Refusal::never(Reason::CouponRedeemed).with("order_id", "o-1");
        let rejection = Rejection::of(refusal.clone()).unwrap();
        assert_eq!(refusal_of_rejection(&rejection), refusal);
    }
}
