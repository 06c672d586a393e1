use std::{fmt, sync::Arc};

use tidegate_telemetry::TraceContext;
use tidegate_types::{Reason, Refusal, Timestamp};
use uuid::Uuid;

use super::Draft;

/// An order's name, made here. Ordered by time as a UUID of version 7.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct OrderId(pub Uuid);

impl fmt::Display for OrderId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Why an order is rejected for good: its coupon cannot pay for it. Where it could later, as after a halt of redemption, that is for another order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejection {
    because: Reason,
    metadata: Vec<(String, String)>,
}

impl Rejection {
    /// What a refused redemption means for the order: a rejection if the coupon itself is at fault, or if staff have halted redemption, since nobody knows for how long. `None` if asking again may turn out otherwise, and then the order stays PENDING.
    pub fn of(refusal: Refusal) -> Option<Self> {
        matches!(
            refusal.reason,
            Reason::CouponNotFound
                | Reason::CouponRedeemed
                | Reason::CouponExpired
                | Reason::CouponRevoked
                | Reason::RedemptionHalted
        )
        .then_some(Self {
            because: refusal.reason,
            metadata: refusal.metadata,
        })
    }

    /// The coupon has paid for another order.
    pub fn coupon_redeemed(by: OrderId) -> Self {
        Self {
            because: Reason::CouponRedeemed,
            metadata: vec![("order_id".to_owned(), by.to_string())],
        }
    }

    /// The reason.
    pub fn because(&self) -> Reason {
        self.because
    }

    /// The facts that go with it.
    pub fn metadata(&self) -> &[(String, String)] {
        &self.metadata
    }

    /// What the caller is told, now and on every replay.
    pub fn into_refusal(self) -> Refusal {
        Refusal {
            metadata: self.metadata,
            ..Refusal::never(self.because)
        }
    }
}

/// Where an order stands. PENDING is the only state that changes, once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OrderState {
    /// Durable; its coupon is being redeemed.
    Pending,
    /// The store will make it; the coupon is used.
    Accepted,
    /// It will not be made; the coupon was not used by it.
    Rejected(Rejection),
}

impl OrderState {
    /// True once it will not change any more.
    pub fn is_final(&self) -> bool {
        match self {
            Self::Pending => false,
            Self::Accepted | Self::Rejected(_) => true,
        }
    }
}

/// What has become of a draft.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// The order's id.
    pub order_id: OrderId,
    /// Where it stands.
    pub state: OrderState,
    /// The step of the story it was placed in.
    pub trace: Option<TraceContext>,
    /// When it was made durable.
    pub created_at: Timestamp,
    /// When its state last changed.
    pub updated_at: Timestamp,
}

/// One order of one shopper.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// What was asked for.
    pub draft: Arc<Draft>,
    /// What became of it.
    pub standing: Standing,
}

/// The moment as the database keeps it, so that the first answer and every later one say the same.
pub fn to_microsecond(moment: Timestamp) -> Timestamp {
    moment
        .replace_nanosecond(moment.microsecond() * 1_000)
        .unwrap_or(moment)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn only_the_coupon_s_own_faults_and_a_halt_reject_an_order() {
        let rejecting: Vec<_> = Reason::ALL
            .iter()
            .filter(|reason| Rejection::of(Refusal::never(**reason)).is_some())
            .map(|reason| reason.name())
            .collect();
        assert_eq!(
            rejecting,
            [
                "COUPON_NOT_FOUND",
                "COUPON_REDEEMED",
                "COUPON_EXPIRED",
                "COUPON_REVOKED",
                "REDEMPTION_HALTED"
            ]
        );
        let later = Refusal::after(Reason::Overloaded, Duration::from_secs(1));
        assert_eq!(Rejection::of(later), None);
    }

    #[test]
    fn a_rejection_is_told_as_the_refusal_it_came_from() {
        let refusal = Refusal::never(Reason::CouponRedeemed).with("order_id", "o-1");
        assert_eq!(
            Rejection::of(refusal.clone()).unwrap().into_refusal(),
            refusal
        );
    }
}
