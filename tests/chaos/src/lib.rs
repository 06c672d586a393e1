//! Breaks a running suite on purpose, by a plan that follows from a seed, while shoppers claim and order; then counts every broken promise.

mod campaigns;
mod checker;
mod clock;
mod code;
pub mod console;
mod door;
mod edges;
mod faults;
mod findings;
mod ledger;
mod metrics;
mod mutation;
mod proxy;
mod report;
mod round;
mod run;
pub mod scale;
mod staff;
mod suite;
mod tally;
mod workload;

pub use faults::Kind;
pub use findings::Count;
pub use mutation::Mutation;
pub use report::Report;
pub use run::{Settings, run};
