//! What the gateway counts, beside the calls themselves.

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family},
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
    /// Registers the metrics.
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

    /// A call was refused.
    pub fn refused(&self, service: &'static str, reason: Reason) {
        self.refused
            .get_or_create(&RefusalLabels {
                service,
                reason: reason.name(),
            })
            .inc();
    }
}
