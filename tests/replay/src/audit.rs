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

use std::time::Duration;

use anyhow::{Context, Result};
use sqlx::{Column, Connection, PgConnection, Postgres, Row, postgres::PgArguments, query::Query};
use tidegate_local::stack::{Service, Stack};
use time::OffsetDateTime;
use tokio::time::sleep;
use uuid::Uuid;

use crate::ledger::{Ledger, Told, ToldStanding};

pub use findings::{Audit, Finding, WRONG};
use session_tables::fill;
pub use stores::{BookedSlot, BookedStore};

/// How long orders get to be decided before the audit counts them.
const SETTLE_LIMIT: Duration = Duration::from_secs(20);
const SETTLE_POLL: Duration = Duration::from_millis(250);

/// Whose claims and orders are audited.
#[derive(Debug, Clone)]
pub struct Subject {
    pub campaign_number: i64,
    pub limit_per_shopper: i64,
    /// What the ids of this run's shoppers begin with; orders of other runs on the same data are left out.
    pub shopper_prefix: String,
    /// What staff said each store makes in a slot.
    pub orders_per_slot: i64,
    pub stock: i64,
    /// When the replay began: what callers were told is kept by moments counted from it.
    pub started_at: OffsetDateTime,
    /// When the campaign opened, as a moment of the replay.
    pub opening: Duration,
}

#[derive(Debug)]
pub struct Books {
    pub quota: PgConnection,
    pub issuance: PgConnection,
    pub order_intake: PgConnection,
}

impl Books {
    pub async fn open(stack: &Stack) -> Result<Self> {
        let connect = async |service| {
            let silent = || format!("the database of {service:?} cannot be reached for the audit");
            let url = stack.postgres().database_url(service);
            PgConnection::connect(&url).await.with_context(silent)
        };
        Ok(Self {
            quota: connect(Service::Quota).await?,
            issuance: connect(Service::Issuance).await?,
            order_intake: connect(Service::OrderIntake).await?,
        })
    }

