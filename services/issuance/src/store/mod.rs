//! Rows to domain and back. SQL lives in `queries/`.

/// The campaigns kept.
pub mod campaigns;
/// What staff have said of coupons, where redemptions commit.
pub mod controls;
/// What happens to coupons after they were issued.
pub mod coupon_changes;
/// The coupons.
pub mod coupons;
/// The leases as quota inspects and audits them.
pub mod fence;
/// Coupons as staff find them.
pub mod found;
/// Leases that are over.
pub mod history;
/// Who holds coupons.
pub mod holders;
/// The leases.
pub mod leases;
/// What is run to change coupons.
pub mod statements;
/// What a failover takes away.
pub mod timelines;

/// The schema.
pub static MIGRATIONS: sqlx::migrate::Migrator = sqlx::migrate!("./migrations");
