use std::{
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

use tidegate_rpc::refusal::Waiting;
use tidegate_types::{Cohort, HeldCoupons, Reason, TierNumber, Timestamp, Turn};

use super::{HeldCall, Moment, Queue, WaitingRoom, recent_claims::Held};
use crate::{
    domain::{
        campaign::{Campaign, Issuing},
        queue::{Asked, HELD_FOR, MAX_WAITING, Pace, Stage, Wait, ask_after_opening, latest_ask},
        ticket::{ClaimKey, Ticket},
        tuning::{MOMENT, SOONEST_ASK},
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

    /// Holds a call until its turn comes, if it may be held, and tells how long at most.
    pub fn hold(
        &self,
        attempt: ClaimAttempt<'_>,
        position: &QueuePosition,
        deadline: Instant,
    ) -> Option<(HeldCall, Instant)> {
        let (now, turn) = (attempt.now.instant, position.ticket.turn);
        // The other half is for serving it, and for answers that are late where processors are
        // busy.
        let held_for = (deadline.saturating_duration_since(now) / 2).min(HELD_FOR);
        let until = now + held_for;
        let is_worth_it = position.may_be_held && held_for >= SOONEST_ASK;
        // Of one shopper one call is held.
        let is_held = is_worth_it && self.may_promise(attempt, turn, until, now).is_some();
        is_held.then(|| (self.queue(attempt.campaign.number).hold(turn), until))
    }

    /// Holds a stream until its turn comes: its shopper is there, and need not come back.
    pub fn hold_stream(
        &self,
        attempt: ClaimAttempt<'_>,
        ticket: &Ticket,
        until: Instant,
    ) -> Option<HeldStream> {
        let joined = (attempt.tier, ticket.turn.cohort);
        let recent = &self.0.recent;
        let held = recent.hold(attempt.key, joined, until, attempt.now.instant)?;
        let queue = self.queue(attempt.campaign.number);
        if let Some(back_at) = held.promised {
            queue.take_back(ticket.turn, back_at);
        }
        Some(HeldStream {
            call: queue.hold(ticket.turn),
            room: self.clone(),
            held,
        })
    }

    /// The shopper is told its position and when to ask again, which counts as a promise to do so.
    pub fn promise(&self, attempt: ClaimAttempt<'_>, position: &QueuePosition) {
        let now = Instant::now();
        let back_at = now + position.ask_after;
        if let Some(back_at) = self.may_promise(attempt, position.ticket.turn, back_at, now) {
            let queue = self.queue(attempt.campaign.number);
            queue.promise(position.ticket.turn, back_at);
        }
    }

    /// When its shopper is to be back, if a promise is the only one that is still to be kept here.
    fn may_promise(
        &self,
        attempt: ClaimAttempt<'_>,
        turn: Turn,
        back_at: Instant,
        now: Instant,
    ) -> Option<Instant> {
        let joined = (attempt.tier, turn.cohort);
        self.0.recent.promise(attempt.key, joined, back_at, now)
    }

    pub fn stage(&self, attempt: ClaimAttempt<'_>, ticket: &Ticket) -> Stage {
        let queue = self.queue(attempt.campaign.number);
        queue.stage(ticket.turn, attempt.now.instant)
    }

    /// A ticket whose turn has come is shown by a call that was not held. Nobody is told to come
    /// back sooner than [`SOONEST_ASK`], so whoever does is not counted twice.
    pub fn shown(&self, attempt: ClaimAttempt<'_>, ticket: &Ticket) {
        let since_1970 = attempt.now.utc.unix_timestamp_nanos();
        let turn = (
            "shown",
            attempt.key.campaign,
            attempt.key.shopper,
            ticket.turn.cohort,
            since_1970 / SOONEST_ASK.as_nanos().cast_signed(),
        );
        if self.0.recent.is_first(turn) {
            self.queue(attempt.campaign.number).promise_kept();
        }
    }

    /// What becomes of a ticket whose turn has come and whose claim was not served. Where that is
    /// no verdict on the claim the turn is kept, so that its holder only has to come back.
    pub fn turn_met(
        &self,
        attempt: ClaimAttempt<'_>,
        mut ticket: Ticket,
        met: GatewayError,
        at_door: usize,
    ) -> Result<QueuePosition, GatewayError> {
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
        self.queue(attempt.campaign.number).want(Instant::now());
        let why = why.ok_or(met)?;
        ticket.told_position = Some(1);
        // It is away for a moment at most, and half of what those before it take: meanwhile later
        // turns may find the permit.
        let asked = Asked {
            position: at_door as u64,
            able_per_second: self.able_per_second(),
            fastest_per_second: 0.0,
            latest: MOMENT,
        };
        let chance = rand::random::<f64>();
        let ask_after = asked
            .ask_after(chance)
            .max(SOONEST_ASK.mul_f64(1.0 + chance));
        let position = self.position(attempt, ticket, why, ask_after);
        // Quota calls no other turn for one that only has to come back.
        self.promise(attempt, &position);
        Ok(position)
    }

    /// A claim that may have had a position goes to issuance.
    pub fn serve(&self, attempt: ClaimAttempt<'_>) {
        if self.0.recent.give_up(attempt.key).is_some() {
            self.0.metrics.served.inc();
        }
    }

    /// Gives a position up; it counts no longer once its holder does not come back.
    pub fn leave(&self, attempt: ClaimAttempt<'_>) {
        if self.0.recent.give_up(attempt.key).is_some() {
            self.0.metrics.left.inc();
        }
    }

    /// The claim goes to issuance: from now on it may have produced a coupon, whatever is heard of
    /// it. True if it is not known to have gone there before.
    pub fn hand_over(&self, key: ClaimKey<'_>) -> bool {
        self.0.recent.is_first(("handed over", key_of(key)))
    }

    /// The claim was handed over once, and certainly produced no coupon.
    pub fn take_back(&self, key: ClaimKey<'_>) {
        self.0.recent.forget(("handed over", key_of(key)));
    }

    /// Whether this gateway remembers that the claim went to issuance.
    pub fn was_handed_over(&self, key: ClaimKey<'_>) -> bool {
        self.0.recent.knows(("handed over", key_of(key)))
    }

    /// Issuance has said that the claim has no coupon. That counts until its campaign changes: with
    /// more stock it may get one elsewhere.
    pub fn looked_up(&self, attempt: ClaimAttempt<'_>) {
        self.0.recent.is_first(look_up_key(attempt));
    }

    /// Whether this gateway remembers that.
    pub fn was_looked_up(&self, attempt: ClaimAttempt<'_>) -> bool {
        self.0.recent.knows(look_up_key(attempt))
    }

    pub fn ended(&self, reason: &'static str) {
        self.0.metrics.ended(reason);
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

    fn position(
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

/// A stream that is held until its turn comes, or until this is dropped.
pub struct HeldStream {
    call: HeldCall,
    room: WaitingRoom,
    held: Held,
}

impl HeldStream {
    pub async fn called(&mut self) {
        self.call.called().await;
    }
}

impl Drop for HeldStream {
    fn drop(&mut self) {
        self.room.0.recent.let_go(&self.held);
    }
}

fn look_up_key<'a>(attempt: ClaimAttempt<'a>) -> impl std::hash::Hash + use<'a> {
    let revision = attempt.campaign.revision;
    ("looked up", key_of(attempt.key), revision)
}

fn key_of<'a>(key: ClaimKey<'a>) -> impl std::hash::Hash + use<'a> {
    (key.campaign, key.shopper, key.request_id)
}
