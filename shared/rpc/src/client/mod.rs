//! Calling other services.

mod call;
mod connect;
mod health;
mod lane_batches;
mod questions;
mod replicas;
mod retry_budget;

pub use call::{CallFailed, RetryPolicy};
pub use connect::{TracedChannel, channel};
pub use lane_batches::{
    BatchCall, LaneBatches, NotAnswered, Pending, last_deadline, milliseconds_left,
};
pub use questions::{QuestionLimits, Questions, Unanswered};
pub use replicas::Replicas;
