//! Uses coupons for orders: one call to issuance for all that has gathered in a lane.
//!
//! While one call is in flight the next batch gathers, so no timer delays anybody and batches grow with the load. Issuance answers the same order the same way however often it is asked.

mod call;

use std::{sync::Arc, time::Instant};

use tidegate_telemetry::{Span, SpanKind, TraceContext, Tracing};
use tidegate_types::{Lanes, Timestamp};
use tokio::sync::{mpsc, oneshot};

use crate::{
    domain::{Area, Bill, Draft, Order, OrderId, Rejection},
    issuance::IssuanceOfLane,
};

/// Redemptions that wait for the call in flight, in one lane. More are left to the recovery worker.
const MAX_WAITING: usize = 4_000;
/// Redemptions of one call; issuance takes up to 1,000.
const MAX_BATCH: usize = 500;

/// What came of asking issuance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Redeemed {
    /// The coupon is used by this order.
    Used {
        /// What the order costs with it.
        bill: Bill,
        /// When the coupon's campaign ends, if issuance said so.
        campaign_closes_at: Option<Timestamp>,
    },
    /// The coupon cannot pay for this order, for good.
    Refused(Rejection),
    /// Nothing is known; asking again is safe.
    Undecided,
}

/// One coupon to be used for one order.
struct Redemption {
    order_id: OrderId,
    draft: Arc<Draft>,
    area: Area,
    trace: TraceContext,
    deadline: Instant,
}

struct Waiting {
    redemption: Redemption,
    reply: oneshot::Sender<Redeemed>,
}

/// Hands redemptions to the gatherer of their lane. Cheap to clone.
#[derive(Clone)]
pub struct Redeemer {
    lanes: Lanes,
    /// One of each lane, by its number.
    gatherers: Arc<[mpsc::Sender<Waiting>]>,
    tracing: Tracing,
}

impl Redeemer {
    /// One gatherer a lane comes with it, which the caller runs.
    pub fn new(
        issuance: &[IssuanceOfLane],
        lanes: Lanes,
        tracing: &Tracing,
    ) -> (Self, Vec<impl Future<Output = ()> + Send + use<>>) {
        let start = |issuance: &IssuanceOfLane| {
            let (sender, arrivals) = mpsc::channel(MAX_WAITING);
            (sender, gather(arrivals, issuance.clone()))
        };
        let (gatherers, tasks): (Vec<_>, _) = issuance.iter().map(start).unzip();
        let redeemer = Self {
            lanes,
            gatherers: gatherers.into(),
            tracing: tracing.clone(),
        };
        (redeemer, tasks)
    }

    /// Uses the order's coupon for it, if that can be known by `deadline`.
    pub async fn redeem(&self, order: &Order, trace: TraceContext, deadline: Instant) -> Redeemed {
        let mut span = self.tracing.start("redeem coupon", SpanKind::Client, trace);
        let (reply, answer) = oneshot::channel();
        let redemption = Redemption {
            order_id: order.standing.order_id,
            draft: Arc::clone(&order.draft),
            area: order.standing.area.clone(),
            trace: span.context(),
            deadline,
        };
        let lane = self.lanes.of(&order.draft.shopper);
        let taken = self
            .gatherers
            .get(usize::from(lane.get()))
            .is_some_and(|gatherer| gatherer.try_send(Waiting { redemption, reply }).is_ok());
        let redeemed = if taken {
            // The gatherer answers each it takes; it is gone only if the process is ending.
            answer.await.unwrap_or(Redeemed::Undecided)
        } else {
            Redeemed::Undecided
        };
        tell(&mut span, &redeemed);
        redeemed
    }
}

fn tell(span: &mut Span, redeemed: &Redeemed) {
    match redeemed {
        Redeemed::Used { .. } => {}
        Redeemed::Refused(rejection) => {
            span.attribute("tidegate.reason", rejection.because().name());
        }
        Redeemed::Undecided => span.fail("issuance gave no answer that decides the order"),
    }
}

async fn gather(mut arrivals: mpsc::Receiver<Waiting>, mut issuance: IssuanceOfLane) {
    let mut waiting = Vec::with_capacity(MAX_BATCH);
    while arrivals.recv_many(&mut waiting, MAX_BATCH).await > 0 {
        let now = Instant::now();
        let (redemptions, replies): (Vec<_>, Vec<_>) = waiting
            .drain(..)
            // Dropping the reply of one that is late answers it.
            .filter(|waiting| waiting.redemption.deadline > now)
            .map(|waiting| (waiting.redemption, waiting.reply))
            .unzip();
        if redemptions.is_empty() {
            continue;
        }
        let answers = call::redeem(&mut issuance, &redemptions).await;
        for (reply, redeemed) in replies.into_iter().zip(answers) {
            // Whoever asked may have gone; the answer is kept by issuance.
            let _ = reply.send(redeemed);
        }
    }
}
