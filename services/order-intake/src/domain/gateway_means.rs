use std::time::{Duration, Instant};

/// What callers tell counts for about as long.
const MEMORY: Duration = Duration::from_secs(1);

/// How orders stand at a gateway, or at all of them.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct AtGateways {
    /// How long orders have to wait before they are sent here.
    pub permit_wait: Duration,
    /// How many coupons were issued for each order.
    pub claims_per_order: f64,
}

/// What gateways tell with their orders of late. All of them meet here, so each can be told how orders
/// stand at the others, and all serve claims at one pace.
#[derive(Debug, Clone)]
pub struct GatewayMeans {
    orders: f64,
    waited_seconds: f64,
    claims: f64,
    told_at: Instant,
}

impl GatewayMeans {
    pub fn new(now: Instant) -> Self {
        Self {
            orders: 0.0,
            waited_seconds: 0.0,
            claims: 0.0,
            told_at: now,
        }
    }

    /// A gateway sends so many orders and tells how they stand there.
    pub fn tell(&mut self, orders: usize, there: AtGateways, now: Instant) {
        let since = now.saturating_duration_since(self.told_at);
        let kept = (-since.div_duration_f64(MEMORY)).exp();
        self.told_at = now;
        let sent = orders as f64;
        self.orders = self.orders * kept + sent;
        self.waited_seconds = self.waited_seconds * kept + sent * there.permit_wait.as_secs_f64();
        self.claims = self.claims * kept + sent * there.claims_per_order;
    }

    /// The means of all gateways, by how many orders they send.
    pub fn means(&self) -> AtGateways {
        let orders = self.orders.max(1.0);
        let waited = Duration::try_from_secs_f64(self.waited_seconds / orders);
        AtGateways {
            permit_wait: waited.unwrap_or(Duration::MAX),
            claims_per_order: self.claims / orders,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gateways_hear_the_means_of_all_by_how_many_orders_they_send_of_late() {
        let (now, second) = (Instant::now(), Duration::from_secs(1));
        let there = |permit_wait, claims_per_order| AtGateways {
            permit_wait,
            claims_per_order,
        };
        let mut told = GatewayMeans::new(now);
        told.tell(30, there(4 * second, 3.0), now);
        assert_eq!(told.means(), there(4 * second, 3.0));
        told.tell(90, there(Duration::ZERO, 1.0), now);
        assert_eq!(told.means(), there(second, 1.5));
        told.tell(100, there(Duration::ZERO, 1.0), now + 5 * second);
        let means = told.means();
        assert!(means.permit_wait < second / 100, "{told:?}");
        assert!(means.claims_per_order < 1.01, "{told:?}");
    }
}
