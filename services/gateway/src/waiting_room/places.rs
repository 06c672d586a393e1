use std::time::Duration;

use tidegate_rpc::refusal::Waiting;
use tidegate_types::{CampaignNumber, HeldCoupons, Reason, Timestamp};

use super::{Moment, WaitingRoom, queue::Outlook};
use crate::{
    domain::{
        campaign::{Campaign, Issuing},
        queue::{Cohort, MAX_WAITING, Stage, Turn, Wait, poll_after, poll_before_opening},
        ticket::{Holder, Ticket},
    },
    error::GatewayError,
};

/// Between two attempts of a ticket whose turn has come: this, and up to twice as long. So soon that hardly anybody is overdue by two seconds who was sent away once.
const POLL_WHEN_DUE: Duration = Duration::from_millis(500);

/// The turns of a cohort come no sooner than so long after it is over: quota waits until every gateway has told of it, and tells them.
const DUE_AFTER: Duration = Duration::from_millis(500);
/// Those who would ask before that ask within this time after it.
const FIRST_POLLS_WITHIN: Duration = Duration::from_secs(1);

/// A claim at the door.
#[derive(Clone, Copy)]
pub struct Visit<'a> {
    /// Of which campaign.
    pub campaign: &'a Campaign,
    /// Whose, and which.
    pub holder: Holder<'a>,
    /// The tier wanted; any, if none.
    pub tier: Option<tidegate_types::TierNumber>,
    /// When.
    pub now: Moment,
}

/// A place in the waiting room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// What its holder is to show.
    pub ticket: Ticket,
    /// The same, written.
    pub shown: String,
    /// Why it is not served now.
    pub why: Waiting,
    /// When to ask again.
    pub poll_after: Duration,
    /// What is true of the coupons that its holder has already.
    pub held: HeldCoupons,
}

impl WaitingRoom {
    /// A place for a claim that came before the opening.
    pub fn before_opening(
        &self,
        visit: Visit<'_>,
        ticket: Option<Ticket>,
        opens_at: Timestamp,
    ) -> Result<Place, GatewayError> {
        let cohort = Cohort::BEFORE_OPENING;
        let ticket = match ticket.filter(|ticket| ticket.turn.cohort == cohort) {
            Some(ticket) => ticket,
            None => self.join(visit, cohort)?,
        };
        let until_opening = Duration::try_from(opens_at - visit.now.utc).unwrap_or_default();
        let poll_after = poll_before_opening(until_opening, rand::random());
        Ok(self.place(visit, ticket, Waiting::ForOpening { opens_at }, poll_after))
    }

    /// A place behind those who came before: the one that the ticket holds, or a new one at the end. Refused where it would be in vain.
    pub fn queue_up(
        &self,
        visit: Visit<'_>,
        ticket: Option<Ticket>,
    ) -> Result<Place, GatewayError> {
        let queue = self.queue(visit.campaign.number);
        let is_new = ticket.is_none();
        let mut ticket = ticket.unwrap_or_else(|| {
            let cohort = queue.current_cohort(visit.now);
            self.0.office.new_ticket(visit.holder, cohort, visit.tier)
        });
        let outlook = queue.outlook(ticket.turn, is_new);
        let told = ticket
            .told_position
            .map_or(outlook.position, |told| told.min(outlook.position));
        let standing = queue.standing();
        // Only whoever is certainly behind the last coupon is sent away.
        let remaining = standing.word().remaining;
        if told > remaining.saturating_add(standing.uncertainty(ticket.turn)) {
            return Err(GatewayError::BehindStock {
                ticket_kept: !is_new,
            });
        }
        if is_new {
            ticket = self.join(visit, ticket.turn.cohort)?;
        }
        ticket.told_position = Some(told);
        let (why, poll_after) = outlook_of(visit.campaign, outlook, told, standing.word().pace);
        let poll_after = poll_after.max(first_poll_after(ticket.turn.cohort, visit.now.utc));
        Ok(self.place(visit, ticket, why, poll_after))
    }

    /// Whether a claim that has no place may be served at once although there is a queue: its shopper has not been told to wait, and the queue is short.
    pub fn may_fill_in(&self, visit: Visit<'_>) -> bool {
        let queue = self.queue(visit.campaign.number);
        let Some(watermark) = queue.watermark() else {
            return false;
        };
        let waits = |cohort| self.0.once.knows(joined_key(visit, cohort));
        let current = queue.current_cohort(visit.now);
        self.is_queue_short(visit) && !waits(watermark.cohort) && !waits(current)
    }

