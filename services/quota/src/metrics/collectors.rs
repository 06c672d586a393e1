use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric as _},
    metrics::{MetricType, gauge::ConstGauge},
};
use tidegate_types::CampaignId;

use crate::watch::Watch;

/// Campaigns whose stock is shown; those made last, if there are more.
const MAX_CAMPAIGNS_SHOWN: usize = 100;

/// What the auditor found last.
#[derive(Debug, Clone)]
pub(super) struct LastAudit(Arc<Mutex<Found>>);

#[derive(Debug)]
struct Found {
    differences: Vec<(CampaignId, u64)>,
    complete_at: Instant,
}

impl Default for LastAudit {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(Found {
            differences: Vec::new(),
            complete_at: Instant::now(),
        })))
    }
}

impl LastAudit {
    pub(super) fn replace(&self, differences: Vec<(CampaignId, u64)>, is_complete: bool) {
        let mut found = self.found();
        found.differences = differences;
        if is_complete {
            found.complete_at = Instant::now();
        }
    }

    fn found(&self) -> MutexGuard<'_, Found> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Shows the newest audit at each scrape, so that a campaign that is no longer audited leaves no label behind.
#[derive(Debug)]
pub(super) struct AuditCollector(pub(super) LastAudit);

impl Collector for AuditCollector {
    fn encode(&self, mut encoder: DescriptorEncoder) -> fmt::Result {
        let found = self.0.found();
        let age = encoder.encode_descriptor(
            "tidegate_audit_age_milliseconds",
            "Time since every watched campaign could be audited; grows while one cannot",
            None,
            MetricType::Gauge,
        )?;
        ConstGauge::<i64>::new(found.complete_at.elapsed().as_millis() as i64).encode(age)?;
        let mut differences = encoder.encode_descriptor(
            "tidegate_audit_differences",
            "What the newest audit of a campaign found that does not add up; must be 0",
            None,
            MetricType::Gauge,
        )?;
        for (campaign, count) in &found.differences {
            let labels = [("campaign_id", campaign.as_str())];
            differences
                .encode_family(&labels)?
                .encode_gauge(&(*count as i64))?;
        }
        Ok(())
    }
}

/// Shows the newest snapshot at each scrape, so that a campaign that is no longer watched leaves no label behind.
pub(super) struct WatchCollector(pub(super) Watch);

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
