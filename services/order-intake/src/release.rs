//! Gives the coupons of orders that will not be made back to issuance, again and again until it
//! worked.
//!
//! An order that owes its coupon is the work to do, so a crash forgets none. Issuance is idempotent
//! by order id, and refuses a redemption that comes after the release: what is given back
//! stays given back, whatever is still under way. Several replicas may give the same coupon back at once.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::future::join_all;
use tidegate_proto::issuance::v1::{
    ReleaseCouponsRequest, ReleaseItem, ReleaseResult, release_result::Outcome,
};
use tidegate_rpc::wire::{self, reason_from};
use tidegate_telemetry::TraceContext;
use tidegate_types::Reason;
use tokio::{
    sync::{Notify, watch},
    time::{MissedTickBehavior, interval},
};
use tokio_util::sync::CancellationToken;

use crate::{
    domain::{Order, OrderState, PagePosition},
    error::OrderIntakeError,
    issuance::{Client, IssuanceOfLane, milliseconds_left},
    metrics::Metrics,
    store::Store,
};

const METHOD: &str = "ReleaseCoupons";
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
    /// One of each lane, by its number.
    signals: Arc<[Signal]>,
    stop: CancellationToken,
}

struct Signal {
    wake: Notify,
    /// How many sweeps there have been.
    sweeps: watch::Sender<u64>,
}

impl Releaser {
    /// The signals of every lane; [`Releaser::run`] is to be started for each. Works until `stop`.
    pub fn new(store: Store, stop: CancellationToken) -> Self {
        let signal = |_| Signal {
            wake: Notify::new(),
            sweeps: watch::channel(0).0,
        };
        Self {
            signals: store.lanes().all().map(signal).collect(),
            store,
            stop,
        }
    }

    /// Has the coupon of an order that will not be made given back at once, and tells how the order
    /// stands when it is. May be dropped at any time: the work goes on.
    pub async fn released(&self, order: Order) -> Result<Order, OrderIntakeError> {
        let lane = self.store.lanes().of(&order.draft.shopper);
        let signal = self
            .signals
            .get(usize::from(lane.get()))
            .ok_or(OrderIntakeError::Internal)?;
        let mut sweeps = signal.sweeps.subscribe();
        let mut order = order;
        while order.standing.owes_coupon() {
            signal.wake.notify_one();
            tokio::select! {
                () = self.stop.cancelled() => return Err(OrderIntakeError::Closing),
                _ = sweeps.changed() => {}
            }
            order = self
                .store
                .get_order(&order.draft.shopper, order.standing.order_id)
                .await?;
        }
        Ok(order)
    }

    /// Gives back what is to be given back in one lane, until the process ends.
    pub async fn run(self, mut issuance: IssuanceOfLane, metrics: Metrics) {
        let Some(signal) = self.signals.get(usize::from(issuance.lane.get())) else {
            return;
        };
        let mut ticks = interval(RELEASE_INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = self.stop.cancelled() => return,
                () = signal.wake.notified() => {}
                _ = ticks.tick() => {}
            }
            tokio::select! {
                () = self.stop.cancelled() => return,
                // A failed sweep is logged where the read failed, and the next one comes soon.
                _ = self.sweep(&mut issuance, &metrics) => {}
            }
            signal.sweeps.send_modify(|sweeps| *sweeps += 1);
        }
    }

    /// Every coupon of the lane that is to be given back, a batch at a time. One that cannot be given back does not hold up those behind it.
    async fn sweep(
        &self,
        issuance: &mut IssuanceOfLane,
        metrics: &Metrics,
    ) -> Result<(), OrderIntakeError> {
        let (mut after, mut found) = (PagePosition::OLDEST, 0);
        loop {
            let orders = self
                .store
                .unreleased_orders(issuance.lane, after, RELEASE_BATCH)
                .await?;
            found += orders.len();
            metrics.unreleased(issuance.lane, found);
            let Some(last) = orders.last() else {
                return Ok(());
            };
            after = PagePosition {
                created_at: last.standing.updated_at,
                order_id: last.standing.order_id,
            };
            let is_last_batch = orders.len() < usize::from(RELEASE_BATCH);
            let released = release(issuance, &orders).await;
            let noting = released.into_iter().map(|order| self.note(order, metrics));
            join_all(noting).await;
            if is_last_batch {
                return Ok(());
            }
        }
    }

    /// If this fails, the next sweep gives the coupon back once more, which changes nothing.
    async fn note(&self, order: &Order, metrics: &Metrics) {
        let deadline = Instant::now() + NOTE_TIMEOUT;
        let noted = self.store.note_release(order, story(order), deadline).await;
        if noted.is_ok() {
            metrics.released();
        }
    }
}

/// Those orders that hold no coupon any more.
async fn release<'a>(issuance: &mut IssuanceOfLane, orders: &'a [Order]) -> Vec<&'a Order> {
    let deadline = Instant::now() + RELEASE_TIMEOUT;
    let traces: Vec<_> = orders.iter().map(story).collect();
    let (lane, lanes) = (issuance.lane.get().into(), issuance.lanes.get().into());
    let message = |now| ReleaseCouponsRequest {
        lane,
        lanes,
        items: orders
            .iter()
            .map(|order| item(order, deadline, now))
            .collect(),
    };
    let send = |mut client: Client, request| async move { client.release_coupons(request).await };
    let answer = issuance
        .call(METHOD, &traces, deadline, message, send)
        .await;
    let results = answer.map(|answer| answer.results).unwrap_or_default();
    if results.is_empty() || !issuance.is_complete(METHOD, orders.len(), results.len()) {
        return Vec::new();
    }
    orders
        .iter()
        .zip(&results)
        .filter(|(_, result)| holds_nothing(result))
        .map(|(order, _)| order)
        .collect()
}

/// A coupon that does not exist is held by nobody: an order may be cancelled before it was found to name none.
fn holds_nothing(result: &ReleaseResult) -> bool {
    match &result.outcome {
        Some(Outcome::Released(_)) => true,
        Some(Outcome::Refused(refusal)) => {
            reason_from(refusal.reason) == Some(Reason::CouponNotFound)
        }
        None => false,
    }
}

fn item(order: &Order, deadline: Instant, now: Instant) -> ReleaseItem {
    ReleaseItem {
        shopper_id: order.draft.shopper.as_str().to_owned(),
        coupon_code: order.draft.coupon_code.reveal(),
        order_id: order.standing.order_id.to_string(),
        traceparent: story(order).traceparent(),
        deadline_ms: milliseconds_left(deadline, now),
        minimum_validity: matches!(order.standing.state, OrderState::Failed(_))
            .then(|| wire::duration(VALID_AFTER_FAILURE)),
    }
}

fn story(order: &Order) -> TraceContext {
    order
        .standing
        .trace
        .unwrap_or_else(|| TraceContext::new_root(false))
}
