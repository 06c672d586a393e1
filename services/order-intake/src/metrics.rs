//! The numbers of the domain; those of calls and of commits are counted where calls and commits are
//! made.

use std::time::Duration;

use prometheus_client::metrics::{
    counter::Counter, family::Family, gauge::Gauge, histogram::Histogram,
};
use tidegate_telemetry::{Registry, duration_histogram, size_histogram};
use tidegate_types::{Lane, Reason};

use crate::domain::OrderState;

type Labels<const COUNT: usize> = [(&'static str, &'static str); COUNT];
type OfLane = [(&'static str, u16); 1];

/// Declares metrics: each with its type and how it is made, its name, and what it says.
macro_rules! metrics {
    ($($visible:vis $field:ident: $metric:ty = $new:expr, $name:literal, $help:literal;)*) => {
        /// Counts what becomes of orders. Cheap to clone.
        #[derive(Clone)]
        pub struct Metrics {
            $(#[doc = $help] $visible $field: $metric,)*
        }

        impl Metrics {
            pub fn register(registry: &mut Registry) -> Self {
                let metrics = Self { $($field: $new,)* };
                $(registry.register($name, $help, metrics.$field.clone());)*
                metrics
            }
        }
    };
}

metrics! {
    orders: Family<Labels<2>, Counter> = Family::default(),
        "tidegate_orders", "What became of orders and of requests to place them: placed (durable), replayed, refused, accepted, rejected (ORDER_TOO_LATE: their time was over before their coupon had paid), cancelled and failed (before their outcome was written), left_pending (the recovery worker finishes those)";
    finish_seconds: Histogram = duration_histogram(),
        "tidegate_order_finish_seconds", "Time from an order's being durable to its outcome's being durable";
    pub finishing: Gauge = Gauge::default(),
        "tidegate_orders_finishing", "Orders whose coupon is being redeemed by this replica at this moment";
    recovered: Family<Labels<2>, Counter> = Family::default(),
        "tidegate_orders_recovered", "Orders the recovery worker took up, by what came of it";
    oldest_pending_seconds: Family<OfLane, Gauge> = Family::default(),
        "tidegate_oldest_pending_order_seconds", "Age of the oldest order that the recovery worker found PENDING; 0 if there was none";
    pub redeem_batch_size: Histogram = size_histogram(),
        "tidegate_redeem_batch_size", "Orders of one RedeemCoupons call";
    issuance_calls: Family<Labels<2>, Counter> = Family::default(),
        "tidegate_order_issuance_calls", "Calls of issuance with their retries, by how they ended";
    pub released: Counter = Counter::default(),
        "tidegate_order_coupons_released", "Orders that will not be made and of which this replica told issuance, so that their coupons are free";
    unreleased: Family<OfLane, Gauge> = Family::default(),
        "tidegate_order_coupons_unreleased", "Orders that will not be made and of which issuance was still to be told when the release worker last looked";
    moved: Family<Labels<1>, Counter> = Family::default(),
        "tidegate_order_moves", "Orders that were cancelled, moved on, failed by their stores (FAILED) or ended by a closing of stores, by the state they got";
    pub rebooked: Counter = Counter::default(),
        "tidegate_orders_rebooked", "Orders whose slot was over when their coupon had paid, and that got a later one";
    pub unfinished_closings: Gauge = Gauge::default(),
        "tidegate_store_closings_unfinished", "Closings of stores that had orders to end when this replica last looked";
    feed_lag: Family<[(&'static str, String); 1], Gauge> = Family::default(),
        "tidegate_feed_lag_events", "Changes of orders that a consumer of the feed has not acknowledged";
    pub audit_differences: Gauge = Gauge::default(),
        "tidegate_order_audit_differences", "Slots and orders that did not add up in what this replica compared last";
    pub audited_all_at_seconds: Gauge = Gauge::default(),
        "tidegate_order_audit_complete_timestamp_seconds", "When this replica's last pass over every slot and order ended; 0 if there was none here";
}

impl Metrics {
    pub fn placed(&self, replayed: bool) {
        let outcome = if replayed { "replayed" } else { "placed" };
        self.order(labels(outcome, ""));
    }

    pub fn refused(&self, reason: Reason) {
        self.order(labels("refused", reason.name()));
    }

    pub fn settled(&self, state: &OrderState, since_created: Duration) {
        self.order(labels_of(state));
        self.finish_seconds.observe(since_created.as_secs_f64());
    }

    pub fn left_pending(&self) {
        self.order(labels_of(&OrderState::Pending));
    }

    fn order(&self, labels: Labels<2>) {
        self.orders.get_or_create(&labels).inc();
    }

    pub fn recovered(&self, state: &OrderState) {
        self.recovered.get_or_create(&labels_of(state)).inc();
    }

    pub fn oldest_pending(&self, lane: Lane, age: Duration) {
        let of_lane = self.oldest_pending_seconds.get_or_create(&of(lane));
        of_lane.set(age.as_secs() as i64);
    }

    /// Counts a call that was answered, refused as a whole, or failed: its replica could not be
    /// reached, or broke off.
    pub fn issuance_call(&self, method: &'static str, result: &'static str) {
        let labels = [("method", method), ("result", result)];
        self.issuance_calls.get_or_create(&labels).inc();
    }

    pub fn unreleased(&self, lane: Lane, orders: usize) {
        let of_lane = self.unreleased.get_or_create(&of(lane));
        of_lane.set(orders as i64);
    }

    pub fn feed_lag(&self, consumer: String, events: i64) {
        let of_consumer = self.feed_lag.get_or_create(&[("consumer", consumer)]);
        of_consumer.set(events);
    }

    pub fn moved(&self, state: &OrderState) {
        self.moved.get_or_create(&[("state", state.name())]).inc();
    }
}

fn of(lane: Lane) -> OfLane {
    [("lane", lane.get())]
}

fn labels(outcome: &'static str, reason: &'static str) -> Labels<2> {
    [("outcome", outcome), ("reason", reason)]
}

fn labels_of(state: &OrderState) -> Labels<2> {
    match state {
        OrderState::Pending => labels("left_pending", ""),
        OrderState::Accepted
        | OrderState::InPreparation
        | OrderState::Ready
        | OrderState::Completed => labels("accepted", ""),
        OrderState::Rejected(rejection) => labels("rejected", rejection.because().name()),
        OrderState::Cancelled => labels("cancelled", ""),
        OrderState::Failed(_) => labels("failed", ""),
    }
}
