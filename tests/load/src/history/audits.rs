//! What an audit takes: one that staff ask for, and the pass over everything that goes on by
//! itself.

use std::time::Duration;

use anyhow::{Context, Result};
use serde::Serialize;
use sqlx::Connection;
use tidegate_local::stack::Service;
use tokio::time::{Instant, sleep};

use crate::{closed_loop::CAMPAIGN_ID, suite::Suite, tell};

const PASS: &str = include_str!("../../queries/history_pass.sql");
const POLL_INTERVAL: Duration = Duration::from_secs(1);
/// How often is told how far the pass has come.
const TOLD_INTERVAL: Duration = Duration::from_secs(30);

#[derive(Debug, Clone, Copy, Serialize)]
pub struct Call {
    pub seconds: f64,
    pub is_complete: bool,
    pub leases_compared: u64,
    pub leases_left_out: u64,
    pub differences: u64,
}

/// The pass over all leases, as the auditor makes it in rounds.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Pass {
    pub seconds: f64,
    pub is_complete: bool,
    pub leases_compared: u64,
    pub differences: u64,
}

/// One audit with the longest deadline there is.
pub async fn by_call(suite: &Suite) -> Result<Call> {
    let began = Instant::now();
    let answer = suite.staff.audit(CAMPAIGN_ID).await?;
    let coverage = answer
        .coverage
        .context("quota does not say what it covered")?;
    Ok(Call {
        seconds: began.elapsed().as_secs_f64(),
        is_complete: coverage.is_complete,
        leases_compared: coverage.leases_compared,
        leases_left_out: coverage.leases_left_out,
        differences: answer.difference_count,
    })
}

/// Follows the pass over all leases to its end, or for so long.
pub async fn follow(suite: &Suite, at_most: Duration) -> Result<Pass> {
    let mut connection = suite.database(Service::Quota).await?;
    let began = Instant::now();
    let mut told_at = began;
    loop {
        let (leases, complete, differences): (i64, i64, i64) = sqlx::query_as(PASS)
            .bind(CAMPAIGN_ID)
            .fetch_one(&mut connection)
            .await?;
        let is_complete = complete > 0;
        if is_complete || began.elapsed() >= at_most {
            connection.close().await?;
            return Ok(Pass {
                seconds: began.elapsed().as_secs_f64(),
                is_complete,
                leases_compared: if is_complete { complete } else { leases }.unsigned_abs(),
                differences: differences.unsigned_abs(),
            });
        }
        if told_at.elapsed() >= TOLD_INTERVAL {
            told_at = Instant::now();
            tell(&format!("{leases} leases are compared."));
        }
        sleep(POLL_INTERVAL).await;
    }
}
