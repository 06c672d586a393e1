//! Issuance over mutual TLS, with a quota and a real database.

mod audits;
mod bound_tokens;
mod callers;
mod changed_terms;
mod codes;
mod control;
mod coupon_admin;
mod coupon_keys;
mod crowd;
mod fence;
mod find_coupons;
mod holding;
mod outdated;
mod recorded_changes;
mod shoppers;
mod suite;
mod terms;
