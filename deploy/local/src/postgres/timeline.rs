//! Another timeline of the server, as the promotion of a standby begins one.

use anyhow::{Context, Result, bail};

use super::{Postgres, cluster::Cluster};

/// Hexadecimal digits of a timeline, at the beginning of a log file's name.
const DIGITS: usize = 8;

impl Postgres {
    /// Lets the server begin another timeline at its next start. It must have been stopped.
    pub async fn begin_timeline(&self) -> Result<()> {
        let cluster = self.own()?.cluster();
        let told = reset_log(cluster, &["--dry-run"]).await?;
        let next = told
            .lines()
            .find_map(|line| line.strip_prefix("First log segment after reset:"))
            .map(str::trim)
            .with_context(|| format!("pg_resetwal names no log segment: {told}"))?;
        let (timeline, segment) = next.split_at(DIGITS);
        let timeline = u32::from_str_radix(timeline, 16)? + 1;
        let next = format!("--next-wal-file={timeline:08X}{segment}");
        reset_log(cluster, &[&next]).await.map(drop)
    }
}

async fn reset_log(cluster: &Cluster, arguments: &[&str]) -> Result<String> {
    let output = cluster
        .command("pg_resetwal")
        .args(arguments)
        .arg("--pgdata")
        .arg(cluster.data())
        .output()
        .await
        .context("pg_resetwal cannot be run")?;
    if !output.status.success() {
        bail!(
            "pg_resetwal failed: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
