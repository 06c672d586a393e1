//! The use cases on a real PostgreSQL.
#![allow(
    clippy::unwrap_used,
    reason = "a helper of a test fails the test by panicking"
)]

mod campaigns;
mod database;
mod giveaway;
mod leases;
mod watch;
