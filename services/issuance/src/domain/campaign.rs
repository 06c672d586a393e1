use std::time::Duration;

use tidegate_types::{
    CampaignId, CampaignNumber, CurrencyCode, LimitPerShopper, TierId, TierNumber, Timestamp,
};

/// What issuance knows of a campaign.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Campaign {
    /// The number coupon codes carry.
    pub number: CampaignNumber,
    /// The public name.
    pub id: CampaignId,
    /// Of every face value.
    pub currency: CurrencyCode,
    /// Coupons a shopper may hold.
    pub limit_per_shopper: LimitPerShopper,
    /// Claims are served from this moment.
    pub opens_at: Timestamp,
    /// And refused from this one.
    pub closes_at: Timestamp,
    /// How long a coupon can be used.
    pub coupon_validity: Duration,
    /// Grows with each change.
    pub revision: u64,
    /// Its tiers, in the order in which claims that name none are served.
    pub tiers: Vec<Tier>,
}

/// One kind of coupon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tier {
    /// The public name.
    pub id: TierId,
    /// What a coupon takes off an order.
    pub face_value_minor_units: i64,
}

/// Whether new coupons may be issued.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Not yet.
    NotOpen,
    /// Yes.
    Open,
    /// No longer.
    Closed,
}

impl Campaign {
    /// Where the campaign stands at `now`.
    pub fn phase(&self, now: Timestamp) -> Phase {
        match now {
            _ if now < self.opens_at => Phase::NotOpen,
            _ if now < self.closes_at => Phase::Open,
            _ => Phase::Closed,
        }
    }

    /// The tier with this number.
    pub fn tier(&self, number: TierNumber) -> Option<&Tier> {
        self.tiers.get(usize::from(number.get()))
    }
}
