use std::{fmt, sync::Arc};

use tidegate_telemetry::TraceContext;
use tidegate_types::{Money, PrintedText, Reason, Refusal, RequestId, Timestamp};
use uuid::Uuid;

use super::{Area, Draft, Slot};

/// An order's name, made here. Ordered by time as a UUID of version 7.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct OrderId(pub Uuid);

impl fmt::Display for OrderId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Why a store cannot make an order, in its own words.
pub type FailureNote = PrintedText<200>;

/// Why an order is rejected for good: its coupon cannot pay for it. Where it could later, as after
/// a halt of redemption, that is for another order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejection {
    because: Reason,
    metadata: Vec<(String, String)>,
}

impl Rejection {
    /// What a refused redemption means for the order: a rejection if the coupon itself is at fault,
    /// or if staff have halted redemption, since nobody knows for how long. `None` if asking again
    /// may turn out otherwise, and then the order stays PENDING.
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

    /// The order's time was over before its coupon had paid.
    pub fn too_late() -> Self {
        Self {
            because: Reason::OrderTooLate,
            metadata: Vec::new(),
        }
    }

    /// The store was closed, with all that it had not begun, before the coupon had paid.
    pub fn store_closed() -> Self {
        Self {
            because: Reason::StoreClosed,
            ..Self::too_late()
        }
    }

    /// A rejection as it was written down.
    pub fn kept(because: Reason, metadata: Vec<(String, String)>) -> Option<Self> {
        match because {
            Reason::OrderTooLate | Reason::StoreClosed => Some(Self { because, metadata }),
            _ => Self::of(Refusal {
                metadata,
                ..Refusal::never(because)
            }),
        }
    }

    /// Whether a redemption that is still in flight could take the coupon for the order: all but
    /// one of a coupon that never was, or never will be good again.
    fn leaves_coupon(&self) -> bool {
        !matches!(self.because, Reason::CouponNotFound | Reason::CouponRevoked)
    }

    pub fn coupon_redeemed(by: OrderId) -> Self {
        Self {
            because: Reason::CouponRedeemed,
            metadata: vec![("order_id".to_owned(), by.to_string())],
        }
    }

    pub fn because(&self) -> Reason {
        self.because
    }

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
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OrderState {
    /// Durable; its coupon is being redeemed.
    Pending,
    /// The store will make it; the coupon is used.
    Accepted,
    /// It will not be made; the coupon is not used by it.
    Rejected(Rejection),
    InPreparation,
    /// It waits for its shopper.
    Ready,
    Completed,
    /// The shopper gave it up in time; slot and coupon are given back.
    Cancelled,
    /// The store cannot make it; slot and coupon are given back.
    Failed(FailureNote),
}

/// A state of an order, without what goes with it. Its number is the contract's and the database's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StateKind {
    Pending = 1,
    Accepted = 2,
    Rejected = 3,
    InPreparation = 4,
    Ready = 5,
    Completed = 6,
    Cancelled = 7,
    Failed = 8,
}

impl StateKind {
    pub const ALL: [Self; 8] = [
        Self::Pending,
        Self::Accepted,
        Self::Rejected,
        Self::InPreparation,
        Self::Ready,
        Self::Completed,
        Self::Cancelled,
        Self::Failed,
    ];

    /// The state with this number, if there is one.
    pub fn numbered(number: i32) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| *kind as i32 == number)
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Pending => "PENDING",
            Self::Accepted => "ACCEPTED",
            Self::Rejected => "REJECTED",
            Self::InPreparation => "IN_PREPARATION",
            Self::Ready => "READY",
            Self::Completed => "COMPLETED",
            Self::Cancelled => "CANCELLED",
            Self::Failed => "FAILED",
        }
    }

    /// Whether an order in it will not be made; then it takes up no place in its slot.
    pub fn will_not_be_made(self) -> bool {
        matches!(self, Self::Rejected | Self::Cancelled | Self::Failed)
    }
}

/// What is asked to become of an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Move {
    Accept(Bill),
    Reject(Rejection),
    Cancel,
    Prepare,
    MakeReady,
    /// The shopper has taken it.
    Complete,
    Fail(FailureNote),
    /// Its store closes with all that it has not begun.
    CloseStore {
        closing: RequestId,
        note: FailureNote,
    },
}

/// The order's state does not allow the move.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the order is {state}")]
pub struct StateConflict {
    pub state: &'static str,
}

