use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use prometheus_client::{collector::Collector, encoding::DescriptorEncoder, metrics::MetricType};
use tidegate_types::CampaignNumber;

use crate::{
    domain::{QueueCampaign, QueueReport, QueueSnapshot},
    watch::Watch,
};

/// A queue that this replica has not moved for so long is shown by those that do, or is over.
const SHOWN_FOR: Duration = Duration::from_secs(10);

#[derive(Debug, Clone, Copy)]
struct QueueShown {
    waiting: u64,
    oldest_wait_seconds: u64,
    pace_per_second: f64,
    moved_at: Instant,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct ShownQueues(Arc<Mutex<BTreeMap<CampaignNumber, QueueShown>>>);

impl ShownQueues {
    pub(crate) fn show(
        &self,
        snapshot: &QueueSnapshot,
        campaign: &QueueCampaign,
        reports: &[QueueReport],
    ) {
        let opened = u64::try_from(campaign.opens_at.unix_timestamp()).unwrap_or(0);
        let oldest_wait_seconds = snapshot.waiting.keys().next().map_or(0, |first| {
            let came = first.get().max(opened);
            snapshot.current_cohort.get().saturating_sub(came)
        });
        let served = reports.iter().map(|report| report.served_per_second);
        let shown = QueueShown {
            waiting: snapshot.waiting.values().sum(),
            oldest_wait_seconds,
            pace_per_second: served.filter(|_| snapshot.is_queueing).sum(),
            moved_at: Instant::now(),
        };
        self.queues().insert(snapshot.campaign, shown);
    }

    fn queues(&self) -> MutexGuard<'_, BTreeMap<CampaignNumber, QueueShown>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Debug)]
pub(super) struct QueueCollector {
    pub(super) queues: ShownQueues,
    pub(super) watch: Watch,
}

impl Collector for QueueCollector {
    fn encode(&self, mut encoder: DescriptorEncoder) -> fmt::Result {
        let (mut queues, newest) = (self.queues.queues(), self.watch.newest());
        queues.retain(|_, shown| shown.moved_at.elapsed() < SHOWN_FOR);
        let mut gauge = |name, help, value: fn(&QueueShown) -> f64| {
            let mut gauge = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
            for (number, shown) in &*queues {
                let Some(campaign) = newest.campaigns.get(number) else {
                    continue;
                };
                let labels = [("campaign_id", campaign.terms.id.as_str())];
                gauge.encode_family(&labels)?.encode_gauge(&value(shown))?;
            }
            fmt::Result::Ok(())
        };
        let help = "Those whose turns have not come";
        gauge("tidegate_queue_waiting", help, |shown| shown.waiting as f64)?;
        let help = "For how long the first who waits has waited since the opening";
        let name = "tidegate_queue_oldest_wait_seconds";
        gauge(name, help, |shown| shown.oldest_wait_seconds as f64)?;
        let help = "Claims that are served each second while there is a queue";
        gauge("tidegate_queue_pace_per_second", help, |shown| {
            shown.pace_per_second
        })
    }
}
