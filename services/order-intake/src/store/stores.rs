use sqlx::{FromRow, PgConnection};
use tidegate_types::{StoreId, Timestamp};

use super::{
    Store, WAIT_FOR_STORE, in_time, out_of_time,
    rows::each,
    store_changes::{By, state_record, upsert_records},
    store_rows::{StoreRow, closed_days_text, timetables, weekly_text},
};
use crate::{
    domain::{
        self, Area, ClosingReason, Paged, StoreChange, StoreState, StoreZone, StoresQuery,
        Timetable,
    },
    error::{OrderIntakeError, Result},
};

/// A store before or after an upsert.
#[derive(FromRow)]
struct KeptRow {
    is_now: bool,
    #[sqlx(flatten)]
    store: StoreRow,
}

impl Store {
    /// Makes or changes stores, all or none. Each id may be there once. What is different then is
    /// recorded, if somebody of the staff asks for it. Answers how many are new.
    pub async fn upsert_stores(
        &self,
        mut changes: Vec<StoreChange>,
        by: Option<By<'_>>,
        now: Timestamp,
    ) -> Result<usize> {
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

    pub async fn get_store(&self, id: &StoreId) -> Result<domain::Store> {
        let query = sqlx::query_as(include_str!("../../queries/get_store.sql")).bind(id.as_str());
        let row: Option<StoreRow> = in_time(query.fetch_optional(&self.pool)).await?;
        Ok(row.ok_or(OrderIntakeError::StoreNotFound)?.into_store()?)
    }

    /// A page of stores by their ids, and after which one the next page begins if there is one.
    pub async fn list_stores(&self, query: &StoresQuery) -> Result<Paged<domain::Store, StoreId>> {
        let statement = match query.area {
            None => include_str!("../../queries/list_stores.sql"),
            Some(_) => include_str!("../../queries/list_stores_of_area.sql"),
        };
        let mut statement = sqlx::query_as(statement)
            .bind(query.after.as_ref().map_or("", StoreId::as_str))
            .bind(query.is_closed != Some(true))
            .bind(query.is_closed != Some(false))
            .bind(query.size.and_one());
        if let Some(area) = &query.area {
            statement = statement.bind(area.as_str());
        }
        let rows: Vec<StoreRow> = in_time(statement.fetch_all(&self.pool)).await?;
        let stores: Result<_, _> = rows.into_iter().map(StoreRow::into_store).collect();
        Ok(query.size.page(stores?, |store| store.id.clone()))
    }

    /// Closes a store or opens it again. Orders placed from now on meet the new state. What is
    /// different then is recorded, if somebody of the staff asks for it.
    pub async fn set_store_state(
        &self,
        id: &StoreId,
        state: &StoreState,
        by: Option<By<'_>>,
        now: Timestamp,
    ) -> Result<domain::Store> {
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

    /// Some other stores of an area with what is booked there, those first whose id comes after
    /// `near`. A look without locks: by the time somebody orders there, it may be otherwise.
    pub async fn look_around(
        &self,
        area: &Area,
        near: &StoreId,
        limit: u8,
        now: Timestamp,
    ) -> Result<Vec<Timetable>> {
        let query = sqlx::query_as(include_str!("../../queries/stores_nearby.sql"))
            .bind(area.as_str())
            .bind(near.as_str())
            .bind(i64::from(limit));
        let rows: Vec<StoreRow> = in_time(query.fetch_all(&self.pool)).await?;
        let stores: Result<_, _> = rows.into_iter().map(StoreRow::into_store).collect();
        let mut connection = in_time(self.pool.acquire()).await?;
        let span = Timetable::span(now, []);
        Ok(in_time(timetables(&mut connection, stores?, now, span)).await?)
    }
}

async fn upsert(
    connection: &mut PgConnection,
    changes: &[StoreChange],
) -> Result<Vec<KeptRow>, sqlx::Error> {
    let query = sqlx::query_as(include_str!("../../queries/upsert_stores.sql"))
        .bind(each(changes, |store| store.id.as_str()))
        .bind(each(changes, |store| store.display_name.as_str()))
        .bind(each(changes, |store| store.area.as_str()))
        .bind(each(changes, |store| {
            store.zone.as_ref().map(StoreZone::name)
        }))
        .bind(each(changes, |store| store.hours.as_ref().map(weekly_text)))
        .bind(each(changes, |store| {
            store.hours.as_ref().map(closed_days_text)
        }))
        .bind(each(changes, |store| {
            store.slot_minutes.map(|slot| i16::from(slot.get()))
        }))
        .bind(each(changes, |store| {
            store.orders_per_slot.map(|orders| i32::from(orders.get()))
        }))
        .bind(each(changes, |store| store.is_closed));
    query.fetch_all(connection).await
}