impl OrderState {
    /// The state after a move; `None` if the order stays as it is: it has made that move already,
    /// or an outcome comes for an order that has one.
    pub fn after(&self, asked: &Move) -> Result<Option<Self>, StateConflict> {
        let next = match (asked, self) {
            (Move::Accept(_), Self::Pending) => Self::Accepted,
            (Move::Reject(rejection), Self::Pending) => Self::Rejected(rejection.clone()),
            (Move::Accept(_) | Move::Reject(_), _) => return Ok(None),
            (Move::Cancel, Self::Pending | Self::Accepted) => Self::Cancelled,
            (Move::Prepare, Self::Accepted) => Self::InPreparation,
            (Move::MakeReady, Self::InPreparation) => Self::Ready,
            (Move::Complete, Self::Ready) => Self::Completed,
            (Move::Fail(note), Self::Accepted | Self::InPreparation | Self::Ready) => {
                Self::Failed(note.clone())
            }
            (Move::CloseStore { .. }, Self::Pending) => Self::Rejected(Rejection::store_closed()),
            (Move::CloseStore { note, .. }, Self::Accepted) => Self::Failed(note.clone()),
            (Move::CloseStore { .. }, _) => return Ok(None),
            (Move::Cancel, Self::Cancelled)
            | (Move::Prepare, Self::InPreparation)
            | (Move::MakeReady, Self::Ready)
            | (Move::Complete, Self::Completed)
            | (Move::Fail(_), Self::Failed(_)) => return Ok(None),
            (_, state) => {
                let state = state.name();
                return Err(StateConflict { state });
            }
        };
        Ok(Some(next))
    }

    pub fn kind(&self) -> StateKind {
        match self {
            Self::Pending => StateKind::Pending,
            Self::Accepted => StateKind::Accepted,
            Self::Rejected(_) => StateKind::Rejected,
            Self::InPreparation => StateKind::InPreparation,
            Self::Ready => StateKind::Ready,
            Self::Completed => StateKind::Completed,
            Self::Cancelled => StateKind::Cancelled,
            Self::Failed(_) => StateKind::Failed,
        }
    }

    pub fn name(&self) -> &'static str {
        self.kind().name()
    }

    pub fn rejection(&self) -> Option<&Rejection> {
        match self {
            Self::Rejected(rejection) => Some(rejection),
            _ => None,
        }
    }

    pub fn failure_note(&self) -> Option<&FailureNote> {
        match self {
            Self::Failed(note) => Some(note),
            _ => None,
        }
    }

    pub fn is_final(&self) -> bool {
        self.kind() == StateKind::Completed || self.kind().will_not_be_made()
    }

    pub fn holds_slot(&self) -> bool {
        !self.kind().will_not_be_made()
    }

    /// Whether issuance must be told that the order holds no coupon: it has one, or a redemption
    /// that is still in flight could get it one.
    pub fn gives_coupon_back(&self) -> bool {
        let leaves_coupon = self.rejection().is_none_or(Rejection::leaves_coupon);
        self.kind().will_not_be_made() && leaves_coupon
    }
}

/// What has become of a draft.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    pub order_id: OrderId,
    /// The area of its store when it was placed.
    pub area: Area,
    /// When the store makes it.
    pub slot: Slot,
    pub state: OrderState,
    /// What the coupon takes off, once it has paid.
    pub discount_minor_units: Option<i64>,
    /// When the coupon of an order that will not be made was given back.
    pub coupon_released_at: Option<Timestamp>,
    /// The span it was placed in.
    pub trace: Option<TraceContext>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

/// One order of one shopper.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    pub draft: Arc<Draft>,
    pub standing: Standing,
}

/// How an order stands after it was handed in.
pub struct Placed {
    pub standing: Standing,
    pub replayed: bool,
}

impl Standing {
    /// Whether issuance is still to be told that the order holds no coupon.
    pub fn owes_coupon(&self) -> bool {
        self.state.gives_coupon_back() && self.coupon_released_at.is_none()
    }
}

impl Order {
    /// What its later steps belong to.
    pub fn story(&self) -> TraceContext {
        let placed_in = self.standing.trace;
        placed_in.unwrap_or_else(|| TraceContext::new_root(false))
    }

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

/// What an order costs. Never negative, and never more than its total.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bill {
    total: Money,
    discount_minor_units: i64,
}

impl Bill {
    /// What a coupon leaves to pay: it takes off its face value, or the total if that is less.
    /// `None` if it is of another currency.
    pub fn with_coupon(total: Money, face_value: Money) -> Option<Self> {
        let discount_minor_units = face_value.minor_units.clamp(0, total.minor_units);
        (face_value.currency == total.currency).then_some(Self {
            total,
            discount_minor_units,
        })
    }

    pub fn discount(self) -> Money {
        Money {
            minor_units: self.discount_minor_units,
            ..self.total
        }
    }

    pub fn amount_to_pay(self) -> Money {
        Money {
            // The discount is from 0 to the total.
            minor_units: self.total.minor_units - self.discount_minor_units,
            ..self.total
        }
    }
}

/// The moment as the database keeps it, so that the first answer and every later one say the same.
pub fn to_microsecond(moment: Timestamp) -> Timestamp {
    moment
        .replace_nanosecond(moment.microsecond() * 1_000)
        .unwrap_or(moment)
}

#[cfg(test)]
mod tests;
