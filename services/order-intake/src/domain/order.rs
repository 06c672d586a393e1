use std::{fmt, sync::Arc};

use tidegate_telemetry::TraceContext;
use tidegate_types::{Money, Reason, Refusal, Timestamp};
use uuid::Uuid;

use super::{Area, Bill, Draft, Slot};

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
                | Reason::CouponNotApplicable
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

    /// The order that the coupon has paid for, if that is why.
    pub fn coupon_holder(&self) -> Option<OrderId> {
        let (_, holder) = self
            .metadata
            .iter()
            .find(|(key, _)| self.because == Reason::CouponRedeemed && key == "order_id")?;
        Uuid::try_parse(holder).ok().map(OrderId)
    }

    /// What the caller is told, now and on every replay.
    pub fn into_refusal(self) -> Refusal {
        Refusal {
            metadata: self.metadata,
            ..Refusal::never(self.because)
        }
    }
}

/// Where an order stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OrderState {
    /// Durable; its coupon is being redeemed.
    Pending,
    /// The store will make it; the coupon is used.
    Accepted,
    /// It will not be made; the coupon was not used by it.
    Rejected(Rejection),
    /// The store is making it.
    InPreparation,
    /// It waits for its shopper.
    Ready,
    /// The shopper has it.
    Completed,
    /// The shopper gave it up in time; slot and coupon are given back.
    Cancelled,
}

/// What is asked to become of an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Move {
    /// The coupon has paid.
    Accept(Bill),
    /// The coupon cannot pay.
    Reject(Rejection),
    /// The shopper gives it up.
    Cancel,
    /// The store begins to make it.
    Prepare,
    /// The store has made it.
    MakeReady,
    /// The shopper has taken it.
    Complete,
}

/// The order's state does not allow the move.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateConflict {
    /// The name of the state it is in.
    pub state: &'static str,
}

impl OrderState {
    /// The state after a move; `None` if the order stays as it is: it has made that move already, or an outcome comes for an order that has one.
    pub fn after(&self, asked: &Move) -> Result<Option<Self>, StateConflict> {
        let next = match (asked, self) {
            (Move::Accept(_), Self::Pending) => Self::Accepted,
            (Move::Reject(rejection), Self::Pending) => Self::Rejected(rejection.clone()),
            (Move::Accept(_) | Move::Reject(_), _) => return Ok(None),
            (Move::Cancel, Self::Pending | Self::Accepted) => Self::Cancelled,
            (Move::Prepare, Self::Accepted) => Self::InPreparation,
            (Move::MakeReady, Self::InPreparation) => Self::Ready,
            (Move::Complete, Self::Ready) => Self::Completed,
            (Move::Cancel, Self::Cancelled)
            | (Move::Prepare, Self::InPreparation)
            | (Move::MakeReady, Self::Ready)
            | (Move::Complete, Self::Completed) => return Ok(None),
            (Move::Cancel | Move::Prepare | Move::MakeReady | Move::Complete, state) => {
                return Err(StateConflict {
                    state: state.name(),
                });
            }
        };
        Ok(Some(next))
    }

    /// True once it will not change any more.
    pub fn is_final(&self) -> bool {
        match self {
            Self::Pending | Self::Accepted | Self::InPreparation | Self::Ready => false,
            Self::Rejected(_) | Self::Completed | Self::Cancelled => true,
        }
    }

    /// Whether the order takes up a place in its slot.
    pub fn holds_slot(&self) -> bool {
        match self {
            Self::Pending
            | Self::Accepted
            | Self::InPreparation
            | Self::Ready
            | Self::Completed => true,
            Self::Rejected(_) | Self::Cancelled => false,
        }
    }

    /// The name callers know it by.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Pending => "PENDING",
            Self::Accepted => "ACCEPTED",
            Self::Rejected(_) => "REJECTED",
            Self::InPreparation => "IN_PREPARATION",
            Self::Ready => "READY",
            Self::Completed => "COMPLETED",
            Self::Cancelled => "CANCELLED",
        }
    }
}

