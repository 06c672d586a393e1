//! What stores were asked to make, and whether those who make it were told.

use anyhow::Result;
use serde::Serialize;
use sqlx::{Row, postgres::PgRow};
use uuid::Uuid;

use super::{Books, Finding, Subject, counts, session_tables};
use crate::ledger::Told;

/// One slot of a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct BookedSlot {
    /// When it begins, in seconds since 1970.
    pub starts_at_unix_seconds: i64,
    /// Orders that are made in it.
    pub orders: i64,
    /// How many the store can make.
    pub capacity: i64,
}

/// A store and what it makes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BookedStore {
    pub store_id: String,
    /// Its slots with orders, by time.
    pub slots: Vec<BookedSlot>,
}

impl Books {
    /// Orders that a coupon pays for now. Those are what fulfilment must have heard of.
    ///
    /// # Errors
    /// A query fails.
    pub async fn paid_orders(&mut self, subject: &Subject) -> Result<Vec<Uuid>> {
        let mut paid = Vec::new();
        for row in self.paid_or_cancelled(subject).await? {
            if row.try_get("is_paid")? {
                paid.push(row.try_get("order_id")?);
            }
        }
        Ok(paid)
    }

    pub(super) async fn paid_or_cancelled(&mut self, subject: &Subject) -> Result<Vec<PgRow>> {
        let rows = sqlx::query(include_str!("../../queries/paid_or_cancelled_orders.sql"))
            .bind(&subject.shopper_prefix)
            .fetch_all(&mut self.order_intake)
            .await?;
        Ok(rows)
    }

    pub(super) async fn stores_survive(
        &mut self,
        subject: &Subject,
        told: &Told,
    ) -> Result<Finding> {
        let slots = sqlx::query(include_str!("../../queries/orders_per_slot.sql"))
            .bind(&subject.shopper_prefix)
            .bind(subject.orders_per_slot)
            .fetch_one(&mut self.order_intake)
            .await?;
        let feed = sqlx::query(include_str!("../../queries/feed_of_orders.sql"))
            .bind(&subject.shopper_prefix)
            .fetch_one(&mut self.order_intake)
            .await?;
        let mut finding = counts(&slots)?;
        finding.absorb(counts(&feed)?);
        if let Some(heard) = &told.heard {
            session_tables::load_heard(&mut self.order_intake, heard).await?;
            let accepted = sqlx::query(include_str!("../../queries/accepted_orders_heard.sql"))
                .bind(&subject.shopper_prefix)
                .fetch_one(&mut self.order_intake)
                .await?;
            finding.absorb(counts(&accepted)?);
        }
        finding.add(
            "coupons_seen_after_a_full_store",
            i64::try_from(told.coupons_left)?,
        );
        finding.add(
            "wrong_coupons_spoiled_by_a_full_store",
            i64::try_from(told.coupons_spoiled)?,
        );
        Ok(finding)
    }

    /// The stores with most orders of this run, the busiest first, and what is made in each of their slots.
    ///
    /// # Errors
    /// A query fails.
    pub async fn busiest_stores(
        &mut self,
        subject: &Subject,
        stores: i64,
    ) -> Result<Vec<BookedStore>> {
        let rows = sqlx::query(include_str!("../../queries/busiest_stores.sql"))
            .bind(&subject.shopper_prefix)
            .bind(stores)
            .fetch_all(&mut self.order_intake)
            .await?;
        let mut busiest: Vec<BookedStore> = Vec::new();
        for row in &rows {
            let store_id: String = row.try_get(0)?;
            let slot = BookedSlot {
                starts_at_unix_seconds: row.try_get(1)?,
                orders: row.try_get(2)?,
                capacity: row.try_get(3)?,
            };
            match busiest.last_mut() {
                Some(store) if store.store_id == store_id => store.slots.push(slot),
                _ => busiest.push(BookedStore {
                    store_id,
                    slots: vec![slot],
                }),
            }
        }
        Ok(busiest)
    }
}
