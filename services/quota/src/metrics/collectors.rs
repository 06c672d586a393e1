use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use crate::{store::ShownAudit, watch::Watch};
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric as _},
    metrics::{MetricType, gauge::ConstGauge},
};

/// Campaigns whose stock is shown; those made last, if there are more.
const MAX_CAMPAIGNS_SHOWN: usize = 100;

/// What audits found last, and when that was read.
#[derive(Debug, Clone)]
pub(crate) struct LastAudit(Arc<Mutex<(Vec<ShownAudit>, Instant)>>);

impl Default for LastAudit {
    fn default() -> Self {
        Self(Arc::new(Mutex::new((Vec::new(), Instant::now()))))
    }
}

impl LastAudit {
    pub(crate) fn replace(&self, audits: Vec<ShownAudit>) {
        *self.found() = (audits, Instant::now());
    }

    fn found(&self) -> MutexGuard<'_, (Vec<ShownAudit>, Instant)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A gauge's name, what it tells, and its value for a campaign.
type AuditGauge = (&'static str, &'static str, fn(&ShownAudit) -> u64);

/// Shows the newest audit at each scrape, so that a campaign that is no longer audited leaves no label behind.
#[derive(Debug)]
pub(super) struct AuditCollector(pub(super) LastAudit);

impl Collector for AuditCollector {
    fn encode(&self, mut encoder: DescriptorEncoder) -> fmt::Result {
        let found = self.0.found();
        let (audits, read_at) = &*found;
        let age = encoder.encode_descriptor(
            "tidegate_audit_age_milliseconds",
            "Time since every current campaign was audited, by whichever replica; grows while one cannot be",
            None,
            MetricType::Gauge,
        )?;
        let current = audits.iter().filter(|audit| audit.is_current);
        let oldest = current.map(|audit| audit.age).max().unwrap_or_default();
        let oldest = (oldest + read_at.elapsed()).as_millis() as i64;
        ConstGauge::<i64>::new(oldest).encode(age)?;
        let each: [AuditGauge; 4] = [
            (
                "tidegate_audit_differences",
                "What audits of a campaign found last that does not add up; must be 0",
                |audit| audit.differences,
            ),
            (
                "tidegate_audit_leases_compared",
                "Leases of a campaign that its last audit compared, the newest first",
                |audit| audit.leases_compared,
            ),
            (
                "tidegate_audit_leases_left_out",
                "Leases of a campaign that its last audit left to the pass over all of them",
                |audit| audit.leases_left_out,
            ),
            (
                "tidegate_audit_complete_age_seconds",
                "Time since the last audit began that went over every lease of a campaign; since it was made if none has",
                |audit| audit.complete_age.as_secs(),
            ),
        ];
        for (name, help, value) in each {
            let mut gauge = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
            for audit in audits {
                let labels = [("campaign_id", audit.campaign.as_str())];
                let mut of_campaign = gauge.encode_family(&labels)?;
                of_campaign.encode_gauge(&(value(audit) as i64))?;
            }
        }
        Ok(())
    }
}

/// Shows the newest snapshot at each scrape, so that a campaign that is no longer watched leaves no label behind.
#[derive(Debug)]
pub(super) struct WatchCollector(pub(super) Watch);

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
                    let mut of_tier = stock.encode_family(&labels)?;
                    of_tier.encode_gauge(&(coupons as i64))?;
                }
            }
        }
        Ok(())
    }
}
