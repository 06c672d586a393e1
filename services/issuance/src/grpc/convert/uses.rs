use std::time::Duration;

use tidegate_proto::{
    issuance::v1::{
        RedeemItem, RedeemResult, ReleaseItem, ReleaseResult, Released, redeem_result,
        release_result,
    },
    r#type::v1 as shared,
};
use tidegate_rpc::{server::CallContext, wire};
use tidegate_types::{
    Area, CurrencyCode, InvalidText, Lane, Lanes, Money, OutOfBounds, StoreId, Timestamp,
    Violations,
};
use uuid::Uuid;

use super::{coupon, item_deadline, shopper_of_lane, trace};
use crate::{
    coupon_uses::{RedeemRequest, Redeemed, ReleaseRequest, UseRequest},
    domain::{
        coupon::{InvalidMinimumValidity, MinimumValidity},
        purchase::Purchase,
    },
    error::IssuanceError,
};

pub fn redeem_request(
    item: RedeemItem,
    call: &CallContext,
    lanes: Lanes,
    lane: Lane,
) -> Result<RedeemRequest, IssuanceError> {
    let mut bad = Violations::default();
    let purchase = purchase(&mut bad, &item);
    let used = use_request(
        &mut bad,
        (&item.shopper_id, item.coupon_code, &item.order_id),
        (&item.traceparent, item.deadline_ms),
        call,
        (lanes, lane),
    );
    match (used, purchase) {
        (Some(used), Some(purchase)) => Ok(RedeemRequest { used, purchase }),
        _ => Err(IssuanceError::InvalidFields(bad)),
    }
}

pub fn release_request(
    item: ReleaseItem,
    call: &CallContext,
    lanes: Lanes,
    lane: Lane,
) -> Result<ReleaseRequest, IssuanceError> {
    let mut bad = Violations::default();
    let minimum_validity = minimum_validity(&mut bad, item.minimum_validity.map(wire::span));
    let used = use_request(
        &mut bad,
        (&item.shopper_id, item.coupon_code, &item.order_id),
        (&item.traceparent, item.deadline_ms),
        call,
        (lanes, lane),
    );
    match (used, minimum_validity) {
        (Some(used), Some(minimum_validity)) => Ok(ReleaseRequest {
            used,
            minimum_validity,
        }),
        _ => Err(IssuanceError::InvalidFields(bad)),
    }
}

/// The least validity asked for, which may be left out; `None` if it is there and bad.
fn minimum_validity(
    bad: &mut Violations,
    asked: Option<Option<Duration>>,
) -> Option<Option<MinimumValidity>> {
    let Some(span) = asked else {
        return Some(None);
    };
    let span = span.ok_or(InvalidMinimumValidity);
    let minimum_validity = span.and_then(MinimumValidity::new);
    bad.check("minimum_validity", minimum_validity).map(Some)
}

fn use_request(
    bad: &mut Violations,
    (shopper_id, code, order_id): (&str, String, &str),
    (traceparent, deadline_ms): (&str, u32),
    call: &CallContext,
    (lanes, lane): (Lanes, Lane),
) -> Option<UseRequest> {
    let shopper = shopper_of_lane(bad, shopper_id, lanes, lane);
    let order_id = bad.check(
        "order_id",
        Uuid::try_parse(order_id).map_err(|_| "must be a UUID"),
    );
    Some(UseRequest {
        shopper: shopper?,
        code,
        order_id: order_id?,
        trace: trace(traceparent, call),
        deadline: item_deadline(deadline_ms, call),
    })
}

/// What is told of the order; what is left out is not known.
fn purchase(bad: &mut Violations, item: &RedeemItem) -> Option<Purchase> {
    let store = optional(bad, "store_id", &item.store_id, |text| StoreId::parse(text));
    let area = optional(bad, "area", &item.area, |text| Area::parse(text));
    let total = match &item.total {
        None => Some(None),
        Some(told) => total(bad, told).map(Some),
    };
    Some(Purchase {
        store: store?,
        area: area?,
        total: total?,
    })
}

/// A text that may be left out; `None` if it is there and bad.
fn optional<T>(
    bad: &mut Violations,
    field: &str,
    text: &str,
    parse: impl FnOnce(&str) -> Result<T, InvalidText>,
) -> Option<Option<T>> {
    if text.is_empty() {
        return Some(None);
    }
    bad.check(field, parse(text)).map(Some)
}

fn total(bad: &mut Violations, told: &shared::Money) -> Option<Money> {
    let currency = bad.check(
        "total.currency_code",
        CurrencyCode::parse(&told.currency_code),
    );
    let minor_units = bad.check("total.minor_units", not_negative(told.minor_units));
    Some(Money {
        currency: currency?,
        minor_units: minor_units?,
    })
}

fn not_negative(minor_units: i64) -> Result<i64, OutOfBounds> {
    let bounds = OutOfBounds {
        min: 0,
        max: i64::MAX.unsigned_abs(),
    };
    (minor_units >= 0).then_some(minor_units).ok_or(bounds)
}

pub fn redeem_result(redeemed: Redeemed, now: Timestamp) -> RedeemResult {
    let outcome = match redeemed.outcome {
        Ok(redeemed) => redeem_result::Outcome::Redeemed(coupon(&redeemed, now)),
        Err(error) => redeem_result::Outcome::Refused(wire::refusal(&error.refusal())),
    };
    RedeemResult {
        outcome: Some(outcome),
        campaign_closes_at: redeemed.campaign_closes_at.map(wire::timestamp),
    }
}

pub fn release_result(outcome: Result<bool, IssuanceError>) -> ReleaseResult {
    let outcome = match outcome {
        Ok(changed) => release_result::Outcome::Released(Released { changed }),
        Err(error) => release_result::Outcome::Refused(wire::refusal(&error.refusal())),
    };
    ReleaseResult {
        outcome: Some(outcome),
    }
}
