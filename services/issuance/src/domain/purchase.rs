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

    /// A campaign with a tier for each of these: a minimum spend, and the only area and the only store that take it.
    fn campaign(tiers: &[(i64, &[&str], &[&str])]) -> Campaign {
        let mut bad = Violations::default();
        let mut terms = |(minimum_spend, areas, stores): &(i64, &[&str], &[&str])| {
            CouponTerms::parse(&mut bad, "terms", *minimum_spend, areas, stores).unwrap()
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

    fn purchase(store: &str, area: &str, currency: &str, minor_units: i64) -> Purchase {
        Purchase {
            store: StoreId::parse(store).ok(),
            area: Area::parse(area).ok(),
            total: CurrencyCode::parse(currency).ok().map(|currency| Money {
                currency,
                minor_units,
            }),
        }
    }

    fn refusal(asked: (i64, &[&str], &[&str]), purchase: &Purchase) -> Option<NotApplicable> {
        let campaign = campaign(&[asked]);
        campaign.refuses(&campaign.tiers[0], purchase)
    }

    #[test]
    fn a_minimum_spend_is_met_from_its_very_amount_on() {
        let asked: (i64, &[&str], &[&str]) = (3_000, &[], &[]);
        let below = NotApplicable::BelowMinimumSpend {
            minimum_spend_minor_units: 3_000,
        };
        let of = |minor_units| refusal(asked, &purchase("s", "west", "CNY", minor_units));
        assert_eq!(of(2_999), Some(below.clone()));
        assert_eq!(of(3_000), None);
        // Who does not tell the total gets coupons without a minimum only.
        assert_eq!(refusal(asked, &Purchase::default()), Some(below));
        assert_eq!(refusal((0, &[], &[]), &Purchase::default()), None);
    }

    #[test]
    fn a_total_in_another_currency_fits_no_coupon() {
        let currency = CurrencyCode::parse("CNY").unwrap();
        assert_eq!(
            refusal((0, &[], &[]), &purchase("s", "west", "USD", 9_000)),
            Some(NotApplicable::OtherCurrency { currency })
        );
    }

    #[test]
    fn a_store_takes_the_coupon_by_its_name_or_its_area() {
        let asked: (i64, &[&str], &[&str]) = (0, &["west"], &["s-1"]);
        let is_refused = |store, area| match refusal(asked, &purchase(store, area, "CNY", 0)) {
            Some(NotApplicable::OtherStores { .. }) => true,
            None => false,
            other => panic!("{other:?}"),
        };
        assert!(!is_refused("s-1", "east"));
        assert!(!is_refused("s-2", "west"));
        assert!(is_refused("s-2", "east"));
        assert!(is_refused("", ""));
    }

    #[test]
    fn only_tiers_whose_terms_fit_may_pay() {
        let campaign = campaign(&[(0, &[], &[]), (5_000, &[], &[]), (0, &["west"], &[])]);
        let payable =
            |campaign: &Campaign, area| campaign.payable_tiers(&purchase("s", area, "CNY", 100));
        assert_eq!(payable(&campaign, "west").bits(), 0b101);
        assert_eq!(payable(&campaign, "east").bits(), 0b001);
    }
}
