use std::time::Duration;

use tidegate_proto::issuance::v1::IssuedCoupon;
use tidegate_rpc::server::CallContext;
use tidegate_types::Reason;

use super::{Claims, Outcome};
use crate::{domain::ticket::Ticket, error::GatewayError, waiting_room::ClaimAttempt};

/// The longest deadline, and as long again as a commit may take before it is looked up.
const COMMITS_WITHIN: Duration = Duration::from_secs(20);

impl Claims {
    /// Ends a claim, unless it has produced a coupon.
    pub(super) async fn end(
        &self,
        attempt: ClaimAttempt<'_>,
        refused: GatewayError,
        call: &CallContext,
    ) -> Result<Outcome, GatewayError> {
        let replay = self.replay(attempt, call);
        unless_issued(refused, self.has_no_coupon(attempt), replay).await
    }

    /// The same while others are served: issuance is asked once for each claim, so that a flood of
    /// them costs it little.
    pub(super) async fn end_once(
        &self,
        attempt: ClaimAttempt<'_>,
        refused: GatewayError,
        call: &CallContext,
    ) -> Result<Outcome, GatewayError> {
        let replay = self.replay_once(attempt, call);
        unless_issued(refused, false, replay).await
    }

    /// The coupon that a claim has produced, unless issuance has said before that there is none.
    pub(super) async fn replay_once(
        &self,
        attempt: ClaimAttempt<'_>,
        call: &CallContext,
    ) -> Result<Option<IssuedCoupon>, GatewayError> {
        if self.waiting_room.was_looked_up(attempt) {
            return Ok(None);
        }
        let found = self.replay(attempt, call).await?;
        if found.is_none() {
            self.waiting_room.looked_up(attempt);
        }
        Ok(found)
    }

    /// Whether it is certain that the shopper has no coupon of a campaign that issues no more.
    pub(super) fn has_no_coupon(&self, attempt: ClaimAttempt<'_>) -> bool {
        let campaign = (attempt.campaign.number, attempt.campaign.settled);
        attempt.campaign.issues_no_more()
            && self
                .coupon_holders
                .may_have_coupon(campaign, attempt.key.shopper)
                == Some(false)
    }

    /// Whether a claim that went to issuance before its campaign closed may still be on its way.
    pub(super) fn may_commit_yet(&self, attempt: ClaimAttempt<'_>) -> bool {
        attempt.now.utc < attempt.campaign.closes_at + COMMITS_WITHIN
            && self.waiting_room.was_handed_over(attempt.key)
    }
}

/// Refuses a claim for good only if it is certain that it has no coupon. A ticket proves nothing:
/// the answer with the coupon may have been lost, or given at another gateway. While issuance
/// cannot be asked the claim is to come again.
async fn unless_issued(
    refused: GatewayError,
    has_none: bool,
    replay: impl Future<Output = Result<Option<IssuedCoupon>, GatewayError>>,
) -> Result<Outcome, GatewayError> {
    if has_none {
        return Err(refused);
    }
    replay.await?.map(Outcome::Issued).ok_or(refused)
}

/// What a refusal by issuance, which knows nothing of tickets, is at the door.
pub(super) fn at_the_door(
    refused: GatewayError,
    attempt: ClaimAttempt<'_>,
    ticket: Option<Ticket>,
) -> GatewayError {
    let GatewayError::Refused(refusal) = &refused else {
        return refused;
    };
    match refusal.reason {
        Reason::IssuanceHalted => GatewayError::IssuanceHalted {
            resume_at: refusal.moment("resume_at"),
            ticket_kept: ticket.is_some(),
        },
        Reason::BudgetExhausted => match attempt.campaign.tier_beside_others(attempt.tier) {
            Some(tier) => GatewayError::TierGone {
                tier: tier.id.clone(),
            },
            None => refused,
        },
        _ => refused,
    }
}

/// Why a claim need not wait any longer, if that is what the refusal says.
pub(super) fn end_of_waiting(refused: &GatewayError) -> Option<Reason> {
    match refused {
        GatewayError::SoldOut | GatewayError::TierGone { .. } => Some(Reason::BudgetExhausted),
        GatewayError::CampaignClosed => Some(Reason::CampaignClosed),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use tidegate_types::{Cohort, Refusal, RequestId, ShopperId, TierNumber};

    use super::*;
    use crate::{
        domain::{
            campaign::Campaign,
            ticket::{ClaimKey, TicketOffice, sample_keys},
        },
        waiting_room::Moment,
    };

    async fn ended(
        has_none: bool,
        replay: Result<Option<IssuedCoupon>, GatewayError>,
    ) -> Result<Outcome, GatewayError> {
        unless_issued(GatewayError::SoldOut, has_none, async { replay }).await
    }

    #[tokio::test]
    async fn nobody_who_may_have_the_coupon_is_refused_for_good() {
        let coupon = || Ok(Some(IssuedCoupon::default()));
        assert!(matches!(
            ended(false, coupon()).await,
            Ok(Outcome::Issued(_))
        ));
        assert!(matches!(
            ended(false, Ok(None)).await,
            Err(GatewayError::SoldOut)
        ));
        for retryable in [GatewayError::Full, GatewayError::NoAnswer] {
            let refused = ended(false, Err(retryable)).await;
            assert!(matches!(
                refused,
                Err(GatewayError::Full | GatewayError::NoAnswer)
            ));
        }
    }

    #[tokio::test]
    async fn who_certainly_has_none_is_refused_without_asking() {
        let asked = async { panic!("issuance was asked") };
        let refused = unless_issued(GatewayError::SoldOut, true, asked).await;
        assert!(matches!(refused, Err(GatewayError::SoldOut)));
    }

    /// What becomes of a refusal by issuance of a claim for the first of two tiers.
    fn told(reason: Reason, tier: Option<u8>, other_is_gone: bool) -> GatewayError {
        let mut campaign = Campaign::sample();
        campaign.tiers[1].is_gone = other_is_gone;
        let key = ClaimKey {
            campaign: campaign.number,
            shopper: &ShopperId::parse("ann").unwrap(),
            request_id: &RequestId::parse("r-1").unwrap(),
        };
        let attempt = ClaimAttempt {
            campaign: &campaign,
            key,
            patience: None,
            tier: tier.and_then(|tier| TierNumber::new(tier).ok()),
            now: Moment::now(),
        };
        let office = TicketOffice::new(sample_keys());
        let ticket = office.new_ticket(key, Cohort::BEFORE_OPENING, attempt.tier);
        at_the_door(Refusal::never(reason).into(), attempt, Some(ticket))
    }

    #[test]
    fn the_end_of_one_tier_is_not_told_as_the_end_of_all() {
        let gone = told(Reason::BudgetExhausted, Some(0), false);
        assert!(matches!(gone, GatewayError::TierGone { tier } if tier.as_str() == "large"));
        for (tier, other_is_gone) in [(None, false), (Some(0), true)] {
            let all = told(Reason::BudgetExhausted, tier, other_is_gone);
            assert!(matches!(all, GatewayError::Refused(_)), "{all}");
        }
    }

    #[test]
    fn a_halt_that_issuance_hears_of_first_keeps_the_ticket_as_well() {
        let halted = told(Reason::IssuanceHalted, None, false);
        assert!(matches!(
            halted,
            GatewayError::IssuanceHalted {
                ticket_kept: true,
                ..
            }
        ));
    }
}
