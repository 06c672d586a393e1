//! A replay of a real day against a running stack, and an audit that holds what callers were told against what the databases keep.
//!
//! What audits the services shares no code with them beyond the wire contract: an auditor that did would believe their errors.

pub mod answers;
pub mod audit;
pub mod campaign;
pub mod collector;
pub mod crowd;
pub mod door;
pub mod fulfilment;
pub mod ledger;
pub mod live;
pub mod measures;
pub mod queue_wait;
pub mod refusal;
pub mod report;
pub mod shoppers;
pub mod svg;
