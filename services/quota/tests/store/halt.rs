//! Halting a campaign that has stock on lease, on a real PostgreSQL and with an issuance behind gRPC.

use std::time::{Duration, Instant};

use crate::giveaway::{Giveaway, open, request, wish};
use crate::reclaim::{reclaiming, run, sealed_because, spend};
use tidegate_quota::{
    domain::{Control, IssuanceControl, IssuanceState},
    error::QuotaError,
};

#[tokio::test]
async fn a_halt_is_acknowledged_only_when_every_lease_is_sealed() {
    let giveaway = Giveaway::start().await;
    let (issuance, reclaimer) = reclaiming(&giveaway).await;
    let campaign = giveaway.create_current("spring").await;
    let first = spend(&giveaway, &issuance, campaign, 1).await;
    let second = spend(&giveaway, &issuance, campaign, 2).await;
    issuance.state().is_away = true;
    run(reclaimer);
    let halt = wish("spring", IssuanceControl::Halted, 0);
    let soon = Instant::now() + Duration::from_millis(600);
    let halting = giveaway.set_by(&halt, soon).await.unwrap();
    assert!(Instant::now() < soon);
    assert_eq!(halting.issuance_state(), IssuanceState::Halting);

    issuance.state().is_away = false;
    let halted = giveaway.set(&halt).await.unwrap();
    assert_eq!(halted.issuance_state(), IssuanceState::Halted);
    assert_eq!(halted.control, halting.control);
    // Watchers are sent it, although nobody changed the control again.
    assert_eq!(halted.revision, halting.revision + 1);
    assert_eq!((halted.stock[0].free, halted.stock[0].settled), (97, 3));
    for lease in [first, second] {
        assert!(issuance.state().leases[&lease.lease_id].is_sealed);
        let because = sealed_because(&giveaway, lease.lease_id).await;
        assert_eq!(because.as_deref(), Some("HALTED"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_grant_that_waited_for_the_halt_to_commit_sees_it() {
    let (giveaway, campaign) = Giveaway::of(&[100]).await;
    let mut work = giveaway.locking(campaign.number).await;
    let halted = Control {
        issuance: IssuanceControl::Halted,
        epoch: 1,
        ..campaign.control
    };
    let set = work.set_controls(&[(campaign.number, halted)]).await;
    set.unwrap();
    let waiting = tokio::spawn({
        let giveaway = giveaway.clone();
        async move { giveaway.acquire_one(campaign.number, open()).await }
    });
    giveaway.database.until_blocked().await;
    work.end(Ok(())).await.unwrap();
    refused!(waiting.await.unwrap(), QuotaError::IssuanceHalted { .. });
}

#[tokio::test]
async fn only_the_settlement_that_ends_a_halt_is_told_to_watchers() {
    let (giveaway, campaign) = Giveaway::of(&[100]).await;
    let asked = [(); 3].map(|()| request(campaign.number, &[], 1));
    for asked in &asked {
        giveaway.acquire(asked).await;
    }
    giveaway.give_back(asked[0].lease_id, &[1]).await;
    assert_eq!(giveaway.read("spring").await.revision, campaign.revision);
    let halt = wish("spring", IssuanceControl::Halted, 0);
    let soon = Instant::now() + Duration::from_millis(100);
    let halting = giveaway.set_by(&halt, soon).await.unwrap();
    assert_eq!(halting.issuance_state(), IssuanceState::Halting);
    giveaway.give_back(asked[1].lease_id, &[1]).await;
    assert_eq!(giveaway.read("spring").await.revision, halting.revision);
    giveaway.give_back(asked[2].lease_id, &[1]).await;
    let halted = giveaway.read("spring").await;
    assert_eq!(halted.issuance_state(), IssuanceState::Halted);
    assert_eq!(halted.revision, halting.revision + 1);
}
