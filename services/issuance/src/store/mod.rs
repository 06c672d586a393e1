//! Rows to domain and back. SQL lives in `queries/`.

pub mod campaigns;
/// What staff have said of coupons, where redemptions commit.
pub mod controls;
/// What happens to coupons after they were issued.
pub mod coupon_changes;
pub mod coupons;
/// The leases as quota inspects and audits them.
pub mod fence;
/// Coupons as staff find them.
pub mod found;
pub mod history;
pub mod holders;
pub mod leases;
/// What is run to change coupons.
/// What a failover takes away.
pub mod timelines;

pub static MIGRATIONS: sqlx::migrate::Migrator = sqlx::migrate!("./migrations");
