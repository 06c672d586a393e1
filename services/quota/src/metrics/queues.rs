use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use prometheus_client::{collector::Collector, encoding::DescriptorEncoder, metrics::MetricType};
use tidegate_types::CampaignNumber;

use crate::{
    domain::{Queue, QueueCampaign, Waiting},
    watch::Watch,
};

/// A queue that this replica has not moved for so long is shown by those that do, or is over.
const SHOWN_FOR: Duration = Duration::from_secs(10);

/// A queue as this replica saw it when it moved it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct QueueShown {
    waiting: u64,
    oldest_wait: Duration,
    pace_per_second: f64,
    moved_at: Instant,
}

impl QueueShown {
    pub(crate) fn of(
        queue: &Queue,
        campaign: &QueueCampaign,
        waiting: &Waiting,
        is_serving: bool,
    ) -> Self {
        let crowd = queue.crowd(campaign, waiting);
        let is_moving = queue.is_queueing && is_serving;
        Self {
            waiting: crowd.tickets,
            oldest_wait: crowd.longest_wait,
            pace_per_second: if is_moving {
                queue.pace.per_second
            } else {
                0.0
            },
            moved_at: Instant::now(),
        }
    }
}

/// The queues that this replica moved of late.
#[derive(Debug, Clone, Default)]
pub(super) struct ShownQueues(Arc<Mutex<BTreeMap<CampaignNumber, QueueShown>>>);

impl ShownQueues {
    pub(super) fn show(&self, campaign: CampaignNumber, shown: QueueShown) {
        self.queues().insert(campaign, shown);
    }

    fn of_late(&self) -> BTreeMap<CampaignNumber, QueueShown> {
        let mut queues = self.queues();
        queues.retain(|_, shown| shown.moved_at.elapsed() < SHOWN_FOR);
        queues.clone()
    }

    fn queues(&self) -> MutexGuard<'_, BTreeMap<CampaignNumber, QueueShown>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Shows queues at each scrape, so that one that is over leaves no label behind.
pub(super) struct QueueCollector {
    pub(super) queues: ShownQueues,
    pub(super) watch: Watch,
}

impl fmt::Debug for QueueCollector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("QueueCollector")
    }
}

impl Collector for QueueCollector {
    fn encode(&self, mut encoder: DescriptorEncoder) -> fmt::Result {
        let (queues, newest) = (self.queues.of_late(), self.watch.newest());
        let mut gauge = |name, help, value: fn(&QueueShown) -> f64| {
            let mut gauge = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
            for (number, shown) in &queues {
                let Some(campaign) = newest.campaigns.get(number) else {
                    continue;
                };
                let labels = [("campaign_id", campaign.terms.id.as_str())];
                gauge.encode_family(&labels)?.encode_gauge(&value(shown))?;
            }
            Ok(())
        };
        gauge(
            "tidegate_queue_waiting",
            "Tickets that are not due",
            |shown| shown.waiting as f64,
        )?;
        gauge(
            "tidegate_queue_oldest_wait_seconds",
            "For how long the first who waits has waited since the opening",
            |shown| shown.oldest_wait.as_secs_f64(),
        )?;
        gauge(
            "tidegate_queue_pace_per_second",
            "Tickets that become due each second",
            |shown| shown.pace_per_second,
        )
    }
}
