//! Rows to domain and back. SQL lives in `queries/`.

pub mod campaigns;
/// What staff have said of coupons, where redemptions commit.
pub mod controls;
/// What happens to coupons after they were issued.
pub mod coupon_changes;
pub mod coupons;
/// The leases as quota inspects and audits them.
pub mod fence;
pub mod found;
pub mod history;
pub mod leases;
pub mod shoppers;
/// What a failover takes away.
pub mod timelines;

pub static MIGRATIONS: sqlx::migrate::Migrator = sqlx::migrate!("./migrations");
