use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use tidegate_telemetry::TraceContext;
use tidegate_types::{CampaignNumber, TierNumber};
use uuid::Uuid;

use super::lease_size::Demand;

/// A lease nobody has spent from for this long is given back: others may need it.
pub const IDLE_BEFORE_RETURN: Duration = Duration::from_secs(2);
/// A lease is given back after this long, in use or not, while quota's pool has none of a tier that the lease still holds: others can get it from nowhere else.
pub const HELD_WHILE_OTHERS_NEED: Duration = Duration::from_secs(2);

/// What one lane of this replica holds of each campaign, and what is asked of it.
///
/// The book decides which lease a claim is assigned to. Whether the stock is really there is the database's decision; the book is corrected by what each commit reports.
#[derive(Default)]
pub struct LeaseBook {
    campaigns: BTreeMap<CampaignNumber, Holding>,
}

#[derive(Default)]
struct Holding {
    leases: Vec<HeldLease>,
    demand: BTreeMap<Option<TierNumber>, Demand>,
    acquiring: bool,
    denied: Option<Denial>,
    /// What quota's pool has of each tier, if that is known.
    free: Option<Vec<u64>>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct HeldLease {
    pub id: Uuid,
    /// What is left, tier by tier.
    pub remaining: BTreeMap<TierNumber, u64>,
    pub trace: TraceContext,
    pub held_since: Instant,
    pub spent_at: Instant,
}

/// What quota said when it had nothing to give.
#[derive(Debug, Clone, PartialEq)]
pub struct Denial {
    /// Whether each tier is gone for good, in the campaign's order; empty if quota did not say.
    pub tier_sold_out: Vec<bool>,
    pub ask_again_at: Instant,
}

/// What a claim that found no stock in hand can expect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outlook {
    /// There is stock in hand now.
    InHand,
    /// More has been asked for.
    Coming,
    /// None is free, but some may come back.
    Returning,
    /// Quota lends none for now, as during a halt, and does not say what is left.
    Withheld,
    /// None is left and none can come back.
    SoldOut,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    pub campaign: CampaignNumber,
    pub tiers: Vec<(TierNumber, u64)>,
    pub any_tier: u64,
}

impl LeaseBook {
    /// Assigns a claim to a lease with stock of the tier (any, if none is named) and takes one off the book. `None` if nothing is in hand; that is noted as unmet demand.
    pub fn reserve(
        &mut self,
        campaign: CampaignNumber,
        tier: Option<TierNumber>,
    ) -> Option<(Uuid, TierNumber)> {
        let holding = self.campaigns.entry(campaign).or_default();
        for lease in &mut holding.leases {
            let stocked = lease
                .remaining
                .iter_mut()
                .find(|(number, left)| tier.is_none_or(|tier| tier == **number) && **left > 0);
            if let Some((number, left)) = stocked {
                *left -= 1;
                return Some((lease.id, *number));
            }
        }
        holding.demand.entry(tier).or_default().unmet();
        None
    }

    /// One claim was served from stock in hand.
    pub fn served(&mut self, campaign: CampaignNumber, tier: Option<TierNumber>) {
        let holding = self.campaigns.entry(campaign).or_default();
        holding.demand.entry(tier).or_default().met();
    }

    /// Sets what the database says is left of a lease after a commit.
    pub fn correct(
        &mut self,
        campaign: CampaignNumber,
        lease: Uuid,
        tier: TierNumber,
        remaining: u64,
        spent_at: Option<Instant>,
    ) {
        if let Some(held) = self.lease_mut(campaign, lease) {
            held.remaining.insert(tier, remaining);
            held.spent_at = spent_at.unwrap_or(held.spent_at);
        }
    }

    /// Undoes a reservation that no coupon came of.
    pub fn give_back(&mut self, campaign: CampaignNumber, lease: Uuid, tier: TierNumber) {
        let held = self.lease_mut(campaign, lease);
        if let Some(left) = held.and_then(|held| held.remaining.get_mut(&tier)) {
            *left += 1;
        }
    }

    pub fn trace_of(&self, campaign: CampaignNumber, lease: Uuid) -> Option<TraceContext> {
        let holding = self.campaigns.get(&campaign)?;
        holding
            .leases
            .iter()
            .find(|held| held.id == lease)
            .map(|held| held.trace)
    }

    pub fn add(&mut self, campaign: CampaignNumber, lease: HeldLease) {
        let holding = self.campaigns.entry(campaign).or_default();
        holding.leases.push(lease);
        holding.denied = None;
        holding.demand.values_mut().for_each(Demand::forget_unmet);
    }

    pub fn deny(&mut self, campaign: CampaignNumber, denial: Denial) {
        let holding = self.campaigns.entry(campaign).or_default();
        holding.denied = Some(denial);
        holding.demand.values_mut().for_each(Demand::forget_unmet);
    }

    /// An acquisition ended, whatever came of it.
    pub fn acquired(&mut self, campaign: CampaignNumber) {
        self.campaigns.entry(campaign).or_default().acquiring = false;
    }

    /// Budget may have been added: earlier denials count no longer.
    pub fn forget_denial(&mut self, campaign: CampaignNumber) {
        if let Some(holding) = self.campaigns.get_mut(&campaign) {
            holding.denied = None;
        }
    }

