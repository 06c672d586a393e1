//! Replicas with addresses of their own come and go under load, and callers notice nothing.

use std::{env, path::PathBuf, time::Duration};

use anyhow::{Result, ensure};
use tidegate_scale::{Settings, impossible_because, run};

const SEED: u64 = 20_260_207;

#[tokio::test(flavor = "multi_thread")]
async fn scaling_restarting_and_cutting_off_lose_nothing_and_no_call_fails() -> Result<()> {
    if let Some(reason) = impossible_because() {
        let must_run = env::var("CI").is_ok_and(|value| value == "true");
        ensure!(!must_run, "{reason}");
        eprintln!("Skipped. {reason}");
        return Ok(());
    }
    let settings = Settings {
        seed: SEED,
        step: Duration::from_secs(6),
        most_issuance: 4,
        arrivals_per_second: 15,
        data: PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../target/scale/test"),
        say: |words| eprintln!("{words}"),
    };
    let report = run(&settings).await?;
    eprintln!("{report}");
    assert_eq!(report.broken(), Vec::<String>::new());
    Ok(())
}
