use std::{
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

use tidegate_rpc::refusal::Waiting;
use tidegate_types::{Cohort, HeldCoupons, TierNumber, Timestamp};

use super::{Moment, Queue, WaitingRoom};
use crate::{
    domain::{
        campaign::{Campaign, Issuing},
        queue::{Asked, MAX_WAITING, Pace, Stage, Wait, ask_after_opening, latest_ask},
        ticket::{ClaimKey, Ticket},
    },
    error::GatewayError,
};

/// Before the opening those who wait for it ask at least so often.
const MAX_ASK_BEFORE_OPENING: Duration = Duration::from_secs(30);

#[derive(Clone, Copy)]
pub struct ClaimAttempt<'a> {
    pub campaign: &'a Campaign,
    pub key: ClaimKey<'a>,
    /// The tier wanted; any, if none.
    pub tier: Option<TierNumber>,
    /// How long its shopper waits; for ever, if none.
    pub patience: Option<Duration>,
    pub now: Moment,
}

/// A position in the waiting room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueuePosition {
    /// What is to be shown for it.
    pub ticket: Ticket,
    pub shown: String,
    /// Why the claim is not served now.
    pub why: Waiting,
    pub ask_after: Duration,
    /// Whether the turn may come so soon that the call is better held.
    pub may_be_held: bool,
    /// What is true of the coupons that the shopper has already.
    pub held_coupons: HeldCoupons,
}

impl WaitingRoom {
    /// A position for a claim that came before the opening.
    pub fn before_opening(
        &self,
        attempt: ClaimAttempt<'_>,
        ticket: Option<Ticket>,
        opens_at: Timestamp,
    ) -> Result<QueuePosition, GatewayError> {
        let cohort = Cohort::BEFORE_OPENING;
        let ticket = match ticket.filter(|ticket| ticket.turn.cohort == cohort) {
            Some(ticket) => ticket,
            None => {
                let ticket = self.0.office.new_ticket(attempt.key, cohort, attempt.tier);
                self.join(attempt, &ticket)?;
                ticket
            }
        };
        let until_opening = Duration::try_from(opens_at - attempt.now.utc).unwrap_or_default();
        let waiting = self.queue(attempt.campaign.number).promises();
        let after_it = ask_after_opening(ticket.turn, waiting, self.0.most_asks_per_second);
        let at_most = MAX_ASK_BEFORE_OPENING.mul_f64(1.0 + 0.25 * rand::random::<f64>());
        let ask_after = (until_opening + after_it).min(at_most);
        Ok(self.position(attempt, ticket, Waiting::ForOpening { opens_at }, ask_after))
    }

    /// The ticket of a claim that shows none: that of the position which its shopper is known to
    /// have.
    pub fn recall(&self, attempt: ClaimAttempt<'_>) -> Option<Ticket> {
        let recalled = self.0.recent.recall(attempt.key)?;
        Some(
            self.0
                .office
                .new_ticket(attempt.key, recalled.cohort, attempt.tier),
        )
    }

    /// Whether the turn of those who join now has come, so that a claim without a ticket takes
    /// nobody's turn.
    pub fn may_be_served(&self, attempt: ClaimAttempt<'_>) -> bool {
        let (queue, now) = (self.queue(attempt.campaign.number), attempt.now);
        if !queue.is_queueing(now.instant) {
            return true;
        }
        let cohort = queue.current_cohort(now);
        let ticket = self.0.office.new_ticket(attempt.key, cohort, attempt.tier);
        queue.stage(ticket.turn, now.instant) == Stage::Due
    }

    /// A ticket for one who joins now, behind all whose turns have come.
    fn next_ticket(&self, attempt: ClaimAttempt<'_>) -> Ticket {
        let queue = self.queue(attempt.campaign.number);
        let cohort = queue.current_cohort(attempt.now);
        let cohort = cohort.max(queue.snapshot().watermark.cohort);
        self.0.office.new_ticket(attempt.key, cohort, attempt.tier)
    }

    /// Whether a claim with the same request id waits that is for another tier.
    pub fn waits_for_other_tier(&self, attempt: ClaimAttempt<'_>) -> bool {
        let recalled = self.0.recent.recall(attempt.key);
        recalled.is_some_and(|of| of.is_same_request && of.tier != attempt.tier)
    }

