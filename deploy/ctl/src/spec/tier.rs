use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tidegate_proto::r#type::v1::{CouponTerms, Tier};

/// One kind of coupon within a campaign.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TierSpec {
    /// Unique within the campaign.
    #[schemars(regex(pattern = r"^[a-z0-9_-]{1,64}$"))]
    pub tier_id: String,
    /// What one coupon takes off an order, in minor units: 2500 is 25.00 of most currencies.
    #[schemars(range(min = 1, max = 10_000_000))]
    pub face_value_minor_units: i64,
    /// How many coupons there are.
    #[schemars(range(min = 1, max = 1_000_000_000))]
    pub stock: u64,
    /// What an order must come to before the coupon.
    #[serde(default, skip_serializing_if = "is_zero")]
    #[schemars(range(min = 0, max = 10_000_000))]
    pub minimum_spend_minor_units: i64,
    /// Areas whose stores take the coupon; none and no stores: every store does.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub areas: Vec<String>,
    /// Stores that take the coupon.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub store_ids: Vec<String>,
}

fn is_zero(number: &i64) -> bool {
    *number == 0
}

impl TierSpec {
    pub fn of(tier: &Tier) -> Self {
        let terms = tier.terms.clone().unwrap_or_default();
        Self {
            tier_id: tier.tier_id.clone(),
            face_value_minor_units: tier.face_value_minor_units,
            stock: tier.stock,
            minimum_spend_minor_units: terms.minimum_spend_minor_units,
            areas: terms.areas,
            store_ids: terms.store_ids,
        }
    }

    pub fn on_the_wire(&self) -> Tier {
        let terms = CouponTerms {
            minimum_spend_minor_units: self.minimum_spend_minor_units,
            areas: self.areas.clone(),
            store_ids: self.store_ids.clone(),
        };
        Tier {
            tier_id: self.tier_id.clone(),
            face_value_minor_units: self.face_value_minor_units,
            stock: self.stock,
            terms: Some(terms).filter(|terms| *terms != CouponTerms::default()),
        }
    }
}

/// Tiers as a person compares them. No terms and terms that ask nothing are the same.
pub fn listed(tiers: &[Tier]) -> String {
    let tiers = tiers.iter().map(|tier| {
        let mut sorted = TierSpec::of(tier);
        sorted.areas.sort();
        sorted.store_ids.sort();
        let TierSpec {
            tier_id,
            face_value_minor_units,
            stock,
            ..
        } = &sorted;
        let mut text = format!("{tier_id}: {face_value_minor_units} x {stock}");
        if sorted.minimum_spend_minor_units > 0 {
            text += &format!(" from {}", sorted.minimum_spend_minor_units);
        }
        if !sorted.areas.is_empty() {
            text += &format!(" in areas {}", sorted.areas.join(" "));
        }
        if !sorted.store_ids.is_empty() {
            text += &format!(" in stores {}", sorted.store_ids.join(" "));
        }
        text
    });
    tiers.collect::<Vec<_>>().join("; ")
}
