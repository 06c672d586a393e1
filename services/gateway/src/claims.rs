//! Claims: checked at the door, gathered by lane, committed by issuance.

use std::sync::Arc;

use tidegate_proto::{
    issuance::v1::{
        IssueCouponsRequest, IssueItem, IssueResult, IssuedCoupon, LookupClaimsRequest, LookupItem,
        issuance_service_client::IssuanceServiceClient, issue_result,
    },
    r#type::v1::Coupon,
};
use tidegate_rpc::{
    MAX_MESSAGE_BYTES,
    server::{CallContext, for_next_hop},
    wire,
};
use tidegate_telemetry::{SpanKind, TraceContext, Tracing};
use tidegate_types::{
    CampaignId, Lane, Lanes, RequestId, ShopperId, TierId, TierNumber, Timestamp, Violations,
};

use crate::{
    bulkheads::Bulkhead,
    campaigns::Campaigns,
    domain::campaign::Issuing,
    error::GatewayError,
    lane_batches::{BatchCall, LaneBatches, Pending},
    upstream::Upstream,
};

/// Links of one batch's span at most.
const MAX_LINKS: usize = 128;

/// A claim whose fields are within bounds.
pub struct Claim {
    /// Of which campaign.
    pub campaign: CampaignId,
    /// Whose.
    pub shopper: ShopperId,
    /// The claim's name.
    pub request_id: RequestId,
    /// The tier wanted; any, if none.
    pub tier: Option<TierId>,
}

/// Serves claims.
pub struct Claims {
    /// The campaigns known.
    pub campaigns: Campaigns,
    /// How many lanes there are.
    pub lanes: Lanes,
    /// Where claims gather.
    pub batches: LaneBatches<IssueCall>,
    /// Issuance, for look-ups.
    pub issuance: Upstream,
    /// Claims in flight.
    pub claim_places: Bulkhead,
    /// Reads in flight.
    pub read_places: Bulkhead,
}

impl Claims {
    /// Claims a coupon.
    pub async fn claim(
        &self,
        claim: Claim,
        call: &CallContext,
        now: Timestamp,
    ) -> Result<IssuedCoupon, GatewayError> {
        let _place = self.claim_places.enter()?;
        let campaign = self.campaigns.get(&claim.campaign)?;
        if campaign.is_not_open(now) {
            return Err(GatewayError::CampaignNotOpen {
                opens_at: campaign.opens_at,
            });
        }
        let tier_number = match &claim.tier {
            None => None,
            Some(tier) => Some(
                campaign
                    .tier(tier)
                    .ok_or_else(|| no_such_tier(&campaign.tiers))?,
            ),
        };
        if campaign.issuing != Issuing::Open {
            return self.earlier(claim, campaign.issuing, call).await;
        }
        let lane = self.lanes.of(&claim.shopper);
        let item = IssueItem {
            campaign_number: campaign.number.get(),
            shopper_id: claim.shopper.as_str().to_owned(),
            request_id: claim.request_id.as_str().to_owned(),
            tier_number: tier_number.map(|tier: TierNumber| u32::from(tier.get())),
            traceparent: if call.trace.sampled() {
                call.trace.traceparent()
            } else {
                String::new()
            },
            deadline_ms: 0,
        };
        self.batches
            .submit(
                lane,
                Pending {
                    item,
                    trace: call.trace,
                    deadline: call.deadline,
                },
            )
            .await
    }

    /// What a claim gets while nothing is issued: the coupon it produced before, or the reason.
    async fn earlier(
        &self,
        claim: Claim,
        issuing: Issuing,
        call: &CallContext,
    ) -> Result<IssuedCoupon, GatewayError> {
        let refused = match issuing {
            Issuing::Halted { resume_at } => GatewayError::IssuanceHalted { resume_at },
            Issuing::Open | Issuing::Held => GatewayError::IssuanceHeld,
        };
        match self.lookup(claim, call).await {
            Ok(coupon) => Ok(IssuedCoupon {
                coupon: Some(coupon),
                replayed: true,
            }),
            Err(GatewayError::ClaimNotFound) => Err(refused),
            Err(other) => Err(other),
        }
    }

    /// Finds the coupon an earlier claim produced.
    pub async fn lookup(&self, claim: Claim, call: &CallContext) -> Result<Coupon, GatewayError> {
        let _place = self.read_places.enter()?;
        let campaign = self.campaigns.get(&claim.campaign)?;
        let lane = self.lanes.of(&claim.shopper);
        let item = LookupItem {
            campaign_number: campaign.number.get(),
            shopper_id: claim.shopper.as_str().to_owned(),
            request_id: claim.request_id.as_str().to_owned(),
        };
        let message = || LookupClaimsRequest {
            items: vec![item.clone()],
        };
        let answer = self
            .issuance
            .ask(
                u64::from(lane.get()),
                call.trace,
                call.deadline,
                message,
                |channel, request| async move {
                    IssuanceServiceClient::new(channel)
                        .lookup_claims(request)
                        .await
                },
            )
            .await?;
        answer
            .results
            .into_iter()
            .next()
            .and_then(|result| result.coupon)
            .ok_or(GatewayError::ClaimNotFound)
    }
}

fn no_such_tier(tiers: &[TierId]) -> GatewayError {
    let mut bad = Violations::default();
    let names: Vec<_> = tiers.iter().map(TierId::as_str).collect();
    bad.add(
        "tier_id",
        format!("must be empty or one of: {}", names.join(", ")),
    );
    GatewayError::InvalidFields(bad)
}

/// Sends the claims of one lane to issuance.
#[derive(Clone)]
pub struct IssueCall {
    /// Issuance.
    pub issuance: Upstream,
    /// How many lanes there are.
    pub lanes: Lanes,
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
        match answer {
            Ok(answer) if answer.results.len() == items.len() => {
                answer.results.into_iter().map(read_result).collect()
            }
            Ok(_) => items.iter().map(|_| Err(GatewayError::NoAnswer)).collect(),
            Err(error) => for_each(&items, &error),
        }
    }
}

fn with_deadline(pending: &Pending<IssueItem>) -> IssueItem {
    let left = for_next_hop(pending.deadline, std::time::Instant::now()).unwrap_or_default();
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
pub(crate) fn last_deadline<T>(items: &[Pending<T>]) -> std::time::Instant {
    items
        .iter()
        .map(|pending| pending.deadline)
        .max()
        .unwrap_or_else(std::time::Instant::now)
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