    /// A position behind those who came before: the one that the ticket holds, or a new one at the
    /// end. Whoever would not wait as long has none.
    pub fn queue_up(
        &self,
        attempt: ClaimAttempt<'_>,
        ticket: Option<Ticket>,
    ) -> Result<QueuePosition, GatewayError> {
        let queue = self.queue(attempt.campaign.number);
        let is_new = ticket.is_none();
        let mut ticket = ticket.unwrap_or_else(|| self.next_ticket(attempt));
        let snapshot = queue.snapshot();
        let asked = Asked {
            position: snapshot.position(ticket.turn, attempt.now.instant),
            able_per_second: snapshot.able_per_second.max(self.able_per_second()),
            fastest_per_second: snapshot.pace.map_or(0.0, Pace::fastest),
            latest: latest_ask(queue.promises(), self.0.most_asks_per_second),
        };
        let told = ticket
            .told_position
            .map_or(asked.position, |told| told.min(asked.position));
        ticket.told_position = Some(told);
        let last = snapshot
            .remaining
            .saturating_add(snapshot.uncertainty(ticket.turn));
        // Only whoever is certainly behind the last coupon is told so.
        let waits_for = match attempt.campaign.issuing {
            Issuing::Held { resume_at } => Some(Waiting::ForStaff {
                position: told,
                resume_at,
            }),
            _ if told > last => Some(Waiting::BehindStock { position: told }),
            _ => None,
        };
        let ask_after = self.ask_after(&queue, asked, waits_for.is_some(), attempt.now.instant);
        let why = waits_for.unwrap_or_else(|| {
            let wait = snapshot
                .pace
                .and_then(|pace| Wait::at(told, pace, ask_after));
            Waiting::ForOthers {
                position: told,
                wait: wait.map(|wait| (wait.shortest, wait.longest)),
            }
        });
        if let Waiting::ForOthers { wait, .. } = why {
            // Nobody is served before being told to ask, or sooner than all ahead can be.
            let soonest = asked.soon().max(ask_after);
            let shortest = wait.map_or(soonest, |(shortest, _)| shortest.max(soonest));
            if attempt.patience.is_some_and(|patience| shortest > patience) {
                self.leave(attempt);
                return Err(GatewayError::WaitTooLong { shortest });
            }
        }
        if is_new {
            self.join(attempt, &ticket)?;
        }
        let may_be_held = asked.may_be_held() && matches!(why, Waiting::ForOthers { .. });
        Ok(QueuePosition {
            may_be_held,
            ..self.position(attempt, ticket, why, ask_after)
        })
    }

    /// When to ask again. Those for whom nothing can come soon ask seldom.
    fn ask_after(&self, queue: &Queue, asked: Asked, is_stuck: bool, now: Instant) -> Duration {
        let chance = rand::random::<f64>();
        let earliest = if is_stuck {
            asked.latest.mul_f64(0.8 + 0.2 * chance)
        } else {
            asked.ask_after(chance)
        };
        let budget = self.0.most_asks_per_second;
        let most = asked.most_asks_per_second(budget, self.able_per_second());
        queue.free_from(now + earliest, most) - now
    }

    /// What this gateway's windows would allow each second.
    pub(super) fn able_per_second(&self) -> f64 {
        f64::from_bits(self.0.able_per_second.load(Ordering::Relaxed))
    }

    fn join(&self, attempt: ClaimAttempt<'_>, ticket: &Ticket) -> Result<(), GatewayError> {
        let queue = self.queue(attempt.campaign.number);
        if queue.snapshot().all_waiting() >= MAX_WAITING {
            return Err(GatewayError::QueueTooLong);
        }
        let is_new = self.0.recent.recall(attempt.key).is_none();
        self.0
            .recent
            .join(attempt.key, attempt.tier, ticket.turn.cohort);
        if is_new {
            self.0.metrics.joined.inc();
        }
        Ok(())
    }

    pub(super) fn position(
        &self,
        attempt: ClaimAttempt<'_>,
        ticket: Ticket,
        why: Waiting,
        ask_after: Duration,
    ) -> QueuePosition {
        QueuePosition {
            shown: self.0.office.write(&ticket, attempt.key),
            ticket,
            why,
            ask_after,
            may_be_held: false,
            held_coupons: attempt.campaign.held_coupons(attempt.now.utc),
        }
    }
}
