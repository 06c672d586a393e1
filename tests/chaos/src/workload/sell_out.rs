//! Demand for more than there is: whatever stock the faults left anywhere has to come back and be
//! given out.

use futures_util::future::join_all;
use rand::{Rng, SeedableRng, rngs::StdRng};

use super::{
    Scene,
    claims::{ClaimEnd, Manner},
};
use crate::ledger::ClaimKey;

const SHOPPERS_AT_ONCE: u64 = 16;

/// New shoppers claim of every campaign that has begun until they are told that nothing is left.
pub async fn sell_out(scene: &Scene) {
    let campaigns = scene.begun().map(|(campaign, _)| campaign);
    let shoppers = campaigns
        .flat_map(|campaign| (0..SHOPPERS_AT_ONCE).map(move |shopper| (campaign, shopper)));
    join_all(shoppers.map(|(campaign, number)| {
        let random = StdRng::seed_from_u64(scene.seed ^ (number << 8) ^ campaign as u64);
        claim_until_the_end(scene, campaign, random)
    }))
    .await;
}

async fn claim_until_the_end(scene: &Scene, campaign: usize, mut random: StdRng) {
    for _ in 0..=scene.campaigns[campaign].stock() {
        let claim = ClaimKey {
            campaign,
            shopper: scene.next_shopper(campaign),
            request: random.random_range(1..9),
        };
        let of_any_tier = scene.claim_request(claim).tier_id.is_empty();
        match scene.claim(claim, Manner::Plain, &mut random).await {
            ClaimEnd::Coupon(_) => (),
            ClaimEnd::Refused(_) if !of_any_tier => (),
            ClaimEnd::Refused(_) | ClaimEnd::Undecided => return,
        }
    }
}
