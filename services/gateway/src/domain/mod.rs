//! What the gateway decides by itself, without a clock or a network.

/// Campaigns as the gateway sees them.
pub mod campaign;
/// How much may be tried again.
pub mod retry_budget;
