use std::time::Instant;

use tidegate_proto::issuance::v1::IssuedCoupon;
use tidegate_rpc::server::CallContext;
use tidegate_types::{Reason, TierId, TierNumber};
use tokio::time::timeout_at;

use super::{
    Claim, Claims, Outcome,
    confirmation::{is_by_a_copy, is_of_terms, still_holds},
    ends::{at_the_door, end_of_waiting},
};
use crate::{
    domain::{
        campaign::{Campaign, Phase, Tier},
        claim_decision::{Decision, End, Situation, TicketState, decide},
        queue::Stage,
        ticket::Ticket,
        wait_queue::Rank,
    },
    error::GatewayError,
    permits::Permit,
    waiting_room::{ClaimAttempt, HeldStream, Moment, QueuePosition},
};

/// Names of tiers that a refusal tells, in bytes; the others are counted.
const MAX_TIERS_TOLD_BYTES: usize = 128;

impl Claims {
    /// Decides what becomes of a claim now, and serves it if it may be served. What can be told
    /// from here is told without asking anybody, but nobody is refused for good by a copy.
    pub(super) async fn decide(
        &self,
        claim: &Claim,
        ticket: Option<Ticket>,
        call: &CallContext,
    ) -> Result<Outcome, GatewayError> {
        let campaign = self.campaigns.get(&claim.campaign, call.deadline).await?;
        let refused = match self.decide_by(&campaign, claim, ticket, call).await {
            Err(refused) if is_by_a_copy(&refused) => refused,
            outcome => return outcome,
        };
        // On the heap, because hardly a claim gets here, and all would be as large.
        Box::pin(self.decide_by_owner(&campaign, refused, claim, ticket, call)).await
    }

    /// Decides again by what the owner says, where a copy would refuse for good.
    async fn decide_by_owner(
        &self,
        campaign: &Campaign,
        refused: GatewayError,
        claim: &Claim,
        ticket: Option<Ticket>,
        call: &CallContext,
    ) -> Result<Outcome, GatewayError> {
        let told = self.campaigns.confirm(&claim.campaign, call.deadline);
        let told = told.await?;
        // What was found out of the shopper's coupons counts as long as no more were issued. A
        // coupon that the shopper has, and an end, do not go away with more coupons.
        let is_same = told.revision == campaign.revision
            && (told.settled == campaign.settled || is_of_terms(&refused));
        if is_same && still_holds(&refused, &told, claim.tier.as_ref()) {
            return Err(refused);
        }
        match self.decide_by(&told, claim, ticket, call).await {
            Err(refused) if still_holds(&refused, &told, claim.tier.as_ref()) => Err(refused),
            // Issuance is behind as well; its copy is renewed by now.
            Err(refused) if is_by_a_copy(&refused) => Err(GatewayError::StockOnItsWay),
            outcome => outcome,
        }
    }

    async fn decide_by(
        &self,
        campaign: &Campaign,
        claim: &Claim,
        ticket: Option<Ticket>,
        call: &CallContext,
    ) -> Result<Outcome, GatewayError> {
        let attempt = ClaimAttempt {
            campaign,
            key: claim.key(campaign.number),
            tier: tier_number(campaign, claim.tier.as_ref())?,
            patience: claim.patience,
            now: Moment::now(),
        };
        let is_other_claim = match ticket {
            Some(ticket) => ticket.tier != attempt.tier,
            None => self.waiting_room.waits_for_other_tier(attempt),
        };
        if is_other_claim {
            return Err(GatewayError::OtherTier);
        }
        let (key, revision) = (attempt.key, campaign.revision);
        if self
            .limit_reached
            .knows((key.campaign, revision), key.shopper, key.request_id)
        {
            return Err(GatewayError::ShopperLimitReached);
        }
        if self.waiting_room.is_open() && campaign.may_queue(attempt.now.utc) {
            self.waiting_room.knows_queue(campaign.number).await?;
        }
        let ticket = ticket.or_else(|| self.waiting_room.recall(attempt));
        let outcome = self.act(attempt, ticket, call).await;
        outcome.map_err(|refused| {
            let refused = at_the_door(refused, attempt, ticket);
            if let Some(reason) = end_of_waiting(&refused).filter(|_| ticket.is_some()) {
                self.waiting_room.ended(reason.name());
            }
            GatewayError::OfCampaign {
                refused: Box::new(refused),
                held: campaign.held_coupons(attempt.now.utc),
            }
        })
    }

