//! Holds the promises against the three databases and against what callers were told.
//!
//! Every count of what is stored is made by a query under `queries/`; a column whose name begins with `wrong_` must be zero, the others are facts. Nothing of
//! the services' own code is used: the layout of a code is read here from its published form.

mod answers;
mod findings;
mod honest_answer;
pub mod queue;
mod session_tables;
mod stores;

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Context, Result};
use sqlx::{Column, Connection, PgConnection, Row, TypeInfo, postgres::PgRow};
use tidegate_local::{postgres::Database, stack::Stack};
use time::OffsetDateTime;
use tokio::time::sleep;

use crate::ledger::{Ledger, Told};

pub use findings::{Audit, Finding, WRONG};
pub use stores::{BookedSlot, BookedStore};

/// How long orders get to be decided before the audit counts them.
const SETTLE_LIMIT: Duration = Duration::from_secs(20);
const SETTLE_POLL: Duration = Duration::from_millis(250);

/// Whose claims and orders are audited.
#[derive(Debug, Clone)]
pub struct Subject {
    pub campaign_number: i64,
    /// Coupons a shopper may hold.
    pub limit_per_shopper: i64,
    /// What the ids of this run's shoppers begin with; orders of other runs on the same data are left out.
    pub shopper_prefix: String,
    /// What staff said each store makes in a slot.
    pub orders_per_slot: i64,
    /// Coupons the campaign began with.
    pub stock: i64,
    /// When the replay began: what callers were told is kept by moments counted from it.
    pub started_at: OffsetDateTime,
    /// When the campaign opened, as a moment of the replay.
    pub opening: Duration,
}

/// A connection to each database.
#[derive(Debug)]
pub struct Books {
    pub quota: PgConnection,
    pub issuance: PgConnection,
    pub order_intake: PgConnection,
}

impl Books {
    /// Opens the books of a stack.
    ///
    /// # Errors
    /// A database cannot be reached.
    pub async fn open(stack: &Stack) -> Result<Self> {
        let connect = async |database| {
            PgConnection::connect(&stack.postgres().database_url(database))
                .await
                .with_context(|| {
                    format!("the {database:?} database cannot be reached for the audit")
                })
        };
        Ok(Self {
            quota: connect(Database::Quota).await?,
            issuance: connect(Database::Issuance).await?,
            order_intake: connect(Database::OrderIntake).await?,
        })
    }

    /// Counts every promise.
    ///
    /// # Errors
    /// A query fails: then nothing is known, which is not the same as a broken promise.
    pub async fn audit(
        &mut self,
        subject: &Subject,
        ledger: &Ledger,
        told: &Told,
    ) -> Result<Audit> {
        self.wait_until_decided(subject).await?;
        session_tables::load_coupons(&mut self.issuance, ledger, told).await?;
        session_tables::load_orders(&mut self.order_intake, ledger, told).await?;
        Ok(Audit {
            never_oversold: self.never_oversold(subject).await?,
            exactly_once: self.exactly_once(subject, told).await?,
            acked_is_kept: self.acked_is_kept(subject, told).await?,
            redeemed_once: self.redeemed_once(subject).await?,
            stores_survive: self.stores_survive(subject, told).await?,
            honest_answer: self.honest_answer(subject, ledger, told).await?,
            no_overtaking: queue::order_of_service(told, subject.opening),
        })
    }

    /// Waits until every order is decided and every coupon given back: until then they are neither right nor wrong.
    ///
    /// # Errors
    /// A query fails.
    pub async fn wait_until_decided(&mut self, subject: &Subject) -> Result<()> {
        for _ in 0..SETTLE_LIMIT.as_millis() / SETTLE_POLL.as_millis() {
            let row = sqlx::query(include_str!("../queries/orders_pending.sql"))
                .bind(&subject.shopper_prefix)
                .fetch_one(&mut self.order_intake)
                .await?;
            if row.try_get::<i64, _>(0)? == 0 {
                break;
            }
            sleep(SETTLE_POLL).await;
        }
        Ok(())
    }

