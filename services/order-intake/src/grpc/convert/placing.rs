//! Orders to be placed, and what became of them.

use std::time::Duration;

use tidegate_proto::order_intake::v1 as proto;
use tidegate_rpc::wire;
use tidegate_types::{CouponCode, Lane, Lanes, RequestId, ShopperId, StoreId};

use super::{checked, moment, order};
use crate::{
    domain::{AtGateways, Draft},
    error::{OrderIntakeError, Result},
    grpc::status::to_item_refusal,
    metrics::Metrics,
    place::PlacedOrder,
};

const MAX_ITEMS: usize = 500;
/// More say no more.
const MAX_CLAIMS_PER_ORDER: f64 = 1_000.0;

/// One order to be placed, as it came.
pub(in crate::grpc) struct PlaceItem {
    pub(in crate::grpc) draft: Draft,
    /// Whether to name other stores if this one is full.
    pub(in crate::grpc) suggest_stores: bool,
    /// The story it belongs to.
    pub(in crate::grpc) traceparent: String,
    /// How long the caller waits for this item; `None`: as long as for the call.
    pub(in crate::grpc) patience: Option<Duration>,
}

/// How orders stand at the gateway that sends some. Each claim leads to one if it does not know.
pub(in crate::grpc) fn at_gateway(request: &proto::PlaceOrdersRequest) -> AtGateways {
    let claims = Some(request.claims_per_order).filter(|claims| claims.is_normal());
    let claims = claims.map_or(1.0, |claims| claims.clamp(0.0, MAX_CLAIMS_PER_ORDER));
    AtGateways {
        permit_wait: request.permit_wait.and_then(wire::span).unwrap_or_default(),
        claims_per_order: claims,
    }
}

/// The lane and the items of a call. A bad item refuses itself only; a call for other lanes, or
/// without a sensible number of items, is refused whole.
pub(in crate::grpc) fn place_items(
    request: proto::PlaceOrdersRequest,
    lanes: Lanes,
) -> Result<(Lane, Vec<Result<PlaceItem>>)> {
    if request.lanes != u32::from(lanes.get()) {
        return Err(OrderIntakeError::OtherLanes { ours: lanes });
    }
    let lane = checked(|bad| {
        let lane = bad.check("lane", lanes.lane(request.lane));
        if !(1..=MAX_ITEMS).contains(&request.items.len()) {
            bad.add("items", format!("must be 1 to {MAX_ITEMS}"));
        }
        lane
    })?;
    let items = request.items.into_iter();
    let items = items.map(|item| place_item(item, lanes, lane)).collect();
    Ok((lane, items))
}

fn place_item(item: proto::PlaceOrderItem, lanes: Lanes, lane: Lane) -> Result<PlaceItem> {
    let (shopper, request_id, store, lines, latest_acceptable_at) = checked(|bad| {
        let shopper = bad.check("shopper_id", ShopperId::parse(&item.shopper_id));
        let request_id = bad.check("request_id", RequestId::parse(&item.request_id));
        let store = bad.check("store_id", StoreId::parse(&item.store_id));
        let lines = wire::lines(bad, &item.lines);
        let latest = bad.check("latest_acceptable_at", moment(item.latest_acceptable_at));
        Some((shopper?, request_id?, store?, lines?, latest?))
    })?;
    let belongs_to = lanes.of(&shopper);
    if belongs_to != lane {
        return Err(OrderIntakeError::OtherLane { belongs_to });
    }
    let draft = Draft {
        shopper,
        request_id,
        store,
        lines,
        coupon_code: CouponCode::parse(&item.coupon_code)
            .ok_or(OrderIntakeError::CouponNotFound)?,
        latest_acceptable_at,
    };
    Ok(PlaceItem {
        draft,
        suggest_stores: item.suggest_stores,
        traceparent: item.traceparent,
        patience: (item.deadline_ms > 0).then(|| Duration::from_millis(item.deadline_ms.into())),
    })
}

/// What became of an item. Refusals are counted here, where every kind of them passes.
pub(in crate::grpc) fn place_result(
    outcome: Result<PlacedOrder>,
    metrics: &Metrics,
) -> proto::PlaceOrderResult {
    use proto::place_order_result::Outcome;

    let outcome = match outcome {
        Ok(placed) => Outcome::Placed(proto::PlacedOrder {
            order: Some(order(placed.order)),
            replayed: placed.replayed,
        }),
        Err(error) => {
            let (reason, refusal) = to_item_refusal(error);
            metrics.refused(reason);
            Outcome::Refused(refusal)
        }
    };
    proto::PlaceOrderResult {
        outcome: Some(outcome),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_gateway_does_not_know_counts_as_an_order_for_each_claim_and_nonsense_spoils_no_mean()
    {
        for (told, counts_as) in [
            (0.0, 1.0),
            (f64::NAN, 1.0),
            (f64::INFINITY, 1.0),
            (-3.0, 0.0),
            (0.7, 0.7),
            (1e9, MAX_CLAIMS_PER_ORDER),
        ] {
            let request = proto::PlaceOrdersRequest {
                claims_per_order: told,
                ..proto::PlaceOrdersRequest::default()
            };
            let there = at_gateway(&request);
            assert_eq!(there.claims_per_order, counts_as, "{told}");
            assert_eq!(there.permit_wait, Duration::ZERO);
        }
    }
}
