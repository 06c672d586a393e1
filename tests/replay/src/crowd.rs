//! Who comes when, and what they do.

pub mod curve;
pub mod habits;
pub mod schedule;
