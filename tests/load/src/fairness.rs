//! Fairness: the order of service, what shoppers are told, the end at the sell-out, and what a
//! flood of claims does to orders and to a gateway's memory.

mod figures;
mod order_of_service;
mod orders;
mod waiting_million;

use std::time::Duration;

use anyhow::{Result, ensure};
use clap::Args;

use crate::{
    report,
    shoppers::{
        Scene,
        arrivals::Arrivals,
        come,
        journey::{Journey, Manner, coupons},
    },
    suite::{Site, Suite, slowed::nominal_per_second},
    tell,
};
use figures::Figures;
use order_of_service::Treatment;

/// More than one, so that what one gateway knows of the queue is not all there is to know.
const GATEWAYS: u16 = 2;
/// How many more come than can be served, and for how long.
const LOAD: f64 = 3.0;
const COMING: Duration = Duration::from_secs(10);
/// The share of those who come for whom there is a coupon.
const STOCK_SHARE: f64 = 0.6;
/// One in so many sends again at once before it does as told: few, for each of them leaves nine
/// places in the queue that nobody will come for.
const STORM_ONE_IN: u64 = 20;
/// By then everything is sold and everybody told, many times over.
const AT_MOST: Duration = Duration::from_secs(75);
/// Nobody gives up: every place is followed to its end.
const PATIENCE: Duration = Duration::from_secs(3_600);

#[derive(Debug, Args)]
pub struct Options {
    /// Crowds that come one after the other, each to a campaign of its own: what is asked of the
    /// order of service holds for all of them together. A rare fault shows only in many.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub crowds: u32,
    /// Shoppers that join the queue whose cost in memory is measured.
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(1_000..=4_000_000))]
    pub waiting: u64,
}

pub async fn run(options: &Options, site: &Site) -> Result<()> {
    let suite = Suite::slowed(site, GATEWAYS).await?;
    let mut crowds = Vec::new();
    let mut coupons_unsold = 0;
    for number in 1..=options.crowds {
        tell(&format!("Crowd {number} of {}:", options.crowds));
        let (journeys, unsold) = sell_out(&suite, number).await?;
        crowds.push(journeys);
        coupons_unsold += unsold;
    }
    let figures = Figures {
        nominal_per_second: nominal_per_second(),
        treatment: Treatment::of(&crowds),
        coupons_unsold,
        orders: orders::measure(&suite).await?,
        memory: waiting_million::measure(&suite, options.waiting).await?,
    };
    suite.close().await?;
    report::write(&site.folder, "fairness", &figures, &figures.criteria())
}

/// A crowd that is larger than the stock, from the first to the last.
async fn sell_out(suite: &Suite, number: u32) -> Result<(Vec<Journey>, u64)> {
    let campaign_id = format!("fair-{number}");
    let per_second = LOAD * nominal_per_second();
    let stock = (per_second * COMING.as_secs_f64() * STOCK_SHARE) as u64;
    // The second tier has no more than every campaign must.
    let campaign_number = suite.campaign(&campaign_id, (stock - 1, 1)).await?;
    tell(&format!(
        "{per_second:.0} shoppers a second come for {stock} coupons."
    ));
    let caller = suite.caller().await?;
    let scene = Scene::new(&caller, &campaign_id, &campaign_id, PATIENCE);
    let manner_of = |number: u64| {
        if number.is_multiple_of(STORM_ONE_IN) {
            Manner::AtOnceThenAsTold
        } else {
            Manner::AsTold
        }
    };
    let arrivals = Arrivals::steady(per_second, COMING, u64::from(number));
    let journeys = come(scene, arrivals, manner_of, AT_MOST, &suite.threads).await?;
    let coupons = suite.coupons(campaign_number, coupons(&journeys)).await?;
    ensure!(
        coupons.kept <= stock,
        "Of {stock} coupons there are {} in the database.",
        coupons.kept
    );
    Ok((journeys, stock - coupons.kept))
}
