//! Promises broken on purpose, to prove that the checkers notice. Compiled only with the feature `mutations`.

use std::time::{Duration, Instant};

use tidegate_proto::r#type::v1 as wire_types;
use tidegate_runtime::Environment;
use tidegate_telemetry::TraceContext;
use tokio::time::sleep;

use crate::{
    QuotaError,
    domain::{FencedLease, SealedBecause, TierCounts},
    issuance::IssuanceClient,
    store::LeaseToReclaim,
};

/// For so long a halt is acknowledged and not enforced.
pub const HALT_DELAY: Duration = Duration::from_millis(1_200);
const INSPECT_LIMIT: Duration = Duration::from_secs(2);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mutation {
    /// Leases are credited with what was used when they were looked at, without a seal.
    CreditWithoutSeal,
    /// A halt reads HALTED at once, and leases are sealed [`HALT_DELAY`] later.
    AcknowledgeHaltEarly,
}

impl Mutation {
    /// Reads which one, if any; a fault is noted in the environment.
    pub fn read(environment: &mut Environment) -> Option<Option<Self>> {
        environment.optional("TIDEGATE_MUTATION", None, |name| match name {
            "credit-without-seal" => Ok(Some(Self::CreditWithoutSeal)),
            "acknowledge-halt-early" => Ok(Some(Self::AcknowledgeHaltEarly)),
            _ => Err("must be credit-without-seal or acknowledge-halt-early"),
        })
    }

    /// What the reclaimer takes for used.
    pub(crate) async fn seal(
        self,
        issuance: &IssuanceClient,
        leases: &[LeaseToReclaim],
        trace: TraceContext,
    ) -> Result<Vec<TierCounts>, QuotaError> {
        match self {
            Self::CreditWithoutSeal => {
                let keys: Vec<_> = leases
                    .iter()
                    .map(|lease| (lease.lease_id, lease.lane))
                    .collect();
                let deadline = Instant::now() + INSPECT_LIMIT;
                let fenced = issuance.inspect(&keys, deadline, trace).await?;
                let used = |fenced: Option<FencedLease>| {
                    fenced.map_or(TierCounts::default(), |fenced| fenced.used)
                };
                Ok(fenced.into_iter().map(used).collect())
            }
            Self::AcknowledgeHaltEarly => {
                let is_halt = |lease: &LeaseToReclaim| lease.because == SealedBecause::Halted;
                if leases.iter().any(is_halt) {
                    sleep(HALT_DELAY).await;
                }
                issuance.seal(leases, trace).await
            }
        }
    }

    /// What callers and watchers are told of a campaign.
    pub(crate) fn tell(self, campaign: &mut wire_types::Campaign) {
        if self == Self::AcknowledgeHaltEarly
            && let Some(control) = &mut campaign.control
            && control.issuance() == wire_types::IssuanceControl::Halted
        {
            control.set_issuance_state(wire_types::IssuanceState::Halted);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(name: &str) -> Option<Option<Mutation>> {
        let variables = [("TIDEGATE_MUTATION".to_owned(), name.to_owned())];
        Mutation::read(&mut Environment::from_variables(variables))
    }

    #[test]
    fn nothing_is_broken_unless_it_is_asked_for_by_its_name() {
        assert_eq!(read(""), Some(None));
        assert_eq!(
            read("credit-without-seal"),
            Some(Some(Mutation::CreditWithoutSeal))
        );
        assert_eq!(
            read("acknowledge-halt-early"),
            Some(Some(Mutation::AcknowledgeHaltEarly))
        );
        assert_eq!(read("credit-twice"), None);
    }
}
