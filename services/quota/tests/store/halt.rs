//! Halting a campaign that has stock on lease, on a real PostgreSQL and with an issuance behind gRPC.

use std::time::{Duration, Instant};

use crate::database::with_database;
use crate::giveaway::{Giveaway, counts, later, open, request, wish};
use crate::issuance::Issuance;
use crate::reclaim::{reclaimer, sealed_because, spend};
use tidegate_quota::{
    QuotaError,
    domain::{Control, ControlChange, IssuanceControl, IssuanceState},
};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

/// Readings are a minute apart: whatever is sealed within a test is sealed because the halt said so.
const LONG_TTL: Duration = Duration::from_secs(600);

#[tokio::test]
async fn a_halt_is_acknowledged_only_when_every_lease_is_sealed() {
    with_database(async |database| {
        let giveaway = Giveaway::new(&database.store);
        let (issuance, client) = Issuance::start().await;
        let reclaimer = reclaimer(&giveaway, &database.store, client);
        let campaign = giveaway.create_current("spring").await;
        let first = spend(&giveaway, &issuance, campaign, 1).await;
        let second = spend(&giveaway, &issuance, campaign, 2).await;
        issuance.state().is_away = true;
        let running = tokio::spawn(reclaimer.run(LONG_TTL, CancellationToken::new()));
        let halt = wish("spring", IssuanceControl::Halted, 0);
        let soon = Instant::now() + Duration::from_millis(600);
        let halting = giveaway.set_by(&halt, soon).await.unwrap();
        assert!(Instant::now() < soon);
        assert_eq!(halting.issuance_state(), IssuanceState::Halting);

        issuance.state().is_away = false;
        let halted = giveaway.set(&halt).await.unwrap();
        assert_eq!(halted.issuance_state(), IssuanceState::Halted);
        assert_eq!(halted.control, halting.control);
        // Watchers hear of it, although nobody changed the control again.
        assert_eq!(halted.revision, halting.revision + 1);
        assert_eq!((halted.stock[0].free, halted.stock[0].settled), (97, 3));
        for lease in [first, second] {
            assert!(issuance.state().leases[&lease.lease_id].is_sealed);
            let because = sealed_because(&database, lease.lease_id).await;
            assert_eq!(because.as_deref(), Some("HALTED"));
        }
        running.abort();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_grant_that_raced_with_the_halt_is_sealed_or_was_refused() {
    const REPLICAS: u64 = 8;
    with_database(async |database| {
        let giveaway = Giveaway::new(&database.store);
        let (issuance, client) = Issuance::start().await;
        let reclaimer = reclaimer(&giveaway, &database.store, client);
        let campaign = giveaway.create_current("spring").await;
        let running = tokio::spawn(reclaimer.run(LONG_TTL, CancellationToken::new()));
        for round in 0..10 {
            let asking: Vec<_> = (0..REPLICAS)
                .map(|_| {
                    let giveaway = giveaway.clone();
                    tokio::spawn(async move {
                        let asked = request(campaign, &[], 1);
                        match giveaway.acquire_at(&asked, open()).await {
                            Ok(answer) => answer.granted.some().next().map(|_| asked.lease_id),
                            Err(QuotaError::IssuanceHalted { .. }) => None,
                            Err(error) => panic!("{error:?}"),
                        }
                    })
                })
                .collect();
            let halt = wish("spring", IssuanceControl::Halted, 2 * round);
            let halted = giveaway.set(&halt).await.unwrap();
            assert_eq!(halted.issuance_state(), IssuanceState::Halted);
            assert_eq!(halted.stock[0].leased, 0);
            for granted in asking {
                if let Some(lease_id) = granted.await.unwrap() {
                    assert!(issuance.state().leases[&lease_id].is_sealed);
                }
            }
            assert_eq!(giveaway.read("spring").await.stock[0].leased, 0);
            let resume = wish("spring", IssuanceControl::Open, 2 * round + 1);
            giveaway.set(&resume).await.unwrap();
        }
        running.abort();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_grant_that_waited_for_the_halt_to_commit_sees_it() {
    with_database(async |database| {
        let giveaway = Giveaway::new(&database.store);
        let campaign = giveaway.create("spring", &[100]).await;
        let mut work = database.store.begin(later()).await.unwrap();
        work.lock_tiers(campaign.number).await.unwrap();
        let halted = halted(&campaign.control);
        work.set_control(campaign.number, &halted).await.unwrap();
        let waiting = tokio::spawn({
            let giveaway = giveaway.clone();
            async move {
                let asked = request(campaign.number, &[], 1);
                giveaway.acquire_at(&asked, open()).await
            }
        });
        let blocked = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
        while sqlx::query_scalar::<_, i64>(blocked)
            .fetch_one(&database.pool)
            .await
            .unwrap()
            == 0
        {
            sleep(Duration::from_millis(5)).await;
        }
        work.end(Ok(())).await.unwrap();
        let refused = waiting.await.unwrap();
        assert!(matches!(refused, Err(QuotaError::IssuanceHalted { .. })), "{refused:?}");
    })
    .await;
}

fn halted(control: &Control) -> Control {
    let halt = wish("spring", IssuanceControl::Halted, control.epoch);
    match control.change(halt.wanted, halt.seen_epoch) {
        ControlChange::Changed(control) => control,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn only_the_settlement_that_ends_a_halt_is_told_to_watchers() {
    with_database(async |database| {
        let giveaway = Giveaway::new(&database.store);
        let campaign = giveaway.create("spring", &[100]).await;
        let asked = [(); 3].map(|()| request(campaign.number, &[], 1));
        for asked in &asked {
            giveaway.acquire(asked).await;
        }
        giveaway
            .settle(asked[0].lease_id, &counts(&[1]))
            .await
            .unwrap();
        assert_eq!(giveaway.read("spring").await.revision, campaign.revision);
        let halt = wish("spring", IssuanceControl::Halted, 0);
        let halting = giveaway
            .set_by(&halt, Instant::now() + Duration::from_millis(100))
            .await;
        let halting = halting.unwrap();
        assert_eq!(halting.issuance_state(), IssuanceState::Halting);
        giveaway
            .settle(asked[1].lease_id, &counts(&[1]))
            .await
            .unwrap();
        assert_eq!(giveaway.read("spring").await.revision, halting.revision);
        giveaway
            .settle(asked[2].lease_id, &counts(&[1]))
            .await
            .unwrap();
        let halted = giveaway.read("spring").await;
        assert_eq!(halted.issuance_state(), IssuanceState::Halted);
        assert_eq!(halted.revision, halting.revision + 1);
    })
    .await;
}
