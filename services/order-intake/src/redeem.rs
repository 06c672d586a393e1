//! Uses coupons for orders: one call to issuance for all that has gathered in a lane. Issuance
//! answers the same order the same way however often it is asked.

use std::{sync::Arc, time::Instant};

use tidegate_proto::issuance::v1::{
    RedeemCouponsRequest, RedeemItem, RedeemResult, redeem_result::Outcome,
};
use tidegate_rpc::{
    client::{BatchCall, LaneBatches, Pending, last_deadline},
    wire,
};
use tidegate_telemetry::{fail, note};
use tidegate_types::{Lane, Timestamp};
use tracing::instrument;

use crate::{
    domain::{Bill, Order, Rejection},
    issuance::{Batch, Client, Issuance},
};

/// One call to issuance in flight a lane, so that batches grow with the load.
const CALLS_PER_LANE: usize = 1;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Redeemed {
    Used {
        bill: Bill,
        /// When the coupon's campaign ends, if issuance said so.
        campaign_closes_at: Option<Timestamp>,
    },
    /// The coupon cannot pay for this order, for good.
    Refused(Rejection),
    /// Nothing is known; asking again is safe.
    Undecided,
}

#[derive(Clone)]
pub struct Redeemer {
    issuance: Issuance,
    batches: LaneBatches<RedeemCall>,
}

impl Redeemer {
    /// A gatherer a lane comes with it, which the caller runs.
    pub fn new(issuance: Issuance) -> (Self, Vec<impl Future<Output = ()> + Send + use<>>) {
        let call = RedeemCall(issuance.clone());
        let (batches, gatherers) = LaneBatches::new(issuance.lanes, &call, CALLS_PER_LANE);
        (Self { issuance, batches }, gatherers)
    }

    /// Uses the order's coupon for it, if that can be known by `deadline`.
    #[instrument(name = "redeem coupon", skip_all)]
    pub async fn redeem(&self, order: &Order, deadline: Instant) -> Redeemed {
        let redemption = Pending::new(order.clone(), deadline);
        let lane = self.issuance.lanes.of(&order.draft.shopper);
        // One that is not taken is left to the recovery worker.
        let answer = self.batches.submit(lane, redemption).await;
        let redeemed = answer.unwrap_or(Redeemed::Undecided);
        match &redeemed {
            Redeemed::Used { .. } => {}
            Redeemed::Refused(rejection) => note("tidegate.reason", rejection.because().name()),
            Redeemed::Undecided => fail(&"issuance gave no answer that decides the order"),
        }
        redeemed
    }
}

#[derive(Clone)]
struct RedeemCall(Issuance);

impl BatchCall for RedeemCall {
    type Item = Order;
    type Answer = Redeemed;
    const NAME: &'static str = "call RedeemCoupons";

    async fn send(&self, lane: Lane, items: Arc<Vec<Pending<Order>>>) -> Vec<Redeemed> {
        let batch_size = &self.0.metrics.redeem_batch_size;
        batch_size.observe(items.len() as f64);
        let batch = Batch {
            lane,
            method: "RedeemCoupons",
            items: items.len(),
            deadline: last_deadline(&items),
            is_for_callers: true,
        };
        let message = || RedeemCouponsRequest {
            lane: lane.get().into(),
            lanes: self.0.lanes.get().into(),
            items: items.iter().map(item).collect(),
        };
        let send =
            |mut client: Client, request| async move { client.redeem_coupons(request).await };
        let results = self.0.call(batch, message, send, |answer| answer.results);
        let results = results.await.into_iter().zip(&*items);
        results
            .map(|(result, pending)| decode(&pending.item, result))
            .collect()
    }
}

fn item(pending: &Pending<Order>) -> RedeemItem {
    let Order { draft, standing } = &pending.item;
    RedeemItem {
        shopper_id: draft.shopper.as_str().to_owned(),
        coupon_code: draft.coupon_code.reveal(),
        order_id: standing.order_id.to_string(),
        traceparent: pending.trace.traceparent(),
        deadline_ms: pending.milliseconds_left(),
        store_id: draft.store.as_str().to_owned(),
        area: standing.area.as_str().to_owned(),
        total: Some(wire::money(draft.lines.total())),
    }
}

fn decode(order: &Order, result: RedeemResult) -> Redeemed {
    let coupon = match result.outcome {
        Some(Outcome::Redeemed(coupon)) => coupon,
        Some(Outcome::Refused(refusal)) => {
            let rejection = Rejection::of(wire::refusal_from(refusal));
            return rejection.map_or(Redeemed::Undecided, Redeemed::Refused);
        }
        None => return Redeemed::Undecided,
    };
    let total = order.draft.lines.total();
    let face_value = coupon.face_value.and_then(wire::money_from);
    let bill = face_value.and_then(|face_value| Bill::with_coupon(total, face_value));
    let Some(bill) = bill else {
        tracing::error!(order = %order.standing.order_id, "issuance used a coupon for an order and named no face value of the order's currency; the order stays PENDING until it does, so compare the versions of issuance and order-intake");
        return Redeemed::Undecided;
    };
    Redeemed::Used {
        bill,
        campaign_closes_at: result.campaign_closes_at.and_then(wire::moment),
    }
}
