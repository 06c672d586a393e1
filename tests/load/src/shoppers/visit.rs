//! One shopper: claims, and does about the answer what its manner is.

use std::{sync::Arc, time::Duration};

use tidegate_client::{Framed, Refusal, claim_of, framed, poll_after};
use tidegate_proto::gateway::v1::{ClaimCouponRequest, LeaveQueueRequest};
use tokio::time::{Instant, sleep};

use super::{
    Scene,
    claim_answer::ClaimAnswer,
    journey::{End, Journey, Manner, Ordered},
};
use crate::{
    closed_loop::REQUEST_ID,
    orders::{CouponOwner, accepted, is_pending, order},
    suite::store_id,
};

/// The shopper would wait less long than it takes, and has no place.
const TOO_LONG: &str = "WAIT_TOO_LONG";
/// Claims that a shopper sends at once, one after the other, before it stops to think.
const CLAIMS_AT_ONCE: u32 = 10;
/// Refusals and silences in a row after which even a patient shopper goes.
const SETBACK_LIMIT: u32 = 10;
/// After a call without an answer: doubled each time.
const BACKOFF_FIRST: Duration = Duration::from_millis(50);
const BACKOFF_LIMIT: Duration = Duration::from_secs(2);

/// Claims until there is an end, at the latest when `end` has come.
pub async fn visit(
    scene: Arc<Scene>,
    number: u64,
    due: Duration,
    manner: Manner,
    end: Instant,
) -> Journey {
    let mut visit = Visit {
        journey: Journey::new(manner, due, scene.elapsed()),
        shopper_id: format!("{}-{number}", scene.round),
        scene,
        end,
        code: None,
    };
    visit.journey.end = if manner == Manner::AsTold {
        visit.follow(String::new()).await
    } else {
        match visit.storm().await {
            (End::Coupon, _) => End::Coupon,
            (_, ticket) if manner == Manner::AtOnceThenAsTold => visit.follow(ticket).await,
            (last, _) => last,
        }
    };
    visit.journey.ended = visit.scene.elapsed();
    if let (Some(after), Some(code)) = (visit.scene.orders_after, visit.code.take()) {
        sleep(after).await;
        visit.journey.order = Some(visit.order(code, number).await);
    }
    visit.journey
}

struct Visit {
    scene: Arc<Scene>,
    shopper_id: String,
    journey: Journey,
    end: Instant,
    /// Of the coupon that was given.
    code: Option<String>,
}

impl Visit {
    /// Follows a ticket, or begins without one.
    async fn follow(&mut self, mut ticket: String) -> End {
        let mut setbacks = 0;
        let mut backoff = BACKOFF_FIRST;
        loop {
            let body = self.body(ticket.clone());
            let (pause, setback) = match self.claim(body).await {
                ClaimAnswer::Coupon(..) => return End::Coupon,
                ClaimAnswer::Queued(place) => {
                    setbacks = 0;
                    ticket.clone_from(&place.ticket);
                    (poll_after(&place).unwrap_or_default(), End::Waiting)
                }
                ClaimAnswer::Refused(reason, _) if reason == TOO_LONG => return End::Left,
                ClaimAnswer::Refused(reason, Some(after)) => (after, End::Refused(reason)),
                ClaimAnswer::Refused(reason, None) => return End::Refused(reason),
                ClaimAnswer::Unanswered => {
                    let pause = backoff;
                    backoff = (backoff * 2).min(BACKOFF_LIMIT);
                    (pause, End::Unanswered)
                }
            };
            setbacks += u32::from(setback != End::Waiting);
            if setbacks > SETBACK_LIMIT || Instant::now() + pause > self.end {
                return setback;
            }
            if self.spent() + pause > self.scene.patience {
                if !ticket.is_empty() {
                    self.leave(ticket).await;
                }
                return End::Left;
            }
            sleep(pause).await;
        }
    }

