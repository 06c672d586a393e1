//! Which holders are taken for silent, on a real PostgreSQL.

use std::time::Duration;

use crate::database::with_database;
use crate::giveaway::{Giveaway, request, wish};
use crate::issuance::Issuance;
use crate::reclaim::{holder, reclaimer, sealed_because, spend};
use tidegate_quota::domain::{IssuanceControl, IssuanceState, SILENT_AFTER_READINGS, SilenceWatch};
use tokio::{task::JoinHandle, time::sleep};
use tokio_util::sync::CancellationToken;

#[tokio::test]
async fn a_holder_is_silent_once_its_beats_stand_still_and_not_before() {
    with_database(async |database| {
        let giveaway = Giveaway::new(&database.store);
        let (_, client) = Issuance::start().await;
        let reclaimer = reclaimer(&giveaway, &database.store, client);
        let campaign = giveaway.create("spring", &[100]).await;
        giveaway.acquire(&request(campaign.number, &[], 1)).await;
        let mut watch = SilenceWatch::default();
        // While it beats, however many readings there are.
        for _ in 0..3 * SILENT_AFTER_READINGS {
            giveaway.renew("issuance-0").await;
            assert_eq!(reclaimer.find_silent(&mut watch).await.unwrap(), []);
        }
        for _ in 1..SILENT_AFTER_READINGS {
            assert_eq!(reclaimer.find_silent(&mut watch).await.unwrap(), []);
        }
        let silent = reclaimer.find_silent(&mut watch).await.unwrap();
        assert_eq!(silent, [holder()]);
        giveaway.renew("issuance-0").await;
        assert_eq!(reclaimer.find_silent(&mut watch).await.unwrap(), []);
    })
    .await;
}

#[tokio::test]
async fn lives_that_are_over_and_hold_nothing_are_forgotten() {
    with_database(async |database| {
        let giveaway = Giveaway::new(&database.store);
        let (_, client) = Issuance::start().await;
        let reclaimer = reclaimer(&giveaway, &database.store, client);
        let campaign = giveaway.create("spring", &[100]).await;
        giveaway.acquire(&request(campaign.number, &[], 1)).await;
        for holder in ["issuance-0", "over-1", "over-2", "living"] {
            giveaway.renew(holder).await;
        }
        let mut watch = SilenceWatch::default();
        for _ in 0..=SILENT_AFTER_READINGS {
            giveaway.renew("living").await;
            reclaimer.find_silent(&mut watch).await.unwrap();
        }
        let kept: Vec<String> = sqlx::query_scalar("SELECT holder_id FROM holders ORDER BY 1")
            .fetch_all(&database.pool)
            .await
            .unwrap();
        assert_eq!(kept, ["issuance-0", "living"]);
    })
    .await;
}

/// A holder that gives a sign of life far more often than holders are read.
fn beat(giveaway: &Giveaway) -> JoinHandle<()> {
    let giveaway = giveaway.clone();
    tokio::spawn(async move {
        loop {
            giveaway.renew("issuance-0").await;
            sleep(Duration::from_millis(20)).await;
        }
    })
}

#[tokio::test]
async fn a_process_that_was_stopped_does_not_call_living_holders_silent() {
    const TTL: Duration = Duration::from_secs(1);
    with_database(async |database| {
        let giveaway = Giveaway::new(&database.store);
        let (issuance, client) = Issuance::start().await;
        let reclaimer = reclaimer(&giveaway, &database.store, client);
        let campaign = giveaway.create_current("spring").await;
        let asked = spend(&giveaway, &issuance, campaign, 1).await;
        let beating = beat(&giveaway);
        let running = tokio::spawn(reclaimer.run(TTL, CancellationToken::new()));
        let beats = async || -> i64 {
            sqlx::query_scalar("SELECT coalesce(max(beats), 0) FROM holders")
                .fetch_one(&database.pool)
                .await
                .unwrap()
        };
        for _ in 0..2 {
            let before = beats().await;
            while beats().await < before + 20 {
                sleep(Duration::from_millis(20)).await;
            }
            // All of this test runs on one thread, so this stops the reclaimer as SIGSTOP would, for several times the TTL.
            std::thread::sleep(3 * TTL);
        }
        let before = beats().await;
        while beats().await < before + 20 {
            sleep(Duration::from_millis(20)).await;
        }
        assert_eq!(sealed_because(&database, asked.lease_id).await, None);
        // The same reclaimer notices when the holder really dies.
        beating.abort();
        while sealed_because(&database, asked.lease_id).await.is_none() {
            sleep(Duration::from_millis(50)).await;
        }
        running.abort();
    })
    .await;
}

#[tokio::test]
async fn halts_in_quick_succession_make_nobody_silent() {
    with_database(async |database| {
        let giveaway = Giveaway::new(&database.store);
        let (issuance, client) = Issuance::start().await;
        let reclaimer = reclaimer(&giveaway, &database.store, client);
        let spring = giveaway.create_current("spring").await;
        let asked = spend(&giveaway, &issuance, spring, 1).await;
        let summer = giveaway.create_current("summer").await;
        // The readings are a minute apart, and this test takes less.
        let running = reclaimer.run(Duration::from_secs(600), CancellationToken::new());
        let running = tokio::spawn(running);
        for round in 0..2 * u64::from(SILENT_AFTER_READINGS) {
            spend(&giveaway, &issuance, summer, 1).await;
            let halt = wish("summer", IssuanceControl::Halted, 2 * round);
            let halted = giveaway.set(&halt).await.unwrap();
            assert_eq!(halted.issuance_state(), IssuanceState::Halted);
            let resume = wish("summer", IssuanceControl::Open, 2 * round + 1);
            giveaway.set(&resume).await.unwrap();
        }
        assert_eq!(sealed_because(&database, asked.lease_id).await, None);
        running.abort();
    })
    .await;
}
