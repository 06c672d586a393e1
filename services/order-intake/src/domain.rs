//! What an order is and what may become of it. Pure: no clock, no database, no wire.

mod draft;
mod feed;
mod opening;
mod order;
mod order_audit;
mod page;
mod retention;
mod slots;
mod store;
mod timing;
mod zone;

pub use draft::{Draft, Verdict};
pub use feed::{FeedCursor, FeedFilter, InvalidCursor, OrderEvent};
pub use opening::{OpeningHours, WeeklyHours};
pub use order::{
    Bill, FailureNote, Move, Order, OrderId, OrderState, Placed, Rejection, Standing,
    StateConflict, StateKind, to_microsecond,
};
pub use order_audit::{OrderAudit, OrderBooks, SlotBooks};
pub use page::{PagePosition, PageSize, Paged, StoreOrdersQuery, StoresQuery};
pub use retention::RetentionPeriod;
pub use slots::{Booking, NoSlot, Slot, Timetable};
pub use store::{
    BusyStore, Closed, ClosingReason, ClosingScope, DisplayName, OrdersPerSlot, PendingOrders,
    SlotMinutes, Store, StoreChange, StoreClosing, StoreState, Suggestion,
};
pub use tidegate_types::Area;
pub use timing::Timing;
pub use zone::{Day, Minute, MinuteOfDay, StoreZone, Weekday};
