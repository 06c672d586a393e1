//! Which lease holders are taken for silent, on a real PostgreSQL.

use std::time::Duration;

use crate::giveaway::{Giveaway, request};
use crate::reclaim::{holder, lending, reclaiming, run, sealed_because, spend};
use tidegate_quota::domain::{IssuanceControl, IssuanceState, SILENT_AFTER_READINGS, SilenceWatch};
use tidegate_test_kit::until;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

#[tokio::test]
async fn whoever_beats_no_more_is_silent_and_forgotten_if_it_holds_nothing() {
    let (giveaway, campaign, _issuance, reclaimer) = lending(100).await;
    giveaway.acquire(&request(campaign.number, &[], 1)).await;
    for holder in ["issuance-0", "over-1", "over-2", "living"] {
        giveaway.renew(holder).await;
    }
    let mut watch = SilenceWatch::default();
    for readings in 0..=SILENT_AFTER_READINGS {
        giveaway.renew("living").await;
        let is_over = readings == SILENT_AFTER_READINGS;
        let silent = is_over.then(holder).into_iter().collect::<Vec<_>>();
        assert_eq!(reclaimer.find_silent(&mut watch).await.unwrap(), silent);
    }
    let kept = "SELECT array_agg(holder_id ORDER BY holder_id) FROM holders";
    let kept: Vec<String> = giveaway.database.ask(kept).await;
    assert_eq!(kept, ["issuance-0", "living"]);
    giveaway.renew("issuance-0").await;
    assert_eq!(reclaimer.find_silent(&mut watch).await.unwrap(), []);
}

#[tokio::test]
async fn a_process_that_was_stopped_does_not_call_living_holders_silent() {
    const TTL: Duration = Duration::from_secs(1);
    let giveaway = Giveaway::start().await;
    let (issuance, reclaimer) = reclaiming(&giveaway).await;
    let campaign = giveaway.create_current("spring").await;
    let asked = spend(&giveaway, &issuance, campaign, 1).await;
    // A sign of life far more often than lease holders are read.
    let beating = tokio::spawn({
        let giveaway = giveaway.clone();
        async move {
            loop {
                giveaway.renew("issuance-0").await;
                sleep(Duration::from_millis(20)).await;
            }
        }
    });
    let running = tokio::spawn(reclaimer.run(TTL, CancellationToken::new()));
    let beats = async || {
        let beats = "SELECT coalesce(max(beats), 0) FROM holders";
        giveaway.database.number(beats).await
    };
    let beats_on = async || {
        let before = beats().await;
        until("it beats", async || beats().await >= before + 20).await;
    };
    for _ in 0..2 {
        beats_on().await;
        // All of this test runs on one thread, so this stops the reclaimer as SIGSTOP would, for several times the TTL.
        std::thread::sleep(3 * TTL);
    }
    beats_on().await;
    assert_eq!(sealed_because(&giveaway, asked.lease_id).await, None);
    // The same reclaimer notices when the lease holder really dies.
    beating.abort();
    let is_sealed = async || sealed_because(&giveaway, asked.lease_id).await.is_some();
    until("the dead one's lease is sealed", is_sealed).await;
    running.abort();
}

#[tokio::test]
async fn halts_in_quick_succession_make_nobody_silent() {
    let giveaway = Giveaway::start().await;
    let (issuance, reclaimer) = reclaiming(&giveaway).await;
    let spring = giveaway.create_current("spring").await;
    let asked = spend(&giveaway, &issuance, spring, 1).await;
    let summer = giveaway.create_current("summer").await;
    run(reclaimer);
    for round in 0..2 * u64::from(SILENT_AFTER_READINGS) {
        spend(&giveaway, &issuance, summer, 1).await;
        let halted = giveaway
            .wish("summer", IssuanceControl::Halted, 2 * round)
            .await;
        assert_eq!(halted.issuance_state(), IssuanceState::Halted);
        giveaway
            .wish("summer", IssuanceControl::Open, 2 * round + 1)
            .await;
    }
    assert_eq!(sealed_because(&giveaway, asked.lease_id).await, None);
}
