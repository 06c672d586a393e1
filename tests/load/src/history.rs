//! Starts and audits beside a long history: what they take must not depend on how much is over.

mod audits;
mod figures;
mod fill;

use std::time::Duration;

use anyhow::Result;
use clap::Args;
use serde::Serialize;
use tidegate_local::stack::{Service, StackOptions};
use tokio::time::Instant;

use crate::{
    closed_loop::CAMPAIGN_ID,
    report,
    suite::{Site, Suite},
    tell,
};
use figures::Figures;

/// The pause between two rounds of quota's auditor: the shortest there is, so that a pass over
/// everything ends soon.
const AUDIT_INTERVAL_MS: &str = "1000";
/// More than all coupons that can be asked for.
const STOCK: (u64, u64) = (500_000_000, 1);

/// How much is over.
#[derive(Debug, Args)]
pub struct Options {
    /// Settled leases, archived, all of one campaign: the worst there can be for an audit.
    #[arg(long, default_value_t = 30_000_000, value_parser = clap::value_parser!(u32).range(1..=100_000_000))]
    pub leases: u32,
    /// Coupons of these leases.
    #[arg(long, default_value_t = 10_000_000, value_parser = clap::value_parser!(u32).range(1..=100_000_000))]
    pub coupons: u32,
    /// Lanes of the databases.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub lanes: u16,
    /// How long the pass over all leases is followed at most; how far it came is told in any case.
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=1_440))]
    pub pass_minutes: u64,
}

#[derive(Debug, Clone, Copy, Serialize)]
pub struct Start {
    /// From the beginning of the process until it can serve.
    pub seconds: f64,
    /// The most memory the process has had by then.
    pub memory_mib: f64,
}

#[derive(Debug, Clone, Copy, Serialize)]
pub struct Starts {
    pub issuance: Start,
    pub quota: Start,
}

pub async fn run(options: &Options, site: &Site) -> Result<()> {
    let (variable, interval) = ("TIDEGATE_AUDIT_INTERVAL_MS", AUDIT_INTERVAL_MS.to_owned());
    let mut suite = Suite::start(site, |defaults| StackOptions {
        lanes: options.lanes,
        variables: vec![(Service::Quota, variable.to_owned(), Some(interval))],
        ..defaults
    })
    .await?;
    let campaign_number = suite.campaign(CAMPAIGN_ID, STOCK).await?;
    let empty = starts(&mut suite).await?;
    // Nobody reads while everything is filled.
    suite.stack.terminate("quota-0").await?;
    suite.stack.terminate("issuance-0").await?;
    let figures = Figures {
        leases: options.leases,
        coupons: options.coupons,
        lanes: options.lanes,
        empty,
        filled: fill::fill(&suite, campaign_number, options).await?,
        full: starts(&mut suite).await?,
        call: audits::by_call(&suite).await?,
        pass: audits::follow(&suite, Duration::from_secs(options.pass_minutes * 60)).await?,
        quota_memory_mib: memory_mib(&suite, "quota-0")?,
        issuance_memory_mib: memory_mib(&suite, "issuance-0")?,
    };
    suite.close().await?;
    report::write(&site.folder, "history", &figures, &[])
}

async fn starts(suite: &mut Suite) -> Result<Starts> {
    Ok(Starts {
        quota: start(suite, "quota-0").await?,
        issuance: start(suite, "issuance-0").await?,
    })
}

async fn start(suite: &mut Suite, name: &str) -> Result<Start> {
    if suite.stack.replica(name)?.process_id().is_some() {
        suite.stack.terminate(name).await?;
    }
    let began = Instant::now();
    suite.stack.restart(name).await?;
    let start = Start {
        seconds: began.elapsed().as_secs_f64(),
        memory_mib: memory_mib(suite, name)?,
    };
    tell(&format!("{name} was ready after {:.2} s.", start.seconds));
    Ok(start)
}

/// The most memory that a replica has had.
fn memory_mib(suite: &Suite, name: &str) -> Result<f64> {
    suite.memory_mib(name, |status| status.vmhwm)
}
