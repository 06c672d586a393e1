//! What the tests of several crates do in one way: credentials for one test, a database of its own, a service served
//! in this process over mutual TLS, calls, and waiting.
#![allow(
    clippy::unwrap_used,
    reason = "a helper of a test fails the test by panicking"
)]

mod calls;
mod credentials;
mod database;
mod serving;
mod waiting;

pub use calls::{call_by_path, heard, traceparent};
pub use credentials::{Credentials, IDENTITIES};
pub use database::{APPLICATION, TestDatabase};
pub use serving::{Running, metrics_page, serve_stand_in};
pub use waiting::{PATIENCE, eventually, until};
