//! Fairness: the order of service, what shoppers are told, the end at the sell-out, and what a flood of claims does to orders and to a gateway's memory.

mod order_of_service;
mod orders;
mod report;
mod waiting_million;

use std::{path::Path, sync::Arc, time::Duration};

use anyhow::{Result, ensure};
use clap::Args;
use tokio::time::Instant;

use crate::{
    crowd::Crowd,
    results,
    shoppers::{
        Scene,
        arrivals::{Arrivals, Stretch},
        come,
        journey::{Journey, Manner},
    },
    stage::Stage,
    suite, tell,
};
use order_of_service::Treatment;
use report::Report;

/// More than one, so that what one gateway knows of the queue is not all there is to know.
const GATEWAYS: u16 = 2;
const CAMPAIGN_ID: &str = "fair";
/// How many more come than can be served, and for how long.
const LOAD: f64 = 3.0;
const COMING: Duration = Duration::from_secs(10);
/// The share of those who come for whom there is a coupon.
const STOCK_SHARE: f64 = 0.6;
/// One in so many sends again at once before it does as told: few, for each of them leaves nine places in the queue that nobody will come for.
const STORM_ONE_IN: u64 = 20;
/// By then everything is sold and everybody told, many times over.
const AT_MOST: Duration = Duration::from_secs(75);
/// Nobody gives up: every place is followed to its end.
const PATIENCE: Duration = Duration::from_secs(3_600);

/// What can be asked for.
#[derive(Debug, Args)]
pub struct Options {
    /// Shoppers that join the queue whose cost in memory is measured.
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(1_000..=4_000_000))]
    pub waiting: u64,
}

/// Measures everything and reports it in `folder`.
///
/// # Errors
/// Something cannot be started or measured; nothing is left running.
pub async fn run(options: &Options, folder: &Path, crowd: &Crowd) -> Result<()> {
    let stage = Stage::open(&folder.join("stack"), GATEWAYS).await?;
    let (journeys, coupons_unsold) = sell_out(&stage, crowd).await?;
    let orders = orders::measure(&stage, crowd).await?;
    let memory = waiting_million::measure(&stage, crowd, options.waiting).await?;
    stage.close().await?;
    let report = Report::new(
        Stage::nominal_per_second(),
        Treatment::of(&journeys),
        coupons_unsold,
        orders,
        memory,
    );
    results::write(folder, "fairness", &report, &report::text(&report))
}

/// A crowd that is larger than the stock, from the first to the last.
async fn sell_out(stage: &Stage, crowd: &Crowd) -> Result<(Vec<Journey>, u64)> {
    let per_second = LOAD * Stage::nominal_per_second();
    let stock = (per_second * COMING.as_secs_f64() * STOCK_SHARE) as u64;
    // The second tier has no more than every campaign must.
    let campaign_number = stage.campaign(CAMPAIGN_ID, (stock - 1, 1)).await?;
    tell(&format!(
        "{per_second:.0} shoppers a second come for {stock} coupons."
    ));
    let scene = Scene {
        caller: stage.caller(crowd.threads()).await?,
        campaign_id: CAMPAIGN_ID.to_owned(),
        round: "fair".to_owned(),
        patience: PATIENCE,
        began: Instant::now(),
    };
    let coming = Stretch {
        length: COMING,
        per_second,
    };
    let manner_of = |number: u64| {
        if number.is_multiple_of(STORM_ONE_IN) {
            Manner::AtOnceThenAsTold
        } else {
            Manner::AsTold
        }
    };
    let journeys = come(
        Arc::new(scene),
        Arrivals::new(vec![coming], 5),
        manner_of,
        AT_MOST,
        crowd.threads(),
    )
    .await?;
    let told = journeys.iter().filter(|journey| journey.has_coupon());
    let (told, kept) = (
        told.count() as u64,
        suite::coupons_kept(stage.stack(), campaign_number).await?,
    );
    ensure!(
        told <= kept && kept <= stock,
        "Shoppers were given {told} coupons of {stock}, and the database has {kept}."
    );
    Ok((journeys, stock - kept))
}
