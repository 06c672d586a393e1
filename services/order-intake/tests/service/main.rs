//! Order-intake's promises, asked for over gRPC.

// All of it is test code, helpers included; an unwrap here says what the test expects.
#![allow(clippy::unwrap_used)]

mod suite;

mod access;
mod auditing;
mod cancelling;
mod closing;
mod codes;
mod faults;
mod feed;
mod fulfilling;
mod looking_up;
mod other_shoppers;
mod placing;
mod recording;
mod refusals;
mod slots;
