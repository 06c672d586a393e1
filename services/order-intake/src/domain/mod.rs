//! What an order is and what may become of it. Pure: no clock, no database, no wire.

mod draft;
mod order;
mod page;
mod store;

pub use draft::Draft;
pub use order::{Order, OrderId, OrderState, Rejection, Standing, to_microsecond};
pub use page::{PagePosition, PageSize};
pub use store::{Area, DisplayName, Store};
