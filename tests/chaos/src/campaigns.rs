//! The campaigns of a round.

use std::time::{Duration, SystemTime};

use tidegate_client::CampaignTerms;

#[derive(Debug, Clone)]
pub struct Campaign {
    pub terms: CampaignTerms,
    /// The number its codes carry.
    pub campaign_number: i32,
}

impl Campaign {
    /// How many coupons there are to give, over all tiers.
    pub fn stock(&self) -> u64 {
        self.terms.tiers.iter().map(|(_, stock)| stock).sum()
    }
}

/// The place of the campaign with several tiers and coupons a shopper.
pub const TIERED: usize = 0;
/// The place of the campaign that is halted and resumed.
pub const HALTED: usize = 1;
/// The place of the campaign for those who come when a fault is over.
pub const CALLERS: usize = 2;
/// The place of the first campaign that is drained; another follows whenever one is sold out.
pub const FIRST_DRAINED: usize = 3;
const DRAINED_EVERY: Duration = Duration::from_secs(12);
pub const DRAINED_STOCK: u64 = 150;
const DAYS: Duration = Duration::from_secs(3 * 24 * 3_600);
const COUPON_VALIDITY: Duration = Duration::from_secs(30 * 24 * 3_600);
/// Eight come after each fault, and each kind of fault comes however short the round is.
const CALLERS_AT_LEAST: u64 = 300;
const CALLERS_PER_SECOND: u64 = 8;
/// Faults take longer than they are given, since each kind comes once.
const SHORTEST: Duration = Duration::from_secs(15);

/// The terms of a round that lasts so long, with so much stock for each second of it.
pub fn of_round(duration: Duration, stock_per_second: u64) -> Vec<CampaignTerms> {
    let duration = duration.max(SHORTEST);
    let stock = stock_per_second * duration.as_secs();
    let for_callers = CALLERS_AT_LEAST + CALLERS_PER_SECOND * duration.as_secs();
    let mut all = vec![
        terms("tiered", vec![("gold", stock / 4), ("tea", stock)], 3),
        terms("halted", vec![("tea", stock / 2)], 1),
        terms("callers", vec![("tea", for_callers)], 1),
    ];
    all.extend(drained(1 + duration.as_secs() / DRAINED_EVERY.as_secs()));
    all
}

/// So many small campaigns, to be drained one after the other.
pub fn drained(count: u64) -> impl Iterator<Item = CampaignTerms> {
    (1..=count).map(|number| {
        let id = format!("drained-{number}");
        terms(id, vec![("tea", DRAINED_STOCK)], 1)
    })
}

/// Open for days before and after, since clocks are moved by hours.
pub fn terms(
    id: impl Into<String>,
    tiers: Vec<(&'static str, u64)>,
    limit_per_shopper: u32,
) -> CampaignTerms {
    CampaignTerms {
        tiers,
        limit_per_shopper,
        opens_at: SystemTime::now() - DAYS,
        open_for: 2 * DAYS,
        validity: COUPON_VALIDITY,
        ..CampaignTerms::open(id, 0)
    }
}
