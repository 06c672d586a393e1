use sqlx::FromRow;
use tidegate_types::{StoreId, Timestamp};

use super::{Store, commit::timetables, in_time, rows::column};
use crate::{
    domain::{
        self, Area, ClosingReason, DisplayName, MinuteOfDay, OpeningHours, OrdersPerSlot,
        SlotMinutes, StoreChange, StoreState, Timetable, UtcOffset,
    },
    error::OrderIntakeError,
};

/// A store as every query reads it.
#[derive(FromRow)]
pub(super) struct StoreRow {
    store_id: String,
    display_name: String,
    area: String,
    opens_at_minute: i16,
    closes_at_minute: i16,
    utc_offset_minutes: i16,
    slot_minutes: i16,
    orders_per_slot: i32,
    is_closed: bool,
    closed_because: Option<String>,
}

impl StoreRow {
    pub(super) fn into_store(self) -> Result<domain::Store, sqlx::Error> {
        let minute = |name, minute| column(name, MinuteOfDay::new(minute));
        let state = if self.is_closed {
            let because = self.closed_because.as_deref().map(ClosingReason::parse);
            StoreState::Closed(column("closed_because", because.transpose())?)
        } else {
            StoreState::Open
        };
        Ok(domain::Store {
            id: column("store_id", StoreId::parse(&self.store_id))?,
            display_name: column("display_name", DisplayName::parse(&self.display_name))?,
            area: column("area", Area::parse(&self.area))?,
            hours: OpeningHours {
                opens_at: minute("opens_at_minute", self.opens_at_minute)?,
                closes_at: minute("closes_at_minute", self.closes_at_minute)?,
                utc_offset: column(
                    "utc_offset_minutes",
                    UtcOffset::new(self.utc_offset_minutes),
                )?,
            },
            slot_minutes: column("slot_minutes", SlotMinutes::new(self.slot_minutes))?,
            orders_per_slot: column("orders_per_slot", OrdersPerSlot::new(self.orders_per_slot))?,
            state,
        })
    }
}

impl Store {
    /// Makes or changes stores, all or none. Each id may be there once. Answers how many are new.
    pub async fn upsert_stores(
        &self,
        mut changes: Vec<StoreChange>,
    ) -> Result<usize, OrderIntakeError> {
        changes.sort_by(|one, other| one.id.cmp(&other.id));
        let texts = |of: fn(&StoreChange) -> &str| -> Vec<String> {
            changes.iter().map(|change| of(change).to_owned()).collect()
        };
        let numbers = |of: fn(&StoreChange) -> Option<i16>| -> Vec<Option<i16>> {
            changes.iter().map(of).collect()
        };
        let orders_per_slot: Vec<_> = changes
            .iter()
            .map(|change| change.orders_per_slot.map(|orders| i32::from(orders.get())))
            .collect();
        let is_closed: Vec<_> = changes.iter().map(|change| change.is_closed).collect();
        let query = sqlx::query_scalar(include_str!("../../queries/upsert_stores.sql"))
            .bind(texts(|change| change.id.as_str()))
            .bind(texts(|change| change.display_name.as_str()))
            .bind(texts(|change| change.area.as_str()))
            .bind(numbers(|change| {
                Some(minute_number(change.hours?.opens_at))
            }))
            .bind(numbers(|change| {
                Some(minute_number(change.hours?.closes_at))
            }))
            .bind(numbers(|change| Some(change.hours?.utc_offset.get())))
            .bind(numbers(|change| Some(change.slot_minutes?.get().into())))
            .bind(orders_per_slot)
            .bind(is_closed);
        let created: i64 = query.fetch_one(&self.pool).await?;
        Ok(usize::try_from(created).unwrap_or_default())
    }

    /// One store.
    pub async fn get_store(&self, id: &StoreId) -> Result<domain::Store, OrderIntakeError> {
        let query = sqlx::query_as(include_str!("../../queries/get_store.sql")).bind(id.as_str());
        let row: Option<StoreRow> = in_time(query.fetch_optional(&self.pool)).await?;
        Ok(row.ok_or(OrderIntakeError::StoreNotFound)?.into_store()?)
    }

    /// Closes a store or opens it again. Orders placed from now on meet the new state.
    pub async fn set_store_state(
        &self,
        id: &StoreId,
        state: &StoreState,
    ) -> Result<domain::Store, OrderIntakeError> {
        let (is_closed, because) = match state {
            StoreState::Open => (false, None),
            StoreState::Closed(because) => (true, because.as_ref().map(ClosingReason::as_str)),
        };
        let query = sqlx::query_as(include_str!("../../queries/set_store_state.sql"))
            .bind(id.as_str())
            .bind(is_closed)
            .bind(because);
        let row: Option<StoreRow> = in_time(query.fetch_optional(&self.pool)).await?;
        Ok(row.ok_or(OrderIntakeError::StoreNotFound)?.into_store()?)
    }

    /// Some other stores of an area with what is booked there, those first whose id comes after `near`. A look without locks: by the time somebody orders there, it may be otherwise.
    pub async fn look_around(
        &self,
        area: &Area,
        near: &StoreId,
        limit: u8,
        now: Timestamp,
    ) -> Result<Vec<Timetable>, OrderIntakeError> {
        let query = sqlx::query_as(include_str!("../../queries/stores_nearby.sql"))
            .bind(area.as_str())
            .bind(near.as_str())
            .bind(i64::from(limit));
        let rows: Vec<StoreRow> = in_time(query.fetch_all(&self.pool)).await?;
        let stores = rows
            .into_iter()
            .map(StoreRow::into_store)
            .collect::<Result<Vec<_>, _>>()?;
        let mut connection = in_time(self.pool.acquire()).await?;
        Ok(in_time(timetables(&mut connection, stores, now)).await?)
    }
}

fn minute_number(minute: MinuteOfDay) -> i16 {
    // There are 1,440 minutes in a day.
    i16::try_from(minute.get()).unwrap_or_default()
}
