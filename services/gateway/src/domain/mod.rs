//! What the gateway decides by itself, without a clock or a network.

/// Campaigns as the gateway sees them.
pub mod campaign;
/// What becomes of a claim.
pub mod claim_decision;
/// How many claims leave room for their orders.
pub mod order_pace;
pub mod promises;
/// Queues as the gateway knows them.
pub mod queue;
/// How much may be tried again.
/// What shoppers show of their place in a queue.
pub mod ticket;
pub mod wait_queue;
/// What may be in flight of one lane at issuance.
pub mod window;
/// What may be in flight of all lanes.
pub mod windows;
