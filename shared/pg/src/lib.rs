//! PostgreSQL as the suite uses it: it must be durable, its schema current, its lanes those it was made with; and hot writes go through a [`CommitQueue`].

mod change_log;
mod commit_queue;
mod database;
mod faults;
mod transaction;

pub use change_log::{CHANGE_LOG, list_changes, record_changes};
pub use commit_queue::{
    Commit, CommitQueue, CommitQueueSettings, NotCommitted, QueueMetrics, Queued, Reply,
};
pub use database::{Database, DatabaseUnusable};
pub use faults::{Fault, constraint, fault};
pub use transaction::begin;
