//! What issuance says of its commits on `/metrics`.

use anyhow::{Context, Result};
use serde::Serialize;
use tidegate_client::metrics;
use tidegate_local::stack::Service;

use crate::suite::Suite;

/// The commit queue that claims go through.
const QUEUE_LABEL: &str = "queue=\"coupons\"";

/// Sums over all replicas of issuance since their start.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct CommitSums {
    commits: f64,
    rows: f64,
    commit_seconds: f64,
    delays: f64,
    delay_seconds: f64,
}

/// What the sums grew by, as averages.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct Commits {
    /// Commits a second, all lanes and replicas together.
    pub per_second: f64,
    /// Claims that one commit made durable.
    pub rows_per_commit: f64,
    /// The time of one commit.
    pub commit_ms: f64,
    /// What a claim waited for its commit to begin.
    pub queue_delay_ms: f64,
}

impl CommitSums {
    /// Reads every replica's page.
    pub async fn read(suite: &Suite) -> Result<Self> {
        let mut sums = Self::default();
        for name in suite.names(Service::Issuance) {
            let page = metrics::page(suite.stack.replica(&name)?.admin_address()).await?;
            let added = sums.add(&page);
            added.with_context(|| format!("the metrics of {name} are not as expected"))?;
        }
        Ok(sums)
    }

    fn add(&mut self, page: &str) -> Result<()> {
        self.commits += value(page, "tidegate_commit_batch_size_count")?;
        self.rows += value(page, "tidegate_commit_batch_size_sum")?;
        self.commit_seconds += value(page, "tidegate_commit_seconds_sum")?;
        self.delays += value(page, "tidegate_commit_queue_delay_seconds_count")?;
        self.delay_seconds += value(page, "tidegate_commit_queue_delay_seconds_sum")?;
        Ok(())
    }

    /// What happened in the stretch of so many seconds that began with `before`.
    pub fn since(&self, before: &Self, seconds: f64) -> Commits {
        let commits = self.commits - before.commits;
        let each = |sum: f64, count: f64| if count > 0.0 { sum / count } else { 0.0 };
        Commits {
            per_second: commits / seconds,
            rows_per_commit: each(self.rows - before.rows, commits),
            commit_ms: 1_000.0 * each(self.commit_seconds - before.commit_seconds, commits),
            queue_delay_ms: 1_000.0
                * each(
                    self.delay_seconds - before.delay_seconds,
                    self.delays - before.delays,
                ),
        }
    }
}

fn value(page: &str, name: &str) -> Result<f64> {
    let value = metrics::sum(page, name, QUEUE_LABEL);
    value.with_context(|| format!("there is no {name} with {QUEUE_LABEL}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = "# TYPE tidegate_commit_batch_size histogram
tidegate_commit_batch_size_sum{queue=\"orders\"} 7.0
tidegate_commit_batch_size_count{queue=\"orders\"} 7
tidegate_commit_batch_size_sum{queue=\"coupons\"} 600.0
tidegate_commit_batch_size_count{queue=\"coupons\"} 3
tidegate_commit_batch_size_bucket{le=\"1.0\",queue=\"coupons\"} 1
tidegate_commit_seconds_sum{queue=\"coupons\"} 0.006
tidegate_commit_queue_delay_seconds_sum{queue=\"coupons\"} 1.2
tidegate_commit_queue_delay_seconds_count{queue=\"coupons\"} 600
";

    #[test]
    fn averages_are_those_of_the_coupon_queue_over_the_stretch() {
        let (mut before, mut after) = (CommitSums::default(), CommitSums::default());
        before.add(PAGE).unwrap();
        after.add(PAGE).unwrap();
        after.add(PAGE).unwrap();
        let commits = after.since(&before, 2.0);
        assert_eq!((commits.rows_per_commit, commits.per_second), (200.0, 1.5));
        assert!((commits.commit_ms - 2.0).abs() < 1e-9);
        assert!((commits.queue_delay_ms - 2.0).abs() < 1e-9);
    }

    #[test]
    fn a_page_without_the_queue_is_a_fault_and_not_a_zero() {
        assert!(CommitSums::default().add("up 1\n").is_err());
    }
}
