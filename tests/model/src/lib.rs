//! The lease protocol between quota, issuance's database and issuance's replicas, in every order of
//! events that a small world allows.
//!
//! The rules are those of the services: [`tidegate_quota::domain`] lends and settles,
//! [`tidegate_issuance::domain::fence`] installs, spends and seals. Only what lies between them is
//! modelled here: who remembers what, which messages are in flight, and who dies when.

mod fault;
mod promises;
mod protocol;
mod state;
mod transitions;
pub mod waiting_room;
mod witnesses;

pub use fault::Fault;
pub use promises::{
    COUPONS_ARE_SPENT_FROM_LEASES, HALT_MEANS_HALT, LEASES_ARE_SETTLED_ONCE, NEVER_OVERSOLD,
    UNUSED_COMES_BACK,
};
pub use protocol::{Action, LeaseId, LeaseProtocol, World};
pub use state::{Halt, Holder, LeaseLife, Lent, Message, State, Stock};