    async fn never_oversold(&mut self, subject: &Subject) -> Result<Finding> {
        let stock = sqlx::query(include_str!("../queries/stock.sql"))
            .bind(subject.campaign_number)
            .fetch_one(&mut self.quota)
            .await?;
        let coupons = sqlx::query(include_str!("../queries/coupons_and_leases.sql"))
            .bind(subject.campaign_number)
            .fetch_one(&mut self.issuance)
            .await?;
        let mut finding = counts(&stock)?;
        finding.absorb(counts(&coupons)?);
        let stock_of: BTreeMap<i32, i64> = by_tier(
            sqlx::query(include_str!("../queries/stock_by_tier.sql"))
                .bind(subject.campaign_number)
                .fetch_all(&mut self.quota)
                .await?,
        )?;
        let coupons_of = by_tier(
            sqlx::query(include_str!("../queries/coupons_by_tier.sql"))
                .bind(subject.campaign_number)
                .fetch_all(&mut self.issuance)
                .await?,
        )?;
        finding.add("wrong_coupons_beyond_stock", beyond(&coupons_of, &stock_of));
        let lent = sqlx::query(include_str!("../queries/leases_of_quota.sql"))
            .bind(subject.campaign_number)
            .fetch_all(&mut self.quota)
            .await?;
        session_tables::load_leases(&mut self.issuance, &lent).await?;
        let both = sqlx::query(include_str!("../queries/leases_on_both_sides.sql"))
            .bind(subject.campaign_number)
            .fetch_one(&mut self.issuance)
            .await?;
        finding.absorb(counts(&both)?);
        Ok(finding)
    }

    async fn exactly_once(&mut self, subject: &Subject, told: &Told) -> Result<Finding> {
        let row = sqlx::query(include_str!("../queries/coupons_per_claim.sql"))
            .bind(subject.campaign_number)
            .bind(subject.limit_per_shopper)
            .fetch_one(&mut self.issuance)
            .await?;
        let mut finding = counts(&row)?;
        finding.absorb(answers::one_code_a_request(told));
        Ok(finding)
    }

    async fn acked_is_kept(&mut self, subject: &Subject, told: &Told) -> Result<Finding> {
        let coupons = sqlx::query(include_str!("../queries/told_coupons_kept.sql"))
            .bind(subject.campaign_number)
            .fetch_one(&mut self.issuance)
            .await?;
        let orders = sqlx::query(include_str!("../queries/told_orders_kept.sql"))
            .fetch_one(&mut self.order_intake)
            .await?;
        let mut finding = counts(&coupons)?;
        finding.absorb(counts(&orders)?);
        finding.add("wrong_answers_unreadable", i64::try_from(told.unreadable)?);
        Ok(finding)
    }

    async fn redeemed_once(&mut self, subject: &Subject) -> Result<Finding> {
        let orders = sqlx::query(include_str!("../queries/orders_per_coupon.sql"))
            .bind(&subject.shopper_prefix)
            .fetch_one(&mut self.order_intake)
            .await?;
        let placed = self.paid_or_cancelled(subject).await?;
        session_tables::load_paid_or_cancelled(&mut self.issuance, &placed).await?;
        let coupons = sqlx::query(include_str!("../queries/redemptions.sql"))
            .bind(subject.campaign_number)
            .fetch_one(&mut self.issuance)
            .await?;
        let mut finding = counts(&orders)?;
        finding.absorb(counts(&coupons)?);
        Ok(finding)
    }
}

/// Every column of a row of counts, by its name.
fn counts(row: &PgRow) -> Result<Finding> {
    let mut finding = Finding::default();
    for column in row.columns() {
        let count: i64 = row.try_get(column.ordinal()).with_context(|| {
            format!(
                "the count {} is a {}, not a bigint",
                column.name(),
                column.type_info().name()
            )
        })?;
        finding.add(column.name(), count);
    }
    Ok(finding)
}

fn by_tier(rows: Vec<PgRow>) -> Result<BTreeMap<i32, i64>> {
    rows.iter()
        .map(|row| Ok((row.try_get(0)?, row.try_get(1)?)))
        .collect()
}

/// How many there are beyond what there may be, over all tiers; a tier without stock may have none.
fn beyond(issued: &BTreeMap<i32, i64>, stock: &BTreeMap<i32, i64>) -> i64 {
    issued
        .iter()
        .map(|(tier, count)| (count - stock.get(tier).copied().unwrap_or(0)).max(0))
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tier_with_room_does_not_hide_another_that_is_oversold() {
        let stock = BTreeMap::from([(0, 10), (1, 5)]);
        assert_eq!(beyond(&BTreeMap::from([(0, 3), (1, 7)]), &stock), 2);
        assert_eq!(beyond(&BTreeMap::from([(0, 10), (1, 5)]), &stock), 0);
        assert_eq!(beyond(&BTreeMap::from([(2, 1)]), &stock), 1);
    }
}
