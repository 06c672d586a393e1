use std::time::Duration;

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
};
use tidegate_telemetry::{Registry, duration_histogram, size_histogram};

/// The metrics of every commit queue of a process.
#[derive(Clone)]
pub struct QueueMetrics {
    length: Family<QueueLabel, Gauge>,
    batch_size: Family<QueueLabel, Histogram, fn() -> Histogram>,
    delay: Family<QueueLabel, Histogram, fn() -> Histogram>,
    commit_time: Family<QueueLabel, Histogram, fn() -> Histogram>,
    refused: Family<RefusedLabels, Counter>,
    conflicts: Family<QueueLabel, Counter>,
    connection_losses: Family<QueueLabel, Counter>,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct QueueLabel {
    queue: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct RefusedLabels {
    queue: &'static str,
    why: &'static str,
}

impl QueueMetrics {
    /// Registers the metrics.
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self {
            length: Family::default(),
            batch_size: Family::new_with_constructor(size_histogram as fn() -> Histogram),
            delay: Family::new_with_constructor(duration_histogram as fn() -> Histogram),
            commit_time: Family::new_with_constructor(duration_histogram as fn() -> Histogram),
            refused: Family::default(),
            conflicts: Family::default(),
            connection_losses: Family::default(),
        };
        registry.register(
            "tidegate_commit_queue_length",
            "Items waiting for their commit",
            metrics.length.clone(),
        );
        registry.register(
            "tidegate_commit_batch_size",
            "Items of one commit",
            metrics.batch_size.clone(),
        );
        registry.register(
            "tidegate_commit_queue_delay_seconds",
            "Wait of an item before its commit began",
            metrics.delay.clone(),
        );
        registry.register(
            "tidegate_commit_seconds",
            "Time of one commit",
            metrics.commit_time.clone(),
        );
        registry.register(
            "tidegate_commit_queue_refused",
            "Items not committed: full or late at the door, expired inside",
            metrics.refused.clone(),
        );
        registry.register(
            "tidegate_commit_conflicts",
            "Commits done again because others wrote the same rows",
            metrics.conflicts.clone(),
        );
        registry.register(
            "tidegate_commit_connection_losses",
            "Commits done again over a new connection",
            metrics.connection_losses.clone(),
        );
        metrics
    }

    pub(super) fn of(&self, queue: &'static str) -> OneQueueMetrics {
        let label = QueueLabel { queue };
        let refused = |why| {
            self.refused
                .get_or_create(&RefusedLabels { queue, why })
                .clone()
        };
        OneQueueMetrics {
            length: self.length.get_or_create(&label).clone(),
            batch_size: self.batch_size.get_or_create(&label).clone(),
            delay: self.delay.get_or_create(&label).clone(),
            commit_time: self.commit_time.get_or_create(&label).clone(),
            refused_full: refused("full"),
            refused_late: refused("late"),
            expired: refused("expired"),
            conflicts: self.conflicts.get_or_create(&label).clone(),
            connection_losses: self.connection_losses.get_or_create(&label).clone(),
        }
    }
}

/// The metrics of one queue, or of the queues of all lanes together: those share a name.
pub(super) struct OneQueueMetrics {
    pub(super) length: Gauge,
    pub(super) batch_size: Histogram,
    pub(super) delay: Histogram,
    pub(super) commit_time: Histogram,
    pub(super) refused_full: Counter,
    pub(super) refused_late: Counter,
    pub(super) expired: Counter,
    pub(super) conflicts: Counter,
    pub(super) connection_losses: Counter,
}

impl OneQueueMetrics {
    pub(super) fn committed(&self, items: usize, took: Duration) {
        self.batch_size.observe(items as f64);
        self.commit_time.observe(took.as_secs_f64());
    }
}
