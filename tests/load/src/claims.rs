//! Durable claims at their peak. There is an echo before and after each shape of the suite, so that
//! a machine that changes its speed meanwhile changes both sides of the ratio.

mod commits;
mod figures;
mod peer;

use std::fs;

use anyhow::{Context, Result};
use clap::Args;
use tidegate_local::{credentials::Credentials, stack::StackOptions};
use time::OffsetDateTime;

use crate::{
    arguments::Timing,
    closed_loop::CAMPAIGN_ID,
    echo_process::EchoProcess,
    report,
    suite::{SUBJECT, Site, Suite},
    tell,
};
use commits::CommitSums;
use figures::{ClaimPoint, ClaimRun, Compared, EchoPoint, Figures, PeerPoint};

/// More than a day of claims can take, so that no lease is made small because stock runs out.
const STOCK: (u64, u64) = (500_000_000, 1_000_000);
/// Of the database, for whoever looks and for superusers.
const OTHER_CONNECTIONS: u32 = 50;

#[derive(Debug, Args)]
pub struct Options {
    /// How long each figure is measured, after its warm-up.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=3_600))]
    pub seconds: u64,
    /// How long the shoppers come before anything is counted.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u64).range(0..=600))]
    pub warm_up_seconds: u64,
    /// Lanes of the databases; each number is measured on databases of its own.
    #[arg(long, value_delimiter = ',', default_value = "1,2,4", value_parser = clap::value_parser!(u16).range(1..=64))]
    pub lanes: Vec<u16>,
    /// Processes of the gateway and, as many, of issuance.
    #[arg(long, value_delimiter = ',', default_value = "1,2", value_parser = clap::value_parser!(u16).range(1..=16))]
    pub replicas: Vec<u16>,
    /// Shoppers at a time; each sends its claim when the one before it has its answer.
    #[arg(long, value_delimiter = ',', default_value = "1,64,1000,2000", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub shoppers: Vec<u32>,
    /// Connections that all shoppers share.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub connections: u32,
    /// Clients of pgbench; the best number counts.
    #[arg(long, value_delimiter = ',', default_value = "1,4,16,64", value_parser = clap::value_parser!(u32).range(1..=70))]
    pub pgbench_clients: Vec<u32>,
}

impl Options {
    fn timing(&self) -> Timing {
        Timing::of_seconds(self.warm_up_seconds, self.seconds)
    }
}

pub async fn run(options: &Options, site: &Site) -> Result<()> {
    let folder = site.folder.join("echo");
    let credentials = Credentials::load_or_make(&folder, OffsetDateTime::now_utc())?;
    let mut echo = vec![measure_echo(options, site, &credentials).await?];
    let (mut pgbench, mut claims) = (Vec::new(), Vec::new());
    for lanes in options.lanes.iter().copied() {
        for replicas in options.replicas.iter().copied() {
            let shape = (lanes, replicas);
            claims.push(measure_shape(shape, options, site, &mut pgbench).await?);
            echo.push(measure_echo(options, site, &credentials).await?);
        }
    }
    fs::remove_dir_all(&folder)
        .with_context(|| format!("{} cannot be removed", folder.display()))?;
    let figures = Figures::new(options, echo, pgbench, claims).context(
        "nothing was asked for: give --lanes, --replicas, --shoppers and --pgbench-clients a number each",
    )?;
    report::write(&site.folder, "claims", &figures, &figures.criteria())
}

async fn measure_echo(
    options: &Options,
    site: &Site,
    credentials: &Credentials,
) -> Result<Vec<EchoPoint>> {
    tell("Measuring the echo.");
    let connections = options.connections as usize;
    let echo = EchoProcess::start(credentials, connections, &site.threads).await?;
    let mut points = Vec::new();
    for shoppers in options.shoppers.iter().copied() {
        let measured = echo.measure(shoppers, options.timing()).await?;
        points.push(EchoPoint { shoppers, measured });
    }
    Ok(points)
}

/// Measures so many lanes and replicas on databases of their own; the first ones lend their server
/// to pgbench while it is still empty.
async fn measure_shape(
    (lanes, replicas): (u16, u16),
    options: &Options,
    site: &Site,
    pgbench: &mut Vec<PeerPoint>,
) -> Result<ClaimRun> {
    let clients = options.pgbench_clients.iter().max();
    let suite = Suite::start(site, |defaults| StackOptions {
        issuance_replicas: replicas,
        gateway_replicas: replicas,
        lanes,
        other_connections: OTHER_CONNECTIONS + clients.copied().unwrap_or(0),
        ..defaults
    })
    .await?;
    let campaign_number = suite.campaign(CAMPAIGN_ID, STOCK).await?;
    let connections = options.connections as usize;
    let caller = suite.caller_of(SUBJECT, connections).await?;
    if pgbench.is_empty() {
        tell("Measuring pgbench on one hot row.");
        *pgbench = peer::measure(options, &suite).await?;
    }
    let look = async || CommitSums::read(&suite).await;
    let mut points = Vec::new();
    for shoppers in options.shoppers.iter().copied() {
        tell(&format!(
            "Measuring claims with {shoppers} shoppers at a time."
        ));
        let crowd = suite.closed_loop(shoppers, options.timing())?;
        let round = format!("shopper-{shoppers}");
        let (measured, [before, after]) = crowd.claims(&caller, &round, look).await?;
        points.push(ClaimPoint {
            shoppers,
            commits: after.since(&before, measured.outcomes.seconds),
            measured,
            compared: Compared::default(),
        });
    }
    let told = points.iter().map(|point| point.measured.outcomes.good_ever);
    let coupons = suite.coupons(campaign_number, told.sum()).await?;
    suite.close().await?;
    Ok(ClaimRun {
        lanes,
        replicas,
        coupons,
        points,
    })
}