    /// Sends the same bytes again and again, deaf to what the answers say. How the last claim ended,
    /// and the newest ticket that any of them brought.
    async fn storm(&mut self) -> (End, String) {
        let body = self.body(String::new());
        let (mut last, mut ticket) = (End::Unanswered, String::new());
        for _ in 0..CLAIMS_AT_ONCE {
            last = match self.claim(body.clone()).await {
                ClaimAnswer::Coupon(..) => return (End::Coupon, ticket),
                ClaimAnswer::Queued(place) => {
                    // A claim without a ticket is a place anew, whose position need not be lower.
                    self.journey.position = None;
                    ticket = place.ticket;
                    End::Left
                }
                ClaimAnswer::Refused(reason, _) => End::Refused(reason),
                ClaimAnswer::Unanswered => End::Unanswered,
            };
        }
        (last, ticket)
    }

    async fn claim(&mut self, body: Framed<ClaimCouponRequest>) -> ClaimAnswer {
        self.journey.claims += 1;
        let sent = self.scene.elapsed();
        let answer = self.scene.caller.call(body).await;
        let answered = self.scene.elapsed();
        let answer = ClaimAnswer::read(answer, &self.scene.campaign_id);
        match &answer {
            ClaimAnswer::Coupon(code, _) => {
                self.journey.coupon_call = Some(answered.saturating_sub(sent));
                self.code = Some(code.clone());
            }
            ClaimAnswer::Queued(place) => self.journey.told_to_wait(sent, answered, place),
            ClaimAnswer::Unanswered => self.journey.unanswered += 1,
            ClaimAnswer::Refused(..) => (),
        }
        answer
    }

    /// Orders with the coupon, and comes back as told as long as its patience lasts.
    async fn order(&mut self, code: String, number: u64) -> Ordered {
        let owner = CouponOwner {
            shopper_id: self.shopper_id.clone(),
            code,
        };
        let store = store_id(number as u32);
        let body = framed(&order(&owner, store));
        let (came, mut sent_before) = (self.scene.elapsed(), 0);
        loop {
            let sent = self.scene.elapsed();
            let answer = self.scene.caller.call_again(body.clone(), sent_before);
            let answer = answer.await;
            sent_before += 1;
            let ended = self.scene.elapsed();
            let back_after = match answer.as_ref().map_err(Refusal::read) {
                Ok(placed) if is_pending(placed) => Some(BACKOFF_FIRST),
                Err(None) => {
                    self.journey.unanswered += 1;
                    Some(BACKOFF_FIRST)
                }
                Err(Some(refusal)) => refusal.retry_after,
                Ok(_) => None,
            };
            let patience = self.scene.patience.saturating_sub(ended - came);
            match back_after.filter(|after| *after <= patience) {
                Some(after) => sleep(after).await,
                None => {
                    let (end, call) = (accepted(answer), ended - sent);
                    return Ordered { end, ended, call };
                }
            }
        }
    }

    fn spent(&self) -> Duration {
        self.scene.elapsed().saturating_sub(self.journey.due)
    }

    async fn leave(&self, ticket: String) {
        let body = framed(&LeaveQueueRequest {
            campaign_id: self.scene.campaign_id.clone(),
            shopper_id: self.shopper_id.clone(),
            request_id: REQUEST_ID.to_owned(),
            ticket,
        });
        // A shopper who goes does not care for the answer.
        let _ = self.scene.caller.call(body).await;
    }

    fn body(&self, ticket: String) -> Framed<ClaimCouponRequest> {
        let claim = claim_of(&self.scene.campaign_id, &self.shopper_id, REQUEST_ID);
        // At worst a wait is much longer than the shortest: half of what is left has to do for that.
        let patience = self.scene.patience.saturating_sub(self.spent()) / 2;
        framed(&ClaimCouponRequest {
            ticket,
            patience: patience.try_into().ok(),
            ..claim
        })
    }
}
