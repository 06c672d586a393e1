//! What an order is and what may become of it. Pure: no clock, no database, no wire.

mod draft;
mod feed;
mod gateway_means;
mod opening;
mod order;
mod order_audit;
mod page;
mod retention;
mod slots;
mod store;
mod timing;
mod zone;

use tidegate_types::OutOfBounds;

pub use tidegate_types::Area;

pub use self::{
    draft::*, feed::*, gateway_means::*, opening::*, order::*, order_audit::*, page::*,
    retention::*, slots::*, store::*, timing::*, zone::*,
};

/// Takes a number over if it is within bounds.
fn bounded<Number: PartialOrd + Copy + Into<u64>>(
    number: impl TryInto<Number>,
    min: Number,
    max: Number,
) -> Result<Number, OutOfBounds> {
    let number = number.try_into().ok();
    let within = number.filter(|number| (min..=max).contains(number));
    within.ok_or(OutOfBounds {
        min: min.into(),
        max: max.into(),
    })
}
