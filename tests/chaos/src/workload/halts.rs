//! One campaign is halted and resumed again and again; between the acknowledgement and the
//! resumption not one coupon may be committed.

use std::time::Duration;

use anyhow::Result;
use rand::{Rng, SeedableRng, rngs::StdRng};
use sqlx::{ConnectOptions, Connection};
use tidegate_proto::r#type::v1::IssuanceControl;
use tokio::{
    sync::watch,
    time::{sleep, timeout},
};

use super::Scene;
use crate::{campaigns::HALTED, findings::Count, staff::control};

/// How long issuing goes on between halts, and how long it is halted, in milliseconds.
const GOES_ON_MS: std::ops::Range<u64> = 1_000..3_000;
const STANDS_MS: std::ops::Range<u64> = 500..2_000;
/// Between two attempts to read a database that is away.
const AGAIN: Duration = Duration::from_millis(100);

/// Halts and resumes until `over` says so; the campaign is open afterwards.
pub async fn halt_and_resume(scene: &Scene, mut over: watch::Receiver<bool>) {
    let mut random = StdRng::seed_from_u64(scene.seed.rotate_left(17));
    let campaign = &scene.campaigns[HALTED];
    let campaign_id = &campaign.terms.id;
    loop {
        let goes_on = Duration::from_millis(random.random_range(GOES_ON_MS));
        if timeout(goes_on, over.wait_for(|over| *over)).await.is_ok() {
            return;
        }
        let in_flight = scene.tally.in_flight();
        let set = async |issuance| {
            let gives_up_at = || scene.gives_up_at();
            control(&scene.staff, campaign_id, issuance, gives_up_at).await
        };
        if set(IssuanceControl::Halted).await.is_some() {
            let at_first = count(scene, campaign.campaign_number).await;
            scene.tally.counts().halts += in_flight.min(1);
            sleep(Duration::from_millis(random.random_range(STANDS_MS))).await;
            let at_last = count(scene, campaign.campaign_number).await;
            let committed = at_last.abs_diff(at_first);
            let example = format!(
                "{at_first} coupons when the halt was acknowledged, {at_last} before it was ended"
            );
            let mut told = scene.ledger.told();
            told.findings
                .add(campaign_id, Count::CommittedAfterHalt, committed, example);
        }
        set(IssuanceControl::Open).await;
    }
}

/// The campaign's coupons; waits for a database that is away.
async fn count(scene: &Scene, campaign_number: i32) -> i64 {
    loop {
        match try_count(scene, campaign_number).await {
            Ok(coupons) => return coupons,
            Err(_) => sleep(AGAIN).await,
        }
    }
}

async fn try_count(scene: &Scene, campaign_number: i32) -> Result<i64> {
    let mut connection = scene.issuance.connect().await?;
    let coupons = sqlx::query_scalar(include_str!("../../queries/count_coupons.sql"))
        .bind(campaign_number)
        .fetch_one(&mut connection)
        .await?;
    connection.close().await?;
    Ok(coupons)
}
