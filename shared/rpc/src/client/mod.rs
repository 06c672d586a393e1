//! Calling other services.

mod connect;
mod health;
mod questions;
mod replicas;

pub use connect::{channel, with_context};
pub use questions::{QuestionLimits, Questions, Unanswered};
pub use replicas::{Replica, Replicas};
