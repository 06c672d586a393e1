//! What the whole suite promises, tested on real processes. One binary, because each one more would
//! link everything once more.

// All of it is test code.
#![allow(clippy::unwrap_used)]

mod backends;
mod call_streams;
mod claims;
mod comes_back;
mod control;
mod coupon_codes;
mod ctl_pages;
mod databases;
mod faults;
mod feed;
mod hostile;
mod never;
mod orders;
mod queue;
mod security;
mod stores;
