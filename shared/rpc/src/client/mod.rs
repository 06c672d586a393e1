//! Calling other services.

mod call;
mod connect;
mod health;
mod questions;
mod replicas;
mod retry_budget;

pub use call::{CallFailed, RetryPolicy};
pub use connect::{channel, with_context};
pub use questions::{QuestionLimits, Questions, Unanswered};
pub use replicas::Replicas;
