//! Claiming: from a claim's fields to a durable coupon or the reason why not.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use sqlx::PgPool;
use tidegate_pg::CommitQueue;
use tidegate_telemetry::{SpanKind, TraceContext, Tracing};
use tidegate_types::{
    Actor, CampaignNumber, ChangeReason, Lane, Lanes, RequestId, ShopperId, TierNumber, Timestamp,
};

use crate::{
    campaigns::Campaigns,
    domain::{
        campaign::{Campaign, CouponControl, Phase},
        coupon::StoredCoupon,
        lease_book::Outlook,
    },
    error::IssuanceError,
    lane_work::{ByStaff, Claim, Done, LaneCommit, Work},
    leases::LaneStock,
    metrics::IssuanceMetrics,
    store,
};

/// How long a claim waits for stock that was asked for. Bounded well below the callers' deadlines, because the claims it came with wait for it.
const MAX_WAIT_FOR_STOCK: Duration = Duration::from_millis(300);
const RETRY_WHEN_STOCK_IS_LATE: Duration = Duration::from_millis(500);

/// A claim that was made before.
pub struct EarlierClaim {
    pub campaign: CampaignNumber,
    pub shopper: ShopperId,
    pub request_id: RequestId,
    /// What it asks for; `None` if its caller does not say.
    pub content: Option<ClaimContent>,
}

/// What a claim asks for, beside what names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClaimContent {
    /// The tier wanted; any, if none.
    pub tier: Option<TierNumber>,
}

/// One claim as it comes in.
pub struct ClaimRequest {
    pub campaign: CampaignNumber,
    /// The revision that its caller has seen; 0 if it did not say.
    pub campaign_revision: u64,
    pub shopper: ShopperId,
    pub request_id: RequestId,
    /// The tier wanted; any, if none.
    pub tier: Option<TierNumber>,
    /// The story it belongs to.
    pub trace: TraceContext,
    /// When its caller stops waiting.
    pub deadline: Instant,
    /// Who of staff gives the coupon, and why; none if its shopper claims it.
    pub granted_by: Option<(Actor, ChangeReason)>,
}

/// A claim that was served.
pub struct Issued {
    pub coupon: StoredCoupon,
    /// Whether an earlier claim with this request id produced it.
    pub replayed: bool,
    /// What staff have said of it since, in the database; nothing of a new one.
    pub in_force: Option<CouponControl>,
}

/// What became of a claim.
pub struct Answered {
    /// The coupon, or the reason why not.
    pub outcome: Result<Issued, IssuanceError>,
    /// How long the claim waited for its commit, or would have waited if that kept it out; none if it did not come to the queue.
    pub queue_delay: Option<Duration>,
}

/// One lane of this replica.
#[derive(Clone)]
pub struct LaneHandle {
    /// Where its work is committed.
    pub queue: CommitQueue<LaneCommit>,
    pub stock: LaneStock,
}

#[derive(Clone)]
pub struct Claims {
    pub lanes: Arc<Vec<LaneHandle>>,
    pub lane_count: Lanes,
    pub campaigns: Campaigns,
    pub pool: PgPool,
    pub tracing: Tracing,
    pub metrics: IssuanceMetrics,
}

impl Claims {
    /// Issues a coupon, or answers with the one an earlier claim with this request id produced, whatever has become of the campaign since.
    pub async fn issue(&self, request: ClaimRequest) -> Answered {
        let mut span = self
            .tracing
            .start("issue coupon", SpanKind::Internal, request.trace);
        let trace = span.context();
        let mut queue_delay = None;
        let outcome = self.issue_traced(request, trace, &mut queue_delay).await;
        match &outcome {
            Ok(issued) => {
                self.metrics.issued(issued.replayed);
                span.attribute("tidegate.replayed", issued.replayed);
            }
            Err(error) => {
                self.metrics.refused(error);
                span.fail(error.to_string());
            }
        }
        Answered {
            outcome,
            queue_delay,
        }
    }

