//! What staff look up: an order of whomever, the orders of a store, what was changed.

use sqlx::{FromRow as _, Row as _, postgres::PgRow};
use tidegate_types::{ChangePage, ChangeQuery, Timestamp};

use super::{Store, in_time};
use crate::{
    domain::{Order, OrderId, PagePosition, Paged, StateKind, StoreOrdersQuery},
    error::{OrderIntakeError, Result},
};

/// Orders that are read for a page, so that it takes no longer if few of them are in the states
/// that are asked for; of each lane its share of them, and no fewer than a page holds.
const READ_FOR_PAGE: usize = 2_000;
/// Orders of one slot: a store makes no more.
const ORDERS_OF_SLOT: usize = 10_000;
/// Slots of which a page may read all orders: that in which it begins, and that in which it ends.
const WHOLE_SLOTS: usize = 2;

impl Store {
    /// An order, whosever it is.
    pub async fn find_order(&self, order_id: OrderId) -> Result<Order> {
        let query = sqlx::query_as(include_str!("../../queries/find_order.sql"))
            .bind(self.lane_numbers())
            .bind(order_id.0);
        let order = in_time(query.fetch_optional(&self.pool)).await?;
        order.ok_or(OrderIntakeError::OrderNotFound)
    }

    /// A page of a store's orders by their slots, and where the next one begins if there may be
    /// one. It holds fewer than asked for if few of those that it read are in the states asked for.
    pub async fn list_store_orders(
        &self,
        query: &StoreOrdersQuery,
    ) -> Result<Paged<Order, PagePosition>> {
        let size = usize::from(query.size.get());
        let read_of_lane = (READ_FOR_PAGE / usize::from(self.lanes.get())).max(size + 1);
        // Moments are kept to the microsecond.
        let last = query.until.saturating_sub(time::Duration::MICROSECOND);
        let farther = self.page_end(query, last, read_of_lane).await?;
        let (holding, ended) = branches(&query.states);
        let states: Vec<_> = query.states.iter().map(|state| *state as i16).collect();
        let statement = sqlx::query(include_str!("../../queries/list_store_orders.sql"))
            .bind(query.store.as_str())
            .bind(self.lane_numbers())
            .bind(query.after.created_at)
            .bind(query.after.order_id.0)
            .bind(farther.unwrap_or(last))
            .bind(holding)
            .bind(ended)
            .bind(states)
            .bind(query.size.and_one())
            .bind(count(read_of_lane + WHOLE_SLOTS * ORDERS_OF_SLOT));
        let rows = in_time(statement.fetch_all(&self.pool)).await?;
        let next = match rows.get(size.saturating_sub(1)) {
            Some(last) if rows.len() > size => Some(position(last)?),
            _ => farther.map(PagePosition::after_all_of),
        };
        let orders = rows.iter().take(size).map(known_order);
        let orders: Result<Vec<_>, sqlx::Error> = orders.collect();
        Ok((orders?.into_iter().flatten().collect(), next))
    }

    /// The slot with which a page ends, unless it goes on to the last one asked for.
    async fn page_end(
        &self,
        query: &StoreOrdersQuery,
        last: Timestamp,
        read_of_lane: usize,
    ) -> Result<Option<Timestamp>> {
        let (holding, ended) = branches(&query.states);
        let statement = sqlx::query_scalar(include_str!("../../queries/store_orders_to_read.sql"))
            .bind(query.store.as_str())
            .bind(self.lane_numbers())
            .bind(query.after.created_at)
            .bind(last)
            .bind(count(read_of_lane))
            .bind(holding)
            .bind(ended);
        let row: Option<Option<Timestamp>> = in_time(statement.fetch_optional(&self.pool)).await?;
        row.ok_or(OrderIntakeError::StoreNotFound)
    }

    /// A page of what staff changed, the newest first.
    pub async fn list_changes(&self, query: &ChangeQuery) -> Result<ChangePage> {
        let mut connection = in_time(self.pool.acquire()).await?;
        Ok(in_time(tidegate_pg::list_changes(&mut connection, query)).await?)
    }
}

/// Whether some of the states hold a place, and whether some do not: each kind has its index.
fn branches(states: &[StateKind]) -> (bool, bool) {
    let holding = states.iter().any(|state| !state.will_not_be_made());
    let ended = states.iter().any(|state| state.will_not_be_made());
    (holding, ended)
}

fn count(orders: usize) -> i64 {
    // Tens of thousands at most.
    i64::try_from(orders).unwrap_or(i64::MAX)
}

/// An order, unless its details are no longer kept.
fn known_order(row: &PgRow) -> Result<Option<Order>, sqlx::Error> {
    let lines: Option<&str> = row.try_get("lines")?;
    lines.map(|_| Order::from_row(row)).transpose()
}

fn position(row: &PgRow) -> Result<PagePosition, sqlx::Error> {
    Ok(PagePosition {
        created_at: row.try_get("slot_starts_at")?,
        order_id: OrderId(row.try_get("order_id")?),
    })
}
