use sqlx::FromRow;
use tidegate_types::{StoreId, Timestamp};

use super::{Store, commit::timetables, in_time, rows::column};
use crate::{
    domain::{
        self, Area, ClosingReason, Day, DisplayName, MinuteOfDay, OpeningHours, OrdersPerSlot,
        SlotMinutes, StoreChange, StoreState, StoreZone, Timetable, Weekday, WeeklyHours,
    },
    error::OrderIntakeError,
};

/// A store as every query reads it.
#[derive(FromRow)]
pub(super) struct StoreRow {
    store_id: String,
    display_name: String,
    area: String,
    time_zone: String,
    weekly_hours: Vec<i16>,
    closed_days: Vec<time::Date>,
    slot_minutes: i16,
    orders_per_slot: i32,
    is_closed: bool,
    closed_because: Option<String>,
}

impl StoreRow {
    pub(super) fn into_store(self) -> Result<domain::Store, sqlx::Error> {
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
            zone: column("time_zone", StoreZone::parse(&self.time_zone))?,
            hours: hours(&self.weekly_hours, &self.closed_days)?,
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
        let of_hours = |of: fn(&OpeningHours) -> String| -> Vec<Option<String>> {
            let hours = changes.iter().map(|change| change.hours.as_ref());
            hours.map(|hours| hours.map(of)).collect()
        };
        let zones: Vec<_> = changes
            .iter()
            .map(|change| change.zone.as_ref().map(|zone| zone.name().to_owned()))
            .collect();
        let slot_minutes: Vec<_> = changes
            .iter()
            .map(|change| change.slot_minutes.map(|slot| i16::from(slot.get())))
            .collect();
        let orders_per_slot: Vec<_> = changes
            .iter()
            .map(|change| change.orders_per_slot.map(|orders| i32::from(orders.get())))
            .collect();
        let is_closed: Vec<_> = changes.iter().map(|change| change.is_closed).collect();
        let query = sqlx::query_scalar(include_str!("../../queries/upsert_stores.sql"))
            .bind(texts(|change| change.id.as_str()))
            .bind(texts(|change| change.display_name.as_str()))
            .bind(texts(|change| change.area.as_str()))
            .bind(zones)
            .bind(of_hours(weekly_text))
            .bind(of_hours(closed_days_text))
            .bind(slot_minutes)
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
        Ok(in_time(timetables(&mut connection, stores, now, None)).await?)
    }
}

/// Hours as the columns keep them: three numbers a stretch, and days.
fn hours(weekly: &[i16], closed_days: &[time::Date]) -> Result<OpeningHours, sqlx::Error> {
    let stretch = |numbers: &[i16]| match numbers {
        [weekday, opens_at, closes_at] => Ok(WeeklyHours {
            weekday: column("weekly_hours", Weekday::new(*weekday))?,
            opens_at: column("weekly_hours", MinuteOfDay::new(*opens_at))?,
            closes_at: column("weekly_hours", MinuteOfDay::new(*closes_at))?,
        }),
        _ => column("weekly_hours", Err("its numbers are no threes")),
    };
    let weekly = weekly
        .chunks(3)
        .map(stretch)
        .collect::<Result<Vec<_>, sqlx::Error>>()?;
    let day = |day: &time::Date| column("closed_days", Day::parse(&day.to_string()));
    let closed_days = closed_days
        .iter()
        .map(day)
        .collect::<Result<Vec<_>, sqlx::Error>>()?;
    Ok(OpeningHours::new(weekly, closed_days))
}

/// The text of an array of numbers, three a stretch.
fn weekly_text(hours: &OpeningHours) -> String {
    let stretch = |hours: WeeklyHours| {
        let (day, opens, closes) = (hours.weekday, hours.opens_at, hours.closes_at);
        format!("{},{},{}", day.get(), opens.get(), closes.get())
    };
    let stretches: Vec<_> = hours.weekly().map(stretch).collect();
    format!("{{{}}}", stretches.join(","))
}

/// The text of an array of days.
fn closed_days_text(hours: &OpeningHours) -> String {
    let days: Vec<_> = hours.closed_days().map(|day| day.to_string()).collect();
    format!("{{{}}}", days.join(","))
}
