//! Campaigns, stock, leases and queues as they are decided about: no database, no wire, and the time is an argument.

mod audit;
mod campaign;
mod control;
mod halt;
mod lease;
mod queue;
mod silence;
mod stock;
mod update;

pub use audit::{
    Audit, AuditReport, CouponBooks, Coverage, Difference, DifferenceKind, FencedLease, LeaseBooks,
    LeaseMismatch, MAX_DIFFERENCES_DESCRIBED, PassSums, TierAudit, TierBooks,
};
pub use campaign::{
    Campaign, CampaignTerms, Description, DisplayName, Extension, Fence,
    MAX_COUPON_VALIDITY_SECONDS, MAX_EXTENSION, MIN_COUPON_VALIDITY_SECONDS, NotExtended, Tier,
    WantedCampaigns,
};
pub use control::{
    Control, ControlChange, IssuanceControl, IssuanceState, RedemptionControl, RedemptionState,
    WantedControl, nothing_leased,
};
pub use halt::{Halt, Standing};
pub use lease::{
    Availability, DRAIN_DIVISOR, Lease, LeaseAnswer, LeaseRequest, NotSettled, SealedBecause,
    Settlement, grant,
};
pub use queue::{
    CohortWaiting, Coming, GatewayReport, Pace, PaceRange, Promises, Queue, QueueCampaign,
    QueueClock, QueueReport, QueueSnapshot, QueueStanding, REPORTS_COUNT_FOR, TURNS_KEPT,
};
pub use silence::{HolderReading, SILENT_AFTER_READINGS, SilenceWatch};
pub use stock::{TierCounts, TierStock, sold_out};
pub use update::{CampaignUpdate, End, HEARD_WITHIN, NotUpdated, Update, UpdateFacts};
