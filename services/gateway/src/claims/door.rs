use std::time::Instant;

use tidegate_proto::issuance::v1::IssuedCoupon;
use tidegate_rpc::server::CallContext;
use tidegate_types::{Reason, TierId, TierNumber, Timestamp, Violations};

use super::{
    Claim, Claims, Outcome,
    ends::{at_the_door, end_of_waiting},
    final_word::{is_by_a_copy, still_holds},
};
use crate::{
    admission::{Asking, UnderWay},
    domain::{
        campaign::{Campaign, Course, Over, Tier},
        queue::Stage,
        ticket::Ticket,
    },
    error::GatewayError,
    waiting_room::{Moment, Visit},
};

/// Names of tiers that a refusal tells, in bytes; the others are counted.
const MAX_TIERS_TOLD_BYTES: usize = 128;

/// What a claim shows of its place in the queue.
#[derive(Debug, Clone, Copy)]
enum Shown {
    /// Nothing, or a place that is lost.
    Nothing,
    /// A place behind others.
    Waiting(Ticket),
    /// A turn that has come.
    Due(Ticket),
}

impl Shown {
    fn ticket(self) -> Option<Ticket> {
        match self {
            Self::Nothing => None,
            Self::Waiting(ticket) | Self::Due(ticket) => Some(ticket),
        }
    }

    fn is_waiting(self) -> bool {
        matches!(self, Self::Waiting(_))
    }
}

