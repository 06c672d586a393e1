use std::{collections::BTreeMap, time::Instant};

use super::{Controls, wait_while};
use crate::{
    domain::{Halt, IssuanceState, Standing},
    error::Result,
    staff::{self, StaffCall},
    store::Work,
    watch::MAX_CURRENT_CAMPAIGNS,
};

/// Campaigns that one halt of all takes in. There are no more than half as many, and a few that were
/// made at once. Beyond, those that are not halted come first, nothing is said to be all halted, and
/// the same call again takes in the next ones.
pub const MAX_HALTED: u32 = 2 * MAX_CURRENT_CAMPAIGNS as u32;

/// How a halt of all campaigns stands.
#[derive(Debug, Clone)]
pub struct Halted {
    /// Every campaign that it took in, in the order of their numbers.
    pub campaigns: Vec<Standing>,
    /// Whether that was every campaign, and all of it is in force.
    pub is_all: bool,
}

impl Controls {
    /// Halts the issuing of every campaign that has not ended, in one transaction, and waits until all of it is in force, as long as the deadline allows. Those that are halted so already stay as they are.
    pub async fn halt_all(&self, halt: &Halt, call: &StaffCall) -> Result<Halted> {
        let taken = self
            .store
            .transaction(call.deadline, async |work| halt_all(work, halt, call).await);
        let (campaigns, is_everyone) = taken.await?;
        let is_any = |is_so: fn(&Standing) -> bool| campaigns.iter().any(is_so);
        if is_any(|campaign| !campaign.fence.holds_redemption()) {
            self.fencer.up(call.trace);
        }
        if is_any(|campaign| campaign.issuance_state() == IssuanceState::Halting) {
            self.reclaimer.up(call.trace);
        }
        let campaigns = self.wait_for_all(campaigns, call.deadline).await?;
        Ok(Halted {
            is_all: is_everyone && campaigns.iter().all(|campaign| halt.is_in_force(campaign)),
            campaigns,
        })
    }

    /// Waits while the controls of these campaigns are on their way, as long as there is time. Whatever somebody changed since is not waited for.
    async fn wait_for_all(
        &self,
        campaigns: Vec<Standing>,
        deadline: Instant,
    ) -> Result<Vec<Standing>> {
        let epochs = campaigns
            .iter()
            .map(|campaign| (campaign.number, campaign.control.epoch));
        let epochs: BTreeMap<_, _> = epochs.collect();
        let numbers: Vec<_> = epochs.keys().copied().collect();
        let is_awaited = |campaign: &Standing| {
            campaign.is_on_its_way()
                && epochs.get(&campaign.number) == Some(&campaign.control.epoch)
        };
        let is_open = |campaigns: &Vec<Standing>| campaigns.iter().any(is_awaited);
        let read = || self.store.read(async |read| read.standings(&numbers).await);
        wait_while(is_open, campaigns, read, deadline).await
    }
}

/// What was halted, and whether that is every campaign.
async fn halt_all(work: &mut Work, halt: &Halt, call: &StaffCall) -> Result<(Vec<Standing>, bool)> {
    let mut numbers = work.campaigns_to_halt(call.now(), MAX_HALTED + 1).await?;
    let is_everyone = numbers.len() <= MAX_HALTED as usize;
    numbers.truncate(MAX_HALTED as usize);
    work.lock_tiers_of_many(&numbers).await?;
    // Some may have ended while their locks were waited for. One that closed a moment ago, by this
    // clock, is halted as long as a claim of it may yet commit.
    let mut before = work.standings(&numbers).await?;
    let now = call.now();
    before.retain(|campaign| {
        campaign.ended_at.is_none() && (campaign.closes_at > now || !campaign.nothing_leased)
    });
    let (mut halted, mut changes) = (Vec::new(), Vec::new());
    for campaign in &before {
        let Some(control) = halt.of(&campaign.control) else {
            continue;
        };
        let change = call.change("HaltAllCampaigns", &campaign.id, halt.reason.as_str());
        let compared = change.map(|change| staff::controls(change, &campaign.control, &control));
        changes.extend(compared);
        halted.push((campaign.number, control));
    }
    let numbers: Vec<_> = before.iter().map(|campaign| campaign.number).collect();
    work.halt_campaigns(&halted, halt).await?;
    work.record(&changes).await?;
    Ok((work.standings(&numbers).await?, is_everyone))
}
