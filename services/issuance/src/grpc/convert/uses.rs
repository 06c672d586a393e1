use tidegate_proto::issuance::v1::{
    RedeemItem, RedeemResult, ReleaseItem, ReleaseResult, Released, redeem_result, release_result,
};
use tidegate_rpc::wire;
use tidegate_types::{Area, CurrencyCode, Money, OutOfBounds, StoreId, Timestamp, Violations};
use uuid::Uuid;

use super::{Batch, coupon, parsed, shopper_of};
use crate::{
    coupon_uses::{Redeemed, UseRequest},
    domain::{
        coupon::{InvalidMinimumValidity, MinimumValidity},
        purchase::Purchase,
    },
    error::Result,
};

pub fn redeem_request(item: RedeemItem, batch: &Batch) -> Result<(UseRequest, Purchase)> {
    parsed(|bad| {
        let purchase = purchase(bad, &item);
        let names = (&*item.shopper_id, item.coupon_code, &*item.order_id);
        Some((use_request(bad, batch, names, item.deadline_ms)?, purchase))
    })
}

pub fn release_request(
    item: ReleaseItem,
    batch: &Batch,
) -> Result<(UseRequest, Option<MinimumValidity>)> {
    parsed(|bad| {
        let least = item.minimum_validity.and_then(|span| {
            let span = wire::span(span).ok_or(InvalidMinimumValidity);
            bad.check("minimum_validity", span.and_then(MinimumValidity::new))
        });
        let names = (&*item.shopper_id, item.coupon_code, &*item.order_id);
        Some((use_request(bad, batch, names, item.deadline_ms)?, least))
    })
}

fn use_request(
    bad: &mut Violations,
    batch: &Batch,
    (shopper_id, code, order_id): (&str, String, &str),
    deadline_ms: u32,
) -> Option<UseRequest> {
    let shopper = shopper_of(bad, batch, shopper_id);
    let order_id = Uuid::try_parse(order_id).map_err(|_| "must be a UUID");
    let order_id = bad.check("order_id", order_id);
    Some(UseRequest {
        shopper: shopper?,
        code,
        order_id: order_id?,
        deadline: batch.deadline(deadline_ms),
    })
}

/// What is told of the order; what is left out is not known, and what is bad is noted.
fn purchase(bad: &mut Violations, item: &RedeemItem) -> Purchase {
    let given = |text: &'_ str| (!text.is_empty()).then(|| text.to_owned());
    let store = given(&item.store_id);
    let store = store.and_then(|store| bad.check("store_id", StoreId::parse(store)));
    let area = given(&item.area).and_then(|area| bad.check("area", Area::parse(area)));
    let total = item.total.as_ref().and_then(|told| {
        let currency = CurrencyCode::parse(&told.currency_code);
        let currency = bad.check("total.currency_code", currency);
        let minor_units = bad.check("total.minor_units", not_negative(told.minor_units));
        Some(Money {
            currency: currency?,
            minor_units: minor_units?,
        })
    });
    Purchase { store, area, total }
}

fn not_negative(minor_units: i64) -> Result<i64, OutOfBounds> {
    let bounds = OutOfBounds {
        min: 0,
        max: i64::MAX.unsigned_abs(),
    };
    (minor_units >= 0).then_some(minor_units).ok_or(bounds)
}

pub fn redeem_result((outcome, campaign_closes_at): Redeemed, now: Timestamp) -> RedeemResult {
    RedeemResult {
        outcome: Some(match outcome {
            Ok(redeemed) => redeem_result::Outcome::Redeemed(coupon(&redeemed, now)),
            Err(error) => redeem_result::Outcome::Refused(error.into()),
        }),
        campaign_closes_at: campaign_closes_at.map(wire::timestamp),
    }
}

pub fn release_result(outcome: Result<bool>) -> ReleaseResult {
    ReleaseResult {
        outcome: Some(match outcome {
            Ok(changed) => release_result::Outcome::Released(Released { changed }),
            Err(error) => release_result::Outcome::Refused(error.into()),
        }),
    }
}
