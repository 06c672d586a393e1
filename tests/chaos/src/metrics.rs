//! Counters of the services, added up over the lives of processes that are killed again and again.

use std::{
    collections::HashMap, convert::Infallible, net::SocketAddr, sync::Mutex, time::Duration,
};

use tidegate_client::metrics;
use tidegate_local::stack::{Service, Stack};
use tokio::time::{sleep, timeout};

use crate::tally::locked;

/// Spends of a lease that the database refused.
pub const FENCE_REFUSALS: &str = "tidegate_fence_refusals_total";
/// Commits whose connection was lost, so that their outcome had to be looked up.
pub const CONNECTION_LOSSES: &str = "tidegate_commit_connection_losses_total";
const WATCHED: [&str; 2] = [FENCE_REFUSALS, CONNECTION_LOSSES];
/// A killed process takes what it counted since the last reading with it, so there are many.
const INTERVAL: Duration = Duration::from_millis(200);
const READ_LIMIT: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub struct Metrics {
    pages: Vec<SocketAddr>,
    readings: Mutex<HashMap<(SocketAddr, &'static str), Reading>>,
}

#[derive(Debug, Default, Clone, Copy)]
struct Reading {
    last: u64,
    of_earlier_lives: u64,
}

impl Metrics {
    pub fn of(stack: &Stack) -> Self {
        let replicas = stack.replicas().iter();
        let issuances = replicas.filter(|replica| replica.service() == Service::Issuance);
        Self {
            pages: issuances.map(|replica| replica.admin_address()).collect(),
            readings: Mutex::default(),
        }
    }

    pub async fn watch(&self) -> Infallible {
        loop {
            self.read().await;
            sleep(INTERVAL).await;
        }
    }

    pub async fn read(&self) {
        for page in &self.pages {
            if let Ok(Ok(text)) = timeout(READ_LIMIT, metrics::page(*page)).await {
                for name in WATCHED {
                    let value = metrics::sum(&text, name, "").unwrap_or_default();
                    self.note(*page, name, value as u64);
                }
            }
        }
    }

    fn note(&self, page: SocketAddr, name: &'static str, value: u64) {
        let mut readings = locked(&self.readings);
        let reading = readings.entry((page, name)).or_default();
        if value < reading.last {
            // A counter that fell belongs to another process.
            reading.of_earlier_lives += reading.last;
        }
        reading.last = value;
    }

    /// A counter over all replicas and all their lives.
    pub fn total(&self, name: &str) -> u64 {
        let readings = locked(&self.readings);
        let matching = readings.iter().filter(|((_, of), _)| *of == name);
        matching
            .map(|(_, reading)| reading.last + reading.of_earlier_lives)
            .sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_counter_goes_on_over_the_lives_of_a_process() {
        let metrics = Metrics {
            pages: Vec::new(),
            readings: Mutex::default(),
        };
        let page = SocketAddr::from(([127, 0, 0, 1], 1));
        for value in [3, 5, 1, 2] {
            metrics.note(page, FENCE_REFUSALS, value);
        }
        assert_eq!(metrics.total(FENCE_REFUSALS), 7);
    }
}
