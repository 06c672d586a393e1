//! Issuance as its callers meet it: over mutual TLS, with a quota and a real database.

// All of it is test code, helpers included; an unwrap here says what the test expects.
#![allow(clippy::unwrap_used)]

#[path = "../database/mod.rs"]
mod database;
#[path = "../issuing/flaky_path.rs"]
mod flaky_path;
mod suite;

mod audits;
mod bound_tokens;
mod changed_terms;
mod control;
mod coupon_keys;
mod crowd;
mod desk;
mod fence;
mod find_coupons;
mod holders;
mod holding;
mod outdated;
mod recorded_changes;
mod terms;
