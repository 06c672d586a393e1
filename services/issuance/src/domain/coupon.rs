use std::{sync::Arc, time::Duration};

use tidegate_telemetry::TraceContext;
use tidegate_types::{CampaignNumber, CouponCode, Reason, RequestId, Slot, TierNumber, Timestamp};
use uuid::Uuid;

use super::campaign::{Campaign, CouponControl, RedemptionControl, Tier};

/// The orders that a coupon remembers to have been given back by; the newest are kept. A redemption would have to be later than so many other orders to take the coupon once more.
pub const MAX_RELEASED_ORDERS: u8 = 32;
/// The most that a release adds to a coupon's validity, whatever clocks say of the time the order held it.
pub const MAX_VALIDITY_GIVEN_BACK: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// A validity that no release may ask for. The sentence fits behind the field's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be from 0 to 7 days")]
pub struct InvalidMinimumValidity;

/// For how long a coupon that comes back is valid at least: at most 7 days.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MinimumValidity(Duration);

impl MinimumValidity {
    /// Takes a span over if it is within bounds.
    pub fn new(span: Duration) -> Result<Self, InvalidMinimumValidity> {
        let is_good = span <= MAX_VALIDITY_GIVEN_BACK;
        is_good.then_some(Self(span)).ok_or(InvalidMinimumValidity)
    }

    pub fn get(self) -> Duration {
        self.0
    }
}

/// A coupon as its row has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredCoupon {
    pub campaign: CampaignNumber,
    /// Which of the shopper's coupons.
    pub slot: Slot,
    pub request_id: RequestId,
    pub requested_tier: Option<TierNumber>,
    pub tier: TierNumber,
    /// The key its code is made with.
    pub key_id: u8,
    pub issued_at: Timestamp,
    /// The end it was issued with, and later by the time that orders held it before they gave it back; the campaign's extension may be later.
    pub own_valid_until: Timestamp,
    /// The order it pays for.
    pub order_id: Option<Uuid>,
    /// The orders that gave it back, oldest first.
    pub released_order_ids: Vec<Uuid>,
    pub revoked: bool,
    /// The story of its claim, if that was recorded.
    pub claim_trace: Option<TraceContext>,
}

/// A coupon as callers see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Coupon {
    pub stored: StoredCoupon,
    /// Its code, derived; `None` while its key is missing.
    pub code: Option<CouponCode>,
    pub campaign: Arc<Campaign>,
    pub tier: Tier,
    /// What staff have said of its campaign's coupons.
    pub control: CouponControl,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CouponState {
    Issued,
    Redeemed(Uuid),
    Expired,
    Revoked,
}

impl StoredCoupon {
    /// The end of its validity: its own, or the extension of its campaign if that is later.
    pub fn valid_until(&self, extended_valid_until: Option<Timestamp>) -> Timestamp {
        extended_valid_until.map_or(self.own_valid_until, |end| end.max(self.own_valid_until))
    }

    /// Where the coupon stands at `now`. What it paid for outlasts its validity.
    pub fn state(&self, extended_valid_until: Option<Timestamp>, now: Timestamp) -> CouponState {
        match self.order_id {
            _ if self.revoked => CouponState::Revoked,
            Some(order) => CouponState::Redeemed(order),
            None if self.valid_until(extended_valid_until) <= now => CouponState::Expired,
            None => CouponState::Issued,
        }
    }
}

impl Coupon {
    /// The end of its validity, the campaign's extension counted in.
    pub fn valid_until(&self) -> Timestamp {
        self.stored.valid_until(self.control.extended_valid_until)
    }

    /// Where the coupon stands at `now`.
    pub fn state(&self, now: Timestamp) -> CouponState {
        self.stored.state(self.control.extended_valid_until, now)
    }

    /// Why it could not pay for an order at `now`; none if it could.
    pub fn unusable_because(&self, now: Timestamp) -> Option<Reason> {
        match (self.state(now), self.control.redemption) {
            (CouponState::Redeemed(_), _) => Some(Reason::CouponRedeemed),
            (CouponState::Expired, _) => Some(Reason::CouponExpired),
            (CouponState::Revoked, _) => Some(Reason::CouponRevoked),
            (CouponState::Issued, RedemptionControl::Halted) => Some(Reason::RedemptionHalted),
            (CouponState::Issued, RedemptionControl::Open) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn coupon(order_id: Option<Uuid>, revoked: bool, valid_until: Timestamp) -> StoredCoupon {
        StoredCoupon {
            campaign: CampaignNumber::new(1u32).unwrap(),
            slot: Slot::new(1u8).unwrap(),
            request_id: RequestId::parse("r").unwrap(),
            requested_tier: None,
            tier: TierNumber::new(0u8).unwrap(),
            key_id: 1,
            issued_at: valid_until - Duration::from_secs(10),
            own_valid_until: valid_until,
            order_id,
            released_order_ids: Vec::new(),
            revoked,
            claim_trace: None,
        }
    }

    #[test]
    fn a_redeemed_coupon_stays_redeemed_after_its_validity_and_a_revoked_one_is_final() {
        let end = Timestamp::now_utc();
        let (early, order) = (end - Duration::from_secs(1), Uuid::nil());
        let state = |order, revoked, now| coupon(order, revoked, end).state(None, now);
        assert_eq!(state(None, false, early), CouponState::Issued);
        assert_eq!(state(None, false, end), CouponState::Expired);
        assert_eq!(state(Some(order), false, end), CouponState::Redeemed(order));
        assert_eq!(state(Some(order), true, early), CouponState::Revoked);
    }

    #[test]
    fn a_release_asks_for_seven_days_at_most() {
        assert!(MinimumValidity::new(MAX_VALIDITY_GIVEN_BACK).is_ok());
        let more = MAX_VALIDITY_GIVEN_BACK + Duration::from_nanos(1);
        assert_eq!(MinimumValidity::new(more), Err(InvalidMinimumValidity));
    }

    #[test]
    fn an_extension_lengthens_a_coupons_validity_and_never_shortens_it() {
        let end = Timestamp::now_utc();
        let (earlier, later) = (end - Duration::from_secs(5), end + Duration::from_secs(5));
        let stored = coupon(None, false, end);
        assert_eq!(stored.valid_until(None), end);
        assert_eq!(stored.valid_until(Some(earlier)), end);
        assert_eq!(stored.valid_until(Some(later)), later);
        assert_eq!(stored.state(Some(later), end), CouponState::Issued);
        assert_eq!(stored.state(Some(later), later), CouponState::Expired);
    }
}
