use std::{sync::Arc, time::Instant};

use tidegate_proto::issuance::v1::{
    IssueCouponsRequest, IssueCouponsResponse, IssueItem, IssueResult, IssuedCoupon,
    issuance_service_client::IssuanceServiceClient, issue_result,
};
use tidegate_rpc::{MAX_MESSAGE_BYTES, server::CallContext, wire};
use tidegate_telemetry::Tracing;
use tidegate_types::{Lane, Lanes, Reason, TierNumber};

use super::Claims;
use crate::{
    admission::{Admission, Answered, UnderWay},
    domain::ticket::Holder,
    error::GatewayError,
    lane_batches::{BatchCall, Pending, answer_each, last_deadline, span_of},
    upstream::Upstream,
    waiting_room::Visit,
};

impl Claims {
    /// Hands a claim to issuance, which also answers those that have their coupon already.
    pub(super) async fn issue(
        &self,
        visit: Visit<'_>,
        call: &CallContext,
    ) -> Result<IssuedCoupon, GatewayError> {
        let lane = self.lanes.of(visit.holder.shopper);
        let under_way = self.admission.enter(lane);
        self.issue_admitted(visit, under_way, call).await
    }

    /// The same where room at issuance is held already.
    pub(super) async fn issue_admitted(
        &self,
        visit: Visit<'_>,
        under_way: UnderWay,
        call: &CallContext,
    ) -> Result<IssuedCoupon, GatewayError> {
        let holder = visit.holder;
        let lane = self.lanes.of(holder.shopper);
        let item = IssueItem {
            campaign_number: holder.campaign.get(),
            campaign_revision: visit.campaign.revision,
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
            item: UnderWayItem {
                item,
                _under_way: under_way,
            },
            trace: call.trace,
            deadline: call.deadline,
        };
        let answer = self.batches.hand_in(lane, pending)?;
        let is_first = self.room.hand_over(holder);
        let answer = answer.await;
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

/// A claim on its way to issuance. It takes up room there until it is answered, whether its caller still waits or not.
pub struct UnderWayItem {
    item: IssueItem,
    _under_way: UnderWay,
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
    type Item = UnderWayItem;
    type Answer = IssuedCoupon;

    async fn send(
        &self,
        lane: Lane,
        items: Arc<Vec<Pending<UnderWayItem>>>,
    ) -> Vec<Result<IssuedCoupon, GatewayError>> {
        let span = span_of(&self.tracing, "issue batch", &items);
        let message = || IssueCouponsRequest {
            lane: u32::from(lane.get()),
            lanes: u32::from(self.lanes.get()),
            items: items.iter().map(with_deadline).collect(),
        };
        let began = Instant::now();
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
        if let Ok(answer) = &answer {
            self.observe(answer, began);
        }
        answer_each(&items, answer.map(|answer| answer.results), read_result)
    }
}

impl IssueCall {
    /// What issuance can do is told by coupons: refusals may come much faster.
    fn observe(&self, answer: &IssueCouponsResponse, began: Instant) {
        let Some(queue_delay) = answer.queue_delay.and_then(wire::span) else {
            return;
        };
        let is_issued = |result: &&IssueResult| {
            matches!(&result.outcome, Some(issue_result::Outcome::Issued(_)))
        };
        let now = Instant::now();
        let answered = Answered {
            queue_delay,
            took: now.saturating_duration_since(began),
            claims: answer.results.len(),
            issued: answer.results.iter().filter(is_issued).count(),
        };
        self.admission.observe(answered, now);
    }
}

fn with_deadline(pending: &Pending<UnderWayItem>) -> IssueItem {
    IssueItem {
        deadline_ms: pending.milliseconds_left(),
        ..pending.item.item.clone()
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
