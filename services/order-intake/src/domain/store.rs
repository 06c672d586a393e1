use tidegate_types::{Area, OutOfBounds, PrintedText, RequestId, StoreId, Timestamp};

use super::{OpeningHours, StoreZone, bounded};

/// A store's name for people.
pub type DisplayName = PrintedText<100>;
/// Why staff closed a store, in their own words.
pub type ClosingReason = PrintedText<200>;

const DEFAULT_SLOT_MINUTES: u8 = 10;

/// A length no slot has. The sentence fits behind the field's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be a number of minutes that divides 60")]
pub struct InvalidSlotMinutes;

/// How long a slot is: a number of minutes that divides 60, so that slots begin at the same minutes
/// of every hour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SlotMinutes(u8);

impl SlotMinutes {
    pub const MAX: i64 = 60;

    pub fn new(minutes: impl TryInto<u8>) -> Result<Self, InvalidSlotMinutes> {
        match minutes.try_into() {
            Ok(minutes @ 1..) if 60 % minutes == 0 => Ok(Self(minutes)),
            _ => Err(InvalidSlotMinutes),
        }
    }

    pub fn get(self) -> u8 {
        self.0
    }
}

impl Default for SlotMinutes {
    fn default() -> Self {
        Self(DEFAULT_SLOT_MINUTES)
    }
}

/// How many orders a store makes in one slot: 0 to 10,000.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct OrdersPerSlot(u16);

impl OrdersPerSlot {
    pub fn new(orders: impl TryInto<u16>) -> Result<Self, OutOfBounds> {
        bounded(orders, 0, 10_000).map(Self)
    }

    pub fn get(self) -> u16 {
        self.0
    }
}

/// Whether a store takes orders at all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum StoreState {
    /// It does, within its opening hours.
    #[default]
    Open,
    /// It does not, until it is opened again.
    Closed(Option<ClosingReason>),
}

/// A place that makes orders.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Store {
    pub id: StoreId,
    pub display_name: DisplayName,
    /// Where it is, for finding another store nearby.
    pub area: Area,
    pub zone: StoreZone,
    pub hours: OpeningHours,
    pub slot_minutes: SlotMinutes,
    pub orders_per_slot: OrdersPerSlot,
    pub state: StoreState,
}

/// What staff say of a store; what they leave out stays as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreChange {
    pub id: StoreId,
    pub display_name: DisplayName,
    pub area: Area,
    pub zone: Option<StoreZone>,
    pub hours: Option<OpeningHours>,
    pub slot_minutes: Option<SlotMinutes>,
    pub orders_per_slot: Option<OrdersPerSlot>,
    pub is_closed: Option<bool>,
}

/// A store without room, and where else to go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BusyStore {
    pub area: Area,
    /// Its next free slot, if there is one as far ahead as orders are booked.
    pub next_slot_at: Option<Timestamp>,
    pub suggestions: Vec<Suggestion>,
}

/// A store that can make an order sooner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Suggestion {
    pub store: StoreId,
    pub slot_at: Timestamp,
}

/// Which stores staff close with one call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClosingScope {
    Store(StoreId),
    /// Every one of this area.
    Area(Area),
}

/// What becomes of orders that are still to be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PendingOrders {
    Keep,
    /// They fail, and their coupons come back.
    Fail,
}

/// What staff ask for when they close stores.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreClosing {
    /// The caller's name for it, the same on every retry.
    pub request_id: RequestId,
    pub scope: ClosingScope,
    pub reason: ClosingReason,
    pub pending_orders: PendingOrders,
}

/// What a closing has done so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Closed {
    pub stores: u32,
    /// Orders that were accepted and have failed.
    pub orders_failed: u64,
    /// Orders that were pending and are rejected.
    pub orders_rejected: u64,
    /// When nothing was left to do.
    pub finished_at: Option<Timestamp>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_s_length_divides_an_hour() {
        let lengths: Vec<_> = (0..=255u8)
            .filter(|minutes| SlotMinutes::new(*minutes).is_ok())
            .collect();
        assert_eq!(lengths, [1, 2, 3, 4, 5, 6, 10, 12, 15, 20, 30, 60]);
        assert!(SlotMinutes::new(316u32).is_err());
    }

    #[test]
    fn a_store_may_make_nothing_in_a_slot_and_ten_thousand_at_most() {
        assert_eq!(OrdersPerSlot::new(0u32).map(OrdersPerSlot::get), Ok(0));
        assert!(OrdersPerSlot::new(10_000u32).is_ok());
        assert!(OrdersPerSlot::new(10_001u32).is_err() && OrdersPerSlot::new(-1i32).is_err());
    }
}
