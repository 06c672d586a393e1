//! The suite as several replicas with addresses of their own, which find each other by name: scaled
//! up and down, restarted in turn and cut off from the network while shoppers claim and order.

mod directory;
mod fleet;
mod network;
mod report;
mod run;
mod spread;
mod steps;
mod timeline;

pub use network::impossible_because;
pub use report::Report;
pub use run::{Settings, run};
