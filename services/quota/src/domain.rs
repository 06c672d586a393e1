//! Campaigns, stock, leases and queues as they are decided about: no database, no wire, and the time is an argument.

/// Kinds that have names: in the database, in the record of changes, in metrics or in answers.
macro_rules! named {
    ($(#[$attribute:meta])* $name:ident { $($(#[$of_kind:meta])* $kind:ident = $text:literal,)+ }) => {
        $(#[$attribute])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum $name {
            $($(#[$of_kind])* $kind,)+
        }

        impl $name {
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$kind => $text,)+
                }
            }

            pub fn from_name(name: &str) -> Option<Self> {
                match name {
                    $($text => Some(Self::$kind),)+
                    _ => None,
                }
            }
        }
    };
}

mod audit;
mod campaign;
mod control;
mod lease;
mod queue;
mod silence;
mod stock;
pub mod text;
mod update;

pub use audit::{
    Audit, AuditOutcome, AuditReport, CouponBooks, Coverage, Difference, DifferenceKind,
    FencedLease, LeaseBooks, LeaseMismatch, MAX_DIFFERENCES_DESCRIBED, PassSums, TierAudit,
    TierBooks,
};
pub use campaign::{
    Campaign, CampaignTerms, Description, DisplayName, Fence, MAX_COUPON_VALIDITY_SECONDS,
    MAX_EXTENSION, MIN_COUPON_VALIDITY_SECONDS, Tier, WantedCampaigns,
};
pub use control::{
    Control, Halt, IssuanceControl, IssuanceState, RedemptionControl, RedemptionState, Standing,
    nothing_leased,
};
pub use lease::{Availability, Lease, LeaseAnswer, LeaseRequest, SealedBecause, Settlement, grant};
pub use queue::{
    CohortWaiting, Coming, GatewayReport, Pace, PaceRange, Promises, Queue, QueueCampaign,
    QueueClock, QueueReport, QueueSnapshot, QueueStanding, REPORTS_COUNT_FOR, TURNS_KEPT,
};
pub use silence::{LeaseHolderReading, SILENT_AFTER_READINGS, SilenceWatch};
pub use stock::{TierCounts, TierStock, sold_out};
pub use update::{APPLIED_WITHIN, CampaignUpdate, UpdateFacts};
