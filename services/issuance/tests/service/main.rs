//! Issuance as its callers meet it: over mutual TLS, with a quota and a real database.

// All of it is test code, helpers included; an unwrap here says what the test expects.
#![allow(clippy::unwrap_used)]

#[path = "../database/mod.rs"]
mod database;
#[path = "../issuing/flaky_path.rs"]
mod flaky_path;
mod suite;

mod audits;
mod control;
mod coupon_keys;
mod crowd;
mod desk;
mod fence;
mod holders;
mod holding;
mod terms;
