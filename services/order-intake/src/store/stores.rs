use sqlx::{FromRow, PgConnection};
use tidegate_types::{StoreId, Timestamp};

use super::{
    Store, WAIT_FOR_STORE,
    commit::timetables,
    in_time, out_of_time,
    rows::column,
    store_changes::{By, state_record, upsert_records},
};
use crate::{
    domain::{
        self, Area, ClosingReason, Day, DisplayName, MinuteOfDay, OpeningHours, OrdersPerSlot,
        SlotMinutes, StoreChange, StoreState, StoreZone, StoresQuery, Timetable, Weekday,
        WeeklyHours,
    },
    error::OrderIntakeError,
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

/// A store before or after an upsert.
#[derive(FromRow)]
struct KeptRow {
    is_now: bool,
    #[sqlx(flatten)]
    store: StoreRow,
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
    /// Makes or changes stores, all or none. Each id may be there once. What is different then is
    /// recorded, if somebody of the staff asks for it. Answers how many are new.
    pub async fn upsert_stores(
        &self,
        mut changes: Vec<StoreChange>,
        by: Option<By<'_>>,
        now: Timestamp,
    ) -> Result<usize, OrderIntakeError> {
        changes.sort_by(|one, other| one.id.cmp(&other.id));
        let mut transaction = tidegate_pg::begin(&self.pool).await?;
        sqlx::query(include_str!("../../queries/take_turn_to_keep_stores.sql"))
            .execute(&mut *transaction)
            .await?;
        let (after, before): (Vec<KeptRow>, Vec<KeptRow>) = upsert(&mut transaction, &changes)
            .await?
            .into_iter()
            .partition(|kept| kept.is_now);
        let stores = |kept: Vec<KeptRow>| kept.into_iter().map(|kept| kept.store).collect();
        let (before, after): (Vec<_>, Vec<_>) = (stores(before), stores(after));
        let created = after.len().saturating_sub(before.len());
        if let Some(by) = by {
            let records = upsert_records(by, now, before, &after);
            tidegate_pg::record_changes(&mut transaction, &records).await?;
        }
        transaction.commit().await?;
        Ok(created)
    }

    pub async fn get_store(&self, id: &StoreId) -> Result<domain::Store, OrderIntakeError> {
        let query = sqlx::query_as(include_str!("../../queries/get_store.sql")).bind(id.as_str());
        let row: Option<StoreRow> = in_time(query.fetch_optional(&self.pool)).await?;
        Ok(row.ok_or(OrderIntakeError::StoreNotFound)?.into_store()?)
    }

    /// A page of stores by their ids, and after which one the next page begins if there is one.
    pub async fn list_stores(
        &self,
        query: &StoresQuery,
    ) -> Result<(Vec<domain::Store>, Option<StoreId>), OrderIntakeError> {
        let statement = match query.area {
            None => include_str!("../../queries/list_stores.sql"),
            Some(_) => include_str!("../../queries/list_stores_of_area.sql"),
        };
        let mut statement = sqlx::query_as(statement)
            .bind(query.after.as_ref().map_or("", StoreId::as_str))
            .bind(query.is_closed != Some(true))
            .bind(query.is_closed != Some(false))
            // One more tells whether there is a next page.
            .bind(i64::from(query.size.get()) + 1);
        if let Some(area) = &query.area {
            statement = statement.bind(area.as_str());
        }
        let rows: Vec<StoreRow> = in_time(statement.fetch_all(&self.pool)).await?;
        let mut stores = rows
            .into_iter()
            .map(StoreRow::into_store)
            .collect::<Result<Vec<_>, _>>()?;
        let next = (stores.len() > usize::from(query.size.get())).then(|| {
            stores.truncate(query.size.get().into());
            stores.last().map(|store| store.id.clone())
        });
        Ok((stores, next.flatten()))
    }

    /// Closes a store or opens it again. Orders placed from now on meet the new state. What is
    /// different then is recorded, if somebody of the staff asks for it.
    pub async fn set_store_state(
        &self,
        id: &StoreId,
        state: &StoreState,
        by: Option<By<'_>>,
        now: Timestamp,
    ) -> Result<domain::Store, OrderIntakeError> {
        let set = in_time(self.keep_state(id, state, by, now));
        let row = set.await.map_err(out_of_time)?;
        Ok(row.ok_or(OrderIntakeError::StoreNotFound)?.into_store()?)
    }

    async fn keep_state(
        &self,
        id: &StoreId,
        state: &StoreState,
        by: Option<By<'_>>,
        now: Timestamp,
    ) -> Result<Option<StoreRow>, sqlx::Error> {
        let (is_closed, because) = match state {
            StoreState::Open => (false, None),
            StoreState::Closed(because) => (true, because.as_ref().map(ClosingReason::as_str)),
        };
        let mut transaction = tidegate_pg::begin(&self.pool).await?;
        sqlx::query(WAIT_FOR_STORE)
            .execute(&mut *transaction)
            .await?;
        let before: Option<StoreRow> = sqlx::query_as(include_str!("../../queries/lock_store.sql"))
            .bind(id.as_str())
            .fetch_optional(&mut *transaction)
            .await?;
        let Some(before) = before else {
            return Ok(None);
        };
        let after: StoreRow = sqlx::query_as(include_str!("../../queries/set_store_state.sql"))
            .bind(id.as_str())
            .bind(is_closed)
            .bind(because)
            .fetch_one(&mut *transaction)
            .await?;
        if let Some(by) = by {
            let record = state_record(by, now, &before, &after);
            tidegate_pg::record_changes(&mut transaction, record.as_slice()).await?;
        }
        transaction.commit().await?;
        Ok(Some(after))
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

async fn upsert(
    connection: &mut PgConnection,
    changes: &[StoreChange],
) -> Result<Vec<KeptRow>, sqlx::Error> {
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
    let query = sqlx::query_as(include_str!("../../queries/upsert_stores.sql"))
        .bind(texts(|change| change.id.as_str()))
        .bind(texts(|change| change.display_name.as_str()))
        .bind(texts(|change| change.area.as_str()))
        .bind(zones)
        .bind(of_hours(weekly_text))
        .bind(of_hours(closed_days_text))
        .bind(slot_minutes)
        .bind(orders_per_slot)
        .bind(is_closed);
    query.fetch_all(connection).await
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
