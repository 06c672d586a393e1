use std::sync::Arc;

use tidegate_proto::issuance::v1::{
    IssueCouponsRequest, IssueCouponsResponse, IssueItem, IssueResult, IssuedCoupon, issue_result,
};
use tidegate_rpc::{
    client::{BatchCall, Pending, Replicas, RetryPolicy, last_deadline},
    server::CallContext,
    wire,
};
use tidegate_telemetry::TraceContext;
use tidegate_types::{Lane, Lanes, Reason, TierNumber};

use super::Claims;
use crate::{
    batch_answers::answer_each, clients::issuance, error::GatewayError, permits::Permit,
    waiting_room::ClaimAttempt,
};

impl Claims {
    /// Hands a claim to issuance, which also answers those that have their coupon already. Without
    /// a permit it is not meant to bring a new coupon.
    pub(super) async fn issue(
        &self,
        attempt: ClaimAttempt<'_>,
        permit: Option<Permit>,
        call: &CallContext,
    ) -> Result<IssuedCoupon, GatewayError> {
        let key = attempt.key;
        let lane = self.lanes.of(key.shopper);
        let item = IssueItem {
            campaign_number: key.campaign.get(),
            campaign_revision: attempt.campaign.revision,
            shopper_id: key.shopper.as_str().to_owned(),
            request_id: key.request_id.as_str().to_owned(),
            tier_number: attempt.tier.map(|tier: TierNumber| u32::from(tier.get())),
            traceparent: TraceContext::current().traceparent_if_recorded(),
            deadline_ms: 0,
        };
        let pending = Pending::new(ClaimInFlight { item, permit }, call.deadline);
        let answer = self.batches.hand_in(lane, pending)?;
        let is_first = self.waiting_room.hand_over(key);
        let answer = answer.await.unwrap_or_else(|late| Err(late.into()));
        if let Err(GatewayError::Refused(refusal)) = &answer {
            self.learn(attempt, refusal.reason, is_first);
        }
        answer
    }

    /// What issuance's refusal tells of the claim. Only OVERLOADED may be said before the outcome
    /// is known.
    fn learn(&self, attempt: ClaimAttempt<'_>, refused: Reason, is_first: bool) {
        let (key, revision) = (attempt.key, attempt.campaign.revision);
        if refused == Reason::ShopperLimitReached {
            self.limit_reached
                .remember((key.campaign, revision), key.shopper, key.request_id);
        }
        if is_first && refused != Reason::Overloaded {
            self.waiting_room.take_back(key);
        }
    }
}

/// A claim on its way to issuance. It is in flight until it is answered, whether its caller still
/// waits or not.
pub struct ClaimInFlight {
    item: IssueItem,
    permit: Option<Permit>,
}

/// Sends the claims of one lane to issuance.
#[derive(Clone)]
pub struct IssueCall {
    pub issuance: Replicas,
    pub lanes: Lanes,
}

impl BatchCall for IssueCall {
    type Item = ClaimInFlight;
    type Answer = Result<IssuedCoupon, GatewayError>;
    const NAME: &'static str = "issue batch";

    async fn send(
        &self,
        lane: Lane,
        items: Arc<Vec<Pending<ClaimInFlight>>>,
    ) -> Vec<Result<IssuedCoupon, GatewayError>> {
        let message = || IssueCouponsRequest {
            lane: u32::from(lane.get()),
            lanes: u32::from(self.lanes.get()),
            items: items.iter().map(with_deadline).collect(),
        };
        let send = |channel, request| async move { issuance(channel).issue_coupons(request).await };
        let policy = RetryPolicy::for_key(u64::from(lane.get()), last_deadline(&items));
        let answer = self.issuance.call(policy, message, send).await;
        if let Ok(answer) = &answer {
            tell_windows(answer, &items);
        }
        let results = answer.map(|answer| answer.results);
        answer_each(&items, results.map_err(GatewayError::from), read_result)
    }
}

/// How long claims wait at issuance steers the windows, and new coupons lead to orders.
fn tell_windows(answer: &IssueCouponsResponse, items: &[Pending<ClaimInFlight>]) {
    let waited = answer.queue_delay.and_then(wire::span).unwrap_or_default();
    let permits = items.iter().map(|pending| pending.item.permit.as_ref());
    for (permit, result) in permits.zip(&answer.results) {
        let Some(permit) = permit else { continue };
        permit.answered(waited);
        if matches!(&result.outcome, Some(issue_result::Outcome::Issued(issued)) if !issued.replayed)
        {
            permit.brought_coupon();
        }
    }
}

fn with_deadline(pending: &Pending<ClaimInFlight>) -> IssueItem {
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
