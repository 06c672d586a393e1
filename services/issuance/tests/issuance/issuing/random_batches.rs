//! The issuing statement against a model of a few lines, for batches drawn at random.

use std::{collections::BTreeMap, mem};

use rand::{Rng as _, SeedableRng as _, rngs::StdRng, seq::IteratorRandom as _};
use tidegate_issuance::{
    domain::{
        claim::Claim,
        fence::{Counts, Fence},
    },
    store::coupons::IssueOutcome,
};
use tidegate_types::{RequestId, ShopperId, Slot};
use uuid::Uuid;

use crate::lane::{TestLane, claim, counts, issue, tier_of};

const SEEDS: u64 = 6;
const BATCHES: usize = 60;
const SHOPPERS: usize = 40;
const LEASES: usize = 5;

/// A claim, with the lease and the tier that it is assigned to.
type Assigned = (Claim, Option<(Uuid, u8)>);

#[derive(Default)]
struct Model {
    /// The request ids of each shopper's coupons; the first is slot 1.
    held: BTreeMap<ShopperId, Vec<RequestId>>,
    leases: BTreeMap<Uuid, Fence>,
}

impl Model {
    /// What the batch must be answered with; the model then is as the database should be.
    fn issue(&mut self, batch: &[Assigned]) -> Vec<IssueOutcome> {
        let mut wanted = BTreeMap::<(Uuid, u8), u64>::new();
        for (claim, assigned) in batch {
            if let (None, Some(assigned)) = (self.answered(claim), assigned) {
                *wanted.entry(*assigned).or_default() += 1;
            }
        }
        let mut left = BTreeMap::new();
        for ((lease, number), quantity) in wanted {
            let (tier, fence) = (tier_of(number), self.leases.entry(lease).or_default());
            let Ok(Fence::Open { granted, used }) = fence.clone().spend(tier, quantity) else {
                continue;
            };
            left.insert((lease, number), granted[&tier] - used[&tier]);
            *fence = Fence::Open { granted, used };
        }
        let answers = batch.iter().map(|claim| self.answer(claim, &left));
        answers.collect()
    }

    /// What a claim is told that needs no stock.
    fn answered(&self, claim: &Claim) -> Option<IssueOutcome> {
        let held = self.held.get(&claim.shopper)?;
        let replayed = held.iter().position(|request| *request == claim.request_id);
        let is_over_limit = held.len() >= claim.limit.into();
        let over_limit = is_over_limit.then_some(IssueOutcome::OverLimit);
        replayed.map_or(over_limit, |place| {
            Some(IssueOutcome::Replay(slot(place + 1)))
        })
    }

    fn answer(
        &mut self,
        (claim, assigned): &Assigned,
        left: &BTreeMap<(Uuid, u8), u64>,
    ) -> IssueOutcome {
        if let Some(answered) = self.answered(claim) {
            return answered;
        }
        let yielded = assigned.and_then(|assigned| Some((assigned.1, left.get(&assigned)?)));
        let Some((tier, remaining)) = yielded else {
            return IssueOutcome::NoStock;
        };
        let held = self.held.entry(claim.shopper.clone()).or_default();
        held.push(claim.request_id.clone());
        IssueOutcome::Issued {
            slot: slot(held.len()),
            tier: tier_of(tier),
            remaining: *remaining,
        }
    }
}

fn slot(number: usize) -> Slot {
    Slot::new(number as u64).expect("a slot")
}

fn draw(random: &mut StdRng, leases: &[Uuid]) -> Vec<Assigned> {
    let size = random.random_range(1..=SHOPPERS);
    let mut shoppers = (0..SHOPPERS).choose_multiple(random, size);
    shoppers.sort_unstable();
    let claims = shoppers.into_iter().map(|shopper| {
        // Few enough that many are replays.
        let request = format!("r-{}", random.random_range(0..8));
        let claim = Claim {
            limit: random.random_range(1..=4),
            ..claim(&format!("s-{shopper:03}"), &request)
        };
        let lease = leases.iter().choose(random).copied();
        let lease = lease.filter(|_| random.random_bool(0.9));
        let assigned = lease.map(|lease| (lease, random.random_range(0..3)));
        (claim, assigned)
    });
    claims.collect()
}

#[tokio::test]
async fn coupons_issued_equal_what_leases_say_is_used_whatever_the_batches() {
    for seed in 0..SEEDS {
        let mut random = StdRng::seed_from_u64(seed);
        let lane = TestLane::create().await;
        let mut connection = lane.connect().await;
        let (mut model, mut leases) = (Model::default(), vec![Uuid::new_v4()]);
        for _ in 0..LEASES {
            let granted = [0, 1].map(|tier| (tier, random.random_range(0..40)));
            let lease = lane.lease(&granted).await;
            let granted = counts(&granted).into_iter().collect();
            let (fence, _) = Fence::default().install(granted);
            model.leases.insert(lease, fence);
            leases.push(lease);
        }
        for number in 0..BATCHES {
            if random.random_bool(0.05) {
                let lease = leases.iter().skip(1).choose(&mut random).copied().unwrap();
                let used: Counts = lane.seal(lease).await.into_iter().collect();
                let fence = model.leases.get_mut(&lease).unwrap();
                let (sealed, expected) = mem::take(fence).seal();
                *fence = sealed;
                assert_eq!(used, expected, "seed {seed}, before batch {number}");
            }
            let batch = draw(&mut random, &leases);
            let told = issue(&mut connection, &batch).await;
            assert_eq!(told, model.issue(&batch), "seed {seed}, batch {number}");
            assert_eq!(lane.unbalanced().await, [], "seed {seed}, batch {number}");
        }
        let held: usize = model.held.values().map(Vec::len).sum();
        assert!(held > 0);
        assert_eq!(lane.issued().await, held as i64, "seed {seed}");
    }
}
