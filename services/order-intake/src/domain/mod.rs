//! What an order is and what may become of it. Pure: no clock, no database, no wire.

mod bill;
mod draft;
mod feed;
mod hours;
mod order;
mod page;
mod slots;
mod store;

pub use bill::Bill;
pub use draft::Draft;
pub use feed::{FeedCursor, FeedFilter, InvalidCursor, OrderEvent};
pub use hours::{Minute, MinuteOfDay, OpeningHours, UtcOffset};
pub use order::{
    Move, Order, OrderId, OrderState, Rejection, Standing, StateConflict, to_microsecond,
};
pub use page::{PagePosition, PageSize};
pub use slots::{Booking, NoSlot, Slot, Timetable};
pub use store::{
    Area, ClosingReason, DisplayName, OrdersPerSlot, SlotMinutes, Store, StoreChange, StoreState,
};
