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
    /// With a place in the queue that was given up.
    Left,
    /// With a place in the queue that nobody came back to.
    NeverCameBack,
    /// With no answer at all, after every retry.
    Unanswered,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OrderEnd {
    Accepted,
    /// It was refused, or rejected later, for a reason.
    Rejected(String),
    /// With no final answer, after every retry.
    Unanswered,
}

/// Claims: each of those offered is in exactly one of the others.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct ClaimCounts {
    pub offered: u64,
    /// Ended with a new coupon.
    pub issued: u64,
    /// Ended with the coupon of an earlier send.
    pub replayed: u64,
    /// Ended with a refusal, by reason.
    pub refused: BTreeMap<String, u64>,
    /// Ended with a place in the queue that was given up.
    pub left: u64,
    /// Ended with a place in the queue that nobody came back to.
    pub never_came_back: u64,
    /// Ended without an answer.
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
    /// Told a place in the queue.
    pub queued: u64,
    pub served: u64,
    /// Ended with a refusal, by reason.
    pub refused: BTreeMap<String, u64>,
    pub left: u64,
    /// Did not come back to it.
    pub never_came_back: u64,
    /// Had no answer at the end, or were still waiting when the replay was over.
    pub unanswered: u64,
}

impl QueueCounts {
    pub fn ended(&self) -> u64 {
        let refused = self.refused.values().sum::<u64>();
        self.served + refused + self.left + self.never_came_back + self.unanswered
    }

    /// How many wait at present.
    pub fn waiting(&self) -> u64 {
        self.queued.saturating_sub(self.ended())
    }
}

/// How long those waited who were served from the queue and did as they were told.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct WaitTimes {
    /// From joining, or from the opening if that came later, to the coupon.
    pub from_joining: Quantiles,
    /// The longest wait that the first estimate named.
    pub promised_at_most: Quantiles,
    /// From the first estimate to the coupon.
    pub from_estimate: Quantiles,
}

/// Orders: each of those placed is in exactly one of the others.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct OrderCounts {
    pub placed: u64,
    pub accepted: u64,
    /// Not made, by reason.
    pub rejected: BTreeMap<String, u64>,
    /// Without a final answer.
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
    /// Answers that a store has no room in time.
    pub told_busy: u64,
    /// Orders that were accepted at a store the answer suggested.
    pub accepted_elsewhere: u64,
    /// Orders that were accepted for the later slot that the answer named.
    pub accepted_later: u64,
    /// Accepted orders whose shopper cancelled them.
    pub cancelled: u64,
    /// Orders that were accepted with the coupon of a cancelled one.
    pub accepted_anew: u64,
}

/// One second of the replay.
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

/// Milliseconds from the scheduled send to the final answer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Quantiles {
    /// Half are at most this.
    pub p50: f64,
    /// 99 of a hundred are.
    pub p99: f64,
    /// 999 of a thousand are.
    pub p999: f64,
}

/// Everything counted, at one moment.
#[derive(Debug, Clone, Default)]
pub struct Picture {
    pub claims: ClaimCounts,
    pub orders: OrderCounts,
    pub detours: Detours,
    /// Claims that had to wait.
    pub queue: QueueCounts,
    pub wait: WaitTimes,
    /// Latency of claims that never waited.
    pub claim_latency: Quantiles,
    pub order_latency: Quantiles,
    /// How late shoppers' first claims were sent.
    pub lateness: Quantiles,
    /// The replay second by second.
    pub seconds: Vec<Second>,
    /// Sends beyond the first of a claim or order.
    pub retries: u64,
    /// Answers that callers lost on purpose.
    pub answers_lost: u64,
    /// Traced shoppers who got coupon and order.
    pub traced: Vec<TracedShopper>,
}

/// A traced shopper who got coupon and order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TracedShopper {
    pub trace_id: TraceId,
    /// Whether the coupon came after a wait in the queue.
    pub has_waited: bool,
}
