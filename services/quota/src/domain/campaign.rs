use std::time::Duration;

use tidegate_types::{
    CampaignId, CampaignNumber, CouponTerms, CurrencyCode, LimitPerShopper, PrintedText, TierId,
    TierNumber, Timestamp,
};

use super::{Control, IssuanceState, RedemptionState, TierStock, sold_out};

pub const MIN_COUPON_VALIDITY_SECONDS: u64 = 1;
/// The longest validity of a coupon: 366 days.
pub const MAX_COUPON_VALIDITY_SECONDS: u64 = 366 * 24 * 3_600;

/// The longest time from the end of a campaign to the end of an extended validity: 3,660 days.
pub const MAX_EXTENSION: Duration = Duration::from_secs(3_660 * 24 * 3_600);

/// What people call a campaign.
pub type DisplayName = PrintedText<100>;
/// What staff say of it among themselves.
pub type Description = PrintedText<1_000>;

/// One kind of coupon within a campaign.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tier {
    /// Its public name, unique within the campaign.
    pub id: TierId,
    /// What one coupon takes off an order, in minor units of the campaign's currency.
    pub face_value_minor_units: i64,
    /// How many coupons the campaign was made with.
    pub initial_stock: u64,
    /// What an order must be for a coupon to pay for it.
    pub terms: CouponTerms,
}

/// What a campaign's makers fixed. Two requests to make a campaign are the same request if these are equal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CampaignTerms {
    pub id: CampaignId,
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
    pub display_name: Option<DisplayName>,
    /// What staff say of it.
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
            self.limit_per_shopper.get().to_string(),
            self.opens_at.unix_timestamp_nanos().to_string(),
            self.closes_at.unix_timestamp_nanos().to_string(),
            self.coupon_validity.as_secs().to_string(),
            self.display_name
                .as_ref()
                .map_or("", |name| name.as_str())
                .to_owned(),
            self.description
                .as_ref()
                .map_or("", |text| text.as_str())
                .to_owned(),
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

/// A campaign and where its stock is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Campaign {
    /// The number coupon codes carry.
    pub number: CampaignNumber,
    pub terms: CampaignTerms,
    /// Where the stock is, tier by tier in the order of the terms.
    pub stock: Vec<TierStock>,
    /// What staff have said of it while it runs.
    pub control: Control,
    /// Every coupon is valid at least until this moment; whole microseconds.
    pub extended_valid_until: Option<Timestamp>,
    /// When staff ended it for good.
    pub ended_at: Option<Timestamp>,
    /// Grows with every change but that of the stock's whereabouts.
    pub revision: u64,
    /// How far issuance's database has what was said of its coupons.
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
    /// Whether what was said of redeeming is in force.
    pub fn holds_redemption(self) -> bool {
        self.redemption_revision <= self.fenced_revision
    }

    /// Whether the extension is in force.
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

    /// How far issuing has come towards what staff want.
    pub fn issuance_state(&self) -> IssuanceState {
        self.control.issuance_state(&self.stock)
    }

    /// How far redeeming has come towards what staff want.
    pub fn redemption_state(&self) -> RedemptionState {
        let is_fenced = self.fence.holds_redemption();
        self.control.redemption_state_if(is_fenced)
    }

    /// What it means to make every coupon valid at least until this moment.
    pub fn extend(&self, valid_until: Timestamp, now: Timestamp) -> Result<Extension, NotExtended> {
        // Whoever repeats an extension is told of the one there is, also after its end.
        if self.extended_valid_until == Some(valid_until) {
            return Ok(Extension::Before);
        }
        if valid_until <= now {
            return Err(NotExtended::NotInFuture);
        }
        if valid_until - self.terms.closes_at > MAX_EXTENSION {
            return Err(NotExtended::TooLong);
        }
        match self.extended_valid_until {
            Some(earlier) if valid_until < earlier => Err(NotExtended::BeforeEarlier { earlier }),
            _ => Ok(Extension::Now),
        }
    }

    /// The tier's place in the campaign's list.
    pub fn tier_number(&self, id: &TierId) -> Option<TierNumber> {
        let place = self.terms.tiers.iter().position(|tier| tier.id == *id)?;
        TierNumber::new(place).ok()
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extension {
    Now,
    /// Nothing: it was made before.
    Before,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotExtended {
    NotInFuture,
    /// It is further than [`MAX_EXTENSION`] from the end of the campaign.
    TooLong,
    /// Coupons were promised to be valid for longer.
    BeforeEarlier {
        earlier: Timestamp,
    },
}
