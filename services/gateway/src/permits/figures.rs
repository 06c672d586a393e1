use std::{fmt, sync::Arc};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric as _},
    metrics::{MetricType, gauge::ConstGauge},
};
use tidegate_telemetry::Registry;

use super::{Permits, Standing};

/// The permits of claims and of orders, looked at when somebody asks for metrics.
#[derive(Debug)]
struct Figures([(&'static str, Arc<Permits>); 2]);

pub fn register(registry: &mut Registry, claims: Arc<Permits>, orders: Arc<Permits>) {
    let figures = Figures([("claims", claims), ("orders", orders)]);
    registry.register_collector(Box::new(figures));
}

impl Collector for Figures {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let standings = self
            .0
            .each_ref()
            .map(|(of, permits)| (*of, permits.standing()));
        let mut each = |name, help, figure: fn(&Standing) -> f64| {
            let mut gauge = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
            for (of, standing) in &standings {
                let labels = [("of", *of)];
                ConstGauge::new(figure(standing)).encode(gauge.encode_family(&labels)?)?;
            }
            Ok(())
        };
        each(
            "tidegate_permits",
            "Claims, or orders, that may be in flight at once, as the windows of all lanes allow",
            |standing| standing.allowed,
        )?;
        each(
            "tidegate_permits_taken",
            "Claims, or orders, that are in flight",
            |standing| standing.in_flight as f64,
        )?;
        each(
            "tidegate_permits_awaited",
            "Calls that wait here for a permit at this moment",
            |standing| standing.awaited as f64,
        )
    }
}
