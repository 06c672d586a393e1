//! Gives the coupons of orders that will not be made back to issuance, again and again until it
//! worked.
//!
//! An order that owes its coupon is the work to do, so a crash forgets none. Issuance is idempotent
//! by order id, and refuses a redemption that comes after the release: what is given back stays
//! given back, whatever is still in flight. Several replicas may give the same coupon back at once.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::future::join_all;
use tidegate_proto::issuance::v1::{
    ReleaseCouponsRequest, ReleaseItem, ReleaseResult, release_result::Outcome,
};
use tidegate_rpc::{client::milliseconds_left, wire};
use tidegate_telemetry::{self as telemetry, FutureExt as _};
use tidegate_types::{Lane, PerLane, Reason};
use tokio_util::sync::CancellationToken;
use tracing::info_span;

use crate::{
    domain::{Order, OrderState, PagePosition},
    error::{OrderIntakeError, Result},
    issuance::{Batch, Client, Issuance},
    store::Store,
    sweeps::Sweeps,
};

/// How often to look for what another replica, or an earlier process, has left.
const RELEASE_INTERVAL: Duration = Duration::from_secs(1);
/// Coupons of one call; issuance takes up to 1,000.
const RELEASE_BATCH: u16 = 500;
const RELEASE_TIMEOUT: Duration = Duration::from_secs(2);
const NOTE_TIMEOUT: Duration = Duration::from_secs(5);
/// Who was let down by a store has this long to order at another one.
const VALID_AFTER_FAILURE: Duration = Duration::from_secs(3_600);

/// Wakes the workers and waits for them. Cheap to clone.
#[derive(Clone)]
pub struct Releaser {
    store: Store,
    issuance: Issuance,
    sweeps: Arc<PerLane<Sweeps>>,
    stop: CancellationToken,
}

impl Releaser {
    /// [`Releaser::run`] is to be started for each lane. Works until `stop`.
    pub fn new(store: Store, issuance: Issuance, stop: CancellationToken) -> Self {
        let sweeps = PerLane::new(issuance.lanes, |_| Sweeps::default());
        Self {
            sweeps: Arc::new(sweeps),
            store,
            issuance,
            stop,
        }
    }

    /// Has the coupon of an order that will not be made given back at once, and tells how the order
    /// stands when it is. May be dropped at any time: the work goes on.
    pub async fn released(&self, mut order: Order) -> Result<Order> {
        let sweeps = &self.sweeps[self.issuance.lanes.of(&order.draft.shopper)];
        let mut done = sweeps.done();
        while order.standing.owes_coupon() {
            sweeps.wake();
            let swept = self.stop.run_until_cancelled(done.changed()).await;
            let _ = swept.ok_or(OrderIntakeError::Closing)?;
            let (shopper, order_id) = (&order.draft.shopper, order.standing.order_id);
            order = self.store.get_order(shopper, order_id).await?;
        }
        Ok(order)
    }

    /// Gives back what is to be given back in one lane, until the process ends.
    pub async fn run(self, lane: Lane) {
        let sweep = || self.sweep(lane);
        self.sweeps[lane]
            .run(RELEASE_INTERVAL, &self.stop, sweep)
            .await;
    }

    /// Every coupon of the lane that is to be given back, a batch at a time. One that cannot be
    /// given back does not hold up those behind it.
    async fn sweep(&self, lane: Lane) -> Result<()> {
        let (mut after, mut found) = (PagePosition::OLDEST, 0);
        loop {
            let unreleased = self.store.unreleased_orders(lane, after, RELEASE_BATCH);
            let orders = unreleased.await?;
            found += orders.len();
            self.issuance.metrics.unreleased(lane, found);
            let Some(last) = orders.last() else {
                return Ok(());
            };
            after = PagePosition {
                created_at: last.standing.updated_at,
                order_id: last.standing.order_id,
            };
            let released = self.release(lane, &orders).await;
            join_all(released.into_iter().map(|order| self.note(order))).await;
            if orders.len() < usize::from(RELEASE_BATCH) {
                return Ok(());
            }
        }
    }

    /// If this fails, the next sweep gives the coupon back once more, which changes nothing.
    async fn note(&self, order: &Order) {
        let deadline = Instant::now() + NOTE_TIMEOUT;
        let noted = self.store.note_release(order, deadline);
        if noted.with_context(order.story().context()).await.is_ok() {
            self.issuance.metrics.released.inc();
        }
    }

    /// Those orders that hold no coupon any more.
    async fn release<'a>(&self, lane: Lane, orders: &'a [Order]) -> Vec<&'a Order> {
        let deadline = Instant::now() + RELEASE_TIMEOUT;
        let batch = Batch {
            lane,
            method: "ReleaseCoupons",
            items: orders.len(),
            deadline,
            is_for_callers: false,
        };
        let message = || ReleaseCouponsRequest {
            lane: lane.get().into(),
            lanes: self.issuance.lanes.get().into(),
            items: orders.iter().map(|order| item(order, deadline)).collect(),
        };
        let send =
            |mut client: Client, request| async move { client.release_coupons(request).await };
        let results = self
            .issuance
            .call(batch, message, send, |answer| answer.results);
        let span = || info_span!("call ReleaseCoupons");
        let results = telemetry::Batch::of(orders.iter().map(Order::story)).run(span, results);
        orders
            .iter()
            .zip(results.await)
            .filter(|(_, result)| holds_nothing(result))
            .map(|(order, _)| order)
            .collect()
    }
}

/// A coupon that does not exist is held by nobody: an order may be cancelled before it was found to
/// name none.
fn holds_nothing(result: &ReleaseResult) -> bool {
    match &result.outcome {
        Some(Outcome::Released(_)) => true,
        Some(Outcome::Refused(refusal)) => {
            wire::reason_from(refusal.reason) == Some(Reason::CouponNotFound)
        }
        None => false,
    }
}

fn item(order: &Order, deadline: Instant) -> ReleaseItem {
    ReleaseItem {
        shopper_id: order.draft.shopper.as_str().to_owned(),
        coupon_code: order.draft.coupon_code.reveal(),
        order_id: order.standing.order_id.to_string(),
        traceparent: order.story().traceparent(),
        deadline_ms: milliseconds_left(deadline),
        minimum_validity: matches!(order.standing.state, OrderState::Failed(_))
            .then(|| wire::duration(VALID_AFTER_FAILURE)),
    }
}
