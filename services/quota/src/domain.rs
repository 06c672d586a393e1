//! Campaigns, stock and leases as they are decided about: no database, no wire, and the time is an argument.

mod campaign;
mod lease;
mod stock;

pub use campaign::{
    Campaign, CampaignTerms, MAX_COUPON_VALIDITY_SECONDS, MIN_COUPON_VALIDITY_SECONDS, Tier,
};
pub use lease::{
    Availability, DRAIN_DIVISOR, Lease, LeaseAnswer, LeaseRequest, NotSettled, Settlement, grant,
};
pub use stock::{TierCounts, TierStock, sold_out};
