//! Order-intake's promises, asked for over gRPC.

// All of it is test code, helpers included; an unwrap here says what the test expects.
#![allow(clippy::unwrap_used)]

mod suite;

mod access;
mod auditing;
mod cancelling;
mod codes;
mod faults;
mod feed;
mod looking_up;
mod placing;
mod recording;
mod refusals;
mod stores;