    pub async fn audit(
        &mut self,
        subject: &Subject,
        ledger: &Ledger,
        told: &Told,
    ) -> Result<Audit> {
        self.wait_until_decided(subject).await?;
        session_tables::make(&mut self.issuance).await?;
        session_tables::make(&mut self.order_intake).await?;
        self.bring_what_was_told(ledger, told).await?;
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
    pub async fn wait_until_decided(&mut self, subject: &Subject) -> Result<()> {
        for _ in 0..SETTLE_LIMIT.as_millis() / SETTLE_POLL.as_millis() {
            let pending = sqlx::query_scalar(include_str!("../queries/orders_pending.sql"))
                .bind(&subject.shopper_prefix);
            let pending: i64 = pending.fetch_one(&mut self.order_intake).await?;
            if pending == 0 {
                break;
            }
            sleep(SETTLE_POLL).await;
        }
        Ok(())
    }

    async fn bring_what_was_told(&mut self, ledger: &Ledger, told: &Told) -> Result<()> {
        let coupons = told.coupons.iter().map(|told| {
            let (campaign, slot) = answers::read(&told.code).unwrap_or((0, -1));
            let shopper = ledger.shopper_id(told.shopper);
            let request = Ledger::claim_request_id(told.request);
            format!("{shopper}\t{request}\t{campaign}\t{slot}")
        });
        fill(&mut self.issuance, "told_coupons", coupons).await?;
        let orders = told.orders.iter().map(|told| {
            let shopper = ledger.shopper_id(told.shopper);
            let is_accepted = told.standing == ToldStanding::Accepted;
            let is_cancelled = told.standing == ToldStanding::Cancelled;
            let was_asked = is_cancelled || told.standing == ToldStanding::CancelAsked;
            let id = told.order_id;
            format!("{shopper}\t{id}\t{is_accepted}\t{was_asked}\t{is_cancelled}")
        });
        fill(&mut self.order_intake, "told_orders", orders).await
    }

    async fn never_oversold(&mut self, subject: &Subject) -> Result<Finding> {
        let campaign = subject.campaign_number;
        let stock = sqlx::query(include_str!("../queries/stock.sql")).bind(campaign);
        let spent = sqlx::query(include_str!("../queries/coupons_and_leases.sql")).bind(campaign);
        let mut finding = count(&mut self.quota, stock).await?;
        finding.absorb(count(&mut self.issuance, spent).await?);
        let stock = sqlx::query_as(include_str!("../queries/stock_by_tier.sql")).bind(campaign);
        let coupons = sqlx::query_as(include_str!("../queries/coupons_by_tier.sql")).bind(campaign);
        let stock: Vec<(i32, i64)> = stock.fetch_all(&mut self.quota).await?;
        let coupons: Vec<(i32, i64)> = coupons.fetch_all(&mut self.issuance).await?;
        finding.add("wrong_coupons_beyond_stock", beyond(&coupons, &stock));
        let leases = sqlx::query_as(include_str!("../queries/leases_of_quota.sql")).bind(campaign);
        let leases: Vec<(Uuid, i16, i64, Option<i64>)> = leases.fetch_all(&mut self.quota).await?;
        let leases = leases.into_iter().map(|(id, tier, granted, used)| {
            let used = used.map_or("\\N".to_owned(), |used| used.to_string());
            format!("{id}\t{tier}\t{granted}\t{used}")
        });
        fill(&mut self.issuance, "leases_of_quota", leases).await?;
        let both = sqlx::query(include_str!("../queries/leases_on_both_sides.sql")).bind(campaign);
        finding.absorb(count(&mut self.issuance, both).await?);
        Ok(finding)
    }

    async fn exactly_once(&mut self, subject: &Subject, told: &Told) -> Result<Finding> {
        let coupons = sqlx::query(include_str!("../queries/coupons_per_claim.sql"))
            .bind(subject.campaign_number)
            .bind(subject.limit_per_shopper);
        let mut finding = count(&mut self.issuance, coupons).await?;
        finding.absorb(answers::one_code_a_request(told));
        Ok(finding)
    }

    async fn acked_is_kept(&mut self, subject: &Subject, told: &Told) -> Result<Finding> {
        let coupons = sqlx::query(include_str!("../queries/told_coupons_kept.sql"))
            .bind(subject.campaign_number);
        let orders = sqlx::query(include_str!("../queries/told_orders_kept.sql"));
        let mut finding = count(&mut self.issuance, coupons).await?;
        finding.absorb(count(&mut self.order_intake, orders).await?);
        finding.add("wrong_answers_unreadable", told.unreadable);
        Ok(finding)
    }

    async fn redeemed_once(&mut self, subject: &Subject) -> Result<Finding> {
        let orders = sqlx::query(include_str!("../queries/orders_per_coupon.sql"))
            .bind(&subject.shopper_prefix);
        let mut finding = count(&mut self.order_intake, orders).await?;
        let placed = self.paid_or_cancelled(subject).await?.into_iter();
        let placed = placed.map(|(id, shopper, is_paid)| format!("{id}\t{shopper}\t{is_paid}"));
        fill(&mut self.issuance, "paid_or_cancelled_orders", placed).await?;
        let coupons =
            sqlx::query(include_str!("../queries/redemptions.sql")).bind(subject.campaign_number);
        finding.absorb(count(&mut self.issuance, coupons).await?);
        Ok(finding)
    }
}

/// Every column of the one row that a query counts, by its name.
async fn count(
    connection: &mut PgConnection,
    query: Query<'_, Postgres, PgArguments>,
) -> Result<Finding> {
    let row = query.fetch_one(connection).await?;
    let mut finding = Finding::default();
    for column in row.columns() {
        let name = column.name();
        let count: i64 = row
            .try_get(column.ordinal())
            .with_context(|| format!("{name} is no bigint"))?;
        finding.add(name.to_owned(), count);
    }
    Ok(finding)
}

/// How many there are beyond what there may be, over all tiers; a tier without stock may have none.
fn beyond(issued: &[(i32, i64)], stock: &[(i32, i64)]) -> i64 {
    let stock_of = |wanted| stock.iter().find(|(tier, _)| *tier == wanted);
    let beyond = issued.iter().map(|(tier, count)| {
        let stock = stock_of(*tier).map_or(0, |(_, stock)| *stock);
        (count - stock).max(0)
    });
    beyond.sum()
}