    /// Measures the demand since the last call.
    pub fn measure(&mut self, elapsed: Duration) {
        let holdings = self.campaigns.values_mut();
        let demands = holdings.flat_map(|holding| holding.demand.values_mut());
        demands.for_each(|demand| demand.measure(elapsed));
    }

    /// What to ask for now. Each campaign named counts as being asked for until [`LeaseBook::acquired`].
    pub fn wanted(&mut self, now: Instant) -> Vec<Wanted> {
        let mut all = Vec::new();
        for (campaign, holding) in &mut self.campaigns {
            let denied = holding.denied.as_ref();
            if holding.acquiring || denied.is_some_and(|denial| now < denial.ask_again_at) {
                continue;
            }
            let mut wanted = Wanted {
                campaign: *campaign,
                tiers: Vec::new(),
                any_tier: 0,
            };
            for (tier, demand) in &holding.demand {
                let in_hand = remaining(&holding.leases, *tier);
                match (demand.wanted(in_hand), tier) {
                    (Some(quantity), Some(tier)) => wanted.tiers.push((*tier, quantity)),
                    (Some(quantity), None) => wanted.any_tier = quantity,
                    (None, _) => {}
                }
            }
            if wanted.any_tier > 0 || !wanted.tiers.is_empty() {
                holding.acquiring = true;
                all.push(wanted);
            }
        }
        all
    }

    /// Notes what quota's pool has of each tier of a campaign that this lane was asked for.
    pub fn tell_free(&mut self, campaign: CampaignNumber, free: Vec<u64>) {
        if let Some(holding) = self.campaigns.get_mut(&campaign) {
            holding.free = Some(free);
        }
    }

    /// What was told of quota's pool counts no longer.
    pub fn forget_free(&mut self) {
        for holding in self.campaigns.values_mut() {
            holding.free = None;
        }
    }

    /// Takes the leases off the book that have nothing left, that nobody has spent from for a while, or, if `may_give_way`, that others may need.
    pub fn take_finished(
        &mut self,
        now: Instant,
        may_give_way: bool,
    ) -> Vec<(CampaignNumber, Uuid)> {
        self.take_if(|lease, free| {
            let since = |moment: Instant| now.saturating_duration_since(moment);
            lease.remaining.values().all(|left| *left == 0)
                || since(lease.spent_at) >= IDLE_BEFORE_RETURN
                || may_give_way
                    && since(lease.held_since) >= HELD_WHILE_OTHERS_NEED
                    && free.is_some_and(|free| lease.holds_what_is_gone(free))
        })
    }

    pub fn take_all(&mut self) -> Vec<(CampaignNumber, Uuid)> {
        self.take_if(|_, _| true)
    }

    /// What a claim that was not served can expect.
    pub fn outlook(&self, campaign: CampaignNumber, tier: Option<TierNumber>) -> Outlook {
        let Some(holding) = self.campaigns.get(&campaign) else {
            return Outlook::Coming;
        };
        if remaining(&holding.leases, tier) > 0 {
            return Outlook::InHand;
        }
        let Some(Denial { tier_sold_out, .. }) = &holding.denied else {
            return Outlook::Coming;
        };
        let is_gone = match tier {
            _ if tier_sold_out.is_empty() => return Outlook::Withheld,
            Some(tier) => tier_sold_out.get(usize::from(tier.get())) == Some(&true),
            None => tier_sold_out.iter().all(|gone| *gone),
        };
        match is_gone {
            true => Outlook::SoldOut,
            false => Outlook::Returning,
        }
    }

    /// How many leases are in hand, and how many coupons they still hold.
    pub fn totals(&self) -> (usize, u64) {
        let leases = self.campaigns.values().flat_map(|holding| &holding.leases);
        let coupons = leases.clone().flat_map(|lease| lease.remaining.values());
        (leases.count(), coupons.sum())
    }

    fn take_if(
        &mut self,
        done: impl Fn(&HeldLease, Option<&[u64]>) -> bool,
    ) -> Vec<(CampaignNumber, Uuid)> {
        let mut taken = Vec::new();
        for (campaign, holding) in &mut self.campaigns {
            let free = holding.free.as_deref();
            let leases = holding.leases.extract_if(.., |lease| done(lease, free));
            taken.extend(leases.map(|lease| (*campaign, lease.id)));
        }
        taken
    }

    fn lease_mut(&mut self, campaign: CampaignNumber, lease: Uuid) -> Option<&mut HeldLease> {
        let mut leases = self.campaigns.get_mut(&campaign)?.leases.iter_mut();
        leases.find(|held| held.id == lease)
    }
}

impl HeldLease {
    fn holds_what_is_gone(&self, free: &[u64]) -> bool {
        let is_gone = |tier: &TierNumber| free.get(usize::from(tier.get())) == Some(&0);
        let mut remaining = self.remaining.iter();
        remaining.any(|(tier, left)| *left > 0 && is_gone(tier))
    }
}

fn remaining(leases: &[HeldLease], tier: Option<TierNumber>) -> u64 {
    let remaining = leases.iter().flat_map(|lease| &lease.remaining);
    let counted = remaining.filter(|(number, _)| tier.is_none_or(|tier| tier == **number));
    counted.map(|(_, left)| *left).sum()
}

#[cfg(test)]
mod tests;
