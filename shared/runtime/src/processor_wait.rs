use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use prometheus_client::metrics::gauge::Gauge;
use tidegate_telemetry::Registry;
use tokio::time::{Instant, sleep_until};

/// How often it is measured.
const EVERY: Duration = Duration::from_millis(20);
/// The longest of so many measurements counts, so that one late moment is seen by whoever asks soon after.
const MEMORY: usize = 10;

/// How long work waits in this process until a processor takes it up: by how much a timer was late. Cheap to clone.
///
/// A queue in front of a database says nothing of that, and where processors are the bottleneck it is the only sign.
#[derive(Clone, Default)]
pub struct ProcessorWait {
    longest_us: Arc<AtomicU64>,
    shown: Gauge<f64, AtomicU64>,
}

impl ProcessorWait {
    /// Nothing is measured yet. Shows what will be.
    pub fn register(registry: &mut Registry) -> Self {
        let wait = Self::default();
        registry.register(
            "tidegate_processor_wait_seconds",
            "How long work waited in this process for a processor, at the longest of late",
            wait.shown.clone(),
        );
        wait
    }

    /// The longest wait of late.
    pub fn of_late(&self) -> Duration {
        Duration::from_micros(self.longest_us.load(Ordering::Relaxed))
    }

    /// Measures until aborted.
    pub async fn measure(self) {
        let mut waits = [0; MEMORY];
        for turn in 0_usize.. {
            let due = Instant::now() + EVERY;
            sleep_until(due).await;
            let late = due.elapsed().as_micros();
            waits[turn % MEMORY] = u64::try_from(late).unwrap_or(u64::MAX);
            let longest = waits.into_iter().max().unwrap_or_default();
            self.longest_us.store(longest, Ordering::Relaxed);
            self.shown.set(longest as f64 / 1e6);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn work_that_keeps_the_processor_is_seen_as_a_wait_and_then_forgotten() {
        let wait = ProcessorWait::default();
        let measuring = tokio::spawn(wait.clone().measure());
        tokio::time::sleep(5 * EVERY).await;
        // The only worker of this runtime.
        std::thread::sleep(10 * EVERY);
        tokio::time::sleep(EVERY / 2).await;
        assert!(wait.of_late() >= 8 * EVERY, "{:?}", wait.of_late());
        tokio::time::sleep(3 * EVERY * MEMORY as u32).await;
        assert!(wait.of_late() < 8 * EVERY, "{:?}", wait.of_late());
        measuring.abort();
    }
}
