//! What an audit finds: counts, and among them those that must be zero.

use std::{borrow::Cow, collections::BTreeMap};

use serde::{Serialize, Serializer, ser::SerializeMap};

/// What the names of counts that must be zero begin with, in the queries as well.
pub const WRONG: &str = "wrong_";

/// What was counted for one promise. It holds if nothing that must be zero is not.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Finding(BTreeMap<Cow<'static, str>, i64>);

impl Finding {
    /// Adds a count; a name that begins with [`WRONG`] must count zero. A count that is there already grows.
    pub fn add(&mut self, name: impl Into<Cow<'static, str>>, count: impl Into<i64>) {
        *self.0.entry(name.into()).or_default() += count.into();
    }

    pub fn absorb(&mut self, other: Self) {
        for (name, count) in other.0 {
            self.add(name, count);
        }
    }

    pub fn of<const COUNTS: usize>(counts: [(&'static str, i64); COUNTS]) -> Self {
        Self(counts.map(|(name, count)| (name.into(), count)).into())
    }

    pub fn count(&self, name: &str) -> Option<i64> {
        self.0.get(name).copied()
    }

    /// Whether the promise holds: something was counted, and nothing wrong.
    pub fn holds(&self) -> bool {
        self.0.keys().any(|name| name.starts_with(WRONG)) && self.wrong().next().is_none()
    }

    /// The counts that should be zero and are not.
    pub fn wrong(&self) -> impl Iterator<Item = (&str, i64)> {
        self.counts()
            .filter(|(name, count)| name.starts_with(WRONG) && *count != 0)
    }

    /// The counts that may be anything.
    pub fn facts(&self) -> impl Iterator<Item = (&str, i64)> {
        self.counts().filter(|(name, _)| !name.starts_with(WRONG))
    }

    fn counts(&self) -> impl Iterator<Item = (&str, i64)> {
        self.0.iter().map(|(name, count)| (&**name, *count))
    }
}

impl Serialize for Finding {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len() + 1))?;
        map.serialize_entry("holds", &self.holds())?;
        for (name, count) in &self.0 {
            map.serialize_entry(name, count)?;
        }
        map.end()
    }
}

#[derive(Debug, Clone, Default, Serialize)]
pub struct Audit {
    /// No more coupons than stock, and every coupon of the stock is somewhere.
    pub never_oversold: Finding,
    /// One coupon a claim, no more than the limit a shopper.
    pub exactly_once: Finding,
    /// Whatever a caller was told is in the databases.
    pub acked_is_kept: Finding,
    /// A coupon pays for one order, and every accepted order is paid for by its own.
    pub redeemed_once: Finding,
    /// No store makes more in a slot than it can, and fulfilment is told of every order.
    pub stores_survive: Finding,
    /// Every answer says why, what then and in both languages; nobody waits for what is gone; estimates are kept.
    pub honest_answer: Finding,
    /// Positions never grow, and who joins later is not served first.
    pub no_overtaking: Finding,
}

impl Audit {
    pub fn promises(&self) -> [(&'static str, &Finding); 7] {
        [
            ("never-oversold", &self.never_oversold),
            ("exactly-once", &self.exactly_once),
            ("acked-is-kept", &self.acked_is_kept),
            ("redeemed-once", &self.redeemed_once),
            ("stores-survive", &self.stores_survive),
            ("honest-answer", &self.honest_answer),
            ("no-overtaking", &self.no_overtaking),
        ]
    }

    pub fn holds(&self) -> bool {
        self.promises().iter().all(|(_, finding)| finding.holds())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_promise_that_nothing_was_counted_for_does_not_hold() {
        let mut finding = Finding::default();
        finding.add("coupons", 5);
        assert!(!finding.holds());
        finding.add("wrong_over_limit", 0);
        assert!(finding.holds());
        finding.add("wrong_over_limit", 1);
        assert!(!finding.holds());
        assert_eq!(
            serde_json::to_value(&finding).unwrap(),
            serde_json::json!({ "holds": false, "coupons": 5, "wrong_over_limit": 1 })
        );
    }
}
