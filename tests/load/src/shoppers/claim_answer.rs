//! What a claim was answered, as its shopper understands it.

use std::time::Duration;

use tidegate_client::Refusal;
use tidegate_proto::{
    gateway::v1::{ClaimCouponResponse, IssuedClaim, QueuedClaim, claim_coupon_response::Outcome},
    r#type::v1::CouponState,
};
use tidegate_types::CouponCode;
use tonic::Status;

use crate::{closed_loop::REQUEST_ID, outcomes::End};

/// The reason of a refusal, for a table. A broken connection and a late answer are the same to a
/// shopper.
pub fn reason(status: &Status) -> String {
    Refusal::read(status).map_or("UNANSWERED".to_owned(), |refusal| refusal.reason)
}

#[derive(Debug, Clone, PartialEq)]
pub enum ClaimAnswer {
    /// Its code, and whether an attempt before produced it.
    Coupon(String, bool),
    Queued(QueuedClaim),
    /// For this reason, and when to ask again if that makes sense.
    Refused(String, Option<Duration>),
    Unanswered,
}

/// The soonest and the latest that a coupon is likely to come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Estimate {
    pub shortest: Duration,
    pub longest: Duration,
}

impl ClaimAnswer {
    /// Reads an answer to a claim of this campaign.
    pub fn read(answer: Result<ClaimCouponResponse, Status>, campaign_id: &str) -> Self {
        match answer {
            Ok(response) => match response.outcome {
                Some(Outcome::Issued(issued)) => issued_answer(issued, campaign_id),
                Some(Outcome::Queued(queued)) => Self::Queued(queued),
                None => wrong("NO_OUTCOME"),
            },
            Err(status) => Refusal::read(&status).map_or(Self::Unanswered, |refusal| {
                Self::Refused(refusal.reason, refusal.retry_after)
            }),
        }
    }

    /// Whether it is the new coupon that was asked for.
    pub fn new_coupon(self) -> End {
        match self {
            Self::Coupon(_, false) => Ok(()),
            Self::Coupon(_, true) => Err("WRONG_COUPON".to_owned()),
            Self::Queued(_) => Err("QUEUED".to_owned()),
            Self::Refused(reason, _) => Err(reason),
            Self::Unanswered => Err("UNANSWERED".to_owned()),
        }
    }
}

/// A coupon counts only if it is of this claim, free to use, and its code is well formed.
fn issued_answer(issued: IssuedClaim, campaign_id: &str) -> ClaimAnswer {
    let coupon = issued.coupon.unwrap_or_default();
    let is_right = coupon.state() == CouponState::Issued
        && coupon.campaign_id == campaign_id
        && coupon.request_id == REQUEST_ID
        && CouponCode::parse(&coupon.code).is_some();
    if is_right {
        ClaimAnswer::Coupon(coupon.code, issued.replayed)
    } else {
        wrong("WRONG_COUPON")
    }
}

fn wrong(reason: &str) -> ClaimAnswer {
    ClaimAnswer::Refused(reason.to_owned(), None)
}

impl Estimate {
    /// What a place in the queue is told; none if that is not known.
    pub fn of(queued: &QueuedClaim) -> Option<Self> {
        Some(Self {
            shortest: queued.shortest_wait?.try_into().ok()?,
            longest: queued.longest_wait?.try_into().ok()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use prost_types::Duration as ProtoDuration;
    use tidegate_proto::r#type::v1::Coupon;

    use super::*;

    fn issued(state: CouponState, replayed: bool) -> ClaimCouponResponse {
        let coupon = Coupon {
            code: "0123456789ABCDEF".to_owned(),
            campaign_id: "load".to_owned(),
            request_id: REQUEST_ID.to_owned(),
            state: state.into(),
            ..Coupon::default()
        };
        ClaimCouponResponse {
            outcome: Some(Outcome::Issued(IssuedClaim {
                coupon: Some(coupon),
                replayed,
            })),
            trace_id: String::new(),
        }
    }

    #[test]
    fn only_a_coupon_that_can_be_used_is_one_and_a_replayed_one_is_not_new() {
        let good = ClaimAnswer::read(Ok(issued(CouponState::Issued, true)), "load");
        let code = "0123456789ABCDEF".to_owned();
        assert_eq!(good, ClaimAnswer::Coupon(code, true));
        assert_eq!(good.new_coupon(), Err("WRONG_COUPON".to_owned()));
        let new = ClaimAnswer::read(Ok(issued(CouponState::Issued, false)), "load");
        assert_eq!(new.new_coupon(), Ok(()));
        let revoked = ClaimAnswer::read(Ok(issued(CouponState::Revoked, false)), "load");
        assert_eq!(revoked, wrong("WRONG_COUPON"));
        let elsewhere = ClaimAnswer::read(Ok(issued(CouponState::Issued, false)), "other");
        assert_eq!(elsewhere, wrong("WRONG_COUPON"));
    }

    #[test]
    fn an_estimate_that_is_not_told_is_not_made_up() {
        let seconds = |seconds| Some(ProtoDuration { seconds, nanos: 0 });
        let half_told = QueuedClaim {
            shortest_wait: seconds(3),
            ..QueuedClaim::default()
        };
        assert_eq!(Estimate::of(&half_told), None);
        let told = QueuedClaim {
            longest_wait: seconds(9),
            ..half_told
        };
        let expected = Estimate {
            shortest: Duration::from_secs(3),
            longest: Duration::from_secs(9),
        };
        assert_eq!(Estimate::of(&told), Some(expected));
    }
}