    async fn act(
        &self,
        attempt: ClaimAttempt<'_>,
        ticket: Option<Ticket>,
        call: &CallContext,
    ) -> Result<Outcome, GatewayError> {
        let state = self.ticket_state(attempt, ticket);
        let ticket = ticket.filter(|_| state != TicketState::NoTicket);
        let phase = attempt.campaign.phase(attempt.tier, attempt.now.utc);
        let decision = decide(&Situation {
            phase: &phase,
            takes_early_claims: attempt.campaign.takes_early_claims(attempt.now.utc),
            is_waiting_room_open: self.waiting_room.is_open(),
            ticket: state,
            may_be_served: !self.waiting_room.is_open() || self.waiting_room.may_be_served(attempt),
            was_handed_over: self.waiting_room.was_handed_over(attempt.key),
            may_commit_yet: self.may_commit_yet(attempt),
            has_no_coupon: self.has_no_coupon(attempt),
        });
        match decision {
            Decision::WaitForOpening => {
                let opens_at = attempt.campaign.opens_at;
                let position = self
                    .waiting_room
                    .before_opening(attempt, ticket, opens_at)?;
                Ok(self.told(attempt, position))
            }
            Decision::NotOpenYet => Err(GatewayError::CampaignNotOpen {
                opens_at: attempt.campaign.opens_at,
            }),
            Decision::Serve if !self.waiting_room.is_open() => {
                let _permit = self.claim_limit.acquire(call)?;
                self.issue(attempt, None, call).await.map(Outcome::Issued)
            }
            Decision::Serve => self.serve(attempt, call).await,
            Decision::ServeTurn => match ticket {
                Some(ticket) => self.serve_turn(attempt, ticket, call).await,
                None => self.serve(attempt, call).await,
            },
            Decision::Queue => self.wait(attempt, ticket, call).await,
            Decision::ReplayElseQueue => match self.replay_if_known(attempt, call).await? {
                Some(issued) => Ok(Outcome::Issued(issued)),
                None => self.wait(attempt, ticket, call).await,
            },
            Decision::ReplayElse(end) => self.end(attempt, refusal_of(end, ticket), call).await,
            Decision::ReplayOnceElse(end) => {
                self.end_once(attempt, refusal_of(end, ticket), call).await
            }
            Decision::AskIssuance => {
                let _permit = self.read_limit.acquire(call)?;
                self.issue(attempt, None, call).await.map(Outcome::Issued)
            }
        }
    }

    fn ticket_state(&self, attempt: ClaimAttempt<'_>, ticket: Option<Ticket>) -> TicketState {
        let Some(ticket) = ticket.filter(|_| self.waiting_room.is_open()) else {
            return TicketState::NoTicket;
        };
        match self.waiting_room.stage(attempt, &ticket) {
            Stage::Waiting => TicketState::Waiting,
            Stage::Due => {
                self.waiting_room.shown(attempt, &ticket);
                TicketState::Due
            }
            Stage::Expired => TicketState::NoTicket,
        }
    }

    /// Serves a new claim if there is a permit for it within a moment.
    async fn serve(
        &self,
        attempt: ClaimAttempt<'_>,
        call: &CallContext,
    ) -> Result<Outcome, GatewayError> {
        let served = self.issue_in_turn(attempt, Rank::Arrival, call).await;
        let is_full = match &served {
            Err(GatewayError::Full) => true,
            Err(GatewayError::Refused(refusal)) => refusal.reason == Reason::QueueFull,
            _ => false,
        };
        if !is_full {
            return served.map(Outcome::Issued);
        }
        // It may have waited for a while.
        let now = Moment::now();
        self.waiting_room
            .queue(attempt.campaign.number)
            .want(now.instant);
        self.wait(ClaimAttempt { now, ..attempt }, None, call).await
    }

    /// Serves a claim whose turn has come. Where there is no permit for it its turn is kept, so
    /// that it only has to come back.
    async fn serve_turn(
        &self,
        attempt: ClaimAttempt<'_>,
        ticket: Ticket,
        call: &CallContext,
    ) -> Result<Outcome, GatewayError> {
        let rank = Rank::Turn(ticket.turn);
        match self.issue_in_turn(attempt, rank, call).await {
            Ok(issued) => Ok(Outcome::Issued(issued)),
            Err(met) => self
                .waiting_room
                .turn_not_served(attempt, ticket, met, self.permits.turns_waiting())
                .map(Outcome::Queued),
        }
    }

