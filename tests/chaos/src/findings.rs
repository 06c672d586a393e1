//! What must be zero, and what was found not to be.

use std::{
    collections::BTreeMap,
    fmt::{self, Display, Formatter},
};

use serde::{Serialize, Serializer, ser::SerializeMap};

use crate::console::table;

/// More than these are not described one by one.
const EXAMPLES: usize = 20;

macro_rules! counts {
    ($($(#[$doc:meta])* $name:ident = $words:literal,)+) => {
        /// Something that must not happen, counted per campaign.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
        #[serde(rename_all = "snake_case")]
        pub enum Count {
            $($(#[$doc])* $name,)+
        }

        impl Count {
            pub const ALL: &'static [Self] = &[$(Self::$name,)+];

            pub fn words(self) -> &'static str {
                match self {
                    $(Self::$name => $words,)+
                }
            }
        }
    };
}

counts! {
    IssuedBeyondStock = "issued beyond stock",
    IssuedShortOfStock = "never issued though asked for",
    ShoppersOverLimit = "shoppers over their limit",
    /// Coupons and orders that somebody was told of and that are not in the database as they were
    /// told.
    AcknowledgedNotKept = "acknowledged and not kept",
    NeverAskedFor = "kept and never asked for",
    RequestsWithTwo = "requests with two coupons or orders",
    RedeemedTwice = "coupons redeemed twice",
    /// Accepted orders without their coupon, and used coupons without their order.
    OrdersWithoutCoupon = "orders without their coupon",
    /// Used coupons whose order is cancelled or rejected.
    GivenUpWithCoupon = "cancelled orders with a coupon",
    /// Slots of stores with more orders than they have room for, or with other bookings than
    /// orders.
    StoresOverCapacity = "stores over capacity",
    CommittedAfterHalt = "committed after a halt",
    /// Tiers and leases whose books differ, between quota and issuance or within one of them.
    LedgerImbalance = "ledger imbalances",
    ExhaustedTooEarly = "told exhausted too early",
    /// Claims and orders that nobody decided although everything had healed.
    LeftUndecided = "left undecided",
    NeverButLater = "told never and served later",
    /// Callers who were not served within seconds of a fault's end.
    StuckAfterHeal = "stuck after heal",
}

#[derive(Debug, Clone, Default)]
pub struct Findings {
    counts: BTreeMap<(String, Count), u64>,
    examples: Vec<String>,
}

impl Findings {
    /// Counts something, and keeps an example of it.
    pub fn add(&mut self, campaign: &str, count: Count, number: u64, example: impl Into<String>) {
        if number == 0 {
            return;
        }
        *self.counts.entry((campaign.to_owned(), count)).or_default() += number;
        if self.examples.len() < EXAMPLES {
            self.examples
                .push(format!("{campaign}: {}: {}", count.words(), example.into()));
        }
    }

    pub fn absorb(&mut self, other: Self) {
        for (key, number) in other.counts {
            *self.counts.entry(key).or_default() += number;
        }
        let room = EXAMPLES.saturating_sub(self.examples.len());
        self.examples.extend(other.examples.into_iter().take(room));
    }

    /// Whether every count is zero.
    pub fn none(&self) -> bool {
        self.counts.is_empty()
    }

    /// One count, over all campaigns.
    pub fn total(&self, count: Count) -> u64 {
        let matching = self.counts.iter().filter(|((_, of), _)| *of == count);
        matching.map(|(_, number)| number).sum()
    }

    pub fn of(&self, campaign: &str, count: Count) -> u64 {
        let key = (campaign.to_owned(), count);
        self.counts.get(&key).copied().unwrap_or(0)
    }

    pub fn examples(&self) -> &[String] {
        &self.examples
    }
}

/// Every count, for people.
impl Display for Findings {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        let counts = Count::ALL.iter();
        let counts = counts.map(|count| format!("{}|{}|", count.words(), self.total(*count)));
        write!(out, "{}", table("must be zero||", counts))
    }
}

impl Serialize for Findings {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(Count::ALL.len() + 1))?;
        for count in Count::ALL {
            map.serialize_entry(count, &self.total(*count))?;
        }
        map.serialize_entry("examples", &self.examples)?;
        map.end()
    }
}
