//! The order in which things are measured: an echo before and after each shape of the suite, so that a machine that changes its speed
//! meanwhile changes both sides of the ratio.

use std::{
    fs,
    io::{self, Write},
    path::Path,
};

use anyhow::{Context, Result, ensure};
use tidegate_local::credentials::Credentials;
use time::OffsetDateTime;

use crate::{
    arguments::Arguments,
    crowd::Crowd,
    echo_process, peer,
    report::{ClaimRun, Conditions, EchoRound, Peer, Report, table},
    suite::{Shape, Suite},
    tell,
};

/// Measures everything and reports it.
pub async fn run(arguments: &Arguments, crowd: &Crowd) -> Result<()> {
    fs::create_dir_all(&arguments.data)
        .with_context(|| format!("{} cannot be made", arguments.data.display()))?;
    let credentials_folder = arguments.data.join("echo");
    let credentials = Credentials::load_or_make(&credentials_folder, OffsetDateTime::now_utc())?;
    let echo = async || -> Result<EchoRound> {
        tell("Measuring the echo.");
        echo_process::measure(arguments, crowd, &credentials, &credentials_folder).await
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
            claims.push(measure_shape(shape, arguments, crowd, &mut pgbench).await?);
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

/// Measures one shape on databases of its own; the first one lends its server to pgbench while it is still empty.
async fn measure_shape(
    shape: Shape,
    arguments: &Arguments,
    crowd: &Crowd,
    pgbench: &mut Option<Peer>,
) -> Result<ClaimRun> {
    let suite = Suite::open(shape, &arguments.data.join("stack"), arguments, crowd).await?;
    if pgbench.is_none() {
        tell("Measuring pgbench on one hot row.");
        *pgbench = Some(peer::measure(arguments, suite.stack(), suite.parts()?).await?);
    }
    let mut points = Vec::new();
    for shoppers in &arguments.shoppers {
        tell(&format!(
            "Measuring claims with {shoppers} shoppers at a time."
        ));
        points.push(suite.claim(*shoppers, arguments, crowd).await?);
    }
    let coupons_told = points.iter().map(|point| point.outcomes.issued_ever).sum();
    let coupons_kept = suite.coupons_kept().await?;
    suite.close().await?;
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
