//! What must be zero, and what was found not to be.

use std::collections::BTreeMap;

use serde::{Serialize, Serializer, ser::SerializeMap};

/// More than these are not described one by one.
const EXAMPLES: usize = 20;

/// Something that must not happen, counted per campaign.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Count {
    /// Coupons of a tier beyond its stock.
    IssuedBeyondStock,
    /// Stock that was never issued although more was asked for.
    IssuedShortOfStock,
    /// Shoppers with more coupons than the limit.
    ShoppersOverLimit,
    /// Coupons and orders that somebody was told of and that are not in the database as they were told.
    AcknowledgedNotKept,
    /// Coupons that nobody asked for.
    NeverAskedFor,
    /// Requests with two coupons, or with two orders.
    RequestsWithTwo,
    /// Coupons that paid for two orders.
    RedeemedTwice,
    /// Accepted orders without their coupon, and used coupons without their order.
    OrdersWithoutCoupon,
    /// Used coupons whose order is cancelled or rejected.
    GivenUpWithCoupon,
    /// Slots of stores with more orders than they have room for, or with other bookings than orders.
    StoresOverCapacity,
    /// Coupons committed between the acknowledgement of a halt and the resumption.
    CommittedAfterHalt,
    /// Tiers and leases whose books differ, between quota and issuance or within one of them.
    LedgerImbalance,
    /// Answers that said the stock was gone for ever, and it was not.
    ExhaustedTooEarly,
    /// Claims and orders that nobody decided although everything had healed.
    LeftUndecided,
    /// Claims that were told "never" and served when they were sent again.
    NeverButLater,
    /// Callers who were not served within seconds of a fault's end.
    StuckAfterHeal,
}

impl Count {
    /// Every count.
    pub const ALL: [Self; 16] = [
        Self::IssuedBeyondStock,
        Self::IssuedShortOfStock,
        Self::ShoppersOverLimit,
        Self::AcknowledgedNotKept,
        Self::NeverAskedFor,
        Self::RequestsWithTwo,
        Self::RedeemedTwice,
        Self::OrdersWithoutCoupon,
        Self::GivenUpWithCoupon,
        Self::StoresOverCapacity,
        Self::CommittedAfterHalt,
        Self::LedgerImbalance,
        Self::ExhaustedTooEarly,
        Self::LeftUndecided,
        Self::NeverButLater,
        Self::StuckAfterHeal,
    ];

    /// What it counts, for people.
    pub fn words(self) -> &'static str {
        match self {
            Self::IssuedBeyondStock => "issued beyond stock",
            Self::IssuedShortOfStock => "never issued though asked for",
            Self::ShoppersOverLimit => "shoppers over their limit",
            Self::AcknowledgedNotKept => "acknowledged and not kept",
            Self::NeverAskedFor => "kept and never asked for",
            Self::RequestsWithTwo => "requests with two coupons or orders",
            Self::RedeemedTwice => "coupons redeemed twice",
            Self::OrdersWithoutCoupon => "orders without their coupon",
            Self::GivenUpWithCoupon => "cancelled orders with a coupon",
            Self::StoresOverCapacity => "stores over capacity",
            Self::CommittedAfterHalt => "committed after a halt",
            Self::LedgerImbalance => "ledger imbalances",
            Self::ExhaustedTooEarly => "told exhausted too early",
            Self::LeftUndecided => "left undecided",
            Self::NeverButLater => "told never and served later",
            Self::StuckAfterHeal => "stuck after heal",
        }
    }
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

    /// Takes the findings of another in.
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

    /// One count of one campaign.
    pub fn of(&self, campaign: &str, count: Count) -> u64 {
        let key = (campaign.to_owned(), count);
        self.counts.get(&key).copied().unwrap_or(0)
    }

    /// Some of what was found, in words.
    pub fn examples(&self) -> &[String] {
        &self.examples
    }
}

impl Serialize for Findings {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(Count::ALL.len() + 1))?;
        for count in Count::ALL {
            map.serialize_entry(&count, &self.total(count))?;
        }
        map.serialize_entry("examples", &self.examples)?;
        map.end()
    }
}
