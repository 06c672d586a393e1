//! What the gateway decides by itself, without a clock or a network.

pub mod campaign;
pub mod claim_decision;
pub mod order_pace;
pub mod order_waits;
pub mod promises;
pub mod queue;
pub mod ticket;
pub mod tuning;
pub mod wait_queue;
pub mod window;
pub mod windows;