    /// Whether nobody of an earlier cohort waits but those of the last one, whose turns cannot have come yet.
    pub fn is_queue_short(&self, visit: Visit<'_>) -> bool {
        let queue = self.queue(visit.campaign.number);
        let current = queue.current_cohort(visit.now);
        queue.watermark().is_some_and(|watermark| {
            let first = watermark.cohort;
            let is_last = first.plus(Duration::from_secs(1)) >= current && watermark.draw == 0;
            first >= current || is_last && !until_due(first, visit.now.utc).is_zero()
        })
    }

    /// Those who came so much later than the holder of a turn may be served as well: where the queue is short, those who come now.
    pub fn overdue(&self, visit: Visit<'_>, turn: Turn) -> Duration {
        let queue = self.queue(visit.campaign.number);
        let served = if self.is_queue_short(visit) {
            queue.current_cohort(visit.now)
        } else {
            let watermark = queue.watermark();
            watermark.map_or(turn.cohort, |watermark| watermark.cohort)
        };
        Duration::from_secs(served.get().saturating_sub(turn.cohort.get()))
    }

    /// The ticket of a claim that has joined here and is made again without it.
    pub fn recall(&self, visit: Visit<'_>) -> Option<Ticket> {
        let (cohort, _) = self.0.seats.joined(visit.holder)?;
        Some(self.0.office.new_ticket(visit.holder, cohort, visit.tier))
    }

    /// Whether a claim with the same request id has joined here that is for another tier.
    pub fn waits_for_other_tier(&self, visit: Visit<'_>) -> bool {
        let joined = self.0.seats.joined(visit.holder);
        joined.is_some_and(|(_, tier)| tier != visit.tier)
    }

    /// What becomes of a ticket whose turn has come and whose claim was not served. Where that is no verdict on the claim quota hears of it, so that turns do not run out; and if its holder only has to come
    /// back, the turn is kept.
    pub fn turn_met(
        &self,
        visit: Visit<'_>,
        mut ticket: Ticket,
        met: GatewayError,
    ) -> Result<Place, GatewayError> {
        let why = match &met {
            GatewayError::Full => Some(Waiting::ForServing),
            GatewayError::Refused(refusal) => match refusal.reason {
                Reason::Overloaded | Reason::QueueFull => Some(Waiting::ForServing),
                Reason::StockReturning => Some(Waiting::ForStock),
                _ => return Err(met),
            },
            GatewayError::NoAnswer => None,
            _ => return Err(met),
        };
        let queue = self.queue(visit.campaign.number);
        queue.want(visit.now.instant);
        let why = why.ok_or(met)?;
        queue.kept();
        ticket.told_position = Some(1);
        let poll_after = POLL_WHEN_DUE.mul_f64(1.0 + rand::random::<f64>());
        Ok(self.place(visit, ticket, why, poll_after))
    }

    /// The claim of a ticket whose turn has come goes to issuance.
    pub fn serve(&self, visit: Visit<'_>, ticket: &Ticket) {
        let served = ("served", holder_key(visit.holder), ticket.turn.cohort);
        self.0.seats.give_up(visit.holder);
        if self.0.once.is_first(served) {
            self.queue(visit.campaign.number).served(ticket.turn.cohort);
            self.0.metrics.served.inc();
        }
    }

    /// Gives a place up. One whose turn has come needs no giving up, and one that was not given out here, or was given up before, is not counted: others would move up into places that are taken.
    pub fn leave(&self, visit: Visit<'_>, ticket: &Ticket) {
        let (queue, cohort) = (self.queue(visit.campaign.number), ticket.turn.cohort);
        let had_it = self.0.seats.give_up(visit.holder) == Some(cohort);
        if had_it && queue.stage(ticket.turn) == Stage::Waiting {
            queue.left(cohort);
            self.0.metrics.left.inc();
        }
    }

    /// The claim goes to issuance: from now on it may have produced a coupon, whatever is heard of it. True if it is not known to have gone there before.
    pub fn hand_over(&self, holder: Holder<'_>) -> bool {
        self.0.once.is_first(("handed over", holder_key(holder)))
    }

    /// The claim was handed over once, and certainly produced no coupon.
    pub fn take_back(&self, holder: Holder<'_>) {
        self.0.once.forget(("handed over", holder_key(holder)));
    }

    /// Whether this gateway remembers that the claim went to issuance.
    pub fn was_handed_over(&self, holder: Holder<'_>) -> bool {
        self.0.once.knows(("handed over", holder_key(holder)))
    }

    /// Issuance has said that the claim has no coupon. That counts until its campaign changes: with more stock it may get one elsewhere.
    pub fn looked_up(&self, visit: Visit<'_>) {
        self.0.once.is_first(look_up_key(visit));
    }

