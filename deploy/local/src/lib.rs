//! The one-machine deployment of Tidegate: PostgreSQL, the four services as processes of their own, a replay of a real day, and an audit
//! that holds what callers were told against what the databases keep.
//!
//! The end-to-end tests use the same [`stack`] that the binary `tidegate-local` runs. What audits the services shares no code with them
//! beyond the wire contract.

pub mod audit;
pub mod collector;
pub mod credentials;
pub mod live;
pub mod postgres;
pub mod processes;
pub mod replay;
pub mod report;
pub mod secret_file;
pub mod stack;
pub mod way_in;
