use tidegate_types::{MAX_TIERS, TierNumber};

/// Where the stock of one tier is. All there is is the sum of the three, so moving stock can neither make nor lose any.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TierStock {
    pub free: u64,
    /// Lent to issuance replicas, used or not.
    pub leased: u64,
    /// Used by leases that have been settled.
    pub settled: u64,
}

impl TierStock {
    pub fn stock(self) -> u64 {
        self.free + self.leased + self.settled
    }

    /// Moves a quantity from the pool to leases, at most what is free.
    #[must_use]
    pub fn lend(self, quantity: u64) -> Self {
        let quantity = quantity.min(self.free);
        Self {
            free: self.free - quantity,
            leased: self.leased + quantity,
            ..self
        }
    }

    /// Takes back a grant, at most what is on lease: what was used is settled for ever, the rest is free again.
    #[must_use]
    pub fn settle(self, granted: u64, used: u64) -> Self {
        let granted = granted.min(self.leased);
        let used = used.min(granted);
        Self {
            free: self.free + granted - used,
            leased: self.leased - granted,
            settled: self.settled + used,
        }
    }
}

/// True if nothing is free and nothing is on lease in any tier: nothing can come back.
pub fn sold_out(tiers: &[TierStock]) -> bool {
    tiers.iter().all(|tier| tier.free == 0 && tier.leased == 0)
}

pub(super) fn tiers() -> impl Iterator<Item = TierNumber> {
    (0..MAX_TIERS).filter_map(|number| TierNumber::new(number).ok())
}

/// One count for each tier number; zero for those that are not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TierCounts([u64; MAX_TIERS as usize]);

impl TierCounts {
    pub fn get(&self, tier: TierNumber) -> u64 {
        self.0[usize::from(tier.get())]
    }

    pub fn set(&mut self, tier: TierNumber, count: u64) {
        self.0[usize::from(tier.get())] = count;
    }

    pub fn iter(&self) -> impl Iterator<Item = (TierNumber, u64)> {
        tiers().zip(self.0)
    }

    pub fn some(&self) -> impl Iterator<Item = (TierNumber, u64)> {
        self.iter().filter(|(_, count)| *count > 0)
    }

    #[must_use]
    pub fn plus(&self, other: &Self) -> Self {
        let both = self.iter().zip(other.0);
        both.map(|((tier, one), other)| (tier, one.saturating_add(other)))
            .collect()
    }

    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }
}

impl FromIterator<(TierNumber, u64)> for TierCounts {
    fn from_iter<Counts: IntoIterator<Item = (TierNumber, u64)>>(given: Counts) -> Self {
        let mut counts = Self::default();
        given
            .into_iter()
            .for_each(|(tier, count)| counts.set(tier, count));
        counts
    }
}

#[cfg(test)]
pub(super) fn counts(values: &[u64]) -> TierCounts {
    tiers().zip(values.iter().copied()).collect()
}
