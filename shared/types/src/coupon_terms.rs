use std::{collections::BTreeSet, fmt::Display};

use crate::{Area, InvalidText, OutOfBounds, StoreId, Violations};

/// The most areas that terms name.
const MAX_AREAS: usize = 100;
/// The most stores that terms name.
const MAX_STORES: usize = 1_000;
const MAX_MINIMUM_SPEND_MINOR_UNITS: i64 = 10_000_000;

/// What an order must be for a coupon to pay for it. The default asks nothing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CouponTerms {
    minimum_spend_minor_units: i64,
    areas: BTreeSet<Area>,
    stores: BTreeSet<StoreId>,
}

impl CouponTerms {
    /// Takes terms over if they are within bounds and name each area and store once; otherwise notes every bad field under `field`.
    pub fn parse(
        bad: &mut Violations,
        field: impl Display,
        minimum_spend_minor_units: i64,
        areas: &[impl AsRef<str>],
        store_ids: &[impl AsRef<str>],
    ) -> Option<Self> {
        let bounds = OutOfBounds {
            min: 0,
            max: MAX_MINIMUM_SPEND_MINOR_UNITS.unsigned_abs(),
        };
        let is_spend_good =
            (0..=MAX_MINIMUM_SPEND_MINOR_UNITS).contains(&minimum_spend_minor_units);
        if !is_spend_good {
            bad.add(format_args!("{field}.minimum_spend_minor_units"), bounds);
        }
        let areas = (format!("{field}.areas"), areas, MAX_AREAS);
        let areas = names(bad, areas, |text| Area::parse(text));
        let stores = (format!("{field}.store_ids"), store_ids, MAX_STORES);
        let stores = names(bad, stores, |text| StoreId::parse(text));
        Some(Self {
            minimum_spend_minor_units,
            areas: areas?,
            stores: stores?,
        })
        .filter(|_| is_spend_good)
    }

    /// Reads what [`Self::areas_text`] and [`Self::stores_text`] wrote; `None` if it is out of bounds.
    pub fn from_texts(minimum_spend_minor_units: i64, areas: &str, stores: &str) -> Option<Self> {
        let areas: Vec<_> = areas.split_whitespace().collect();
        let stores: Vec<_> = stores.split_whitespace().collect();
        let mut bad = Violations::default();
        Self::parse(
            &mut bad,
            "terms",
            minimum_spend_minor_units,
            &areas,
            &stores,
        )
    }

    /// Every area in one text, separated by spaces: no name holds one.
    pub fn areas_text(&self) -> String {
        text(self.areas.iter().map(Area::as_str))
    }

    /// Every store in one text, separated by spaces.
    pub fn stores_text(&self) -> String {
        text(self.stores.iter().map(StoreId::as_str))
    }

    /// What the order must come to before the coupon; 0 asks nothing.
    pub fn minimum_spend_minor_units(&self) -> i64 {
        self.minimum_spend_minor_units
    }

    /// The areas whose stores take the coupon.
    pub fn areas(&self) -> &BTreeSet<Area> {
        &self.areas
    }

    /// The stores that take the coupon, beside those of the areas.
    pub fn stores(&self) -> &BTreeSet<StoreId> {
        &self.stores
    }

    /// True if a store of this area takes the coupon. A store or an area that is not known is none of those named.
    pub fn are_met_at(&self, store: Option<&StoreId>, area: Option<&Area>) -> bool {
        let everywhere = self.areas.is_empty() && self.stores.is_empty();
        everywhere
            || store.is_some_and(|store| self.stores.contains(store))
            || area.is_some_and(|area| self.areas.contains(area))
    }
}

fn text<'a>(names: impl Iterator<Item = &'a str>) -> String {
    names.collect::<Vec<_>>().join(" ")
}

fn names<T: Ord>(
    bad: &mut Violations,
    (field, texts, max): (String, &[impl AsRef<str>], usize),
    parse: impl Fn(&str) -> Result<T, InvalidText>,
) -> Option<BTreeSet<T>> {
    if texts.len() > max {
        bad.add(field, format_args!("must be at most {max}"));
        return None;
    }
    let mut names = BTreeSet::new();
    for (place, text) in texts.iter().enumerate() {
        let name = bad.check(format_args!("{field}[{place}]"), parse(text.as_ref()));
        if name.is_some_and(|name| !names.insert(name)) {
            bad.add(format_args!("{field}[{place}]"), "must be named only once");
        }
    }
    (names.len() == texts.len()).then_some(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn terms(areas: &[&str], store_ids: &[&str]) -> CouponTerms {
        CouponTerms::parse(&mut Violations::default(), "terms", 0, areas, store_ids).unwrap()
    }

    fn bad_fields(minimum_spend: i64, areas: &[String], store_ids: &[String]) -> Vec<String> {
        let mut bad = Violations::default();
        let terms = CouponTerms::parse(&mut bad, "terms", minimum_spend, areas, store_ids);
        assert_eq!(terms.is_some(), bad.is_empty());
        let bad = bad.into_vec().into_iter();
        bad.map(|bad| bad.field).collect()
    }

    #[test]
    fn every_bad_field_of_terms_is_named_with_its_place() {
        let named = |names: &[&str]| names.iter().copied().map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(
            bad_fields(-1, &named(&["west", ""]), &named(&["a", "b", "a", "c d"])),
            [
                "terms.minimum_spend_minor_units",
                "terms.areas[1]",
                "terms.store_ids[2]",
                "terms.store_ids[3]"
            ]
        );
        let many = |count: usize| (0..count).map(|n| n.to_string()).collect::<Vec<_>>();
        assert!(bad_fields(10_000_000, &many(100), &many(1_000)).is_empty());
        assert_eq!(
            bad_fields(10_000_001, &many(101), &many(1_001)),
            [
                "terms.minimum_spend_minor_units",
                "terms.areas",
                "terms.store_ids"
            ]
        );
    }

    #[test]
    fn the_order_in_which_names_are_given_makes_no_other_terms() {
        assert_eq!(terms(&["a", "b"], &["c"]), terms(&["b", "a"], &["c"]));
        assert_eq!(terms(&[], &[]), CouponTerms::default());
    }

    #[test]
    fn terms_written_as_texts_are_read_the_same() {
        for terms in [terms(&[], &[]), terms(&["a", "b,c"], &["s-1", "s-2"])] {
            let (areas, stores) = (terms.areas_text(), terms.stores_text());
            assert_eq!(CouponTerms::from_texts(0, &areas, &stores), Some(terms));
        }
        assert_eq!(CouponTerms::from_texts(-1, "", ""), None);
    }

    #[test]
    fn of_areas_and_stores_either_suffices_and_none_of_both_means_everywhere() {
        let (store, area) = (StoreId::parse("s-1").unwrap(), Area::parse("west").unwrap());
        let met = |terms: CouponTerms| {
            [(None, None), (Some(&store), None), (None, Some(&area))]
                .map(|(store, area)| terms.are_met_at(store, area))
        };
        assert_eq!(met(terms(&[], &[])), [true, true, true]);
        assert_eq!(met(terms(&["west"], &["s-1"])), [false, true, true]);
        assert_eq!(met(terms(&["west"], &[])), [false, false, true]);
        assert_eq!(met(terms(&["east"], &["s-1"])), [false, true, false]);
        assert_eq!(met(terms(&["s-1"], &["west"])), [false, false, false]);
    }
}
