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

/// Shows the newest audit at each scrape, so that a campaign that is no longer audited leaves no label behind.
#[derive(Debug)]
pub(super) struct AuditCollector(pub(super) LastAudit);

impl Collector for AuditCollector {
    fn encode(&self, mut encoder: DescriptorEncoder) -> fmt::Result {
        let found = self.0.found();
        let (audits, read_at) = &*found;
        let current = audits.iter().filter(|audit| audit.is_current);
        let oldest = current.map(|audit| audit.age).max().unwrap_or_default();
        let help = "Time since every current campaign was audited, by whichever replica; grows while one cannot be";
        let oldest = (oldest + read_at.elapsed()).as_millis() as i64;
        gauge(
            &mut encoder,
            "tidegate_audit_age_milliseconds",
            help,
            oldest,
        )?;
        let mut each = |name, help, value: fn(&ShownAudit) -> u64| {
            let mut gauge = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
            for audit in audits {
                let labels = [("campaign_id", audit.campaign.as_str())];
                let mut of_campaign = gauge.encode_family(&labels)?;
                of_campaign.encode_gauge(&(value(audit) as i64))?;
            }
            fmt::Result::Ok(())
        };
        let help = "What audits of a campaign found last that does not add up; must be 0";
        each("tidegate_audit_differences", help, |audit| {
            audit.differences
        })?;
        let help = "Leases of a campaign that its last audit compared, the newest first";
        each("tidegate_audit_leases_compared", help, |audit| {
            audit.leases_compared
        })?;
        let help = "Leases of a campaign that its last audit left to the pass over all of them";
        each("tidegate_audit_leases_left_out", help, |audit| {
            audit.leases_left_out
        })?;
        let help = "Time since the last audit began that went over every lease of a campaign; since it was made if none has";
        each("tidegate_audit_complete_age_seconds", help, |audit| {
            audit.complete_age.as_secs()
        })
    }
}

fn gauge(encoder: &mut DescriptorEncoder<'_>, name: &str, help: &str, value: i64) -> fmt::Result {
    let gauge = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
    ConstGauge::<i64>::new(value).encode(gauge)
}

/// Shows the newest snapshot at each scrape, so that a campaign that is no longer watched leaves no label behind.
#[derive(Debug)]
pub(super) struct WatchCollector(pub(super) Watch);

impl Collector for WatchCollector {
    fn encode(&self, mut encoder: DescriptorEncoder) -> fmt::Result {
        let newest = self.0.newest();
        let (help, watchers) = ("Streams that watch campaigns", self.0.watchers());
        gauge(&mut encoder, "tidegate_watchers", help, watchers as i64)?;
        let (help, watched) = (
            "Campaigns that watchers are told of",
            newest.campaigns.len(),
        );
        gauge(
            &mut encoder,
            "tidegate_campaigns_watched",
            help,
            watched as i64,
        )?;
        let help = "Time since campaigns were last read; grows while the database is away";
        let age = newest.read_at.elapsed().as_millis() as i64;
        gauge(
            &mut encoder,
            "tidegate_campaigns_age_milliseconds",
            help,
            age,
        )?;
        let help = "Coupons of a tier by where they are; the states add up to all there is";
        let kind = MetricType::Gauge;
        let mut stock = encoder.encode_descriptor("tidegate_stock", help, None, kind)?;
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
