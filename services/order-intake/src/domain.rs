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

pub use tidegate_types::Area;

pub use self::{
    draft::*, feed::*, opening::*, order::*, order_audit::*, page::*, retention::*, slots::*,
    store::*, timing::*, zone::*,
};
