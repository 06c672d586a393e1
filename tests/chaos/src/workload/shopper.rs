//! One shopper's visit.

use std::sync::Arc;

use futures_util::future::join_all;
use rand::{Rng, SeedableRng, rngs::StdRng};
use tidegate_client::Gateway;

use super::{
    Late, Scene,
    claims::{ClaimEnd, Manner},
};
use crate::{findings::Count, ledger::ClaimKey, tally::locked};

const WHO_LOOK: u32 = 30;
const WHO_COME_BACK_LATE: u32 = 20;
const WHO_WANT_TOO_MUCH: u32 = 10;
/// More coupons than any shopper's wallet holds here.
const WALLET_PAGE: u32 = 100;

/// Claims, orders, looks into the wallet, and perhaps comes back when all is over.
pub async fn visit(scene: Arc<Scene>, campaign: usize, seed: u64) {
    let random = &mut StdRng::seed_from_u64(seed);
    let shopper = scene.next_shopper(campaign);
    let limit = scene.campaigns[campaign].terms.limit_per_shopper;
    let too_many = u32::from(random.random_range(0..100) < WHO_WANT_TOO_MUCH);
    let requests = random.random_range(1..=limit) + too_many;
    let claims = (1..=requests).map(|request| {
        let mut random = StdRng::seed_from_u64(random.random());
        let claim = ClaimKey {
            campaign,
            shopper,
            request: request as u8,
        };
        let scene = &scene;
        async move {
            let manner = Manner::draw(&mut random);
            (claim, scene.claim(claim, manner, &mut random).await)
        }
    });
    let ends = join_all(claims).await;
    let coupons: Vec<(ClaimKey, String)> = ends
        .into_iter()
        .filter_map(|(claim, end)| match end {
            ClaimEnd::Coupon(code) => Some((claim, code)),
            ClaimEnd::Refused(_) | ClaimEnd::Undecided => None,
        })
        .collect();
    if random.random_range(0..100) < WHO_LOOK {
        scene.look_into_wallet(&coupons, random).await;
    }
    for (claim, code) in coupons {
        let orders = if random.random_range(0..100) < scene.habits.who_order {
            scene.order(claim, &code, random).await
        } else {
            Vec::new()
        };
        if random.random_range(0..100) < WHO_COME_BACK_LATE {
            locked(&scene.late).push(Late { claim, orders });
        }
    }
}

impl Scene {
    /// Every coupon that the shopper was told of must be in the wallet.
    async fn look_into_wallet(&self, coupons: &[(ClaimKey, String)], random: &mut StdRng) {
        let Some((claim, _)) = coupons.first() else {
            return;
        };
        let shopper_id = &claim.shopper_id();
        let look = |gateway: Gateway| async move { gateway.coupons(shopper_id, WALLET_PAGE).await };
        let gateway = random.random_range(0..self.door.gateways());
        let Ok((wallet, _)) = self.call(gateway, look).await else {
            return;
        };
        for (claim, code) in coupons {
            if !wallet.iter().any(|coupon| coupon.code == *code) {
                let example = format!("{claim:?} is not in the wallet");
                self.found(claim.campaign, Count::AcknowledgedNotKept, example);
            }
        }
    }
}
