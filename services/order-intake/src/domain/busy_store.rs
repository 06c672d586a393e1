use tidegate_types::{StoreId, Timestamp};

use super::Area;

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
