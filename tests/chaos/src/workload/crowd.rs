//! Shoppers that come one after the other, and what they mostly do.

use std::{
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use anyhow::{Context, Result};
use futures_util::future::join_all;
use rand::{Rng, SeedableRng, rngs::StdRng};
use tidegate_client::Gateway;
use tokio::{
    sync::{Semaphore, watch},
    task::{JoinHandle, JoinSet},
    time::interval,
};

use super::{Scene, claims::Manner, end::Late};
use crate::{findings::Count, ledger::ClaimKey, mutation::Mutation, tally::locked};

/// Shoppers at a time of the tiered, the halted and the drained campaigns: who waits for one of
/// them must not keep others away.
const SHOPPERS_AT_ONCE: [usize; 3] = [110, 60, 80];

#[derive(Debug, Clone, Copy)]
pub struct Habits {
    /// How many come each second, as long as there is room for them.
    pub arrivals_per_second: u64,
    /// How much stock there is for each second of a round.
    pub stock_per_second: u64,
    /// How many of a hundred claim of the tiered campaign, and of the halted one. The others claim
    /// of the one that is being drained.
    pub who_claim: (u32, u32),
    /// How many of a hundred order with their coupon.
    pub who_order: u32,
}

impl Habits {
    /// The habits of a full round; for a mutation those that expose it.
    pub fn of(mutation: Option<Mutation>) -> Self {
        match mutation {
            // Commits of orders and of small leases bring those before them to disk as well, and
            // would save what is to be lost.
            Some(Mutation::AcknowledgeBeforeCommit) => Self {
                arrivals_per_second: 120,
                stock_per_second: 10_000,
                who_claim: (100, 0),
                who_order: 0,
            },
            // Issuance hears of a halt within a fraction of a second: there have to be claims in
            // it.
            Some(Mutation::AcknowledgeHaltEarly) => Self {
                arrivals_per_second: 120,
                stock_per_second: 120,
                who_claim: (20, 60),
                who_order: 10,
            },
            // Coupons are used for orders by the key that is missing.
            Some(Mutation::DropUniqueKey) => Self {
                who_order: 0,
                ..Self::of(None)
            },
            _ => Self {
                arrivals_per_second: 40,
                // More than shoppers ask for while faults slow them down, so that the end is
                // reached after the faults.
                stock_per_second: 32,
                who_claim: (40, 25),
                who_order: 70,
            },
        }
    }
}

/// Shoppers that come one after the other, until they are told to stay away.
#[derive(Debug)]
pub struct Crowd {
    arriving: JoinHandle<JoinSet<()>>,
    is_open: watch::Sender<()>,
}

impl Crowd {
    pub fn come(scene: Arc<Scene>) -> Self {
        let (is_open, mut is_over) = watch::channel(());
        let arriving = tokio::spawn(async move {
            let mut shoppers = JoinSet::new();
            let rooms = SHOPPERS_AT_ONCE.map(|places| Arc::new(Semaphore::new(places)));
            let mut ticks = interval(Duration::from_millis(
                1_000 / scene.habits.arrivals_per_second,
            ));
            let mut random = StdRng::seed_from_u64(scene.seed);
            for tick in 0u64.. {
                tokio::select! {
                    _ = ticks.tick() => (),
                    _ = is_over.changed() => return shoppers,
                }
                if tick % 2 == 1 && scene.tally.half_load.load(Relaxed) {
                    continue;
                }
                let (campaign, room) = scene.draw_campaign(&mut random);
                let visit = visit(scene.clone(), campaign, random.random());
                if let Ok(place) = rooms[room].clone().try_acquire_owned() {
                    shoppers.spawn(async move {
                        visit.await;
                        drop(place);
                    });
                }
            }
            shoppers
        });
        Self { arriving, is_open }
    }

    /// Lets no more come and waits until the last one is gone.
    pub async fn leave(self) -> Result<()> {
        drop(self.is_open);
        let mut shoppers = self.arriving.await.context("shoppers stopped coming")?;
        while let Some(ended) = shoppers.join_next().await {
            ended.context("a shopper crashed")?;
        }
        Ok(())
    }
}

const WHO_LOOK: u32 = 30;
const WHO_COME_BACK_LATE: u32 = 20;
const WHO_WANT_TOO_MUCH: u32 = 10;
/// More coupons than any shopper's wallet holds here.
const WALLET_PAGE: u32 = 100;

/// Claims, orders, looks into the wallet, and perhaps comes back when all is over.
async fn visit(scene: Arc<Scene>, campaign: usize, seed: u64) {
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
    let ends = join_all(claims).await.into_iter();
    let coupons: Vec<(ClaimKey, String)> = ends
        .filter_map(|(claim, end)| Some((claim, end.ok()?)))
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
