//! What is counted, and how each claim, order and wait can end.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::collector::TraceId;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClaimEnd {
    /// With a coupon, made for it.
    Issued,
    /// With the coupon of an earlier claim with its request id.
    Replayed,
    Refused(String),
    Left,
    NeverCameBack,
    Unanswered,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OrderEnd {
    Accepted,
    /// It was refused, or rejected later, for a reason.
    Rejected(String),
    Unanswered,
}

/// Claims: each of those offered is in exactly one of the others.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct ClaimCounts {
    pub offered: u64,
    pub issued: u64,
    pub replayed: u64,
    pub refused: BTreeMap<String, u64>,
    pub left: u64,
    pub never_came_back: u64,
    pub unanswered: u64,
}

impl ClaimCounts {
    pub fn ended(&self) -> u64 {
        let refused = self.refused.values().sum::<u64>();
        let given_up = self.left + self.never_came_back;
        self.issued + self.replayed + refused + given_up + self.unanswered
    }
}

/// Claims that were told to wait: each of those queued is in exactly one of the others.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct QueueCounts {
    pub queued: u64,
    pub served: u64,
    pub refused: BTreeMap<String, u64>,
    pub left: u64,
    pub never_came_back: u64,
    /// Had no answer at the end, or were still waiting when the replay was over.
    pub unanswered: u64,
}

impl QueueCounts {
    pub fn ended(&self) -> u64 {
        let refused = self.refused.values().sum::<u64>();
        self.served + refused + self.left + self.never_came_back + self.unanswered
    }

    pub fn waiting(&self) -> u64 {
        self.queued.saturating_sub(self.ended())
    }
}

/// How long those waited who were served from the queue and did as they were told.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct WaitTimes {
    /// From joining, or from the opening if that came later, to the coupon.
    pub from_joining: Quantiles,
    pub promised_at_most: Quantiles,
    pub from_estimate: Quantiles,
}

/// Orders: each of those placed is in exactly one of the others.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct OrderCounts {
    pub placed: u64,
    pub accepted: u64,
    pub rejected: BTreeMap<String, u64>,
    pub unanswered: u64,
}

impl OrderCounts {
    pub fn ended(&self) -> u64 {
        self.accepted + self.rejected.values().sum::<u64>() + self.unanswered
    }
}

/// What stores with too many friends make shoppers do.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Detours {
    pub told_busy: u64,
    pub accepted_elsewhere: u64,
    pub accepted_later: u64,
    pub cancelled: u64,
    /// Orders that were accepted with the coupon of a cancelled one.
    pub accepted_anew: u64,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Second {
    pub offered: u64,
    /// Coupons told in it, replays included.
    pub issued: u64,
    pub refused: u64,
    /// The most claims that waited in the queue at once in it.
    pub waiting: u64,
    /// Coupons told in it to those who had waited: the queue's pace as shoppers saw it.
    pub served_from_queue: u64,
}

/// Milliseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Quantiles {
    pub p50: f64,
    pub p99: f64,
    pub p999: f64,
}

/// From the scheduled send to the final answer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Latencies {
    /// Of claims that never waited in the queue.
    pub claim: Quantiles,
    pub order: Quantiles,
    /// How late first claims were sent: what the run itself adds to the others.
    pub sending: Quantiles,
}

#[derive(Debug, Clone, Default, Serialize)]
pub struct Picture {
    pub claims: ClaimCounts,
    /// How those of them ended that had to wait.
    pub queue: QueueCounts,
    /// How long those waited who did as told and were served.
    pub wait_ms: WaitTimes,
    pub orders: OrderCounts,
    pub detours: Detours,
    pub latency_ms: Latencies,
    /// Sends beyond the first of a claim or order.
    pub retries: u64,
    /// Answers that callers lost on purpose.
    pub answers_lost: u64,
    #[serde(skip)]
    pub traced: Vec<TracedShopper>,
    pub seconds: Vec<Second>,
}

/// A traced shopper who got coupon and order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TracedShopper {
    pub trace_id: TraceId,
    /// Whether the coupon came after a wait in the queue.
    pub has_waited: bool,
}
