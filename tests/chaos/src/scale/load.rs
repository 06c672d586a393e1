//! Who comes while the suite is scaled: shoppers at a steady rate, for campaigns whose stock lasts a little longer than the steps.

use crate::{campaigns::Terms, workload::Habits};

/// Of a hundred shoppers, who claim of the tiered campaign and of the one with one coupon a shopper. The others claim of small ones that are drained one after the other.
const WHO_CLAIM: (u32, u32) = (30, 50);
/// Few, since all of them book at one store, whose row every lane would wait for.
const WHO_ORDER: u32 = 25;
/// Coupons that a shopper of the tiered campaign asks for, on average.
const TIERED_CLAIMS: u64 = 2;
const DRAINED_STOCK: u64 = 150;

pub fn habits(arrivals_per_second: u64) -> Habits {
    Habits {
        arrivals_per_second,
        // The campaigns' stock is set here and not by it.
        stock_per_second: 0,
        who_claim: WHO_CLAIM,
        who_order: WHO_ORDER,
    }
}

/// Campaigns for so many shoppers a second during so many seconds, in the order that the workload expects.
pub fn campaigns(arrivals_per_second: u64, seconds: u64) -> Vec<Terms> {
    let shoppers = arrivals_per_second * seconds;
    let who = |of_hundred: u32| shoppers * u64::from(of_hundred) / 100;
    let (tiered, steady) = (who(WHO_CLAIM.0) * TIERED_CLAIMS, who(WHO_CLAIM.1));
    let drained = who(100 - WHO_CLAIM.0 - WHO_CLAIM.1) / DRAINED_STOCK + 1;
    let mut all = vec![
        Terms {
            campaign_id: "tiered".to_owned(),
            tiers: vec![("gold", tiered / 5), ("tea", tiered - tiered / 5)],
            limit_per_shopper: 3,
        },
        Terms {
            campaign_id: "steady".to_owned(),
            tiers: vec![("tea", steady)],
            limit_per_shopper: 1,
        },
        // Nobody comes for it while the suite is scaled.
        Terms {
            campaign_id: "callers".to_owned(),
            tiers: vec![("tea", 1)],
            limit_per_shopper: 1,
        },
    ];
    all.extend((1..=drained).map(|number| Terms {
        campaign_id: format!("drained-{number}"),
        tiers: vec![("tea", DRAINED_STOCK)],
        limit_per_shopper: 1,
    }));
    all
}
