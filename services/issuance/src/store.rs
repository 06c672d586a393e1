//! Rows to domain and back. SQL lives in `queries/`.

use sqlx::{Decode, Postgres, Row as _, Type, error::BoxDynError, postgres::PgRow};

pub mod campaigns;
/// What staff have said of coupons, where redemptions commit.
pub mod controls;
pub mod coupon_changes;
pub mod coupons;
/// The leases as quota inspects and audits them.
pub mod fence;
pub mod found;
pub mod history;
pub mod leases;
pub mod shoppers;
pub mod timelines;

pub static MIGRATIONS: sqlx::migrate::Migrator = sqlx::migrate!("./migrations");

/// A column, read as the type of the domain that bounds its values.
fn column<'r, Stored, T, E: Into<BoxDynError>>(
    row: &'r PgRow,
    name: &str,
    parse: impl FnOnce(Stored) -> Result<T, E>,
) -> Result<T, sqlx::Error>
where
    Stored: Decode<'r, Postgres> + Type<Postgres>,
{
    parse(row.try_get(name)?).map_err(|error| sqlx::Error::ColumnDecode {
        index: name.to_owned(),
        source: error.into(),
    })
}
