//! Calls and streams that are held until their turns come, and promises to come back.

use std::time::Instant;

use tidegate_types::Turn;

use super::{ClaimAttempt, HeldCall, QueuePosition, WaitingRoom, recent_claims::Held};
use crate::domain::{queue::HELD_FOR, ticket::Ticket, tuning::SOONEST_ASK};

impl WaitingRoom {
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