/// What has become of a draft.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// The order's id.
    pub order_id: OrderId,
    /// The area of its store when it was placed.
    pub area: Area,
    /// When the store makes it; `None` only for orders from before there were slots.
    pub slot: Option<Slot>,
    /// Where it stands.
    pub state: OrderState,
    /// What the coupon takes off, once it has paid.
    pub discount_minor_units: Option<i64>,
    /// When the coupon of a cancelled order was given back.
    pub coupon_released_at: Option<Timestamp>,
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

impl Order {
    /// What it costs; `None` as long as no coupon has paid.
    pub fn bill(&self) -> Option<Bill> {
        let total = self.draft.lines.total();
        let minor_units = self.standing.discount_minor_units?;
        Bill::with_coupon(
            total,
            Money {
                minor_units,
                ..total
            },
        )
    }
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
                "REDEMPTION_HALTED",
                "COUPON_NOT_APPLICABLE"
            ]
        );
        let later = Refusal::after(Reason::Overloaded, Duration::from_secs(1));
        assert_eq!(Rejection::of(later), None);
    }

    fn states() -> [OrderState; 7] {
        let because = Rejection::coupon_redeemed(OrderId(Uuid::nil()));
        [
            OrderState::Pending,
            OrderState::Accepted,
            OrderState::Rejected(because),
            OrderState::InPreparation,
            OrderState::Ready,
            OrderState::Completed,
            OrderState::Cancelled,
        ]
    }

    /// What a move does in each state: the next one's name, `-` for nothing, `!` for a conflict.
    fn effects(asked: &Move) -> Vec<&'static str> {
        let effect = |state: OrderState| match state.after(asked) {
            Ok(Some(next)) => next.name(),
            Ok(None) => "-",
            Err(conflict) => {
                assert_eq!(conflict.state, state.name());
                "!"
            }
        };
        states().map(effect).into()
    }

    #[test]
    fn an_outcome_is_for_pending_orders_and_changes_no_other() {
        let money = Money {
            currency: tidegate_types::CurrencyCode::parse("CNY").unwrap(),
            minor_units: 5,
        };
        let accept = Move::Accept(Bill::with_coupon(money, money).unwrap());
        let reject = Move::Reject(Rejection::coupon_redeemed(OrderId(Uuid::nil())));
        assert_eq!(effects(&accept), ["ACCEPTED", "-", "-", "-", "-", "-", "-"]);
        assert_eq!(effects(&reject), ["REJECTED", "-", "-", "-", "-", "-", "-"]);
    }

    #[test]
    fn an_order_can_be_cancelled_until_the_store_begins() {
        let expected = ["CANCELLED", "CANCELLED", "!", "!", "!", "!", "-"];
        assert_eq!(effects(&Move::Cancel), expected);
    }

    #[test]
    fn fulfilment_goes_one_step_at_a_time_and_may_ask_for_a_step_again() {
        let prepare = ["!", "IN_PREPARATION", "!", "-", "!", "!", "!"];
        let make_ready = ["!", "!", "!", "READY", "-", "!", "!"];
        let complete = ["!", "!", "!", "!", "COMPLETED", "-", "!"];
        assert_eq!(effects(&Move::Prepare), prepare);
        assert_eq!(effects(&Move::MakeReady), make_ready);
        assert_eq!(effects(&Move::Complete), complete);
    }

    #[test]
    fn what_is_final_is_not_moved_and_what_is_not_made_holds_no_slot() {
        let final_ones = states().into_iter().filter(OrderState::is_final);
        let names: Vec<_> = final_ones.map(|state| state.name()).collect();
        assert_eq!(names, ["REJECTED", "COMPLETED", "CANCELLED"]);
        let without = states().into_iter().filter(|state| !state.holds_slot());
        let names: Vec<_> = without.map(|state| state.name()).collect();
        assert_eq!(names, ["REJECTED", "CANCELLED"]);
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
