//! The queue of a campaign: who is served before whom, where a turn stands, and how long it may
//! take.

mod estimate;
mod snapshot;

use std::time::Duration;

pub use estimate::{Asked, HELD_FOR, Pace, Wait, ask_after_opening, latest_ask};
pub use snapshot::{Snapshot, Waiting};

/// So long before the opening tickets are given out.
pub const PRE_OPENING: Duration = Duration::from_secs(600);
/// More than this do not wait for one campaign.
pub const MAX_WAITING: u64 = 20_000_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Others are first.
    Waiting,
    Due,
    /// It came and was not used in time.
    Expired,
}
