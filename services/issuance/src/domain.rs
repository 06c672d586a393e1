//! The rules of coupons and leases, without a clock, a network or a database.

pub mod campaign;
pub mod claim;
pub mod code_ending;
pub mod coupon;
pub mod fence;
pub mod lease_book;
pub mod lease_size;
pub mod purchase;
