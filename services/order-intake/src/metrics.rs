//! The numbers of the domain; those of calls and of commits are counted where calls and commits are
//! made.

use std::time::Duration;

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
};
use tidegate_telemetry::{Registry, duration_histogram, size_histogram};
use tidegate_types::{Lane, Reason, Timestamp};

use crate::domain::{OrderAudit, OrderState};

/// Counts what becomes of orders. Cheap to clone.
#[derive(Clone)]
pub struct Metrics {
    orders: Family<OrderLabels, Counter>,
    finish_seconds: Histogram,
    finishing: Gauge,
    recovered: Family<OrderLabels, Counter>,
    oldest_pending_seconds: Family<LaneLabel, Gauge>,
    redeem_batch_size: Histogram,
    issuance_calls: Family<CallLabels, Counter>,
    released: Counter,
    unreleased: Family<LaneLabel, Gauge>,
    moved: Family<StateLabel, Counter>,
    rebooked: Counter,
    unfinished_closings: Gauge,
    feed_lag: Family<ConsumerLabel, Gauge>,
    audit_differences: Gauge,
    audited_all_at_seconds: Gauge,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct OrderLabels {
    outcome: &'static str,
    reason: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct LaneLabel {
    lane: u16,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct CallLabels {
    method: &'static str,
    result: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct StateLabel {
    state: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ConsumerLabel {
    consumer: String,
}

/// How a call to issuance ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IssuanceCall {
    Answered,
    /// With a refusal of the whole call.
    Refused,
    /// The replica could not be reached, or broke off.
    Failed,
}

impl Metrics {
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self {
            orders: Family::default(),
            finish_seconds: duration_histogram(),
            finishing: Gauge::default(),
            recovered: Family::default(),
            oldest_pending_seconds: Family::default(),
            redeem_batch_size: size_histogram(),
            issuance_calls: Family::default(),
            released: Counter::default(),
            unreleased: Family::default(),
            moved: Family::default(),
            rebooked: Counter::default(),
            unfinished_closings: Gauge::default(),
            feed_lag: Family::default(),
            audit_differences: Gauge::default(),
            audited_all_at_seconds: Gauge::default(),
        };
        metrics.register_orders(registry);
        metrics.register_upkeep(registry);
        metrics
    }

    /// What becomes of orders.
    fn register_orders(&self, registry: &mut Registry) {
        registry.register(
            "tidegate_orders",
            "What became of orders and of requests to place them: placed (durable), replayed, refused, accepted, rejected (ORDER_TOO_LATE: their time was over before their coupon had paid), cancelled and failed (before their outcome was written), left_pending (the recovery worker finishes those)",
            self.orders.clone(),
        );
        registry.register(
            "tidegate_order_finish_seconds",
            "Time from an order's being durable to its outcome's being durable",
            self.finish_seconds.clone(),
        );
        registry.register(
            "tidegate_orders_finishing",
            "Orders whose coupon is being redeemed by this replica at this moment",
            self.finishing.clone(),
        );
        registry.register(
            "tidegate_orders_recovered",
            "Orders the recovery worker took up, by what came of it",
            self.recovered.clone(),
        );
        registry.register(
            "tidegate_oldest_pending_order_seconds",
            "Age of the oldest order that the recovery worker found PENDING; 0 if there was none",
            self.oldest_pending_seconds.clone(),
        );
        registry.register(
            "tidegate_redeem_batch_size",
            "Orders of one RedeemCoupons call",
            self.redeem_batch_size.clone(),
        );
        registry.register(
            "tidegate_order_issuance_calls",
            "Calls of issuance with their retries, by how they ended",
            self.issuance_calls.clone(),
        );
    }

    /// What is looked after behind them: coupons, stores, the feed and the audit.
    fn register_upkeep(&self, registry: &mut Registry) {
        registry.register(
            "tidegate_order_coupons_released",
            "Orders that will not be made and of which this replica told issuance, so that their coupons are free",
            self.released.clone(),
        );
        registry.register(
            "tidegate_order_coupons_unreleased",
            "Orders that will not be made and of which issuance was still to be told when the release worker last looked",
            self.unreleased.clone(),
        );
        registry.register(
            "tidegate_order_moves",
            "Orders that were cancelled, moved on, failed by their stores (FAILED) or ended by a closing of stores, by the state they got",
            self.moved.clone(),
        );
        registry.register(
            "tidegate_orders_rebooked",
            "Orders whose slot was over when their coupon had paid, and that got a later one",
            self.rebooked.clone(),
        );
        registry.register(
            "tidegate_store_closings_unfinished",
            "Closings of stores that had orders to end when this replica last looked",
            self.unfinished_closings.clone(),
        );
        registry.register(
            "tidegate_feed_lag_events",
            "Changes of orders that a consumer of the feed has not acknowledged",
            self.feed_lag.clone(),
        );
        registry.register(
            "tidegate_order_audit_differences",
            "Slots and orders that did not add up in what this replica compared last",
            self.audit_differences.clone(),
        );
        registry.register(
            "tidegate_order_audit_complete_timestamp_seconds",
            "When this replica's last pass over every slot and order ended; 0 if there was none here",
            self.audited_all_at_seconds.clone(),
        );
    }

    fn order(&self, outcome: &'static str, reason: &'static str) {
        self.orders
            .get_or_create(&OrderLabels { outcome, reason })
            .inc();
    }

    pub(crate) fn placed(&self, replayed: bool) {
        self.order(if replayed { "replayed" } else { "placed" }, "");
    }

    pub(crate) fn refused(&self, reason: Reason) {
        self.order("refused", reason.name());
    }

    pub(crate) fn settled(&self, state: &OrderState, since_created: Duration) {
        let (outcome, reason) = labels(state);
        self.order(outcome, reason);
        self.finish_seconds.observe(since_created.as_secs_f64());
    }

    pub(crate) fn left_pending(&self) {
        let (outcome, reason) = labels(&OrderState::Pending);
        self.order(outcome, reason);
    }

    pub(crate) fn orders_audited(&self, audit: &OrderAudit) {
        self.audit_differences.set(audit.differences() as i64);
    }

    pub(crate) fn all_orders_audited(&self, at: Timestamp) {
        self.audited_all_at_seconds.set(at.unix_timestamp());
    }

    pub(crate) fn finishing(&self, count: usize) {
        self.finishing.set(count as i64);
    }

    pub(crate) fn recovered(&self, state: &OrderState) {
        let (outcome, reason) = labels(state);
        self.recovered
            .get_or_create(&OrderLabels { outcome, reason })
            .inc();
    }

    pub(crate) fn oldest_pending(&self, lane: Lane, age: Duration) {
        self.oldest_pending_seconds
            .get_or_create(&LaneLabel { lane: lane.get() })
            .set(age.as_secs() as i64);
    }

    pub(crate) fn redeem_batch(&self, items: usize) {
        self.redeem_batch_size.observe(items as f64);
    }

    pub(crate) fn issuance_call(&self, method: &'static str, ended: IssuanceCall) {
        let result = match ended {
            IssuanceCall::Answered => "answered",
            IssuanceCall::Refused => "refused",
            IssuanceCall::Failed => "failed",
        };
        self.issuance_calls
            .get_or_create(&CallLabels { method, result })
            .inc();
    }

    pub(crate) fn released(&self) {
        self.released.inc();
    }

    pub(crate) fn unreleased(&self, lane: Lane, orders: usize) {
        self.unreleased
            .get_or_create(&LaneLabel { lane: lane.get() })
            .set(orders as i64);
    }

    pub(crate) fn feed_lag(&self, consumer: String, events: i64) {
        self.feed_lag
            .get_or_create(&ConsumerLabel { consumer })
            .set(events);
    }

    pub(crate) fn rebooked(&self) {
        self.rebooked.inc();
    }

    pub(crate) fn unfinished_closings(&self, closings: usize) {
        self.unfinished_closings.set(closings as i64);
    }

    pub(crate) fn moved(&self, state: &OrderState) {
        let state = state.name();
        self.moved.get_or_create(&StateLabel { state }).inc();
    }
}

fn labels(state: &OrderState) -> (&'static str, &'static str) {
    match state {
        OrderState::Pending => ("left_pending", ""),
        OrderState::Accepted
        | OrderState::InPreparation
        | OrderState::Ready
        | OrderState::Completed => ("accepted", ""),
        OrderState::Rejected(rejection) => ("rejected", rejection.because().name()),
        OrderState::Cancelled => ("cancelled", ""),
        OrderState::Failed(_) => ("failed", ""),
    }
}
