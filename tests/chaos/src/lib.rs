//! Breaks a running suite on purpose, by a plan that follows from a seed, while shoppers claim and
//! order; then counts every broken promise. The rehearsal of scaling has its shoppers, its proxies
//! and its checker from here.

pub mod campaigns;
mod checker;
mod clock;
mod code;
pub mod console;
mod door;
pub mod edges;
mod faults;
pub mod findings;
mod ledger;
mod metrics;
mod mutation;
pub mod proxy;
pub mod report;
pub mod round;
mod suite;
pub mod tally;
pub mod workload;

pub use faults::Kind;
pub use findings::Count;
pub use mutation::Mutation;
pub use report::Report;
pub use round::{Settings, run};
