//! Calling other services.

mod connect;
mod health;
mod lane_batches;
mod questions;
mod replicas;

pub use connect::{channel, with_context};
pub use lane_batches::{
    BatchCall, LaneBatches, NotAnswered, Pending, last_deadline, milliseconds_left, span_of_batch,
};
pub use questions::{QuestionLimits, Questions, Unanswered};
pub use replicas::{Replica, Replicas};
