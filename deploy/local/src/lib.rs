//! The one-machine deployment of Tidegate: PostgreSQL, credentials, the four services as processes of their own, and the way in for staff.
//!
//! Who wants traces starts a receiver and names it in the [`stack`]'s options.

pub mod credentials;
pub mod postgres;
pub mod processes;
mod records;
mod service;
pub mod stack;
pub mod way_in;
