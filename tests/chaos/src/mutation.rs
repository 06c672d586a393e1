//! Promises broken on purpose, in test builds only: each must be caught.

use clap::ValueEnum;
use serde::Serialize;
use tidegate_local::stack::Service;

use crate::{console::name_of, findings::Count};

/// What is broken. Each is called the same on the command line, in the report and as the fail point
/// in its service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Mutation {
    /// Issuance answers before its commit is on disk.
    AcknowledgeBeforeCommit,
    /// Issuance spends from leases whether they are sealed or not.
    SpendWithoutFence,
    /// Issuance's table of coupons has no unique key. It is taken from the database, not from the service.
    DropUniqueKey,
    /// Issuance tells quota what a lease has used, and does not seal it.
    SealNothing,
    /// Quota calls a campaign halted while leases are still out.
    AcknowledgeHaltEarly,
    /// Issuance's commit queues never forget how long a commit took, and refuse by it when idle.
    KeepStaleEstimates,
}

impl Mutation {
    pub fn name(self) -> String {
        name_of(self)
    }

    /// The counts that it has to be caught by: a claim left undecided, or a suite that does not
    /// work, proves nothing.
    pub fn exposed_by(self) -> &'static [Count] {
        match self {
            Self::AcknowledgeBeforeCommit => &[Count::AcknowledgedNotKept],
            Self::SpendWithoutFence | Self::SealNothing => {
                &[Count::LedgerImbalance, Count::IssuedBeyondStock]
            }
            Self::DropUniqueKey => &[Count::RequestsWithTwo, Count::ShoppersOverLimit],
            Self::AcknowledgeHaltEarly => &[Count::CommittedAfterHalt],
            Self::KeepStaleEstimates => &[Count::StuckAfterHeal],
        }
    }

    /// The service that has its fail point.
    pub fn service(self) -> Option<Service> {
        match self {
            Self::AcknowledgeBeforeCommit
            | Self::SpendWithoutFence
            | Self::SealNothing
            | Self::KeepStaleEstimates => Some(Service::Issuance),
            Self::AcknowledgeHaltEarly => Some(Service::Quota),
            Self::DropUniqueKey => None,
        }
    }
}
