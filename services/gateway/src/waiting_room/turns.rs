//! What becomes of those whose turns have come.

use std::time::Instant;

use tidegate_rpc::refusal::Waiting;
use tidegate_types::Reason;

use super::{ClaimAttempt, QueuePosition, WaitingRoom};
use crate::{
    domain::{
        queue::{Asked, Stage},
        ticket::Ticket,
        tuning::{MOMENT, SOONEST_ASK},
    },
    error::GatewayError,
};

impl WaitingRoom {
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
    pub fn turn_not_served(
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

    pub fn ended(&self, reason: &'static str) {
        self.0.metrics.ended(reason);
    }
}