    /// Whether this gateway remembers that.
    pub fn was_looked_up(&self, visit: Visit<'_>) -> bool {
        self.0.once.knows(look_up_key(visit))
    }

    /// Issuance has answered a claim with a coupon.
    pub fn issued(&self, campaign: CampaignNumber) {
        self.queue(campaign).issued();
    }

    /// A claim with a ticket was refused.
    pub fn ended(&self, reason: &'static str) {
        self.0.metrics.ended(reason);
    }

    /// Hands a ticket out. A shopper who joins again within a cohort has the same draw and is counted once.
    fn join(&self, visit: Visit<'_>, cohort: Cohort) -> Result<Ticket, GatewayError> {
        let queue = self.queue(visit.campaign.number);
        let ticket = self.0.office.new_ticket(visit.holder, cohort, visit.tier);
        if queue.outlook(ticket.turn, true).waiting >= MAX_WAITING {
            return Err(GatewayError::QueueTooLong);
        }
        if self.0.once.is_first(joined_key(visit, cohort)) {
            queue.joined(cohort);
            self.0.metrics.joined.inc();
        }
        self.0.seats.take(visit.holder, visit.tier, cohort);
        Ok(ticket)
    }

    fn place(&self, visit: Visit<'_>, ticket: Ticket, why: Waiting, poll_after: Duration) -> Place {
        Place {
            shown: self.0.office.write(&ticket, visit.holder),
            ticket,
            why,
            poll_after,
            held: visit.campaign.held_coupons(visit.now.utc),
        }
    }
}

fn outlook_of(
    campaign: &Campaign,
    outlook: Outlook,
    told: u64,
    pace: Option<crate::domain::queue::Pace>,
) -> (Waiting, Duration) {
    let (position, chance) = (outlook.position, rand::random());
    if let Issuing::Held { resume_at } = campaign.issuing {
        let why = Waiting::ForStaff {
            position: told,
            resume_at,
        };
        return (why, poll_after(position, None, chance));
    }
    let poll_after = poll_after(position, pace, chance);
    let wait = pace.and_then(|pace| Wait::at(position, pace, poll_after));
    let why = Waiting::ForOthers {
        position: told,
        wait: wait.map(|wait| (wait.shortest, wait.longest)),
    };
    (why, poll_after)
}

/// How long it is at least until turns of the cohort come.
fn until_due(cohort: Cohort, now: Timestamp) -> Duration {
    let over = Timestamp::UNIX_EPOCH + Duration::from_secs(cohort.get() + 1);
    let until_due = Duration::try_from(over + DUE_AFTER - now).unwrap_or_default();
    // The cohort is that of quota's clock, which may be another.
    until_due.min(Duration::from_secs(1) + DUE_AFTER)
}

/// When to ask at the soonest: after the first turns of the cohort, and not all at one moment.
fn first_poll_after(cohort: Cohort, now: Timestamp) -> Duration {
    let until_due = until_due(cohort, now);
    if until_due.is_zero() {
        return Duration::ZERO;
    }
    until_due + FIRST_POLLS_WITHIN.mul_f64(rand::random())
}

fn joined_key<'a>(visit: Visit<'a>, cohort: Cohort) -> impl std::hash::Hash + use<'a> {
    (
        "joined",
        visit.holder.campaign,
        visit.holder.shopper,
        cohort,
    )
}

fn look_up_key<'a>(visit: Visit<'a>) -> impl std::hash::Hash + use<'a> {
    let revision = visit.campaign.revision;
    ("looked up", holder_key(visit.holder), revision)
}

fn holder_key<'a>(holder: Holder<'a>) -> impl std::hash::Hash + use<'a> {
    (holder.campaign, holder.shopper, holder.request_id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_told_to_ask_before_their_turn_may_come() {
        let cohort = Cohort::new(1_770_379_200).unwrap();
        let at = |milliseconds| {
            Timestamp::UNIX_EPOCH
                + Duration::from_secs(cohort.get())
                + Duration::from_millis(milliseconds)
        };
        let within = |milliseconds, least_ms, most_ms: u64| {
            let after = first_poll_after(cohort, at(milliseconds));
            let range = Duration::from_millis(least_ms)..Duration::from_millis(most_ms + 1);
            assert!(range.contains(&after), "{after:?}");
        };
        within(200, 1_300, 2_300);
        within(1_400, 100, 1_100);
        within(1_500, 0, 0);
        // A quota whose clock is far ahead is not waited for.
        assert!(first_poll_after(cohort, Timestamp::UNIX_EPOCH) <= Duration::from_millis(2_500));
        assert_eq!(
            first_poll_after(Cohort::BEFORE_OPENING, at(0)),
            Duration::ZERO
        );
    }
}
