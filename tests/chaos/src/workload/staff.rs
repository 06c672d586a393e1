//! What staff do during a round: make stores, and halt and resume one campaign again and again.
//! Between the acknowledgement of a halt and the resumption not one coupon may be committed.

use std::{ops::Range, time::Duration};

use anyhow::{Context, Result};
use rand::{Rng, SeedableRng, rngs::StdRng};
use sqlx::{ConnectOptions, Connection};
use tidegate_client::{Staff, store_of};
use tidegate_proto::{
    order_intake::v1::Store,
    r#type::v1::{IssuanceControl, IssuanceState},
};
use tokio::{
    sync::watch,
    time::{sleep, timeout},
};
use tonic::Status;

use super::Scene;
use crate::{campaigns::HALTED, findings::Count};

/// The store that has room for everybody, where those order who name none.
const STORE_ID: &str = "store-1";
/// Stores that are full soon.
pub const SMALL_STORES: u32 = 8;
/// How long staff wait for one answer.
pub const CALL_LIMIT: Duration = Duration::from_secs(3);
const ORDERS_PER_SLOT: u32 = 10_000;
const ORDERS_PER_SMALL_SLOT: u32 = 2;
const SMALL_SLOT_MINUTES: u32 = 1;
const AGAIN: Duration = Duration::from_millis(100);

/// How long issuing goes on between halts, and how long it is halted, in milliseconds.
const GOES_ON_MS: Range<u64> = 1_000..3_000;
const STANDS_MS: Range<u64> = 500..2_000;

/// Makes the big store and the small ones.
pub async fn make_stores(staff: &Staff) -> Result<()> {
    let mut stores = vec![store_of(STORE_ID, ORDERS_PER_SLOT)];
    stores.extend((0..SMALL_STORES).map(|number| Store {
        slot_minutes: Some(SMALL_SLOT_MINUTES),
        ..store_of(small_store_id(number), ORDERS_PER_SMALL_SLOT)
    }));
    let made = staff.put_stores(stores).await;
    made.context("order-intake did not make the stores")?;
    Ok(())
}

/// The id of a small store, counted from 0.
pub fn small_store_id(number: u32) -> String {
    format!("small-{}", number + 1)
}

/// Wants issuing to be halted or open, and asks until that is acknowledged; false if everybody has
/// given up by then.
async fn set(scene: &Scene, issuance: IssuanceControl) -> bool {
    let wanted = match issuance {
        IssuanceControl::Halted => IssuanceState::Halted,
        _ => IssuanceState::Open,
    };
    let campaign_id = scene.campaign_id(HALTED);
    let ask = async || -> Result<IssuanceState, Status> {
        let campaign = scene.staff.read(campaign_id).await?;
        let mut control = campaign.control.unwrap_or_default();
        if control.issuance() != issuance {
            control = scene.staff.issuing(campaign_id, issuance).await?;
        }
        Ok(control.issuance_state())
    };
    while !scene.gives_up() {
        if ask().await.ok() == Some(wanted) {
            return true;
        }
        sleep(AGAIN).await;
    }
    false
}

/// Halts and resumes until `over` says so; the campaign is open afterwards.
pub async fn halt_and_resume(scene: &Scene, mut over: watch::Receiver<bool>) {
    let mut random = StdRng::seed_from_u64(scene.seed.rotate_left(17));
    loop {
        let goes_on = Duration::from_millis(random.random_range(GOES_ON_MS));
        if timeout(goes_on, over.wait_for(|over| *over)).await.is_ok() {
            return;
        }
        let in_flight = scene.tally.in_flight();
        if set(scene, IssuanceControl::Halted).await {
            let at_first = count(scene).await;
            scene.tally.counts().halts += in_flight.min(1);
            sleep(Duration::from_millis(random.random_range(STANDS_MS))).await;
            let at_last = count(scene).await;
            let example = format!(
                "{at_first} coupons when the halt was acknowledged, {at_last} before it was ended"
            );
            let (campaign_id, committed) = (scene.campaign_id(HALTED), at_last.abs_diff(at_first));
            let mut told = scene.ledger.told();
            let findings = &mut told.findings;
            findings.add(campaign_id, Count::CommittedAfterHalt, committed, example);
        }
        set(scene, IssuanceControl::Open).await;
    }
}

/// The campaign's coupons; waits for a database that is away.
async fn count(scene: &Scene) -> i64 {
    let count = async || -> sqlx::Result<i64> {
        let mut connection = scene.issuance.connect().await?;
        let coupons = sqlx::query_scalar(include_str!("../../queries/count_coupons.sql"));
        let coupons = coupons.bind(scene.campaigns[HALTED].campaign_number);
        let coupons = coupons.fetch_one(&mut connection).await?;
        connection.close().await?;
        Ok(coupons)
    };
    loop {
        match count().await {
            Ok(coupons) => return coupons,
            Err(_) => sleep(AGAIN).await,
        }
    }
}
