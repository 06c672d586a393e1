//! Rows to domain and back. SQL lives in `queries/`.

/// The campaigns kept.
pub mod campaigns;
/// The coupons.
pub mod coupons;
/// The leases.
pub mod leases;

/// The schema.
pub static MIGRATIONS: sqlx::migrate::Migrator = sqlx::migrate!("./migrations");
