//! Starts and audits beside a long history: what they take must not depend on how much is over.

mod audits;
mod fill;
mod report;

use std::{path::Path, time::Duration};

use anyhow::Result;
use clap::Args;
use serde::Serialize;
use tidegate_local::stack::{Service, Stack, StackOptions};
use tidegate_replay::collector::Collector;
use tokio::time::Instant;

use crate::{closed_loop::CAMPAIGN_ID, machine::Machine, results, suite, tell};
use report::Report;

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

pub async fn run(options: &Options, folder: &Path) -> Result<()> {
    let interval = Some(AUDIT_INTERVAL_MS.to_owned());
    let collector = Collector::start().await?;
    let mut stack = Stack::start(StackOptions {
        lanes: options.lanes,
        variables: vec![(
            Service::Quota,
            "TIDEGATE_AUDIT_INTERVAL_MS".to_owned(),
            interval,
        )],
        ..suite::options(&folder.join("stack"), &collector)
    })
    .await?;
    let terms = suite::terms(CAMPAIGN_ID, STOCK);
    let campaign = suite::staff(&stack)?.make(&terms).await?;
    let empty = starts(&mut stack).await?;
    // Nobody reads while everything is filled.
    stack.terminate("quota-0").await?;
    stack.terminate("issuance-0").await?;
    let filled = fill::fill(&stack, campaign.campaign_number, options).await?;
    let full = starts(&mut stack).await?;
    let call = audits::by_call(&stack).await?;
    let followed = Duration::from_secs(options.pass_minutes * 60);
    let pass = audits::follow(&stack, followed).await?;
    let memory = (
        memory_mib(&stack, "quota-0")?,
        memory_mib(&stack, "issuance-0")?,
    );
    stack.shutdown_and_remove().await?;
    let report = Report {
        machine: Machine::this(),
        leases: options.leases,
        coupons: options.coupons,
        lanes: options.lanes,
        filled,
        empty,
        full,
        call,
        pass,
        quota_memory_mib: memory.0,
        issuance_memory_mib: memory.1,
    };
    results::write(folder, "history", &report, &report.text())
}

async fn starts(stack: &mut Stack) -> Result<Starts> {
    Ok(Starts {
        quota: start(stack, "quota-0").await?,
        issuance: start(stack, "issuance-0").await?,
    })
}

async fn start(stack: &mut Stack, name: &str) -> Result<Start> {
    if stack.replica(name)?.process_id().is_some() {
        stack.terminate(name).await?;
    }
    let began = Instant::now();
    stack.restart(name).await?;
    let start = Start {
        seconds: began.elapsed().as_secs_f64(),
        memory_mib: memory_mib(stack, name)?,
    };
    tell(&format!("{name} was ready after {:.2} s.", start.seconds));
    Ok(start)
}

/// The most memory that a replica has had.
fn memory_mib(stack: &Stack, name: &str) -> Result<f64> {
    suite::memory_mib(stack, name, "VmHWM:")
}
