use std::sync::Arc;

use tidegate_types::{Area, CouponTerms, CurrencyCode, Money, StoreId, TierNumber};

use super::campaign::{Campaign, Tier};

/// What is known of an order that a coupon is to pay for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Purchase {
    pub store: Option<StoreId>,
    pub area: Option<Area>,
    /// What it comes to before the coupon.
    pub total: Option<Money>,
}

/// Why a coupon's terms do not fit an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotApplicable {
    /// The order is in another currency than the campaign.
    OtherCurrency { currency: CurrencyCode },
    /// The store is none of those that take the coupon.
    OtherStores {
        /// They name those that do.
        terms: Arc<CouponTerms>,
    },
    /// The order comes to less than the coupon asks for.
    BelowMinimumSpend { minimum_spend_minor_units: i64 },
}

/// Some of a campaign's tiers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TierSet(u16);

impl TierSet {
    pub const NONE: Self = Self(0);

    /// A bit for each tier, the first tier's the lowest.
    pub fn bits(self) -> u16 {
        self.0
    }
}

impl FromIterator<TierNumber> for TierSet {
    fn from_iter<T: IntoIterator<Item = TierNumber>>(tiers: T) -> Self {
        let bits = tiers.into_iter().map(|tier| 1 << tier.get());
        Self(bits.fold(0, |set, bit: u16| set | bit))
    }
}

impl Campaign {
    /// Why a coupon of the tier cannot pay for the purchase, whatever becomes of the campaign; none if it can.
    pub fn refuses(&self, tier: &Tier, purchase: &Purchase) -> Option<NotApplicable> {
        let (currency, total) = (self.currency, purchase.total);
        if total.is_some_and(|total| total.currency != currency) {
            return Some(NotApplicable::OtherCurrency { currency });
        }
        let (store, area) = (purchase.store.as_ref(), purchase.area.as_ref());
        if !tier.terms.are_met_at(store, area) {
            let terms = Arc::clone(&tier.terms);
            return Some(NotApplicable::OtherStores { terms });
        }
        let minimum_spend_minor_units = tier.terms.minimum_spend_minor_units();
        let total = total.map_or(0, |total| total.minor_units);
        (total < minimum_spend_minor_units).then_some(NotApplicable::BelowMinimumSpend {
            minimum_spend_minor_units,
        })
    }

    /// The tiers whose coupons may pay for the purchase, unless redeeming is halted.
    pub fn payable_tiers(&self, purchase: &Purchase) -> TierSet {
        let tiers = self.tiers.iter().enumerate();
        let payable = tiers.filter(|(_, tier)| self.refuses(tier, purchase).is_none());
        payable
            .filter_map(|(place, _)| TierNumber::new(place).ok())
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use tidegate_types::{TierId, Timestamp, Violations};

    use super::*;
    use crate::domain::campaign;

    /// A campaign with a tier for each of these: a minimum spend, and the areas that take it.
    fn campaign(tiers: &[(i64, &[&str])]) -> Campaign {
        let mut bad = Violations::default();
        let mut terms = |(minimum_spend, areas): &(i64, &[&str])| {
            CouponTerms::parse(&mut bad, "terms", *minimum_spend, areas, &[""; 0]).unwrap()
        };
        let tiers = tiers.iter().map(|asked| Tier {
            id: TierId::parse("tea").unwrap(),
            face_value_minor_units: 1_500,
            terms: Arc::new(terms(asked)),
        });
        Campaign {
            tiers: tiers.collect(),
            ..campaign::tests::campaign(Timestamp::now_utc(), 1)
        }
    }

    #[test]
    fn only_tiers_whose_terms_fit_may_pay() {
        let campaign = campaign(&[(0, &[]), (5_000, &[]), (0, &["west"])]);
        let payable = |area| {
            let area = Area::parse(area).ok();
            let purchase = Purchase {
                area,
                ..Purchase::default()
            };
            campaign.payable_tiers(&purchase).bits()
        };
        assert_eq!(payable("west"), 0b101);
        assert_eq!(payable("east"), 0b001);
        assert_eq!(payable(""), 0b001);
    }
}
