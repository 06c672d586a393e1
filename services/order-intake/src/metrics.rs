//! The numbers of the domain; those of calls and of commits are counted where calls and commits are made.

use std::time::Duration;

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
};
use tidegate_telemetry::{Registry, duration_histogram, size_histogram};
use tidegate_types::{Lane, Reason};

use crate::domain::OrderState;

/// Counts what becomes of orders. Cheap to clone.
#[derive(Clone)]
pub struct Metrics {
    orders: Family<OrderLabels, Counter>,
    finish_seconds: Histogram,
    finishing: Gauge,
    recovered: Family<OrderLabels, Counter>,
    oldest_pending_seconds: Family<LaneLabel, Gauge>,
    redeem_batch_size: Histogram,
    redeem_calls: Family<ResultLabel, Counter>,
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
struct ResultLabel {
    result: &'static str,
}

/// How a call to issuance ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RedeemCall {
    /// With a result for each item.
    Answered,
    /// With a refusal of the whole call, or an answer that does not fit the question.
    Refused,
    /// The replica could not be reached, or broke off.
    Failed,
}

impl Metrics {
    /// Registers the metrics.
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self {
            orders: Family::default(),
            finish_seconds: duration_histogram(),
            finishing: Gauge::default(),
            recovered: Family::default(),
            oldest_pending_seconds: Family::default(),
            redeem_batch_size: size_histogram(),
            redeem_calls: Family::default(),
        };
        registry.register(
            "tidegate_orders",
            "What became of orders and of requests to place them: placed (durable), replayed, refused, accepted, rejected, left_pending (the recovery worker finishes those)",
            metrics.orders.clone(),
        );
        registry.register(
            "tidegate_order_finish_seconds",
            "Time from an order's being durable to its outcome's being durable",
            metrics.finish_seconds.clone(),
        );
        registry.register(
            "tidegate_orders_finishing",
            "Orders whose coupon is being redeemed by this replica at this moment",
            metrics.finishing.clone(),
        );
        registry.register(
            "tidegate_orders_recovered",
            "Orders the recovery worker took up, by what came of it",
            metrics.recovered.clone(),
        );
        registry.register(
            "tidegate_oldest_pending_order_seconds",
            "Age of the oldest order that the recovery worker found PENDING; 0 if there was none",
            metrics.oldest_pending_seconds.clone(),
        );
        registry.register(
            "tidegate_redeem_batch_size",
            "Orders of one RedeemCoupons call",
            metrics.redeem_batch_size.clone(),
        );
        registry.register(
            "tidegate_redeem_calls",
            "Calls of RedeemCoupons, by how they ended",
            metrics.redeem_calls.clone(),
        );
        metrics
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

    pub(crate) fn redeem_call(&self, ended: RedeemCall) {
        let result = match ended {
            RedeemCall::Answered => "answered",
            RedeemCall::Refused => "refused",
            RedeemCall::Failed => "failed",
        };
        self.redeem_calls
            .get_or_create(&ResultLabel { result })
            .inc();
    }
}

fn labels(state: &OrderState) -> (&'static str, &'static str) {
    match state {
        OrderState::Pending => ("left_pending", ""),
        OrderState::Accepted => ("accepted", ""),
        OrderState::Rejected(rejection) => ("rejected", rejection.because().name()),
    }
}
