//! Issuance over mutual TLS, with a quota and a real database.

mod audits;
mod callers;
mod changed_terms;
mod control;
mod coupon_admin;
mod coupon_keys;
mod fence;
mod find_coupons;
mod holding;
mod looks;
mod outdated;
mod recorded_changes;
mod shoppers;
mod suite;
mod terms;
