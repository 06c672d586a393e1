//! The suite is broken on purpose and keeps its promises; and where it does not, that is found.

use std::{path::PathBuf, time::Duration};

use anyhow::{Context, Result};
use clap::ValueEnum;
use tidegate_chaos::{Mutation, Report, Settings, run};

/// Every kind of fault comes once in about a minute.
const SHORT: Duration = Duration::from_secs(60);
const SEED: u64 = 20_260_206;
/// A few short rounds: the first one catches it, or there is something to look into.
const MUTATION_LIMIT: Duration = Duration::from_secs(16);

async fn chaos(mutation: Option<Mutation>, faults_last: Duration) -> Result<Report> {
    let name = mutation.map_or("short".to_owned(), Mutation::name);
    let settings = Settings {
        seed: SEED,
        faults_last,
        mutation,
        only: None,
        data: PathBuf::from(env!("CARGO_MANIFEST_DIR"))
            .join(format!("../../target/chaos/test-{name}")),
        say: |words| eprintln!("{words}"),
    };
    eprintln!("Seed {SEED}.");
    let report = run(&settings)
        .await
        .with_context(|| format!("chaos with {name}"))?;
    eprintln!("{report}");
    Ok(report)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_short_run_of_faults_loses_nothing_and_sells_nothing_twice() -> Result<()> {
    let report = chaos(None, SHORT).await?;
    assert!(report.whole().findings.none(), "promises were broken");
    assert_eq!(report.vacuous_because(), Vec::<String>::new());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_checker_catches_every_mutation() -> Result<()> {
    for mutation in Mutation::value_variants().iter().copied() {
        let report = chaos(Some(mutation), MUTATION_LIMIT).await?;
        assert!(report.holds(), "{} was not caught", mutation.name());
    }
    Ok(())
}
