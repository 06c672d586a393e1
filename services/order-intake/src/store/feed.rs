use sqlx::{FromRow as _, Row as _};
use tidegate_types::{Area, ConsumerId, Lane, StoreId};

use super::{
    Store, in_time, lane_number,
    rows::{column, each},
};
use crate::{
    domain::{FeedCursor, FeedFilter, OrderEvent},
    error::Result,
};

impl Store {
    pub async fn feed_end(&self) -> Result<FeedCursor> {
        let query = sqlx::query_as(include_str!("../../queries/feed_heads.sql"));
        self.cursor(in_time(query.fetch_all(&self.pool)).await?)
    }

    /// How far a consumer has acknowledged; `None` if it never has.
    pub async fn feed_cursor(&self, consumer: &ConsumerId) -> Result<Option<FeedCursor>> {
        let query = sqlx::query_as(include_str!("../../queries/feed_cursor.sql"));
        let rows = in_time(query.bind(consumer.as_str()).fetch_all(&self.pool)).await?;
        match rows.is_empty() {
            true => Ok(None),
            false => self.cursor(rows).map(Some),
        }
    }

    pub async fn count_consumers(&self) -> Result<i64> {
        let query = sqlx::query_scalar(include_str!("../../queries/count_consumers.sql"));
        Ok(in_time(query.fetch_one(&self.pool)).await?)
    }

    /// Remembers how far a consumer has come. A cursor that is behind what is remembered changes
    /// nothing.
    pub async fn acknowledge_feed(&self, consumer: &ConsumerId, cursor: &FeedCursor) -> Result<()> {
        let position = |lane| position_number(cursor.position(lane));
        let positions: Vec<_> = self.lanes.all().map(position).collect();
        let query = sqlx::query(include_str!("../../queries/acknowledge_feed.sql"))
            .bind(consumer.as_str())
            .bind(self.lane_numbers())
            .bind(positions);
        in_time(query.execute(&self.pool)).await?;
        Ok(())
    }

    pub async fn feed_lags(&self) -> Result<Vec<(String, i64)>> {
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
    ) -> Result<(Vec<OrderEvent>, u64)> {
        let position = |lane: &Lane| position_number(cursor.position(*lane));
        let query = sqlx::query(include_str!("../../queries/read_feed.sql"))
            .bind(each(lanes, |lane| lane_number(*lane)))
            .bind(each(lanes, position))
            .bind(i64::from(limit))
            .bind(filter.store.as_ref().map(StoreId::as_str))
            .bind(filter.area.as_ref().map(Area::as_str));
        let rows = in_time(query.fetch_all(&self.pool)).await?;
        let (mut events, mut passed_over) = (Vec::with_capacity(rows.len()), 0);
        for row in &rows {
            let place = (row.try_get("lane")?, row.try_get("position")?);
            passed_over += self.advance(cursor, place)?;
            if row.try_get("passes")? {
                events.push(OrderEvent::from_row(row)?);
            }
        }
        Ok((events, passed_over))
    }

    fn cursor(&self, rows: Vec<(i16, i64)>) -> Result<FeedCursor> {
        let mut cursor = FeedCursor::start(self.lanes);
        for place in rows {
            self.advance(&mut cursor, place)?;
        }
        Ok(cursor)
    }

    fn advance(
        &self,
        cursor: &mut FeedCursor,
        (lane, position): (i16, i64),
    ) -> Result<u64, sqlx::Error> {
        let lane = column("lane", self.lanes.lane(lane))?;
        Ok(cursor.advance(lane, column("position", u64::try_from(position))?))
    }
}

fn position_number(position: u64) -> i64 {
    // Positions are counted from 1, one an event.
    i64::try_from(position).unwrap_or(i64::MAX)
}