impl Claims {
    /// Decides what becomes of a claim now, and serves it if it may be served. What can be told from here is told without asking anybody, but nobody is refused for good by a copy.
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
        let told = self.campaigns.confirm(&claim.campaign, call.deadline);
        let told = told.await?;
        // What was found out of the shopper's coupons counts as long as no more were issued.
        let is_same = told.revision == campaign.revision && told.settled == campaign.settled;
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
        let visit = Visit {
            campaign,
            holder: claim.holder(campaign.number),
            tier: tier_number(campaign, claim.tier.as_ref())?,
            now: Moment::now(),
        };
        let is_other_claim = match ticket {
            Some(ticket) => ticket.tier != visit.tier,
            None => self.room.waits_for_other_tier(visit),
        };
        if is_other_claim {
            return Err(GatewayError::OtherTier);
        }
        let holder = visit.holder;
        if self
            .limit_reached
            .knows(holder.campaign, holder.shopper, holder.request_id)
        {
            return Err(GatewayError::ShopperLimitReached);
        }
        let outcome = self.decide_visit(visit, ticket, call).await;
        outcome.map_err(|refused| {
            if let Some(reason) = end_of_waiting(&refused).filter(|_| ticket.is_some()) {
                self.room.ended(reason.name());
            }
            GatewayError::OfCampaign {
                refused: Box::new(refused),
                held: campaign.held_coupons(visit.now.utc),
            }
        })
    }

    async fn decide_visit(
        &self,
        visit: Visit<'_>,
        ticket: Option<Ticket>,
        call: &CallContext,
    ) -> Result<Outcome, GatewayError> {
        let (campaign, now) = (visit.campaign, visit.now.utc);
        let course = campaign.course(visit.tier, now);
        if course == Course::Early {
            return self.early(visit, ticket, now);
        }
        if self.room.is_open() && campaign.may_queue(now) {
            self.room.knows_queue(campaign.number).await?;
        }
        let shown = self.shown(visit, ticket);
        let outcome = match course {
            Course::Over(over) => self.over(visit, shown, over, call).await,
            Course::Held => self.held(visit, shown, call).await,
            Course::Early | Course::Open => self.open(visit, shown, call).await,
        };
        outcome.map_err(|refused| at_the_door(refused, visit, shown.ticket()))
    }

    fn shown(&self, visit: Visit<'_>, ticket: Option<Ticket>) -> Shown {
        let ticket = ticket.or_else(|| self.room.recall(visit));
        let Some(ticket) = ticket.filter(|_| self.room.is_open()) else {
            return Shown::Nothing;
        };
        let queue = self.room.queue(visit.campaign.number);
        match queue.stage(ticket.turn) {
            Stage::Waiting => Shown::Waiting(ticket),
            Stage::Due => Shown::Due(ticket),
            Stage::Expired => Shown::Nothing,
        }
    }

    /// Before the opening there is a place in the waiting room, but not for ever.
    fn early(
        &self,
        visit: Visit<'_>,
        ticket: Option<Ticket>,
        now: Timestamp,
    ) -> Result<Outcome, GatewayError> {
        let opens_at = visit.campaign.opens_at;
        if !self.room.is_open() || !visit.campaign.takes_early_claims(now) {
            return Err(GatewayError::CampaignNotOpen { opens_at });
        }
        let place = self.room.before_opening(visit, ticket, opens_at)?;
        Ok(Outcome::Queued(place))
    }

    /// After the last coupon is gone, issuance is asked for those who may have one.
    async fn sold_out(
        &self,
        visit: Visit<'_>,
        shown: Shown,
        call: &CallContext,
    ) -> Result<Outcome, GatewayError> {
        // Budget may have been added meanwhile, and is not for those whose turn has not come.
        if shown.is_waiting() || self.holds_nothing(visit) {
            return self.end(visit, GatewayError::SoldOut, call).await;
        }
        let _place = self.read_places.enter(call)?;
        self.issue(visit, call).await.map(Outcome::Issued)
    }

    /// While no coupon is issued to it, a claim gets the one it produced before, or hears why there is none.
    async fn over(
        &self,
        visit: Visit<'_>,
        shown: Shown,
        over: Over,
        call: &CallContext,
    ) -> Result<Outcome, GatewayError> {
        let refused = match over {
            Over::SoldOut => return self.sold_out(visit, shown, call).await,
            // Others of the campaign are issued, so that no filter of holders can tell.
            Over::TierGone(tier) => {
                return self
                    .end_once(visit, GatewayError::TierGone { tier }, call)
                    .await;
            }
            Over::Halted { resume_at } => GatewayError::IssuanceHalted {
                resume_at,
                ticket_kept: shown.ticket().is_some(),
            },
            // It may be about to commit, and then it is served.
            Over::Closed if self.may_commit_yet(visit) => GatewayError::NoAnswer,
            Over::Closed => GatewayError::CampaignClosed,
        };
        self.end(visit, refused, call).await
    }

    /// While staff hold the queue, nobody is served and nobody loses a place.
    async fn held(
        &self,
        visit: Visit<'_>,
        shown: Shown,
        call: &CallContext,
    ) -> Result<Outcome, GatewayError> {
        if !shown.is_waiting() || self.room.was_handed_over(visit.holder) {
            // Issuance has nothing else to do now. If it cannot tell all the same, the queue keeps the claim until it can.
            if let Some(issued) = self.replay_if_known(visit, call).await? {
                return Ok(Outcome::Issued(issued));
            }
        }
        if !self.room.is_open() {
            return Err(GatewayError::IssuanceHeld);
        }
        self.wait(visit, shown, call).await
    }

    /// Serves a claim whose turn it is, any while there is no queue, and one that fills what turns leave of issuance while nobody waits from before.
    async fn open(
        &self,
        visit: Visit<'_>,
        shown: Shown,
        call: &CallContext,
    ) -> Result<Outcome, GatewayError> {
        if !self.room.is_open() {
            return self.serve(visit, call).await;
        }
        if let Shown::Due(ticket) = shown {
            return self.take_turn(visit, ticket, call).await;
        }
        let queue = self.room.queue(visit.campaign.number);
        let lane = self.lanes.of(visit.holder.shopper);
        match self.serve_at_once(visit, shown, call).await {
            None | Some(Err(GatewayError::Full)) => {}
            Some(Err(GatewayError::Refused(refusal))) if refusal.reason == Reason::QueueFull => {}
            Some(outcome) => return outcome,
        }
        if self.room.was_handed_over(visit.holder)
            && let Some(issued) = self.replay_if_known(visit, call).await?
        {
            return Ok(Outcome::Issued(issued));
        }
        // It may have stood in line for a while.
        let now = Instant::now();
        if !queue.is_queueing(now) || !self.admission.may_issue(lane, now) {
            queue.want(now);
        }
        self.wait(visit, shown, call).await
    }

    /// Serves a claim that has no turn, where that takes nobody's place. `None` if it was not tried.
    async fn serve_at_once(
        &self,
        visit: Visit<'_>,
        shown: Shown,
        call: &CallContext,
    ) -> Option<Result<Outcome, GatewayError>> {
        let now = visit.now.instant;
        if self.room.queue(visit.campaign.number).is_queueing(now) {
            if matches!(shown, Shown::Nothing) && self.room.may_fill_in(visit) {
                return Some(self.fill_in(visit, call).await);
            }
        } else if self
            .admission
            .may_issue(self.lanes.of(visit.holder.shopper), now)
        {
            return Some(self.serve(visit, call).await);
        }
        None
    }

    /// A place in the queue, unless it would be in vain.
    async fn wait(
        &self,
        visit: Visit<'_>,
        shown: Shown,
        call: &CallContext,
    ) -> Result<Outcome, GatewayError> {
        match self.room.queue_up(visit, shown.ticket()) {
            Err(behind @ GatewayError::BehindStock { .. }) => {
                self.end_once(visit, behind, call).await
            }
            place => place.map(Outcome::Queued),
        }
    }

    /// Serves a claim whose turn has come. Where there is no room for it within a moment its turn is kept, so that it only has to come back.
    async fn take_turn(
        &self,
        visit: Visit<'_>,
        ticket: Ticket,
        call: &CallContext,
    ) -> Result<Outcome, GatewayError> {
        match self.serve_turn(visit, ticket, call).await {
            Ok(issued) => Ok(Outcome::Issued(issued)),
            Err(met) => self.room.turn_met(visit, ticket, met).map(Outcome::Queued),
        }
    }

    async fn serve_turn(
        &self,
        visit: Visit<'_>,
        ticket: Ticket,
        call: &CallContext,
    ) -> Result<IssuedCoupon, GatewayError> {
        let _place = self.claim_places.enter(call)?;
        let asking = Asking::Turn {
            overdue: self.room.overdue(visit, ticket.turn),
            is_queue_short: self.room.is_queue_short(visit),
        };
        let under_way = self.find_room(visit, asking, call).await?;
        self.room.serve(visit, &ticket);
        self.issue_admitted(visit, under_way, call).await
    }

    /// Serves a new claim in a short queue, after all turns.
    async fn fill_in(&self, visit: Visit<'_>, call: &CallContext) -> Result<Outcome, GatewayError> {
        let _place = self.claim_places.enter(call)?;
        let under_way = self.find_room(visit, Asking::NewClaim, call).await?;
        // The same claim, sent twice, may have been told to wait meanwhile.
        if let Some(ticket) = self.room.recall(visit) {
            self.room.leave(visit, &ticket);
        }
        let issued = self.issue_admitted(visit, under_way, call).await;
        issued.map(Outcome::Issued)
    }

    async fn find_room(
        &self,
        visit: Visit<'_>,
        asking: Asking,
        call: &CallContext,
    ) -> Result<UnderWay, GatewayError> {
        let lane = self.lanes.of(visit.holder.shopper);
        let patience = call.deadline.saturating_duration_since(visit.now.instant) / 2;
        let found = self.admission.find_room(lane, asking, patience).await;
        found.ok_or(GatewayError::Full)
    }

    async fn serve(&self, visit: Visit<'_>, call: &CallContext) -> Result<Outcome, GatewayError> {
        let _place = self.claim_places.enter(call)?;
        self.issue(visit, call).await.map(Outcome::Issued)
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
        .ok_or_else(|| no_such_tier(&campaign.tiers))
}

fn no_such_tier(tiers: &[Tier]) -> GatewayError {
    let mut bad = Violations::default();
    let (mut names, mut room) = (String::new(), MAX_TIERS_TOLD_BYTES);
    for (place, tier) in tiers.iter().enumerate() {
        let name = tier.id.as_str();
        let Some(left) = room.checked_sub(name.len()) else {
            names.push_str(&format!(" and {} more", tiers.len() - place));
            break;
        };
        room = left;
        names.push_str(if place == 0 { "" } else { ", " });
        names.push_str(name);
    }
    bad.add("tier_id", format!("must be empty or one of: {names}"));
    GatewayError::InvalidFields(bad)
}
