//! Shoppers that claim, order and look into their wallets while the suite is being broken, and
//! staff that halt a campaign meanwhile.

mod callers;
mod claims;
mod crowd;
mod end;
mod orders;
mod staff;

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use anyhow::Result;
use rand::{Rng, rngs::StdRng};
use sqlx::postgres::PgConnectOptions;
use tidegate_client::{CampaignTerms, Gateway, Staff};
use tidegate_local::stack::{Service, Stack};
use tokio::time::Instant;
use tonic::Status;

use crate::{
    campaigns::{Campaign, FIRST_DRAINED, HALTED, TIERED},
    door::{Door, Failure},
    findings::Count,
    ledger::Ledger,
    suite::database,
    tally::{Tally, locked},
};

use end::Late;
use staff::{CALL_LIMIT, make_stores};

pub use crowd::{Crowd, Habits};
pub use end::see_out;
pub use staff::halt_and_resume;

/// What all who act in a round share.
#[derive(Debug)]
pub struct Scene {
    pub door: Door,
    pub staff: Staff,
    pub ledger: Ledger,
    pub tally: Arc<Tally>,
    pub campaigns: Vec<Campaign>,
    /// Issuance's database, by a superuser and past every proxy.
    pub issuance: PgConnectOptions,
    habits: Habits,
    seed: u64,
    shoppers: Vec<AtomicU32>,
    drained: AtomicUsize,
    late: Mutex<Vec<Late>>,
    gives_up_at: Mutex<Option<Instant>>,
}

impl Scene {
    /// Makes the stores and the campaigns of a round. Shoppers may come at once: who is told that
    /// there is no such campaign tries again.
    pub async fn set(
        stack: &Stack,
        terms: Vec<CampaignTerms>,
        habits: Habits,
        seed: u64,
    ) -> Result<Arc<Self>> {
        let tally = Arc::new(Tally::default());
        let staff = Staff::of(stack)?.within(CALL_LIMIT);
        make_stores(&staff).await?;
        let mut campaigns = Vec::new();
        for terms in terms {
            let made = staff.make(&terms).await?;
            let campaign_number = i32::try_from(made.campaign_number)?;
            campaigns.push(Campaign {
                terms,
                campaign_number,
            });
        }
        Ok(Arc::new(Self {
            door: Door::new(stack, tally.clone())?,
            staff,
            ledger: Ledger::default(),
            tally,
            issuance: database(stack, Service::Issuance),
            habits,
            seed,
            shoppers: campaigns.iter().map(|_| AtomicU32::new(0)).collect(),
            drained: AtomicUsize::new(FIRST_DRAINED),
            campaigns,
            late: Mutex::default(),
            gives_up_at: Mutex::default(),
        }))
    }

    /// The campaigns that anybody has claimed of.
    pub fn begun(&self) -> impl Iterator<Item = (usize, &Campaign)> {
        let campaigns = self.campaigns.iter().enumerate();
        campaigns.filter(|(place, _)| self.shoppers[*place].load(Relaxed) > 0)
    }

    /// From so long from now on, whoever has no final answer gives up: everything has healed.
    pub fn give_up_after(&self, patience: Duration) {
        *locked(&self.gives_up_at) = Some(Instant::now() + patience);
    }

    fn gives_up_at(&self) -> Option<Instant> {
        *locked(&self.gives_up_at)
    }

    /// Sends until an answer is final, over this gateway first.
    async fn call<T, Sent: Future<Output = Result<T, Status>>>(
        &self,
        gateway: usize,
        rpc: impl Fn(Gateway) -> Sent,
    ) -> Result<(T, Instant), Failure> {
        self.door.call(gateway, || self.gives_up_at(), rpc).await
    }

    /// Whether everything has healed so long ago that no answer is waited for any more.
    fn gives_up(&self) -> bool {
        self.gives_up_at().is_some_and(|at| Instant::now() > at)
    }

    fn found(&self, campaign: usize, count: Count, example: String) {
        let campaign_id = self.campaign_id(campaign);
        let mut told = self.ledger.told();
        told.findings.add(campaign_id, count, 1, example);
    }

    fn campaign_id(&self, place: usize) -> &str {
        &self.campaigns[place].terms.id
    }

    fn next_shopper(&self, campaign: usize) -> u32 {
        self.shoppers[campaign].fetch_add(1, Relaxed)
    }

    /// A campaign was told to be sold out: if it is the one being drained, the next one's turn has
    /// come.
    fn sold_out(&self, campaign: usize) {
        let next = campaign + 1;
        if next < self.campaigns.len() {
            let _ = self
                .drained
                .compare_exchange(campaign, next, Relaxed, Relaxed);
        }
    }

    /// The campaign that somebody comes for, and which room they wait in.
    fn draw_campaign(&self, random: &mut StdRng) -> (usize, usize) {
        let (tiered, halted) = self.habits.who_claim;
        match random.random_range(0..100) {
            drawn if drawn < tiered => (TIERED, 0),
            drawn if drawn < tiered + halted => (HALTED, 1),
            _ => (self.drained.load(Relaxed), 2),
        }
    }
}
