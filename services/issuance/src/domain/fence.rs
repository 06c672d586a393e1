use std::collections::BTreeMap;

use tidegate_types::TierNumber;

/// How much of each tier.
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

    fn tier(number: u8) -> TierNumber {
        TierNumber::new(number).unwrap()
    }

    fn counts(of: &[(u8, u64)]) -> Counts {
        of.iter()
            .map(|(number, count)| (tier(*number), *count))
            .collect()
    }

    fn open(granted: &[(u8, u64)]) -> Fence {
        let (fence, fresh) = Fence::default().install(counts(granted));
        assert!(fresh);
        fence
    }

    #[test]
    fn a_lease_is_installed_once() {
        let spent = open(&[(0, 5)]).spend(tier(0), 2).unwrap();
        let (again, fresh) = spent.clone().install(counts(&[(0, 9)]));
        assert!(!fresh);
        assert_eq!(again, spent);
    }

    #[test]
    fn nothing_is_spent_beyond_what_was_granted_nor_of_a_tier_that_was_not() {
        let fence = open(&[(0, 5)]);
        assert_eq!(fence.clone().spend(tier(0), 6), Err(Refused));
        assert_eq!(fence.clone().spend(tier(1), 1), Err(Refused));
        assert_eq!(fence.clone().spend(tier(0), u64::MAX), Err(Refused));
        let spent = fence.spend(tier(0), 5).unwrap();
        assert_eq!(spent.clone().spend(tier(0), 1), Err(Refused));
        assert_eq!(spent.spend(tier(0), u64::MAX), Err(Refused));
    }

    #[test]
    fn nothing_is_spent_from_a_lease_that_is_not_installed() {
        assert_eq!(Fence::Unknown.spend(tier(0), 1), Err(Refused));
    }

    #[test]
    fn a_sealed_lease_tells_what_was_used_and_nothing_is_spent_from_it() {
        let spent = open(&[(0, 5), (2, 7)]).spend(tier(0), 3).unwrap();
        let (sealed, used) = spent.seal();
        assert_eq!(used, counts(&[(0, 3), (2, 0)]));
        assert_eq!(sealed.clone().spend(tier(0), 1), Err(Refused));
        let (again, same) = sealed.clone().seal();
        assert_eq!((again, same), (sealed, used));
    }

    #[test]
    fn a_sealed_lease_cannot_be_installed() {
        let (tombstone, used) = Fence::Unknown.seal();
        assert!(used.is_empty());
        let (late, fresh) = tombstone.clone().install(counts(&[(0, 5)]));
        assert!(!fresh);
        assert_eq!(late, tombstone);
        assert_eq!(late.spend(tier(0), 1), Err(Refused));
    }
}
