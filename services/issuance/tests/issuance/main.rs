//! Issuance against a real database, and as its callers meet it.
// All of it is test code, helpers included; an unwrap here says what the test expects.
#![allow(clippy::unwrap_used)]

mod flaky_path;
mod issuing;
mod lane;
mod planner;
mod redeeming;
mod service;
