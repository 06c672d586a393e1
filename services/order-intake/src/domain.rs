//! What an order is and what may become of it. Pure: no clock, no database, no wire.

mod bill;
mod busy_store;
mod closing;
mod draft;
mod feed;
mod hours;
mod lists;
mod opening;
mod order;
mod order_audit;
mod page;
mod retention;
mod slots;
mod state_kind;
mod store;
mod timing;
mod zone;

pub use bill::Bill;
pub use busy_store::{BusyStore, Suggestion};
pub use closing::{Closed, ClosingScope, PendingOrders, StoreClosing};
pub use draft::{Draft, Verdict};
pub use feed::{FeedCursor, FeedFilter, InvalidCursor, OrderEvent};
pub use hours::{Minute, MinuteOfDay, Weekday};
pub use lists::{StoreOrdersQuery, StoresQuery};
pub use opening::{OpeningHours, WeeklyHours};
pub use order::{
    FailureNote, Move, Order, OrderId, OrderState, Placed, Rejection, Standing, StateConflict,
    to_microsecond,
};
pub use order_audit::{OrderAudit, OrderBooks, SlotBooks};
pub use page::{PagePosition, PageSize};
pub use retention::RetentionPeriod;
pub use slots::{Booking, NoSlot, Slot, Timetable};
pub use state_kind::StateKind;
pub use store::{
    Area, ClosingReason, DisplayName, OrdersPerSlot, SlotMinutes, Store, StoreChange, StoreState,
};
pub use timing::Timing;
pub use zone::{Day, StoreZone};
