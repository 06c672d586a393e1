use std::fmt;

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric as _},
    metrics::{MetricType, counter::Counter, family::Family, gauge::ConstGauge},
};
use tidegate_telemetry::Registry;
use tidegate_types::Reason;

use crate::watch::Watch;

/// Campaigns whose stock is shown; those made last, if there are more.
const MAX_CAMPAIGNS_SHOWN: usize = 100;

/// What quota counts.
#[derive(Clone)]
pub struct Metrics {
    leases_granted: Counter,
    leases_settled: Counter,
    coupons_leased: Counter,
    coupons_settled: Counter,
    coupons_returned: Counter,
    refusals: Family<RefusalLabel, Counter>,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct RefusalLabel {
    reason: &'static str,
}

impl Metrics {
    /// Registers the metrics. Stock is shown as the watch saw it last.
    pub fn register(registry: &mut Registry, watch: Watch) -> Self {
        let mut counter = |name, help| {
            let counter = Counter::default();
            registry.register(name, help, counter.clone());
            counter
        };
        let leases_granted = counter(
            "tidegate_leases_granted",
            "Leases granted, repeats not counted",
        );
        let leases_settled = counter(
            "tidegate_leases_settled",
            "Leases settled, repeats not counted",
        );
        let coupons_leased = counter(
            "tidegate_coupons_leased",
            "Coupons moved from the pool to leases",
        );
        let coupons_settled = counter(
            "tidegate_coupons_settled",
            "Coupons of settled leases that were used",
        );
        let coupons_returned = counter(
            "tidegate_coupons_returned",
            "Coupons of settled leases that went back to the pool",
        );
        let refusals = Family::default();
        registry.register(
            "tidegate_refusals",
            "Calls refused, by reason",
            refusals.clone(),
        );
        registry.register_collector(Box::new(WatchCollector(watch)));
        Self {
            leases_granted,
            leases_settled,
            coupons_leased,
            coupons_settled,
            coupons_returned,
            refusals,
        }
    }

    pub(crate) fn leased(&self, coupons: u64) {
        self.leases_granted.inc();
        self.coupons_leased.inc_by(coupons);
    }

    pub(crate) fn settled(&self, used: u64, returned: u64) {
        self.leases_settled.inc();
        self.coupons_settled.inc_by(used);
        self.coupons_returned.inc_by(returned);
    }

    pub(crate) fn refused(&self, reason: Reason) {
        let reason = reason.name();
        self.refusals.get_or_create(&RefusalLabel { reason }).inc();
    }
}

/// Shows the newest snapshot at each scrape, so that a campaign that is no longer watched leaves no label behind.
struct WatchCollector(Watch);

impl fmt::Debug for WatchCollector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WatchCollector")
    }
}

impl Collector for WatchCollector {
    fn encode(&self, mut encoder: DescriptorEncoder) -> fmt::Result {
        let newest = self.0.newest();
        let mut gauge = |name, help, value| {
            let descriptor = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
            ConstGauge::<i64>::new(value).encode(descriptor)
        };
        gauge(
            "tidegate_watchers",
            "Streams that watch campaigns",
            self.0.watchers() as i64,
        )?;
        gauge(
            "tidegate_campaigns_watched",
            "Campaigns that watchers are told of",
            newest.campaigns.len() as i64,
        )?;
        gauge(
            "tidegate_campaigns_age_milliseconds",
            "Time since campaigns were last read; grows while the database is away",
            newest.read_at.elapsed().as_millis() as i64,
        )?;
        let mut stock = encoder.encode_descriptor(
            "tidegate_stock",
            "Coupons of a tier by where they are; the states add up to all there is",
            None,
            MetricType::Gauge,
        )?;
        for campaign in newest.campaigns.values().rev().take(MAX_CAMPAIGNS_SHOWN) {
            for (tier, at) in campaign.terms.tiers.iter().zip(&campaign.stock) {
                for (state, coupons) in [
                    ("free", at.free),
                    ("leased", at.leased),
                    ("settled", at.settled),
                ] {
                    let labels = [
                        ("campaign_id", campaign.terms.id.as_str()),
                        ("tier_id", tier.id.as_str()),
                        ("state", state),
                    ];
                    // A tier's stock is at most a billion.
                    stock
                        .encode_family(&labels)?
                        .encode_gauge(&(coupons as i64))?;
                }
            }
        }
        Ok(())
    }
}
