//! Calling other services.

mod connect;
mod health;
mod replicas;

pub use connect::{channel, with_context};
pub use replicas::{Replica, Replicas};
