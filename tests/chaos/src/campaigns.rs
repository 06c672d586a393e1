//! The campaigns of a round.

use std::time::Duration;

/// What a campaign is made with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Terms {
    pub campaign_id: String,
    /// Name and stock of each tier, in the order in which claims that name none are served.
    pub tiers: Vec<(&'static str, u64)>,
    /// Coupons a shopper may hold.
    pub limit_per_shopper: u32,
}

/// A campaign as it was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Campaign {
    pub terms: Terms,
    /// The number its codes carry.
    pub campaign_number: i32,
}

/// The place of the campaign with several tiers and coupons a shopper.
pub const TIERED: usize = 0;
/// The place of the campaign that is halted and resumed.
pub const HALTED: usize = 1;
/// The place of the campaign for those who come when a fault is over.
pub const CALLERS: usize = 2;
/// The place of the first campaign that is drained; another follows whenever one is sold out.
pub const FIRST_DRAINED: usize = 3;
/// Every place before this is used from the beginning on.
const DRAINED_EVERY: Duration = Duration::from_secs(12);
const DRAINED_STOCK: u64 = 150;
/// Eight come after each fault, and each kind of fault comes however short the round is.
const CALLERS_AT_LEAST: u64 = 300;
const CALLERS_PER_SECOND: u64 = 8;
/// Faults take longer than they are given, since each kind comes once.
const SHORTEST: Duration = Duration::from_secs(15);

/// The terms of a round that lasts so long, with so much stock for each second of it.
pub fn of_round(duration: Duration, stock_per_second: u64) -> Vec<Terms> {
    let duration = duration.max(SHORTEST);
    let stock = stock_per_second * duration.as_secs();
    let mut all = vec![
        Terms {
            campaign_id: "tiered".to_owned(),
            tiers: vec![("gold", stock / 4), ("tea", stock)],
            limit_per_shopper: 3,
        },
        Terms {
            campaign_id: "halted".to_owned(),
            tiers: vec![("tea", stock / 2)],
            limit_per_shopper: 1,
        },
        Terms {
            campaign_id: "callers".to_owned(),
            tiers: vec![(
                "tea",
                CALLERS_AT_LEAST + CALLERS_PER_SECOND * duration.as_secs(),
            )],
            limit_per_shopper: 1,
        },
    ];
    let drained = 1 + duration.as_secs() / DRAINED_EVERY.as_secs();
    all.extend((1..=drained).map(|number| Terms {
        campaign_id: format!("drained-{number}"),
        tiers: vec![("tea", DRAINED_STOCK)],
        limit_per_shopper: 1,
    }));
    all
}
