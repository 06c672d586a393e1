//! A server of the suite among clients that mean harm. Each attack is bounded, and a normal caller beside it is served, about as quickly as before.
//!
//! Two thousand connections have four thousand ends in this one process: the limit of open files must allow for that.

// All of it is test code, helpers included; an unwrap here says what the test expects.
#![allow(clippy::unwrap_used)]

mod attacker;
mod suite;

mod calls;
mod connections;
mod streams;
mod traces;
