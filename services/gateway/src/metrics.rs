//! What the gateway counts, beside the calls themselves.

use std::sync::atomic::AtomicU64;

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge},
};
use tidegate_telemetry::Registry;
use tidegate_types::Reason;

/// The gateway's own metrics. Cheap to clone.
#[derive(Clone)]
pub struct GatewayMetrics {
    refused: Family<RefusalLabels, Counter>,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct RefusalLabels {
    service: &'static str,
    reason: &'static str,
}

impl GatewayMetrics {
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self {
            refused: Family::default(),
        };
        registry.register(
            "tidegate_refusals",
            "Calls refused, by the service called and the reason told",
            metrics.refused.clone(),
        );
        metrics
    }

    pub fn refused(&self, service: &'static str, reason: Reason) {
        self.refused
            .get_or_create(&RefusalLabels {
                service,
                reason: reason.name(),
            })
            .inc();
    }
}

/// What waiting rooms count. Cheap to clone.
#[derive(Clone)]
pub struct QueueMetrics {
    pub joined: Counter,
    /// Claims with a position in a queue that went to issuance.
    pub served: Counter,
    pub left: Counter,
    ended: Family<EndLabels, Counter>,
    /// Permits that nobody used while somebody waited, in permit-seconds.
    pub idle_permits: Counter<f64, AtomicU64>,
    /// How many claims a second leave room for their orders.
    pub pace: Gauge<f64, AtomicU64>,
    /// Streams of WatchClaim that are open.
    pub watching: Gauge,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct EndLabels {
    reason: &'static str,
}

impl QueueMetrics {
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self {
            joined: Counter::default(),
            served: Counter::default(),
            left: Counter::default(),
            ended: Family::default(),
            idle_permits: Counter::default(),
            pace: Gauge::default(),
            watching: Gauge::default(),
        };
        registry.register(
            "tidegate_queue_joined",
            "Tickets handed out",
            metrics.joined.clone(),
        );
        registry.register(
            "tidegate_queue_served",
            "Claims with a position in a queue that went to issuance",
            metrics.served.clone(),
        );
        registry.register(
            "tidegate_queue_left",
            "Positions given up",
            metrics.left.clone(),
        );
        registry.register(
            "tidegate_queue_ended",
            "Claims with a ticket that were refused, by the reason told",
            metrics.ended.clone(),
        );
        registry.register(
            "tidegate_idle_permit_seconds",
            "Permits for claims that nobody used while somebody waited in a queue, in permit-seconds",
            metrics.idle_permits.clone(),
        );
        registry.register(
            "tidegate_claims_pace_per_second",
            "Claims that this gateway serves each second at most, so that their orders find permits; +Inf while no order ever had to wait",
            metrics.pace.clone(),
        );
        registry.register(
            "tidegate_claims_watched",
            "Streams of WatchClaim that are open",
            metrics.watching.clone(),
        );
        metrics
    }

    pub fn ended(&self, reason: &'static str) {
        self.ended.get_or_create(&EndLabels { reason }).inc();
    }
}
