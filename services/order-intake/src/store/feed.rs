use sqlx::FromRow;
use tidegate_types::{ConsumerId, Lane, ShopperId, StoreId, Timestamp};
use uuid::Uuid;

use super::{
    Store, in_time, lane_number,
    rows::{column, event_state, lines_from_json, slot},
};
use crate::{
    domain::{Area, FeedCursor, FeedFilter, OrderEvent, OrderId},
    error::OrderIntakeError,
};

#[derive(FromRow)]
struct PositionRow {
    lane: i16,
    position: i64,
}

#[derive(FromRow)]
struct EventRow {
    lane: i16,
    position: i64,
    passes: bool,
    order_id: Uuid,
    shopper_id: String,
    store_id: String,
    area: String,
    state: i16,
    rejected_because: Option<String>,
    failure_note: Option<String>,
    slot_starts_at: Option<Timestamp>,
    slot_minutes: Option<i16>,
    happened_at: Timestamp,
    lines: Option<String>,
}

impl Store {
    pub async fn feed_end(&self) -> Result<FeedCursor, OrderIntakeError> {
        let query = sqlx::query_as(include_str!("../../queries/feed_heads.sql"));
        self.cursor(in_time(query.fetch_all(&self.pool)).await?)
    }

    /// How far a consumer has acknowledged; `None` if it never has.
    pub async fn feed_cursor(
        &self,
        consumer: &ConsumerId,
    ) -> Result<Option<FeedCursor>, OrderIntakeError> {
        let query = sqlx::query_as(include_str!("../../queries/feed_cursor.sql"));
        let rows: Vec<PositionRow> =
            in_time(query.bind(consumer.as_str()).fetch_all(&self.pool)).await?;
        if rows.is_empty() {
            return Ok(None);
        }
        self.cursor(rows).map(Some)
    }

    pub async fn count_consumers(&self) -> Result<i64, OrderIntakeError> {
        let query = sqlx::query_scalar(include_str!("../../queries/count_consumers.sql"));
        Ok(in_time(query.fetch_one(&self.pool)).await?)
    }

    /// Remembers how far a consumer has come. A cursor that is behind what is remembered changes
    /// nothing.
    pub async fn acknowledge_feed(
        &self,
        consumer: &ConsumerId,
        cursor: &FeedCursor,
    ) -> Result<(), OrderIntakeError> {
        let lanes: Vec<_> = self.lanes.all().map(lane_number).collect();
        let positions: Vec<_> = self
            .lanes
            .all()
            .map(|lane| position_number(cursor.position(lane)))
            .collect();
        let query = sqlx::query(include_str!("../../queries/acknowledge_feed.sql"))
            .bind(consumer.as_str())
            .bind(lanes)
            .bind(positions);
        in_time(query.execute(&self.pool)).await?;
        Ok(())
    }

    pub async fn feed_lags(&self) -> Result<Vec<(String, i64)>, OrderIntakeError> {
        let query = sqlx::query_as(include_str!("../../queries/feed_lags.sql"));
        Ok(in_time(query.fetch_all(&self.pool)).await?)
    }

    /// The events that come after the cursor in some lanes, `limit` at most, of which those are
    /// told that pass the filter. Moves the cursor to behind the last one read, and answers how
    /// many it passed over because they are no longer kept.
    pub async fn read_feed(
        &self,
        cursor: &mut FeedCursor,
        lanes: &[Lane],
        filter: &FeedFilter,
        limit: u16,
    ) -> Result<(Vec<OrderEvent>, u64), OrderIntakeError> {
        let after: Vec<_> = lanes
            .iter()
            .map(|lane| position_number(cursor.position(*lane)))
            .collect();
        let numbers: Vec<_> = lanes.iter().copied().map(lane_number).collect();
        let query = sqlx::query_as(include_str!("../../queries/read_feed.sql"))
            .bind(numbers)
            .bind(after)
            .bind(i64::from(limit))
            .bind(filter.store.as_ref().map(StoreId::as_str))
            .bind(filter.area.as_ref().map(Area::as_str));
        let rows: Vec<EventRow> = in_time(query.fetch_all(&self.pool)).await?;
        let (mut events, mut passed_over) = (Vec::with_capacity(rows.len()), 0);
        for row in rows {
            let lane = column("lane", self.lanes.lane(row.lane))?;
            passed_over += cursor.advance(lane, column("position", u64::try_from(row.position))?);
            if row.passes {
                events.push(row.into_event()?);
            }
        }
        Ok((events, passed_over))
    }

    fn cursor(&self, rows: Vec<PositionRow>) -> Result<FeedCursor, OrderIntakeError> {
        let mut cursor = FeedCursor::start(self.lanes);
        for row in rows {
            let lane = column("lane", self.lanes.lane(row.lane))?;
            cursor.advance(lane, column("position", u64::try_from(row.position))?);
        }
        Ok(cursor)
    }
}

impl EventRow {
    fn into_event(self) -> Result<OrderEvent, sqlx::Error> {
        Ok(OrderEvent {
            order_id: OrderId(self.order_id),
            shopper: column("shopper_id", ShopperId::parse(&self.shopper_id))?,
            store: column("store_id", StoreId::parse(&self.store_id))?,
            area: column("area", Area::parse(&self.area))?,
            state: event_state(self.state, self.rejected_because, self.failure_note)?,
            slot: slot(self.slot_starts_at, self.slot_minutes)?,
            lines: self.lines.as_deref().map(lines_from_json).transpose()?,
            happened_at: self.happened_at,
        })
    }
}

fn position_number(position: u64) -> i64 {
    // Positions are counted from 1, one an event.
    i64::try_from(position).unwrap_or(i64::MAX)
}
