//! The order in which things are measured: an echo before and after each shape of the suite, so
//! that a machine that changes its speed meanwhile changes both sides of the ratio.

use std::{
    fs,
    io::{self, Write},
    path::Path,
};

use anyhow::{Context, Result, ensure};
use tidegate_local::{
    credentials::Credentials,
    stack::{Stack, StackOptions},
};
use tidegate_replay::collector::Collector;
use time::OffsetDateTime;
use tokio::runtime::Handle;

use crate::{
    arguments::Arguments,
    closed_loop::{CAMPAIGN_ID, Outcomes, claims},
    commits::CommitSums,
    echo_process, peer,
    processor_time::ProcessorTime,
    report::{ClaimPoint, ClaimRun, Conditions, EchoRound, Peer, Report, table},
    suite, tell,
};

/// More than a day of claims can take, so that no lease is made small because stock runs out.
const STOCK: (u64, u64) = (500_000_000, 1_000_000);
/// Of the database, for whoever looks and for superusers.
const OTHER_CONNECTIONS: u32 = 50;

pub async fn run(arguments: &Arguments, threads: &Handle) -> Result<()> {
    fs::create_dir_all(&arguments.place.data)
        .with_context(|| format!("{} cannot be made", arguments.place.data.display()))?;
    let credentials_folder = arguments.place.data.join("echo");
    let credentials = Credentials::load_or_make(&credentials_folder, OffsetDateTime::now_utc())?;
    let echo = async || -> Result<EchoRound> {
        tell("Measuring the echo.");
        echo_process::measure(arguments, threads, &credentials, &credentials_folder).await
    };
    let mut rounds = vec![echo().await?];
    let mut pgbench = None;
    let mut claims = Vec::new();
    for lanes in &arguments.lanes {
        for replicas in &arguments.replicas {
            let shape = Shape {
                lanes: *lanes,
                replicas: *replicas,
            };
            claims.push(measure_shape(shape, arguments, threads, &mut pgbench).await?);
            rounds.push(echo().await?);
        }
    }
    fs::remove_dir_all(&credentials_folder)
        .with_context(|| format!("{} cannot be removed", credentials_folder.display()))?;
    let conditions = Conditions::new(arguments);
    let report = Report::new(
        conditions,
        rounds,
        pgbench.context("pgbench was not measured")?,
        claims,
    )
    .context("nothing was asked for: give --lanes, --replicas and --shoppers a number each")?;
    // Whoever reads may have gone; the file is written all the same.
    let _ = writeln!(io::stdout(), "{}", table::text(&report));
    if let Some(file) = &arguments.json {
        write_json(&report, file)?;
    }
    Ok(())
}

/// How much of everything there is.
#[derive(Debug, Clone, Copy)]
struct Shape {
    lanes: u16,
    /// Gateways, and as many issuances.
    replicas: u16,
}

/// Measures one shape on databases of its own; the first one lends its server to pgbench while it
/// is still empty.
async fn measure_shape(
    shape: Shape,
    arguments: &Arguments,
    threads: &Handle,
    pgbench: &mut Option<Peer>,
) -> Result<ClaimRun> {
    let clients = arguments.pgbench_clients.iter().max();
    let collector = Collector::start().await?;
    let stack = Stack::start(StackOptions {
        issuance_replicas: shape.replicas,
        gateway_replicas: shape.replicas,
        lanes: shape.lanes,
        other_connections: OTHER_CONNECTIONS + clients.copied().unwrap_or(0),
        ..suite::options(&arguments.place.data.join("stack"), &collector)
    })
    .await?;
    let staff = suite::staff(&stack)?;
    let campaign = staff.open(suite::terms(CAMPAIGN_ID, STOCK)).await?;
    let connections = arguments.connections as usize;
    let caller = suite::caller(&stack, suite::SUBJECT, connections, threads).await?;
    let parts = suite::parts(&stack)?;
    if pgbench.is_none() {
        tell("Measuring pgbench on one hot row.");
        *pgbench = Some(peer::measure(arguments, &stack, parts.clone()).await?);
    }
    let look = async || {
        let commits = CommitSums::read(&stack).await?;
        Ok((commits, ProcessorTime::read(&parts)?))
    };
    let mut points = Vec::new();
    for shoppers in arguments.shoppers.iter().copied() {
        tell(&format!(
            "Measuring claims with {shoppers} shoppers at a time."
        ));
        let (round, timing) = (format!("shopper-{shoppers}"), arguments.timing());
        let stretch = claims(&caller, threads, &round, shoppers, timing, look).await?;
        let outcomes = Outcomes::of(&stretch.ends, stretch.seconds);
        let (commits_before, processor_before) = stretch.before;
        let (commits_after, processor_after) = stretch.after;
        points.push(ClaimPoint {
            shoppers,
            commits: commits_after.since(&commits_before, stretch.seconds),
            processor: processor_after.since(&processor_before, outcomes.issued),
            outcomes,
        });
    }
    let coupons_told = points.iter().map(|point| point.outcomes.issued_ever).sum();
    let coupons_kept = suite::coupons_kept(&stack, campaign.campaign_number).await?;
    stack.shutdown_and_remove().await?;
    ensure!(
        coupons_kept >= coupons_told,
        "Shoppers were given {coupons_told} coupons and the database has {coupons_kept}: what is measured is not durable."
    );
    Ok(ClaimRun {
        lanes: shape.lanes,
        replicas: shape.replicas,
        coupons_told,
        coupons_kept,
        points,
    })
}

fn write_json(report: &Report, file: &Path) -> Result<()> {
    fs::write(file, serde_json::to_string_pretty(report)? + "\n")
        .with_context(|| format!("{} cannot be written", file.display()))?;
    tell(&format!("Written {}", file.display()));
    Ok(())
}
