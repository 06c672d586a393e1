use std::{
    cmp::Ordering,
    collections::BTreeSet,
    hash::{Hash, Hasher},
    sync::Arc,
};

use stateright::Representative;
use tidegate_issuance::domain::fence::{Counts, Fence};
use tidegate_quota::domain::{Control, IssuanceControl, RedemptionControl, TierCounts, TierStock};

/// The whole world at one moment: both databases, the memory of every replica, and all that is in
/// flight.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct State {
    /// In quota's database: whether the campaign is halted.
    pub halt: Halt,
    /// In quota's database: where the stock is, tier by tier.
    pub stock: Vec<Stock>,
    /// In issuance's database: how many coupons there are of each tier.
    pub coupons: Vec<u64>,
    /// Those that ask for leases.
    pub holders: Vec<Holder>,
}

/// How a halt stands. There is one at most, which bounds the model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Halt {
    /// None was ordered yet.
    NotOrdered,
    /// Staff ordered it and wait for the acknowledgement.
    Ordered,
    /// It was acknowledged when there were so many coupons.
    Acknowledged {
        /// Of all tiers.
        coupons: u64,
    },
    Over,
}

/// Where the stock of a tier is, with an order and a hash, which the checker needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stock(pub TierStock);

#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Holder {
    /// False once it crashed. It never comes back: a replica that does is another holder.
    pub alive: bool,
    /// The leases it asks for in its life; what does not change is shared between states.
    pub leases: Vec<Arc<LeaseLife>>,
}

/// All that anybody knows of one lease.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct LeaseLife {
    /// In quota's database, once it was granted.
    pub lent: Option<Lent>,
    pub fence: Fence,
    /// In the holder's memory, while it works with the lease: how much it believes to be left.
    pub in_hand: Option<Counts>,
    /// Every message that was ever sent about the lease. None is taken out, so each may arrive at
    /// any later time, again, or never.
    pub in_flight: BTreeSet<Message>,
}

/// A lease in quota's database.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Lent {
    pub granted: Counts,
    /// What was used of it, once it is settled.
    pub used: Option<Counts>,
}

/// What the parties tell each other about one lease.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Message {
    /// The holder asks quota for it.
    Ask,
    /// Quota tells the holder what it got.
    Granted(Counts),
    Seal,
    /// Quota is told what was used of it, by issuance that was asked to seal it or by a holder that
    /// gave it back.
    Used(Counts),
}

impl State {
    /// All coupons there are.
    pub fn coupon_count(&self) -> u64 {
        self.coupons.iter().sum()
    }

    /// Every lease of every holder, with its holder.
    pub fn leases(&self) -> impl Iterator<Item = (&Holder, &LeaseLife)> {
        self.holders
            .iter()
            .flat_map(|holder| holder.leases.iter().map(move |lease| (holder, &**lease)))
    }

    /// What staff want, as quota's rules take it.
    pub fn control(&self) -> Control {
        let issuance = match self.halt {
            Halt::NotOrdered | Halt::Over => IssuanceControl::Open,
            Halt::Ordered | Halt::Acknowledged { .. } => IssuanceControl::Halted,
        };
        Control {
            issuance,
            redemption: RedemptionControl::Open,
            reason: None,
            resume_at: None,
            epoch: 0,
        }
    }

    /// How many holders beside one have leases that are not settled.
    pub fn others_with_leases(&self, holder: usize) -> u64 {
        let is_out =
            |lease: &Arc<LeaseLife>| lease.lent.as_ref().is_some_and(|lent| lent.used.is_none());
        let others = self.holders.iter().enumerate();
        let others =
            others.filter(|(number, of)| *number != holder && of.leases.iter().any(is_out));
        others.count() as u64
    }

    /// The stock as quota's rules take it.
    pub fn tiers(&self) -> Vec<TierStock> {
        self.stock.iter().map(|stock| stock.0).collect()
    }
}

/// Holders differ only by their place, and so do the leases of one holder. Sorted, states that
/// differ by nothing else are one.
impl Representative for State {
    fn representative(&self) -> Self {
        let mut sorted = self.clone();
        for holder in &mut sorted.holders {
            holder.leases.sort_unstable();
        }
        sorted.holders.sort_unstable();
        sorted
    }
}

impl Stock {
    fn key(self) -> (u64, u64, u64) {
        (self.0.free, self.0.leased, self.0.settled)
    }
}

impl Hash for Stock {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        self.key().hash(hasher);
    }
}

impl Ord for Stock {
    fn cmp(&self, other: &Self) -> Ordering {
        self.key().cmp(&other.key())
    }
}

impl PartialOrd for Stock {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Lent {
    /// True as long as quota does not know what was used.
    pub fn is_outstanding(&self) -> bool {
        self.used.is_none()
    }
}

/// Quota's counts as issuance keeps them.
pub fn to_issuance(counts: &TierCounts) -> Counts {
    counts.some().collect()
}

/// Issuance's counts as quota keeps them.
pub fn to_quota(counts: &Counts) -> TierCounts {
    let mut converted = TierCounts::default();
    for (tier, count) in counts {
        converted.set(*tier, *count);
    }
    converted
}
