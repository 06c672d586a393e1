use std::time::{Duration, Instant};

use tidegate_proto::issuance::v1::{
    RedeemCouponsRequest, RedeemItem, RedeemResult, issuance_service_client::IssuanceServiceClient,
    redeem_result::Outcome,
};
use tidegate_rpc::{
    MAX_MESSAGE_BYTES,
    client::{Replica, Replicas, with_context},
    refusal::reason_of,
    wire::refusal_from,
};
use tidegate_telemetry::{Span, SpanKind, TraceContext, Tracing};
use tidegate_types::{Lane, Lanes};
use tokio::time::timeout_at;

use super::{Redeemed, Redemption};
use crate::{
    domain::Rejection,
    metrics::{Metrics, RedeemCall},
};

/// Links of one call's span at most.
const MAX_LINKS: usize = 128;

/// Calls issuance for one lane.
pub(super) struct RedeemCaller {
    lane: Lane,
    lanes: Lanes,
    issuance: Replicas,
    tracing: Tracing,
    metrics: Metrics,
}

impl RedeemCaller {
    pub(super) fn new(
        lane: Lane,
        lanes: Lanes,
        issuance: Replicas,
        tracing: Tracing,
        metrics: Metrics,
    ) -> Self {
        Self {
            lane,
            lanes,
            issuance,
            tracing,
            metrics,
        }
    }

    /// Asks the replica this lane's batches meet in, and the next one if that one does not answer. One answer for each, in their order.
    pub(super) async fn redeem(&mut self, redemptions: &[Redemption]) -> Vec<Redeemed> {
        self.metrics.redeem_batch(redemptions.len());
        let deadline = redemptions
            .iter()
            .map(|redemption| redemption.deadline)
            .max();
        let deadline = deadline.unwrap_or_else(Instant::now);
        let replicas = self
            .issuance
            .for_key(self.lane.get().into(), Instant::now());
        for replica in replicas {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            if let Some(answers) = self.ask(&replica, redemptions, left).await {
                return answers;
            }
        }
        vec![Redeemed::Undecided; redemptions.len()]
    }

    /// `None` if the replica could not be reached or broke off, so that the next one may be asked.
    async fn ask(
        &self,
        replica: &Replica,
        redemptions: &[Redemption],
        left: Duration,
    ) -> Option<Vec<Redeemed>> {
        let now = Instant::now();
        let mut span = self.call_span(redemptions);
        let request = with_context(self.request(redemptions, now), span.context(), left);
        let mut client = IssuanceServiceClient::new(replica.channel())
            .max_decoding_message_size(MAX_MESSAGE_BYTES);
        // The client's own timeout does not count the time until the connection takes the call.
        let answer = timeout_at((now + left).into(), client.redeem_coupons(request)).await;
        match answer {
            Ok(Ok(response)) => {
                replica.answered();
                return Some(self.decode(response.into_inner().results, redemptions.len()));
            }
            Ok(Err(status)) => {
                span.fail(status.code().description());
                if let Some(reason) = reason_of(&status) {
                    replica.answered();
                    self.metrics.redeem_call(RedeemCall::Refused);
                    tracing::warn!(lane = %self.lane, replica = replica.address(), %reason, orders = redemptions.len(), "issuance refused a whole batch of redemptions; its orders stay PENDING and are tried again");
                    return Some(vec![Redeemed::Undecided; redemptions.len()]);
                }
            }
            Err(_) => span.fail("no answer in time"),
        }
        replica.failed(Instant::now());
        self.metrics.redeem_call(RedeemCall::Failed);
        None
    }

    /// The call's own span, which starts a story of its own and links to the orders it carries.
    fn call_span(&self, redemptions: &[Redemption]) -> Span {
        let traces = || redemptions.iter().map(|redemption| redemption.trace);
        let recorded = traces().any(|trace| trace.sampled());
        let root = TraceContext::new_root(recorded);
        let mut span = self
            .tracing
            .start("call RedeemCoupons", SpanKind::Client, root);
        span.attribute(
            "tidegate.batch_size",
            i64::try_from(redemptions.len()).unwrap_or(i64::MAX),
        );
        traces()
            .filter(TraceContext::sampled)
            .take(MAX_LINKS)
            .for_each(|trace| span.link(trace));
        span
    }

    fn request(&self, redemptions: &[Redemption], now: Instant) -> RedeemCouponsRequest {
        let item = |redemption: &Redemption| RedeemItem {
            shopper_id: redemption.shopper.as_str().to_owned(),
            coupon_code: redemption.coupon_code.reveal(),
            order_id: redemption.order_id.to_string(),
            traceparent: redemption.trace.traceparent(),
            deadline_ms: milliseconds(redemption.deadline.saturating_duration_since(now)),
        };
        RedeemCouponsRequest {
            lane: self.lane.get().into(),
            lanes: self.lanes.get().into(),
            items: redemptions.iter().map(item).collect(),
        }
    }

    fn decode(&self, results: Vec<RedeemResult>, asked: usize) -> Vec<Redeemed> {
        if results.len() != asked {
            self.metrics.redeem_call(RedeemCall::Refused);
            tracing::error!(lane = %self.lane, asked, answered = results.len(), "issuance did not answer each redemption; compare the versions of issuance and order-intake");
            return vec![Redeemed::Undecided; asked];
        }
        self.metrics.redeem_call(RedeemCall::Answered);
        results
            .into_iter()
            .map(|result| match result.outcome {
                Some(Outcome::Redeemed(_)) => Redeemed::Used,
                Some(Outcome::Refused(refusal)) => Rejection::of(refusal_from(refusal))
                    .map_or(Redeemed::Undecided, Redeemed::Refused),
                None => Redeemed::Undecided,
            })
            .collect()
    }
}

fn milliseconds(duration: Duration) -> u32 {
    u32::try_from(duration.as_millis()).unwrap_or(u32::MAX)
}
