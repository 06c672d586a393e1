use std::collections::HashMap;

use sqlx::{FromRow, PgConnection};
use tidegate_types::{StoreId, Timestamp};

use super::rows::{column, slot_of};
use crate::domain::{
    Area, Booking, ClosingReason, Day, DisplayName, MinuteOfDay, OpeningHours, OrdersPerSlot,
    SlotMinutes, Store, StoreState, StoreZone, Timetable, Weekday, WeeklyHours,
};

/// A store as every query reads it.
#[derive(FromRow, Clone, PartialEq, Eq)]
pub(super) struct StoreRow {
    pub(super) store_id: String,
    pub(super) display_name: String,
    pub(super) area: String,
    pub(super) time_zone: String,
    pub(super) weekly_hours: Vec<i16>,
    pub(super) closed_days: Vec<time::Date>,
    pub(super) slot_minutes: i16,
    pub(super) orders_per_slot: i32,
    pub(super) is_closed: bool,
    pub(super) closed_because: Option<String>,
}

impl StoreRow {
    pub(super) fn into_store(self) -> Result<Store, sqlx::Error> {
        let state = if self.is_closed {
            let because = self.closed_because.as_deref().map(ClosingReason::parse);
            StoreState::Closed(column("closed_because", because.transpose())?)
        } else {
            StoreState::Open
        };
        Ok(Store {
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
    let weekly: Result<Vec<_>, sqlx::Error> = weekly.chunks(3).map(stretch).collect();
    let day = |day: &time::Date| column("closed_days", Day::parse(&day.to_string()));
    let closed_days: Result<Vec<_>, _> = closed_days.iter().map(day).collect();
    Ok(OpeningHours::new(weekly?, closed_days?))
}

/// The text of an array of numbers, three a stretch.
pub(super) fn weekly_text(hours: &OpeningHours) -> String {
    let stretch = |hours: WeeklyHours| {
        let (day, opens, closes) = (hours.weekday, hours.opens_at, hours.closes_at);
        format!("{},{},{}", day.get(), opens.get(), closes.get())
    };
    let stretches: Vec<_> = hours.weekly().map(stretch).collect();
    format!("{{{}}}", stretches.join(","))
}

/// The text of an array of days.
pub(super) fn closed_days_text(hours: &OpeningHours) -> String {
    let days: Vec<_> = hours.closed_days().map(|day| day.to_string()).collect();
    format!("{{{}}}", days.join(","))
}

/// What is booked at a store: when slots begin, their minutes, and places booked and to be had.
type BookingsRow = (String, Vec<Timestamp>, Vec<i16>, Vec<i32>, Vec<i32>);

/// Stores with what is booked there in [`Timetable::span`].
pub(super) async fn timetables(
    connection: &mut PgConnection,
    stores: Vec<Store>,
    now: Timestamp,
    (first, last): (Timestamp, Timestamp),
) -> Result<Vec<Timetable>, sqlx::Error> {
    if stores.is_empty() {
        return Ok(Vec::new());
    }
    let ids: Vec<&str> = stores.iter().map(|store| store.id.as_str()).collect();
    let query = sqlx::query_as(include_str!("../../queries/read_bookings.sql"))
        .bind(ids)
        .bind(first)
        .bind(last);
    let rows: Vec<BookingsRow> = query.fetch_all(connection).await?;
    let bookings = rows.into_iter().map(bookings);
    let mut bookings = bookings.collect::<Result<HashMap<_, _>, _>>()?;
    let timetable = |store: Store| {
        let booked = bookings.remove(store.id.as_str()).unwrap_or_default();
        Timetable::new(store, now, booked)
    };
    Ok(stores.into_iter().map(timetable).collect())
}

fn bookings(
    (store_id, starts_at, minutes, booked, capacity): BookingsRow,
) -> Result<(String, Vec<Booking>), sqlx::Error> {
    let slots = starts_at.into_iter().zip(minutes);
    let booking = |(slot, (booked, capacity))| {
        Ok(Booking {
            slot: slot_of(slot)?,
            booked: column("booked", u16::try_from(booked))?,
            capacity_when_booked: column("capacity_when_booked", u16::try_from(capacity))?,
        })
    };
    let read: Result<_, sqlx::Error> = slots
        .zip(booked.into_iter().zip(capacity))
        .map(booking)
        .collect();
    Ok((store_id, read?))
}
