//! Rows to domain and back. SQL lives in `queries/`.

use sqlx::{Decode, Postgres, Row as _, Type, error::BoxDynError, postgres::PgRow};
use tidegate_types::{CampaignNumber, Lane};

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
) -> sqlx::Result<T>
where
    Stored: Decode<'r, Postgres> + Type<Postgres>,
{
    parse(row.try_get(name)?).map_err(|error| sqlx::Error::ColumnDecode {
        index: name.to_owned(),
        source: error.into(),
    })
}

/// The campaign that a row names.
fn campaign_of(row: &PgRow) -> sqlx::Result<CampaignNumber> {
    column::<i32, _, _>(row, "campaign_number", CampaignNumber::new)
}

/// Which of a batch a row is of.
fn of_row<'b, T>(batch: &'b mut [T], row: &PgRow) -> sqlx::Result<&'b mut T> {
    let place: i64 = row.try_get("place")?;
    let item = batch.get_mut((place - 1) as usize);
    item.ok_or(sqlx::Error::RowNotFound)
}

/// A column of a batch: one value for each of its rows.
fn each<'a, R, T>(rows: &'a [R], value: impl Fn(&'a R) -> T) -> Vec<T> {
    rows.iter().map(value).collect()
}

/// A lane as its column has it: lanes are at most 1,024.
fn lane_number(lane: Lane) -> i16 {
    lane.get() as i16
}

/// A campaign as its column has it: numbers have 24 bits.
fn campaign_number(campaign: CampaignNumber) -> i32 {
    campaign.get() as i32
}
