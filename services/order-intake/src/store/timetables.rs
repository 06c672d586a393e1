use std::collections::HashMap;

use sqlx::{FromRow, PgConnection};
use tidegate_types::Timestamp;

use super::rows::{column, slot};
use crate::domain::{Booking, Store, Timetable};

#[derive(FromRow)]
struct BookingsRow {
    store_id: String,
    starts_at: Vec<Timestamp>,
    minutes: Vec<i16>,
    booked: Vec<i32>,
    capacity_when_booked: Vec<i32>,
}

/// Stores with what is booked there, and in the slots in which a place may be given back.
pub(super) async fn timetables(
    connection: &mut PgConnection,
    stores: Vec<Store>,
    now: Timestamp,
    given_back: Option<(Timestamp, Timestamp)>,
) -> Result<Vec<Timetable>, sqlx::Error> {
    if stores.is_empty() {
        return Ok(Vec::new());
    }
    let ids: Vec<&str> = stores.iter().map(|store| store.id.as_str()).collect();
    let (first, last) = Timetable::span(now, given_back);
    let query = sqlx::query_as(include_str!("../../queries/read_bookings.sql"))
        .bind(ids)
        .bind(first)
        .bind(last);
    let rows: Vec<BookingsRow> = query.fetch_all(connection).await?;
    let mut bookings = HashMap::new();
    for row in rows {
        bookings.insert(row.store_id.clone(), row.into_bookings()?);
    }
    let timetable = |store: Store| {
        let booked = bookings.remove(store.id.as_str()).unwrap_or_default();
        Timetable::new(store, now, booked)
    };
    Ok(stores.into_iter().map(timetable).collect())
}

impl BookingsRow {
    fn into_bookings(self) -> Result<Vec<Booking>, sqlx::Error> {
        let slots = self.starts_at.into_iter().zip(self.minutes);
        let counts = self.booked.into_iter().zip(self.capacity_when_booked);
        let booking = |((starts_at, minutes), (booked, capacity))| {
            let slot = slot(Some(starts_at), Some(minutes))?;
            Ok(slot.map(|slot| (slot, booked, capacity)))
        };
        let mut bookings = Vec::new();
        for read in slots.zip(counts).map(booking) {
            let read: Result<_, sqlx::Error> = read;
            if let Some((slot, booked, capacity)) = read? {
                bookings.push(Booking {
                    slot,
                    booked: column("booked", u16::try_from(booked))?,
                    capacity_when_booked: column("capacity_when_booked", u16::try_from(capacity))?,
                });
            }
        }
        Ok(bookings)
    }
}
