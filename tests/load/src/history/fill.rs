//! Fills the databases with what years of campaigns leave behind.

use anyhow::Result;
use serde::Serialize;
use sqlx::Connection;
use tidegate_local::stack::Service;
use tokio::time::Instant;

use super::Options;
use crate::{suite::Suite, tell};

/// Each statement on its own line: the steps of a fill, of which $1 is the campaign, $2 how many
/// leases, $3 how many coupons and $4 how many lanes.
const QUOTA: [&str; 5] = [
    include_str!("../../queries/history_quota_prepare.sql"),
    include_str!("../../queries/history_quota_leases.sql"),
    include_str!("../../queries/history_quota_sums.sql"),
    include_str!("../../queries/history_quota_tiers.sql"),
    include_str!("../../queries/history_quota_finish.sql"),
];
const ISSUANCE: [&str; 5] = [
    include_str!("../../queries/history_issuance_prepare.sql"),
    include_str!("../../queries/history_issuance_leases.sql"),
    include_str!("../../queries/history_issuance_sums.sql"),
    include_str!("../../queries/history_issuance_coupons.sql"),
    include_str!("../../queries/history_issuance_finish.sql"),
];
const SIZE: &str = "SELECT pg_database_size(current_database())";

#[derive(Debug, Clone, Copy, Serialize)]
pub struct Filled {
    pub seconds: f64,
    pub quota_gib: f64,
    pub issuance_gib: f64,
}

pub async fn fill(suite: &Suite, campaign: u32, options: &Options) -> Result<Filled> {
    tell(&format!(
        "Filling in {} leases and {} coupons:",
        options.leases, options.coupons
    ));
    let began = Instant::now();
    let (quota_gib, issuance_gib) = tokio::try_join!(
        run(suite, Service::Quota, &QUOTA, campaign, options),
        run(suite, Service::Issuance, &ISSUANCE, campaign, options),
    )?;
    Ok(Filled {
        seconds: began.elapsed().as_secs_f64(),
        quota_gib,
        issuance_gib,
    })
}

async fn run(
    suite: &Suite,
    service: Service,
    steps: &[&str],
    campaign: u32,
    options: &Options,
) -> Result<f64> {
    let mut connection = suite.database(service).await?;
    for step in steps {
        let began = Instant::now();
        // Preparing and finishing are several statements, which take no parameters.
        if step.contains("$1") {
            sqlx::query(step)
                .bind(i64::from(campaign))
                .bind(i64::from(options.leases))
                .bind(i64::from(options.coupons))
                .bind(i64::from(options.lanes))
                .execute(&mut connection)
                .await?;
        } else {
            // One by one: a vacuum is never part of anything.
            for statement in step.split_inclusive(";\n") {
                sqlx::raw_sql(statement).execute(&mut connection).await?;
            }
        }
        let title = step.lines().next().unwrap_or_default();
        let seconds = began.elapsed().as_secs_f64();
        tell(&format!("{}: {title} ({seconds:.0} s)", service.name()));
    }
    let bytes: i64 = sqlx::query_scalar(SIZE).fetch_one(&mut connection).await?;
    connection.close().await?;
    Ok(bytes as f64 / f64::from(1 << 30))
}
