use std::collections::BTreeMap;

use tidegate_types::TierNumber;

pub type Counts = BTreeMap<TierNumber, u64>;

/// The life of one lease in issuance's database, which the statements on `leases` and `lease_tiers` implement.
///
/// A seal is final whatever comes before or after it: nothing is spent from a sealed lease, its `used` never changes again, and a lease that was sealed before it arrived never arrives.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub enum Fence {
    #[default]
    Unknown,
    /// Can be spent from.
    Open {
        granted: Counts,
        /// What has been spent, for each tier that was lent.
        used: Counts,
    },
    /// Can never be spent from again.
    Sealed {
        /// What quota lent; empty if the lease was sealed before it arrived.
        granted: Counts,
        /// What had been spent, for each tier that was lent.
        used: Counts,
    },
}

/// The lease is not open, or has less left than was to be spent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the lease is not open or does not have so much left")]
pub struct Refused;

impl Fence {
    /// Makes a granted lease spendable. False if it was there already, or was sealed before it arrived; then nothing changes.
    pub fn install(self, granted: Counts) -> (Self, bool) {
        match self {
            Self::Unknown => {
                let used = granted.keys().map(|tier| (*tier, 0)).collect();
                (Self::Open { granted, used }, true)
            }
            Self::Open { .. } | Self::Sealed { .. } => (self, false),
        }
    }

    /// Spends so much of a tier at once, or nothing.
    pub fn spend(self, tier: TierNumber, quantity: u64) -> Result<Self, Refused> {
        let Self::Open { granted, mut used } = self else {
            return Err(Refused);
        };
        let limit = granted.get(&tier).ok_or(Refused)?;
        let spent = used.entry(tier).or_default();
        *spent = spent
            .checked_add(quantity)
            .filter(|spent| spent <= limit)
            .ok_or(Refused)?;
        Ok(Self::Open { granted, used })
    }

    /// Seals the lease for ever and tells what was used of it. Sealing again tells the same; a lease that never arrived leaves a tombstone.
    pub fn seal(self) -> (Self, Counts) {
        let (granted, used) = match self {
            Self::Unknown => (Counts::new(), Counts::new()),
            Self::Open { granted, used } | Self::Sealed { granted, used } => (granted, used),
        };
        let told = used.clone();
        (Self::Sealed { granted, used }, told)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All else is compared with the database step by step, in `tests/issuance/issuing/fences.rs`.
    #[test]
    fn nothing_is_spent_beyond_what_was_granted_however_much_is_asked_for() {
        let tier = TierNumber::new(0u8).unwrap();
        let (fence, fresh) = Fence::default().install(Counts::from([(tier, 5)]));
        assert!(fresh);
        let spent = fence.spend(tier, 5).unwrap();
        assert_eq!(spent.clone().spend(tier, 1), Err(Refused));
        assert_eq!(spent.spend(tier, u64::MAX), Err(Refused));
    }
}
