//! The rules of coupons and leases, without a clock, a network or a database.

pub mod campaign;
pub mod code_ending;
pub mod coupon;
/// The life of a lease in the database.
pub mod fence;
/// Which lease a claim is assigned to.
pub mod lease_book;
/// How much to ask for.
pub mod lease_size;
pub mod purchase;
