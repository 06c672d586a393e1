use std::time::Instant;

use tidegate_proto::issuance::v1::{
    RedeemCouponsRequest, RedeemItem, RedeemResult, redeem_result::Outcome,
};
use tidegate_rpc::wire;
use tidegate_types::Money;

use super::{Redeemed, Redemption};
use crate::{
    domain::{Bill, Rejection},
    issuance::{Client, IssuanceOfLane, milliseconds_left},
};

const METHOD: &str = "RedeemCoupons";

/// One answer for each redemption, in their order.
pub(super) async fn redeem(
    issuance: &mut IssuanceOfLane,
    redemptions: &[Redemption],
) -> Vec<Redeemed> {
    issuance.metrics.redeem_batch(redemptions.len());
    let deadline = redemptions
        .iter()
        .map(|redemption| redemption.deadline)
        .max();
    let traces: Vec<_> = redemptions
        .iter()
        .map(|redemption| redemption.trace)
        .collect();
    let (lane, lanes) = (issuance.lane.get().into(), issuance.lanes.get().into());
    let message = |now| RedeemCouponsRequest {
        lane,
        lanes,
        items: redemptions
            .iter()
            .map(|redemption| item(redemption, now))
            .collect(),
    };
    let send = |mut client: Client, request| async move { client.redeem_coupons(request).await };
    let answer = issuance
        .call(
            METHOD,
            &traces,
            deadline.unwrap_or_else(Instant::now),
            message,
            send,
        )
        .await;
    let results = answer.map(|answer| answer.results).unwrap_or_default();
    if results.is_empty() || !issuance.is_complete(METHOD, redemptions.len(), results.len()) {
        return redemptions.iter().map(|_| Redeemed::Undecided).collect();
    }
    redemptions
        .iter()
        .zip(results)
        .map(|(redemption, result)| decode(redemption, result))
        .collect()
}

fn item(redemption: &Redemption, now: Instant) -> RedeemItem {
    RedeemItem {
        shopper_id: redemption.draft.shopper.as_str().to_owned(),
        coupon_code: redemption.draft.coupon_code.reveal(),
        order_id: redemption.order_id.to_string(),
        traceparent: redemption.trace.traceparent(),
        deadline_ms: milliseconds_left(redemption.deadline, now),
        store_id: redemption.draft.store.as_str().to_owned(),
        area: redemption.area.as_str().to_owned(),
        total: Some(wire::money(redemption.draft.lines.total())),
    }
}

fn decode(redemption: &Redemption, result: RedeemResult) -> Redeemed {
    let campaign_closes_at = result.campaign_closes_at.and_then(wire::moment);
    match result.outcome {
        Some(Outcome::Redeemed(coupon)) => {
            match bill(redemption, coupon.face_value.and_then(wire::money_from)) {
                Some(bill) => Redeemed::Used {
                    bill,
                    campaign_closes_at,
                },
                None => {
                    tracing::error!(order = %redemption.order_id, "issuance used a coupon for an order and named no face value of the order's currency; the order stays PENDING until it does, so compare the versions of issuance and order-intake");
                    Redeemed::Undecided
                }
            }
        }
        Some(Outcome::Refused(refusal)) => Rejection::of(wire::refusal_from(refusal))
            .map_or(Redeemed::Undecided, Redeemed::Refused),
        None => Redeemed::Undecided,
    }
}

fn bill(redemption: &Redemption, face_value: Option<Money>) -> Option<Bill> {
    Bill::with_coupon(redemption.draft.lines.total(), face_value?)
}