    async fn issue_traced(
        &self,
        request: ClaimRequest,
        trace: TraceContext,
        queue_delay: &mut Option<Duration>,
    ) -> Result<Issued, IssuanceError> {
        let wait_until = request.deadline.min(Instant::now() + MAX_WAIT_FOR_STOCK);
        let lane = self.lane(self.lane_count.of(&request.shopper))?;
        loop {
            // Read anew for each attempt: staff may have halted the campaign meanwhile.
            let revision = request.campaign_revision;
            let campaigns = &self.campaigns;
            let campaign = campaigns.get_by(request.campaign, revision, wait_until);
            let campaign = campaign.await?;
            // Quota could not be asked, or its answer was late itself: what staff have changed since
            // may serve this claim, so this copy neither issues nor refuses for good.
            let is_outdated = campaign.revision < revision;
            let is_known =
                |tier| campaign.tier(tier).is_some() && !campaign.had_other_tiers_at(revision);
            if !request.tier.is_none_or(is_known) {
                return Err(IssuanceError::CampaignNotKnownYet);
            }
            let phase = campaign.phase(Timestamp::now_utc());
            let may_issue = phase == Phase::Open && !is_outdated;
            let claim = claim_of(&request, &campaign, may_issue);
            let submitted = lane
                .queue
                .submit(Work::Claim(claim), trace, request.deadline)
                .await;
            let waited = match &submitted {
                Ok((_, waited)) => *waited,
                Err(_) => lane.queue.queue_delay(),
            };
            *queue_delay = (*queue_delay).max(Some(waited));
            match submitted?.0 {
                Done::Issued {
                    coupon,
                    replayed,
                    in_force,
                } if coupon.requested_tier == request.tier => {
                    return Ok(Issued {
                        in_force,
                        coupon: *coupon,
                        replayed,
                    });
                }
                Done::Issued { .. } => return Err(IssuanceError::RequestIdConflict),
                Done::OverLimit | Done::NoStock if is_outdated => {
                    return Err(IssuanceError::CampaignNotKnownYet);
                }
                Done::OverLimit => return Err(IssuanceError::ShopperLimitReached),
                Done::NoStock => {
                    check_open(&campaign, phase)?;
                    self.wait_for_stock(&lane.stock, &request, wait_until)
                        .await?
                }
                Done::Coupon(_) | Done::Released(_) | Done::Revoked(_) => {
                    return Err(IssuanceError::Internal);
                }
            }
        }
    }

    /// Returns if the claim is worth committing again.
    async fn wait_for_stock(
        &self,
        stock: &LaneStock,
        request: &ClaimRequest,
        until: Instant,
    ) -> Result<(), IssuanceError> {
        match stock.wait(request.campaign, request.tier, until).await {
            Outlook::InHand if Instant::now() < until => Ok(()),
            Outlook::InHand | Outlook::Coming => Err(IssuanceError::StockLate {
                retry_after: RETRY_WHEN_STOCK_IS_LATE,
            }),
            Outlook::Returning => Err(IssuanceError::StockReturning),
            Outlook::SoldOut => Err(IssuanceError::BudgetExhausted),
        }
    }

    /// Finds the coupon an earlier claim produced. It is no other claim's only because the request id is the same.
    pub async fn lookup(
        &self,
        earlier: &EarlierClaim,
    ) -> Result<Option<StoredCoupon>, IssuanceError> {
        let lane = self.lane_count.of(&earlier.shopper);
        let found = store::coupons::of_claim(
            &self.pool,
            lane,
            &earlier.shopper,
            earlier.campaign,
            &earlier.request_id,
        )
        .await?;
        let asked_for = |coupon: &StoredCoupon| {
            earlier
                .content
                .is_none_or(|content| content.tier == coupon.requested_tier)
        };
        match found {
            Some(coupon) if !asked_for(&coupon) => Err(IssuanceError::RequestIdConflict),
            found => Ok(found),
        }
    }

    pub fn lane(&self, lane: Lane) -> Result<&LaneHandle, IssuanceError> {
        self.lanes
            .get(usize::from(lane.get()))
            .ok_or(IssuanceError::OtherLanes {
                lanes: self.lane_count.get(),
            })
    }
}

/// Why a campaign issues nothing in this phase.
fn check_open(campaign: &Campaign, phase: Phase) -> Result<(), IssuanceError> {
    match phase {
        Phase::Open => Ok(()),
        Phase::NotOpen => Err(IssuanceError::CampaignNotOpen {
            opens_at: campaign.opens_at,
        }),
        Phase::QueueOnly => Err(IssuanceError::QueueOnly),
        Phase::Halted => Err(IssuanceError::IssuanceHalted {
            resume_at: campaign.control.resume_at,
        }),
        Phase::Closed => Err(IssuanceError::CampaignClosed),
    }
}

fn claim_of(request: &ClaimRequest, campaign: &Arc<Campaign>, may_issue: bool) -> Claim {
    let granted_by = request.granted_by.clone().map(|(actor, reason)| {
        Box::new(ByStaff {
            actor,
            reason,
            campaign: Arc::clone(campaign),
        })
    });
    Claim {
        shopper: request.shopper.clone(),
        campaign: request.campaign,
        request_id: request.request_id.clone(),
        requested_tier: request.tier,
        limit: campaign.limit_per_shopper.get(),
        validity: campaign.coupon_validity,
        may_issue,
        granted_by,
    }
}
