use sqlx::FromRow;
use tidegate_types::StoreId;

use super::{Store, in_time, rows::column};
use crate::{
    domain::{self, Area, DisplayName},
    error::OrderIntakeError,
};

#[derive(FromRow)]
struct StoreRow {
    store_id: String,
    display_name: String,
    area: String,
}

impl Store {
    /// Makes or changes stores, all or none. Each id may be there once. Answers how many are new.
    pub async fn upsert_stores(
        &self,
        mut stores: Vec<domain::Store>,
    ) -> Result<usize, OrderIntakeError> {
        stores.sort_by(|one, other| one.id.cmp(&other.id));
        let text = |of: fn(&domain::Store) -> &str| -> Vec<String> {
            stores.iter().map(|store| of(store).to_owned()).collect()
        };
        let query = sqlx::query_scalar(include_str!("../../queries/upsert_stores.sql"))
            .bind(text(|store| store.id.as_str()))
            .bind(text(|store| store.display_name.as_str()))
            .bind(text(|store| store.area.as_str()));
        let are_new: Vec<bool> = query.fetch_all(&self.pool).await?;
        Ok(are_new.into_iter().filter(|is_new| *is_new).count())
    }

    /// One store.
    pub async fn get_store(&self, id: &StoreId) -> Result<domain::Store, OrderIntakeError> {
        let query = sqlx::query_as(include_str!("../../queries/get_store.sql")).bind(id.as_str());
        let row: Option<StoreRow> = in_time(query.fetch_optional(&self.pool)).await?;
        let row = row.ok_or(OrderIntakeError::StoreNotFound)?;
        Ok(domain::Store {
            id: column("store_id", StoreId::parse(&row.store_id))?,
            display_name: column("display_name", DisplayName::parse(&row.display_name))?,
            area: column("area", Area::parse(&row.area))?,
        })
    }
}
