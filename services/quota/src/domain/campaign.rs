use std::time::Duration;

use tidegate_types::{
    CampaignId, CampaignNumber, CouponTerms, CurrencyCode, LimitPerShopper, PrintedText, TierId,
    TierNumber, Timestamp,
};

use super::{Control, IssuanceState, RedemptionState, TierStock, sold_out, text::shown};
use crate::error::{QuotaError, Result};

pub const MIN_COUPON_VALIDITY_SECONDS: u64 = 1;
pub const MAX_COUPON_VALIDITY_SECONDS: u64 = 366 * 24 * 3_600;
const MAX_EXTENSION_DAYS: u64 = 3_660;
/// The longest time from the end of a campaign to the end of an extended validity.
pub const MAX_EXTENSION: Duration = Duration::from_secs(MAX_EXTENSION_DAYS * 24 * 3_600);

pub type DisplayName = PrintedText<100>;
/// What staff say of it among themselves.
pub type Description = PrintedText<1_000>;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tier {
    pub id: TierId,
    /// What one coupon takes off an order, in minor units of the campaign's currency.
    pub face_value_minor_units: i64,
    pub initial_stock: u64,
    pub terms: CouponTerms,
}

/// What a campaign's makers fixed. Two requests to make a campaign are the same request if these are equal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CampaignTerms {
    pub id: CampaignId,
    pub currency: CurrencyCode,
    /// The tiers, in the order in which claims that name none are served.
    pub tiers: Vec<Tier>,
    pub limit_per_shopper: LimitPerShopper,
    /// Claims are served from this moment; whole microseconds.
    pub opens_at: Timestamp,
    /// Claims are refused from this moment; whole microseconds.
    pub closes_at: Timestamp,
    /// How long a coupon can be used after it was issued; whole seconds.
    pub coupon_validity: Duration,
    pub display_name: Option<DisplayName>,
    pub description: Option<Description>,
}

impl CampaignTerms {
    /// How many areas and stores its tiers name.
    pub fn names(&self) -> usize {
        let names = |tier: &Tier| tier.terms.areas().len() + tier.terms.stores().len();
        self.tiers.iter().map(names).sum()
    }

    /// All of them as one text, the same for the same terms and for no others: its parts hold no
    /// line breaks. It is compared and never read back, so it must not change from version to version.
    pub fn in_one_text(&self) -> String {
        let mut lines = vec![
            self.id.to_string(),
            self.currency.to_string(),
            self.limit_per_shopper.to_string(),
            self.opens_at.unix_timestamp_nanos().to_string(),
            self.closes_at.unix_timestamp_nanos().to_string(),
            self.coupon_validity.as_secs().to_string(),
            shown(&self.display_name).to_owned(),
            shown(&self.description).to_owned(),
        ];
        for tier in &self.tiers {
            lines.push(tier.id.to_string());
            lines.push(tier.face_value_minor_units.to_string());
            lines.push(tier.initial_stock.to_string());
            lines.push(tier.terms.minimum_spend_minor_units().to_string());
            lines.push(tier.terms.areas_text());
            lines.push(tier.terms.stores_text());
        }
        lines.join("\n")
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Campaign {
    pub number: CampaignNumber,
    pub terms: CampaignTerms,
    pub stock: Vec<TierStock>,
    pub control: Control,
    /// Every coupon is valid at least until this moment; whole microseconds.
    pub extended_valid_until: Option<Timestamp>,
    pub ended_at: Option<Timestamp>,
    /// Grows with every change but that of the stock's whereabouts.
    pub revision: u64,
    pub fence: Fence,
}

/// Which of a campaign's revisions issuance's database has, and which it has to have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Fence {
    /// The one that brought redeeming to what it is.
    pub redemption_revision: u64,
    /// The one that brought the extension.
    pub extension_revision: u64,
    /// The newest that issuance's database is known to have.
    pub fenced_revision: u64,
}

impl Fence {
    pub fn holds_redemption(self) -> bool {
        self.redemption_revision <= self.fenced_revision
    }

    pub fn holds_extension(self) -> bool {
        self.extension_revision <= self.fenced_revision
    }
}

#[derive(Debug, Clone, Default)]
pub struct WantedCampaigns {
    pub ids: Vec<CampaignId>,
    pub numbers: Vec<CampaignNumber>,
}

impl Campaign {
    /// True if no claim can be served any more unless budget is added.
    pub fn sold_out(&self) -> bool {
        sold_out(&self.stock)
    }

    pub fn issuance_state(&self) -> IssuanceState {
        self.control.issuance_state(&self.stock)
    }

    pub fn redemption_state(&self) -> RedemptionState {
        let is_fenced = self.fence.holds_redemption();
        self.control.redemption_state_if(is_fenced)
    }

    /// Whether every coupon has to be made valid at least until this moment, which may be so; whoever repeats an extension is told of the one there is, also after its end.
    pub fn extends(&self, valid_until: Timestamp, now: Timestamp) -> Result<bool> {
        let invalid = |what: String| Err(QuotaError::invalid_field("valid_until", what));
        match self.extended_valid_until {
            Some(known) if known == valid_until => Ok(false),
            _ if valid_until <= now => invalid("must be in the future".to_owned()),
            _ if valid_until - self.terms.closes_at > MAX_EXTENSION => invalid(format!(
                "must be at most {MAX_EXTENSION_DAYS} days after the campaign closes"
            )),
            Some(earlier) if valid_until < earlier => invalid(format!(
                "must not be before {earlier}, until when coupons were promised to be valid"
            )),
            _ => Ok(true),
        }
    }

    pub fn tier_number(&self, id: &TierId) -> Option<TierNumber> {
        let place = self.terms.tiers.iter().position(|tier| tier.id == *id)?;
        TierNumber::new(place).ok()
    }
}
