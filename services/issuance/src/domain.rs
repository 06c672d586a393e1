//! The rules of coupons and leases, without a clock, a network or a database.

/// Campaigns, as far as issuance needs them.
pub mod campaign;
/// The last characters of codes.
pub mod code_ending;
pub mod coupon;
/// The life of a lease in the database.
pub mod fence;
/// Which lease a claim is assigned to.
pub mod lease_book;
/// How much to ask for.
pub mod lease_size;
/// Orders that coupons are to pay for.
pub mod purchase;
