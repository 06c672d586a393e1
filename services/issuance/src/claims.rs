//! Claiming: from a claim's fields to a durable coupon or the reason why not.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tidegate_telemetry::{fail, note};
use tidegate_types::{
    Actor, CampaignNumber, ChangeReason, RequestId, ShopperId, TierNumber, Timestamp,
};
use tracing::instrument;

use crate::{
    domain::{
        campaign::{Campaign, Phase},
        claim::{ByStaff, Claim},
        coupon::Coupon,
        lease_book::Outlook,
    },
    error::{IssuanceError, Result},
    lane_work::{Claimed, Issued, Work},
    leases::LaneStock,
    replica::Replica,
    wallet::with_code,
};

/// How long a claim waits for stock that was asked for. Bounded well below the callers' deadlines, because the claims it came with wait for it.
const MAX_WAIT_FOR_STOCK: Duration = Duration::from_millis(300);
const RETRY_WHEN_STOCK_IS_LATE: Duration = Duration::from_millis(500);

pub struct ClaimRequest {
    pub campaign: CampaignNumber,
    /// The revision that its caller has seen; 0 if it did not say.
    pub campaign_revision: u64,
    pub shopper: ShopperId,
    pub request_id: RequestId,
    /// The tier wanted; any, if none.
    pub tier: Option<TierNumber>,
    pub deadline: Instant,
    /// Who of staff gives the coupon, and why; none if its shopper claims it.
    pub granted_by: Option<(Actor, ChangeReason)>,
}

/// What became of a claim, or the reason why nothing did. And how long it waited for its commit, or
/// would have waited if that kept it out; none if it did not come to the queue.
pub type Answered<T> = (Result<T>, Option<Duration>);

impl Replica {
    /// What [`Replica::issue`] does, with the coupon as its shopper sees it; true if it was replayed.
    pub async fn claim(&self, request: ClaimRequest) -> Answered<(Coupon, bool)> {
        let shopper = request.shopper.clone();
        let (outcome, queue_delay) = self.issue(request).await;
        let shown = outcome.and_then(|issued| self.hand_out(issued, &shopper));
        (shown, queue_delay)
    }

    /// The coupon for the shopper who is to get the code, and whether it was replayed. A claim whose
    /// code cannot be told is answered again later.
    pub fn hand_out(&self, issued: Issued, shopper: &ShopperId) -> Result<(Coupon, bool)> {
        let in_force = issued.in_force.as_ref();
        let coupon = self.present(issued.coupon, shopper, in_force);
        let coupon = coupon.and_then(with_code);
        let coupon = coupon.inspect_err(|error| self.metrics.refused(error))?;
        Ok((coupon, issued.replayed))
    }

    /// Issues a coupon, or answers with the one an earlier claim with this request id produced, whatever has become of the campaign since.
    #[instrument(name = "issue coupon", skip_all)]
    pub async fn issue(&self, request: ClaimRequest) -> Answered<Issued> {
        let mut queue_delay = None;
        let outcome = self.try_issue(request, &mut queue_delay).await;
        let outcome = outcome.inspect_err(|error| self.refused(error));
        if let Ok(issued) = &outcome {
            self.metrics.issued(issued.replayed);
            note("tidegate.replayed", issued.replayed);
        }
        (outcome, queue_delay)
    }

    /// Counts a refusal, and marks its trace.
    pub(crate) fn refused(&self, error: &IssuanceError) {
        self.metrics.refused(error);
        fail(error);
    }

    async fn try_issue(
        &self,
        request: ClaimRequest,
        queue_delay: &mut Option<Duration>,
    ) -> Result<Issued> {
        let wait_until = request.deadline.min(Instant::now() + MAX_WAIT_FOR_STOCK);
        let lane = self.lanes.of(&request.shopper);
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
            let queue = &self.queues[lane];
            let work = |reply| Work::Claim(claim, reply);
            let submitted = queue.submit(work, request.deadline).await;
            let waited = match &submitted {
                Ok((_, waited)) => *waited,
                Err(_) => queue.queue_delay(),
            };
            *queue_delay = (*queue_delay).max(Some(waited));
            match submitted?.0 {
                Claimed::Issued(issued) if issued.coupon.requested_tier == request.tier => {
                    return Ok(*issued);
                }
                Claimed::Issued(_) => return Err(IssuanceError::RequestIdConflict),
                Claimed::OverLimit | Claimed::NoStock if is_outdated => {
                    return Err(IssuanceError::CampaignNotKnownYet);
                }
                Claimed::OverLimit => return Err(IssuanceError::ShopperLimitReached),
                Claimed::NoStock => {
                    check_open(&campaign, phase)?;
                    wait_for_stock(&self.stocks[lane], &request, wait_until).await?
                }
            }
        }
    }
}

/// Returns if the claim is worth committing again.
async fn wait_for_stock(stock: &LaneStock, request: &ClaimRequest, until: Instant) -> Result<()> {
    match stock.wait(request.campaign, request.tier, until).await {
        Outlook::InHand if Instant::now() < until => Ok(()),
        Outlook::InHand | Outlook::Coming | Outlook::Withheld => Err(IssuanceError::StockLate {
            retry_after: RETRY_WHEN_STOCK_IS_LATE,
        }),
        Outlook::Returning => Err(IssuanceError::StockReturning),
        Outlook::SoldOut => Err(IssuanceError::BudgetExhausted),
    }
}

/// Why a campaign issues nothing in this phase.
fn check_open(campaign: &Campaign, phase: Phase) -> Result<()> {
    match phase {
        Phase::Open => Ok(()),
        Phase::NotOpen => Err(IssuanceError::CampaignNotOpen {
            opens_at: campaign.opens_at,
        }),
        Phase::QueueOnly => Err(IssuanceError::QueueOnly),
        Phase::Halted => Err(IssuanceError::IssuanceHalted {
            resume_at: campaign.resume_at,
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
