//! One shopper's visit: claims a coupon, thinks, and orders with it.

use std::{
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use rand::Rng;
use tidegate_proto::gateway::v1::{
    ClaimCouponRequest, claim_coupon_response::Outcome, claim_service_client::ClaimServiceClient,
};
use tokio::time::{Instant, sleep, timeout};

use super::{
    Scene,
    ledger::Ledger,
    measures::ClaimEnd,
    schedule::{Arrival, Habit},
};
use crate::collector::{Span, SpanId, TraceId};

/// One in so many shoppers is followed through every hop; the others leave that choice to the services.
const TRACED_EVERY: u32 = 50;
/// A caller that lost the answer notices after this long.
const NOTICE: Duration = Duration::from_millis(100);

/// What the steps of one shopper's visit share.
pub(super) struct Visit {
    pub(super) scene: Arc<Scene>,
    pub(super) shopper: u32,
    pub(super) shopper_id: String,
    trace_id: Option<TraceId>,
}

/// Lives one arrival to its end.
pub(super) async fn visit(scene: Arc<Scene>, arrival: Arrival, due: Instant) {
    let trace_id = arrival
        .shopper
        .is_multiple_of(TRACED_EVERY)
        .then(|| rand::rng().random());
    let visit = Visit {
        shopper: arrival.shopper,
        shopper_id: scene.ledger.shopper_id(arrival.shopper),
        trace_id,
        scene,
    };
    let code = match arrival.habit {
        Habit::Plain => visit.claim(1, due).await,
        Habit::Twice => {
            let (first, second) = tokio::join!(visit.claim(1, due), visit.claim(1, due));
            first.or(second)
        }
        Habit::LosesAnswer(listens) => visit.claim_losing_the_answer(listens, due).await,
        Habit::ClaimsAgain => {
            let code = visit.claim(1, due).await;
            if code.is_some() {
                visit.claim(2, Instant::now()).await;
            }
            code
        }
    };
    let Some(code) = code else { return };
    sleep(arrival.think).await;
    let accepted = visit.order_with(&code, &arrival.wish).await;
    if let (Some(trace_id), true) = (visit.trace_id, accepted) {
        visit.scene.measures.story_complete(trace_id);
    }
}

impl Visit {
    async fn claim(&self, request: u8, due: Instant) -> Option<String> {
        self.scene.measures.claim_offered(due - self.scene.started);
        self.claim_to_the_end(request, due).await
    }

    /// Sends the claim, hangs up, and sends it again with the same request id: one claim, whichever of the two sends gets the coupon.
    async fn claim_losing_the_answer(&self, listens: Duration, due: Instant) -> Option<String> {
        self.scene.measures.claim_offered(due - self.scene.started);
        let mut client = ClaimServiceClient::new(self.scene.door.next_gateway());
        let _ = timeout(
            listens,
            client.claim_coupon(self.scene.door.request(self.claim_request(1), None)),
        )
        .await;
        self.scene.measures.answer_lost();
        sleep(NOTICE).await;
        self.claim_to_the_end(1, Instant::now()).await
    }

    async fn claim_to_the_end(&self, request: u8, due: Instant) -> Option<String> {
        let scene = &self.scene;
        let span = self.begin("shopper claims");
        let message = self.claim_request(request);
        let send = |gateway| {
            let request = scene
                .door
                .request(message.clone(), span.traceparent().as_deref());
            async move { ClaimServiceClient::new(gateway).claim_coupon(request).await }
        };
        let answer = scene.door.call(due, &scene.measures, send).await;
        let (end, code) = match answer.map(|response| response.into_inner().outcome) {
            Ok(Some(Outcome::Issued(issued))) => {
                let code = issued.coupon.map(|coupon| coupon.code).unwrap_or_default();
                scene.ledger.coupon(self.shopper, request, &code);
                (
                    if issued.replayed {
                        ClaimEnd::Replayed
                    } else {
                        ClaimEnd::Issued
                    },
                    Some(code),
                )
            }
            Ok(None) => (ClaimEnd::Refused("NO_OUTCOME".to_owned()), None),
            Err(failure) => (failure.into(), None),
        };
        scene
            .measures
            .claim_ended(scene.started.elapsed(), due.elapsed(), &end);
        self.finish(span, code.is_none());
        code
    }

    fn claim_request(&self, request: u8) -> ClaimCouponRequest {
        ClaimCouponRequest {
            campaign_id: self.scene.campaign_id.clone(),
            shopper_id: self.shopper_id.clone(),
            request_id: Ledger::claim_request_id(request),
            tier_id: String::new(),
        }
    }

    pub(super) fn begin(&self, name: &'static str) -> OwnSpan {
        OwnSpan {
            trace_id: self.trace_id,
            span_id: rand::rng().random(),
            name,
            start_ns: unix_ns(),
        }
    }

    pub(super) fn finish(&self, span: OwnSpan, failed: bool) {
        let Some(trace_id) = span.trace_id else {
            return;
        };
        self.scene.collector.record(Span {
            trace_id,
            span_id: span.span_id,
            parent_id: SpanId::default(),
            name: span.name.to_owned(),
            service: "shopper".to_owned(),
            start_ns: span.start_ns,
            end_ns: unix_ns(),
            failed,
            links: Vec::new(),
        });
    }
}

/// The shopper's own view of a call, the first span of the story.
pub(super) struct OwnSpan {
    trace_id: Option<TraceId>,
    span_id: SpanId,
    name: &'static str,
    start_ns: u64,
}

impl OwnSpan {
    /// The W3C header that tells the gateway to follow this call.
    pub(super) fn traceparent(&self) -> Option<String> {
        let trace_id = u128::from_be_bytes(self.trace_id?);
        Some(format!(
            "00-{trace_id:032x}-{:016x}-01",
            u64::from_be_bytes(self.span_id)
        ))
    }
}

fn unix_ns() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |now| now.as_nanos() as u64)
}
