//! Leases in a real database against the state machine that says how they must behave.

use std::collections::BTreeMap;

use rand::{Rng as _, SeedableRng as _, rngs::StdRng, seq::IteratorRandom as _};
use sqlx::PgConnection;
use tidegate_issuance::{
    domain::fence::{Counts, Fence},
    lane_work::Claimed,
    store::{coupons::IssueOutcome, fence::inspect, leases::Installed},
};
use uuid::Uuid;

use crate::{
    issuing::history::archive_all,
    lane::{TestLane, claim, issue, only_lane, tier_of},
};

const SEEDS: u64 = 4;
const STEPS: usize = 250;
const LEASES: usize = 12;
const TIERS: u8 = 3;
const RACES: usize = 200;

/// Issues so many coupons of one lease and tier at once; true if all were issued, false if none was.
async fn spend(connection: &mut PgConnection, lease: Uuid, tier: u8, quantity: u64) -> bool {
    let claim = || claim(&Uuid::new_v4().to_string(), "r-1");
    let claims = (0..quantity).map(|_| (claim(), Some((lease, tier))));
    let outcomes = issue(connection, &claims.collect::<Vec<_>>()).await;
    let issued = |outcome: &IssueOutcome| matches!(outcome, IssueOutcome::Issued { .. });
    let all = outcomes.iter().all(issued);
    assert!(all || !outcomes.iter().any(issued), "{outcomes:?}");
    all
}

/// Does one thing, drawn at random, to a lease in the database and to its fence; both must answer alike.
async fn step(
    random: &mut StdRng,
    lane: &TestLane,
    writer: &mut PgConnection,
    lease: Uuid,
    fence: Fence,
) -> Fence {
    match random.random_range(0..10) {
        0..3 => {
            let granted = [0, 1].map(|tier| (tier, random.random_range(1..9)));
            let counts: Counts = granted.map(|(tier, count)| (tier_of(tier), count)).into();
            let installed = lane.install(lease, &granted).await;
            let (next, fresh) = fence.install(counts);
            assert_eq!(installed == Installed::Fresh, fresh);
            next
        }
        3..8 => {
            let (tier, quantity) = (random.random_range(0..TIERS), random.random_range(1..4));
            let spent = spend(writer, lease, tier, quantity).await;
            let next = fence.clone().spend(tier_of(tier), quantity);
            assert_eq!(spent, next.is_ok());
            next.unwrap_or(fence)
        }
        8 => {
            // What is sealed is settled and archived at some time, and nobody can tell.
            if matches!(fence, Fence::Sealed { .. }) {
                lane.mark_returned(lease).await;
                archive_all(lane).await;
            }
            fence
        }
        _ => {
            let sealed = lane.seal_all(&[lease]).await;
            let (next, used) = fence.seal();
            assert_eq!(sealed[0].was_installed, !used.is_empty());
            let told: Counts = sealed[0].used.iter().copied().collect();
            assert_eq!(told, used);
            next
        }
    }
}

#[tokio::test]
async fn leases_in_the_database_behave_as_the_fence_says_whatever_the_order_of_events() {
    for seed in 0..SEEDS {
        println!("seed {seed}");
        let mut random = StdRng::seed_from_u64(seed);
        let lane = TestLane::create().await;
        let mut writer = lane.connect().await;
        let leases: Vec<_> = (0..LEASES).map(|_| Uuid::new_v4()).collect();
        let mut fences: BTreeMap<_, _> = leases.iter().map(|id| (*id, Fence::default())).collect();
        for _ in 0..STEPS {
            let lease = leases.iter().choose(&mut random).copied().unwrap();
            let fence = fences.remove(&lease).unwrap();
            let next = step(&mut random, &lane, &mut writer, lease, fence).await;
            fences.insert(lease, next);
            let ids: Vec<_> = fences.keys().copied().collect();
            let stored = inspect(&lane.pool, only_lane(), &ids).await.unwrap();
            assert_eq!(stored, fences.values().cloned().collect::<Vec<_>>());
        }
        assert_eq!(lane.unbalanced().await, []);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_an_installation_and_a_seal_at_once_nothing_is_left_to_spend() {
    let lane = TestLane::create().await;
    let mut connection = lane.connect().await;
    let (mut too_late, mut in_time) = (0, 0);
    for round in 0..RACES {
        let leases: Vec<_> = (0..4).map(|_| Uuid::now_v7()).collect();
        let installing = leases.iter().map(|lease| {
            let (lane, lease) = (lane.clone(), *lease);
            tokio::spawn(async move { lane.install(lease, &[(0, 10)]).await })
        });
        let installing: Vec<_> = installing.collect();
        let sealed = lane.seal_all(&leases).await;
        for ((lease, installing), sealed) in leases.iter().zip(installing).zip(sealed) {
            let spent = spend(&mut connection, *lease, 0, 1).await;
            assert!(!spent, "round {round}: spent after the seal answered");
            let installed = installing.await.unwrap();
            assert_eq!(installed == Installed::Fresh, sealed.was_installed);
            assert!(!spend(&mut connection, *lease, 0, 1).await, "round {round}");
            in_time += u32::from(sealed.was_installed);
            too_late += u32::from(!sealed.was_installed);
        }
    }
    assert!(too_late > 0 && in_time > 0, "{too_late} {in_time}");
    assert_eq!(lane.issued().await, 0);
}

#[tokio::test]
async fn a_lease_whose_seal_a_fail_over_lost_is_sealed_anew_before_anything_is_committed() {
    let lane = TestLane::create().await;
    let lease = lane.lease(&[(0, 10)]).await;
    let other = Uuid::now_v7();
    lane.seal_all(&[lease, other]).await;
    // The standby that takes over had neither the seal nor the tombstone yet.
    lane.database.execute("UPDATE leases SET sealed = FALSE WHERE installed_at IS NOT NULL; UPDATE lease_tiers SET sealed = FALSE;
         DELETE FROM leases WHERE installed_at IS NULL; UPDATE lane_timelines SET timeline = timeline - 1").await;
    let asked_before = lane.timeline().await;
    let writer = lane.writer();
    writer.hold(1, lease, &[(0, 10)]);
    let told = writer.claim(claim("s-1", "r-1")).await.unwrap();
    assert!(matches!(told, Claimed::NoStock), "{told:?}");
    let late = lane.install_asked_on(other, &[(0, 10)], asked_before).await;
    assert_eq!(late, Installed::Before(Vec::new()));
    // What is granted from now on can be spent.
    let fresh = lane.lease(&[(0, 10)]).await;
    writer.hold(1, fresh, &[(0, 10)]);
    writer.claim_coupon(claim("s-1", "r-1")).await;
    assert_eq!(lane.unbalanced().await, []);
}
