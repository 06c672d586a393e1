//! One claim, sent in every way that a caller may.

use std::time::Duration;

use futures_util::future::join_all;
use rand::{Rng, rngs::StdRng};
use tidegate_client::{Gateway, claim_of};
use tidegate_proto::gateway::v1::{
    ClaimCouponRequest, IssuedClaim, QueuedClaim, claim_coupon_response::Outcome,
};
use tokio::time::{Instant, sleep, timeout};

use super::Scene;
use crate::{
    campaigns::TIERED,
    door::Failure,
    findings::Count,
    ledger::{ClaimKey, ToldCoupon},
};

/// Copies of one claim that are sent within this time overtake each other.
const SCATTER_MS: u64 = 40;
const COPIES: usize = 4;
/// However late a place in the queue is to be asked for again, a shopper does so after this: rounds
/// are short.
const POLL_LIMIT: Duration = Duration::from_secs(2);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    /// Once, and again as the answers say.
    Plain,
    /// Twice at one moment, over both gateways.
    Twice,
    /// Several copies at moments that differ by little, over both gateways in turn.
    Scattered,
    /// Once without listening for long, and then again.
    HangsUp,
}

impl Manner {
    pub fn draw(random: &mut StdRng) -> Self {
        match random.random_range(0..100) {
            0..50 => Self::Plain,
            50..70 => Self::Twice,
            70..85 => Self::Scattered,
            _ => Self::HangsUp,
        }
    }
}

/// The code of the coupon that a claim has in the end.
pub type ClaimEnd = Result<String, Failure>;

impl Scene {
    /// Claims in some manner, and notes what was asked and told.
    pub async fn claim(&self, claim: ClaimKey, manner: Manner, random: &mut StdRng) -> ClaimEnd {
        self.ledger.ask(claim);
        let gateway = random.random_range(0..self.door.gateways());
        if manner != Manner::Plain && manner != Manner::HangsUp {
            self.tally.counts().duplicated += 1;
        }
        match manner {
            Manner::Plain => self.claim_to_the_end(claim, gateway).await,
            Manner::Twice => {
                let both = tokio::join!(
                    self.claim_to_the_end(claim, 0),
                    self.claim_to_the_end(claim, 1)
                );
                best([both.0, both.1])
            }
            Manner::Scattered => {
                let copies = (0..COPIES).map(|copy| {
                    let moment = Duration::from_millis(random.random_range(0..SCATTER_MS));
                    async move {
                        sleep(moment).await;
                        self.claim_to_the_end(claim, gateway + copy).await
                    }
                });
                best(join_all(copies).await)
            }
            Manner::HangsUp => {
                let listens = Duration::from_millis(random.random_range(1..SCATTER_MS));
                let _ = timeout(listens, self.claim_to_the_end(claim, gateway)).await;
                self.claim_to_the_end(claim, gateway + 1).await
            }
        }
    }

    async fn claim_to_the_end(&self, claim: ClaimKey, gateway: usize) -> ClaimEnd {
        let mut message = self.claim_request(claim);
        loop {
            let claim_now = &message;
            let ask = |gateway: Gateway| async move { gateway.ask(claim_now.clone()).await };
            match self.call(gateway, ask).await {
                Ok((Outcome::Issued(issued), sent)) => {
                    return Ok(self.told_coupon(claim, issued, sent));
                }
                Ok((Outcome::Queued(queued), _)) => {
                    if self.gives_up() {
                        return self.no_answer(claim);
                    }
                    sleep(poll_after(&queued)).await;
                    message.ticket = queued.ticket;
                }
                Err(Failure::Refused(reason)) => {
                    let mut told = self.ledger.told();
                    if reason == "BUDGET_EXHAUSTED" {
                        told.exhausted(claim.campaign, &message.tier_id);
                        self.sold_out(claim.campaign);
                    }
                    told.never(claim, &reason);
                    return Err(Failure::Refused(reason));
                }
                Err(Failure::Undecided) => return self.no_answer(claim),
            }
        }
    }

    fn no_answer(&self, claim: ClaimKey) -> ClaimEnd {
        let example = format!("{claim:?} has no answer");
        self.found(claim.campaign, Count::LeftUndecided, example);
        Err(Failure::Undecided)
    }

    /// Notes a coupon that an answer names; its code.
    pub(super) fn told_coupon(
        &self,
        claim: ClaimKey,
        issued: IssuedClaim,
        sent: Instant,
    ) -> String {
        let coupon = issued.coupon.unwrap_or_default();
        let issued_at = coupon.issued_at.unwrap_or_default();
        let told = ToldCoupon {
            code: coupon.code.clone(),
            tier_id: coupon.tier_id,
            issued_at_ms: issued_at.seconds * 1_000 + i64::from(issued_at.nanos) / 1_000_000,
        };
        let mut counts = self.tally.counts();
        counts.replayed += u64::from(issued.replayed);
        counts.issued += u64::from(!issued.replayed);
        drop(counts);
        let fresh_since = (!issued.replayed).then_some(sent);
        let campaign_id = self.campaign_id(claim.campaign);
        self.ledger
            .told()
            .coupon(campaign_id, claim, told, fresh_since);
        coupon.code
    }

    /// The same message for every copy of a claim.
    pub fn claim_request(&self, claim: ClaimKey) -> ClaimCouponRequest {
        // Which tier is wanted has to follow from the claim, or a copy would be another claim.
        let tier_id = match (
            claim.campaign,
            (claim.shopper + u32::from(claim.request)) % 8,
        ) {
            (TIERED, 0 | 1) => "gold",
            (TIERED, 2) => "tea",
            _ => "",
        };
        let campaign_id = self.campaign_id(claim.campaign);
        ClaimCouponRequest {
            tier_id: tier_id.to_owned(),
            ..claim_of(campaign_id, &claim.shopper_id(), &claim.request_id())
        }
    }
}

/// When to ask for a place in the queue again; not later than rounds allow.
pub(super) fn poll_after(queued: &QueuedClaim) -> Duration {
    let told = tidegate_client::poll_after(queued);
    told.map_or(POLL_LIMIT, |pause| pause.min(POLL_LIMIT))
}

/// A coupon if any copy has brought one.
fn best(ends: impl IntoIterator<Item = ClaimEnd>) -> ClaimEnd {
    let mut best = Err(Failure::Undecided);
    for end in ends {
        match end {
            Ok(_) => return end,
            Err(Failure::Refused(_)) => best = end,
            Err(Failure::Undecided) => (),
        }
    }
    best
}