    async fn issue_in_turn(
        &self,
        attempt: ClaimAttempt<'_>,
        rank: Rank,
        call: &CallContext,
    ) -> Result<IssuedCoupon, GatewayError> {
        let _permit = self.claim_limit.acquire(call)?;
        let lane = self.lanes.of(attempt.key.shopper);
        let patience = call.deadline.saturating_duration_since(Instant::now()) / 2;
        let permit: Option<Permit> = self.permits.acquire(lane, rank, patience).await;
        let permit = permit.ok_or(GatewayError::Full)?;
        self.waiting_room.serve(attempt);
        self.issue(attempt, Some(permit), call).await
    }

    /// A position in the queue. A call whose turn may come soon is held until it does.
    async fn wait(
        &self,
        attempt: ClaimAttempt<'_>,
        ticket: Option<Ticket>,
        call: &CallContext,
    ) -> Result<Outcome, GatewayError> {
        let position = self.waiting_room.queue_up(attempt, ticket)?;
        let held = self.waiting_room.hold(attempt, &position, call.deadline);
        if let Some((mut held, until)) = held
            && timeout_at(until.into(), held.called()).await.is_ok()
        {
            let now = Moment::now();
            let attempt = ClaimAttempt { now, ..attempt };
            return self.serve_turn(attempt, position.ticket, call).await;
        }
        Ok(self.told(attempt, position))
    }

    /// Holds the stream of a claim that waits until its turn comes.
    pub(super) fn hold_stream(
        &self,
        claim: &Claim,
        ticket: &Ticket,
        until: Instant,
    ) -> Option<HeldStream> {
        let campaign = self.campaigns.known(&claim.campaign)?;
        let attempt = waiting_attempt(&campaign, claim, ticket);
        self.waiting_room.hold_stream(attempt, ticket, until)
    }

    /// Whether a claim that waits may be served now, or be refused, as far as is known here.
    pub(super) fn may_end(&self, claim: &Claim, ticket: &Ticket) -> bool {
        let Some(campaign) = self.campaigns.known(&claim.campaign) else {
            return true;
        };
        let attempt = waiting_attempt(&campaign, claim, ticket);
        let phase = campaign.phase(attempt.tier, attempt.now.utc);
        matches!(phase, Phase::Over(_))
            || self.waiting_room.stage(attempt, ticket) != Stage::Waiting
    }

    fn told(&self, attempt: ClaimAttempt<'_>, position: QueuePosition) -> Outcome {
        self.waiting_room.promise(attempt, &position);
        Outcome::Queued(position)
    }
}

fn waiting_attempt<'a>(
    campaign: &'a Campaign,
    claim: &'a Claim,
    ticket: &Ticket,
) -> ClaimAttempt<'a> {
    ClaimAttempt {
        campaign,
        key: claim.key(campaign.number),
        tier: ticket.tier,
        patience: None,
        now: Moment::now(),
    }
}

fn refusal_of(end: End, ticket: Option<Ticket>) -> GatewayError {
    match end {
        End::SoldOut => GatewayError::SoldOut,
        End::TierGone(tier) => GatewayError::TierGone { tier },
        End::Halted(resume_at) => GatewayError::IssuanceHalted {
            resume_at,
            ticket_kept: ticket.is_some(),
        },
        End::Held => GatewayError::IssuanceHeld,
        End::Closed => GatewayError::CampaignClosed,
        End::NotKnownYet => GatewayError::NoAnswer,
    }
}

fn tier_number(
    campaign: &Campaign,
    tier: Option<&TierId>,
) -> Result<Option<TierNumber>, GatewayError> {
    let Some(tier) = tier else { return Ok(None) };
    let number = campaign.tier(tier);
    number
        .map(Some)
        .ok_or_else(|| unknown_tier(&campaign.tiers))
}

fn unknown_tier(tiers: &[Tier]) -> GatewayError {
    let (mut names, mut bytes_left) = (String::new(), MAX_TIERS_TOLD_BYTES);
    for (number, tier) in tiers.iter().enumerate() {
        let name = tier.id.as_str();
        let Some(left) = bytes_left.checked_sub(name.len()) else {
            names.push_str(&format!(" and {} more", tiers.len() - number));
            break;
        };
        bytes_left = left;
        names.push_str(if number == 0 { "" } else { ", " });
        names.push_str(name);
    }
    GatewayError::UnknownTier { known: names }
}
