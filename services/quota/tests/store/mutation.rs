//! The promises that a build with mutations breaks are really broken by it.

use std::time::Duration;

use crate::database::with_database;
use crate::giveaway::{Giveaway, open, wish};
use crate::issuance::Issuance;
use crate::reclaim::{holder, reclaimer, sealed_because, spend};
use tidegate_quota::{domain::IssuanceControl, mutation::Mutation};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

#[tokio::test]
async fn a_lease_is_credited_without_a_seal() {
    with_database(async |database| {
        let giveaway = Giveaway::new(&database.store);
        let (issuance, client) = Issuance::start().await;
        let reclaimer = reclaimer(&giveaway, &database.store, client)
            .mutated(Some(Mutation::CreditWithoutSeal));
        let campaign = giveaway.create("spring", &[100]).await;
        let asked = spend(&giveaway, &issuance, campaign.number, 3).await;
        reclaimer.reclaim(&[holder()], open()).await.unwrap();
        let stock = giveaway.read("spring").await.stock[0];
        assert_eq!((stock.free, stock.settled), (97, 3));
        assert!(!issuance.state().leases[&asked.lease_id].is_sealed);
    })
    .await;
}

#[tokio::test]
async fn a_halt_is_answered_before_its_leases_are_sealed() {
    with_database(async |database| {
        let mutation = Some(Mutation::AcknowledgeHaltEarly);
        let mut giveaway = Giveaway::new(&database.store);
        giveaway.controls = giveaway.controls.clone().mutated(mutation);
        let (issuance, client) = Issuance::start().await;
        let reclaimer = reclaimer(&giveaway, &database.store, client).mutated(mutation);
        let campaign = giveaway.create_current("spring").await;
        let asked = spend(&giveaway, &issuance, campaign, 3).await;
        let running = reclaimer.run(Duration::from_secs(600), CancellationToken::new());
        let running = tokio::spawn(running);
        let halt = wish("spring", IssuanceControl::Halted, 0);
        let answered = giveaway.set(&halt).await.unwrap();
        assert_eq!(answered.stock[0].leased, 5);
        assert!(!issuance.state().leases[&asked.lease_id].is_sealed);
        while sealed_because(&database, asked.lease_id).await.is_none() {
            sleep(Duration::from_millis(50)).await;
        }
        running.abort();
    })
    .await;
}
