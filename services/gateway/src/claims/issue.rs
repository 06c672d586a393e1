use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tidegate_proto::issuance::v1::{
    IssueCouponsRequest, IssueCouponsResponse, IssueItem, IssueResult, IssuedCoupon,
    issuance_service_client::IssuanceServiceClient, issue_result,
};
use tidegate_rpc::{
    MAX_MESSAGE_BYTES,
    server::{CallContext, for_next_hop},
    wire,
};
use tidegate_telemetry::{SpanKind, TraceContext, Tracing};
use tidegate_types::{Lane, Lanes, Reason, TierNumber};

use super::Claims;
use crate::{
    admission::Admission,
    domain::ticket::Holder,
    error::GatewayError,
    lane_batches::{BatchCall, Pending},
    upstream::Upstream,
    waiting_room::Visit,
};

/// Links of one batch's span at most.
const MAX_LINKS: usize = 128;

impl Claims {
    /// Hands a claim to issuance, which also answers those that have their coupon already.
    pub(super) async fn issue(
        &self,
        visit: Visit<'_>,
        call: &CallContext,
    ) -> Result<IssuedCoupon, GatewayError> {
        let holder = visit.holder;
        let item = IssueItem {
            campaign_number: holder.campaign.get(),
            shopper_id: holder.shopper.as_str().to_owned(),
            request_id: holder.request_id.as_str().to_owned(),
            tier_number: visit.tier.map(|tier: TierNumber| u32::from(tier.get())),
            traceparent: if call.trace.sampled() {
                call.trace.traceparent()
            } else {
                String::new()
            },
            deadline_ms: 0,
        };
        let pending = Pending {
            item,
            trace: call.trace,
            deadline: call.deadline,
        };
        let lane = self.lanes.of(holder.shopper);
        let answer = self.batches.hand_in(lane, pending)?;
        let is_first = self.room.hand_over(holder);
        let under_way = self.admission.enter();
        let answer = answer.await;
        drop(under_way);
        match &answer {
            Ok(_) => self.room.issued(holder.campaign),
            Err(GatewayError::Refused(refusal)) => {
                self.learn(holder, refusal.reason, is_first);
            }
            Err(_) => {}
        }
        answer
    }

    /// What issuance's refusal tells of the claim. Only OVERLOADED may be said before the outcome is known.
    fn learn(&self, holder: Holder<'_>, refused: Reason, is_first: bool) {
        if refused == Reason::ShopperLimitReached {
            self.limit_reached
                .remember(holder.campaign, holder.shopper, holder.request_id);
        }
        if is_first && refused != Reason::Overloaded {
            self.room.take_back(holder);
        }
    }
}

/// Sends the claims of one lane to issuance.
#[derive(Clone)]
pub struct IssueCall {
    /// Issuance.
    pub issuance: Upstream,
    /// How many lanes there are.
    pub lanes: Lanes,
    /// Told how long claims waited there.
    pub admission: Arc<Admission>,
    /// Where spans go.
    pub tracing: Tracing,
}

impl BatchCall for IssueCall {
    type Item = IssueItem;
    type Answer = IssuedCoupon;

    async fn send(
        &self,
        lane: Lane,
        items: Arc<Vec<Pending<IssueItem>>>,
    ) -> Vec<Result<IssuedCoupon, GatewayError>> {
        let span = batch_span(&self.tracing, "issue batch", &items);
        let message = || IssueCouponsRequest {
            lane: u32::from(lane.get()),
            lanes: u32::from(self.lanes.get()),
            items: items.iter().map(with_deadline).collect(),
        };
        let answer = self
            .issuance
            .ask(
                u64::from(lane.get()),
                span.context(),
                last_deadline(&items),
                message,
                |channel, request| async move {
                    let client = IssuanceServiceClient::new(channel)
                        .max_decoding_message_size(MAX_MESSAGE_BYTES);
                    client
                        .max_encoding_message_size(MAX_MESSAGE_BYTES)
                        .issue_coupons(request)
                        .await
                },
            )
            .await;
        if let Some(queue_delay) = answer.as_ref().ok().and_then(queue_delay_of) {
            self.admission
                .observe(queue_delay, items.len(), Instant::now());
        }
        match answer {
            Ok(answer) if answer.results.len() == items.len() => {
                answer.results.into_iter().map(read_result).collect()
            }
            Ok(_) => items.iter().map(|_| Err(GatewayError::NoAnswer)).collect(),
            Err(error) => for_each(&items, &error),
        }
    }
}

fn queue_delay_of(answer: &IssueCouponsResponse) -> Option<Duration> {
    answer.queue_delay.and_then(wire::span)
}

fn with_deadline(pending: &Pending<IssueItem>) -> IssueItem {
    let left = for_next_hop(pending.deadline, Instant::now()).unwrap_or_default();
    IssueItem {
        deadline_ms: u32::try_from(left.as_millis()).unwrap_or(u32::MAX),
        ..pending.item.clone()
    }
}

fn read_result(result: IssueResult) -> Result<IssuedCoupon, GatewayError> {
    match result.outcome {
        Some(issue_result::Outcome::Issued(issued)) => Ok(issued),
        Some(issue_result::Outcome::Refused(refused)) => {
            Err(GatewayError::Refused(wire::refusal_from(refused)))
        }
        None => Err(GatewayError::NoAnswer),
    }
}

/// A call for many stories is a story of its own, linked to those it carries.
pub(crate) fn batch_span<T>(
    tracing: &Tracing,
    name: &'static str,
    items: &[Pending<T>],
) -> tidegate_telemetry::Span {
    let recorded = items.iter().any(|pending| pending.trace.sampled());
    let mut span = tracing.start(name, SpanKind::Client, TraceContext::new_root(recorded));
    span.attribute(
        "tidegate.batch_size",
        i64::try_from(items.len()).unwrap_or(i64::MAX),
    );
    items
        .iter()
        .filter(|pending| pending.trace.sampled())
        .take(MAX_LINKS)
        .for_each(|pending| span.link(pending.trace));
    span
}

/// The call as a whole may take as long as its most patient item; each item's own deadline travels with it.
pub(crate) fn last_deadline<T>(items: &[Pending<T>]) -> Instant {
    items
        .iter()
        .map(|pending| pending.deadline)
        .max()
        .unwrap_or_else(Instant::now)
}

/// The same answer for every item of a call that failed as a whole.
pub(crate) fn for_each<T, R>(
    items: &[Pending<T>],
    error: &GatewayError,
) -> Vec<Result<R, GatewayError>> {
    items
        .iter()
        .map(|_| {
            Err(match error {
                GatewayError::Refused(refusal) => GatewayError::Refused(refusal.clone()),
                _ => GatewayError::NoAnswer,
            })
        })
        .collect()
}
