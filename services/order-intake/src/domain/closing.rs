use tidegate_types::{RequestId, StoreId, Timestamp};

use super::{Area, ClosingReason};

/// Which stores staff close with one call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClosingScope {
    Store(StoreId),
    /// Every one of this area.
    Area(Area),
}

/// What becomes of orders that are still to be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PendingOrders {
    Keep,
    /// They fail, and their coupons come back.
    Fail,
}

/// What staff ask for when they close stores.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreClosing {
    /// The caller's name for it, the same on every retry.
    pub request_id: RequestId,
    pub scope: ClosingScope,
    pub reason: ClosingReason,
    pub pending_orders: PendingOrders,
}

/// What a closing has done so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Closed {
    pub stores: u32,
    /// Orders that were accepted and have failed.
    pub orders_failed: u64,
    /// Orders that were pending and are rejected.
    pub orders_rejected: u64,
    /// When nothing was left to do.
    pub finished_at: Option<Timestamp>,
}
