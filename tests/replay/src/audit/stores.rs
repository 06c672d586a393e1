//! What stores were asked to make, and whether those who make it were told.

use anyhow::Result;
use serde::Serialize;
use uuid::Uuid;

use super::{Books, Finding, Subject, count, session_tables::fill};
use crate::ledger::Told;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct BookedSlot {
    pub starts_at_unix_seconds: i64,
    pub orders: i64,
    pub capacity: i64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BookedStore {
    pub store_id: String,
    pub slots: Vec<BookedSlot>,
}

impl Books {
    /// Orders that a coupon pays for now. Those are what fulfilment must have heard of.
    pub async fn paid_orders(&mut self, subject: &Subject) -> Result<Vec<Uuid>> {
        let orders = self.paid_or_cancelled(subject).await?.into_iter();
        let paid = orders.filter(|(.., is_paid)| *is_paid);
        Ok(paid.map(|(order_id, ..)| order_id).collect())
    }

    /// Each order's id, its shopper's id, and whether it is paid for.
    pub(super) async fn paid_or_cancelled(
        &mut self,
        subject: &Subject,
    ) -> Result<Vec<(Uuid, String, bool)>> {
        let orders = sqlx::query_as(include_str!("../../queries/paid_or_cancelled_orders.sql"))
            .bind(&subject.shopper_prefix);
        Ok(orders.fetch_all(&mut self.order_intake).await?)
    }

    pub(super) async fn stores_survive(
        &mut self,
        subject: &Subject,
        told: &Told,
    ) -> Result<Finding> {
        let slots = sqlx::query(include_str!("../../queries/orders_per_slot.sql"))
            .bind(&subject.shopper_prefix)
            .bind(subject.orders_per_slot);
        let feed = sqlx::query(include_str!("../../queries/feed_of_orders.sql"))
            .bind(&subject.shopper_prefix);
        let mut finding = count(&mut self.order_intake, slots).await?;
        finding.absorb(count(&mut self.order_intake, feed).await?);
        let heard = told.heard.iter().map(Uuid::to_string);
        fill(&mut self.order_intake, "heard_orders", heard).await?;
        let accepted = sqlx::query(include_str!("../../queries/accepted_orders_heard.sql"))
            .bind(&subject.shopper_prefix);
        finding.absorb(count(&mut self.order_intake, accepted).await?);
        finding.absorb(told.full_stores.clone());
        Ok(finding)
    }

    /// The stores with most orders of this run, the busiest first, and what is made in each of their slots.
    pub async fn busiest_stores(
        &mut self,
        subject: &Subject,
        stores: i64,
    ) -> Result<Vec<BookedStore>> {
        let slots = sqlx::query_as(include_str!("../../queries/busiest_stores.sql"))
            .bind(&subject.shopper_prefix)
            .bind(stores);
        let slots: Vec<(String, i64, i64, i64)> = slots.fetch_all(&mut self.order_intake).await?;
        let mut busiest: Vec<BookedStore> = Vec::new();
        for (store_id, starts_at_unix_seconds, orders, capacity) in slots {
            let slot = BookedSlot {
                starts_at_unix_seconds,
                orders,
                capacity,
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
