//! Promises broken on purpose, in test builds only: each must be caught.

use std::str::FromStr;

use anyhow::{Error, anyhow};
use tidegate_local::stack::Service;

use crate::findings::Count;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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
    pub const ALL: [Self; 6] = [
        Self::AcknowledgeBeforeCommit,
        Self::SpendWithoutFence,
        Self::DropUniqueKey,
        Self::SealNothing,
        Self::AcknowledgeHaltEarly,
        Self::KeepStaleEstimates,
    ];

    /// What it is called on the command line, and its fail point in the service.
    pub fn name(self) -> &'static str {
        match self {
            Self::AcknowledgeBeforeCommit => "acknowledge-before-commit",
            Self::SpendWithoutFence => "spend-without-fence",
            Self::DropUniqueKey => "drop-unique-key",
            Self::SealNothing => "seal-nothing",
            Self::AcknowledgeHaltEarly => "acknowledge-halt-early",
            Self::KeepStaleEstimates => "keep-stale-estimates",
        }
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

impl FromStr for Mutation {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self, Error> {
        let names = Self::ALL.map(Self::name).join(", ");
        Self::ALL
            .into_iter()
            .find(|mutation| mutation.name() == name)
            .ok_or_else(|| anyhow!("there is no such mutation; there are {names}"))
    }
}
