use std::time::{Duration, Instant};

/// What callers tell counts for about as long.
const MEMORY: Duration = Duration::from_secs(1);

/// How long orders have to wait at gateways before they are sent here. All gateways meet here, so
/// each can be told how orders stand at the others.
#[derive(Debug, Clone)]
pub struct PermitWaits {
    orders: f64,
    waited_seconds: f64,
    told_at: Instant,
}

impl PermitWaits {
    pub fn new(now: Instant) -> Self {
        Self {
            orders: 0.0,
            waited_seconds: 0.0,
            told_at: now,
        }
    }

    /// A gateway sends so many orders and tells how long they have to wait there.
    pub fn tell(&mut self, orders: usize, wait: Duration, now: Instant) {
        let since = now.saturating_duration_since(self.told_at);
        let kept = (-since.div_duration_f64(MEMORY)).exp();
        self.told_at = now;
        self.orders = self.orders * kept + orders as f64;
        self.waited_seconds = self.waited_seconds * kept + orders as f64 * wait.as_secs_f64();
    }

    /// The mean at all gateways, by how many orders they send.
    pub fn mean(&self) -> Duration {
        let mean = self.waited_seconds / self.orders.max(1.0);
        Duration::try_from_secs_f64(mean).unwrap_or(Duration::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gateways_hear_the_mean_of_all_by_how_many_orders_they_send_of_late() {
        let (now, second) = (Instant::now(), Duration::from_secs(1));
        let mut waits = PermitWaits::new(now);
        waits.tell(30, 4 * second, now);
        assert_eq!(waits.mean(), 4 * second);
        waits.tell(90, Duration::ZERO, now);
        assert_eq!(waits.mean(), second);
        waits.tell(100, Duration::ZERO, now + 5 * second);
        assert!(waits.mean() < second / 100, "{waits:?}");
    }
}
