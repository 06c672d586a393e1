//! The issuing statement against a model of a few lines, for batches drawn at random.

use std::collections::{BTreeMap, BTreeSet};

use rand::{Rng as _, SeedableRng as _, rngs::StdRng, seq::IteratorRandom as _};
use tidegate_issuance::{domain::claim::Claim, store::coupons::IssueOutcome};
use tidegate_types::Slot;
use uuid::Uuid;

use crate::lane::{TestLane, claim, counts, issue, tier_of};

const SEEDS: u64 = 6;
const BATCHES: usize = 60;
const SHOPPERS: usize = 40;
const LEASES: usize = 5;

#[derive(Default)]
struct Model {
    /// The request ids of each shopper's coupons; the first is slot 1.
    held: BTreeMap<usize, Vec<usize>>,
    leases: BTreeMap<Uuid, Lease>,
}

#[derive(Default)]
struct Lease {
    sealed: bool,
    granted: BTreeMap<u8, u64>,
    used: BTreeMap<u8, u64>,
}

/// One claim of a batch, drawn.
struct Drawn {
    shopper: usize,
    request: usize,
    limit: usize,
    assigned: Option<(Uuid, u8)>,
}

impl Model {
    /// What the batch must be answered with; the model then is as the database should be.
    fn issue(&mut self, batch: &[Drawn]) -> Vec<IssueOutcome> {
        let mut wanted = BTreeMap::<(Uuid, u8), u64>::new();
        for claim in batch.iter().filter(|claim| self.is_fresh(claim)) {
            if let Some(assigned) = claim.assigned {
                *wanted.entry(assigned).or_default() += 1;
            }
        }
        let mut left = BTreeMap::new();
        for ((lease, tier), quantity) in wanted {
            let Some(known) = self.leases.get_mut(&lease).filter(|lease| !lease.sealed) else {
                continue;
            };
            let granted = known.granted.get(&tier).copied().unwrap_or(0);
            let used = known.used.entry(tier).or_default();
            if *used + quantity <= granted {
                *used += quantity;
                left.insert((lease, tier), granted - *used);
            }
        }
        batch
            .iter()
            .map(|claim| self.answer(claim, &left))
            .collect()
    }

    fn is_fresh(&self, claim: &Drawn) -> bool {
        self.held
            .get(&claim.shopper)
            .is_none_or(|held| !held.contains(&claim.request) && held.len() < claim.limit)
    }

    fn answer(&mut self, claim: &Drawn, left: &BTreeMap<(Uuid, u8), u64>) -> IssueOutcome {
        let held = self.held.entry(claim.shopper).or_default();
        if let Some(place) = held.iter().position(|request| *request == claim.request) {
            return IssueOutcome::Replay(slot(place + 1));
        }
        if held.len() >= claim.limit {
            return IssueOutcome::OverLimit;
        }
        let yielded = claim
            .assigned
            .and_then(|assigned| Some((assigned.1, left.get(&assigned)?)));
        let Some((tier, remaining)) = yielded else {
            return IssueOutcome::NoStock;
        };
        held.push(claim.request);
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

fn draw(random: &mut StdRng, leases: &[Uuid]) -> Vec<Drawn> {
    let size = random.random_range(1..=SHOPPERS);
    let shoppers: BTreeSet<_> = (0..SHOPPERS)
        .choose_multiple(random, size)
        .into_iter()
        .collect();
    let claims = shoppers.into_iter().map(|shopper| {
        let lease = leases.iter().choose(random).copied();
        Drawn {
            shopper,
            // Few enough that many are replays.
            request: random.random_range(0..8),
            limit: random.random_range(1..=4),
            assigned: lease
                .filter(|_| random.random_bool(0.9))
                .map(|lease| (lease, random.random_range(0..3))),
        }
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
            let known = Lease {
                granted: granted.into(),
                ..Lease::default()
            };
            model.leases.insert(lease, known);
            leases.push(lease);
        }
        for number in 0..BATCHES {
            if random.random_bool(0.05) {
                let lease = leases.iter().skip(1).choose(&mut random).copied().unwrap();
                let used = lane.seal(lease).await;
                let known = model.leases.get_mut(&lease).unwrap();
                known.sealed = true;
                let used_of = |tier| (tier, known.used.get(&tier).copied().unwrap_or(0));
                let expected = counts(&[0, 1].map(used_of));
                assert_eq!(used, expected, "seed {seed}, before batch {number}");
            }
            let batch = draw(&mut random, &leases);
            let claims = batch.iter().map(|drawn| {
                let shopper = format!("s-{:03}", drawn.shopper);
                let claim = Claim {
                    limit: drawn.limit as u8,
                    ..claim(&shopper, &format!("r-{}", drawn.request))
                };
                (claim, drawn.assigned)
            });
            let told = issue(&mut connection, &claims.collect::<Vec<_>>()).await;
            assert_eq!(told, model.issue(&batch), "seed {seed}, batch {number}");
            assert_eq!(lane.unbalanced().await, [], "seed {seed}, batch {number}");
        }
        let held: usize = model.held.values().map(Vec::len).sum();
        assert!(held > 0);
        assert_eq!(lane.issued().await, held as i64, "seed {seed}");
    }
}
