//! One shopper: claims a coupon, thinks, and orders with it.

use std::{
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use rand::Rng;
use tidegate_client::framed;
use tidegate_proto::gateway::v1::ClaimCouponRequest;
use tokio::time::{Instant, sleep, timeout};

use super::{Scene, queueing::Claimed};
use crate::{
    collector::{Span, SpanId, TraceId, hex},
    crowd::{
        habits::{Habit, InQueue},
        schedule::Arrival,
    },
    ledger::Ledger,
    measures::TracedShopper,
};

/// One in so many shoppers is followed through every hop; the others leave that choice to the services.
const TRACED_EVERY: u32 = 50;
/// A caller that lost the answer notices after this long.
const NOTICE: Duration = Duration::from_millis(100);

pub(super) struct Shopper {
    pub(super) scene: Arc<Scene>,
    /// Counted from 0.
    pub(super) number: u32,
    pub(super) id: String,
    pub(super) in_queue: InQueue,
    trace_id: Option<TraceId>,
}

pub(super) async fn live(scene: Arc<Scene>, arrival: Arrival, due: Instant) {
    scene.measures.sent(due.elapsed());
    let is_traced = arrival.shopper.is_multiple_of(TRACED_EVERY);
    let trace_id = is_traced.then(|| rand::rng().random());
    let shopper = Shopper {
        number: arrival.shopper,
        id: scene.ledger.shopper_id(arrival.shopper),
        in_queue: arrival.in_queue,
        trace_id,
        scene,
    };
    let claimed = match arrival.habit {
        Habit::Plain => shopper.claim(1, due).await,
        Habit::Twice => {
            let (first, second) = tokio::join!(shopper.claim(1, due), shopper.claim(1, due));
            if first.code.is_some() { first } else { second }
        }
        Habit::LosesAnswer(listens) => shopper.claim_losing_the_answer(listens, due).await,
        Habit::ClaimsAgain => {
            let claimed = shopper.claim(1, due).await;
            if claimed.code.is_some() {
                shopper.claim(2, Instant::now()).await;
            }
            claimed
        }
    };
    let Some(code) = claimed.code else { return };
    sleep(arrival.think).await;
    let accepted = shopper.order_with(&code, &arrival.wish).await;
    if let (Some(trace_id), true) = (shopper.trace_id, accepted) {
        shopper.scene.measures.traced(TracedShopper {
            trace_id,
            has_waited: claimed.has_waited,
        });
    }
}

impl Shopper {
    async fn claim(&self, request: u8, due: Instant) -> Claimed {
        self.scene.measures.claim_offered(due - self.scene.started);
        let now = self.scene.now();
        self.claim_to_the_end(request, due, now).await
    }

    /// Sends the claim, hangs up, and sends it again with the same request id: one claim, whichever of the two sends gets the coupon.
    async fn claim_losing_the_answer(&self, listens: Duration, due: Instant) -> Claimed {
        self.scene.measures.claim_offered(due - self.scene.started);
        let first_sent_at = self.scene.now();
        let body = framed(&self.claim_request(1));
        let _ = timeout(listens, self.scene.door.caller.call(body)).await;
        self.scene.measures.answer_lost();
        sleep(NOTICE).await;
        self.claim_to_the_end(1, Instant::now(), first_sent_at)
            .await
    }

    async fn claim_to_the_end(
        &self,
        request: u8,
        due: Instant,
        first_sent_at: Duration,
    ) -> Claimed {
        let scene = &self.scene;
        let span = self.begin("shopper claims", None);
        let claimed = self
            .claim_through_the_queue(request, due, first_sent_at, span.as_ref())
            .await;
        // How long the queue was is another matter than how fast the answers are.
        let latency = (!claimed.has_waited).then(|| due.elapsed());
        scene
            .measures
            .claim_ended(scene.now(), latency, &claimed.end);
        self.finish(span, claimed.code.is_none());
        claimed
    }

    pub(super) fn claim_request(&self, request: u8) -> ClaimCouponRequest {
        ClaimCouponRequest {
            campaign_id: self.scene.campaign_id.clone(),
            shopper_id: self.id.clone(),
            request_id: Ledger::claim_request_id(request),
            tier_id: String::new(),
            ticket: String::new(),
            patience: None,
        }
    }

    /// Begins a span of its own if it is followed: its view of a call, which the others are part of.
    pub(super) fn begin(&self, name: &str, whole: Option<&Span>) -> Option<Span> {
        Some(Span {
            trace_id: self.trace_id?,
            span_id: rand::rng().random(),
            parent_id: whole.map_or(SpanId::default(), |whole| whole.span_id),
            name: name.to_owned(),
            service: "shopper".to_owned(),
            start_ns: unix_ns(),
            end_ns: 0,
            failed: false,
            links: Vec::new(),
        })
    }

    pub(super) fn finish(&self, span: Option<Span>, failed: bool) {
        if let Some(span) = span {
            self.scene.collector.record(Span {
                end_ns: unix_ns(),
                failed,
                ..span
            });
        }
    }
}

/// The W3C header that tells the gateway to follow a call.
pub(super) fn traceparent(span: Option<&Span>) -> Option<String> {
    let span = span?;
    let (trace_id, span_id) = (hex(&span.trace_id), hex(&span.span_id));
    Some(format!("00-{trace_id}-{span_id}-01"))
}

fn unix_ns() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |now| now.as_nanos() as u64)
}
