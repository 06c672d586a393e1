//! Promises broken on purpose by the services themselves, in test builds only: each must be caught.

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
    /// Issuance's table of coupons has no unique key.
    DropUniqueKey,
    /// Quota takes back what a lease seems not to have used, without sealing it.
    CreditWithoutSeal,
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
        Self::CreditWithoutSeal,
        Self::AcknowledgeHaltEarly,
        Self::KeepStaleEstimates,
    ];

    /// What it is called on the command line and in the service's environment.
    pub fn name(self) -> &'static str {
        match self {
            Self::AcknowledgeBeforeCommit => "acknowledge-before-commit",
            Self::SpendWithoutFence => "spend-without-fence",
            Self::DropUniqueKey => "drop-unique-key",
            Self::CreditWithoutSeal => "credit-without-seal",
            Self::AcknowledgeHaltEarly => "acknowledge-halt-early",
            Self::KeepStaleEstimates => "keep-stale-estimates",
        }
    }

    /// The counts that it has to be caught by: a claim left undecided, or a suite that does not
    /// work, proves nothing.
    pub fn exposed_by(self) -> &'static [Count] {
        match self {
            Self::AcknowledgeBeforeCommit => &[Count::AcknowledgedNotKept],
            Self::SpendWithoutFence | Self::CreditWithoutSeal => {
                &[Count::LedgerImbalance, Count::IssuedBeyondStock]
            }
            Self::DropUniqueKey => &[Count::RequestsWithTwo, Count::ShoppersOverLimit],
            Self::AcknowledgeHaltEarly => &[Count::CommittedAfterHalt],
            Self::KeepStaleEstimates => &[Count::StuckAfterHeal],
        }
    }

    pub fn service(self) -> Service {
        match self {
            Self::AcknowledgeBeforeCommit
            | Self::SpendWithoutFence
            | Self::DropUniqueKey
            | Self::KeepStaleEstimates => Service::Issuance,
            Self::CreditWithoutSeal | Self::AcknowledgeHaltEarly => Service::Quota,
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
