use std::time::Duration;

use tidegate_types::{
    CampaignId, CampaignNumber, CurrencyCode, LimitPerShopper, TierId, TierNumber, Timestamp,
};

use super::{TierStock, sold_out};

/// The shortest validity of a coupon.
pub const MIN_COUPON_VALIDITY_SECONDS: u64 = 1;
/// The longest validity of a coupon: 366 days.
pub const MAX_COUPON_VALIDITY_SECONDS: u64 = 366 * 24 * 3_600;

/// One kind of coupon within a campaign.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tier {
    /// Its public name, unique within the campaign.
    pub id: TierId,
    /// What one coupon takes off an order, in minor units of the campaign's currency.
    pub face_value_minor_units: i64,
    /// How many coupons the campaign was made with.
    pub initial_stock: u64,
}

/// What a campaign's makers fixed. Two requests to make a campaign are the same request if these are equal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CampaignTerms {
    /// Its public name.
    pub id: CampaignId,
    /// The currency of every tier's face value.
    pub currency: CurrencyCode,
    /// The tiers, in the order in which claims that name none are served.
    pub tiers: Vec<Tier>,
    /// How many coupons one shopper may hold.
    pub limit_per_shopper: LimitPerShopper,
    /// Claims are served from this moment; whole microseconds.
    pub opens_at: Timestamp,
    /// Claims are refused from this moment; whole microseconds.
    pub closes_at: Timestamp,
    /// How long a coupon can be used after it was issued; whole seconds.
    pub coupon_validity: Duration,
}

/// A campaign and where its stock is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Campaign {
    /// The number coupon codes carry.
    pub number: CampaignNumber,
    /// What its makers fixed.
    pub terms: CampaignTerms,
    /// Where the stock is, tier by tier in the order of the terms.
    pub stock: Vec<TierStock>,
    /// Grows with every change but that of the stock's whereabouts.
    pub revision: u64,
}

impl Campaign {
    /// True if no claim can be served any more unless budget is added.
    pub fn sold_out(&self) -> bool {
        sold_out(&self.stock)
    }

    /// The tier's place in the campaign's list.
    pub fn tier_number(&self, id: &TierId) -> Option<TierNumber> {
        let place = self.terms.tiers.iter().position(|tier| tier.id == *id)?;
        TierNumber::new(place).ok()
    }
}
