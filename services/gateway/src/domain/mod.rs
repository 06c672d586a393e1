//! What the gateway decides by itself, without a clock or a network.

/// Campaigns as the gateway sees them.
pub mod campaign;
/// Queues as the gateway knows them.
pub mod queue;
/// How much may be tried again.
pub mod retry_budget;
/// What shoppers show of their place in a queue.
pub mod ticket;
